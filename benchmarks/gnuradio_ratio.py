"""Speed of our receiver watching one carrier against the fastest GNU Radio chain, on one core, in the same run.

    python benchmarks/gnuradio_ratio.py [--seconds 120] [--runs 5] [--gnuradio-python /usr/bin/python3]

Both get the same file of 400 kS/s real samples: an idle line, one with a packet of 20 octets a second, one with packets back to
back (gaps of 24 bits). Runs alternate, each process is held to one core, medians are compared. GNU Radio runs in its own process
(gnuradio_chain.py, decimation 16 and 8, the better one counts); it demodulates a continuous stream and finds headers, but decodes
no packets, so its speed does not depend on the line. Mark: 3 times its speed, for the first two lines; a line without pauses is
measured for information: there we decode twelve packets a second and a core that runs GNU Radio's chain at 130 MS/s would have to
do so at 400. Needs the system package `gnuradio`; without it the command says so and exits with 0.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
import numpy as np
from harness import RATE, Samples, verdict
from receiver_speed import idle_line, loaded_line

from phy import warmup

MARK = 3.0
_BLOCK = 1 << 19
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
_CHAIN = Path(__file__).with_name("gnuradio_chain.py")


def ours(x: Samples) -> float:
    """MS/s."""
    receiver = harness.make_receiver("pl20a", RATE, ("primary",))
    start = time.perf_counter()
    for first in range(0, x.size, _BLOCK):
        receiver.push(x[first : first + _BLOCK])
    receiver.flush()
    return x.size / (time.perf_counter() - start) / 1e6


def theirs(python: str, path: Path, decimation: int, core: int) -> float:
    """MS/s of one run of the chain; its scheduler's threads are held to the same core."""
    profile = harness.load("pl20a")
    command = [
        python,
        str(_CHAIN),
        str(path),
        str(RATE),
        str(profile.carrier_hz("primary")),
        str(profile.bit_rate),
        str(decimation),
        "".join(map(str, profile.header_bits)),
    ]
    pin = ["taskset", "-c", str(core)] if hasattr(os, "sched_setaffinity") else []
    answer = subprocess.run([*pin, *command], capture_output=True, text=True, check=False, env=_ENVIRONMENT)
    if answer.returncode != 0:
        raise RuntimeError(f"the GNU Radio chain failed: {answer.stderr.strip().splitlines()[-1:]}")
    samples, seconds, _ = answer.stdout.split()[-3:]
    return int(samples) / float(seconds) / 1e6


def main() -> int:
    """Print the ratio; exit 1 when it is below the mark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0, help="of line in each run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--gnuradio-python", default="/usr/bin/python3")
    arguments = parser.parse_args()
    asked = [arguments.gnuradio_python, "-c", "from gnuradio import gr; print(gr.version())"]
    try:
        version = subprocess.run(asked, capture_output=True, text=True, check=True, env=_ENVIRONMENT).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        print(f"skipped: no GNU Radio for {arguments.gnuradio_python} (Debian: apt-get install gnuradio)")
        return 0
    warmup()
    core = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    ok = True
    profile = harness.load("pl20a")
    once_a_second = loaded_line(arguments.seconds, profile.bit_rate - profile.packet_bits(20) - 2)[0]
    lines = (
        ("idle", idle_line(arguments.seconds), True),
        ("a packet a second", once_a_second, True),
        ("packets back to back", loaded_line(arguments.seconds)[0], False),
    )
    for name, x, judged in lines:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "line.f32"
            np.asarray(x, "<f4").tofile(path)
            rates: dict[str, list[float]] = {"ours": [], "decimation 16": [], "decimation 8": []}
            for _ in range(arguments.runs):
                rates["ours"].append(ours(x))
                rates["decimation 16"].append(theirs(arguments.gnuradio_python, path, 16, core))
                rates["decimation 8"].append(theirs(arguments.gnuradio_python, path, 8, core))
        medians = {key: statistics.median(values) for key, values in rates.items()}
        best = max(medians["decimation 16"], medians["decimation 8"])
        ratio = medians["ours"] / best
        ok &= ratio >= MARK or not judged
        mark = f"mark {MARK:g} {verdict(ratio >= MARK)}" if judged else "for information"
        print(
            f"{name:20}, one carrier, one core: ours {medians['ours']:.1f} MS/s; GNU Radio {version} "
            f"{medians['decimation 16']:.1f} (decimation 16), {medians['decimation 8']:.1f} (8); "
            f"ratio {ratio:.2f}, {mark}",
            flush=True,
        )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
