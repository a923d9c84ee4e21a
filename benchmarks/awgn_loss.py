"""White noise: how many dB the whole receiver is from ideal soft decoding, packets of 20 octets, start, phase and clock unknown.

    python benchmarks/awgn_loss.py [--packets 5000,20000] [--profiles pl20a,pl20c] [--carriers primary,secondary]
                                   [--ppm 400,690] [--jobs 2] [--list 16] [--set option=value ...]

Measures the packet error rate where the ideal has 10 % and 1 %, and reads the Es/N0 at which the ideal would have the
measured one; the difference is the loss. Es/N0 is that of the mean packet power; counted by the power of the words alone,
which a shaped pulse's preamble does not share, the loss is larger by the figure in the last column.
Marks: 0.25 dB up to +-400 ppm, 0.5 dB at +-690 ppm; with --list, 0.5 dB better than the ideal word by word.
A receiver that tries several readings of a packet and takes the one whose CRC holds may beat the ideal, and pays with
packets taken wrongly: the last lines count these where nearly every packet is lost (Es/N0 1 dB), against 2^-16 a reading.
"""

import argparse
import multiprocessing
import os
import sys
from typing import Any

import harness
from harness import Carrier, Traffic, verdict
from ideal import esn0_for
from intervals import interval, loss_db

from phy import warmup

_POINTS = (0.10, 0.01)
_CHUNK = 2500  # packets of one job
_LOST_DB = 1.0
_MARKS_DB = {400.0: 0.25, 690.0: 0.5}


def _code(profile: str) -> str:
    return profile.partition("+")[2] or "W11_SPC"


def _measure(job: tuple[str, Carrier, float, float, int, int]) -> tuple[int, int, int, int, int]:
    profile, carrier, ppm, esn0, packets, part = job
    traffic = Traffic(profile=profile, carriers=(carrier,), ppm=(-ppm, ppm))
    got = harness.run(traffic, packets, harness.seed_of("awgn", profile, carrier, ppm, esn0, part), esn0_db=esn0)
    return got.sent, got.errors, got.residual, got.missed, got.false


def _parts(packets: int) -> list[int]:
    return [min(_CHUNK, packets - first) for first in range(0, packets, _CHUNK)]


def main() -> int:
    """Print the losses; exit 1 when a mark is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", default="5000,20000", help="at 10 %% and at 1 %%")
    parser.add_argument("--profiles", default="pl20a,pl20c", help="pl20a+W11_L3 is pl20a with another word code")
    parser.add_argument("--carriers", default="primary,secondary")
    parser.add_argument("--ppm", default="400,690")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", type=int, default=0, metavar="N", help="list decoding with N candidates")
    parser.add_argument("--set", type=harness.option, action="append", default=[], metavar="OPTION=VALUE")
    arguments = parser.parse_args()
    options: dict[str, Any] = dict(arguments.set)
    if arguments.list:
        try:
            options.update([harness.option(f"list_size={arguments.list}")])
        except argparse.ArgumentTypeError as error:
            parser.error(str(error))
    numbers = dict(zip(_POINTS, (int(n) for n in arguments.packets.split(",")), strict=True))
    warmup()
    conditions = [
        (profile, carrier, float(ppm), target)
        for ppm in arguments.ppm.split(",")
        for profile in arguments.profiles.split(",")
        for carrier in arguments.carriers.split(",")
        for target in _POINTS
    ]
    failed = False
    print("profile       carrier    clock         Es/N0      PER [95 %], loss [95 %], mark, what the preamble adds")
    with multiprocessing.get_context("spawn").Pool(arguments.jobs, harness.use_options, (options,)) as pool:
        lost = []
        for profile, carrier, ppm, target in conditions:
            esn0 = esn0_for(target, code=_code(profile))
            jobs = [(profile, carrier, ppm, esn0, n, k) for k, n in enumerate(_parts(numbers[target]))]
            sent, errors, residual, missed, false = (sum(v) for v in zip(*pool.map(_measure, jobs, 1), strict=True))
            low, high = interval(errors, sent)
            loss, best, worst = loss_db(errors, sent, esn0, code=_code(profile))
            mark = -0.5 if arguments.list else _MARKS_DB.get(ppm, 0.5)
            failed |= loss > mark
            per = f"{100 * errors / sent:6.3f} % [{100 * low:.3f}, {100 * high:.3f}] of {sent:<6}"
            print(
                f"{profile:13} {carrier:10} +-{ppm:4g} ppm {esn0:5.2f} dB   {per} "
                f"{loss:+.3f} dB [{best:+.3f}, {worst:+.3f}]  <= {mark:+.2f} {verdict(loss <= mark)}"
                f"   {harness.words_above_mean_db(profile):+.3f}"
                + (f"   {missed} missed" if missed else "")
                + (f"   {residual} wrong with good CRC" if residual else "")
                + (f"   {false} from nothing" if false else ""),
                flush=True,
            )
        for profile in arguments.profiles.split(","):
            jobs = [(profile, "primary", 400.0, _LOST_DB, n, k) for k, n in enumerate(_parts(numbers[0.10]))]
            lost.append((profile, [sum(v) for v in zip(*pool.map(_measure, jobs, 1), strict=True)]))
    for profile, (_, errors, residual, missed, _) in lost:
        tried = errors - missed
        low, high = interval(residual, max(tried, 1))
        print(
            f"false acceptance, {profile}, Es/N0 {_LOST_DB:g} dB: {residual} of {tried} unreadable packets came wrong "
            f"with a good CRC [{low:.1e}, {high:.1e}]; one reading: {2**-16:.1e}"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
