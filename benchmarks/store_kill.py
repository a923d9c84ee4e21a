"""Kill -9 at random instants while a meter answers writes: does its store hold everything it acknowledged?

    python benchmarks/store_kill.py [--kills 10000] [--seed 1] [--directory DIR]

A child process is the whole meter: MEP port over a socket, meter, store. The parent writes numbered pairs into two tables, one
transaction each pair for the meter, notes what was acknowledged and kills the child at a random instant. Then it opens the store
as any program does (integrity check, checksum of every record) and compares. Mark: every store opens, every acknowledged write
is there, no pair is half there.
"""

import argparse
import os
import random
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from flowgraphs.ports.meter_store import MeterStore
from flowgraphs.ports.serving import PortServer, ServedPort
from osgp import Meter, MeterConfig
from osgp.access import Port, Session
from osgp.mep import MepConfig, MepTiming
from osgp.meter import MepNumbers, MepPort
from osgp.meter.subsystem import Subsystem
from osgp.security import Key, KeyRing, MepSuite

KEY = Key(b"\x01" * 16, "MAK")
SUITE = MepSuite((KEY,))
FAST = MepConfig(timing=MepTiming(between_requests=0.0, pause=0.0))
EARLY = 0.15  # share of the lives that end at once, while the store opens
EARLY_S = 0.03
WRITING_S = 0.015  # the others end so long after the first answer at most
GIVE_UP_S = 30.0


class Pair(Subsystem):
    """Two tables that must always hold the same number: a write of the first is copied into the second."""

    name = "pair"
    watches = frozenset(("ET13",))

    def attach(self, host) -> None:
        self._host = host
        host.store.put("ET13", bytes(330))
        host.store.put("ET29", bytes(64))

    def written(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> None:
        """Copy."""
        self._host.store.write("ET29", 0, octets[:4])


class SocketLine:
    """The child's end of a socket pair."""

    place = "socket"

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def fileno(self) -> int:
        return self._end.fileno()

    def read(self) -> bytes:
        try:
            octets = self._end.recv(4096)
        except BlockingIOError:
            return b""
        if not octets:
            os._exit(0)
        return octets

    def write(self, octets: bytes) -> None:
        self._end.send(octets)

    def set_rate(self, rate: int) -> None:
        pass

    def close(self) -> None:
        self._end.close()


def make(saved=None) -> Meter:
    """The meter of this benchmark."""
    return Meter(MeterConfig(), (Pair(), MepNumbers((0, 0))), saved=saved)


def serve(end: socket.socket, directory: Path) -> None:
    """What the child does until it is killed."""
    end.setblocking(False)
    store = MeterStore(directory, {"serial": "1"})
    meter = make(store.saved())
    server = MepPort(meter, KeyRing(mak=KEY)).server(FAST)
    ports = PortServer(meter, [ServedPort("mep", SocketLine(end), server)], store)
    while True:
        ports.step(1.0)


@dataclass(slots=True)
class Book:
    """What the parent knows: the last number acknowledged, and the last one asked for."""

    acknowledged: int = 0
    asked: int = 0


def life(rng: random.Random, directory: Path, book: Book) -> int:
    """One child from its start to its death; returns how many writes it acknowledged."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        try:
            serve(theirs, directory)
        except BaseException as error:
            print(f"child: {type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)
    theirs.close()
    early = rng.random() < EARLY
    until = time.monotonic() + (rng.uniform(0.0, EARLY_S) if early else GIVE_UP_S)
    sequence, done, octets, waiting = 0, 0, b"", False
    while (left := until - time.monotonic()) > 0:
        if not waiting:
            book.asked = max(book.asked, book.acknowledged + 1)
            pdu = b"\x4f\x08\x0d\x00\x00\x00\x00\x04" + book.asked.to_bytes(4, "little")
            body = SUITE.seal_request(pdu, sequence).octets
            ours.sendall(len(body).to_bytes(2, "big") + body)
            waiting = True
        if not select.select([ours], [], [], left)[0]:
            break
        octets += ours.recv(4096)
        if len(octets) < 2 or len(octets) < 2 + int.from_bytes(octets[:2], "big"):
            continue
        code, said, octets, waiting = octets[2], octets[3:7], b"", False
        if not early and not done and code == 0:
            until = time.monotonic() + rng.uniform(0.0, WRITING_S)
        if code == 0x0C:
            sequence = int.from_bytes(said, "big") + 1
        elif code == 0:
            book.acknowledged, done, sequence = book.asked, done + 1, sequence + 1
        else:
            raise AssertionError(f"the meter answered 0x{code:02x}")
    assert early or done, f"no write acknowledged within {GIVE_UP_S:g} s"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    ours.close()
    return done


def check(directory: Path, book: Book) -> None:
    """Open the store and compare. AssertionError says what is wrong; StoreError that it does not open."""
    store = MeterStore(directory, {"serial": "1"})
    try:
        saved = store.saved()
        if saved is None:
            assert book.acknowledged == 0, "nothing is saved"
            return
        meter = make(saved)
        one, two = (int.from_bytes(meter.store.octets(name)[:4], "little") for name in ("ET13", "ET29"))
        assert one == two, f"half a pair: {one} and {two}"
        assert book.acknowledged <= one <= book.asked, f"holds {one}, acknowledged were {book.acknowledged}, asked {book.asked}"
        book.acknowledged = one
        assert meter.find(MepNumbers).windows[Port.MEP1].last > 0
    finally:
        store.close()


def run(kills: int, seed: int, directory: Path, report: bool = False) -> Counter[str]:
    """Kill that often; counts of kills, writes acknowledged, kills in the middle of a write, and of those that were kept."""
    rng, book, counts = random.Random(seed), Book(), Counter[str]()
    for number in range(kills):
        counts["acknowledged"] += life(rng, directory, book)
        pending = book.asked > book.acknowledged
        before = book.acknowledged
        check(directory, book)
        counts["kills"] += 1
        counts["in a write"] += pending
        counts["in a write, kept"] += pending and book.acknowledged > before
        if report and number % 1000 == 999:
            print(f"{number + 1} kills, {counts['acknowledged']} writes acknowledged", flush=True)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", type=Path, help="default: a new one in memory")
    options = parser.parse_args()
    # What a process has written outlives its kill on any file system; in memory there is time for more writes in a life.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    directory = options.directory or Path(tempfile.mkdtemp(prefix="store-kill-", dir=memory))
    started = time.monotonic()
    try:
        counts = run(options.kills, options.seed, directory, report=True)
    except (AssertionError, Exception) as error:
        print(f"FAILED: {type(error).__name__}: {error}; the store is left in {directory}")
        return 1
    print(
        f"{counts['kills']} kills in {time.monotonic() - started:.0f} s: {counts['acknowledged']} writes acknowledged, "
        "all there; "
        f"{counts['in a write']} kills in the middle of a write, {counts['in a write, kept']} of these writes were kept; "
        "every store opened, none held half a pair (mark: all of that)"
    )
    if options.directory is None:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
