"""Range checks of the channel models: each returns the value as a plain number, or says which argument is wrong and why."""

import math
from numbers import Integral, Real

from ..errors import ConfigurationError


def finite(name: str, value: object) -> float:
    """Any finite number."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ConfigurationError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def positive(name: str, value: object) -> float:
    """A finite number above 0."""
    number = finite(name, value)
    if number <= 0.0:
        raise ConfigurationError(f"{name} must be above 0, got {value!r}")
    return number


def not_negative(name: str, value: object) -> float:
    """A finite number, 0 or above."""
    number = finite(name, value)
    if number < 0.0:
        raise ConfigurationError(f"{name} must not be negative, got {value!r}")
    return number


def between(name: str, value: object, lowest: float, highest: float) -> float:
    """A number in [lowest, highest]."""
    number = finite(name, value)
    if not lowest <= number <= highest:
        raise ConfigurationError(f"{name} must be in [{lowest:g}, {highest:g}], got {value!r}")
    return number


def below_nyquist(name: str, value: object, sample_rate: float) -> float:
    """A frequency above 0 and below half the sample rate, Hz."""
    number = finite(name, value)
    if not 0.0 < number < sample_rate / 2:
        raise ConfigurationError(f"{name} must be in (0, {sample_rate / 2:g}) Hz, got {value!r}")
    return number


def whole(name: str, value: object, lowest: int, highest: int) -> int:
    """An integer in [lowest, highest]."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not lowest <= int(value) <= highest:
        raise ConfigurationError(f"{name} must be an integer in [{lowest}, {highest}], got {value!r}")
    return int(value)


def flag(name: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be true or false, got {value!r}")
    return value
