"""A line from Python: packets of any source, and packets sent, in a few lines.

    from flowgraphs.live import Line
    with Line("soundcard:loopback", transmit=True) as line:
        line.send(bytes.fromhex("0f120181004f5347006100"))
        heard = line.receive(2.0)
        print(heard.lpdu.hex(), heard.start_s, line.waveform(heard))
"""

import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from phy import Carrier, Packet, Profile, Receiver, ReceiverOptions, Transmitter, append_crc

from .across_gaps import GapReceiver
from .errors import FrontEndError
from .frontends.contract import DUPLEX, Address, Block, SampleSource, open_duplex, open_source
from .frontends.round_trip import measure_round_trip
from .frontends.soundcard import SoundCard, SoundCardSink, SoundCardSource
from .frontends.transmitting import NEEDS_TRANSMIT, GuardedSink, TransmitLimits, statement

READ_S: Final = 0.1
AHEAD_S: Final = 0.03  # between `send` and the first sample, besides what the card needs


@dataclass(frozen=True, eq=False)
class Heard:
    """A packet of a live line.

    Attributes:
        packet: as the receiver gave it, its places as indices of the source.    profile: it was received with.
        sample_rate: Hz.
    """

    packet: Packet = field(repr=False)
    profile: Profile = field(repr=False)
    sample_rate: float

    @property
    def lpdu(self) -> bytes:
        """Octets, CRC included."""
        return self.packet.lpdu

    @property
    def crc_ok(self) -> bool:
        """Whether the CRC holds."""
        return self.packet.crc_ok

    @property
    def start_sample(self) -> int:
        """Absolute index at which bit 0 begins."""
        return self.packet.start_sample

    @property
    def end_sample(self) -> int:
        """Absolute index at which the last word ends."""
        return self.packet.end_sample

    @property
    def start_s(self) -> float:
        """Start of bit 0, s since the source's sample 0."""
        return self.start_sample / self.sample_rate


class Line:
    """A live line: listens, and sends where that is allowed.

    Args:
        url: of a source, see `flowgraphs.frontends.contract`; of a sound card for both directions.
        profile: name or names of channels to listen to; the first is the one to send on.    options: of the receiver.
        transmit: allow to send. level_v: peak, V; default the profile's. duty_cycle: most of the time, default by the project.
        keep_s: how long samples are kept for `waveform`.    report: gets the statement before the first sample is sent.
    Raises:
        FrontEndError, RecordingError, ConfigurationError: it cannot be opened, or its rate does not carry the channel.
    """

    def __init__(
        self, url: str, profile: str | Sequence[str] = "pl20a", *, transmit: bool = False, level_v: float | None = None,
        duty_cycle: float | None = None, options: ReceiverOptions | None = None, keep_s: float = 10.0,
        report: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
    ) -> None:  # fmt: skip
        names = [profile] if isinstance(profile, str) else list(profile)
        self.profiles = [Profile.load(name) for name in names]
        self._sink: GuardedSink | None = None
        self._card: SoundCard | None = None
        self._sent_end = 0  # output sample behind the last one sent
        self.source: SampleSource
        if transmit:
            if Address.parse(url).scheme not in DUPLEX:
                raise FrontEndError(f"{url}: can only be heard")
            self.source, sink = open_duplex(url)
        else:
            self.source = open_source(url)
        try:
            self.sample_rate = self.source.sample_rate
            self.receivers = [GapReceiver(Receiver(item, self.sample_rate, options)) for item in self.profiles]
            if transmit:
                self._open_sink(sink, level_v, duty_cycle, report)
        except BaseException:
            self.source.close()
            raise
        self._keep = round(keep_s * self.sample_rate)
        self._blocks: deque[Block] = deque()
        self._held = 0
        self._waiting: deque[Heard] = deque()
        self._first: int | None = None
        self._flushed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def busy(self) -> bool:
        """A carrier is on the line."""
        busy = [one.receiver.channel_busy for one in self.receivers]  # each listens on, whatever the others hear
        return any(busy)

    @property
    def ended(self) -> bool:
        """Nothing more will come."""
        return self.source.ended and self._flushed and not self._waiting

    def close(self) -> None:
        """Release the source; twice is once."""
        self.source.close()

    def step(self, timeout_s: float = READ_S) -> Block | None:
        """Take the next block, if one comes within `timeout_s`; packets that ended in it wait for `receive`."""
        block = self.source.read(timeout_s)
        if block is None:
            if self.source.ended and not self._flushed:
                self._flushed = True
                for receiver, profile in zip(self.receivers, self.profiles, strict=True):
                    self._add(receiver.flush(), profile)
            return None
        self._first = block.first_sample if self._first is None else self._first
        self._blocks.append(block)
        self._held += block.samples.size
        while self._held > self._keep and len(self._blocks) > 1:
            self._held -= self._blocks.popleft().samples.size
        for receiver, profile in zip(self.receivers, self.profiles, strict=True):
            self._add(receiver.push(block.first_sample, block.samples), profile)
        return block

    def receive(self, timeout_s: float = math.inf, crc_ok: bool = True) -> Heard | None:
        """The next packet, None when none came in time or the source has ended. `crc_ok`: leave out those with a failed CRC."""
        deadline = time.monotonic() + timeout_s
        while True:
            while self._waiting:
                heard = self._waiting.popleft()
                if heard.crc_ok or not crc_ok:
                    return heard
            left = deadline - time.monotonic()
            if left <= 0 or (self.source.ended and self._flushed):
                return None
            self.step(min(READ_S, left))

    def packets(self, seconds: float = math.inf, crc_ok: bool = True) -> Iterator[Heard]:
        """Packets until the source ends or `seconds` of it have passed."""
        first = self._blocks[-1].end if self._blocks else None
        while True:
            while self._waiting:
                heard = self._waiting.popleft()
                if heard.crc_ok or not crc_ok:
                    yield heard
            if self.source.ended and self._flushed:
                return
            self.step()
            first = self._first if first is None else first
            past = 0 if first is None else self._blocks[-1].end - first
            if past >= seconds * self.sample_rate and not self._waiting:
                return

    def send(self, octets: bytes, alternate: bool = False, at_sample: int | None = None) -> int:
        """Send a frame; the CRC is added.

        Args:
            octets: LPDU without CRC.    alternate: on the secondary carrier.    at_sample: of bit 0; default: soon.
        Returns:
            Absolute index at which bit 0 begins.
        Raises:
            FrontEndError: sending is not allowed, `at_sample` is past (half a packet is only noise), or the card has gone.
        """
        if self._sink is None or self._card is None:
            raise FrontEndError(f"{self.source.name}: {NEEDS_TRANSMIT.replace('--transmit', 'transmit=True')}")
        lpdu, least = append_crc(octets), self.profiles[0].min_octets
        if len(lpdu) < least:
            raise FrontEndError(f"a frame has at least {least} octets with its CRC, receivers drop shorter ones; got {len(lpdu)}")
        x = self.transmitter.modulate(lpdu, alternate)
        lead = self.transmitter.lead_samples
        if at_sample is None:
            at_sample = max(self._card.soon(AHEAD_S), self._sent_end) + (self._card.round_trip or 0) + lead
        elif (late := self._card.position + (self._card.round_trip or 0) + lead - at_sample) > 0:
            late_ms = 1e3 * late / self.sample_rate
            raise FrontEndError(f"sample {at_sample} can no longer be sent: it is {late_ms:.1f} ms too late")
        self._sink.write(at_sample - lead, x)
        self._sent_end = at_sample - lead + x.size - (self._card.round_trip or 0)
        return at_sample

    def samples(self, first_sample: int, count: int) -> NDArray[np.float32]:
        """(count,) float32 V of what was heard, as far as it is still kept; the rest is 0."""
        x = np.zeros(count, np.float32)
        for block in self._blocks:
            low, high = max(first_sample, block.first_sample), min(first_sample + count, block.end)
            if low < high:
                x[low - first_sample : high - first_sample] = block.samples[low - block.first_sample : high - block.first_sample]
        return x

    def waveform(self, heard: Heard, margin_s: float = 1e-3) -> NDArray[np.float32]:
        """(N,) float32 V: a packet as it was heard, with `margin_s` to both sides."""
        margin = round(margin_s * self.sample_rate)
        return self.samples(heard.start_sample - margin, heard.end_sample - heard.start_sample + 2 * margin)

    def _open_sink(
        self, sink: object, level_v: float | None, duty_cycle: float | None, report: Callable[[str], None]
    ) -> None:
        assert isinstance(self.source, SoundCardSource) and isinstance(sink, SoundCardSink)
        profile = self.profiles[0]
        self.transmitter = Transmitter(profile, self.sample_rate, level_v=level_v)
        level = self.transmitter.level_v
        limits = TransmitLimits.for_profile(profile, duty_cycle)
        report(statement(sink.name, profile, level, limits))
        card = self._card = self.source.card
        if card.round_trip is None:
            card.round_trip = measure_round_trip(self.source, sink, profile, level).samples
        self._sink = GuardedSink(sink, limits, level, profile.airtime(profile.max_octets), report)

    def _add(self, packets: Sequence[Packet], profile: Profile) -> None:
        for packet in packets:
            self._waiting.append(Heard(packet, profile, self.sample_rate))


def carriers_of(profile: Profile, sample_rate: float) -> list[Carrier]:
    """The carriers of a channel that real samples at `sample_rate` Hz carry: their main lobe lies below half of it."""
    names: tuple[Carrier, Carrier] = ("primary", "secondary")
    return [name for name in names if profile.carrier_hz(name) + profile.bit_rate < sample_rate / 2]
