"""`soundcard:[DEVICE]`: a sound card through PortAudio as source, sink, or both with one sample count.

    ADC -> callback -> BlockQueue -> read()      index of the line = samples taken since the card settled
    DAC <- callback <- schedule   <- write()     output sample p is heard at index p + round trip

Options: rate (192000), latency_s (0.1), channel (0), mains_channel, volts_per_full_scale (1), output_volts_per_full_scale,
output (another device for the output), output_channel (0), queue_s (1), settle_s (0.5), margin_s (0.025: for stations to
compute), round_trip (samples; measured when left out and transmitting).
DEVICE is a number or a part of a name as `osgp-sdr devices` shows them; empty is the default one;
`loopback` needs no card, see loopback.py for its options.

One callback gives N input and takes N output samples, so that both are counted alike and the round trip stays the same for as
long as nothing underruns. The block size is left to PortAudio: a fixed one makes the ALSA pulse plugin slip (measured).
"""

import heapq
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import FrontEndError
from .contract import Address, Block, SinkStatistics, SourceStatistics
from .portaudio import LOOPBACK, one_line, portaudio
from .slips import SlipWatch
from .waiting import BlockQueue

USUAL_RATE: Final = 192_000.0
FULL_SCALE: Final = np.float32(0.9995)  # at and above it a converter is at its end
SETTLE_LIMIT_S: Final = 10.0  # a card that is not steady by then never will be
OPTIONS: Final = (
    "rate", "latency_s", "channel", "mains_channel", "volts_per_full_scale", "output_volts_per_full_scale", "output",
    "output_channel", "queue_s", "settle_s", "margin_s", "round_trip",
)  # fmt: skip
LOOPBACK_OPTIONS: Final = (
    "pace", "delay", "gain_db", "noise_v", "ppm", "slip", "slip_at_s", "low_pass_hz", "seed", "frames", "unplug_at_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CardSettings:
    """How a card is used.

    input, output: number or name of the device, None = the default one.    latency_s: asked of PortAudio.
    channel, output_channel: which carries the line.    mains_channel: which input watches the mains, None = none.
    input_v, output_v: V on the line for full scale.    queue_s: that wait for a reader.    settle_s: without an underrun.
    margin_s: by which what is sent is decided earlier than the card needs it.    round_trip: samples, None = not known.
    """

    input: int | str | None = None
    output: int | str | None = None
    sample_rate: float = USUAL_RATE
    latency_s: float = 0.1
    channel: int = 0
    output_channel: int = 0
    mains_channel: int | None = None
    input_v: float = 1.0
    output_v: float = 1.0
    queue_s: float = 1.0
    settle_s: float = 0.5
    margin_s: float = 25e-3
    round_trip: int | None = None


class SoundCard:
    """An open card. Its callback runs in PortAudio's thread.

    Args:
        audio: the module sounddevice, or what behaves like it.    settings: see there.
        receives, transmits: which streams to open.
    Attributes:
        heard, sent: statistics of both directions.    largest_callback: samples.    round_trip: samples, see `SoundCardSink`.
    Raises:
        FrontEndError: the card does not open, or does not settle.
    """

    def __init__(self, audio: Any, settings: CardSettings, receives: bool = True, transmits: bool = False) -> None:
        self.settings, self.receives, self.transmits = settings, receives, transmits
        self.name = f"sound card {settings.input if receives else settings.output}"
        self.heard, self.sent = SourceStatistics(), SinkStatistics()
        patient = bool(getattr(audio, "patient", False))  # a loopback that is not tied to the clock waits for its reader
        self.queue = BlockQueue(self.heard, round(settings.queue_s * settings.sample_rate), patient)
        self.round_trip = settings.round_trip
        self.largest_callback = 0
        self._lock = threading.Lock()
        self._position = 0  # samples of all callbacks so far
        self._base = 0  # position at which the card had settled
        self._shift = 0  # samples that slips took
        self._trouble_at = 0  # position of the last underrun or overrun
        self._settled = threading.Event()
        self._waiting: list[tuple[int, int, NDArray[np.float32]]] = []  # position, serial, samples at full scale 1
        self._waiting_end = self._serial = 0
        self._slips = SlipWatch(settings.sample_rate)
        self.slips = 0
        self._stream = self._open(audio)

    @property
    def position(self) -> int:
        """Output sample that the next callback will take, counted from when the card had settled."""
        return self._position - self._base

    def soon(self, ahead_s: float) -> int:
        """An output sample still to come in `ahead_s`, s; a card without a clock runs on until its reader's queue is full."""
        wait_s = ahead_s + (self.settings.queue_s + self.settings.latency_s) * self.queue.patient  # larger callbacks may come
        return self.position + 2 * self.largest_callback + round(wait_s * self.settings.sample_rate)

    def close(self) -> None:
        """Stop the card; twice is once."""
        stream, self._stream = self._stream, None
        if stream is not None:
            self.queue.finish()
            with one_line(self.name):
                stream.close()

    def drain(self, timeout_s: float = 5.0) -> None:
        """Wait until what was written has left."""
        margin = self.largest_callback + round(self.settings.latency_s * self.settings.sample_rate)
        deadline = time.monotonic() + timeout_s
        while self._stream is not None and not self.queue.ended and self.position < self._waiting_end + margin:
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)

    def schedule(self, position: int, samples: NDArray[np.float32]) -> None:
        """Send samples, V, so that the first is output sample `position`; those too late are counted and left out."""
        x = np.ascontiguousarray(samples, np.float32) / np.float32(self.settings.output_v)
        clipped = int(np.count_nonzero(np.abs(x) > 1.0))
        with self._lock:
            late = min(max(0, self.position - position), x.size)
            self.sent.late += late
            self.sent.clipped += clipped
            self.sent.blocks += 1
            self.sent.samples += x.size
            if late < x.size:
                self._serial += 1
                heapq.heappush(self._waiting, (position + late, self._serial, x[late:]))
                self._waiting_end = max(self._waiting_end, position + x.size)

    def waiting_s(self) -> float:
        """Seconds until the last scheduled sample leaves."""
        return max(0, self._waiting_end - self.position) / self.settings.sample_rate

    def _open(self, audio: Any) -> Any:
        settings = self.settings
        channels_in = 1 + max(settings.channel, settings.mains_channel or 0)
        common = {"samplerate": settings.sample_rate, "dtype": "float32", "latency": settings.latency_s,
                  "finished_callback": self.queue.finish}  # fmt: skip
        with one_line(self.name):
            if self.receives and self.transmits:
                stream = audio.Stream(
                    device=(settings.input, settings.output), channels=(channels_in, 1 + settings.output_channel),
                    callback=self._on_both, **common,
                )  # fmt: skip
            elif self.receives:
                stream = audio.InputStream(
                    device=settings.input, channels=channels_in,
                    callback=lambda x, frames, times, status: self._on_both(x, None, frames, times, status), **common,
                )  # fmt: skip
            else:
                stream = audio.OutputStream(
                    device=settings.output, channels=1 + settings.output_channel,
                    callback=lambda y, frames, times, status: self._on_both(None, y, frames, times, status), **common,
                )  # fmt: skip
            try:
                stream.start()
                self._wait_until_settled()
            except BaseException:
                stream.close()
                raise
        return stream

    def _wait_until_settled(self) -> None:
        if not self._settled.wait(SETTLE_LIMIT_S):
            what = "gives no samples" if self._position == 0 else "underruns all the time: give a larger latency_s"
            raise FrontEndError(f"{self.name}: {what}")

    def _on_both(self, x: Any, y: Any, frames: int, times: Any, status: Any) -> None:
        """The callback: (frames, channels) in x to the queue, (frames, channels) out of the schedule to y."""
        with self._lock:
            start = self._position
            self._position = end = start + frames
            self.largest_callback = max(self.largest_callback, frames)
            if status:
                self._take_status(status, start)
            if not self._settled.is_set():
                if y is not None:
                    y[:] = 0
                if end - self._trouble_at >= self.settings.settle_s * self.settings.sample_rate:
                    self._base = end
                    self._settled.set()
                return
            if y is not None:
                self._fill(y, start - self._base, frames)
        if x is not None:
            self._take(x, start - self._base, frames, times.currentTime or time.monotonic())

    def _take_status(self, status: Any, start: int) -> None:
        if not self._settled.is_set():  # trouble while starting is normal
            if status.input_overflow or status.output_underflow or status.input_underflow:
                self._trouble_at = start
            return
        self.heard.overruns += bool(status.input_overflow)
        self.sent.underruns += bool(status.output_underflow)

    def _take(self, x: NDArray[np.float32], start: int, frames: int, now: float) -> None:
        settings = self.settings
        line = x[:, settings.channel]
        self.heard.clipped += int(np.count_nonzero(np.abs(line) >= FULL_SCALE))
        slip = self._slips.feed(start + frames, now)
        if slip:
            self.slips += 1
            # Repeated samples cannot be taken back; lost ones move the index to where the line is.
            self._shift += max(0, slip)
        mains = None if settings.mains_channel is None else x[:, settings.mains_channel].copy()
        self.queue.put(start + self._shift, line * np.float32(settings.input_v), mains)

    def _fill(self, y: NDArray[np.float32], start: int, frames: int) -> None:
        y[:] = 0
        end, waiting = start + frames, self._waiting
        out = y[:, self.settings.output_channel]
        while waiting and waiting[0][0] < end:
            position, serial, x = heapq.heappop(waiting)
            take = min(x.size, end - position)
            out[position - start : position - start + take] += x[:take]
            if take < x.size:
                heapq.heappush(waiting, (end, serial, x[take:]))
        np.clip(out, -1.0, 1.0, out=out)


class SoundCardSource:
    """The input of a card. Index 0 is the first sample after the card had settled."""

    def __init__(self, card: SoundCard) -> None:
        self.card, self.sample_rate, self.name = card, card.settings.sample_rate, card.name
        self.statistics = card.heard

    @property
    def ended(self) -> bool:
        """The card was closed or has gone."""
        return self.card.queue.ended

    def read(self, timeout_s: float) -> Block | None:
        """See SampleSource."""
        return self.card.queue.get(timeout_s)

    def close(self) -> None:
        """Stop the card."""
        self.card.close()


class SoundCardSink:
    """The output of a card.

    With an input, index i of the line is sent as output sample i - round trip, so that it is on the line when the source
    gives out index i. Alone, the first block begins as soon as the card can, and the others follow at their distance.
    """

    def __init__(self, card: SoundCard) -> None:
        self.card, self.sample_rate, self.name = card, card.settings.sample_rate, card.name
        self.statistics = card.sent
        self._offset: int | None = None  # output sample of index 0, when there is no input
        self._behind = 0

    def write(self, first_sample: int, samples: NDArray[np.float32]) -> None:
        """See SampleSink. Without an input it waits while more than the queue's length is ahead.

        Raises:
            FrontEndError: the card has gone.
        """
        card = self.card
        while not card.receives and card.waiting_s() > card.settings.queue_s and not card.queue.ended:
            time.sleep(0.005)
        if card.queue.ended:
            raise FrontEndError(f"{self.name}: has gone")
        if card.receives:
            position = first_sample - (card.round_trip or 0)
        else:
            if self._offset is None:
                margin = max(card.largest_callback, round(card.settings.latency_s * self.sample_rate))
                self._offset = card.position + margin - first_sample
            position = first_sample + self._offset
        card.schedule(position, samples)

    def close(self) -> None:
        """Send what is waiting and stop the card."""
        self.card.drain()
        self.card.close()


def _settings(address: Address) -> tuple[Any, CardSettings]:
    """The audio interface that an address asks for, and how to use it."""
    is_loopback = address.place == LOOPBACK
    address.check_options(OPTIONS + LOOPBACK_OPTIONS if is_loopback else OPTIONS)
    given: dict[str, Any] = {}
    for key, low, high in (("latency_s", 0.0, 2.0), ("queue_s", 0.02, 60.0), ("settle_s", 0.0, 5.0), ("margin_s", 0.0, 5.0)):
        value = address.number(key, None, low, high)
        if value is not None:
            given[key] = value
    volts = address.number("volts_per_full_scale", 1.0, 1e-9, 1e9)
    output_volts = address.number("output_volts_per_full_scale", volts, 1e-9, 1e9)
    rate = address.rate(USUAL_RATE)
    assert volts is not None and output_volts is not None and rate is not None
    if "mains_channel" in address.options:
        given["mains_channel"] = address.integer("mains_channel", 0, 0, 63)
    if "round_trip" in address.options:
        given["round_trip"] = address.integer("round_trip", 0, 0, round(10 * rate))
    settings = CardSettings(
        input=_device(address.place), output=_device(address.options.get("output", address.place)), sample_rate=rate,
        channel=address.integer("channel", 0, 0, 63), output_channel=address.integer("output_channel", 0, 0, 63),
        input_v=volts, output_v=output_volts, **given,
    )  # fmt: skip
    if is_loopback:
        from .loopback import open_loopback

        return open_loopback(address, rate), settings
    return portaudio(), settings


def _device(text: str) -> int | str | None:
    return int(text) if text.isdecimal() else text or None


def open_soundcard_source(address: Address) -> SoundCardSource:
    """`soundcard:DEVICE`, its input alone; see the top of this module."""
    return SoundCardSource(SoundCard(*_settings(address)))


def open_soundcard_sink(address: Address) -> SoundCardSink:
    """`soundcard:DEVICE`, its output alone; see the top of this module."""
    return SoundCardSink(SoundCard(*_settings(address), receives=False, transmits=True))


def open_soundcard_duplex(address: Address) -> tuple[SoundCardSource, SoundCardSink]:
    """`soundcard:DEVICE`, both directions of one stream; see the top of this module."""
    card = SoundCard(*_settings(address), receives=True, transmits=True)
    return SoundCardSource(card), SoundCardSink(card)
