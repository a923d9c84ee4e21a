"""Impulses locked to the mains: packet error rate of the receiver against ideal blanking of the hit samples.

    python benchmarks/mains_impulses.py [--packets 2000] [--jobs 2] [--set option=value ...]

Bursts of white Gaussian noise of a given density over the background's, as a real waveform at 400 kS/s, packets of 20 octets.
Ideal: exactly the hit part of each bit is left out, everything else known. Mark: at most twice the ideal; a count fails when
it disproves that (95 %), or when its estimate is above it and above 3 in 1000.
"""

import argparse
import multiprocessing
import os
import sys
from functools import partial

import harness
from harness import Traffic, verdict
from ideal import ideal_blanking_error
from intervals import consistent_at_most, interval
from requirements.impulses import gated

from phy import warmup

# Es/N0 (dB), level over the background (dB), width (s), impulses a second, published ideal (3000 packets each)
ROWS = (
    (8.0, 30.0, 50e-6, 100.0, 0.0007),
    (8.0, 40.0, 100e-6, 100.0, 0.0),
    (8.0, 40.0, 250e-6, 100.0, 0.0013),
    (8.0, 30.0, 500e-6, 100.0, 0.119),
    (12.0, 30.0, 500e-6, 100.0, 0.0063),
    (12.0, 40.0, 100e-6, 600.0, 0.0),
    (12.0, 30.0, 1e-3, 100.0, 0.988),
    (20.0, 30.0, 50e-6, 100.0, 0.0),
)
_CHUNK = 1000
_FEW = 0.003


def _measure(row: tuple[float, float, float, float, float], packets: int, part: int) -> tuple[int, int, int]:
    esn0, level_db, width, per_second, _ = row
    extra = partial(gated, level_db, per_second, width)
    got = harness.run(Traffic(), packets, harness.seed_of("mains", row, part), esn0_db=esn0, extra=extra)
    return got.errors, got.sent, got.residual


def main() -> int:
    """Print the rows; exit 1 when one is above twice the ideal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=3000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--set", type=harness.option, action="append", default=[], metavar="OPTION=VALUE")
    arguments = parser.parse_args()
    warmup()
    failed = False
    with multiprocessing.get_context("spawn").Pool(arguments.jobs, harness.use_options, (dict(arguments.set),)) as pool:
        for row in ROWS:
            esn0, level_db, width, per_second, published = row
            parts = [min(_CHUNK, arguments.packets - first) for first in range(0, arguments.packets, _CHUNK)]
            found = pool.starmap(_measure, [(row, n, k) for k, n in enumerate(parts)], 1)
            errors, sent, residual = (sum(v) for v in zip(*found, strict=True))
            ideal = ideal_blanking_error(esn0, width, per_second)
            low, high = interval(errors, sent)
            mark = 2 * ideal
            ok = consistent_at_most(errors, sent, min(mark, 1.0)) and (errors / sent <= mark or errors / sent <= _FEW)
            failed |= not ok
            per = f"PER {100 * errors / sent:7.3f} % [{100 * low:.3f}, {100 * high:.3f}] of {sent}"
            print(
                f"Es/N0 {esn0:4.1f} dB  {level_db:+.0f} dB {1e6 * width:5.0f} us {per_second:4.0f}/s   {per}   "
                f"ideal {100 * ideal:.3f} % (published {100 * published:.2f}), "
                f"mark twice {verdict(ok)}" + (f"   {residual} wrong with good CRC" if residual else ""),
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
