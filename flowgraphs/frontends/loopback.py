"""`soundcard:loopback`: behaves like PortAudio with a card whose output is wired to its input; needs neither.

    output -> gain -> low-pass -> delay -> clock error -> (+) -> slip -> full scale -> input
                                                           ^
                                                   noise --+
Options: pace (realtime, or fast: callbacks follow each other as quickly as they return), delay (samples, 4000), gain_db (-6),
noise_v (rms at full scale 1, 1e-4), ppm (of the input's clock against the output's, 0), slip (samples lost at slip_at_s, at
most the delay), low_pass_hz (-3 dB of a second-order low-pass, as the roll-off of a card), frames (largest callback, 2048),
seed, unplug_at_s (the card goes).
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from phy.channel import ClockError

from .contract import Address

MOST_CHANNELS: Final = 2
NAME: Final = "loopback"


@dataclass(frozen=True, slots=True)
class LoopbackSettings:
    """What the wire does; see the top of this module."""

    realtime: bool = True
    delay: int = 4000
    gain_db: float = -6.0
    noise_v: float = 1e-4
    ppm: float = 0.0
    slip: int = 0
    slip_at_s: float = 0.0
    low_pass_hz: float | None = None
    frames: int = 2048
    seed: int = 1
    unplug_at_s: float | None = None


class _Wire:
    """From output samples to input samples, N for N."""

    def __init__(self, settings: LoopbackSettings, sample_rate: float) -> None:
        self._settings = settings
        self._gain = np.float32(10 ** (settings.gain_db / 20))
        self._clock = ClockError(sample_rate, settings.ppm) if settings.ppm else None
        self._rng = np.random.default_rng(settings.seed)
        self._line = np.zeros(settings.delay, np.float32)
        self._slip_at = round(settings.slip_at_s * sample_rate) if settings.slip else None
        self._taken = 0
        self._filter: Any = None
        if settings.low_pass_hz is not None:
            from scipy import signal  # slow to load

            sections = signal.butter(2, settings.low_pass_hz, fs=sample_rate, output="sos")
            self._filter = partial(signal.sosfilt, sections)
            self._state = np.zeros((sections.shape[0], 2))

    def carry(self, y: NDArray[np.float32]) -> NDArray[np.float32]:
        x = y * self._gain
        if self._filter is not None:
            filtered, self._state = self._filter(x, zi=self._state)
            x = filtered.astype(np.float32)
        if self._clock is not None:
            x = self._clock.process(x)
        self._line = np.concatenate((self._line, x))
        if self._slip_at is not None and self._taken >= self._slip_at:
            self._line, self._slip_at = self._line[self._settings.slip :], None
        if self._line.size < y.size:  # a slow input clock has not made them yet
            self._line = np.concatenate((self._line, np.zeros(y.size - self._line.size, np.float32)))
        x, self._line = self._line[: y.size], self._line[y.size :]
        self._taken += y.size
        x = x + self._rng.standard_normal(y.size, np.float32) * np.float32(self._settings.noise_v)
        return np.asarray(np.clip(x, -1.0, 1.0), np.float32)


class _Status(SimpleNamespace):
    """PortAudio's flags; false when none is set."""

    def __bool__(self) -> bool:
        return any(vars(self).values())


_FINE: Final = _Status(input_overflow=False, input_underflow=False, output_underflow=False, output_overflow=False)


class _LoopStream:
    """One stream; its thread calls back with frames of changing size, as PortAudio does when none is asked for."""

    def __init__(
        self, settings: LoopbackSettings, callback: Callable[..., None], samplerate: float, inputs: int, outputs: int,
        finished_callback: Callable[[], None] | None,
    ) -> None:  # fmt: skip
        self._settings, self._callback, self._rate = settings, callback, samplerate
        self._inputs, self._outputs, self._finished = inputs, outputs, finished_callback
        self._wire = _Wire(settings, samplerate)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loopback", daemon=True)
        self.latency = (settings.frames / samplerate, settings.delay / samplerate)

    def start(self) -> None:
        """Begin to call back."""
        self._thread.start()

    def close(self) -> None:
        """Stop; twice is once."""
        self._stop.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(5.0)

    def _run(self) -> None:
        settings, rate = self._settings, self._rate
        rng = np.random.default_rng(settings.seed + 1)
        started_at, position = time.monotonic(), 0
        # What this callback puts out comes back later: a whole callback of silence lies in between, so that N for N holds.
        heard = np.zeros(settings.frames, np.float32)
        try:
            while not self._stop.is_set():
                if settings.unplug_at_s is not None and position >= settings.unplug_at_s * rate:
                    return
                frames = int(rng.integers(settings.frames // 4, settings.frames + 1))
                x = np.zeros((frames, max(1, self._inputs)), np.float32)
                x[:, 0], heard = heard[:frames], heard[frames:]
                x[:, 1:] = np.sin(2 * np.pi * 50.0 / rate * (position + np.arange(frames)))[:, np.newaxis]
                y = np.zeros((frames, max(1, self._outputs)), np.float32)
                position += frames
                if settings.realtime:
                    ahead = position / rate - (time.monotonic() - started_at)
                    if ahead > 0:
                        time.sleep(ahead)
                now = started_at + position / rate if not settings.realtime else time.monotonic()
                times = SimpleNamespace(currentTime=now, inputBufferAdcTime=now, outputBufferDacTime=now)
                blocks = [block for block, wanted in ((x, self._inputs), (y, self._outputs)) if wanted]
                self._callback(*blocks, frames, times, _FINE)
                heard = np.concatenate((heard, self._wire.carry(y[:, 0])))
        finally:
            if self._finished is not None:
                self._finished()


class LoopbackAudio:
    """What the front end uses of the module sounddevice, on a wire.

    >>> LoopbackAudio(LoopbackSettings()).query_devices()[0]["name"]
    'loopback'
    """

    def __init__(self, settings: LoopbackSettings) -> None:
        self.settings = settings
        self.patient = not settings.realtime

    def query_devices(self) -> list[dict[str, Any]]:
        """The one device."""
        return [{"name": NAME, "index": 0, "hostapi": 0, "max_input_channels": MOST_CHANNELS,
                 "max_output_channels": MOST_CHANNELS, "default_samplerate": 192_000.0}]  # fmt: skip

    def query_hostapis(self) -> list[dict[str, Any]]:
        """Where it is."""
        return [{"name": "in this program", "devices": [0], "default_input_device": 0, "default_output_device": 0}]

    def check_input_settings(self, **wanted: Any) -> None:
        """Every rate is possible."""

    check_output_settings = check_input_settings

    def Stream(self, *, samplerate: float, channels: tuple[int, int], callback: Any, finished_callback: Any = None,
               **_ignored: Any) -> _LoopStream:  # fmt: skip
        """Both directions."""
        return _LoopStream(self.settings, callback, samplerate, *channels, finished_callback)

    def InputStream(self, *, samplerate: float, channels: int, callback: Any, finished_callback: Any = None,
                    **_ignored: Any) -> _LoopStream:  # fmt: skip
        """The input alone: it hears noise."""
        return _LoopStream(self.settings, callback, samplerate, channels, 0, finished_callback)

    def OutputStream(self, *, samplerate: float, channels: int, callback: Any, finished_callback: Any = None,
                     **_ignored: Any) -> _LoopStream:  # fmt: skip
        """The output alone: nobody hears it."""
        return _LoopStream(self.settings, callback, samplerate, 0, channels, finished_callback)


def open_loopback(address: Address, sample_rate: float) -> LoopbackAudio:
    """The loopback that the options of an address describe."""
    usual = LoopbackSettings()

    def number(key: str, default: float, low: float, high: float) -> float:
        value = address.number(key, default, low, high)
        assert value is not None
        return value

    delay = address.integer("delay", usual.delay, 64, round(5 * sample_rate))
    return LoopbackAudio(
        LoopbackSettings(
            realtime=address.choice("pace", "realtime", ("realtime", "fast")) == "realtime",
            delay=delay,
            gain_db=number("gain_db", usual.gain_db, -120.0, 60.0),
            noise_v=number("noise_v", usual.noise_v, 0.0, 10.0),
            ppm=number("ppm", usual.ppm, -5000.0, 5000.0),
            slip=address.integer("slip", 0, 0, delay),
            slip_at_s=number("slip_at_s", usual.slip_at_s, 0.0, 1e6),
            low_pass_hz=address.number("low_pass_hz", None, 1.0, 0.499 * sample_rate),
            frames=address.integer("frames", usual.frames, 16, 1 << 16),
            seed=address.integer("seed", usual.seed, 0, 2**32),
            unplug_at_s=address.number("unplug_at_s", None, 0.0, 1e6),
        )
    )
