"""Lines of random profiles with ordinary traffic, from a modulator of their own (not `phy.Transmitter`)."""

from dataclasses import dataclass

import numpy as np

from phy.words import WordCode

FIELD_CLOCKS = [(6.5536e6, 76, 24, 21), (10e6, 116, 24, 21), (10e6, 76, 24, 21)]


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
    "tone": Condition(tone_db=6.0, required=0.99),
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
