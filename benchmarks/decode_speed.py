"""How many times faster than real time a recording is decoded on one core, both carriers watched.

    python benchmarks/decode_speed.py [--require 20]

Decodes a minute of line at 400 kS/s (packets in white noise at 8 dB, one of the test recordings repeated) five times after
compilation, in one thread, and prints the median. The requirement is 20 times real time.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from phy import Profile, Receiver, warmup

RECORDINGS = Path(__file__).parent.parent / "tests" / "recordings"


def main() -> int:
    """Print the figures; exit 1 when the requirement is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--require", type=float, default=20.0, help="times real time (default 20)")
    required: float = parser.parse_args().require
    warmup()
    rate = 400_000.0
    x = np.fromfile(RECORDINGS / "white_8dB.sigmf-data", "<i2").astype(np.float32) / 32768
    copies = int(np.ceil(60 * rate / x.size))
    x = np.tile(x, copies)
    factors = []
    for _ in range(5):
        receiver = Receiver(Profile.load("pl20a"), rate)
        start = time.perf_counter()
        packets = receiver.push(x) + receiver.flush()
        factors.append(x.size / rate / (time.perf_counter() - start))
    good = sum(p.crc_ok for p in packets)
    median = statistics.median(factors)
    print(f"packets decoded            {good} of {8 * copies}")
    print(f"times real time, 5 runs    {', '.join(f'{f:.1f}' for f in factors)}")
    print(f"median                     {median:.1f} x real time = {median * rate / 1e6:.1f} MS/s   (required: {required:g} x)")
    return 0 if median >= required and good == 8 * copies else 1


if __name__ == "__main__":
    sys.exit(main())
