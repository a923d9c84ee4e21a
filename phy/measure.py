"""Measuring error ratios: counts with confidence bounds, when to stop, and the loss against a theory curve in dB."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from scipy.stats import beta

from .errors import ConfigurationError
from .theory import linear, required_esn0_db

Reason = Literal["errors", "confidence", "trials"]


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """`errors` of `trials` independent trials went wrong.

    Raises:
        ConfigurationError: negative, or more errors than trials.
    """

    errors: int
    trials: int

    def __post_init__(self) -> None:
        if not 0 <= self.errors <= self.trials:
            raise ConfigurationError(f"errors must be in 0..trials, got {self.errors} of {self.trials}")

    @property
    def ratio(self) -> float:
        """errors / trials; nan before the first trial."""
        return self.errors / self.trials if self.trials else math.nan

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Bounds that hold the true ratio with at least this probability.

        Clopper and Pearson, Biometrika 26 (1934), 404-413: exact, never too narrow.
        """
        _check_confidence(confidence)
        miss = (1 - confidence) / 2
        low = 0.0 if self.errors == 0 else float(beta.ppf(miss, self.errors, self.trials - self.errors + 1))
        high = 1.0 if self.errors == self.trials else float(beta.isf(miss, self.errors + 1, self.trials - self.errors))
        return low, high

    def relative_width(self, confidence: float = 0.95) -> float:
        """Width of the interval over the ratio; infinite without an error."""
        low, high = self.interval(confidence)
        return (high - low) / self.ratio if self.errors else math.inf

    def __add__(self, other: "ErrorCount") -> "ErrorCount":
        """Both counts as one."""
        return ErrorCount(self.errors + other.errors, self.trials + other.trials)


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """When a point has been measured well enough.

    Args:
        errors: stop after so many, at least 1. trials: stop after so many in any case, at least 1.
        relative_width: stop when the confidence interval is narrower than this times the ratio; 0 switches it off.
        confidence: of that interval, (0, 1).
    """

    errors: int = 100
    trials: int = 1_000_000
    relative_width: float = 0.0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.errors < 1 or self.trials < 1:
            raise ConfigurationError(f"errors and trials must be at least 1, got {self.errors} and {self.trials}")
        if not 0 <= self.relative_width < math.inf:
            raise ConfigurationError(f"relative_width must be at least 0, got {self.relative_width}")
        _check_confidence(self.confidence)

    def met(self, count: ErrorCount) -> Reason | None:
        """Why to stop at this count, or None: go on."""
        if count.errors >= self.errors:
            return "errors"
        if self.relative_width and count.relative_width(self.confidence) <= self.relative_width:
            return "confidence"
        return "trials" if count.trials >= self.trials else None


@dataclass(frozen=True, slots=True)
class Loss:
    """How far a measured point lies to the right of a theory curve, dB, with the ends of its confidence interval.

    Positive: the receiver needs more signal than theory. An end that the count does not bound is infinite.
    """

    value_db: float
    low_db: float
    high_db: float


def loss_db(
    count: ErrorCount, esn0_db: float, theory: Callable[[float], float], *, confidence: float = 0.95, search_db: float = 15.0
) -> Loss:
    """The Es/N0 of a measured point less the Es/N0 at which theory gives the same error ratio.

    Args:
        count: measured at esn0_db, dB. theory: Es/N0 in dB -> error ratio, falling.
        search_db: how far from esn0_db the curve is followed; beyond, the answer is infinite.
    """
    low, high = count.interval(confidence)
    return Loss(
        value_db=_shift(count.ratio, esn0_db, theory, search_db),
        low_db=_shift(low, esn0_db, theory, search_db),
        high_db=_shift(high, esn0_db, theory, search_db),
    )


def _shift(ratio: float, esn0_db: float, theory: Callable[[float], float], search_db: float) -> float:
    if math.isnan(ratio):
        return math.nan
    if ratio <= 0 or ratio < theory(esn0_db + search_db):
        return -math.inf
    if ratio >= 1 or ratio > theory(esn0_db - search_db):
        return math.inf
    return esn0_db - required_esn0_db(theory, ratio, esn0_db - search_db, esn0_db + search_db)


def noise_rms_v(mean_power: float, bit_rate: float, sample_rate: float, esn0_db: float) -> float:
    """rms of white noise samples that give a packet this Es/N0.

    Es = mean power of the packet * bit time, N0 = one-sided density: rms^2 = N0 * sample_rate / 2.

    Args:
        mean_power: of the packet's samples from the start of its first to the end of its last bit, V^2.
        bit_rate: coded bits a second. sample_rate: Hz.
    """
    n0 = mean_power / bit_rate / linear(esn0_db)
    return math.sqrt(n0 * sample_rate / 2)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ConfigurationError(f"confidence must be in (0, 1), got {confidence}")
