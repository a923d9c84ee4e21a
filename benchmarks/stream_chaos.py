"""A stream that everything bad happens to: blocks dropped, repeated, swapped and delayed, senders killed and started again.

    python benchmarks/stream_chaos.py [--seconds 600] [--seed 1]

A sender process plays a known line over ZeroMQ in real time, in blocks of 5 ms, with mischief that is drawn from the seed; it is
killed with SIGKILL every few seconds and started again. Marks: every sample is the one that was sent at its place or is counted
as missing, each gap is one that was made, each packet outside the gaps is decoded, memory stays flat; and no more packets are
found that nobody sent than the check sequences of those with holes let through by chance. The same checks run in virtual time in
the tests.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

from flowgraphs.across_gaps import GapReceiver
from flowgraphs.frontends.contract import Block, SourceStatistics, open_source
from flowgraphs.frontends.gnuradio_messages import encode_tagged
from flowgraphs.frontends.zeromq_source import Stream
from flowgraphs.kernels import ensure_compiled
from flowgraphs.messages import samples_header
from phy import Profile, Receiver, Transmitter, append_crc

RATE, BLOCK = 400_000.0, 2000
CYCLE = 800  # blocks of the line that is played again and again, 4 s
SWAPPED, DELAYED = 2, 30  # blocks that overtake one
# A packet that fails is read in up to 16 ways, each of 2 lengths, and held against a check sequence of 16 bits.
PASSES_BY_CHANCE = 16 * 2 / 65_536
CERTAIN = 0.999
FATES = ("drop", "burst", "twice", "swap", "delay")
CHANCES = (0.004, 0.0008, 0.006, 0.006, 0.004)
LONGEST_BURST = 60
DEAF_AT_S, DEAF_S = 12.0, 4.2  # once the reader does not read for so long: memory is looked at when the queue has been full
MARGIN = BLOCK  # samples on either side of a packet that have to be there, too


@dataclass(frozen=True, slots=True)
class Line:
    """The samples of one cycle and its packets: (first sample, last sample, octets)."""

    samples: NDArray[np.float32]
    packets: list[tuple[int, int, bytes]]

    def block(self, number: int) -> NDArray[np.float32]:
        at = number % CYCLE * BLOCK
        return self.samples[at : at + BLOCK]


def make_line(seed: int) -> Line:
    rng, profile = np.random.default_rng([seed, 0]), Profile.load("pl20a")
    x, packets, at = np.zeros(CYCLE * BLOCK, np.float32), [], 4000
    while True:
        lpdu = append_crc(rng.bytes(int(rng.integers(8, 24))))
        wave = Transmitter(profile, RATE, clock_ppm=float(rng.uniform(-100, 100))).modulate(lpdu)
        if at + wave.size + 4000 > x.size:
            break
        x[at : at + wave.size] += wave
        packets.append((at, at + wave.size, lpdu))
        at += wave.size + int(rng.integers(4000, 20_000))
    return Line(x + rng.normal(0, 0.02, x.size).astype(np.float32), packets)


def schedule(seed: int, run: int) -> Iterator[tuple[int, list[int]]]:
    """(slot, numbers of the blocks that are sent in it), without end. What is in no slot was dropped."""
    rng = np.random.default_rng([seed, 1, run])
    waiting: dict[int, list[int]] = {}
    dropped_until = 0
    for slot in itertools.count():
        fate = rng.choice([*FATES, ""], p=[*CHANCES, 1 - sum(CHANCES)])
        length = int(rng.integers(2, LONGEST_BURST))
        if fate == "burst":
            dropped_until = max(dropped_until, slot + length)
        now = [] if fate == "drop" or slot < dropped_until else [slot]
        if now and fate in ("swap", "delay"):
            waiting.setdefault(slot + (SWAPPED if fate == "swap" else DELAYED), []).extend(now)
            now = []
        elif now and fate == "twice":
            now = [slot, slot]
        yield slot, now + waiting.pop(slot, [])


def message(line: Line, number: int, run: int, tagged: bool) -> list[bytes]:
    x = line.block(number)
    if tagged:
        return [encode_tagged(number * BLOCK, x.tobytes())]
    return [samples_header(number * BLOCK, RATE, BLOCK, run=run), x.tobytes()]


@dataclass
class Segment:
    """What came of one sender: `base` of our index is its sample 0; blocks that were handed out."""

    run: int
    base: int
    delivered: set[int] = field(default_factory=set)


@dataclass
class Verdict:
    """Everything that was found; the first four have to be 0, the fifth no more than chance explains."""

    wrong_samples: int = 0
    unexplained_gaps: int = 0
    unreported: int = 0
    packets_lost: int = 0
    packets_false: int = 0
    packets: int = 0
    packets_failed: int = 0  # with holes, and those found where a hole begins or ends
    packets_torn: int = 0  # of these: their check sequence held all the same
    segments: int = 0
    missing_blocks: int = 0
    delayed_blocks: int = 0  # of these: sent long after their time, and before the sender died
    overtaken_blocks: int = 0  # of these: overtaken by a few only

    @property
    def good(self) -> bool:
        flaws = self.wrong_samples or self.unexplained_gaps or self.unreported or self.packets_lost
        return not flaws and self.packets_false <= self.false_by_chance

    @property
    def false_by_chance(self) -> int:
        """So many packets that nobody sent may be found among those that fail."""
        return int(poisson.ppf(CERTAIN, PASSES_BY_CHANCE * self.packets_failed))


class Watcher:
    """Takes the blocks of a source and compares them with what was sent."""

    def __init__(self, line: Line, seed: int) -> None:
        self.line, self.seed = line, seed
        self.verdict = Verdict()
        self._segment: Segment | None = None
        self._places = {line.block(k)[:8].tobytes(): k for k in range(CYCLE)}
        self._decoded: list[tuple[int, bytes]] = []
        self._next: int | None = None
        self._receiver = GapReceiver(Receiver(Profile.load("pl20a"), RATE))

    def take(self, block: Block, run: int) -> None:
        """The next block of the source. `run`: counts the senders that were seen, from 0 on."""
        if self._next is not None and block.first_sample != self._next + block.missing_before:
            self.verdict.unreported += 1
        if self._segment is None or run != self._segment.run:
            self._close()
            place = self._places.get(block.samples[:8].tobytes(), 0)
            self._segment = Segment(run, block.first_sample - place * BLOCK)
        number, rest = divmod(block.first_sample - self._segment.base, BLOCK)
        if rest or not np.array_equal(block.samples, self.line.block(number)):
            self.verdict.wrong_samples += 1
        self._segment.delivered.add(number)
        self._note(self._receiver.push(block.first_sample, block.samples))
        self._next = block.end

    def finish(self) -> Verdict:
        self._close()
        self.verdict.packets_torn = self._receiver.torn
        return self.verdict

    def _note(self, packets: list) -> None:
        self._decoded += [(packet.start_sample, packet.lpdu) for packet in packets if packet.crc_ok]
        self.verdict.packets_failed += sum(not packet.crc_ok for packet in packets)

    def _close(self) -> None:
        """Judge a segment: only what the schedule took away may be missing, and each whole packet has to be there."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        verdict, have = self.verdict, segment.delivered
        first, last = min(have), max(have)
        verdict.segments += 1
        sent_at: dict[int, int] = {}
        for slot, numbers in schedule(self.seed, segment.run):
            if slot > last + DELAYED:
                break
            for number in numbers:
                sent_at.setdefault(number, slot)
        lost = [number for number in range(first, last + 1) if number not in have]
        verdict.missing_blocks += len(lost)
        # A block that only few overtook waits in the reorder buffer; on a busy machine it may come too late all the same.
        verdict.unexplained_gaps += sum(sent_at.get(number) == number for number in lost)
        verdict.overtaken_blocks += sum(sent_at.get(number) == number + SWAPPED for number in lost)
        verdict.delayed_blocks += sum(sent_at.get(number) == number + DELAYED <= last for number in lost)
        if self._next is not None:
            self._note(self._receiver.begin(self._next))
        decoded, self._decoded = self._decoded, []
        for cycle in range(first // CYCLE, last // CYCLE + 1):
            for start, end, lpdu in self.line.packets:
                at = cycle * CYCLE * BLOCK + start
                blocks = range((at - MARGIN) // BLOCK, (at + end - start + MARGIN) // BLOCK + 1)
                if blocks[0] < first or blocks[-1] > last or not have.issuperset(blocks):
                    continue
                verdict.packets += 1
                index = segment.base + at
                verdict.packets_lost += not any(octets == lpdu and abs(place - index) < BLOCK for place, octets in decoded)
        known = {lpdu for _, _, lpdu in self.line.packets}
        verdict.packets_false += sum(octets not in known for _, octets in decoded)


def in_virtual_time(seconds: float, seed: int, tagged: bool = False) -> tuple[Verdict, SourceStatistics]:
    """The whole without sockets: messages arrive when their slot is due; senders die and come back."""
    line, rng = make_line(seed), np.random.default_rng([seed, 2])
    statistics = SourceStatistics()
    stream, watcher = Stream(statistics, rate=RATE), Watcher(line, seed)
    now, end, run = 1000.0, 1000.0 + seconds, 0
    while now < end:
        life = now + rng.uniform(1.0, 4.0)
        for _, numbers in schedule(seed, run):
            now += BLOCK / RATE
            for number in numbers:
                stream.put([memoryview(part) for part in message(line, number, run + 1, tagged)], now)
                while (block := stream.get(now)) is not None:
                    watcher.take(block, statistics.restarts)
            if now > min(life, end):
                break
        now += rng.uniform(0.05, 1.0)
        while (block := stream.get(now)) is not None:  # what waited for a block that will not come any more
            watcher.take(block, statistics.restarts)
        run += 1
    while (block := stream.get(now + 10)) is not None:
        watcher.take(block, statistics.restarts)
    return watcher.finish(), statistics


# ---------------------------------------------------------------- with processes


def send(endpoint: str, seed: int, run: int) -> None:
    """A sender, until it is killed."""
    import zmq

    line = make_line(seed)
    socket = zmq.Context().socket(zmq.PUB)
    for attempt in range(100):  # the port of the one that was killed is free in a moment
        try:
            socket.bind(endpoint)
            break
        except zmq.ZMQError:
            if attempt == 99:
                raise
            time.sleep(0.02)
    started = time.monotonic()
    for slot, numbers in schedule(seed, run):
        for number in numbers:
            socket.send_multipart(message(line, number, run % 65_535 + 1, False))
        ahead = started + (slot + 1) * BLOCK / RATE - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)


def resident_kib() -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


def in_real_time(
    seconds: float, seed: int, endpoint: str, tell: Callable[[str], None]
) -> tuple[Verdict, SourceStatistics, list[int]]:
    """The whole with processes; also memory in KiB every five seconds."""
    rng = np.random.default_rng([seed, 3])
    source = open_source(f"zmq+sub:{endpoint}", rate=RATE)
    watcher, memory = Watcher(make_line(seed), seed), []
    command = [sys.executable, __file__, "--send", endpoint, "--seed", str(seed), "--run"]
    sender, run, seen, told = Popen([*command, "0"]), 0, 0, 0
    end = time.monotonic() + seconds
    kill_at, look_at, deaf_at = (time.monotonic() + after for after in (8.0, 5.0, DEAF_AT_S))
    try:
        while (now := time.monotonic()) < end:
            if now > deaf_at:
                time.sleep(DEAF_S)
                deaf_at, kill_at = end, max(kill_at, now + 2 * DEAF_S)
            block = source.read(0.05)
            if block is not None:
                # Each sender lives long enough to be heard: the n-th restart that is seen is the n-th sender.
                seen = source.statistics.restarts
                watcher.take(block, seen)
            if now > kill_at and seen == run:
                sender.kill()
                sender.wait()
                run += 1
                sender = Popen([*command, str(run)])
                kill_at = now + 3.0 + rng.uniform(1.0, 8.0)
            if now > look_at:
                memory.append(resident_kib())
                look_at += 5.0
                if now > end - seconds + 60 * (told + 1):
                    told += 1
                    tell(f"{told} min: {source.statistics}, {memory[-1]} KiB")
    except KeyboardInterrupt:
        tell("interrupted; what was seen so far:")
    finally:
        sender.kill()
        sender.wait()
        source.close()
    return watcher.finish(), source.statistics, memory


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--endpoint", default="tcp://127.0.0.1:5593")
    parser.add_argument("--send", metavar="ENDPOINT", help=argparse.SUPPRESS)
    parser.add_argument("--run", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.send:
        send(arguments.send, arguments.seed, arguments.run)
        return 0
    ensure_compiled()
    def tell(text: str) -> None:
        print(text, flush=True)

    verdict, statistics, memory = in_real_time(arguments.seconds, arguments.seed, arguments.endpoint, tell)
    print(statistics)
    print(verdict)
    print(f"packets that nobody sent: {verdict.packets_false}   mark: {verdict.false_by_chance}, what chance lets through")
    settled = memory[min(len(memory) // 3, 12) :]
    growth = 0.0 if len(settled) < 2 else (np.median(settled[-3:]) - np.median(settled[:3])) / 1024
    print(f"memory: {settled[0] / 1024 if settled else 0:.0f} MiB, growth {growth:+.1f} MiB   mark: below 8")
    print("ok" if verdict.good and growth < 8 else "MISSED")
    return 0 if verdict.good and growth < 8 else 1


if __name__ == "__main__":
    sys.exit(main())
