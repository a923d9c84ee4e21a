"""Intervals of counted errors, and what a count proves about a mark."""

from ideal import esn0_for
from scipy.stats import beta, binom


def interval(errors: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of Clopper and Pearson for a probability."""
    tail = (1 - confidence) / 2
    low = 0.0 if errors == 0 else float(beta.ppf(tail, errors, trials - errors + 1))
    high = 1.0 if errors == trials else float(beta.ppf(1 - tail, errors + 1, trials - errors))
    return low, high


def claims_at_most(errors: int, trials: int, mark: float) -> bool:
    """Whether the count proves a probability of at most `mark` (95 %, one-sided)."""
    return trials > 0 and float(binom.cdf(errors, trials, mark)) <= 0.05


def consistent_at_most(errors: int, trials: int, mark: float) -> bool:
    """Whether the count does not disprove a probability of at most `mark` (95 %, one-sided)."""
    return float(binom.sf(errors - 1, trials, mark)) >= 0.05


def consistent_at_least(errors: int, trials: int, bound: float) -> bool:
    """Whether the count does not disprove a probability of at least `bound` (99.9 %: a check of the measurement itself)."""
    return float(binom.cdf(errors, trials, bound)) >= 1e-3


def loss_db(errors: int, trials: int, esn0_db: float, octets: int = 20, code: str = "W11_SPC") -> tuple[float, float, float]:
    """Loss against ideal soft decoding (dB) that a count at Es/N0 means, with its 95 % interval."""
    low, high = interval(errors, trials)
    found, best, worst = (esn0_for(per, octets, code) for per in (max(errors, 0.5) / trials, max(low, 1e-9), high))
    return esn0_db - found, esn0_db - best, esn0_db - worst
