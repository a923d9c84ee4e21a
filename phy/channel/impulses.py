"""Impulsive noise: damped rings locked to the mains, and bursts at random instants."""

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .._kernels import noise as kernels
from ..errors import ConfigurationError
from . import catalogue
from .limits import below_nyquist, finite, flag, not_negative, positive, whole
from .mains import wander
from .source import Source

_LONGEST_WIDTHS = 20.0  # an exponential width is longer than 20 means once in e^20 = 5e8 impulses
_MEAN_PER_SLOT = 1.0


class MainsImpulses(Source):
    """Damped rings A exp(-t/tau) sin(2 pi f t + phase), fired at fixed angles of the mains cycle (dimmers, rectifiers).

    Args:
        amplitude_v: A, V; the crest of the ring is a little lower.
        tau_s: decay time, s.
        ring_hz: frequency of the ring, below half the sample rate.
        mains_freq: Hz.
        mains_phase: rad, angle of the mains voltage sin(.) at sample 0.
        mains_drift_hz: slow wander of the mains frequency about mains_freq, Hz (`mains.wander`).
        per_cycle: pulses per mains cycle, 1..1000.
        firing_phase: rad, angle of the mains voltage at which pulse 0 fires.
        jitter_s: standard deviation of the firing instant, s (Gaussian).
        spread_db: standard deviation of the amplitude, dB (log-normal about amplitude_v).
        ring_phase: rad, phase at which a ring starts.
        random_phase: each ring starts at its own phase, uniform on the circle, instead of ring_phase.
        alternate: odd pulses have the other sign, as the half cycles of the mains have.
    """

    def __init__(
        self,
        sample_rate: float,
        amplitude_v: float,
        tau_s: float,
        ring_hz: float,
        mains_freq: float = 50.0,
        mains_phase: float = 0.0,
        mains_drift_hz: float = 0.0,
        per_cycle: int = 2,
        firing_phase: float = math.pi / 2,
        jitter_s: float = 0.0,
        spread_db: float = 0.0,
        ring_phase: float = 0.0,
        random_phase: bool = False,
        alternate: bool = True,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        super().__init__(sample_rate, seed, stream, first_sample)
        samples_per_cycle = self.sample_rate / below_nyquist("mains_freq", mains_freq, self.sample_rate)
        swing_cycles, swing_step = wander(mains_freq, mains_drift_hz, self.sample_rate)
        cycles_to_first = (finite("firing_phase", firing_phase) - finite("mains_phase", mains_phase)) / (2 * math.pi)
        self._arguments = (
            samples_per_cycle * cycles_to_first,
            samples_per_cycle / whole("per_cycle", per_cycle, 1, 1000),
            not_negative("jitter_s", jitter_s) * self.sample_rate,
            not_negative("amplitude_v", amplitude_v),
            not_negative("spread_db", spread_db) * math.log(10) / 20,
            flag("alternate", alternate),
            positive("tau_s", tau_s) * self.sample_rate,
            below_nyquist("ring_hz", ring_hz, self.sample_rate) / self.sample_rate,
            finite("ring_phase", ring_phase),
            flag("random_phase", random_phase),
            samples_per_cycle * swing_cycles,
            swing_step,
        )

    @classmethod
    def preset(cls, name: str, sample_rate: float, reference_v: float, **changes: Any) -> Self:
        """`dimmer1`, `dimmer3`, `smps_rect`, `scr_on` or `scr_off`. reference_v: V, the level of 0 dB.

        changes: any other argument of the class, to replace or add to the preset.
        """
        values = catalogue.entry("noise", "mains_impulses", name)
        arguments: dict[str, Any] = {
            key: values[key] for key in ("per_cycle", "tau_s", "ring_hz", "jitter_s")
        }
        arguments["amplitude_v"] = positive("reference_v", reference_v) * 10 ** (values["level_db"] / 20)
        return cls(sample_rate, **{**arguments, **changes})

    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        y = np.zeros(n, np.float32)
        kernels.ring_train(y, self._key, self._stream_word, first_sample, *self._arguments)
        return y


class RandomImpulses(Source):
    """Bursts of white Gaussian noise at Poisson instants, with exponential widths (switching, motors).

    The rms of a burst is drawn log-uniformly from lowest_v to highest_v; where bursts overlap, their powers add.

    Args:
        mean_interval_s: mean time between arrivals, s.
        mean_width_s: mean width, s; a width is cut at 20 means.
        lowest_v, highest_v: range of the rms inside a burst, V, over the band up to half the sample rate.
    References:
        M. Zimmermann, K. Dostert, Analysis and modeling of impulsive noise in broad-band powerline communications,
        IEEE Trans. Electromagn. Compat. 44(1), 2002.
    """

    def __init__(
        self,
        sample_rate: float,
        mean_interval_s: float,
        mean_width_s: float,
        lowest_v: float,
        highest_v: float,
        seed: int = 0,
        stream: int = 0,
        first_sample: int = 0,
    ) -> None:
        super().__init__(sample_rate, seed, stream, first_sample)
        self.mean_interval_s = positive("mean_interval_s", mean_interval_s)
        self.mean_width_s = positive("mean_width_s", mean_width_s)
        if not 0.0 < finite("lowest_v", lowest_v) <= finite("highest_v", highest_v):
            raise ConfigurationError(f"lowest_v must be in (0, highest_v], got {lowest_v!r} and {highest_v!r}")
        rate = 1.0 / (self.mean_interval_s * self.sample_rate)  # arrivals per sample
        width = self.mean_width_s * self.sample_rate
        longest = _LONGEST_WIDTHS * width
        # A slot as long as the longest burst lets a block look back one slot only; the mean count stays small.
        slot = max(1, math.floor(min(longest, _MEAN_PER_SLOT / rate)))
        if rate * slot > _MEAN_PER_SLOT:
            raise ConfigurationError(f"mean_interval_s must be one sample or more, got {mean_interval_s!r}")
        self._arguments = (slot, rate * slot, width, longest, math.log(lowest_v), math.log(highest_v))

    @classmethod
    def preset(cls, name: str, sample_rate: float, reference_v: float, **changes: Any) -> Self:
        """`heavy`, `medium` or `weak`. reference_v: V, the rms that the preset's decibels count from.

        changes: any other argument of the class, to replace or add to the preset.
        """
        values = catalogue.entry("noise", "random_impulses", name)
        family = catalogue.entry("noise", "random_impulses")
        reference = positive("reference_v", reference_v)
        arguments: dict[str, Any] = {key: values[key] for key in ("mean_interval_s", "mean_width_s")}
        arguments["lowest_v"] = reference * 10 ** (family["lowest_db"] / 20)
        arguments["highest_v"] = reference * 10 ** (family["highest_db"] / 20)
        return cls(sample_rate, **{**arguments, **changes})

    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        y = np.zeros(n, np.float32)
        if kernels.burst_power(y, self._key, self._stream_word, first_sample, *self._arguments):
            noise = np.empty(n, np.float32)
            kernels.gaussian(noise, self._key, self._stream_word, first_sample, 1.0)
            y = np.sqrt(y) * noise
        return y
