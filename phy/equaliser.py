"""A second look at a packet that failed its check: smoother phase, then a filter learnt from the packet itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .filters import SAMPLES_PER_BIT
from .words import WordCode


@dataclass(frozen=True, slots=True)
class SecondLook:
    """Soft bits of a packet, estimated anew.

    Attributes:
        symbols: (B,) complex64, unit amplitude, the real part decides (+ means 1).
        method: name of the estimate, for reports.
    """

    symbols: NDArray[np.complex64]
    method: str


def cubic(y: NDArray[np.complex64], at: NDArray[np.float64]) -> NDArray[np.complex128]:
    """y at fractional indices (any shape), by the cubic through four samples; outside of y it is held at the border."""
    n = np.floor(at).astype(np.int64)
    mu = at - n
    a = -mu * (mu - 1) * (mu - 2) / 6
    b = (mu + 1) * (mu - 1) * (mu - 2) / 2
    c = -(mu + 1) * mu * (mu - 2) / 2
    d = (mu + 1) * mu * (mu - 1) / 6

    def sample(k: NDArray[np.int64]) -> NDArray[np.complex64]:
        return y[np.clip(k, 0, y.size - 1)]

    return a * sample(n - 1) + b * sample(n) + c * sample(n + 1) + d * sample(n + 2)


def _gram(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.complex128]:
    """a^H b for tall, narrow a: (N, K) and b: (N, L) or (N,).

    Not by BLAS: it starts its threads for such shapes, and waiting for them costs far more than the few operations.
    """
    result: NDArray[np.complex128] = np.einsum("ik,il->kl" if b.ndim == 2 else "ik,i->k", a.conj(), b)
    return result


def _apply(x: NDArray[Any], w: NDArray[Any]) -> NDArray[np.complex128]:
    """x w for x: (N, K), w: (K,); not by BLAS, see _gram."""
    result: NDArray[np.complex128] = np.einsum("ik,k->i", x, w)
    return result


def _weighted_line(x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and offset of the line of least weighted squares; nothing when there is no weight."""
    total = float(weight.sum())
    if not total > 0:
        return 0.0, 0.0
    x_mean, y_mean = float(weight @ x) / total, float(weight @ y) / total
    spread = float(weight @ (x - x_mean) ** 2)
    slope = float(weight @ ((x - x_mean) * (y - y_mean))) / spread if spread > 0 else 0.0
    return slope, y_mean - slope * x_mean


def smooth_phase(
    raw: NDArray[np.complex64], phases: NDArray[np.float64], signs: NDArray[np.float64], width: int = 31
) -> NDArray[np.float64]:
    """Carrier phase from the bits before and after each one, rad.

    raw, phases: (B,) filtered bits and tracked phase; signs: (B,) decisions +-1. The average over `width` bits of the
    bits with their data removed has less noise than a loop that sees only the past.
    """
    v = raw * signs * np.exp(-1j * phases)
    # One bit hit by an impulse must not turn its neighbours.
    v = v / np.maximum(np.abs(v), np.median(np.abs(v)) + 1e-30)
    window = np.hanning(width + 2)[1:-1]
    return phases + np.angle(np.convolve(v, window, "same"))


@dataclass(frozen=True, eq=False)
class Burst:
    """What is known of one packet before its bits are estimated anew.

    Attributes:
        narrow: (N,) complex64 baseband before the bit filter; narrow[0] has absolute index `base`.
        raw, positions, phases: of the tracker, (B,): filtered bits, narrow sample of each bit's centre, carrier phase in rad.
        freq: frequency offset as the header tells it, rad per bit. drift: narrow samples per bit that one rad per bit costs.
        pulse, noise_correlation: of the plan, at the narrow rate. header: (H,) known signs of the first bits.
    """

    narrow: NDArray[np.complex64]
    base: int
    raw: NDArray[np.complex64]
    positions: NDArray[np.float64]
    phases: NDArray[np.float64]
    freq: float
    drift: float
    pulse: NDArray[np.float64]
    noise_correlation: NDArray[np.float64]
    header: NDArray[np.float32]

    def around(
        self, positions: NDArray[np.float64], phases: NDArray[np.float64], offsets: NDArray[np.int64]
    ) -> NDArray[np.complex128]:
        """(B, K): the baseband at `offsets` narrow samples from each position, turned back by each phase."""
        return cubic(self.narrow, positions[:, None] + offsets[None, :] - self.base) * np.exp(-1j * phases)[:, None]

    def look(self, symbols: NDArray[np.complex128], method: str) -> SecondLook:
        """Symbols scaled and turned so that the header bits come out as +-1."""
        gain = np.vdot(self.header, symbols[: self.header.size]) / self.header.size
        return SecondLook((symbols / gain if abs(gain) > 1e-12 else symbols).astype(np.complex64), method)


def second_looks(burst: Burst, decide: "Decide", rounds: int = 3) -> Iterator[SecondLook]:
    """Estimates of the bits, each better informed than the one before; the caller stops at the first that passes its check.

    1. Phase smoothed over past and future bits.
    2. The line's impulse response, fitted to the known header and then to all decisions, and the MMSE filter that belongs to it.
    3. A filter that suppresses what is not the known pulse, then one fitted to the decisions.

    Args:
        decide: symbols -> signs after the word decoder. rounds: of each fit.
    """
    signs = decide((burst.raw * np.exp(-1j * burst.phases)).astype(np.complex64))
    phases = smooth_phase(burst.raw, burst.phases, signs)
    yield burst.look(burst.raw * np.exp(-1j * phases), "smooth phase")
    yield from _echo_looks(burst, decide, rounds)
    yield from _filter_looks(burst, phases, decide, rounds)


def _filter_looks(burst: Burst, phases: NDArray[np.float64], decide: "Decide", rounds: int) -> Iterator[SecondLook]:
    """Filters of 13 taps half a bit apart.

    First w = (R + load)^-1 p, R the packet's own covariance and p the known pulse (the minimum power receiver of Capon), which
    notches tones beside the carrier; from its decisions on, least squares, which knows neither pulse nor noise.
    """
    count, header = burst.positions.size, burst.header
    offsets = SAMPLES_PER_BIT // 2 * np.arange(-6, 7)
    x = burst.around(burst.positions, phases, offsets)
    covariance = _gram(x, x) / count
    scale = float(np.trace(covariance).real) / offsets.size
    expected = burst.pulse[burst.pulse.size // 2 - offsets]
    # The known header counts more than decisions.
    weight = np.ones(count)
    weight[: header.size] = 2.0
    normal = _gram(x, x * weight[:, None]) / count + 0.01 * scale * np.eye(offsets.size)
    for load in (0.03, 0.3):
        w = np.linalg.solve(covariance + load * scale * np.eye(offsets.size), expected)
        look = burst.look(_apply(x, w.conj()), f"minimum power, load {load}")
        yield look
        signs = decide(look.symbols)
        for turn in range(rounds):
            w = np.linalg.solve(normal, _gram(x, weight * signs) / count)
            look = burst.look(_apply(x, w), f"fitted filter, round {turn + 1}, load {load}")
            yield look
            renewed = decide(look.symbols)
            if np.array_equal(renewed, signs):
                break
            signs = renewed


def _echo_looks(burst: Burst, decide: "Decide", rounds: int) -> Iterator[SecondLook]:
    """Symbols from _EchoFit, starting over from the header: where echoes are strong, the tracker's phase cannot be trusted.

    What is known doubles each turn, header, twice the header and so on: each turn's bits refine response, phase and frequency
    enough for the next. Then at most `rounds` more with all bits; those are given.
    """
    count = burst.positions.size
    k = np.arange(count)
    phase, freq = burst.phases[0], burst.freq
    known = burst.header.astype(np.float64)
    while True:
        n = min(count, 2 * known.size)
        positions = burst.positions[0] + k[:n] * (SAMPLES_PER_BIT - burst.drift * freq)
        symbols = _EchoFit(burst, positions, phase + freq * k[:n]).symbols(known)
        signs = decide(symbols.astype(np.complex64))
        if known.size == count:
            yield burst.look(symbols, "echo fit")
            rounds -= 1
            if rounds < 0 or np.array_equal(signs, known):
                return
        known = signs
        # Phase and frequency that are left: a line through the angles of blocks of bits with their data removed.
        block = 12
        v = (symbols * signs)[: n // block * block].reshape(-1, block).mean(axis=1)
        if v.size >= 2:
            slope, offset = _weighted_line(block * np.arange(v.size) + (block - 1) / 2, np.unwrap(np.angle(v)), np.abs(v) ** 2)
            freq += slope
            phase += offset


class _EchoFit:
    """The line as a few echoes half a bit apart: their amplitudes from known bits, and the MMSE filter that follows from them.

    r(t) = sum_l h_l s(t - d_l) + n(t), s the packet as it would arrive over a line without echoes. With few unknowns the 35
    header bits are enough for a first fit.
    """

    _DELAYS = SAMPLES_PER_BIT // 2 * np.arange(-2, 5)  # narrow samples: the detector may have chosen a late echo
    _REACH = 10  # narrow samples to either side of a bit that its filter sees

    def __init__(self, burst: Burst, positions: NDArray[np.float64], phases: NDArray[np.float64]) -> None:
        self._pulse = burst.pulse
        self._offsets = np.arange(-self._REACH, self._REACH + 1)
        self._x = burst.around(positions, phases, self._offsets)
        self._noise = burst.noise_correlation[np.abs(self._offsets[:, None] - self._offsets[None, :])]

    def symbols(self, signs: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Estimates of all bits, (B,), from the first `signs.size` known ones."""
        count, n = signs.size, SAMPLES_PER_BIT
        centre = self._pulse.size // 2
        train = np.zeros(count * n)
        train[::n] = signs
        reach = np.arange(-n // 2, n // 2)
        observed = self._x[:count, self._REACH + reach]
        # Bits beyond the known ones spill into the last two; these are left out of the fit, unless the packet ends there.
        used = slice(0, count if count == self._x.shape[0] else count - 2)
        wave = np.convolve(train, self._pulse)
        grid = (n * np.arange(count)[:, None] + reach[None, :])[used].ravel() + centre
        at = grid[:, None] - self._DELAYS[None, :]
        a = np.where((at >= 0) & (at < wave.size), wave[np.clip(at, 0, wave.size - 1)], 0.0)
        y = observed[used].ravel()
        gram = _gram(a, a).real
        h = np.linalg.solve(gram + 0.01 * np.trace(gram) / len(self._DELAYS) * np.eye(len(self._DELAYS)), _gram(a, y))
        residual = float(np.mean(np.abs(y - _apply(a, h)) ** 2)) + 1e-6 * float(np.mean(np.abs(y) ** 2)) + 1e-30
        covariance = residual * self._noise.astype(np.complex128)
        wanted = np.zeros(self._offsets.size, np.complex128)
        for m in range(-5, 6):
            at = centre + self._offsets[:, None] - n * m - self._DELAYS[None, :]
            inside = (at >= 0) & (at < self._pulse.size)
            q = np.where(inside, self._pulse[np.clip(at, 0, self._pulse.size - 1)], 0.0) @ h
            covariance += np.outer(q, q.conj())
            if m == 0:
                wanted = q
        loaded = covariance + 1e-3 * residual * np.eye(self._offsets.size)
        return _apply(self._x, np.linalg.solve(loaded, wanted).conj())


class Decide:
    """Symbols -> signs after the word decoder, so that the code's redundancy corrects the decisions that train the filter."""

    def __init__(self, header: NDArray[np.float32], code: WordCode) -> None:
        self._header, self._code = header, code

    def __call__(self, symbols: NDArray[np.complex64]) -> NDArray[np.float64]:
        """(B,) complex64 -> (B,) float64 of +-1; bits behind the last whole word are decided one by one."""
        n = self._code.length
        signs = np.where(symbols.real >= 0, 1.0, -1.0)
        signs[: self._header.size] = self._header[: signs.size]
        words = (symbols.size - self._header.size) // n
        body = symbols.real[self._header.size : self._header.size + words * n].reshape(words, n)
        signs[self._header.size : self._header.size + words * n] = 2.0 * self._code.table[self._code.best(-body)[0]].ravel() - 1.0
        return signs
