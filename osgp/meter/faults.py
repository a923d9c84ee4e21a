"""Injected faults: what real meters have been seen to do wrong, as switches, so that readers can be tested against it.

    octets of BT23 and BT28 --> absurd value, counter that jumps --> digest as always: the answer is authentic and wrong
    answers --> late, or none        MEP sequence numbers --> jump, as when the power line uses them up

Reports by owners of such meters; which values they saw and how often is not known, so the shapes here are choices, grade D.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Final

from .fault_kinds import Fault
from .mep_port import PORTS, MepNumbers
from .subsystem import Host, Subsystem
from .timekeeping import to_ms, to_seconds

SPOILED: Final = ("BT23", "BT28")  # registers and present values
VALUE: Final = 4  # octets
ABSURD: Final = (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x00000000, 0x3B9ACA00, 0xDEADBEEF)
JUMP_MS: Final = 600_000  # how long a counter stays where it jumped to
JUMPS: Final = range(10_000, 5_000_000)  # Wh
SEQUENCE_MS: Final = 60_000  # between two jumps of the sequence number
SEQUENCE_JUMPS: Final = range(1, 26)


class FaultInjection(Subsystem):
    """Does what `MeterConfig.faults` says; the same in every run of the same meter with the same requests."""

    name: ClassVar[str] = "faults"

    def attach(self, host: Host) -> None:
        self._host, self._faults = host, host.config.faults
        self._rng = Random(f"faults/{host.config.seed}")
        self._seed = host.config.seed
        self._next_ms = to_ms(host.now) + SEQUENCE_MS if Fault.SEQUENCE_JUMPS in self._faults.kinds else None

    def _hit(self, kind: Fault) -> bool:
        return kind in self._faults.kinds and self._rng.random() < self._faults.share

    def spoil(self, identifier: str, offset: int, octets: bytes, now: float) -> bytes:
        """Octets of a read as they leave.    offset: of the read in its table."""
        if identifier not in SPOILED or not self._faults.kinds:
            return octets
        spoiled = bytearray(octets)
        if identifier == "BT23" and Fault.COUNTER_JUMPS in self._faults.kinds:
            self._jump(spoiled, offset, now)
        first = -offset % VALUE
        count = (len(octets) - first) // VALUE
        if count > 0 and self._hit(Fault.ABSURD_VALUES):
            place = first + VALUE * self._rng.randrange(count)
            spoiled[place : place + VALUE] = self._rng.choice(ABSURD).to_bytes(VALUE, "little")
        return bytes(spoiled)

    def _jump(self, octets: bytearray, offset: int, now: float) -> None:
        """The first register, as long as a slot of time lasts, is off by one amount."""
        rng = Random(f"jump/{self._seed}/{to_ms(now) // JUMP_MS}")
        start = self._register_at() - offset
        if rng.random() < self._faults.share and start >= 0 and start + VALUE <= len(octets):
            value = int.from_bytes(octets[start : start + VALUE], "little")
            octets[start : start + VALUE] = (value + rng.choice(JUMPS) & 0xFFFFFFFF).to_bytes(VALUE, "little")

    def _register_at(self) -> int:
        """Where the first register lies in BT23: behind the number of demand resets, when there is one."""
        return self._host.store.place("BT23.summations[0]").offset

    def loses_answer(self) -> bool:
        """Whether the answer that is ready now gets lost."""
        return self._hit(Fault.NO_ANSWER)

    def delay(self) -> float:
        """s that the answer that is ready now has to wait."""
        return self._faults.delay if self._hit(Fault.LATE_ANSWERS) else 0.0

    # sequence numbers

    def next_timer(self) -> float | None:
        return None if self._next_ms is None else to_seconds(self._next_ms)

    def advance(self, now: float) -> None:
        if self._next_ms is None or to_ms(now) < self._next_ms:
            return
        self._next_ms = to_ms(now) + SEQUENCE_MS
        numbers = self._host.find(MepNumbers)
        for port in PORTS if numbers is not None else ():
            assert numbers is not None
            numbers.windows[port].skip(self._rng.choice(SEQUENCE_JUMPS))
            numbers.used(port)
