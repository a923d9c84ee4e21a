"""A station: phy, mac and an application in a row; line samples in, transmit samples out.

    block of the line --> Receiver --> CRC off --> Node <--> application (binding.py)
    transmit block    <-- Transmitter <-- CRC on <--+

A station owns no socket and no clock: `now` is the index of the newest received sample over the sample rate. It is half
duplex: what it receives while it sends is its own echo and is ignored, and the carrier that it senses then is its own.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

import mac
from phy import ConfigurationError, Packet, Profile, Receiver, ReceiverOptions, Transmitter, append_crc

from .across_gaps import GapReceiver
from .channel_timing import timing_of
from .errors import GraphError
from .events import Event, FrameSent, PacketReceived, StationEvent
from .graph import AnyStation, Graph
from .messages import Samples

CRC_OCTETS: Final = 2
# After an own packet the carrier sensed is the tail of one's own until it has gone once, or this many bit times passed:
# less than beta1, so that nobody else can have started.
OWN_TAIL_BITS: Final = 20
MAX_TIMERS: Final = 1000  # timers at one instant; more means that an engine does not advance


class Application(Protocol):
    """What sits on top of the node: a meter, a concentrator or a reader, bound to ISO/IEC 14908."""

    def start(self, now: float) -> None:
        """Called once, before the first sample."""

    def on_event(self, event: mac.Event, now: float) -> None:
        """Something happened in the node."""

    def work(self, now: float) -> None:
        """Called for every block: own timers and actions."""

    def next_timer(self) -> float | None:
        """The next instant at which `work` may want to send something of its own accord."""

    def reports(self) -> list[Event]:
        """What happened since the last call, for the log and the report."""


class Station:
    """One station of a graph.

    Args:
        graph: profile, sample rate and seed are taken from it.    spec: this station.
        node: the 14908 stack.    application: what it serves.    emit: gets every event.
        first_sample: absolute index of the first sample that will come.
        on_slots: a frame starts whole slots after the instant at which it won access, not as soon as it can. For front ends
            whose latency is longer than a slot: the start stays on the slots by which everybody else on the line counts.
    """

    def __init__(
        self,
        graph: Graph,
        spec: AnyStation,
        node: mac.Node,
        application: Application,
        emit: Callable[[Event], None],
        first_sample: int = 0,
        on_slots: bool = False,
    ) -> None:
        self.name, self.node, self.application = spec.name, node, application
        self.sample_rate = graph.sample_rate
        self.profile = Profile.load(graph.profile)
        try:
            options = ReceiverOptions(**spec.receiver)
        except (TypeError, ConfigurationError) as error:
            raise GraphError(f"{graph.name}: station {spec.name}: receiver: {error}") from None
        self.receiver = Receiver(self.profile, graph.sample_rate, options=options)
        self._heard = GapReceiver(self.receiver)
        self.transmitter = Transmitter(
            self.profile, graph.sample_rate, level_v=spec.level_v, clock_ppm=spec.clock_ppm
        )
        self._emit = emit
        self._next = first_sample  # next sample expected
        self._busy = False
        self._idle_since = first_sample  # when the last carrier went
        self._sending: tuple[int, NDArray[np.float32]] | None = None  # first sample on the line, waveform
        self._promised = 0  # see decided_until
        self._own_tail_end = 0  # a carrier before this index is our own
        self._own: deque[tuple[int, int]] = deque(maxlen=4)  # our latest packets: first sample, end
        timing = timing_of(graph)
        self._beta1 = math.floor(min(timing.beta1_post_rx, timing.beta1_post_tx) * graph.sample_rate)
        self._slot = timing.beta2 * graph.sample_rate if on_slots else 0.0
        self._tail = round(OWN_TAIL_BITS * self.profile.bit_time * graph.sample_rate)
        application.start(first_sample / self.sample_rate)

    def work(self, first_sample: int, x: Samples, send_at: int) -> None:
        """Take a block of the line. A frame that wins access now starts at sample `send_at`; see `transmit`.

        Args:
            first_sample: absolute index of x[0].    x: (N,) float32 V.
        """
        if first_sample != self._next:
            self._skip(first_sample)
        packets = self._heard.push(first_sample, x)
        self._next = end = first_sample + x.size
        now = end / self.sample_rate
        for packet in packets:
            self._receive(packet, now)
        self._finish_sending(end, now)
        self._sense(end, now)
        node = self.node
        won_at = now
        for _ in range(MAX_TIMERS):
            timer = node.next_timer()
            if timer is None or timer > now:
                break
            won_at = timer
            node.on_timer(now)
        else:
            raise RuntimeError(f"{self.name}: the timers of the node do not advance at {now:.6f} s")
        self._serve(now)
        if self._sending is None:
            for frame in node.frames_to_send(now):
                self._start(frame.octets, frame.alternate, self._on_slot(won_at, send_at) if self._slot else send_at)

    def decided_until(self, send_at: int, block: int) -> int:
        """The sample up to which it is certain what this station sends, whatever it hears meanwhile.

        Args:
            send_at: first sample of the transmit block after the newest one.    block: samples per block.

        A frame starts when a timer of the node or the application runs out, or beta1 after a carrier has gone; a carrier
        that is heard in between only delays. So silence can be promised up to the first of these instants. The receiver may
        hand over a packet a little later than its carrier went, so that the answer to it is still to come up.
        """
        end = self._next
        if self._sending is not None:
            first, x = self._sending
            self._promised = max(send_at, _aligned(first + x.size, block))
            return self._promised
        start = end + block + self._beta1
        if not self._busy and end < self._idle_since + self._beta1:
            start = max(end + block, self._idle_since + self._beta1)
        for timer in (self.node.next_timer(), self.application.next_timer()):
            if timer is not None:
                start = min(start, math.floor(timer * self.sample_rate))
        # A decision at the block that ends at or after `start` is sent that much later.
        self._promised = max(send_at, _aligned(start, block) + send_at - end - block)
        return self._promised

    def transmit(self, first: int, end: int) -> Samples | None:
        """What this station sends from sample `first` to `end`, None when that is silence."""
        if self._sending is None or self._sending[0] >= end:
            return None
        return self._transmit_block(first, end - first)

    def _serve(self, now: float) -> None:
        application = self.application
        while (event := self.node.next_event()) is not None:
            application.on_event(event, now)
        application.work(now)
        for report in application.reports():
            self._emit(report)

    def _skip(self, first_sample: int) -> None:
        self._emit(StationEvent(self.name, first_sample, "gap", f"{first_sample - self._next} samples are missing"))
        if self._sending is not None and self._sending[0] + self._sending[1].size <= first_sample:
            self._finish_sending(first_sample, first_sample / self.sample_rate)

    def _receive(self, packet: Packet, now: float) -> None:
        first, end = packet.start_sample, packet.end_sample
        if any(first < own_end and end > own_first for own_first, own_end in self._own):
            return
        self._emit(
            PacketReceived(
                self.name,
                first,
                end,
                packet.carrier,
                packet.lpdu,
                bool(packet.crc_ok),
                round(float(packet.esn0_db), 2),
                round(float(packet.clock_ppm), 2),
                int(packet.corrected_bits),
            )
        )
        if packet.crc_ok:
            self.node.last_reception = mac.Reception(
                margin_db=float(packet.esn0_db),
                strength_db=20.0 * float(np.log10(max(float(packet.level_v), 1e-9) / self.transmitter.level_v)),
                alternate=packet.carrier == "secondary",
            )
            self.node.receive_frame(packet.lpdu[:-CRC_OCTETS], now)
        else:
            self.node.receive_error(now)

    def _sense(self, end: int, now: float) -> None:
        if self._sending is not None:
            return
        busy = self.receiver.channel_busy
        if end < self._own_tail_end:
            if busy:
                return
            self._own_tail_end = 0
        if busy != self._busy:
            self._busy = busy
            self._idle_since = end
            self.node.on_channel(busy, now)

    def _on_slot(self, won_at: float, send_at: int) -> int:
        """The first sample at or after `send_at` that is whole slots after the instant `won_at`, s."""
        won = won_at * self.sample_rate
        return round(won + math.ceil((send_at - won) / self._slot) * self._slot)

    def _start(self, octets: bytes, alternate: bool, send_at: int) -> None:
        if send_at < self._promised:
            raise RuntimeError(f"{self.name}: sends at sample {send_at} after promising silence up to {self._promised}")
        lpdu = append_crc(octets)
        x = self.transmitter.modulate(lpdu, alternate=alternate)
        self._sending = (send_at, x)
        self._own.append((send_at, send_at + x.size))
        carrier = "secondary" if alternate else "primary"
        start = send_at + self.transmitter.lead_samples
        self._emit(FrameSent(self.name, send_at, x.size, start, carrier, lpdu))

    def _finish_sending(self, end: int, now: float) -> None:
        if self._sending is None:
            return
        first, x = self._sending
        if end >= first + x.size:
            self._sending = None
            self._own_tail_end = end + self._tail
            self._busy = False
            self._idle_since = end
            self.node.transmission_done(now)

    def _transmit_block(self, send_at: int, size: int) -> Samples | None:
        if self._sending is None:
            return None
        first, x = self._sending
        offset = send_at - first
        if offset >= x.size:
            return None
        if 0 <= offset <= x.size - size:
            return x[offset : offset + size]
        block = np.zeros(size, np.float32)
        piece = x[max(0, offset) : offset + size]
        block[max(0, -offset) : max(0, -offset) + piece.size] = piece
        return block


def _aligned(sample: int, block: int) -> int:
    return -(-sample // block) * block
