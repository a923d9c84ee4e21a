"""Hardware in the loop: what is sent through a loop, and what the loop did to it.

    silence | sweeps | packet, pause, packet, pause ... on alternating carriers | sweeps | silence

Everything is sent as one plan at known samples, recorded, and looked at afterwards, so that a slow computer does not
look like a bad card.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from phy import Carrier, ConfigurationError, Packet, Profile, Receiver, ReceiverOptions, Transmitter, append_crc

from .frontends.contract import SampleSink
from .frontends.round_trip import RoundTrip, locate, sweep
from .frontends.soundcard import SoundCard, SoundCardSource

QUIET_S: Final = 0.4  # of noise before anything is sent
TAIL_S: Final = 0.3
SWEEP_S: Final = 0.1
SWEEP_PAUSE_S: Final = 0.35  # longer than the room in which it is looked for: round trips of that order are told apart
SWEEPS_HZ: Final = ((68e3, 97e3), (108e3, 142e3))  # a little more than is reported, for the soft ends
REPORTED_HZ: Final = ((70e3, 95e3), (110e3, 140e3))
STEP_HZ: Final = 1e3
PAYLOAD: Final = 6  # octets of a test packet besides the CRC, the fewest that a receiver takes: a number and random ones
LONGEST_TRIP_S: Final = 2.0
SLIP_SAMPLES: Final = 4.0  # two packets in a row whose delays differ by more, beyond the drift, lie on both sides of a slip
NYQUIST: Final = 0.4995  # of the sample rate: how far sweeps go
TIMING: Final = 0.42  # of the sample rate: how far they serve to find the delay
DUTY: Final = 0.6
AHEAD_S: Final = 0.3  # s in which the plan is handed over


@dataclass(frozen=True, slots=True)
class SentPacket:
    """A packet of the plan: where bit 0 begins in it, samples."""

    lpdu: bytes
    carrier: Carrier
    start_sample: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is sent.

    samples: (N,) float32 V.    parts: (first, end) of each transmission in it.    sweeps: (first sample, band in Hz), half of
    them before the packets and half behind.    quiet: samples before anything is sent.
    """

    samples: NDArray[np.float32]
    parts: tuple[tuple[int, int], ...]
    packets: tuple[SentPacket, ...]
    sweeps: tuple[tuple[int, tuple[float, float]], ...]
    quiet: int
    level_v: float
    sample_rate: float
    profile: Profile


@dataclass(frozen=True, slots=True, eq=False)
class Capture:
    """What was heard: (N,) float32 V from the plan's first sample on; lost samples are 0.

    missing: samples that the front end said were lost.    gone: the card ended before the plan.
    """

    samples: NDArray[np.float32]
    missing: int = 0
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """Gain of the loop at one frequency, dB of V/V."""

    freq_hz: float
    gain_db: float


@dataclass(frozen=True, slots=True)
class Slip:
    """The loop lost (above 0) or repeated (below 0) samples at about `at_s` of the plan."""

    at_s: float
    samples: int


@dataclass(frozen=True, slots=True)
class HilMeasurement:
    """What a loop did.

    Attributes:
        round_trip: samples from output to input, with fraction; None when the sweep was not found.
        clock_ppm: of the input's clock against the output's.    response: by frequency.    gain_db: at the carriers.
        noise_v: rms, of everything.    noise_band_v: rms within 70-95 kHz.    level_v: sent.
        received_v: median peak of packets.
        peak_v: largest sample heard.    sent, received: packets by carrier.    false_packets: with a good CRC, but never sent.
        esn0_db: median by carrier.    slips, missing: see Slip and Capture.    clipped, overruns, underruns, late: of the card.
    """

    sample_rate: float
    profile: str
    level_v: float
    round_trip: float | None
    clock_ppm: float | None
    response: tuple[Response, ...]
    gain_db: float | None
    noise_v: float
    noise_band_v: float
    received_v: float | None
    peak_v: float
    sent: dict[str, int]
    received: dict[str, int]
    false_packets: int
    esn0_db: dict[str, float]
    slips: tuple[Slip, ...]
    missing: int
    clipped_in: int = 0
    clipped_out: int = 0
    overruns: int = 0
    underruns: int = 0
    late: int = 0
    gone: bool = False

    @property
    def packet_error_rate(self) -> float:
        """Of all packets that were sent."""
        total = sum(self.sent.values())
        return 1.0 - sum(self.received.values()) / total if total else math.nan


def make_plan(profile: Profile, sample_rate: float, packets: int, level_v: float, duty: float = DUTY, seed: int = 1) -> Plan:
    """The samples to be sent.

    Args:
        sample_rate: Hz.    packets: how many, on alternating carriers as far as the rate allows.    level_v: peak.
        duty: part of the time that is sent while packets are.
    Raises:
        ConfigurationError: the sample rate carries neither frequency.
    """
    transmitter = Transmitter(profile, sample_rate, level_v=level_v)
    rng = np.random.default_rng(seed)
    carriers = _carriers(transmitter)
    pieces: list[NDArray[np.float32]] = [np.zeros(round(QUIET_S * sample_rate), np.float32)]
    position = pieces[0].size
    sweeps: list[tuple[int, tuple[float, float]]] = []
    sent: list[SentPacket] = []
    parts: list[tuple[int, int]] = []

    def add(x: NDArray[np.float32], pause: int) -> None:
        nonlocal position
        if x.size:
            parts.append((position, position + x.size))
        pieces.append(x)
        pieces.append(np.zeros(pause, np.float32))
        position += x.size + pause

    def add_sweeps() -> None:
        for low, high in SWEEPS_HZ:
            band = (low, min(high, NYQUIST * sample_rate))
            if band[1] - low > 10e3:
                sweeps.append((position, band))
                add(level_v * sweep(sample_rate, *band, SWEEP_S), round(SWEEP_PAUSE_S * sample_rate))

    add_sweeps()
    for k in range(packets):
        lpdu = append_crc(k.to_bytes(2, "big") + rng.bytes(PAYLOAD - 2))
        carrier = carriers[k % len(carriers)]
        x = transmitter.modulate(lpdu, carrier == "secondary", phase=float(rng.uniform(0, 2 * math.pi)))
        sent.append(SentPacket(lpdu, carrier, position + transmitter.lead_samples))
        add(x, math.ceil(x.size * (1 / duty - 1)))
    add_sweeps()
    add(np.zeros(0, np.float32), round(TAIL_S * sample_rate))
    quiet = round(QUIET_S * sample_rate)
    return Plan(np.concatenate(pieces), tuple(parts), tuple(sent), tuple(sweeps), quiet, level_v, sample_rate, profile)


def _carriers(transmitter: Transmitter) -> list[Carrier]:
    found: list[Carrier] = []
    problem: ConfigurationError | None = None
    names: tuple[Carrier, Carrier] = ("primary", "secondary")
    for name in names:
        try:
            transmitter.modulate(append_crc(bytes(2)), name == "secondary")
            found.append(name)
        except ConfigurationError as error:
            problem = error
    if not found and problem is not None:
        raise problem
    return found


def play(
    plan: Plan, source: SoundCardSource, sink: SampleSink, card: SoundCard, stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[float], None] = lambda part: None,
) -> Capture:
    """Send a plan through a card and record what comes back, from the plan's first sample on.

    Args:
        sink: of the card, or the limits in front of it.    stopped: asked now and then; true ends it early.
        progress: gets the part that is done.
    """
    rate, at = plan.sample_rate, card.soon(AHEAD_S)
    base = at + (card.round_trip or 0)
    for first, last in plan.parts:  # index of the line = output sample + round trip
        sink.write(base + first, plan.samples[first:last])
    heard = np.zeros(plan.samples.size + round(LONGEST_TRIP_S * rate), np.float32)
    missing, end, arrived_at = 0, at, time.monotonic()
    while end < at + heard.size and not stopped():
        block = source.read(0.2)
        if block is None:
            if source.ended or time.monotonic() - arrived_at > 3.0:
                return Capture(heard[: max(0, end - at)], missing, True)
            continue
        arrived_at = time.monotonic()
        first = max(block.first_sample, at)
        x = block.samples[first - block.first_sample :][: at + heard.size - first]
        if x.size:
            heard[first - at : first - at + x.size] = x
            missing += block.missing_before
            progress((first - at) / heard.size)
        end = max(end, block.end)
    return Capture(heard, missing)


def analyse(plan: Plan, capture: Capture, card: SoundCard | None = None) -> HilMeasurement:
    """What the loop did to the plan."""
    x, rate = capture.samples, plan.sample_rate
    half = len(plan.sweeps) // 2
    trip = _trip(plan, x, plan.sweeps[:half])
    response = tuple(point for item in plan.sweeps[:half] for point in _response(plan, x, item, trip)) if trip is not None else ()
    sent = {packet.lpdu: packet for packet in plan.packets}
    # On a clean loop every packet shows on the other carrier too, and second looks at those take most of the time.
    found, good = _received(plan, x, sent, ReceiverOptions(second_look=False))
    if len(good) < len(sent):
        found, good = _received(plan, x, sent, ReceiverOptions())
    both = [(packet, good[packet.lpdu]) for packet in plan.packets if packet.lpdu in good]
    ppm, slips = _delays(
        plan, [(before.start_sample, after.start_sample - before.start_sample, before.carrier) for before, after in both]
    )
    if trip is not None and not slips and not capture.missing:
        ppm = _drift(plan, x, trip, ppm or 0.0)
    names = sorted({packet.carrier for packet in plan.packets})
    carriers_hz = [plan.profile.carrier_hz(name) for name in _typed(names)]
    near = [point.gain_db for point in response if min(abs(point.freq_hz - hz) for hz in carriers_hz) <= 2e3]
    quiet = x[: plan.quiet]
    statistics = None if card is None else (card.heard, card.sent)
    return HilMeasurement(
        sample_rate=rate, profile=plan.profile.name, level_v=plan.level_v,
        round_trip=None if trip is None else trip.samples + trip.fraction,
        clock_ppm=ppm, response=response, gain_db=float(np.mean(near)) if near else None,
        noise_v=_rms(quiet), noise_band_v=_band_rms(quiet, rate, *REPORTED_HZ[0]),
        received_v=float(np.median([after.level_v for _, after in both])) if both else None,
        peak_v=float(np.abs(x).max()) if x.size else 0.0,
        sent={name: sum(packet.carrier == name for packet in plan.packets) for name in names},
        received={name: sum(before.carrier == name for before, _ in both) for name in names},
        false_packets=sum(packet.crc_ok and packet.lpdu not in sent for packet in found),
        esn0_db={
            name: round(float(np.median([after.esn0_db for before, after in both if before.carrier == name])), 1)
            for name in names if any(before.carrier == name for before, _ in both)
        },
        slips=slips, missing=capture.missing,
        clipped_in=0 if statistics is None else statistics[0].clipped,
        clipped_out=0 if statistics is None else statistics[1].clipped,
        overruns=0 if statistics is None else statistics[0].overruns,
        underruns=0 if statistics is None else statistics[1].underruns,
        late=0 if statistics is None else statistics[1].late,
        gone=capture.gone,
    )  # fmt: skip


def _received(
    plan: Plan, x: NDArray[np.float32], sent: Mapping[bytes, SentPacket], options: ReceiverOptions
) -> tuple[list[Packet], dict[bytes, Packet]]:
    """All packets that are heard, and the good ones among those that were sent."""
    receiver = Receiver(plan.profile, plan.sample_rate, options)
    found = [*receiver.push(x), *receiver.flush()]
    return found, {packet.lpdu: packet for packet in found if packet.crc_ok and packet.lpdu in sent}


def _typed(names: Sequence[str]) -> list[Carrier]:
    return ["primary" if name == "primary" else "secondary" for name in names]


def _trip(plan: Plan, x: NDArray[np.float32], sweeps: Sequence[tuple[int, tuple[float, float]]]) -> RoundTrip | None:
    """Where the first sweep is heard, relative to where it was sent."""
    if not sweeps:
        return None
    first, band = sweeps[0]
    probe = _timing_sweep(plan.sample_rate, band)
    # The same sweep comes again at the end: only the time before it is looked at.
    last = plan.sweeps[len(plan.sweeps) // 2][0]
    room = x[first : min(first + round(LONGEST_TRIP_S * plan.sample_rate), last)]
    if room.size < probe.size:
        return None
    found = locate(room, probe)
    return found if found.match >= 0.3 else None


def _timing_sweep(sample_rate: float, band: tuple[float, float]) -> NDArray[np.float32]:
    """The part of a sweep by which it is placed: closer to half the rate, filters and images move it about."""
    probe = sweep(sample_rate, *band, SWEEP_S)
    spectrum = fft.rfft(probe.astype(np.float64))
    spectrum[fft.rfftfreq(probe.size) > TIMING] = 0
    return np.asarray(fft.irfft(spectrum, probe.size), np.float32)


def _drift(plan: Plan, x: NDArray[np.float32], trip: RoundTrip, ppm: float) -> float | None:
    """Clock error in ppm by the same sweep before and after the packets, `ppm` is what the packets say."""
    (before, band), (after, _) = plan.sweeps[0], plan.sweeps[len(plan.sweeps) // 2]
    probe = _timing_sweep(plan.sample_rate, band)
    around = round(0.02 * plan.sample_rate)
    start = round(after + trip.samples + ppm * 1e-6 * (after - before)) - around
    room = x[start : start + probe.size + 2 * around]
    if room.size < probe.size or (found := locate(room, probe)).match < 0.3:
        return ppm
    moved = start + found.samples + found.fraction - (after + trip.samples + trip.fraction)
    return round(moved / (after - before) * 1e6, 2)


def _response(plan: Plan, x: NDArray[np.float32], item: tuple[int, tuple[float, float]], trip: RoundTrip) -> list[Response]:
    first, band = item
    probe = plan.level_v * sweep(plan.sample_rate, *band, SWEEP_S)
    margin = round(2e-3 * plan.sample_rate)  # what the loop's filters spread
    start = first + trip.samples - margin
    heard = x[max(0, start) : start + probe.size + 2 * margin]
    size = fft.next_fast_len(probe.size + 2 * margin, real=True)
    ratio_in, ratio_out = np.abs(fft.rfft(probe, size)) ** 2, np.abs(fft.rfft(heard, size)) ** 2
    freq = fft.rfftfreq(size, 1 / plan.sample_rate)
    found = []
    low, high = next((low, high) for low, high in REPORTED_HZ if low >= band[0])
    for centre in np.arange(low, min(high, band[1] - STEP_HZ / 2) + 1.0, STEP_HZ):
        chosen = np.abs(freq - centre) <= STEP_HZ / 2
        gain = float(ratio_out[chosen].sum() / ratio_in[chosen].sum())
        found.append(Response(float(centre), round(10 * math.log10(max(gain, 1e-20)), 2)))
    return found


def _delays(plan: Plan, delays: Sequence[tuple[int, int, str]]) -> tuple[float | None, tuple[Slip, ...]]:
    """Clock error and slips from (sent at, delay, carrier), samples, of each packet that was received.

    The input's clock being fast makes the delay grow. Within a stretch without a slip the delay is a straight line for each
    carrier, filters delay one more than the other; differences of neighbours tell slips from it, and their median is a slope
    that a slip does not touch.
    """
    at = np.array([item[0] for item in delays], float)
    delay = np.array([item[1] for item in delays], float)
    carrier = np.array([item[2] for item in delays])
    alike = [np.flatnonzero(carrier == name) for name in sorted(set(carrier))]
    slopes = [np.diff(delay[group]) / np.diff(at[group]) for group in alike if group.size > 1]
    if len(delays) < 3 or not slopes:
        return None, ()
    slope = float(np.median(np.concatenate(slopes)))
    step = np.diff(delay) - slope * np.diff(at)
    turn = np.where(carrier == "secondary", 1, 0)
    turns = np.diff(turn)
    if turns.any():
        delay -= turn * np.median(step[turns != 0] * turns[turns != 0])
    residual = np.diff(delay) - slope * np.diff(at)
    jumps = np.flatnonzero(np.abs(residual) > SLIP_SAMPLES)
    flat = delay.copy()
    slips = []
    for k in jumps:
        flat[k + 1 :] -= residual[k]
        slips.append(Slip(round(float(at[k + 1]) / plan.sample_rate, 3), -round(float(residual[k]))))
    fitted = float(np.polyfit(at - at[0], flat, 1)[0]) * 1e6
    return round(fitted, 2), tuple(slips)


def _rms(x: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) if x.size else 0.0


def _band_rms(x: NDArray[np.float32], rate: float, low_hz: float, high_hz: float) -> float:
    """Rms of what lies between two frequencies."""
    if not x.size:
        return 0.0
    spectrum = fft.rfft(x.astype(np.float64))
    freq = fft.rfftfreq(x.size, 1 / rate)
    chosen = (freq >= low_hz) & (freq <= high_hz)
    return float(np.sqrt(2 * np.sum(np.abs(spectrum[chosen]) ** 2)) / x.size)
