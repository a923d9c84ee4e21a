"""Noise, damaged and well-formed requests into the ports of a meter, by the million.

    python benchmarks/port_fuzz.py [--requests 10000000] [--ports optical,mep] [--seed 1] [--jobs 2]

A generator of grammar and damage: random octets, packets and frames with random content, requests of every service with random
fields, all of it cut, changed, repeated and reflected; half of it by a client without keys, half by one with keys; TLS
handshakes and records, whole and damaged. Marks: no exception; nothing served to a client without a key but what the table
specifications call open; no write accepted that they do not allow; no request over 10 ms of CPU; memory flat; the port serves
afterwards.
"""

import argparse
import gc
import json
import multiprocessing
import random
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import osgp
from osgp import Meter, MeterConfig, ResultCode
from osgp.access import AccessLevel, Port
from osgp.mep import MepConfig, MepTiming
from osgp.meter import MepPort, OpticalPort
from osgp.optical import OpticalConfig, Packet
from osgp.optical.services import Logon, Negotiate, add_checksum
from osgp.security import Key, KeyRing, MepSuite
from osgp.security.tls_psk import TlsPskClient, mep_identity
from osgp.security.tls_record import TlsError

SLOW_S = 0.010
GROWTH_MB = 8.0  # what an interpreter's own caches may add
KEYS = KeyRing.from_text(
    {"MK": "MASTERKEY00000000001", "PK": "PROVISION00000000001", "RK": "READONLY000000000001", "MAK": "hex:" + 16 * "01",
     "MBK": "BASICKEY000000000001"}
)  # fmt: skip
FAST = MepConfig(timing=MepTiming(between_requests=0.0, pause=0.0, segment=10_000))
NUMBERS = [entry.number for entry in osgp.tables()] + [4119, 4150, 6191, 2047, 4095, 65535]
SPECS = Path(osgp.__file__).parent / "spec"
RESTORED = ("ET13", "ET51", "ET55", "ET97")  # tables with which a client that may write switches a port off


def rights() -> dict[int, dict]:
    """Access by table number, read from the specification files themselves."""
    found = {}
    for path in SPECS.glob("[BE]T*.json"):
        raw = json.loads(path.read_text())
        found[raw["number"]] = raw.get("access", {})
    return found


@dataclass(slots=True)
class Outcome:
    """What a run has seen."""

    requests: int = 0
    served: int = 0
    slowest_s: float = 0.0
    slow: int = 0
    problems: Counter = field(default_factory=Counter)
    results: Counter = field(default_factory=Counter)
    growth_mb: float = 0.0

    def add(self, other: "Outcome") -> None:
        """Take another one in."""
        self.requests += other.requests
        self.served += other.served
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.slow += other.slow
        self.problems += other.problems
        self.results += other.results
        self.growth_mb = max(self.growth_mb, other.growth_mb)

    @property
    def passed(self) -> bool:
        """Whether all marks hold."""
        return not self.problems and not self.slow and self.growth_mb < GROWTH_MB


class Watch:
    """Stands between a port and its meter and judges every answer by the specification files."""

    def __init__(self, meter: Meter, outcome: Outcome) -> None:
        self._serve, self._rights, self._outcome = meter.serve, rights(), outcome
        self.knows_keys = False
        meter.serve = self  # type: ignore[method-assign]

    def __call__(self, pdu, session, now, *, max_response):
        """See `Meter.serve`."""
        response = self._serve(pdu, session, now, max_response=max_response)
        self._outcome.served += 1
        if not self.knows_keys and session.level is not AccessLevel.OPEN:
            self._outcome.problems["a request of a client without keys was served"] += 1
        if response.result is ResultCode.OK and len(pdu) >= 3:
            number = int.from_bytes(pdu[1:3], "big")
            direction = "write" if pdu[0] & 0x40 else "read"
            side = "optical" if session.port is Port.OPTICAL else "mep"
            access = self._rights.get(number if number < 4096 else number - 4096, {})
            listed = (access.get(direction) or {}).get(side)
            if listed is not None:
                allowed = session.level in listed or "open" in listed
            elif direction == "read":
                allowed = session.level is not AccessLevel.OPEN
            else:
                allowed = session.level in (AccessLevel.MK, AccessLevel.PK)  # where no table says anything
            if not allowed:
                self._outcome.problems[f"{direction} of {number} by {session.level} at {side} accepted"] += 1
        return response


class Generator:
    """Makes octets for one port."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.said = b""

    def pdu(self) -> bytes:
        """A table request, more or less."""
        rng = self.rng
        code = rng.choice((0x30, 0x3F, 0x3F, 0x40, 0x4F, 0x4F, 0x31, 0x3E, 0x49, rng.randrange(256)))
        table = rng.choice(NUMBERS) if rng.random() < 0.9 else rng.randrange(65536)
        pdu = bytes((code,)) + table.to_bytes(2, "big")
        if code in (0x3F, 0x4F):
            pdu += rng.choice((0, 1, rng.randrange(300), rng.randrange(1 << 24))).to_bytes(3, "big")
        if code != 0x30 or rng.random() < 0.1:
            size = rng.choice((0, 1, 4, rng.randrange(64), rng.randrange(65536)))
            pdu += size.to_bytes(2, "big")
            if code in (0x40, 0x4F):
                pdu += rng.randbytes(min(size, 300) if rng.random() < 0.9 else rng.randrange(40))
        return self.damaged(pdu) if rng.random() < 0.2 else pdu

    def damaged(self, octets: bytes) -> bytes:
        """The octets with a fault."""
        rng, changed = self.rng, bytearray(octets)
        kind = rng.randrange(5)
        if kind == 0 and changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del changed[rng.randrange(len(changed) + 1) :]
        elif kind == 2:
            place = rng.randrange(len(changed) + 1)
            changed[place:place] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 3:
            changed *= 2
        elif changed:
            start = rng.randrange(len(changed))
            del changed[start : start + rng.randrange(1, 9)]
        return bytes(changed)

    def noise(self) -> bytes:
        """Octets without sense, some with marks that mean something."""
        rng = self.rng
        if rng.random() < 0.3:
            return bytes(rng.choices((0xEE, 0x06, 0x15, 0x00, 0x55, 0x80, 0x58, 0xFF), k=rng.randrange(1, 40)))
        return rng.randbytes(rng.choice((1, 2, 9, 40, 500)))


class OpticalFuzz(Generator):
    """Octets for the optical port."""

    def __init__(self, seed: int, keys: bool) -> None:
        super().__init__(seed)
        self._keys, self._toggle = keys, False
        self._passwords = [b"\x51" + key.reveal() for key in (KEYS.mk, KEYS.pk, KEYS.rk)]

    def message(self) -> bytes:
        """A service, more or less."""
        rng = self.rng
        kind = rng.randrange(20)
        if kind < 3:
            return b"\x20"
        if kind < 5:
            size, packets = rng.choice((64, 512, rng.randrange(65536))), rng.randrange(256)
            return Negotiate(size, packets, tuple(rng.randbytes(rng.randrange(4)))).encode()
        if kind < 8:
            return Logon(rng.randrange(65536), rng.randbytes(10)).encode()
        if kind < 11:
            return rng.choice(self._passwords) if self._keys else b"\x51" + rng.randbytes(20)
        if kind == 11:
            return rng.choice((b"\x52", b"\x21", b"\x70\x05", b"", rng.randbytes(rng.randrange(30))))
        pdu = self.pdu()
        return add_checksum(pdu) if pdu and 0x40 <= pdu[0] <= 0x4F and rng.random() < 0.9 else pdu

    def octets(self) -> bytes:
        """What goes over the line next."""
        rng, draw = self.rng, self.rng.random()
        if draw < 0.1:
            return self.noise()
        if draw < 0.15:
            return self.said  # what the meter said, back to it
        message = self.message()
        if rng.random() < 0.95:
            self._toggle = not self._toggle
        several = rng.random() < 0.05
        packet = Packet(
            message, self._toggle, rng.randrange(256) if several else 0, several, several and rng.random() < 0.5,
            rng.randrange(256) if rng.random() < 0.01 else 0,
        ).encode()  # fmt: skip
        return self.damaged(packet) if rng.random() < 0.15 else packet


class MepFuzz(Generator):
    """Octets for the MEP port, in RC4 mode and in TLS mode."""

    def __init__(self, seed: int, keys: bool) -> None:
        super().__init__(seed)
        known = [KEYS.mak, KEYS.mbk] if keys else [Key(b"\x07" * 16, "MAK"), Key(b"\x09" * 16, "MBK")]
        self._keys, self._suites = known, [MepSuite((key,)) for key in known]
        self.number = 0
        self._tls: TlsPskClient | None = None
        self._kept: list[bytes] = []

    def body(self) -> bytes:
        """A frame's content, more or less."""
        rng, draw = self.rng, self.rng.random()
        if draw < 0.1:
            return self._tls_body()
        if draw < 0.15:
            return rng.randbytes(rng.choice((1, 12, 13, 40, 476)))
        if draw < 0.2 and self._kept:
            return rng.choice(self._kept)  # a replay
        number = (self.number + rng.choice((0, 1, 1, 1, 1, 1, 8, 9, -1, rng.randrange(1 << 32)))) % (1 << 32)
        body = rng.choice(self._suites).seal_request(self.pdu(), number).octets
        if len(self._kept) < 50:
            self._kept.append(body)
        else:
            self._kept[rng.randrange(50)] = body
        return body

    def _tls_body(self) -> bytes:
        rng = self.rng
        if self._tls is None or rng.random() < 0.1:
            key = rng.choice(self._keys)
            self._tls = TlsPskClient(mep_identity(rng.randrange(65536), key.kind), key)
            return b"\x58" + self._tls.octets_to_send()
        if self._tls.established and rng.random() < 0.9:
            self._tls.send(self.pdu() or b"\0")
            return b"\x80" + self._tls.octets_to_send()
        return rng.choice((b"\x57\0", b"\x57", b"\x59" + self._tls.octets_to_send(), b"\x80" + rng.randbytes(40), b"\x59"))

    def heard(self, octets: bytes) -> None:
        """What the meter said."""
        self.said = octets
        if len(octets) >= 7 and octets[2] == 0x0C:
            self.number = int.from_bytes(octets[3:7], "big")
        if self._tls is not None and len(octets) > 8 and octets[2] == 0 and octets[4:6] == b"\x03\x03":
            try:
                self._tls.receive(octets[3:])
            except (TlsError, osgp.LocalProtocolError):
                self._tls = None

    def octets(self) -> bytes:
        """What goes over the line next."""
        rng, draw = self.rng, self.rng.random()
        if draw < 0.08:
            return self.noise()
        if draw < 0.1:
            return self.said
        body = self.body()[:476] or b"\0"
        framed = len(body).to_bytes(2, "big") + body
        return self.damaged(framed) if rng.random() < 0.1 else framed


def fuzz(port: str, requests: int, seed: int, keys: bool) -> Outcome:
    """One shard: so many pieces of octets into one port of one meter."""
    outcome = Outcome()
    meter = Meter(MeterConfig(seed=seed & 0xFFFF))
    watch = Watch(meter, outcome)
    watch.knows_keys = keys
    if port == "optical":
        generator, server = OpticalFuzz(seed, keys), OpticalPort(meter, KEYS).server(OpticalConfig(channel_timeout=60.0))
    else:
        generator, server = MepFuzz(seed, keys), MepPort(meter, KEYS).server(FAST)
    before = {name: meter.store.octets(name) for name in RESTORED if name in meter.store}
    now, base, rng = 0.0, None, random.Random(seed + 1)
    for number in range(requests):
        octets = generator.octets()
        now += rng.choice((0.0, 0.06, 0.06, 0.06, 1.0))
        started = time.thread_time()
        try:
            server.receive_octets(octets, now)
            said = server.octets_to_send(now)
            if port == "optical" and said[:1] == b"\x06" and rng.random() < 0.8:
                server.receive_octets(b"\x06", now)
        except Exception as error:
            outcome.problems[f"{type(error).__name__}: {error}"] += 1
            continue
        took = time.thread_time() - started
        if took > outcome.slowest_s:
            outcome.slowest_s = took
        if took > SLOW_S:
            outcome.slow += 1
        if port == "optical":
            generator.said = said
        else:
            generator.heard(said)
        if number % 1000 == 999:
            for name, table in before.items():
                meter.store.put(name, table)
            while meter.next_event() is not None:
                pass
            if port == "optical":
                server.line_lost(now)
        if number % 20_000 == 19_999:
            gc.collect()
            here = resident_mb()
            # The interpreter's caches and the meter's logs fill in the first part.
            base = here if base is None or number < requests // 3 else base
            outcome.growth_mb = max(0.0, here - base)
    outcome.requests = requests
    outcome.results = Counter({f"0x{int(code):02x}": count for code, count in server.results.items()})
    if not serves(port, meter, server, now + 1000.0, watch):
        outcome.problems["the port does not serve afterwards"] += 1
    return outcome


def resident_mb() -> float:
    """Memory in use now, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def serves(port: str, meter: Meter, server, now: float, watch: Watch) -> bool:
    """Whether a proper client can read BT01."""
    watch.knows_keys = True
    if port == "optical":
        server.line_lost(now)
        said = b""
        for place, message in enumerate((b"\x20", Logon(1, b"x").encode(), b"\x51" + KEYS.rk.reveal(), b"\x30\x00\x01")):
            server.receive_octets(Packet(message, toggle=bool(place % 2)).encode(), now + place)
            said = server.octets_to_send(now + place)
            server.receive_octets(b"\x06", now + place)
        return said[:1] == b"\x06" and Packet.decode(said[1:]).payload[0] == 0
    server.line_lost(now)
    suite, number = MepSuite((KEYS.mak,)), 0
    for _ in range(2):
        body = suite.seal_request(b"\x30\x00\x01", number).octets
        server.receive_octets(len(body).to_bytes(2, "big") + body, now)
        said = server.octets_to_send(now)
        if said[2] != 0x0C:
            return said[2] == 0
        number, now = int.from_bytes(said[3:7], "big") + 1, now + 1.0
    return False


def _shard(arguments: tuple[str, int, int, bool]) -> tuple[str, Outcome]:
    return arguments[0], fuzz(*arguments)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000_000, help="for each port")
    parser.add_argument("--ports", default="optical,mep")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    passed = True
    for port in options.ports.split(","):
        shards = max(2, 2 * options.jobs)
        jobs = [(port, options.requests // shards, options.seed * 1000 + n, n % 2 == 1) for n in range(shards)]
        started, total = time.monotonic(), Outcome()
        with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
            for _, outcome in pool.imap_unordered(_shard, jobs):
                total.add(outcome)
        passed = passed and total.passed
        print(
            f"{port}: {total.requests} requests in {time.monotonic() - started:.0f} s, {total.served} reached the tables; "
            f"slowest {1e3 * total.slowest_s:.2f} ms of CPU, over 10 ms: {total.slow} (mark 0); "
            f"memory +{total.growth_mb:.1f} MB (mark {GROWTH_MB:g}); problems: {dict(total.problems) or 'none'} (mark none); "
            f"answers {dict(sorted(total.results.items()))}",
            flush=True,
        )
    print("passed" if passed else "FAILED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
