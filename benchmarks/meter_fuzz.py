"""Random and mutated requests into a meter: no exception, no unauthorised read or write, flat memory, nothing slow.

    python benchmarks/meter_fuzz.py --requests 10000000 --seed 1

Every request comes by a random port with a random key. What the meter lets through is judged by a second reading of the access
rights, made straight from the specification files here and not with the code under test: a read that is answered with data and a
table that changed must each be allowed to the key, except for what belongs to the meter itself (answers, states, logs).
"""

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import fuzz_chunks

import osgp
from osgp import AccessLevel, Meter, MeterConfig, Port, ResultCode, Session
from osgp.envelope import Envelope, EnvelopeType
from osgp.meter.quirks import Quirks

SPEC: Final = Path(osgp.__file__).parent / "spec"
GROWTH_MIB: Final = 5.0
SHOW_EVERY: Final = 200_000
LEVELS: Final = (
    (AccessLevel.OPEN, Port.MEP1), (AccessLevel.MBK, Port.MEP1), (AccessLevel.MAK, Port.MEP1), (AccessLevel.MBK, Port.MEP2),
    (AccessLevel.MAK, Port.MEP2), (AccessLevel.OPEN, Port.OPTICAL), (AccessLevel.RK, Port.OPTICAL),
    (AccessLevel.PK, Port.OPTICAL), (AccessLevel.MK, Port.OPTICAL), (AccessLevel.OMAK, Port.PLC),
)  # fmt: skip
# Keys that the access lists name, by level. OMAK has a column of its own or the rights of MAK.
KEY: Final = {level: level.value for level, _ in LEVELS}
# Changed by the meter in the course of a request: procedure results, transaction answers, states of devices and pending tables,
# logs. Its live tables are known to the meter. That nobody writes these from outside is seen in the answers.
OWN: Final = frozenset((
    "BT00", "BT03", "BT04", "BT08", "BT21", "BT22", "BT24", "BT25", "BT26", "BT71", "BT74", "ET09", "ET14", "ET28", "ET31",
    "ET36", "ET41", "ET53", "ET54", "ET59", "ET75", "ET79", "ET81", "ET85",
))  # fmt: skip
SAMPLES: Final = (b"\x30\x00\x17", b"\x3f\x00\x17\0\0\0\0\x2c", b"\x4f\x08\x32\0\0\x1e\0\1\1", b"\x40\x00\x07\0\0")
Rights = dict[tuple[str, str], dict[str, list[str] | None]]
SIDE_EFFECTS: Final = frozenset(("ET13", "ET50"))  # EP17 clears the baud rate and the flag of a client that it removes
ADVANCE_EVERY: Final = 16  # requests between two steps of the clock: this is about requests, not about measuring


def oracle() -> Rights:
    """(table, direction) -> column -> keys, as the files say."""
    rights: Rights = {}
    for path in SPEC.glob("[BE]T*.json"):
        raw = json.loads(path.read_text(encoding="utf-8"))
        for direction, columns in raw["access"].items():
            rights[raw["id"], direction] = columns
    return rights


def stated(rights: Rights, name: str, direction: str, level: AccessLevel) -> bool | None:
    """Whether the files allow it; None when they say nothing about that key."""
    columns = rights.get((name.partition("+")[0], direction))
    if columns is None:
        return None
    column = {"MBK": "mep", "MAK": "mep", "OMAK": "plc"}.get(level.value, "optical")
    key = level.value
    if column == "plc" and column not in columns:
        column, key = "mep", "MAK"
    if level is AccessLevel.OPEN:
        return any("open" in (keys or ()) for keys in columns.values())
    keys = columns.get(column)
    return None if keys is None else key in keys or "open" in keys


@dataclass
class Requests:
    """Requests of every kind: good ones, good ones with faults, noise."""

    rng: Random
    numbers: list[int]

    def table(self) -> int:
        rng = self.rng
        number = rng.choice(self.numbers) if rng.random() < 0.9 else rng.randrange(0x10000)
        return number + 4096 if rng.random() < 0.05 and number < 4096 else number

    def octets(self, most: int) -> bytes:
        return self.rng.randbytes(self.rng.randrange(most + 1))

    def good(self) -> bytes:
        rng = self.rng
        table = self.table().to_bytes(2, "big")
        offset = min(rng.randrange(1 << rng.randrange(1, 24)), 0xFFFFFF).to_bytes(3, "big")
        match rng.randrange(9):
            case 0 | 1:
                return b"\x30" + table
            case 2 | 3 | 4:
                return b"\x3f" + table + offset + rng.randrange(1 << rng.randrange(1, 17)).to_bytes(2, "big")
            case 5:
                data = self.octets(60)
                return b"\x40" + table + len(data).to_bytes(2, "big") + data
            case 6:
                data = self.octets(60)
                return b"\x4f" + table + offset + len(data).to_bytes(2, "big") + data
            case 7:
                levels = rng.randrange(1, 10)
                indices = b"".join(rng.randrange(12).to_bytes(2, "big") for _ in range(levels))
                return bytes((0x30 + levels,)) + table + indices + rng.randrange(6).to_bytes(2, "big")
            case _:
                return self.special()

    def special(self) -> bytes:
        """Procedures, transactions, pending tables."""
        rng = self.rng
        kind = rng.randrange(3)
        if kind == 0:
            number = rng.choice((rng.randrange(23), 2048 + rng.randrange(70), rng.randrange(4096)))
            data = number.to_bytes(2, "little") + bytes((rng.randrange(256),)) + self.octets(24)
            return b"\x40\x00\x07" + len(data).to_bytes(2, "big") + data
        if kind == 1:
            messages = tuple(self.good_or_spoiled() for _ in range(rng.randrange(1, 5)))
            messages = tuple(message for message in messages if 0 < len(message) < 200)
            types = (EnvelopeType.REQUESTS, EnvelopeType.REQUESTS, EnvelopeType.GROUP_BROADCAST)
            type_ = rng.choice(types)
            groups = (0xFFFF,) if type_ is EnvelopeType.GROUP_BROADCAST else ()
            octets = Envelope(type_, rng.randrange(0x10000), messages, groups).encode()
            table = rng.choice((2100, 2100, 2075)).to_bytes(2, "big")
            return b"\x4f" + table + b"\0\0\0" + len(octets).to_bytes(2, "big") + octets
        ped = bytes((rng.choice((0, 1, 2, 2, 0x31)),)) + rng.choice((bytes((24, 3, 4, 17, rng.randrange(60))), rng.randbytes(5)))
        data = ped + self.octets(40)
        return b"\x4f" + rng.choice((4150, 6191)).to_bytes(2, "big") + b"\0\0\0" + len(data).to_bytes(2, "big") + data

    def good_or_spoiled(self) -> bytes:
        return self.good() if self.rng.random() < 0.5 and self.rng.random() < 0.9 else self.spoiled()

    def spoiled(self) -> bytes:
        rng = self.rng
        if rng.random() < 0.1:
            return self.octets(40)
        octets = bytearray(rng.choice(SAMPLES))
        for _ in range(rng.randrange(1, 4)):
            match rng.randrange(3):
                case 0:
                    octets[rng.randrange(len(octets))] ^= 1 << rng.randrange(8)
                case 1:
                    del octets[rng.randrange(1, len(octets) + 1):]
                case _:
                    octets += rng.randbytes(rng.randrange(6))
            if not octets:
                break
        return bytes(octets)

    def next(self) -> bytes:
        return self.good() if self.rng.random() < 0.7 else self.spoiled()


@dataclass
class Findings:
    """What came out."""

    requests: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    timing: fuzz_chunks.Timing = field(default_factory=fuzz_chunks.Timing)


class ServiceFuzz:
    """A meter and requests of any port at its services; see `fuzz_chunks.Fuzzer`."""

    def __init__(self, seed: int, found: Findings) -> None:
        self.text = ""
        self._found, self._rng, self._rights = found, Random(seed), oracle()
        quirks = Quirks(indexed_access=True, default_table="BT52")
        self._meter = meter = Meter(MeterConfig(quirks=quirks, groups=frozenset((0x0101,)), pv_peak=3000.0))
        self._requests = Requests(self._rng, [osgp.table_number(name) for name in meter.store.known()])
        self._own = OWN | {name for subsystem in meter.subsystems for name in subsystem.live}
        self._now, self._number = 0.0, 0
        meter.store.take_changed()

    def one(self) -> float:
        """See `Fuzzer`."""
        rng, meter, found = self._rng, self._meter, self._found
        level, port = LEVELS[rng.randrange(len(LEVELS))]
        session = Session(level, port, rng.randrange(0x10000) if port is Port.OPTICAL else None)
        pdu = self._requests.next()
        self.text = pdu.hex()
        if self._number % ADVANCE_EVERY == 0:
            self._now += rng.random()
            meter.advance(self._now)
        self._number += 1
        before = time.thread_time()
        try:
            response = meter.serve(pdu, session, self._now)
            octets = response.encode()
        except Exception as error:
            found.wrong.append(f"{pdu.hex()} as {level} raised {type(error).__name__}: {error}")
            return 0.0
        took = (time.thread_time() - before) * 1e3
        found.answers[response.result.name] += 1
        if len(octets) > 3 + 0xFFFF:
            found.wrong.append(f"{pdu.hex()}: an answer of {len(octets)} octets")
        judge(found, self._rights, meter, pdu, level, response, self._own)
        return took

    def between(self) -> None:
        """See `Fuzzer`."""


def fuzz(
    count: int, seed: int, *, copies: bool = False, progress: fuzz_chunks.Progress | None = None,
    found: Findings | None = None,
) -> Findings:
    """Serve `count` requests.    copies: see `fuzz_chunks.run`.    found: where the findings go as they come."""
    found = found if found is not None else Findings(count)
    found.timing = fuzz_chunks.run(ServiceFuzz(seed, found), count, copies=copies, progress=progress)
    return found


def judge(
    found: Findings, rights: Rights, meter: Meter, pdu: bytes, level: AccessLevel, response: osgp.Response, own: frozenset[str]
) -> None:
    """Compare what happened with the files: what was answered, and what changed (the messages of a transaction, too)."""
    if response.result is ResultCode.OK and len(pdu) >= 3:
        name = osgp.table_id(int.from_bytes(pdu[1:3], "big"))
        direction = "read" if response.data is not None else "write"
        free = name == "BT07" and level is AccessLevel.RK  # the clock procedures of the read-only key
        if stated(rights, name, direction, level) is False and not free and pdu[0] != 0x3E:
            found.wrong.append(f"{pdu.hex()} as {level}: {direction} of {name}")
    for name in meter.store.take_changed():
        plain = name.partition("+")[0]
        if plain in own or plain in SIDE_EFFECTS or plain in meter.config.pending_tables:  # the last: activated by time
            continue
        if stated(rights, plain, "write", level) is False:
            found.wrong.append(f"{pdu.hex()} as {level} changed {name}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    shown = [0]

    def progress(timing: fuzz_chunks.Timing) -> None:
        if timing.requests - shown[0] >= SHOW_EVERY:
            shown[0] = timing.requests
            print(f"{time.strftime('%H:%M:%S')} {fuzz_chunks.report(timing)}; wrong: {len(found.wrong)}", flush=True)

    found = Findings(arguments.requests)
    timing = fuzz(arguments.requests, arguments.seed, copies=True, progress=progress, found=found).timing
    print(fuzz_chunks.report(timing))
    for name, times in found.answers.most_common():
        print(f"  {name:<24} {times:>10}  {100 * times / found.requests:.2f} %")
    print(f"exceptions and unauthorised accesses: {len(found.wrong)} (wanted: 0)")
    for text in found.wrong[:10]:
        print("  " + text)
    slow_ms = fuzz_chunks.SLOW_MS
    print(f"slowest request {timing.worst_ms:.2f} ms of processor time, above {slow_ms:g} ms: {timing.slow} (wanted: 0)")
    for took, text in timing.watched[:5]:
        print(f"  {took:.1f} ms {text[:100]}")
    print("memory MiB: " + " ".join(f"{value:.0f}" for value in timing.rss_mib))
    print(f"growth over the last three quarters: {timing.growth_mib:.1f} MiB (wanted: flat, below {GROWTH_MIB:g})")
    return 0 if not found.wrong and not timing.slow and timing.growth_mib < GROWTH_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
