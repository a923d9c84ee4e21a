"""What ideal receivers reach: packet error rates of soft decoding in white noise and behind perfect blanking."""

import math
from functools import cache
from typing import Final

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import erfc

from phy import Profile


def word_error(esn0_db: float) -> float:
    """Word error rate of ideal soft decoding of W11_SPC: single parity over 9 bits, weakest bit inverted.

    1 - P_c,  P_c = (1 - p)^n + n int_0^inf f(-x) Q((x - 1) / s)^(n - 1) dx,  s^2 = N0 / (2 Es),  n = 9  (exact)
    """
    n, s = 9, math.sqrt(0.5 / 10 ** (esn0_db / 10))

    def q(x: float) -> float:
        return 0.5 * float(erfc(x / math.sqrt(2)))

    def density(x: float) -> float:
        return n * math.exp(-(((x + 1) / s) ** 2) / 2) / (s * math.sqrt(2 * math.pi)) * q((x - 1) / s) ** (n - 1)

    return 1 - (1 - q(1 / s)) ** n - float(quad(density, 0, 1 + 12 * s, epsabs=1e-13, limit=200)[0])


# Maximum likelihood of W11_L3, word error rate at 0..8 dB: Monte Carlo of 0.4 to 8 million words (last entry +-30 %).
_L3_ML: Final = (1.77e-1, 9.41e-2, 4.18e-2, 1.50e-2, 4.19e-3, 9.04e-4, 1.41e-4, 1.40e-5, 1.1e-6)


@cache
def packet_error(esn0_db: float, octets: int = 20, code: str = "W11_SPC") -> float:
    """Packet error rate of ideal soft decoding with everything else known."""
    if code == "W11_SPC":
        wrong = word_error(esn0_db)
    elif code == "W11_L3":
        wrong = math.exp(float(np.interp(esn0_db, range(9), np.log(_L3_ML))))
    else:
        raise ValueError(f"no ideal is known for the code {code!r}")
    return -math.expm1(octets * math.log1p(-wrong))


def esn0_for(per: float, octets: int = 20, code: str = "W11_SPC") -> float:
    """Es/N0 (dB) at which ideal soft decoding has that packet error rate; -10 or 12 beyond the ends of that range."""
    if per >= packet_error(-10.0 if code == "W11_SPC" else 0.0, octets, code):
        return -10.0
    if per <= packet_error(12.0 if code == "W11_SPC" else 8.0, octets, code):
        return 12.0
    low, high = (-10.0, 12.0) if code == "W11_SPC" else (0.0, 8.0)
    return float(brentq(lambda e: math.log(packet_error(e, octets, code) / per), low, high, xtol=1e-4))


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
