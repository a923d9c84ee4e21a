"""The packets of a view, numbered: bounded, countable, found by time, and told to many pages at their own pace."""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from phy import Packet, Profile
from phy.profile import CARRIERS

from .fields import Dissection, Known, dissect
from .listening import Listener

LIMIT: Final = 20_000  # packets kept
NEAR_S: Final = 0.005  # a frame that a station says it sent is the packet that begins so close


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A packet of the log.

    Attributes:
        number: counts up from 0.    packet: places in samples of the line, absolute.    start_sample: of the file.
        known: what the packets before it tell about it.    sender: station, where a graph tells it.
    """

    number: int
    packet: Packet
    profile: Profile
    start_s: float
    end_s: float
    start_sample: int
    known: Known
    source: str
    destination: str
    text: str
    sender: str = ""

    def dissection(self) -> Dissection:
        """Its layers."""
        return dissect(self.packet.lpdu, self.packet.crc_ok, self.known)

    def row(self) -> dict[str, Any]:
        """What the list of the page shows."""
        packet = self.packet
        return {
            "id": self.number,
            "start_s": round(self.start_s, 6),
            "end_s": round(self.end_s, 6),
            "carrier": packet.carrier,
            "crc_ok": packet.crc_ok,
            "esn0_db": round(packet.esn0_db, 1),
            "octets": len(packet.lpdu),
            "from": self.source,
            "to": self.destination,
            "sender": self.sender,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame that a station of a graph put on the line."""

    start_sample: int
    lpdu: bytes
    station: str


class PacketLog:
    """Packets in the order in which they became known; any thread may add, any may ask.

    Args:
        sample_rate: of the line, Hz.    limit: packets kept.    listener: what packets tell about each other.
    """

    def __init__(self, sample_rate: float, limit: int = LIMIT, listener: Listener | None = None) -> None:
        self.sample_rate, self._limit = sample_rate, limit
        self._listener = listener or Listener()
        self._lock = threading.Lock()
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._by_end: list[tuple[int, int]] = []  # (end sample, number), sorted
        self._sent: list[tuple[int, int, Sent]] = []  # (start sample, serial, frame), sorted
        self._serial = 0
        self._next = 0
        self._counters = dict.fromkeys(
            ("packets", "crc_ok", "crc_bad", "octets", "corrected_bits", *CARRIERS, "unreadable", "forgotten"), 0
        )
        self._longest = 0  # samples

    def add(self, packet: Packet, profile: Profile, start_sample: int | None = None) -> Entry:
        """A packet whose places are absolute.    start_sample: of the file, where it is another one."""
        rate = self.sample_rate
        with self._lock:
            known = self._listener.hear(packet.lpdu) if packet.crc_ok else Known()
            found = dissect(packet.lpdu, packet.crc_ok, known)
            entry = Entry(
                self._next, packet, profile, packet.start_sample / rate, packet.end_sample / rate,
                packet.start_sample if start_sample is None else start_sample, known, found.source, found.destination, found.text,
                self._sender(packet),
            )  # fmt: skip
            self._next += 1
            self._entries[entry.number] = entry
            bisect.insort(self._by_end, (packet.end_sample, entry.number))
            self._longest = max(self._longest, packet.end_sample - packet.start_sample)
            self._count(entry)
            if len(self._entries) > self._limit:
                _, old = self._entries.popitem(last=False)
                del self._by_end[bisect.bisect_left(self._by_end, (old.packet.end_sample, old.number))]
                self._counters["forgotten"] += 1
        return entry

    def _count(self, entry: Entry) -> None:
        counters, packet = self._counters, entry.packet
        counters["packets"] += 1
        counters["crc_ok" if packet.crc_ok else "crc_bad"] += 1
        counters[packet.carrier] += 1
        counters["octets"] += len(packet.lpdu)
        counters["corrected_bits"] += packet.corrected_bits
        counters["unreadable"] += packet.crc_ok and not entry.source

    def sent(self, frame: Sent) -> None:
        """A frame that a station says it sends; told before its packet is received."""
        with self._lock:
            self._serial += 1
            bisect.insort(self._sent, (frame.start_sample, self._serial, frame))
            del self._sent[: max(0, len(self._sent) - 1000)]

    def _sender(self, packet: Packet) -> str:
        near = NEAR_S * self.sample_rate
        at = bisect.bisect_left(self._sent, (packet.start_sample - round(near), 0))
        for start, _, frame in self._sent[at:]:
            if start > packet.start_sample + near:
                break
            if frame.lpdu == packet.lpdu:
                return frame.station
        return ""

    @property
    def next_number(self) -> int:
        """Number that the next packet gets."""
        return self._next

    def get(self, number: int) -> Entry | None:
        """A packet, None when it is forgotten or not there yet."""
        with self._lock:
            return self._entries.get(number)

    def after(self, number: int, most: int) -> tuple[list[Entry], int]:
        """Up to `most` packets from `number` on, and the number to ask for next; forgotten ones are passed over."""
        with self._lock:
            first = max(number, self._next - len(self._entries))
            stop = min(self._next, first + most)
            return [self._entries[n] for n in range(first, stop)], stop

    def before(self, sample: int) -> Entry | None:
        """The newest packet that had ended at a sample."""
        with self._lock:
            at = bisect.bisect_right(self._by_end, (sample, self._next))
            return self._entries[self._by_end[at - 1][1]] if at else None

    def airtime(self, first: int, end: int) -> dict[str, float]:
        """Part of the stretch first .. end - 1 that packets fill: of each carrier, and of either ("any")."""
        with self._lock:
            low = bisect.bisect_right(self._by_end, (first, self._next))
            high = bisect.bisect_right(self._by_end, (end + self._longest, self._next))
            packets = [self._entries[number].packet for _, number in self._by_end[low:high]]
        parts = {name: [p for p in packets if p.carrier == name] for name in CARRIERS}
        length = max(1, end - first)
        filled: dict[str, float] = {str(name): _covered(found, first, end) / length for name, found in parts.items()}
        return {**filled, "any": _covered(packets, first, end) / length}

    def counters(self) -> dict[str, int]:
        """What was counted, by name."""
        with self._lock:
            return dict(self._counters)


def _covered(packets: list[Packet], first: int, end: int) -> int:
    """Samples of first .. end - 1 within at least one packet."""
    total, at = 0, first
    for low, high in sorted((max(p.start_sample, first), min(p.end_sample, end)) for p in packets):
        if high > max(low, at):
            total += high - max(low, at)
            at = high
    return total
