"""The round trip of a card: a short sweep inside the channel's own band, sent once, found again by correlation.

Output sample p comes back as input sample p + round trip. It stays the same while nothing underruns, and differs from one
opening of the card to the next, so it is measured each time.
"""

import math
import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from phy import Profile

from ..errors import FrontEndError
from .soundcard import SoundCardSink, SoundCardSource

PROBE_S: Final = 12e-3
AHEAD_S: Final = 0.05  # s between the decision and the probe
LONGEST_S: Final = 1.5  # a longer round trip is not looked for
LEAST_MATCH: Final = 0.5  # of the normalised correlation


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """What was found.

    samples: whole.    fraction: what was rounded off, -0.5..0.5.    match: 0..1, 1 = nothing but a delay.
    gain: of the amplitude, V/V.
    """

    samples: int
    fraction: float
    match: float
    gain: float


def sweep(sample_rate: float, low_hz: float, high_hz: float, seconds: float) -> NDArray[np.float32]:
    """A linear sweep with soft ends (Tukey, a tenth each), amplitude 1."""
    from scipy import signal  # slow to load

    t = np.arange(round(seconds * sample_rate)) / sample_rate
    x = np.sin(2 * math.pi * (low_hz * t + 0.5 * (high_hz - low_hz) / seconds * t * t))
    return np.asarray(x * signal.windows.tukey(x.size, 0.2), np.float32)


def probe_of(profile: Profile, sample_rate: float) -> NDArray[np.float32]:
    """The sweep over both carriers of a channel, as far as the sample rate goes."""
    margin = 2 * profile.bit_rate
    low, high = profile.carrier_hz("secondary") - margin, profile.carrier_hz("primary") + margin
    return sweep(sample_rate, low, min(high, 0.49 * sample_rate), PROBE_S)


def locate(received: NDArray[np.float32], probe: NDArray[np.float32]) -> RoundTrip:
    """Where `probe` is in `received`, (N,) each; `samples` counts from the start of `received`."""
    size = fft.next_fast_len(received.size + probe.size, real=True)
    analytic = fft.fft(probe.astype(np.float64), size)
    analytic[size // 2 :] = 0  # the envelope of the correlation does not swing with the carrier
    correlation = np.abs(fft.ifft(fft.fft(received.astype(np.float64), size) * np.conj(2 * analytic)))[: received.size]
    at = int(np.argmax(correlation))
    a, b, c = (correlation[min(max(at + k, 0), correlation.size - 1)] for k in (-1, 0, 1))
    bend = a - 2 * b + c
    fraction = 0.0 if bend == 0 else float(np.clip(0.5 * (a - c) / bend, -0.5, 0.5))
    energy = float(np.dot(probe, probe))
    there = received[at : at + probe.size]
    power = float(np.dot(there, there))
    match = 0.0 if power == 0 else float(b / math.sqrt(power * energy))
    return RoundTrip(at, fraction, min(match, 1.0), float(b / energy))


def measure_round_trip(
    source: SoundCardSource, sink: SoundCardSink, profile: Profile, level_v: float, timeout_s: float = 5.0
) -> RoundTrip:
    """Send the probe once and find it.

    Args:
        source, sink: both ends of one card; what the source gives meanwhile is used up.    level_v: peak of the probe.
    Raises:
        FrontEndError: it is not heard.
    """
    rate, card = source.sample_rate, source.card
    probe = probe_of(profile, rate)
    at = card.soon(AHEAD_S)
    card.schedule(at, probe * np.float32(level_v))
    heard: list[NDArray[np.float32]] = []
    first = held = looked_at = 0
    deadline = time.monotonic() + timeout_s
    while held < round(LONGEST_S * rate) and time.monotonic() < deadline and not source.ended:
        block = source.read(0.1)
        if block is None or block.end <= at:
            continue
        if not heard:
            first = block.first_sample
        heard.append(block.samples)
        held += block.samples.size
        if held >= looked_at + 4 * probe.size:
            looked_at = held
            found = locate(np.concatenate(heard), probe)
            if found.match >= LEAST_MATCH and found.samples + 2 * probe.size < held:
                return RoundTrip(found.samples + first - at, found.fraction, found.match, found.gain / level_v)
    raise FrontEndError(
        f"{source.name}: does not hear what it sends, so the round trip is not known: "
        "wire the output to the input or the coupler, raise the level, or give round_trip=SAMPLES"
    )
