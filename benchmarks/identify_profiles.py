"""Share of random profiles that `identify` learns from a recording of ordinary packets.

    python benchmarks/identify_profiles.py [--condition NAME,...] [--runs 100] [--seed 1] [--json FILE] [--list]

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
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from phy import Profile, Receiver, warmup
from phy.crc import Crc as LearntCrc
from phy.framing import packet_bits
from phy.identify import BurstFinder, Identification, identify
from phy.words import WordCode

FIELD_CLOCKS = [(6.5536e6, 76, 24, 21), (10e6, 116, 24, 21), (10e6, 76, 24, 21)]
UNSEEN = 15


@dataclass(frozen=True)
class Crc:
    """A 16-bit check sequence, bit by bit. swapped: low octet sent first."""

    polynomial: int = 0x1021
    initial: int = 0xFFFF
    final_xor: int = 0xFFFF
    reflected: bool = False
    swapped: bool = False

    def append(self, octets: bytes) -> bytes:
        register = self.initial
        for octet in octets:
            for k in range(8):
                bit = octet >> (k if self.reflected else 7 - k) & 1
                top = register >> 15 & 1
                register = register << 1 & 0xFFFF
                if top ^ bit:
                    register ^= self.polynomial
        if self.reflected:
            register = int(f"{register:016b}"[::-1], 2)
        return octets + (register ^ self.final_xor).to_bytes(2, "little" if self.swapped else "big")


@dataclass(frozen=True)
class Condition:
    """How the line is used and disturbed. Fractions are of packets."""

    packets: int = 100
    esn0_db: float = 20.0
    rate: float = 400e3
    fs_choice: tuple[float, ...] = ()
    carriers: str = "both"  # both, one
    stations: int = 5
    ppm: float = 200.0
    level_spread_db: float = 6.0  # between stations; Es/N0 is that of the weakest
    gap_s: float = 0.02
    lpdu: str = "ordinary"  # ordinary, random, short
    clock: str = "field"  # field, odd
    code: str = "any"  # any, constant bits
    header: str = "35"  # 35, other lengths, unmodulated
    end: str = "any"  # any, code word
    differential: bool = False
    impulses_hz: float = 0.0  # 100 us bursts of 20 times the carrier
    tone_db: float | None = None  # steady tone beside the carrier, over a packet's level
    dc: float = 0.0
    clip: float = 0.0  # share of the largest level above which the recorder clips, 0 does not
    foreign: bool = False  # bursts of keyed frequency between the packets
    collisions: float = 0.0
    cut: bool = False  # the recording begins and ends within a packet
    crc: str = "genibus"
    required: float | None = None


CONDITIONS = {
    "plain": Condition(required=0.99),
    "harsh": Condition(esn0_db=14.0, impulses_hz=2.0, level_spread_db=20.0, dc=0.2, foreign=True),
    "12dB": Condition(esn0_db=12.0),
    "tone": Condition(tone_db=6.0),
    "impulses": Condition(impulses_hz=5.0),
    "levels": Condition(level_spread_db=40.0),
    "collisions": Condition(collisions=0.1, foreign=True),
    "one carrier": Condition(carriers="one", required=0.99),
    "sparse": Condition(gap_s=0.6, packets=60),
    "dense": Condition(gap_s=0.0),
    "rates": Condition(fs_choice=(192e3, 250e3, 500e3, 1e6)),
    "random octets": Condition(lpdu="random"),
    "short": Condition(lpdu="short"),
    "odd clock": Condition(clock="odd"),
    "constant bits": Condition(code="constant bits"),
    "headers": Condition(header="other lengths"),
    "unmodulated": Condition(header="unmodulated"),
    "end word is a code word": Condition(end="code word"),
    "differential": Condition(differential=True),
    "clipped": Condition(clip=0.5),
    "cut": Condition(cut=True),
    "50 packets": Condition(packets=50),
    "20 packets": Condition(packets=20),
    "10 packets": Condition(packets=10),
    "5 packets": Condition(packets=5),
    "other crc": Condition(crc="listed"),
    "unknown crc": Condition(crc="unlisted"),
}

LISTED = [
    Crc(0x8005, 0x0000, 0x0000), Crc(0x1021, 0x0000, 0x0000), Crc(0x1021, 0xFFFF, 0x0000), Crc(0x3D65, 0, 0xFFFF),
    Crc(0x8005, 0xFFFF, 0x0000, True, True), Crc(0x3D65, 0, 0xFFFF, True, True), Crc(0x8BB7, 0, 0),
]  # fmt: skip


# Generators without a double factor that no catalogue lists (0x1021's kind: x + 1 times one that is prime, or one that is prime).
UNLISTED = [0x002D, 0x6F41, 0x1A2F, 0x5B93, 0x2F15, 0x9EB3, 0x1021 ^ 0x1800]


@dataclass(frozen=True)
class Truth:
    """What the line is."""

    clock: tuple[float, int, int, int]
    alpha: float
    ramp: float
    preamble: np.ndarray
    sync: np.ndarray
    table: np.ndarray  # (256, 11), by octet, bit order and polarity included
    end_word: np.ndarray
    end_words: int
    differential: bool
    crc: Crc
    names: tuple[str, ...] = field(default=())

    @property
    def cycle_hz(self) -> float:
        return self.clock[0] / self.clock[1]

    @property
    def bit_rate(self) -> float:
        return self.cycle_hz / self.clock[2]

    @property
    def header(self) -> np.ndarray:
        return np.concatenate([self.preamble, self.sync])

    def carrier(self, secondary: bool) -> float:
        return self.bit_rate * self.clock[3] if secondary else self.cycle_hz

    def bits(self, lpdu: bytes) -> np.ndarray:
        words = self.table[np.frombuffer(lpdu, np.uint8)].ravel()
        bits = np.concatenate([self.header, words, np.tile(self.end_word, self.end_words)])
        return np.bitwise_xor.accumulate(bits) if self.differential else bits


def draw_code(rng: np.random.Generator, kind: str) -> np.ndarray:
    octets = (np.arange(256)[:, None] >> np.arange(7, -1, -1) & 1).astype(np.uint8)
    style = "constant" if kind == "constant bits" else rng.choice(["systematic", "positions", "any", "any", "constant", "named"])
    while True:
        rows = rng.integers(0, 2, (8, 11))
        order = np.arange(11) if style == "systematic" else rng.permutation(11)
        if style in ("systematic", "positions", "constant", "named"):
            rows[:, order[:8]] = np.eye(8, dtype=int)
        if style == "constant":
            rows[:, order[8 : 8 + rng.integers(1, 4)]] = 0
        offset = rng.integers(0, 2, 11) if rng.integers(2) else np.zeros(11, int)
        if style == "named":
            name = str(rng.choice(["W11_SPC", "W11_L3", "W11_P3"]))
            table = WordCode.named(name).table ^ (offset.astype(np.uint8) if rng.integers(2) else np.uint8(0))
            return table[[int(f"{o:08b}"[::-1], 2) for o in range(256)]] if rng.integers(2) else table
        table = ((octets @ rows + offset) % 2).astype(np.uint8)
        if np.unique(table, axis=0).shape[0] == 256:
            return table


def draw_truth(rng: np.random.Generator, c: Condition) -> Truth:
    clock = FIELD_CLOCKS[int(rng.integers(3))]
    if c.clock == "odd":
        cycles = int(rng.integers(16, 32))
        clock = (float(rng.choice([7.3728e6, 8e6, 11.0592e6, 12e6])), 0, cycles, cycles - int(rng.integers(2, 5)))
        clock = (clock[0], round(clock[0] / rng.uniform(70e3, 135e3)), clock[2], clock[3])
    lengths = (24, 11)
    if c.header == "other lengths":
        sync = int(rng.integers(8, 17))
        lengths = (35 - sync, sync) if rng.integers(2) else (int(rng.integers(8, 49)), sync)
    kind = int(rng.integers(2, 4)) if c.header == "unmodulated" else int(rng.integers(5))
    n = lengths[0]
    preamble = [np.arange(n) % 2, 1 - np.arange(n) % 2, np.ones(n), np.zeros(n), rng.integers(0, 2, n)][kind].astype(np.uint8)
    table = draw_code(rng, c.code)
    end_word = rng.integers(0, 2, 11).astype(np.uint8)
    if c.end == "code word" or rng.integers(8) == 0:
        end_word = table[int(rng.integers(256))]
    if rng.integers(2):
        table, end_word = table ^ np.uint8(1), end_word ^ np.uint8(1)
    crc = Crc()
    if c.crc == "listed":
        crc = LISTED[int(rng.integers(len(LISTED)))]
    elif c.crc == "unlisted":
        crc = Crc(int(rng.choice(UNLISTED)), int(rng.choice([0, 0xFFFF])), int(rng.choice([0, 0xFFFF])))
    alpha = float(rng.choice([0.0, 0.25, 0.5, 0.75, 1.0, round(rng.uniform(0.25, 1.0), 2)]))
    return Truth(
        clock, alpha, float(rng.choice([0.0, 0.5, 1.0, 1.0, 2.0])), preamble, rng.integers(0, 2, lengths[1]).astype(np.uint8),
        table, end_word, 1 if c.end == "code word" else int(rng.integers(3)), c.differential, crc,
    )  # fmt: skip


class Traffic:
    """LPDUs as on a line: a few addresses, counters, small values, text; much of it alike in all packets."""

    def __init__(self, rng: np.random.Generator, kind: str) -> None:
        self.rng, self.kind, self.counter = rng, kind, int(rng.integers(64))
        self.domain = bytes(rng.integers(0, 256, int(rng.integers(0, 3))).astype(np.uint8))
        self.nodes = rng.integers(1, 127, 5)

    def lpdu(self, secondary: bool) -> bytes:
        rng = self.rng
        if self.kind == "random":
            return bytes(rng.integers(0, 256, int(rng.integers(6, 39))).astype(np.uint8))
        self.counter += 1
        most = 12 if self.kind == "short" else 38
        head = bytes([0x40 * secondary + int(rng.choice([0, 0, 1, 1, 2, 5])), int(rng.choice([0x09, 0x01, 0x31])), 0x01,
                      int(rng.choice(self.nodes)), 0x01, int(rng.choice(self.nodes)) | 0x80])  # fmt: skip
        head = (head + self.domain + bytes([self.counter % 16]))[:most]
        body = [
            bytes(int(rng.integers(0, 4))),
            bytes([0x30, 0, int(rng.integers(64)), 0, int(rng.integers(16))]),
            f"{int(rng.integers(10**6)):08d}".encode(),
            bytes([0x20, *(int(self.counter * 37).to_bytes(4, "big"))]),
            bytes(rng.integers(0, 256, int(rng.integers(2, 17))).astype(np.uint8)),
        ]
        octets = head
        while len(octets) < most and rng.integers(4):
            octets += body[int(rng.integers(len(body)))]
        return octets[:most].ljust(6, b"\0")


def waveform(truth: Truth, bits: np.ndarray, secondary: bool, rate: float, ppm: float, phase: float, start: float) -> np.ndarray:
    """A packet, peak 1 V; its bit 0 begins `start` s after sample 0."""
    bit_rate, carrier = truth.bit_rate * (1 + ppm * 1e-6), truth.carrier(secondary) * (1 + ppm * 1e-6)
    count = int(np.ceil((start + (bits.size + truth.ramp) / bit_rate) * rate)) + 1
    t = np.arange(count) / rate - start
    u = t * bit_rate
    levels = 2.0 * bits - 1.0
    edge = np.rint(u).astype(int)
    before, after = levels[np.clip(edge - 1, 0, bits.size - 1)], levels[np.clip(edge, 0, bits.size - 1)]
    w = (u - edge) / max(truth.alpha, 1e-9)
    w = np.clip(w, -0.5, 0.5)
    # The integral of a unit-area Hann window.
    a = before + (after - before) * (w + 0.5 + np.sin(2 * np.pi * w) / (2 * np.pi))
    outside = np.maximum(-u, u - bits.size)
    rise = np.clip(1 - outside / max(truth.ramp, 1e-9), 0, 1)
    a *= np.where(outside <= 0, 1.0, np.sin(0.5 * np.pi * rise) ** 2)
    return a * np.cos(2 * np.pi * carrier * t + phase)


@dataclass(frozen=True)
class Line:
    """The stations of a line, for several recordings of it."""

    truth: Truth
    condition: Condition
    ppm: np.ndarray
    levels: np.ndarray
    rate: float
    one: int  # with one carrier: which

    @classmethod
    def draw(cls, rng: np.random.Generator, c: Condition) -> "Line":
        truth = draw_truth(rng, c)
        rates = [r for r in c.fs_choice if r > 2.2 * truth.cycle_hz] or [c.rate]
        levels = 10 ** (rng.uniform(0, c.level_spread_db, c.stations) / 20)
        return cls(truth, c, rng.uniform(-c.ppm, c.ppm, c.stations), levels, float(rng.choice(rates)), int(rng.integers(2)))

    def record(self, rng: np.random.Generator, packets: int) -> tuple[np.ndarray, list[bytes]]:
        """(samples as 16-bit full scale 1, LPDUs)."""
        c, truth = self.condition, self.truth
        traffic, sent, parts, starts = Traffic(rng, c.lpdu), [], [np.zeros(int(0.02 * self.rate))], []
        position = parts[0].size
        for _ in range(packets):
            secondary = bool(self.one) if c.carriers == "one" else bool(rng.integers(2))
            sent.append(truth.crc.append(traffic.lpdu(secondary)))
            station = int(rng.integers(c.stations))
            ppm, phase = self.ppm[station] + rng.normal(0, 1), rng.uniform(0, 2 * np.pi)
            start = (truth.ramp + rng.random()) / truth.bit_rate
            wave = waveform(truth, truth.bits(sent[-1]), secondary, self.rate, ppm, phase, start)
            gap = np.zeros(int((24 / truth.bit_rate + rng.exponential(c.gap_s)) * self.rate))
            if c.foreign and rng.random() < 0.3:
                n = int(rng.uniform(0.02, 0.1) * self.rate)
                tone = rng.choice([63.3e3, 74e3, 82e3]) + 10e3 * np.repeat(rng.integers(0, 2, n // 160 + 1), 160)[:n]
                burst = self.levels[0] * np.sin(2 * np.pi * np.cumsum(tone) / self.rate)
                gap = np.concatenate([gap, burst, gap[: gap.size // 2 + 1]])
            parts += [gap, self.levels[station] * wave]
            starts.append(position + gap.size)
            position += gap.size + wave.size
        parts.append(np.zeros(int(0.03 * self.rate)))
        x = np.concatenate(parts)
        for start in starts:
            if rng.random() < c.collisions:
                other = waveform(truth, truth.bits(sent[0]), bool(rng.integers(2)), self.rate, 50.0, 1.0, 0.001)[: x.size - start]
                x[start + 3000 :][: other.size] += other[: x[start + 3000 :].size]
        # Es = A^2 T / 2 of the weakest station; noise of density N0 has the variance N0 rate / 2.
        weakest = self.levels.min()
        sigma = weakest * np.sqrt(self.rate / truth.bit_rate / 4 / 10 ** (c.esn0_db / 10))
        x += rng.normal(0, sigma, x.size)
        for at in rng.integers(0, x.size - 100, rng.poisson(c.impulses_hz * x.size / self.rate)):
            n = int(1e-4 * self.rate)
            x[at : at + n] += 20 * weakest * np.exp(-np.arange(n) / (n / 4)) * np.cos(2 * np.pi * 90e3 / self.rate * np.arange(n))
        if c.tone_db is not None:
            tone_hz = truth.cycle_hz - 1.45 * truth.bit_rate
            x += weakest * 10 ** (c.tone_db / 20) * np.cos(2 * np.pi * tone_hz / self.rate * np.arange(x.size))
        x += c.dc * weakest
        if c.cut:
            x = x[starts[0] + 4000 : starts[-1] + 4000]
            sent = sent[1:-1]
        full = np.abs(x).max() * (c.clip or 1.0)
        return (np.clip(np.round(x / full * 32767), -32767, 32767) / 32768).astype(np.float32), sent


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
