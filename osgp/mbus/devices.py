"""Simulated sub-meters: water and heat, whose counters rise smoothly with the habits of a day; seeded.

    seconds --> consumption --> records --> MbusSlave
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Final

from ..errors import ConfigurationError
from .record import encode_bcd
from .slave import DEFAULT_BAUD, MbusSlave
from .telegram import DeviceId

DAY: Final = 86_400.0
HEAT, WATER = 4, 7  # medium; EN 13757-3
SWING: Final = 0.8  # of the consumption over the day; below 1 the counter never falls
KWH_PER_M3: Final = 35.0  # heat taken from a cubic metre of heating water at 30 K difference


@dataclass(frozen=True, slots=True)
class MbusDevice:
    """What a sub-meter is told before it starts.

    Args:
        medium: 7 water, 4 heat.    serial: 0..99999999.    seed: of its consumption.    per_day: litres, or kWh of heat, a day.
        initial: counter at the begin, in the same unit.    key: 16 octets for mode 5, None: plain.
        fixed: a water meter with the old fixed structure.    address: primary address it has already.    baud: it hears.
    """

    medium: int = WATER
    serial: int = 10_000_001
    seed: int = 0
    per_day: float = 300.0
    initial: int = 0
    key: bytes | None = None
    fixed: bool = False
    address: int = 0
    baud: int = DEFAULT_BAUD
    manufacturer: str = "OSG"

    def __post_init__(self) -> None:
        if self.medium not in (WATER, HEAT):
            raise ConfigurationError(f"a sub-meter measures water (7) or heat (4), got {self.medium}")
        if not 0 <= self.serial <= 99_999_999:
            raise ConfigurationError(f"an M-Bus serial has at most 8 digits, got {self.serial}")
        if self.key is not None and len(self.key) != 16:
            raise ConfigurationError(f"an M-Bus key has 16 octets, got {len(self.key)}")
        if not 0.0 <= self.per_day <= 1e6:
            raise ConfigurationError(f"per_day must be 0..1000000, got {self.per_day}")
        if not 0 <= self.address <= 250:
            raise ConfigurationError(f"a primary address is 0..250, got {self.address}")

    def __repr__(self) -> str:
        return f"MbusDevice(medium={self.medium}, serial={self.serial:08})"

    def counter(self, now: float) -> int:
        """Whole litres or kWh at an instant."""
        phase = Random(f"mbus/{self.seed}/{self.serial}").random()
        turns = now / DAY

        def shape(at: float) -> float:
            return at - SWING * math.sin(math.tau * at) / math.tau

        return self.initial + int(self.per_day * (shape(turns + phase) - shape(phase)))

    def rate(self, now: float) -> float:
        """Consumption per day at an instant."""
        phase = Random(f"mbus/{self.seed}/{self.serial}").random()
        return self.per_day * (1.0 - SWING * math.cos(math.tau * (now / DAY + phase)))

    def telegrams(self, now: float) -> tuple[bytes, ...]:
        """Records of its telegrams."""
        counter = self.counter(now)
        if self.fixed:
            return (encode_bcd(counter, 4) + bytes(4),)
        if self.medium == WATER:
            flow = round(self.rate(now) / 24)  # l/h
            return (b"\x04\x13" + counter.to_bytes(4, "little") + b"\x02\x3b" + flow.to_bytes(2, "little"),)
        litres = round(1000 * counter / KWH_PER_M3)
        watts = round(1000 * self.rate(now) / 24)
        flow_temperature, return_temperature = 6500 + round(500 * math.sin(math.tau * now / DAY)), 3500
        first = (
            b"\x04\x06" + counter.to_bytes(4, "little") + b"\x04\x13" + litres.to_bytes(4, "little")
            + b"\x04\x2b" + watts.to_bytes(4, "little") + b"\x1f"
        )  # fmt: skip
        second = b"\x02\x59" + flow_temperature.to_bytes(2, "little") + b"\x02\x5d" + return_temperature.to_bytes(2, "little")
        return first, second

    def slave(self) -> MbusSlave:
        """The device on a bus."""
        identity = DeviceId(self.serial, self.manufacturer, 1, self.medium)
        return MbusSlave(
            identity, self.telegrams, address=self.address, key=self.key, fixed=self.fixed,
            units=0xE925 if self.fixed else 0, baud=self.baud,
        )  # fmt: skip


def water_meter(serial: int, *, key: bytes | None = None, seed: int = 0, address: int = 0) -> MbusDevice:
    """A water meter of a home."""
    return MbusDevice(WATER, serial, seed, 300.0, key=key, address=address)


def heat_meter(serial: int, *, key: bytes | None = None, seed: int = 0, address: int = 0) -> MbusDevice:
    """A heat meter of a home; it needs two telegrams."""
    return MbusDevice(HEAT, serial, seed, 40.0, key=key, address=address)
