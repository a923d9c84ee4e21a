"""From the SOURCE of `osgp-sdr view` to what is looked at: a recording with a slider, or a live source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phy import ReceiverOptions

from ..frontends.contract import Address, open_source
from ..recording import open_recording
from .watch import LiveWatch, RecordingWatch, Watch

FILE = "file"


def open_watch(source: str, profile: str, options: ReceiverOptions, file_options: Mapping[str, Any]) -> Watch:
    """Open a recording by path, or a live source by URL.

    Args:
        profile: name, file or "auto".    file_options: rate, dtype, channel, frequency, iq, as `osgp-sdr decode` has them.
    Raises:
        FlowgraphError: one line that names the source and what is wrong.
    """
    address = Address.parse(source)
    if address.scheme == FILE and not address.options:
        arguments = (
            address.place, file_options.get("rate"), file_options.get("dtype"), file_options.get("channel") or 0,
            file_options.get("frequency"), bool(file_options.get("iq")),
        )  # fmt: skip
        recording = open_recording(*arguments)
        recording.check()
        return RecordingWatch(recording, open_recording(*arguments), profile, options)
    opened = open_source(source, rate=file_options.get("rate"))
    try:
        return LiveWatch(opened, profile, options)
    except Exception:
        opened.close()
        raise
