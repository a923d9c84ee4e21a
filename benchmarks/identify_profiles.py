"""Share of random profiles that `identify` learns from a recording of ordinary packets.

    python benchmarks/identify_profiles.py [--condition NAME,...] [--runs 100] [--seed 1] [--json FILE] [--verbose]

Every run draws a profile (preamble, sync, word code, bit order, polarity, pulse, ramps, end words, crystal, divider), records a
line of it with a modulator of its own (not `phy.Transmitter`), learns the profile from the recording, and compares:

    values    every learnt value against the drawn one, up to what cannot be seen: all bits inverted, and the split of the header
    function  fifteen unseen packets of the same line, through `phy.Receiver` with the learnt and with the drawn profile
    sure      values reported with a confidence of at least 0.99 that are right

Exit code 1 when the condition `plain` (100 packets at 20 dB) or any other given one with a required share falls below it.
"""

import argparse
import dataclasses
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from random_lines import CONDITIONS, Condition, Crc, Line, Truth

from phy import Profile, Receiver, warmup
from phy.crc import Crc as LearntCrc
from phy.framing import packet_bits
from phy.identify import BurstFinder, Identification, identify
from phy.words import WordCode

UNSEEN = 15


def learn(x: np.ndarray, rate: float) -> Identification:
    finder = BurstFinder(rate)
    bursts = [b for first in range(0, x.size, 1 << 18) for b in finder.push(x[first : first + (1 << 18)])]
    return identify(bursts + finder.flush())


def compare(truth: Truth, learnt: Profile) -> dict[str, bool]:
    """Which values are right, in the polarity that fits best."""
    order = [int(f"{o:08b}"[::-1], 2) if learnt.lsb_first else o for o in range(256)]
    rng = np.random.default_rng(0)
    best: dict[str, bool] = {}
    for flip in (np.uint8(0), np.uint8(1)):
        header = truth.header ^ flip
        if truth.differential and learnt.differential:
            header[0] = learnt.header_bits[0]  # the bit before it does not exist
        code = np.array_equal(learnt.code.table[order], truth.table ^ flip)
        right = {
            "header": np.array_equal(learnt.header_bits, header), "packet.code": code, "packet.bit_order": code,
            "packet.inversion": code, "packet.end_words": learnt.end_words == truth.end_words,
            "packet.end_word": not truth.end_words or np.array_equal(learnt.end_word, truth.end_word ^ flip),
            "pulse.differential": learnt.differential == truth.differential,
        }  # fmt: skip
        # Two descriptions that send the same bits for every packet are one.
        examples = [truth.crc.append(bytes(rng.integers(0, 256, 20).astype(np.uint8))) for _ in range(8)]
        octets = [packet_bits(lpdu, learnt) for lpdu in examples]
        if all(np.array_equal(truth.bits(lpdu) ^ flip, bits) for lpdu, bits in zip(examples, octets, strict=True)):
            right = dict.fromkeys(right, True)
        if sum(right.values()) > sum(best.values()):
            best = right
    cycle = learnt.constants["carrier.master_clock_hz"].value / learnt.constants["carrier.clocks_per_cycle"].value
    same_clock = abs(cycle / truth.cycle_hz - 1) < 10e-6
    cycles = [learnt.constants[f"carrier.{n}_cycles_per_bit"].value for n in ("primary", "secondary")]
    return best | {
        "packet.preamble": best["header"] and learnt.preamble.size == truth.preamble.size,
        "packet.sync": best["header"] and learnt.sync.size == truth.sync.size,
        "packet.crc": all(learnt.crc.ok(lpdu) for lpdu in examples),
        "pulse.alpha": abs(learnt.alpha - truth.alpha) <= 0.1,
        "pulse.ramp_bits": abs(learnt.ramp_bits - truth.ramp) <= 0.25,
        "carrier.master_clock_hz": same_clock, "carrier.clocks_per_cycle": same_clock,
        "near clock": abs(cycle / truth.cycle_hz - 1) < 420e-6,
        "carrier.primary_cycles_per_bit": cycles[0] == truth.clock[2],
        "carrier.secondary_cycles_per_bit": cycles[1] == truth.clock[3],
    }  # fmt: skip


def as_profile(truth: Truth) -> Profile:
    """The drawn profile for the receiver."""
    return dataclasses.replace(
        Profile.load("pl20a"), bit_rate=truth.bit_rate, carriers={"primary": truth.cycle_hz, "secondary": truth.carrier(True)},
        alpha=truth.alpha, ramp_bits=truth.ramp, differential=truth.differential, preamble=truth.preamble, sync=truth.sync,
        code=WordCode("table", truth.table), end_word=truth.end_word, end_words=truth.end_words, crc=learnt_crc(truth.crc),
    )  # fmt: skip


def learnt_crc(crc: Crc) -> LearntCrc:
    """The drawn check sequence for the receiver."""
    swapped = crc.swapped != crc.reflected
    return LearntCrc.parametric(crc.polynomial, crc.initial, crc.final_xor, crc.reflected, swapped)


def decoded(profile: Profile, x: np.ndarray, rate: float, sent: list[bytes]) -> int:
    receiver = Receiver(profile, rate)
    got = {p.lpdu for p in [*receiver.push(x), *receiver.flush()] if p.crc_ok}
    return sum(lpdu in got for lpdu in sent)


@dataclass
class Outcome:
    """Of one run. wrong: values that are wrong; confidences: (key, confidence, right)."""

    learnt: bool
    wrong: list[str]
    confidences: list[tuple[str, float, bool]]
    received: int
    possible: int
    seconds: float
    note: str

    @property
    def ok(self) -> bool:
        """Learnt, all that matters right, and the receiver does as well with it as with the drawn profile."""
        return self.learnt and not self.wrong and self.received >= self.possible


def attempt(c: Condition, seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    line = Line.draw(rng, c)
    x, _ = line.record(rng, c.packets)
    begin = time.perf_counter()
    result = learn(x, line.rate)
    seconds = time.perf_counter() - begin
    if result.profile is None:
        return Outcome(False, ["nothing learnt"], [], 0, 0, seconds, "; ".join(f"{g.subject}: {g.reason}" for g in result.gaps))
    learnt = Profile.from_text(result.profile)
    right = compare(line.truth, learnt)
    confidences = [(f.key, f.confidence, right[f.key]) for f in result.findings if f.confidence > 0 and f.key in right]
    # A clock or a carrier that the recording cannot tell may be wrong, when it is said so.
    doubtful = {key for key, confidence, _ in confidences if confidence < 0.9}
    doubtful |= {f.key for f in result.findings if f.confidence == 0}
    wrong = [key for key, value in right.items() if not value and key not in doubtful]
    calm = dataclasses.replace(c, impulses_hz=0, collisions=0, cut=False, clip=0, foreign=False)
    unseen = dataclasses.replace(line, condition=calm)
    y, sent = unseen.record(rng, UNSEEN)
    received = decoded(learnt, y, line.rate, sent)
    possible = UNSEEN if received == UNSEEN else decoded(as_profile(line.truth), y, line.rate, sent)
    return Outcome(True, wrong, confidences, received, possible, seconds, "; ".join(g.subject for g in result.gaps))


def run(name: str, runs: int, seed: int, verbose: bool) -> tuple[float, dict[str, object]]:
    c = CONDITIONS[name]
    outcomes = []
    for k in range(runs):
        outcomes.append(attempt(c, seed * 100_000 + k))
        if verbose and not outcomes[-1].ok:
            o = outcomes[-1]
            print(f"    seed {seed * 100_000 + k}: {o.wrong} received {o.received} of {o.possible} | {o.note[:300]}", flush=True)
    share = sum(o.ok for o in outcomes) / runs
    sure = [entry for o in outcomes for entry in o.confidences if entry[1] >= 0.99]
    most = [entry for o in outcomes for entry in o.confidences if 0.9 <= entry[1] < 0.99]
    kinds = Counter(key for o in outcomes for key in o.wrong)
    false = Counter(key for key, _, right in sure if not right)
    row = {
        "condition": name, "runs": runs, "ok": share, "learnt": sum(o.learnt for o in outcomes) / runs,
        "received": sum(o.received for o in outcomes), "possible": sum(o.possible for o in outcomes),
        "sure": len(sure), "sure_right": sum(r for _, _, r in sure),
        "likely": len(most), "likely_right": sum(r for _, _, r in most),
        "seconds": float(np.median([o.seconds for o in outcomes])), "wrong": dict(kinds), "falsely_sure": dict(false),
    }  # fmt: skip
    text = f"{name:<24} {runs:4d} {100 * share:6.1f} % {100 * sum(o.learnt for o in outcomes) / runs:6.1f} %  "
    text += "{received:5d}/{possible:<5d} {sure_right:5d}/{sure:<5d} {likely_right:4d}/{likely:<4d} ".format(**row)
    text += f"{row['seconds']:5.1f} s"
    print(text, dict(kinds) or "", f"FALSELY SURE {dict(false)}" if false else "", flush=True)
    return share, row


def main() -> int:
    """Print a row for each condition; exit 1 when one that has a required share misses it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--condition", default="plain", help="names with commas between them, or all")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--verbose", action="store_true", help="a line for each run that failed")
    arguments = parser.parse_args()
    names = list(CONDITIONS) if arguments.condition == "all" else arguments.condition.split(",")
    warmup()
    print("condition                runs      all right    learnt   received      sure, right  likely    time  wrong values")
    failed, rows = [], []
    for name in names:
        share, row = run(name, arguments.runs, arguments.seed, arguments.verbose)
        rows.append(row)
        required = CONDITIONS[name].required
        if required is not None and share < required:
            failed.append(f"{name}: {100 * share:.1f} %, required {100 * required:.0f} %")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print("; ".join(failed) or "every required share is reached")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
