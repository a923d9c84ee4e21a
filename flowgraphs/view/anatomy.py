"""One packet under the lens: its waveform, constellation, eye, loops, bits and words, from the samples and the packet.

    samples -> DownConverter -> ImpulseBlanker -> Mixer -> BankFilter -> HeaderDetector -> PacketTracker

The receiver keeps none of this; the same stages run again, for the packets that somebody looks at.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from phy import ConfigurationError, Packet, Profile
from phy.blanker import ImpulseBlanker
from phy.detect import HeaderDetector
from phy.downconvert import BankFilter, DownConverter, Mixer
from phy.filters import SAMPLES_PER_BIT, BasebandPlan, FrontEndPlan, plan_baseband, plan_front_end
from phy.framing import order_octets, packet_bits
from phy.tracking import Ending, LoopGains, PacketTracker

from .frame import Kind, Picture
from .pictures import envelope

LEAD_BITS: Final = 80  # bit times of line before a packet: the detector looks at the noise there
TAIL_BITS: Final = 24
NEAR_BITS: Final = 2.0  # a header found so close to the packet's beginning is its own
EYE_TRACES: Final = 120
EYE_POINTS: Final = 33  # of two bit times
EYE_FINER: Final = 4  # samples between two of the filtered ones
WAVE_PAIRS: Final = 900
MAX_BITS: Final = 4096

Read = Callable[[int, int], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Word:
    """One word on the line.    octet: what it means.    bits: as received, "01..".    changed: places the decoder changed.
    weakest: soft value of its weakest bit, 1 is as strong as the average; None where it was not measured."""

    octet: int
    bits: str
    changed: tuple[int, ...]
    weakest: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """What `examine` found.

    Attributes:
        picture: arrays `cons` (I and Q by turns), `eye` (traces of EYE_POINTS), `pher` (B,) phase error of each bit, degrees,
            `phlp` (B,) carrier phase that the loop followed, degrees, its mean slope taken out, `tmlp` (B,) timing that the loop
            followed, percent of a bit, slope taken out, `wave` envelope from `first_s` to `end_s`.
        header, words: the bits.
    """

    picture: Picture
    header: str
    words: tuple[Word, ...]


def stretch(packet: Packet, profile: Profile, sample_rate: float) -> tuple[int, int]:
    """First sample and number of samples that `examine` wants of a packet."""
    bit = sample_rate / profile.bit_rate
    first = math.floor(packet.start_sample - LEAD_BITS * bit)
    return first, math.ceil(packet.end_sample + TAIL_BITS * bit) - first


def examine(packet: Packet, profile: Profile, sample_rate: float, read: Read | None, number: int = -1) -> Anatomy:
    """Look at one packet.

    Args:
        read: (first, count) -> (count,) float32 V; None when its samples are gone: then only what the receiver kept is shown.
        number: of the packet in the log.
    """
    symbols = packet.symbols[:MAX_BITS]
    arrays: dict[str, NDArray[np.float32]] = {"cons": _pairs(symbols)}
    bit_s = 1.0 / profile.bit_rate
    start_s, end_s = packet.start_sample / sample_rate, packet.end_sample / sample_rate
    tracked = None
    if read is not None:
        first, count = stretch(packet, profile, sample_rate)
        x = read(first, count)
        tracked = _track(packet, profile, sample_rate, x, first)
        around = round(4 * bit_s * sample_rate)
        shown = slice(max(0, packet.start_sample - around - first), packet.end_sample + around - first)
        arrays["wave"] = envelope(x[shown], WAVE_PAIRS)
        start_s, end_s = (first + shown.start) / sample_rate, (first + min(x.size, shown.stop)) / sample_rate
    errors = np.degrees(np.angle(symbols * np.where(symbols.real < 0, -1, 1)))
    if tracked is not None:
        tracker, y = tracked
        bits = min(tracker.bits, symbols.size) if symbols.size else tracker.bits
        errors = np.degrees(np.angle(_turned(tracker, bits)))
        phases, positions = tracker.phases[:bits], tracker.positions[:bits]
        arrays["phlp"] = np.degrees(_bent(phases)).astype(np.float32)
        arrays["tmlp"] = (100 / SAMPLES_PER_BIT * _bent(positions)).astype(np.float32)
        arrays["eye"] = _eye(tracker, y, bits)
    arrays["pher"] = errors.astype(np.float32)
    picture = Picture(Kind.PACKET, start_s, end_s, arrays, number)
    header, words = _words(packet, profile, None if tracked is None else tracked[0])
    return Anatomy(picture, header, words)


def _pairs(z: NDArray[np.complex64]) -> NDArray[np.float32]:
    return np.ascontiguousarray(z, np.complex64).view(np.float32)


def _turned(tracker: PacketTracker, bits: int) -> NDArray[np.complex128]:
    """Filtered bits without carrier phase and data."""
    z = tracker.raw[:bits] * np.exp(-1j * tracker.phases[:bits])
    return np.asarray(z * np.where(z.real < 0, -1, 1), np.complex128)


def _slope(x: NDArray[np.float64]) -> float:
    k = np.arange(x.size) - (x.size - 1) / 2
    return float(k @ x / (k @ k))


def _bent(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is left of a line without its straight part."""
    if x.size < 2:
        return np.zeros(x.size)
    k = np.arange(x.size) - (x.size - 1) / 2
    return np.asarray(x - x.mean() - _slope(x) * k, np.float64)


@lru_cache(maxsize=8)
def _plans(profile: Profile, hz: float, sample_rate: float) -> tuple[FrontEndPlan, BasebandPlan]:
    front = plan_front_end(profile, [hz], sample_rate)
    return front, plan_baseband(profile, hz, sample_rate, front)


def _track(
    packet: Packet, profile: Profile, sample_rate: float, x: NDArray[np.float32], first: int
) -> tuple[PacketTracker, NDArray[np.complex64]] | None:
    """Tracker that went through the packet and the filtered samples, None when its header is not found again."""
    hz = profile.carrier_hz(packet.carrier)
    try:
        front, plan = _plans(profile, hz, sample_rate)
    except ConfigurationError:
        return None
    u = ImpulseBlanker(front.wide_rate / profile.bit_rate).process(DownConverter(front).process(x))
    y = BankFilter(plan, plan.bit_bank).process(Mixer(hz, plan.wide_rate).process(u))
    unit = plan.narrow_rate / sample_rate
    wanted = (packet.start_sample - first) * unit + SAMPLES_PER_BIT / 2
    cycles = hz / profile.bit_rate
    found = HeaderDetector(profile, cycles, threshold=0.3, doubtful=0.25).push(y, 0)
    near = [c for c in found if abs(c.position - wanted) < NEAR_BITS * SAMPLES_PER_BIT]
    if not near:
        return None
    tracker = PacketTracker(profile, cycles, min(near, key=lambda c: abs(c.position - wanted)), LoopGains(), lost_below=0.05)
    while tracker.push(y, 0, y.size) is Ending.END_WORD and tracker.words <= len(packet.lpdu):
        pass
    return (tracker, y) if tracker.bits else None


def _eye(tracker: PacketTracker, y: NDArray[np.complex64], bits: int) -> NDArray[np.float32]:
    """(traces * EYE_POINTS,): in phase, two bit times around the middle of each bit, 1 is the mean amplitude."""
    positions, phases = tracker.positions[:bits], tracker.phases[:bits]
    low, high = max(0, int(positions[0]) - 4 * SAMPLES_PER_BIT), min(y.size, int(positions[-1]) + 4 * SAMPLES_PER_BIT)
    part = y[low:high]
    at = np.arange(part.size) + low
    phase = np.interp(at, positions, phases)
    in_phase = (part * np.exp(-1j * phase)).real
    spectrum = np.fft.rfft(in_phase)
    fine = np.fft.irfft(spectrum, part.size * EYE_FINER) * EYE_FINER
    chosen = np.unique(np.linspace(1, bits - 2, min(EYE_TRACES, max(0, bits - 2))).astype(np.int64))
    span = np.linspace(-1, 1, EYE_POINTS) * SAMPLES_PER_BIT
    places = (positions[chosen][:, None] + span - low) * EYE_FINER
    scale = float(np.mean(np.abs(tracker.raw[:bits]))) or 1.0
    eye: NDArray[np.float32] = (np.interp(places.ravel(), np.arange(fine.size), fine) / scale).astype(np.float32)
    return eye


def _words(packet: Packet, profile: Profile, tracker: PacketTracker | None) -> tuple[str, tuple[Word, ...]]:
    """The header's bits as sent, and each word as received."""
    header = "".join(map(str, profile.header_bits))
    if not packet.lpdu:
        return header, ()
    n = profile.code.length
    size = profile.header_bits.size
    if len(packet.lpdu) <= profile.max_octets:
        sent = packet_bits(packet.lpdu, profile)[size : size + n * len(packet.lpdu)].reshape(-1, n)
    else:
        sent = profile.code.encode(order_octets(packet.lpdu, profile)).reshape(-1, n)
    hard = (packet.symbols.real[size:] > 0).astype(np.uint8)
    words = []
    for k, octet in enumerate(packet.lpdu):
        soft = None if tracker is None or k >= tracker.words or profile.differential else tracker.soft[k]
        if soft is not None:
            got = (soft < 0).astype(np.uint8)
        elif hard.size >= (k + 1) * n and not profile.differential:
            got = hard[k * n : (k + 1) * n]
        else:
            got = sent[k]
        words.append(
            Word(
                octet,
                "".join(map(str, got)),
                tuple(int(i) for i in np.flatnonzero(got != sent[k])),
                None if soft is None else round(float(np.abs(soft).min()), 2),
            )
        )
    return header, tuple(words)
