"""Range checks of the channel models: each returns the value as float, or says which argument is wrong and why."""

import math
from numbers import Integral, Real

from phy.errors import ConfigurationError


def finite(name: str, value: float) -> float:
    """Any finite number."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ConfigurationError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def positive(name: str, value: float) -> float:
    """A finite number above 0."""
    if finite(name, value) <= 0.0:
        raise ConfigurationError(f"{name} must be above 0, got {value!r}")
    return float(value)


def not_negative(name: str, value: float) -> float:
    """A finite number, 0 or above."""
    if finite(name, value) < 0.0:
        raise ConfigurationError(f"{name} must not be negative, got {value!r}")
    return float(value)


def between(name: str, value: float, lowest: float, highest: float) -> float:
    """A number in [lowest, highest]."""
    if not lowest <= finite(name, value) <= highest:
        raise ConfigurationError(f"{name} must be in [{lowest:g}, {highest:g}], got {value!r}")
    return float(value)


def below_nyquist(name: str, value: float, sample_rate: float) -> float:
    """A frequency above 0 and below half the sample rate, Hz."""
    if not 0.0 < finite(name, value) < sample_rate / 2:
        raise ConfigurationError(f"{name} must be in (0, {sample_rate / 2:g}) Hz, got {value!r}")
    return float(value)


def whole(name: str, value: int, lowest: int, highest: int) -> int:
    """An integer in [lowest, highest]."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not lowest <= value <= highest:
        raise ConfigurationError(f"{name} must be an integer in [{lowest}, {highest}], got {value!r}")
    return int(value)


def flag(name: str, value: bool) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be true or false, got {value!r}")
    return value
