"""Pictures for all visitors: each made once, those of packets by a thread of their own."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from ..packet_record import packet_record
from .anatomy import EYE_POINTS, Anatomy, examine
from .fields import Layer
from .frame import Picture
from .packet_log import Entry
from .pictures import Painter
from .watch import Watch

PACKETS_KEPT: Final = 64
LINES_KEPT: Final = 8


class Gallery:
    """Makes and keeps pictures.    watch: whose samples and packets."""

    eye_points: Final = EYE_POINTS

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._executor = ThreadPoolExecutor(1, "pictures")
        self._packets: OrderedDict[int, asyncio.Future[Anatomy]] = OrderedDict()
        self._lines: OrderedDict[tuple[int, int, int, str], Picture] = OrderedDict()

    def close(self) -> None:
        """Make no more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def line(self, painter: Painter, first: int, end: int, rows: int, wave: int) -> Picture:
        """The line from `first` to `end`, its waveform that of the last `wave` samples."""
        key = first, end, rows, painter.profile.name
        picture = self._lines.get(key)
        if picture is None:
            picture = self._lines[key] = painter.picture(first, end, rows, wave)
            if len(self._lines) > LINES_KEPT:
                self._lines.popitem(last=False)
        return picture

    async def anatomy(self, entry: Entry) -> Anatomy:
        """One packet under the lens."""
        found = self._packets.get(entry.number)
        if found is None:
            loop = asyncio.get_running_loop()
            found = asyncio.ensure_future(loop.run_in_executor(self._executor, self._examine, entry))
            self._packets[entry.number] = found
            if len(self._packets) > PACKETS_KEPT:
                self._packets.popitem(last=False)
        return await asyncio.shield(found)

    async def picture(self, entry: Entry) -> Picture:
        """Its picture."""
        return (await self.anatomy(entry)).picture

    def _examine(self, entry: Entry) -> Anatomy:
        try:
            read = self._watch.samples_of(entry)
            return examine(entry.packet, entry.profile, self._watch.history.sample_rate, read, entry.number)
        finally:
            self._watch.clocks.mark("view")

    async def packet(self, entry: Entry) -> dict[str, Any]:
        """Everything about a packet as plain data; the first keys are those of `osgp-sdr decode --json`."""
        anatomy = await self.anatomy(entry)
        packet, found = entry.packet, entry.dissection()
        return {
            **packet_record(self._watch.name, entry),
            "id": entry.number,
            "end_s": round(entry.end_s, 6),
            "carrier_hz": entry.profile.carrier_hz(packet.carrier),
            "method": packet.method,
            "sender": entry.sender,
            "source": found.source,
            "destination": found.destination,
            "text": found.text,
            "header": anatomy.header,
            "words": [
                {"octet": f"{word.octet:02x}", "bits": word.bits, "changed": word.changed, "weakest": word.weakest}
                for word in anatomy.words
            ],
            "layers": [_layer(layer) for layer in found.layers],
        }


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "first": layer.first,
        "end": layer.end,
        "problem": layer.problem,
        "fields": [
            {"name": f.name, "value": f.value, "first": f.first, "end": f.end, "bits": f.bits, "note": f.note}
            for f in layer.fields
        ],
    }
