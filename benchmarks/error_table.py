"""The modem's own error curves as a table for simulations at the level of frames (`flowgraphs/error_table.toml`).

    python benchmarks/error_table.py [--packets 300] [--collisions 200] [--seed 1] [-o flowgraphs/error_table.toml]

Four measurements with the complete receiver, each number with the packets it was counted from:

- white noise: packets that fail their CRC, and packets that go unnoticed, against Es/N0 and the octets of the LPDU;
- two packets at once, Es/N0 30 dB: the same against the ratio of wanted to other signal, for two that start together
  (as two stations do that drew the same slot), for the first of two and for the second of two (hidden stations);
- carrier sense: bit times from the start of a packet until `channel_busy`, and how many are never sensed;
- release: bit times from the end of a packet until `channel_busy` is over.
"""

import argparse
import hashlib
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import harness
import numpy as np
from harness import RATE, Samples, Sent, Traffic

from flowgraphs.campaign.version import code_version
from flowgraphs.error_table import FORMAT, ErrorTable, digest, load_table
from phy import Transmitter, append_crc, warmup
from phy.channel import WhiteNoise

PROFILES: Final = ("pl20a", "pl20c")
OCTETS: Final = (8, 16, 32, 64, 128)  # of the LPDU with its CRC
ESN0_DB: Final = tuple(0.5 * k for k in range(-2, 18))  # -1..8.5
SIR_DB: Final = (-20.0, -12.0, -9.0, -6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 9.0, 12.0, 20.0)
SENSE_DB: Final = (0.0, 3.0, 4.5, 6.0, 7.5, 9.0, 12.0, 20.0)
COLLISION_DB: Final = 30.0  # Es/N0 of the weaker of the two
COLLISION_OCTETS: Final = 20
TOGETHER_BITS: Final = 4.0  # two stations that drew one slot start at most so far apart: the time that sensing takes


@dataclass
class Tally:
    """Packets sent, failed with a bad CRC, and unnoticed."""

    sent: int = 0
    failed: int = 0
    missed: int = 0


def white(profile: str, octets: int, esn0_db: float, packets: int, seed: int) -> Tally:
    """One point of the curves in white noise."""
    traffic = Traffic(profile=profile, octets=octets)
    got = harness.run(traffic, packets, harness.seed_of("table", seed, profile, octets, esn0_db), esn0_db=esn0_db)
    return Tally(got.sent, got.errors - got.missed, got.missed)


def collide(profile: str, sir_db: float, together: bool, packets: int, seed: int) -> tuple[Tally, Tally]:
    """Two packets at once; the first is `sir_db` above the second. Returns what became of the first and of the second."""
    rng = np.random.default_rng(harness.seed_of("collision", seed, profile, sir_db, together))
    shape = harness.load(profile)
    bit = RATE * shape.bit_time
    weaker = min(1.0, 10 ** (-sir_db / 20))
    power = harness.mean_power(Traffic(profile=profile)) * weaker**2
    density = math.sqrt(power * shape.bit_time / 10 ** (COLLISION_DB / 10))
    noise = WhiteNoise(RATE, density=density, seed=int(rng.integers(1 << 31)), stream=1)
    receiver = harness.make_receiver(profile, RATE)
    sent: list[Sent] = []
    got = []
    position = 0
    for _ in range(packets):
        x = np.zeros(0, np.float32)
        first = round(rng.uniform(30, 50) * bit)
        for level_db in (0.0, -sir_db):
            ppm, level = float(rng.uniform(-200, 200)), 10 ** (level_db / 20)
            sender = Transmitter(shape, RATE, level_v=level, clock_ppm=ppm)
            lpdu = append_crc(rng.bytes(COLLISION_OCTETS - 2))
            wave = sender.modulate(lpdu, phase=float(rng.uniform(-math.pi, math.pi)))
            grown = np.zeros(max(x.size, first + wave.size), np.float32)
            grown[: x.size] = x
            grown[first : first + wave.size] += wave
            x = grown
            sent.append(Sent(lpdu, position + first + sender.lead_samples, "primary", ppm, level))
            first += round((rng.uniform(0.0, TOGETHER_BITS) if together else rng.uniform(0.1, 0.9) * wave.size / bit) * bit)
        x = np.concatenate((x, np.zeros(round(30 * bit), np.float32)))
        got += receiver.push(x + noise.generate(x.size))
        position += x.size
    got += receiver.flush()
    counted = harness.count(sent, got, bit)
    noticed = {id(pair[0]) for pair in counted.pairs}
    tallies = []
    for part in (0, 1):
        delivered = int(np.count_nonzero(counted.delivered[part::2]))
        missed = sum(id(packet) not in noticed for packet in sent[part::2])
        tallies.append(Tally(packets, packets - delivered - missed, missed))
    return tallies[0], tallies[1]


def sense(profile: str, esn0_db: float, packets: int, seed: int) -> tuple[float, float, int, float]:
    """Median and 99 % quantile of the bits until busy among those sensed, how many never were, median bits until free."""
    rng = np.random.default_rng(harness.seed_of("sense", seed, profile, esn0_db))
    shape = harness.load(profile)
    bit = RATE * shape.bit_time
    power = harness.mean_power(Traffic(profile=profile))
    noise = WhiteNoise(RATE, density=math.sqrt(power * shape.bit_time / 10 ** (esn0_db / 10)), seed=seed, stream=1)
    receiver = harness.make_receiver(profile, RATE)
    step = round(bit / 4)
    sensed, released, never = [], [], 0
    for _ in range(packets):
        sender = Transmitter(shape, RATE, level_v=1.0, clock_ppm=float(rng.uniform(-200, 200)))
        wave: Samples = sender.modulate(append_crc(rng.bytes(14)), phase=float(rng.uniform(-math.pi, math.pi)))
        gap = round(rng.uniform(60, 80) * bit)
        x = np.concatenate((np.zeros(gap, np.float32), wave, np.zeros(round(40 * bit), np.float32)))
        x += noise.generate(x.size)
        start = gap + sender.lead_samples
        end = start + round(shape.packet_bits(16) * bit)
        busy_at = free_at = None
        for first in range(0, x.size, step):
            receiver.push(x[first : first + step])
            at = first + step
            if receiver.channel_busy and start < at <= end:
                busy_at = at if busy_at is None else busy_at
                free_at = None
            elif not receiver.channel_busy and at > end and free_at is None:
                free_at = at
        if busy_at is None:
            never += 1
        else:
            sensed.append((busy_at - start) / bit)
            if free_at is not None:
                released.append((free_at - end) / bit)
    if not sensed:
        return math.inf, math.inf, never, math.inf
    return (
        float(np.median(sensed)),
        float(np.quantile(sensed, 0.99)),
        never,
        float(np.median(released)) if released else math.inf,
    )


def _rows(name: str, rows: list[list[int]]) -> list[str]:
    return [f"{name} = [", *(f"  {row}," for row in rows), "]"]


def measure(profile: str, packets: int, collisions: int, seed: int, say: Callable[[str], None]) -> list[str]:
    """One profile's part of the file."""
    lines = [f"[{profile}.white]", f"octets = {list(OCTETS)}", f"esn0_db = {list(ESN0_DB)}"]
    table: dict[str, list[list[int]]] = {"sent": [], "failed": [], "missed": []}
    for octets in OCTETS:
        points = [white(profile, octets, esn0_db, packets, seed) for esn0_db in ESN0_DB]
        for name, rows in table.items():
            rows.append([getattr(point, name) for point in points])
        say(f"{profile}: {octets} octets done")
    lines += ["# a row for each number of octets, a column for each Es/N0"]
    for name, rows in table.items():
        lines += _rows(name, rows)
    for kind, together in (("together", True), ("apart", False)):
        pairs = [collide(profile, sir_db, together, collisions, seed) for sir_db in SIR_DB]
        say(f"{profile}: collisions {kind} done")
        for part, name in enumerate(("first", "second")):
            lines += ["", f"[{profile}.{kind}.{name}]"]
            # of the second packet, wanted and other change places
            sign = 1 if part == 0 else -1
            ordered = sorted((sign * sir, pair[part]) for sir, pair in zip(SIR_DB, pairs, strict=True))
            lines.append(f"sir_db = {[sir for sir, _ in ordered]}")
            for field in ("sent", "failed", "missed"):
                lines.append(f"{field} = {[getattr(tally, field) for _, tally in ordered]}")
    points_ = [sense(profile, esn0_db, max(20, collisions // 3), seed) for esn0_db in SENSE_DB]
    say(f"{profile}: carrier sense done")
    lines += ["", f"[{profile}.sense]", f"esn0_db = {list(SENSE_DB)}", f"sent = {max(20, collisions // 3)}"]
    lines.append(f"never = {[p[2] for p in points_]}")
    for field, k in (("median_bits", 0), ("late_bits", 1), ("release_bits", 3)):
        lines.append(f"{field} = {[round(p[k], 2) if math.isfinite(p[k]) else -1.0 for p in points_]}  # -1: none sensed")
    return lines


def main() -> int:
    """Measure, write the file, read it back and print it as curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=300, help="of each point in white noise")
    parser.add_argument("--collisions", type=int, default=200, help="pairs of each point of the collisions")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=Path("flowgraphs/error_table.toml"))
    arguments = parser.parse_args()
    warmup()
    version = code_version()
    started_at = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started_at:6.0f} s  {text}", flush=True)

    parts: list[str] = []
    for profile in PROFILES:
        parts += ["", *measure(profile, arguments.packets, arguments.collisions, arguments.seed, say)]
    body = "\n".join(parts) + "\n"
    head = [
        "# The modem's own error curves, measured by benchmarks/error_table.py; not to be edited by hand.",
        f"format = {FORMAT}",
        f'version = "{version}"',
        f"seed = {arguments.seed}",
        f'sha256 = "{digest(body)}"  # of everything below this line',
    ]
    arguments.output.write_text("\n".join(head) + "\n" + body, encoding="utf-8")
    for profile in PROFILES:
        table: ErrorTable = load_table(profile, arguments.output)
        say(f"{profile}: Es/N0 of 10 % loss, octets: " + ", ".join(f"{n}: {table.esn0_for(0.1, n):.2f} dB" for n in OCTETS))
    say(f"sha256 {hashlib.sha256(arguments.output.read_bytes()).hexdigest()[:12]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
