"""The mains frequency: fixed, or wandering slowly about its mean as it does in the grid."""

import math

from . import catalogue
from .limits import below_nyquist, between

HIGHEST_DRIFT_HZ = 1.0


def wander(mains_freq: float, mains_drift_hz: float, sample_rate: float) -> tuple[float, float]:
    """How far the phase of the mains swings (cycles), and the rate of that swing (cycles per sample).

    The frequency is f(t) = mains_freq + mains_drift_hz cos(2 pi t / T), so the phase is mains_freq t + (mains_drift_hz T / 2 pi)
    sin(2 pi t / T) cycles. T is `[mains]` of `spec/noise.toml`: a regular stand-in for the slow random walk of a real grid.

    Args:
        mains_freq: mean, Hz.    mains_drift_hz: largest departure from it, 0 .. 1 Hz (0.2 Hz holds for a healthy grid).
    """
    below_nyquist("mains_freq", mains_freq, sample_rate)
    swing_cycles, per_sample = 0.0, 0.0
    if between("mains_drift_hz", mains_drift_hz, 0.0, HIGHEST_DRIFT_HZ):
        period_s = catalogue.entry("noise", "mains")["drift_period_s"]
        swing_cycles = mains_drift_hz * period_s / (2 * math.pi)
        per_sample = 1.0 / (period_s * sample_rate)
    return swing_cycles, per_sample
