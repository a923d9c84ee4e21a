"""R9 to R14: impulsive noise."""

import math
from collections.abc import Sequence
from functools import partial

import harness
import numpy as np
from class_a import REQUIRED_BER, blanker_threshold_db
from harness import GatedNoise, Levels, Traffic
from ideal import ideal_blanking_error, packet_error

from phy.channel import CyclostationaryNoise, RandomImpulses, Source

from .case import Case, Outcome, per_case


def gated(level_db: float, per_second: float, width_s: float, levels: Levels) -> Sequence[Source]:
    """Bursts of white noise `level_db` above the background's density."""
    return [GatedNoise(levels.rate, levels.density * 10 ** (level_db / 20), per_second, width_s, levels.seed, 2)]


def _blanked(esn0_db: float, width_s: float, per_second: float) -> str:
    return f"ideal {100 * ideal_blanking_error(esn0_db, width_s, per_second):.2g} %"


def _mains() -> list[Case]:
    rows = [
        ("R9", "mains-synchronous impulses", 8.0, 40.0, 50e-6, 100.0, 1000, 0.03),
        ("R9", "mains-synchronous impulses", 8.0, 40.0, 100e-6, 100.0, 1000, 0.03),
        ("R9", "mains-synchronous impulses", 8.0, 40.0, 250e-6, 100.0, 1000, 0.03),
        ("R10", "dense impulses", 12.0, 40.0, 100e-6, 600.0, 1000, 0.03),
        ("R11", "long impulses", 12.0, 30.0, 500e-6, 100.0, 1000, 0.15),
        ("R11", "long impulses", 12.0, 30.0, 1e-3, 100.0, 300, None),
    ]
    result = []
    for id_, name, esn0, level_db, width, per_second, packets, mark in rows:
        text = f"{per_second:g}/s, {width * 1e6:g} us, {level_db:+g} dB, Es/N0 {esn0:g} dB"
        extra = partial(gated, level_db, per_second, width)
        truth = partial(_blanked, esn0, width, per_second)
        result.append(per_case(id_, name, text, Traffic(), packets, mark, truth=truth, esn0_db=esn0, extra=extra))
    text = "100/s, 50 us, +40 dB, Es/N0 8 dB"
    extra = partial(gated, 40.0, 100.0, 50e-6)
    result.append(
        per_case("R9", "the same, blanker off", text, Traffic(), 300, None, esn0_db=8.0, extra=extra, options={"blanker": 0.0})
    )
    return result


def _class_a(scale: float) -> Outcome:
    """R12: Eb/N0 (total) for a bit error rate of 1e-3 behind the blanker alone."""
    found, low, high = blanker_threshold_db(scale)
    mark = f"Eb/N0 for BER {REQUIRED_BER:g} <= -11.5 dB; optimum -12.80"
    return Outcome(f"{found:.2f} dB [{low:.2f}, {high:.2f}]", mark, high <= -11.5)


def _katayama(levels: Levels) -> Source:
    unit = CyclostationaryNoise(levels.rate, rms_v=1.0, seed=levels.seed, stream=1)
    offsets = np.linspace(-0.5, 0.5, 33) * harness.load("pl20a").bit_rate
    mean = math.sqrt(float(np.mean([unit.density_at(levels.carrier_hz + f) ** 2 for f in offsets])))
    return CyclostationaryNoise(levels.rate, rms_v=levels.density / mean, seed=levels.seed, stream=1)


def _heavy(levels: Levels) -> Sequence[Source]:
    full_band = levels.density * math.sqrt(levels.rate / 2) * 100  # +40 dB
    return [
        RandomImpulses.preset(
            "heavy", levels.rate, full_band, lowest_v=full_band, highest_v=full_band, seed=levels.seed, stream=2
        )
    ]


def cases() -> list[Case]:
    """R9 to R14."""
    result = _mains()
    result.append(Case("R12", "class A", "A 0.1, Gamma 0.01, 24 samples a bit", _class_a))
    result.append(
        per_case(
            "R13", "Katayama", "50 Hz, Es/N0 (mean) 8 dB", Traffic(), 4000, 0.01, truth=f"white {100 * packet_error(8.0):.2g} %",
            esn0_db=8.0, background=_katayama,
        )
    )  # fmt: skip
    result.append(
        per_case(
            "R14", "aperiodic, heavy", "51/s, mean 64 us, +40 dB, Es/N0 10 dB", Traffic(), 3000, 0.01, esn0_db=10.0, extra=_heavy
        )
    )
    return result
