"""What the measuring commands share: streams of many packets, noise at a wanted Es/N0, counting, intervals and the ideal.

Es/N0 = (mean power over the packet * bit time) / N0, N0 the one-sided density of the background at the carrier. The mean
is taken over all bits of the packet, at the receiver's terminals, behind the path. The alternating preamble of a shaped
pulse has less power than the words, so the words' own bits stand a little (`words_above_mean_db`) above this figure.
"""

import argparse
import dataclasses
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from phy import ConfigurationError, Packet, Profile, Receiver, ReceiverOptions, Transmitter, append_crc
from phy.channel import Source, WhiteNoise

RATE: Final = 400_000.0
_BATCH: Final = 32  # packets made and pushed at once
_REFERENCE_PACKETS: Final = 128
_BLOCK: Final = 1 << 16

Samples = NDArray[np.float32]
Carrier = Literal["primary", "secondary"]


# ---------------------------------------------------------------- packets on a line


@dataclass(frozen=True)
class Traffic:
    """What is sent.

    Attributes:
        profile: its name. carriers: of the packets in turn. octets: LPDU with CRC.
        ppm: clock error of a station, uniform in (low, high) for each packet. gap_bits: between packets, uniform.
        levels_db: of the packets in turn, relative to level_v (V, peak). attempts: times that each LPDU is sent, in a row.
    """

    profile: str = "pl20a"
    carriers: tuple[Carrier, ...] = ("primary",)
    octets: int = 20
    ppm: tuple[float, float] = (-400.0, 400.0)
    gap_bits: tuple[float, float] = (24.0, 40.0)
    level_v: float = 1.0
    levels_db: tuple[float, ...] = (0.0,)
    attempts: int = 1
    rate: float = RATE


@dataclass(frozen=True, slots=True)
class Sent:
    """One packet as sent: bit 0 starts at line sample `start`."""

    lpdu: bytes
    start: int
    carrier: Carrier
    ppm: float
    level_v: float


@cache
def load(name: str) -> Profile:
    """The profile of that name, read once; `pl20a+W11_L3` is pl20a with another word code."""
    base, _, code = name.partition("+")
    if not code:
        return Profile.load(base)
    change = f'code = {{ value = "{code}", grade = "D", source = "benchmark" }}'
    return Profile.from_text(f'extends = "{base}"\n[packet]\n{change}\n', name)


def batches(traffic: Traffic, count: int, seed: int) -> Iterator[tuple[Samples, list[Sent]]]:
    """`count` packets with gaps before and after, as pieces of one stream with what each piece holds."""
    profile, rng = load(traffic.profile), np.random.default_rng(seed)
    bit = traffic.rate * profile.bit_time
    position, lpdu = 0, b""
    for first in range(0, count, _BATCH):
        parts: list[Samples] = []
        sent: list[Sent] = []
        for k in range(first, min(first + _BATCH, count)):
            if k % traffic.attempts == 0:
                lpdu = append_crc(rng.bytes(traffic.octets - 2))
            carrier = traffic.carriers[k % len(traffic.carriers)]
            ppm = float(rng.uniform(*traffic.ppm))
            level = traffic.level_v * 10 ** (traffic.levels_db[k % len(traffic.levels_db)] / 20)
            sender = Transmitter(profile, traffic.rate, level_v=level, clock_ppm=ppm)
            gap = np.zeros(round(rng.uniform(*traffic.gap_bits) * bit), np.float32)
            wave = sender.modulate(lpdu, carrier == "secondary", phase=float(rng.uniform(-math.pi, math.pi)))
            sent.append(Sent(lpdu, position + gap.size + sender.lead_samples, carrier, ppm, level))
            parts += [gap, wave]
            position += gap.size + wave.size
        yield np.concatenate(parts), sent
    # Room for the last packet to leave filters and look-ahead under the same noise as all others.
    yield np.zeros(round(80 * bit), np.float32), []


def mean_power(traffic: Traffic, path: Sequence[Any] = (), seed: int = 99) -> float:
    """Mean power of the packets (V^2) behind the path, over all their bits, at 0 dB of levels_db."""
    plain = dataclasses.replace(traffic, levels_db=(0.0,))
    bit = traffic.rate * load(traffic.profile).bit_time
    elements = [item.copy() for item in path]
    delay = sum(item.latency_samples for item in elements)
    energy, samples = 0.0, 0
    held: Samples = np.empty(0, np.float32)
    offset = 0
    todo: list[Sent] = []
    for x, sent in batches(plain, _REFERENCE_PACKETS, seed):
        for item in elements:
            x = item.process(x)
        held = np.concatenate([held, x])
        todo += sent
        rest = []
        for packet in todo:
            n = round(load(traffic.profile).packet_bits(traffic.octets) * bit)
            first = packet.start + delay - offset
            if first + n > held.size:
                rest.append(packet)
                continue
            energy += float(np.sum(held[first : first + n].astype(np.float64) ** 2))
            samples += n
        todo = rest
        keep = min((packet.start + delay - offset for packet in todo), default=held.size)
        offset += keep
        held = held[keep:]
    return energy / samples


def words_above_mean_db(profile_name: str, octets: int = 20) -> float:
    """Mean power of the words' bits over that of the whole packet, dB: what the definition of Es/N0 leaves to the words."""
    profile, rng = load(profile_name), np.random.default_rng(4)
    bit = 1e6 * profile.bit_time
    sender = Transmitter(profile, 1e6)
    first, count = len(profile.header_bits), profile.code.length * octets
    words, whole = 0.0, 0.0
    for _ in range(40):
        x = sender.modulate(append_crc(rng.bytes(octets - 2)))[sender.lead_samples :].astype(np.float64) ** 2
        words += float(np.mean(x[round(first * bit) : round((first + count) * bit)]))
        whole += float(np.mean(x[: round(profile.packet_bits(octets) * bit)]))
    return 10 * math.log10(words / whole)


class GatedNoise(Source):
    """White Gaussian noise switched on for `width_s` at a fixed rate: impulses locked to the mains.

    Args:
        density: V/sqrt(Hz) while it is on. per_second: impulses a second. width_s: their width, s.
    """

    def __init__(self, sample_rate: float, density: float, per_second: float, width_s: float, seed: int, stream: int) -> None:
        super().__init__(sample_rate, seed, stream)
        self._noise = WhiteNoise(sample_rate, density=density, seed=seed, stream=stream)
        self._period, self._width = sample_rate / per_second, width_s * sample_rate

    def samples(self, first_sample: int, n: int) -> Samples:
        on: NDArray[np.bool_] = np.asarray(np.mod(first_sample + np.arange(n), self._period) < self._width)
        noise = self._noise.samples(first_sample, n)
        return np.where(on, noise, np.float32(0))


# ---------------------------------------------------------------- what came of it


@dataclass
class Count:
    """What the receiver made of a stream.

    Attributes:
        sent: packets on the line (LPDUs when each is sent several times). right: delivered with the right content.
        missed: no packet, good or bad, starts within a bit. residual: good CRC, wrong content.
        false: good CRC where nothing was sent. phantom: bad CRC where nothing was sent.
        pairs: (sent, received) of everything that was found. sent_packets: all that was sent, each attempt.
        delivered: (N,) for each of these, whether it came right.
    """

    sent: int = 0
    right: int = 0
    missed: int = 0
    residual: int = 0
    false: int = 0
    phantom: int = 0
    pairs: list[tuple[Sent, Packet]] = field(default_factory=list)
    sent_packets: Sequence[Sent] = ()
    delivered: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    @property
    def errors(self) -> int:
        return self.sent - self.right


def count(sent: Sequence[Sent], got: Sequence[Packet], bit: float, delay: float = 0.0, attempts: int = 1) -> Count:
    """Compare what was sent with what came; `bit` in samples, `delay` of the path in samples."""
    result = Count(sent_packets=sent)
    starts = np.array([s.start for s in sent]) + delay
    order = np.argsort(starts, kind="stable")
    found: dict[int, bool] = {}
    for packet in got:
        near = order[np.searchsorted(starts[order], packet.start_sample - bit) :][:4] if starts.size else order
        hits = [int(i) for i in near if abs(starts[i] - packet.start_sample) <= bit]
        same = [i for i in hits if sent[i].carrier == packet.carrier]
        if not same:
            result.false += packet.crc_ok
            result.phantom += not packet.crc_ok
            continue
        i = next((i for i in same if sent[i].lpdu == packet.lpdu), same[0])
        right = packet.crc_ok and packet.lpdu == sent[i].lpdu
        result.residual += packet.crc_ok and not right
        found[i] = found.get(i, False) or right
        result.pairs.append((sent[i], packet))
    delivered = np.array([found.get(i, False) for i in range(len(sent))])
    result.missed = len(sent) - len(found)
    result.delivered = delivered
    if attempts > 1:
        delivered = np.asarray(delivered.reshape(-1, attempts).any(axis=1))
    result.sent, result.right = delivered.size, int(np.count_nonzero(delivered))
    return result


_chosen: dict[str, Any] = {}


def use_options(options: dict[str, Any]) -> None:
    """ReceiverOptions that every later `run` takes where it asks for no other (`--set` of the commands)."""
    _chosen.clear()
    _chosen.update(options)


def make_receiver(profile: str, rate: float, carriers: Sequence[Carrier] | None = None, **options: Any) -> Receiver:
    """A receiver with the options of `use_options`, and those given here above them; `carriers`: those to watch."""
    return Receiver(load(profile), rate, ReceiverOptions(**{**_chosen, **options}), carriers)


@dataclass(frozen=True, slots=True)
class Levels:
    """What the makers of further noise may refer to: V/sqrt(Hz), V, Hz."""

    density: float
    signal_rms_v: float
    carrier_hz: float
    rate: float
    seed: int


Extra = Callable[[Levels], Sequence[Source]]


def seed_of(*parts: object) -> int:
    """A fixed seed from a description."""
    return zlib.crc32(repr(parts).encode())


def run(
    traffic: Traffic,
    packets: int,
    seed: int,
    *,
    esn0_db: float | None = None,
    density: float | None = None,
    background: Callable[[Levels], Source] | None = None,
    extra: Extra | None = None,
    path: Sequence[Any] = (),
    behind: Sequence[Any] = (),
    options: dict[str, Any] | None = None,
    power: float | None = None,
) -> Count:
    """Send `packets` packets through path and noise into a receiver and count.

    Args:
        esn0_db or density: level of the background, as Es/N0 or in V/sqrt(Hz).
        background: its source (default white). extra: further sources. path: elements before the noise; behind: after it.
        power: mean packet power behind the path where it is known.
    """
    profile = load(traffic.profile)
    power = mean_power(traffic, path) if power is None else power
    if density is None:
        if esn0_db is None:
            raise ValueError("esn0_db or density is needed")
        density = math.sqrt(power * profile.bit_time / 10 ** (esn0_db / 10))
    levels = Levels(density, math.sqrt(power), profile.carrier_hz(traffic.carriers[0]), traffic.rate, seed)
    floor = background(levels) if background else WhiteNoise(traffic.rate, density=density, seed=seed, stream=1)
    sources = [floor, *(extra(levels) if extra else ())]
    elements, after = [item.copy() for item in path], [item.copy() for item in behind]
    receiver = make_receiver(traffic.profile, traffic.rate, **(options or {}))
    sent: list[Sent] = []
    got: list[Packet] = []
    for x, some in batches(traffic, packets, seed):
        sent += some
        for item in elements:
            x = item.process(x)
        for source in sources:
            x = x + source.generate(x.size)
        for item in after:
            x = item.process(x)
        for first in range(0, x.size, _BLOCK):
            got += receiver.push(x[first : first + _BLOCK])
    got += receiver.flush()
    delay = sum(item.latency_samples for item in elements)
    return count(sent, got, traffic.rate * profile.bit_time, delay, traffic.attempts)


# ---------------------------------------------------------------- options on the command line


def option(text: str) -> tuple[str, Any]:
    """`name=value` of a ReceiverOptions field, for argparse."""
    name, _, value = text.partition("=")
    kinds: dict[str, Any] = {f.name: f.default for f in dataclasses.fields(ReceiverOptions)}
    if name not in kinds:
        raise argparse.ArgumentTypeError(f"no receiver option {name!r}; there are: {', '.join(kinds)}")
    default = kinds[name]
    try:
        if isinstance(default, bool):
            parsed: Any = {"true": True, "false": False}[value]
        else:
            parsed = type(default)(value)
        ReceiverOptions(**{name: parsed})
    except ConfigurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    except (KeyError, ValueError):
        expected = "true or false" if isinstance(default, bool) else f"of type {type(default).__name__}"
        raise argparse.ArgumentTypeError(f"{name} must be {expected}, got {value!r}") from None
    return name, parsed


def verdict(passed: bool) -> str:
    """How every command says it."""
    return "pass" if passed else "FAIL"
