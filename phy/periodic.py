"""The periodic canceller: interference that repeats with the half cycle of the mains, learnt from the stream and taken out."""

import cmath
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._kernels.periodic import correlate_lags, subtract_periods
from .errors import ConfigurationError
from .mains import MAINS_HZ
from .runs import Runs, add_run
from .stream import Past

_DEVIATION: Final = 0.006  # of the mains frequency, relative
_PERIODS: Final = 16  # averaged
_FEWEST: Final = 6  # periods after which it may start
_LONG: Final = 8  # periods over which the period is measured at most
_WINDOW: Final = 8  # periods whose correlation is taken for that
_FADE: Final = 0.93  # of the correlation in one hop
_LOOK: Final = 8  # hops between two measurements of a period
_LINE: Final = 0.6  # part of its power in one spectral line, beyond which it is a steady tone and not ours
_WORTH: Final = 0.85  # of the power must be left at most, or the prediction is no good


@dataclass(frozen=True, slots=True)
class Period:
    """How a stream repeats itself: u(t) = exp(1j * phase) * u(t - samples). frequency: its middle, rad a sample."""

    samples: float
    phase: float
    frequency: float


class PeriodicCanceller:
    """Subtracts what repeats every half cycle of the mains: switching supplies whose frequency or level swings with it.

    Such a tone sweeps over the whole channel and no notch can follow; but after half a mains cycle it comes again, turned by a
    constant phase (its mean frequency is no multiple of 100 Hz). The mean of the last 16 half cycles, each turned back,
    predicts it; the packets are different every time and average out, at the cost of an error of 1/16 of the power of everything
    else. Steady tones are left to the `ToneCanceller`, which has no such cost.

    Every 10 ms the correlation of the stream with itself half a cycle of 50 and of 60 Hz earlier is taken. Where it is above
    `threshold`, period and phase are measured from the correlation over four half cycles, and prediction begins if it leaves
    clearly less than there was. (Own choice throughout, grade D.)

    Args:
        rate: of the stream, Hz.
        threshold: correlation coefficient, 0 < threshold < 1; 0 switches the canceller off.
    Attributes:
        period: what is being subtracted, or None.
        runs: of the last `process` call, (first, last + 1, whether it was at work), in order.
    Raises:
        ConfigurationError: an argument is out of range.
    """

    def __init__(self, rate: float, threshold: float = 0.15) -> None:
        if not 2000 <= rate < math.inf:
            raise ConfigurationError(f"periodic canceller rate must be at least 2000 Hz, got {rate}")
        if not 0 <= threshold < 1:
            raise ConfigurationError(f"periodic threshold must be 0 (off) or below 1, got {threshold}")
        self._threshold = threshold
        self._nominal = [rate / (2 * mains) for mains in MAINS_HZ]
        self._hop = round(self._nominal[0])
        self._longest = math.ceil(max(self._nominal) * (1 + _DEVIATION)) * (_PERIODS + 1) + 2
        self.reset()

    def reset(self, first: int = 0) -> None:
        """Forget everything; the next sample is number `first`."""
        self._past = Past(np.complex64, first)
        self._began = self._count = first
        self._hops = 0
        self._correlation = np.zeros(len(MAINS_HZ), np.complex128)
        self._energy = np.zeros(len(MAINS_HZ))
        self.period: Period | None = None
        self.runs: Runs = []

    def process(self, u: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """(N,) complex64 -> (N,) complex64 without what repeats."""
        self.runs = []
        if not self._threshold:
            self.runs = [(0, u.size, False)] if u.size else []
            return u
        self._past.append(u)
        y = u
        done = 0
        while done < u.size:
            step = min(self._hop - self._count % self._hop, u.size - done)
            add_run(self.runs, done, done + step, self.period is not None)
            if self.period is not None:
                if y is u:
                    y = u.copy()
                self._subtract(self.period, self._count, y[done : done + step])
            done += step
            self._count += step
            if self._count % self._hop == 0:
                self._listen()
        self._past.forget(self._count - self._longest)
        return y

    def _subtract(self, period: Period, first: int, y: NDArray[np.complex64]) -> None:
        """Samples first .. of the past less their prediction."""
        known = first - first % self._hop - self._began  # the same wherever in a hop a block begins
        periods = min(_PERIODS, int((known - 1) / period.samples))
        k = np.arange(1, periods + 1)
        at = k * period.samples
        lags = np.floor(at).astype(np.int64)
        part = at - lags
        turn = np.exp(1j * period.phase * k) / periods
        near = (1 - part) * np.exp(-1j * period.frequency * part) * turn
        far = part * np.exp(1j * period.frequency * (1 - part)) * turn
        reach = int(lags[-1]) + 1
        u = self._past.between(first - reach, first + y.size)
        subtract_periods(u, reach, lags, near.astype(np.complex64), far.astype(np.complex64), y)

    def _listen(self) -> None:
        """A hop has passed: correlate it, and now and then look for a period."""
        self._hops += 1
        here = self._past.between(self._count - self._hop, self._count)
        for k, nominal in enumerate(self._nominal):
            lag = round(nominal)
            if self._count - self._began < self._hop + lag:
                continue
            before = self._past.between(self._count - self._hop - lag, self._count - lag)
            self._correlation[k] = _FADE * self._correlation[k] + np.vdot(before, here)
            energy = math.sqrt(float(np.vdot(here, here).real) * float(np.vdot(before, before).real))
            self._energy[k] = _FADE * self._energy[k] + energy
        if self._hops < _FEWEST or (self._hops % _LOOK and (self.period or self._hops > _PERIODS)):
            return
        strength = np.abs(self._correlation) / np.maximum(self._energy, 1e-30)
        best = int(strength.argmax())
        self.period = self._measured(best) if strength[best] > self._threshold else None

    def _measured(self, which: int) -> Period | None:
        """The period near a nominal one, if it predicts the stream well."""
        nominal = self._nominal[which]
        known = self._count - self._began
        length = min(round(_WINDOW * nominal), known // 2)
        long = min(_LONG, int((known - length) / (nominal * (1 + _DEVIATION)) - 0.5))
        if long < 1:
            return None
        c, low = self._correlations(long * nominal * (1 - _DEVIATION), long * nominal * (1 + _DEVIATION), length)
        power = np.abs(c) ** 2
        peak = int(power[1:-1].argmax()) + 1
        bend = power[peak - 1] - 2 * power[peak] + power[peak + 1]
        offset = 0.5 * (power[peak - 1] - power[peak + 1]) / bend if bend < 0 else 0.0
        samples = (low + peak + min(max(offset, -0.5), 0.5)) / long
        frequency = 0.5 * cmath.phase(c[peak + 1] * c[peak - 1].conjugate())
        often = cmath.phase(c[peak]) - frequency * (low + peak - long * samples)
        once, lag = self._correlations(samples, samples, length)
        rough = cmath.phase(once[1]) - frequency * (lag + 1 - samples)
        phase = (often + 2 * math.pi * round((long * rough - often) / (2 * math.pi))) / long
        period = Period(samples, phase, frequency)
        return period if self._is_good(period) else None

    def _correlations(self, low: float, high: float, length: int) -> tuple[NDArray[np.complex128], int]:
        """Of the last `length` samples with those from low - 1 to high + 1 samples earlier, and the lag of the first."""
        first = math.floor(low) - 1
        c = np.empty(math.ceil(high) + 2 - first, np.complex128)
        reach = first + c.size
        correlate_lags(self._past.between(self._count - length - reach, self._count), reach, first, c)
        return c, first

    def _is_good(self, period: Period) -> bool:
        """Whether subtracting it would have helped in the last hop, and it is no steady tone."""
        count = round(period.samples)
        first = self._count - count
        if first - self._began < (_FEWEST - 2) * period.samples:
            return False
        left = np.empty(count, np.complex64)
        self._subtract(period, first, left)
        seen = self._past.between(first, self._count)
        if float(np.vdot(left, left).real) > _WORTH * float(np.vdot(seen, seen).real):
            return False
        # Turned so that its lines fall on whole bins: a steady tone is one of them.
        lines = np.abs(np.fft.fft((seen - left) * np.exp(-1j * period.phase * np.arange(count) / count))) ** 2
        return float(lines.max()) < _LINE * float(lines.sum())
