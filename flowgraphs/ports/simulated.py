"""A simulated meter for the ports: made anew or taken from its store, brought to the present instant."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from osgp import Meter, MeterConfig, OsgpError
from osgp.mbus import MbusDevice, heat_meter, water_meter
from osgp.meter import Faults

from ..errors import FlowgraphError
from .meter_store import MeterStore, StoreError

DEFAULTS: Final[dict[str, str]] = {"serial": "1", "seed": "1", "firmware": "3.60.1", "phases": "1", "pv_peak": "0"}
MBUS_MEDIA: Final = ("water", "heat")
MBUS_DEFAULT: Final = "water:10000001,heat:10000002"


def check_firmware(text: str | None) -> None:
    """X.YY.ZZ or X.YY as the meter reports it. FlowgraphError when it is something else."""
    if text is not None and not re.fullmatch(r"\d{1,2}\.\d{1,3}(\.\d{1,2})?", text):
        raise FlowgraphError(f"--firmware {text}: expected X.YY or X.YY.ZZ, such as 3.60.1")


def check_mbus(texts: Sequence[str]) -> str:
    """Sub-meters as `water:SERIAL` or `heat:SERIAL`, joined by commas. FlowgraphError when one is something else."""
    for text in texts:
        if not re.fullmatch(rf"({'|'.join(MBUS_MEDIA)}):\d{{1,8}}", text):
            raise FlowgraphError(f"--mbus-device {text}: expected water:SERIAL or heat:SERIAL with 1..8 digits")
    return ",".join(texts)


def make_meter(identity: Mapping[str, str], state: Path | None, wall: float | None = None) -> tuple[Meter, MeterStore | None]:
    """The meter with that identity; with a `state` directory it goes on where it stopped.

    The process that served it may have been away: the meter was not. Its clock, registers and logs are brought to now.

    Args:
        identity: of DEFAULTS, what the user gave.    wall: s since 1970; None: now.

    Raises:
        StoreError: the store cannot be used.    OsgpError: a value is out of range.
    """
    at = time.time() if wall is None else wall
    start = datetime.datetime.fromtimestamp(at, datetime.UTC).replace(microsecond=0)
    defaults = {**DEFAULTS, "start": start.isoformat()}
    if state is None:
        meter = Meter(_config({**defaults, **identity}))
        meter.advance(at - start.timestamp())
        return meter, None
    store = MeterStore(state, identity, defaults)
    try:
        saved, moment = store.saved(), store.moment()
        try:
            meter = Meter(_config(store.identity), saved=saved)
        except OsgpError as error:
            if saved is None:
                raise
            raise StoreError(f"{store.path}: what it holds is no state of this meter: {error}") from None
        began = datetime.datetime.fromisoformat(store.identity["start"]).timestamp()
        meter.advance(at - began if moment is None else moment.at + max(0.0, at - moment.wall))
        return meter, store
    except BaseException:
        store.close()
        raise


def _sub_meter(text: str) -> MbusDevice:
    medium, _, serial = text.partition(":")
    return (water_meter if medium == "water" else heat_meter)(int(serial))


def _config(identity: Mapping[str, str]) -> MeterConfig:
    serial = identity["serial"]
    number = int(serial) if serial.isdecimal() else 0
    parts = [int(part) for part in identity["firmware"].split(".")]
    return MeterConfig(
        unique_node_id=b"\x02\x00" + (number & 0xFFFFFFFF).to_bytes(4, "big"),
        serial=serial,
        utility_serial=f"SIM-{serial}",
        model=f"{identity['phases']}PH-SIM",
        firmware=(parts[0], parts[1], parts[2] if len(parts) > 2 else 0),
        start=datetime.datetime.fromisoformat(identity["start"]),
        seed=int(identity["seed"]),
        phases=int(identity["phases"]),
        pv_peak=float(identity["pv_peak"]),
        faults=Faults.of([name for name in identity.get("faults", "").split(",") if name]),
        mbus=tuple(_sub_meter(text) for text in identity.get("mbus", "").split(",") if text),
    )
