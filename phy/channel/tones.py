"""Narrow-band voltages: a modulated tone, sets of them, and the hum of the mains with its harmonics."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .._kernels import noise as kernels
from ..errors import ConfigurationError
from . import catalogue
from .limits import below_nyquist, between, finite, not_negative, positive, whole
from .mains import wander
from .source import Source


class Tone(Source):
    """A cosine, with amplitude and frequency modulation if wanted (broadcast carriers, switch-mode supplies).

    Args:
        freq_hz: carrier, below half the sample rate together with fm_deviation_hz.
        amplitude_v: peak amplitude without modulation, V.
        phase: rad, at sample 0.
        am_depth: 0..1; the amplitude swings by this share about amplitude_v.
        am_hz: frequency of the swing, Hz; am_phase: its phase at sample 0, rad.
        fm_deviation_hz: peak deviation, Hz; fm_hz: frequency of the deviation, Hz.
    """

    def __init__(
        self,
        sample_rate: float,
        freq_hz: float,
        amplitude_v: float,
        phase: float = 0.0,
        am_depth: float = 0.0,
        am_hz: float = 100.0,
        am_phase: float = 0.0,
        fm_deviation_hz: float = 0.0,
        fm_hz: float = 100.0,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        super().__init__(sample_rate, seed, stream, first_sample)
        fs = self.sample_rate
        deviation = not_negative("fm_deviation_hz", fm_deviation_hz)
        below_nyquist("freq_hz + fm_deviation_hz", freq_hz + deviation, fs)
        below_nyquist("fm_hz", fm_hz, fs)
        row = [
            not_negative("amplitude_v", amplitude_v),
            below_nyquist("freq_hz", freq_hz, fs) / fs,
            finite("phase", phase) / (2 * math.pi),
            between("am_depth", am_depth, 0.0, 1.0),
            below_nyquist("am_hz", am_hz, fs) / fs,
            finite("am_phase", am_phase) / (2 * math.pi),
            deviation / (2 * math.pi * fm_hz),
            fm_hz / fs,
        ]
        self._rows = np.array([row])

    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        y = np.zeros(n, np.float32)
        kernels.tones(y, self._rows, first_sample)
        return y


class ToneSet(Source):
    """Several tones at once, each with its own modulation: television lines, time signals, switching supplies.

    Args:
        tones: mappings with the arguments of `Tone` (freq_hz and amplitude_v at least); a tone without a phase gets one from
            the seed.
    """

    def __init__(
        self,
        sample_rate: float,
        tones: Sequence[Mapping[str, Any]],
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        super().__init__(sample_rate, seed, stream, first_sample)
        if not tones:
            raise ConfigurationError("tones must name at least one tone")
        phases = np.empty(len(tones))
        kernels.uniforms(phases, self._key, self._stream_word, np.uint64(0), 0)
        rows = []
        for tone, phase in zip(tones, 2 * np.pi * phases, strict=True):
            try:
                rows.append(Tone(self.sample_rate, **{"phase": float(phase), **tone})._rows)
            except TypeError:
                raise ConfigurationError(f"a tone has freq_hz and amplitude_v, and what else Tone takes; got {tone!r}") from None
        self._rows = np.concatenate(rows)

    @classmethod
    def preset(cls, name: str, sample_rate: float, reference_v: float, **changes: Any) -> Self:
        """`pal_lines`, `ntsc_lines`, `dcf77`, `switcher`, `solar_inverter` or `sfsk_pair`.

        Tones that the sample rate cannot carry are left out. reference_v: V, rms of an unmodulated tone of 0 dB.
        changes: seed, stream, first_sample.
        """
        reference = positive("reference_v", reference_v)
        tones = []
        for entry in catalogue.entry("noise", "tones", name)["tones"]:
            tone = dict(entry)
            tone["amplitude_v"] = math.sqrt(2) * reference * 10 ** (tone.pop("level_db") / 20)
            if tone["freq_hz"] + tone.get("fm_deviation_hz", 0.0) < sample_rate / 2:
                tones.append(tone)
        return cls(sample_rate, **{"tones": tones, **changes})

    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        y = np.zeros(n, np.float32)
        kernels.tones(y, self._rows, first_sample)
        return y


def mask_dbuv(name: str, freq_hz: float) -> float:
    """The level up to which an interferer at a frequency counts as compliant, dBuV: an anchor for the levels of tones.

    Args:
        name: `good_supply_a` or `good_supply_c` (a maker's advice for supplies beside a modem of that band) or
            `compatibility` (IEC 61000-2-2).    freq_hz: Hz.
    Raises:
        ConfigurationError: the mask has no line at that frequency.
    """
    at = positive("freq_hz", freq_hz)
    for points in catalogue.entry("noise", "mask", name)["lines"]:
        (low, first), (high, last) = points
        if low <= at <= high:
            return float(first + (last - first) * math.log(at / low) / math.log(high / low))
    raise ConfigurationError(f"mask {name!r} has no line at {at:g} Hz")


class MainsHum(Source):
    """What a coupler leaves of the mains voltage: sines at multiples of the mains frequency, all rising at angle 0.

    Args:
        amplitude_v: peak amplitude of the fundamental at the receiver, V.
        mains_freq: Hz.
        mains_phase: rad, angle of the mains voltage at sample 0.
        mains_drift_hz: slow wander of the mains frequency about mains_freq, Hz (`mains.wander`).
        harmonics: order -> amplitude relative to the fundamental; the default is the voltage limits of EN 50160.
    """

    def __init__(
        self,
        sample_rate: float,
        amplitude_v: float,
        mains_freq: float = 50.0,
        mains_phase: float = 0.0,
        mains_drift_hz: float = 0.0,
        harmonics: Mapping[int, float] | None = None,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        super().__init__(sample_rate, seed, stream, first_sample)
        if harmonics is None:
            percent = catalogue.entry("noise", "mains_hum")["percent"]
            harmonics = {int(order): value / 100 for order, value in percent.items()}
        if not harmonics:
            raise ConfigurationError("harmonics must name at least one order")
        fundamental = not_negative("amplitude_v", amplitude_v)
        swing_cycles, swing_step = wander(mains_freq, mains_drift_hz, self.sample_rate)
        turns = finite("mains_phase", mains_phase) / (2 * math.pi)
        self._rows = np.zeros((len(harmonics), 8))
        for row, (order, relative) in zip(self._rows, harmonics.items(), strict=True):
            whole("order of a harmonic", order, 1, 10_000)
            freq = below_nyquist(f"frequency of harmonic {order}", order * mains_freq, self.sample_rate)
            row[0] = fundamental * finite(f"amplitude of harmonic {order}", relative)
            row[1] = freq / self.sample_rate
            row[2] = order * turns - 0.25  # a sine is a cosine a quarter turn late
            row[6] = order * swing_cycles
            row[7] = swing_step

    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        y = np.zeros(n, np.float32)
        kernels.tones(y, self._rows, first_sample)
        return y
