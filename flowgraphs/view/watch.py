"""What a view looks at: a recording that is decoded in the background, or a live source; samples, packets, counters."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from phy import Carrier, Packet, Profile, Receiver, ReceiverOptions
from phy.errors import PhyError
from phy.profile import CARRIERS

from ..across_gaps import GapReceiver
from ..airtime import carrier_edges
from ..decoding import AUTO, AUTO_PROFILES, carriers_held, decode_recording
from ..errors import FlowgraphError
from ..frontends.contract import SampleSource
from ..recording import Recording
from ..samples import Source
from .anatomy import Read, stretch
from .clocks import Clocks
from .history import History, LiveSamples, PacketSamples, RecordedSamples
from .packet_log import Entry, PacketLog
from .pictures import Painter

RECEIVER: Final = "receiver"
READ_S: Final = 0.1  # how long a read of a live source waits
AT_ONCE_S: Final = 0.05  # of line that the live receiver works on at a time
BEHIND: Final = 0.5  # part of the ring that the receiver may be behind before the reader waits for it
NOTES_KEPT: Final = 200
JOIN_S: Final = 0.8


@dataclasses.dataclass(frozen=True, slots=True)
class Note:
    """Something that happened, in one line.    at_s: on the line."""

    at_s: float
    who: str
    text: str


class Watch(Protocol):
    """What pages are made from. Everything may be asked from any thread.

    Attributes:
        name: for people.    live: it goes on by itself.    log: its packets.    history: its samples.    clocks: processor time.
        notes: what happened besides packets; `noted` counts them all.
    """

    name: str
    live: bool
    log: PacketLog
    history: History
    clocks: Clocks
    notes: deque[Note]
    noted: int

    @property
    def painter(self) -> Painter: ...

    @property
    def state(self) -> str:
        """"decoding", "decoded", "live", "ended", or what went wrong."""

    @property
    def decoded_s(self) -> float:
        """Up to where packets are known."""

    def statistics(self) -> dict[str, int]:
        """Of the source."""

    def samples_of(self, entry: Entry) -> Read | None:
        """How to read the samples around a packet, None when they are gone."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class _Stopped(Exception):
    pass


class _Counted:
    """Tells how far a recording has been read, and stops the one who reads."""

    def __init__(self, source: Source) -> None:
        self._source, self.position, self.stopped = source, 0, False

    def read(self, first: int, count: int) -> Any:
        if self.stopped:
            raise _Stopped
        self.position = first
        return self._source.read(first, count)


class RecordingWatch:
    """A recording: its packets are exactly those of `osgp-sdr decode --all`.

    Args:
        recording: for the decoder.    pictures: the same, opened once more for the pictures.    profile: name, file or auto.
    Raises:
        RecordingError: the rate carries no frequency of the profile.
    """

    live = False

    def __init__(self, recording: Recording, pictures: Recording, profile: str, options: ReceiverOptions) -> None:
        self.name = recording.name
        self.log = PacketLog(recording.sample_rate)
        self.history: History = RecordedSamples(pictures)
        self.clocks = Clocks()
        self.notes: deque[Note] = deque(maxlen=NOTES_KEPT)
        self.noted = 0
        self._counted = _Counted(recording.source)
        self._recording = dataclasses.replace(recording, source=self._counted)
        # Raises here, before a page is served, when nothing can be decoded.
        self._packets = decode_recording(self._recording, profile, options, self._note)
        names = AUTO_PROFILES if profile == AUTO else (profile,)
        fitting = [p for p in map(Profile.load, names) if carriers_held(recording, p)]
        self._painter = Painter(recording.sample_rate, fitting[0], self.history.read, recording.low_hz, recording.high_hz)
        self._state = "decoding"
        self._thread = threading.Thread(target=self._decode, name="decode", daemon=True)

    @property
    def painter(self) -> Painter:
        """See `Watch`: of the profile with which packets were found."""
        return self._painter

    @property
    def state(self) -> str:
        """See `Watch`."""
        return self._state

    @property
    def decoded_s(self) -> float:
        """See `Watch`."""
        return (self.history.end if self._state != "decoding" else self._counted.position) / self.history.sample_rate

    def statistics(self) -> dict[str, int]:
        """See `Watch`."""
        return {"samples": self.history.end}

    def samples_of(self, entry: Entry) -> Read | None:
        """See `Watch`."""
        return self.history.read

    def start(self) -> None:
        """Begin to decode."""
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._counted.stopped = True
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def _note(self, text: str) -> None:
        self.notes.append(Note(0.0, "decode", text))
        self.noted += 1

    def _decode(self) -> None:
        try:
            for decoded in self._packets:
                self.log.add(decoded.packet, decoded.profile, decoded.start_sample)
                if decoded.packet.crc_ok and decoded.profile.name != self._painter.profile.name:
                    self._painter = _with_profile(self._painter, decoded.profile)
                self.clocks.mark(RECEIVER)
            self._state = "decoded"
        except _Stopped:
            self._state = "stopped"
        except (FlowgraphError, PhyError) as error:
            self._state = f"stopped: {error}"
        except Exception as error:
            self._state = f"stopped: internal error: {type(error).__name__}: {error}"
            raise
        self.clocks.mark(RECEIVER)


def _with_profile(painter: Painter, profile: Profile) -> Painter:
    return Painter(painter.sample_rate, profile, painter.read, painter.low_hz, painter.high_hz)


class LiveWatch:
    """A live source: one thread reads it, another receives.

    Args:
        source: see frontends/contract.py.    profile: name, file, or auto: the first that the rate carries.
        log: the packets, when somebody else tells who sends them.
    Raises:
        FlowgraphError: the rate carries no frequency of the profile.
    """

    live = True

    def __init__(self, source: SampleSource, profile: str, options: ReceiverOptions, log: PacketLog | None = None) -> None:
        self.name = source.name
        rate = source.sample_rate
        self._source = source
        self.log = log or PacketLog(rate)
        self.ring = LiveSamples(rate)
        self.history: History = self.ring
        self.clocks = Clocks()
        self.notes: deque[Note] = deque(maxlen=NOTES_KEPT)
        self.noted = 0
        chosen, carriers = _fitting(rate, profile, self.name)
        self._painter = Painter(rate, chosen, self.ring.read, 0.0, rate / 2)
        self._receiver = GapReceiver(Receiver(chosen, rate, options=options, carriers=carriers))
        self._pieces = PacketSamples()
        self._state = "live"
        self._stop = threading.Event()
        self._holes: deque[tuple[int, int]] = deque()  # first missing sample and the one behind the last, still to be received
        self._expected: int | None = None  # the next sample to be read, None before the first
        self._received = 0
        self._skipped = 0
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for name, work in (("read", self._read), ("receive", self._receive))
        ]

    @property
    def painter(self) -> Painter:
        """See `Watch`."""
        return self._painter

    @property
    def state(self) -> str:
        """See `Watch`."""
        return self._state

    @property
    def decoded_s(self) -> float:
        """See `Watch`."""
        return self._received / self.ring.sample_rate

    def statistics(self) -> dict[str, int]:
        """See `Watch`."""
        counted = dataclasses.asdict(self._source.statistics)
        return {**{name: int(value) for name, value in counted.items()}, "skipped": self._skipped}

    def samples_of(self, entry: Entry) -> Read | None:
        """See `Watch`."""
        first, _ = stretch(entry.packet, entry.profile, self.ring.sample_rate)
        if first >= self.ring.oldest:
            return self.ring.read
        piece = self._pieces.get(entry.number)
        if piece is None:
            return None
        start, kept = piece

        def read(first: int, count: int) -> NDArray[np.float32]:
            x = np.zeros(max(0, count), np.float32)
            low, high = max(first, start), min(first + count, start + kept.size)
            if low < high:
                x[low - first : high - first] = kept[low - start : high - start]
            return x

        return read

    def note(self, at_s: float, who: str, text: str) -> None:
        """Something to show beside the packets."""
        self.notes.append(Note(at_s, who, text))
        self.noted += 1

    def start(self) -> None:
        """Begin to read and to receive."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End both and close the source."""
        self._stop.set()
        deadline = time.monotonic() + JOIN_S
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        self._source.close()

    def _read(self) -> None:
        most = BEHIND * self.ring.size
        try:
            while not self._stop.is_set():
                block = self._source.read(READ_S)
                self.clocks.mark(RECEIVER)
                if block is None:
                    if self._source.ended:
                        self._state = "ended"
                        return
                    continue
                if self._expected is None:
                    self._received = block.first_sample
                elif block.first_sample > self._expected:
                    self._holes.append((self._expected, block.first_sample))
                self.ring.append(block.first_sample, block.samples)
                self._expected = max(block.end, self._expected or 0)
                # Whoever sends faster than it can be received is slowed down, where the source allows it.
                while block.end - self._received > most and not self._stop.wait(0.005):
                    pass
        except FlowgraphError as error:
            self._state = f"ended: {error}"
        except Exception as error:
            self._state = f"stopped: internal error: {type(error).__name__}: {error}"
            raise

    def _receive(self) -> None:
        try:
            self._follow()
        except Exception as error:
            self._state = f"stopped: internal error: {type(error).__name__}: {error}"
            raise

    def _follow(self) -> None:
        at_once = round(AT_ONCE_S * self.ring.sample_rate)
        while not self._stop.is_set():
            if self._expected is None:
                self._stop.wait(0.02)
                continue
            end = self.ring.end  # asked before the holes: those in what comes later may not be known yet
            while self._holes and self._received >= self._holes[0][0]:
                self._received = max(self._received, self._holes.popleft()[1])
            ended = self._state != "live"  # asked first: what comes before the end is received, too
            limit = self._holes[0][0] if self._holes else end
            if self._received >= limit:
                if ended and self._received >= self.ring.end:
                    self._take(self._receiver.flush())
                    return
                self._stop.wait(0.01)
                continue
            if self._received < self.ring.oldest:
                self._skipped += self.ring.oldest - self._received
                self._received = self.ring.oldest
                continue
            count = min(at_once, limit - self._received)
            first, x = self._received, self.ring.read(self._received, count)
            self._received += count
            self._take(self._receiver.push(first, x))
            self.clocks.mark(RECEIVER)

    def _take(self, packets: list[Packet]) -> None:
        profile = self._receiver.receiver.profile
        for packet in packets:
            entry = self.log.add(packet, profile)
            first, count = stretch(packet, profile, self.ring.sample_rate)
            self._pieces.keep(entry.number, first, self.ring.read(first, count))


def _fitting(rate: float, profile: str, name: str) -> tuple[Profile, list[Carrier]]:
    """The profile, and the carriers that a line sampled at `rate` carries."""
    for known in AUTO_PROFILES if profile == AUTO else (profile,):
        loaded = Profile.load(known)
        held: list[Carrier] = [carrier for carrier in CARRIERS if carrier_edges(loaded, carrier)[1] < rate / 2]
        if held:
            return loaded, held
    raise FlowgraphError(f"{name}: sample rate {rate:.12g} Hz is too low for any carrier of profile {profile}")
