"""What else may be in a packet's baseband besides noise: echoes of the packet itself, and a tone that sweeps.

Both work on what is left of the samples when the packet, as far as it is known, has been taken out, and give the samples back
without it; errors in what is known leave traces, so they are called again with better decisions.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_ECHOES: Final = (-1.0, -0.5, 0.5, 1.0, 1.5, 2.0)  # bit times from the packet as it was found: a weaker path may be the first
_COARSE: Final = 8.0  # sums of samples a bit from which echoes are fitted
_HOLE: Final = 0.75  # bit times to either side of a sample that its tone is not estimated from
_RIDGE: Final = 1e-3  # keeps neighbouring delays apart where the packet does not tell them


@dataclass(frozen=True, eq=False)
class Cleaned:
    """Samples without what else could be told apart in them.

    Attributes:
        z: (N,) complex64. delays: (L,) float64, bit times, and echoes: (L,) complex64, amplitudes over the direct path's, of what
        was taken out as echoes of the packet.
    """

    z: NDArray[np.complex64]
    delays: NDArray[np.float64]
    echoes: NDArray[np.complex64]


@dataclass(frozen=True, eq=False)
class _Echoes:
    shifts: list[int]
    amplitudes: NDArray[np.complex64]  # of the direct path, then of the shifts
    explained: float  # energy that the shifts explain beyond the direct path, over the number of them


def _fit_echoes(z: NDArray[np.complex64], packet: NDArray[np.complex64], samples_per_bit: float) -> _Echoes:
    """Least-squares fit of a packet and its delayed copies."""
    coarse = max(1, round(samples_per_bit / _COARSE))
    shifts = [coarse * round(d * samples_per_bit / coarse) for d in _ECHOES]
    size = z.size // coarse * coarse
    # The packet is much narrower than the samples allow: sums over some of them tell the same.
    observed, sent = (x[:size].reshape(-1, coarse).sum(axis=1) for x in (z, packet))
    copies = np.stack([sent, *(np.roll(sent, d // coarse) for d in shifts)])
    products = np.einsum("kn,n->k", copies.conj(), observed)
    gram = np.einsum("kn,ln->kl", copies.conj(), copies)
    direct = float(gram[0, 0].real)
    gram += _RIDGE * float(np.trace(gram).real) / len(copies) * np.eye(len(copies), dtype=np.complex64)
    if not direct > 0:
        return _Echoes(shifts, np.zeros(len(copies), np.complex64), 0.0)
    amplitudes = np.linalg.solve(gram, products)
    explained = float((amplitudes.conj() @ products).real) - float(abs(products[0]) ** 2) / direct
    return _Echoes(shifts, np.asarray(amplitudes, np.complex64), explained / len(shifts) / coarse)


def echo_gain(
    z: NDArray[np.complex64], packet: NDArray[np.complex64], samples_per_bit: float, noise: float
) -> float:
    """How much more energy echoes of the packet explain than as many amplitudes of white noise would; about 1 without echoes.

    Args:
        z, packet, samples_per_bit: as without_echoes. noise: energy that one amplitude of the fit takes from the noise, V^2.
    """
    return _fit_echoes(z, packet, samples_per_bit).explained / max(noise, 1e-30)


def without_echoes(z: NDArray[np.complex64], packet: NDArray[np.complex64], samples_per_bit: float) -> Cleaned:
    """Samples without the echoes of a known packet: least-squares fit of its delayed copies, the direct path left in.

    Args:
        z: (N,) complex64 baseband. packet: (N,) complex64, the packet as it would arrive alone. samples_per_bit: of both.
    """
    fit = _fit_echoes(z, packet, samples_per_bit)
    direct, echoes = fit.amplitudes[0], fit.amplitudes[1:]
    clean = z.copy()
    for amplitude, shift in zip(echoes, fit.shifts, strict=True):
        clean -= amplitude * np.roll(packet, shift)
    over_direct = echoes / (direct if abs(direct) > 1e-9 else np.complex64(1))
    return Cleaned(clean, np.array(fit.shifts) / samples_per_bit, np.asarray(over_direct, np.complex64))


def envelope_spread(residual: NDArray[np.complex64], samples_per_bit: float) -> float:
    """Mean square of the power over its local mean: 1 for a tone, also one that sweeps or fades slowly, 2 for Gaussian noise."""
    power = residual.real**2 + residual.imag**2
    width = 2 * round(samples_per_bit) + 1
    local = np.convolve(power, np.full(width, 1.0 / width), "same")
    return float(np.mean((power / np.maximum(local, 1e-30)) ** 2))


def without_swept_tone(
    z: NDArray[np.complex64], packet: NDArray[np.complex64], samples_per_bit: float, width: float
) -> Cleaned:
    """Samples without the strongest component of constant envelope, whatever way its frequency goes.

    Its frequency is the angle between samples a seventh of a bit apart, averaged over `width` bits; turned back by the
    integral of that it is nearly at rest, and its average over `width` bits is taken out (own choice). What is nearest to a
    sample is left out of both averages: else a wrong bit would be taken for the tone and never be found.

    Args:
        z, packet, samples_per_bit: as without_echoes. width: bits averaged.
    """
    residual = z - packet
    lag = max(1, round(samples_per_bit / 7))
    window = np.hanning(2 * round(width * samples_per_bit / 2) + 3)[1:-1].astype(np.float32)
    reach = round(_HOLE * samples_per_bit)
    window[window.size // 2 - reach : window.size // 2 + reach + 1] = 0.0
    product = np.zeros(z.size, np.complex64)
    product[lag // 2 : lag // 2 + z.size - lag] = residual[lag:] * residual[:-lag].conj()
    step = np.angle(np.convolve(product, window, "same")) / lag
    turn = np.exp(1j * np.cumsum(step)).astype(np.complex64)
    weight = np.maximum(np.convolve(np.ones(z.size, np.float32), window, "same"), 1e-3)
    rest = np.convolve(residual * turn.conj(), window, "same") / weight
    return Cleaned(np.asarray(z - rest * turn, np.complex64), np.empty(0), np.empty(0, np.complex64))
