"""What ideal receivers reach, for the measuring commands: in white noise (phy.theory) and behind perfect blanking."""

import math
from functools import cache

import numpy as np
from scipy.optimize import brentq

from phy import Profile
from phy.channel import SlowGain
from phy.theory import ideal_packet_error_ratio
from phy.words import WordCode

_LOWEST_DB, _HIGHEST_DB = -3.0, 12.0


@cache
def packet_error(esn0_db: float, octets: int = 20, code: str = "W11_SPC") -> float:
    """Packet error rate of ideal soft decoding word by word, with everything else known."""
    return ideal_packet_error_ratio(WordCode.named(code), octets, esn0_db)


def esn0_for(per: float, octets: int = 20, code: str = "W11_SPC") -> float:
    """Es/N0 (dB) at which ideal soft decoding has that packet error rate, within -3..12 dB."""
    if per >= packet_error(_LOWEST_DB, octets, code):
        return _LOWEST_DB
    if per <= packet_error(_HIGHEST_DB, octets, code):
        return _HIGHEST_DB

    def distance(esn0_db: float) -> float:
        return math.log(packet_error(round(esn0_db, 5), octets, code) / per)

    return float(brentq(distance, _LOWEST_DB, _HIGHEST_DB, xtol=1e-4))


@cache
def ideal_blanking_error(esn0_db: float, width_s: float, per_second: float, octets: int = 20, packets: int = 20_000) -> float:
    """Packet error rate when exactly the hit part of each bit is taken out, and all else is ideal (Monte Carlo).

    A bit of which the share v is hit keeps (1 - v) of its energy and of its noise; rectangular bits of profile pl20a.
    """
    profile, rng = Profile.load("pl20a"), np.random.default_rng(5)
    bit, bits, lost, done = profile.bit_time, 11 * octets, 0, 0
    begin = np.arange(bits) * bit
    while done < packets:
        n = min(4000, packets - done)
        octet = rng.integers(0, 256, (n, octets))
        first = rng.uniform(0, 1 / per_second, n)
        hit = np.zeros((n, bits))
        for k in range(-1, int(bits * bit * per_second) + 2):
            at = (first + k / per_second)[:, None]
            hit += np.clip(np.minimum(begin + bit, at + width_s) - np.maximum(begin, at), 0, None) / bit
        kept = 1 - np.clip(hit, 0, 1)
        signs = profile.code.signs[octet].reshape(n, bits)
        soft = math.sqrt(2 * 10 ** (esn0_db / 10)) * kept * signs + np.sqrt(kept) * rng.standard_normal((n, bits))
        got, _ = profile.code.best(soft.reshape(-1, 11).astype(np.float32))
        lost += int(np.count_nonzero((got.reshape(n, octets) != octet).any(axis=1)))
        done += n
    return lost / packets


@cache
def ideal_slow_gain_error(preset: str, esn0_db: float, octets: int = 20, packets: int = 8000) -> float:
    """Packet error rate on a line whose gain follows the mains, when gain and phase of every bit are known (Monte Carlo).

    Es/N0 is that of the mean energy behind the path. A preset of phy.channel.SlowGain; bits of profile pl20a, each with its
    mean energy.
    """
    profile, rng = Profile.load("pl20a"), np.random.default_rng(6)
    # The gain itself, seen by a tone of unit amplitude: its squared envelope over one half cycle.
    rate, tone = 400_000.0, 100_000.0
    n = round(0.03 * rate)
    line = SlowGain.preset(preset, rate)
    t = np.arange(n) / rate
    in_phase = line.process(np.cos(2 * np.pi * tone * t).astype(np.float32)).astype(np.float64)
    line.reset()
    quadrature = line.process(np.sin(2 * np.pi * tone * t).astype(np.float32)).astype(np.float64)
    energy = (in_phase**2 + quadrature**2)[round(0.01 * rate) : round(0.02 * rate)]
    energy /= energy.mean()
    total = np.concatenate([[0.0], np.cumsum(np.tile(energy, 10))])
    bit, bits = rate * profile.bit_time, 11 * octets
    octet = rng.integers(0, 256, (packets, octets))
    edges = rng.uniform(0, energy.size, packets)[:, None] + np.arange(bits + 1) * bit
    share = np.diff(np.interp(edges, np.arange(total.size), total), axis=1) / bit
    amplitude = np.sqrt(2 * 10 ** (esn0_db / 10) * share)
    signs = profile.code.signs[octet].reshape(packets, bits)
    soft = amplitude * (amplitude * signs + rng.standard_normal((packets, bits)))
    got, _ = profile.code.best(soft.reshape(-1, 11).astype(np.float32))
    return float(np.mean((got.reshape(packets, octets) != octet).any(axis=1)))
