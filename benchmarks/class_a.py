"""Class A noise (A 0.1, Gamma 0.01): the blanker alone, the whole receiver, and what the blanker costs in white noise.

    python benchmarks/class_a.py [--scale 1] [--set option=value ...]

Stage: bits of 24 independent complex samples, phase known, through ImpulseBlanker and an integrator; Eb/N0 (total noise)
for a bit error rate of 1e-3. The truth: a locally optimum detector needs 6.79 - 19.59 = -12.80 dB; mark: 1 dB more.
Receiver: packets at 400 kS/s in the same noise, 24 independent samples a bit wide. White noise: blanker on and off, on the
same noise; mark 0.05 dB.
"""

import argparse
import math
import sys

import harness
import numpy as np
from harness import Levels, Traffic, verdict
from ideal import packet_error
from intervals import interval
from numpy.typing import NDArray

from phy.blanker import ImpulseBlanker
from phy.channel import ClassANoise, Source

REQUIRED_BER = 1e-3
LOCALLY_OPTIMUM_DB = 6.79 - 19.59
_A, _GAMMA, _PER_BIT = 0.1, 0.01, 24


def _noise(rng: np.random.Generator, n: int) -> NDArray[np.complex128]:
    """Independent circular class A samples of mean power 1."""
    variance = (rng.poisson(_A, n) / _A + _GAMMA) / (1 + _GAMMA)
    return np.sqrt(variance / 2) * (rng.standard_normal(n) + 1j * rng.standard_normal(n))


def stage_errors(esn0_db: float, bits: int, seed: int) -> tuple[int, int]:
    """(errors, bits) of BPSK through the blanker and an integrator."""
    rng = np.random.default_rng(seed)
    sent = rng.integers(0, 2, bits) * 2 - 1
    amplitude = math.sqrt(10 ** (esn0_db / 10) / _PER_BIT)
    z = (np.repeat(sent, _PER_BIT) * amplitude + _noise(rng, bits * _PER_BIT)).astype(np.complex64)
    y = ImpulseBlanker(samples_per_bit=_PER_BIT).process(z)
    got = y[: y.size // _PER_BIT * _PER_BIT].reshape(-1, _PER_BIT).real.sum(axis=1)
    return int(np.count_nonzero((got > 0) != (sent[: got.size] > 0))), got.size


def blanker_threshold_db(scale: float = 1.0) -> tuple[float, float, float]:
    """Eb/N0 (dB, total noise) at which the stage has 1e-3 bit errors, with a 95 % interval; inf when it never gets there."""
    bits = max(20_000, round(200_000 * scale))
    grid = np.arange(-14.0, 8.1, 0.5)
    rates = []
    for k, esn0 in enumerate(grid):
        errors, n = stage_errors(float(esn0), bits, harness.seed_of("class A", k))
        rates.append((max(errors, 0.5) / n, *(max(v, 1e-7) for v in interval(errors, n))))
        if errors / n < REQUIRED_BER / 4:
            break

    def crossing(column: int) -> float:
        values = [math.log(r[column]) for r in rates]
        for a, b, at in zip(values, values[1:], grid, strict=False):
            if a >= math.log(REQUIRED_BER) > b:
                return float(at + 0.5 * (a - math.log(REQUIRED_BER)) / (a - b))
        return math.inf if values[-1] >= math.log(REQUIRED_BER) else float(grid[0])

    return crossing(0), crossing(1), crossing(2)


def _class_a_line(levels: Levels) -> Source:
    band = _PER_BIT * harness.load("pl20a").bit_rate
    rms = levels.density * math.sqrt(band)
    return ClassANoise.preset(
        "A.1_G.01", levels.rate, rms, centre_hz=levels.carrier_hz, bandwidth_hz=band, seed=levels.seed, stream=1
    )


def _receiver_curve(scale: float) -> float:
    """Prints the packet error rate of the whole receiver; returns Es/N0 (total) for 10 %."""
    n = max(40, round(300 * scale))
    at, last = math.inf, (math.nan, 1.0)
    for esn0 in np.arange(-16.0, 6.1, 1.0):
        got = harness.run(Traffic(), n, harness.seed_of("class A", float(esn0)), esn0_db=float(esn0), background=_class_a_line)
        per = max(got.errors, 0.5) / n
        low, high = interval(got.errors, n)
        text = f"PER {100 * got.errors / n:6.2f} % [{100 * low:.2f}, {100 * high:.2f}] of {n}"
        print(f"receiver, class A   Es/N0 {esn0:+6.1f} dB   {text}")
        if per <= 0.1 and not math.isfinite(at):
            x0, p0 = last
            at = float(x0 + math.log(p0 / 0.1) / math.log(p0 / per)) if math.isfinite(x0) else float(esn0)
        if got.errors / n < 0.01:
            break
        last = (float(esn0), per)
    return at


def _white_cost(scale: float) -> tuple[float, float]:
    """(cost in dB, half of its 95 % interval) of the blanker in white noise, from packets that one of the two alone lost."""
    n = max(200, round(6000 * scale))
    esn0 = 5.05
    lost: dict[str, set[int]] = {}
    for name, options in (("on", {}), ("off", {"blanker": 0.0})):
        got = harness.run(Traffic(), n, harness.seed_of("blanker"), esn0_db=esn0, options=options)
        lost[name] = set(np.flatnonzero(~got.delivered).tolist())
    slope = math.log(packet_error(esn0 - 0.1) / packet_error(esn0 + 0.1)) / 0.2  # of ln PER, per dB
    mean = (len(lost["on"]) + len(lost["off"])) / 2
    difference, discordant = len(lost["on"]) - len(lost["off"]), len(lost["on"] ^ lost["off"])
    return difference / mean / slope, 1.96 * math.sqrt(max(discordant, 1)) / mean / slope


def main() -> int:
    """Print the figures; exit 1 when a mark is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of bits and packets")
    parser.add_argument("--set", type=harness.option, action="append", default=[], metavar="OPTION=VALUE")
    arguments = parser.parse_args()
    harness.use_options(dict(arguments.set))
    found, low, high = blanker_threshold_db(arguments.scale)
    stage_ok = found <= LOCALLY_OPTIMUM_DB + 1.0
    truth = f"locally optimum {LOCALLY_OPTIMUM_DB:.2f}, mark {LOCALLY_OPTIMUM_DB + 1:.2f}: {verdict(stage_ok)}"
    print(f"blanker stage       Eb/N0 for 1e-3: {found:.2f} dB [{low:.2f}, {high:.2f}]; {truth}")
    for esn0 in (-8.0, 0.0, 6.0, 12.0):
        errors, n = stage_errors(esn0, max(20_000, round(100_000 * arguments.scale)), harness.seed_of("strong", esn0))
        print(f"  strong signal     Eb/N0 {esn0:+5.1f} dB: BER {errors / n:.2e} (a blanker of a fixed threshold fails here)")
    at = _receiver_curve(arguments.scale)
    # The stage's own distance from the bound, at packet level: 5.05 dB is the ideal's 10 % point in white noise.
    bound = 5.05 - 19.59
    print(f"whole receiver      Es/N0 (total) for PER 10 %: {at:.2f} dB; bound {bound:.2f} (for information)")
    cost, half = _white_cost(arguments.scale)
    cost_ok = cost <= 0.05
    print(f"white noise         blanker on against off: {cost:+.3f} dB +-{half:.3f}; mark 0.05: {verdict(cost_ok)}")
    return 0 if stage_ok and cost_ok else 1


if __name__ == "__main__":
    sys.exit(main())
