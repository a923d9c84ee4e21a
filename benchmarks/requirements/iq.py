"""R25 for IQ recordings: the loss that the way through IQ adds."""

import dataclasses
import math
from functools import partial

import harness
import numpy as np
from harness import RATE, Samples, Traffic
from ideal import esn0_for
from intervals import loss_db
from numpy.typing import NDArray

from phy.channel import WhiteNoise
from phy.iq import PassbandConverter

from .case import Case, Outcome, scaled

_PACKETS = 3000


def to_iq(x: Samples, line_rate: float, iq_rate: float, centre_hz: float) -> NDArray[np.complex64]:
    """Twice the line moved down by the centre and cut to half the rate on both sides, by spectrum alone: no filter of ours."""
    spectrum = np.fft.fft(2 * x * np.exp(-2j * np.pi * centre_hz / line_rate * np.arange(x.size)))
    size = round(x.size * iq_rate / line_rate)
    half = size // 2 - 1
    kept = np.zeros(size, np.complex128)
    kept[:half], kept[-half:] = spectrum[:half], spectrum[-half:]
    return (np.fft.ifft(kept) * (size / x.size)).astype(np.complex64)


def _as_stored(z: NDArray[np.complex64], bits: int) -> NDArray[np.complex64]:
    """Rounded to integers of so many bits, the largest value at half of full scale."""
    if not bits:
        return z
    step = 2 * float(np.abs(z.view(np.float32)).max()) / 2 ** (bits - 1)
    return (np.round(z.view(np.float32) / step) * step).astype(np.float32).view(np.complex64)


def _loss(profile: str, iq_rate: float, centre_hz: float, bits: int, own_noise: bool, line_rate: float, scale: float) -> Outcome:
    """The same packets, and the same noise but for `own_noise`, through real samples and through IQ.

    own_noise: the IQ has white noise of its own, over its whole band; where that reaches below 0 Hz, without a mirror image.
    """
    n, at = scaled(_PACKETS, scale), esn0_for(0.10)
    traffic = Traffic(profile=profile, rate=line_rate)
    density = math.sqrt(harness.mean_power(traffic) * harness.load(profile).bit_time / 10 ** (at / 10))
    seed = harness.seed_of("R25", profile, iq_rate, centre_hz)
    noise, rng = WhiteNoise(line_rate, density=density, seed=seed, stream=1), np.random.default_rng(seed)
    converter = PassbandConverter(iq_rate, centre_hz)
    real, line = harness.make_receiver(profile, line_rate), harness.make_receiver(profile, converter.sample_rate)
    wrong: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]] = []
    bit, before = harness.load(profile).bit_time, 0
    multiple = math.lcm(round(line_rate), round(iq_rate)) // round(iq_rate)
    for clean, sent in harness.batches(traffic, n, seed):
        if not sent:
            break
        sent = [dataclasses.replace(packet, start=packet.start - before) for packet in sent]
        before += clean.size
        clean = np.concatenate([clean, np.zeros(round(80 * bit * line_rate), np.float32)])
        clean = np.concatenate([clean, np.zeros(-clean.size % multiple, np.float32)])
        x = clean + noise.generate(clean.size)
        z = to_iq(clean if own_noise else x, line_rate, iq_rate, centre_hz)
        if own_noise:  # z has twice the one-sided density of the line in every Hz
            z += (density * math.sqrt(iq_rate) * (rng.normal(size=z.size) + 1j * rng.normal(size=z.size))).astype(np.complex64)
        z = _as_stored(z, bits)
        found = []
        for receiver, samples, rate in (
            (real, x, line_rate),
            (line, np.concatenate([converter.process(z), converter.flush()]), converter.sample_rate),
        ):
            receiver.reset()
            starts = [dataclasses.replace(packet, start=round(packet.start * rate / line_rate)) for packet in sent]
            found.append(~harness.count(starts, receiver.push(samples) + receiver.flush(), rate * bit).delivered)
        wrong.append((found[0], found[1]))
    direct, through = (np.concatenate([pair[k] for pair in wrong]) for k in (0, 1))
    only = int(np.count_nonzero(direct != through))
    base, extra = int(direct.sum()), int(through.sum() - direct.sum())
    losses = [loss_db(errors, n, at)[0] for errors in (base, base + extra)]
    half = loss_db(base + round(1.96 * math.sqrt(max(only, 1))), n, at)[0] - losses[0]
    added = losses[1] - losses[0]
    return Outcome(
        f"extra {added:+.3f} dB +-{half:.3f} of {n}", "<= 0.1 dB against real samples", added <= 0.1, 0.1 < added <= 0.1 + half
    )


def cases() -> list[Case]:
    """IQ of both bands: narrow, 16 and 8 bits, bands that reach below 0 Hz, with the line's noise and with their own."""
    result = []
    for profile, iq_rate, centre_hz, bits, own_noise, line_rate in (
        ("pl20a", 50e3, 81e3, 16, False, RATE),
        ("pl20a", 250e3, 100e3, 8, False, RATE),
        ("pl20a", 400e3, 80e3, 0, False, RATE),
        ("pl20a", 400e3, 80e3, 0, True, RATE),
        ("pl20c", 100e3, 125e3, 16, False, RATE),
    ):
        kind = f"ci{bits}" if bits else "cf32"
        text = f"{profile}, {kind}, {iq_rate / 1e3:g} kS/s around {centre_hz / 1e3:g} kHz" + ", own noise" * own_noise
        result.append(Case("R25", "IQ", text, partial(_loss, profile, iq_rate, centre_hz, bits, own_noise, line_rate)))
    return result
