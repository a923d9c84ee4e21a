"""One work unit: packets through the line and every receiver, and what came of them.

A unit is a function of its setup, its seed and the number of its packets, nothing else: whoever computes it, and when.
"""

import hashlib
import math
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from phy import Carrier, Packet, Transmitter, append_crc
from phy.combining import ALTERNATE
from phy.symbol_level import simulate_words

from .line import make_line, signal_power
from .own_stages import with_reason
from .plan import PointSetup

LEAD_BITS = 200.0  # noise before the first packet: a receiver that has been listening
TAIL_BITS = 80.0  # noise after the last one: it leaves filters and look-ahead among the same noise as the others
_PUSH = 1 << 18  # samples given to the receivers at once; smaller pieces cost them more per sample
_NEAR_BITS = 12.0  # a received packet belongs to the one sent within so many bits of its start; gaps are twice as long


class Tally(msgspec.Struct, frozen=True):
    """What one receiver made of a unit.

    errors: packets not delivered with the right content. missed: of these, no packet was found at all. residual: good CRC and
    wrong content. false: good CRC where nothing was sent. failed: hex, one bit for each packet, first packet = most significant
    bit; empty without a waveform. words, word_errors, channel_bits, channel_bit_errors: without a waveform.
    """

    errors: int
    missed: int = 0
    residual: int = 0
    false: int = 0
    failed: str = ""
    words: int = 0
    word_errors: int = 0
    channel_bits: int = 0
    channel_bit_errors: int = 0


class UnitResult(msgspec.Struct, frozen=True):
    """What came of a unit; receivers in the order of the specification."""

    packets: int
    tallies: list[Tally]


@dataclass(frozen=True, slots=True)
class _Sent:
    """A copy of packet number `packet` on the line: bit 0 starts at line sample `start`."""

    packet: int
    carrier: Carrier
    lpdu: bytes
    start: float


def unit_seed(seed: int, point: int, unit: int) -> int:
    """A seed of 63 bits from those of the campaign, the point and the unit."""
    digest = hashlib.sha256(f"{seed}/{point}/{unit}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def run_unit(setup: PointSetup, seed: int, packets: int) -> UnitResult:
    """Compute a unit of `packets` packets. Raises CampaignError when a receiver with stages of one's own fails."""
    if setup.kind == "symbols":
        return _symbols(setup, seed, packets)
    own = [receiver.stages for receiver in setup.receivers if receiver.stages is not None]
    if not own:
        return _waveform(setup, seed, packets)
    return with_reason(own, lambda: _waveform(setup, seed, packets))


def _symbols(setup: PointSetup, seed: int, packets: int) -> UnitResult:
    tallies = []
    for receiver in setup.receivers:
        run = simulate_words(setup.code, setup.octets, setup.esn0_db, packets, decoder=receiver.decoder, seed=seed)
        tallies.append(
            Tally(
                run.packet_errors,
                words=run.words,
                word_errors=run.word_errors,
                channel_bits=run.channel_bits,
                channel_bit_errors=run.channel_bit_errors,
            )
        )
    return UnitResult(packets, tallies)


def _waveform(setup: PointSetup, seed: int, packets: int) -> UnitResult:
    """Random content, start, phase and clock; every packet has exactly the mean power that Es/N0 asks for."""
    rng = np.random.default_rng(seed)
    profile, rate = setup.profile, setup.sample_rate
    bit = rate * profile.bit_time
    power = signal_power(setup.line, profile, setup.carrier, rate, setup.esn0_db)
    line = make_line(setup.line, profile, setup.carrier, rate, setup.esn0_db, power, seed)
    receivers = [receiver.make(profile, rate) for receiver in setup.receivers]
    got: list[list[Packet]] = [[] for _ in receivers]
    sent: list[_Sent] = []
    position = 0

    held: list[NDArray[np.float32]] = []

    def pass_on(x: NDArray[np.float32]) -> None:
        nonlocal position
        y = line.process(x)
        position += y.size  # a line with a clock of its own gives more or fewer samples than it takes
        held.append(y)
        if sum(part.size for part in held) >= _PUSH:
            push_held()

    def push_held() -> None:
        block = np.concatenate(held)
        held.clear()
        for receiver, delivered in zip(receivers, got, strict=True):
            delivered += receiver.push(block)

    pass_on(np.zeros(round(LEAD_BITS * bit), np.float32))
    for packet in range(packets):
        content = rng.bytes(setup.octets - 2)
        sender = Transmitter(profile, rate, level_v=1.0, clock_ppm=float(rng.uniform(*setup.clock_ppm)))
        for carrier in setup.carriers:
            lpdu = append_crc(content if len(set(setup.carriers)) == 1 else _flagged(content, carrier), profile.crc)
            sender.level_v = 1.0
            sender.level_v = math.sqrt(power / sender.packet_power(lpdu))
            gap = np.zeros(round(rng.uniform(setup.gap_bits, setup.gap_bits + 8) * bit), np.float32)
            delay, phase = rng.uniform(0, 1), rng.uniform(-math.pi, math.pi)
            wave = sender.modulate(lpdu, carrier == "secondary", phase=float(phase), delay=float(delay))
            start = position + gap.size + sender.lead_samples + delay + line.latency_samples
            sent.append(_Sent(packet, carrier, lpdu, start))
            pass_on(np.concatenate([gap, wave]))
    pass_on(np.zeros(round(TAIL_BITS * bit), np.float32))
    if held:
        push_held()
    for receiver, delivered in zip(receivers, got, strict=True):
        delivered += receiver.flush()
    return UnitResult(packets, [_tally(packets, sent, delivered, _NEAR_BITS * bit) for delivered in got])


def _flagged(content: bytes, carrier: Carrier) -> bytes:
    """The same octets with the flag of the carrier that they are sent on."""
    first = content[0] | ALTERNATE if carrier == "secondary" else content[0] & ~ALTERNATE
    return bytes([first]) + content[1:]


def _tally(packets: int, sent: list[_Sent], got: list[Packet], near: float) -> Tally:
    starts = np.array([one.start for one in sent])
    found = np.zeros(packets, bool)
    right = np.zeros(packets, bool)
    residual = false = 0
    for packet in got:
        one = sent[int(np.argmin(np.abs(starts - packet.start_sample)))]
        if abs(one.start - packet.start_sample) > near or packet.carrier != one.carrier:
            false += packet.crc_ok
            continue
        found[one.packet] = True
        if packet.crc_ok:
            same = packet.lpdu == one.lpdu
            right[one.packet] |= same
            residual += not same
    failed = np.packbits(~right).tobytes().hex()
    return Tally(int(np.count_nonzero(~right)), int(np.count_nonzero(~found)), residual, false, failed)
