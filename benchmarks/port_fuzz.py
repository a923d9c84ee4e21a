"""Noise, damaged and well-formed requests into the ports of a meter, by the million.

    python benchmarks/port_fuzz.py [--requests 10000000] [--ports plc,optical,mep] [--seed 1] [--jobs 2]

A generator of grammar and damage (port_generators.py): random octets, frames and packets with random content, requests of every
service with random fields, procedures, transactions, broadcasts, handshakes; all of it cut, changed, repeated and reflected;
half of it by a client without keys, half by one with keys. Marks: no exception; nothing served to a client without a key but what
the table specifications call open; no write accepted that they do not allow; nothing served that was accepted before; no request
over 10 ms of processor time (see fuzz_chunks.py); memory flat; the port serves afterwards.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import fuzz_chunks
from port_generators import BROADCAST_KEY, KEYS, OMAK, PSK, MepFuzz, OpticalFuzz, PlcFuzz

import osgp
from osgp import Meter, MeterConfig, MeteringSettings, ResultCode, SecurityMode
from osgp.access import AccessLevel, Port
from osgp.mbus import heat_meter, water_meter
from osgp.mep import MepConfig, MepTiming
from osgp.meter import MepPort, OpticalPort
from osgp.meter.device import MAX_RESPONSE
from osgp.meter.settings import DemandSettings
from osgp.optical import OpticalConfig, Packet
from osgp.optical.services import Logon
from osgp.security import Link, MepSuite
from osgp.security.modes import client_security

GROWTH_MIB = 8.0  # what an interpreter's own caches may add
PORTS = ("plc", "optical", "mep")
PLC_MODES = (SecurityMode.AES, SecurityMode.RC4, SecurityMode.AUTO)  # by seed
KINDS = (  # of meters, by seed: a plain one, and one of the fourth generation with everything behind it
    MeterConfig(),
    MeterConfig(
        firmware=(4, 50, 0), phases=3, pv_peak=3000.0, mbus=(water_meter(1), heat_meter(2)),
        metering=MeteringSettings(tiers=8, demand=DemandSettings((8, 9), ((8, 0),)), alternate_entries=20, overflow_reads=4),
    ),
)  # fmt: skip
DOMAIN, NODE = b"\x01\x02\x03", b"\x02\0\0\0\0\x05"
SPECS = Path(osgp.__file__).parent / "spec"
RESTORED = ("ET13", "ET51", "ET55", "ET97")  # tables with which a client that may write switches a port off
RESTORE_EVERY = 1000
SHARDS = {"plc": 6, "optical": 4, "mep": 4}  # half of them of strangers
SHOW_EVERY = 200_000
STEPS_S = (0.0, 0.06, 0.06, 0.06, 1.0)  # between two requests


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
    slowest_ms: float = 0.0
    slow: int = 0
    problems: Counter = field(default_factory=Counter)
    results: Counter = field(default_factory=Counter)
    growth_mib: float = 0.0
    watched: list = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Take another one in."""
        self.requests += other.requests
        self.served += other.served
        self.slowest_ms = max(self.slowest_ms, other.slowest_ms)
        self.slow += other.slow
        self.problems += other.problems
        self.results += other.results
        self.growth_mib = max(self.growth_mib, other.growth_mib)
        self.watched = sorted(self.watched + other.watched, reverse=True)[:10]

    @property
    def passed(self) -> bool:
        """Whether all marks hold."""
        return not self.problems and not self.slow and self.growth_mib < GROWTH_MIB


class Watch:
    """Stands between a port and its meter and judges every answer by the specification files."""

    def __init__(self, meter: Meter, outcome: Outcome) -> None:
        self._serve, self._rights, self._outcome = meter.serve, rights(), outcome
        self.knows_keys = self.replays = False
        self.step: list[bytes] = []  # PDUs since somebody cleared it
        meter.serve = self  # type: ignore[method-assign]

    def __call__(self, pdu, session, now, *, max_response=MAX_RESPONSE):
        """See `Meter.serve`."""
        response = self._serve(pdu, session, now, max_response=max_response)
        self._outcome.served += 1
        self.step.append(pdu)
        if not self.knows_keys and session.level is not AccessLevel.OPEN:
            self._outcome.problems["a request of a client without keys was served"] += 1
        if self.replays:
            self._outcome.problems["a replay was served"] += 1
        if response.result is ResultCode.OK and len(pdu) >= 3:
            number = int.from_bytes(pdu[1:3], "big")
            direction = "write" if pdu[0] & 0x40 else "read"
            side = "optical" if session.port is Port.OPTICAL else "mep"
            access = self._rights.get(number if number < 4096 else number - 4096, {}).get(direction) or {}
            key: str = session.level
            if session.level is AccessLevel.OMAK:  # has a column of its own, or what the advanced key may
                side, key = ("plc", key) if "plc" in access else ("mep", AccessLevel.MAK)
            listed = access.get(side)
            if number == 7 and key is AccessLevel.RK:  # the clock procedures of the read-only key
                allowed = True
            elif listed is not None:
                allowed = key in listed or "open" in listed
            elif direction == "read":
                allowed = session.level is not AccessLevel.OPEN
            else:
                allowed = session.level in (AccessLevel.MK, AccessLevel.PK)  # where no table says anything
            if not allowed:
                self._outcome.problems[f"{direction} of {number} by {session.level} at {side} accepted"] += 1
        return response


class PortFuzz:
    """One port of one meter and a client of it; see `fuzz_chunks.Fuzzer`."""

    def __init__(self, port: str, seed: int, keys: bool, outcome: Outcome) -> None:
        self.port, self.outcome, self.text = port, outcome, ""
        self.now, self._number, self._rng = 0.0, 0, Random(seed + 1)
        mode, kind = PLC_MODES[seed // 2 % len(PLC_MODES)], seed // 2 % len(KINDS)
        self.meter = Meter(replace(
            KINDS[kind], seed=seed & 0xFFFF, entropy=Random(seed + 2).randbytes, security=mode, key=OMAK, psk=PSK,
            unique_node_id=NODE, broadcast_key=BROADCAST_KEY, groups=frozenset((0x0101,)),
        ))  # fmt: skip
        self.watch = Watch(self.meter, outcome)
        self.watch.knows_keys = keys
        if port == "plc":
            self.generator = PlcFuzz(seed, keys, mode, NODE, DOMAIN)
        elif port == "optical":
            self.generator = OpticalFuzz(seed, keys)
            self.server = OpticalPort(self.meter, KEYS).server(OpticalConfig(channel_timeout=60.0))
        else:
            self.generator = MepFuzz(seed, keys, rc4=bool(kind))
            timing = MepTiming(between_requests=0.0, pause=0.0, segment=10_000)
            config = MepConfig(timing=timing, entropy=Random(seed + 3).randbytes, accepts_rc4=bool(kind))
            self.server = MepPort(self.meter, KEYS).server(config)
        self._tables = {name: self.meter.store.octets(name) for name in RESTORED if name in self.meter.store}
        self._ask = {"plc": self._plc, "optical": self._optical, "mep": self._mep}[port]
        self._restore()

    def one(self) -> float:
        """See `Fuzzer`."""
        octets = self.generator.octets()
        self.text = octets.hex()
        self.now += self._rng.choice(STEPS_S)
        try:
            took, said = self._ask(octets, self.now)
        except Exception as error:
            self.outcome.problems[f"{type(error).__name__}: {error}"] += 1
            took, said = 0.0, b""
        self.generator.heard(said)
        self.generator.keep(self.watch.step)
        self.watch.step.clear()
        self._number += 1
        if self._number % RESTORE_EVERY == 0:
            self._restore()
        return took

    def _plc(self, octets: bytes, now: float) -> tuple[float, bytes]:
        generator, link = self.generator, self.generator.link
        self.watch.replays = generator.replays
        started = time.thread_time()
        if generator.broadcast:
            self.meter.receive_broadcast(octets, now, domain=link.domain)
            said = b""
        else:
            said = self.meter.receive_request(octets, link.subnet, link.node, now, domain=link.domain) or b""
        took = (time.thread_time() - started) * 1e3
        if len(said) > self.meter.config.limits.apdu:
            self.outcome.problems[f"an answer of {len(said)} octets"] += 1
        return took, said

    def _optical(self, octets: bytes, now: float) -> tuple[float, bytes]:
        started = time.thread_time()
        self.server.receive_octets(octets, now)
        said = self.server.octets_to_send(now)
        if said[:1] == b"\x06" and self._rng.random() < 0.9:
            self.server.receive_octets(b"\x06", now)
        return (time.thread_time() - started) * 1e3, said

    def _mep(self, octets: bytes, now: float) -> tuple[float, bytes]:
        if self.generator.replays:  # nothing else may be on its way when it is looked whether this is served
            for _ in range(8):
                now += 0.2
                self.server.on_timer(now)
                self.server.octets_to_send(now)
            self.now = now
        self.watch.replays = self.generator.replays
        started = time.thread_time()
        self.server.receive_octets(octets, now)
        said = self.server.octets_to_send(now)
        self.watch.replays = False
        return (time.thread_time() - started) * 1e3, said

    def _restore(self) -> None:
        meter = self.meter
        for name, table in self._tables.items():
            meter.store.put(name, table)
        while meter.next_event() is not None:
            pass
        if self.port == "plc":
            self.generator.base = meter.store["ET04.broadcast_base"]
            meter.store.update("ET04", {"broadcast_delta": 1000})
        elif self.port == "optical":
            self.server.line_lost(self.now)

    def between(self) -> None:
        """See `Fuzzer`."""
        self.meter.changes()  # as a store takes them

    def finish(self) -> None:
        """Take the results in, and look whether the port still serves."""
        if self.port == "plc":
            self.outcome.results = Counter({str(reason): count for reason, count in self.meter.refusals.items()})
        else:
            self.outcome.results = Counter({f"0x{int(code):02x}": count for code, count in self.server.results.items()})
        server = None if self.port == "plc" else self.server
        if not serves(self.port, self.meter, server, self.now + 1000.0, self.watch):
            self.outcome.problems["the port does not serve afterwards"] += 1


def fuzz(
    port: str, requests: int, seed: int, keys: bool, *, copies: bool = False, progress=None, outcome: Outcome | None = None
) -> Outcome:
    """One shard: so many pieces of octets into one port of one meter.    copies: see `fuzz_chunks.run`."""
    outcome = outcome if outcome is not None else Outcome()
    fuzzer = PortFuzz(port, seed, keys, outcome)
    timing = fuzz_chunks.run(fuzzer, requests, copies=copies, progress=progress)
    outcome.requests, outcome.slowest_ms, outcome.slow = timing.requests, timing.worst_ms, timing.slow
    outcome.growth_mib, outcome.watched = timing.growth_mib, timing.watched
    fuzzer.finish()
    return outcome


def serves(port: str, meter: Meter, server, now: float, watch: Watch) -> bool:
    """Whether a proper client can read BT01."""
    watch.knows_keys, watch.replays = True, False
    if port == "plc":
        return _serves_plc(meter, now)
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


def _serves_plc(meter: Meter, now: float) -> bool:
    meter.store.update("ET04", {"max_key_usage": 1_000_000})
    now += 86_400.0  # commissionings are counted by the day
    link = Link(1, 2, DOMAIN)
    mode = SecurityMode.AES if meter.plc.security_mode else SecurityMode.OMA
    client, number, answer = client_security(mode, OMAK, PSK, NODE), meter.sequence, b""
    while (hello := client.prepare(link)) is not None:
        answer = meter.receive_request(hello, link.subnet, link.node, now, domain=DOMAIN)
        if answer is None:
            return False
        number = client.receive(answer) or number
    exchange = client.seal_request(b"\x30\0\1", number + 1, link)
    answer = meter.receive_request(exchange.octets, link.subnet, link.node, now, domain=DOMAIN)
    return answer is not None and exchange.open_response(answer)[0] == 0


def _shard(arguments: tuple[str, int, int, bool]) -> tuple[str, Outcome]:
    port, _, seed, keys = arguments
    name, shown, outcome = f"{port} {'key holder' if keys else 'stranger'} {seed}", [0], Outcome()

    def progress(timing: fuzz_chunks.Timing) -> None:
        if timing.requests - shown[0] >= SHOW_EVERY:
            shown[0] = timing.requests
            problems = dict(outcome.problems) or "none"
            print(f"{time.strftime('%H:%M:%S')} {name}: {fuzz_chunks.report(timing)}; problems: {problems}", flush=True)

    return port, fuzz(*arguments, copies=True, progress=progress, outcome=outcome)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000_000, help="for each port")
    parser.add_argument("--ports", default=",".join(PORTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    passed = True
    for port in options.ports.split(","):
        shards = SHARDS[port]
        jobs = [(port, -(-options.requests // shards), options.seed * 1000 + n, n % 2 == 1) for n in range(shards)]
        started, total = time.monotonic(), Outcome()
        with multiprocessing.get_context("spawn").Pool(options.jobs, maxtasksperchild=1) as pool:
            for _, outcome in pool.imap_unordered(_shard, jobs):
                total.add(outcome)
        passed = passed and total.passed
        print(
            f"{port}: {total.requests} requests in {time.monotonic() - started:.0f} s, {total.served} reached the tables; "
            f"slowest {total.slowest_ms:.2f} ms of processor time, over 10 ms: {total.slow} (mark 0); "
            f"memory +{total.growth_mib:.1f} MiB (mark {GROWTH_MIB:g}); problems: {dict(total.problems) or 'none'} (mark none); "
            f"answers {dict(sorted(total.results.items()))}",
            flush=True,
        )
        for took, text in total.watched:
            print(f"  {took:.1f} ms {text[:120]}")
    print("passed" if passed else "FAILED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
