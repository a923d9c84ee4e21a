"""Complex baseband (IQ) around a centre frequency -> the real line samples that the receiver takes."""

import math
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from .errors import ConfigurationError

PASS: Final = 0.48  # of the IQ rate, either side of the centre: flat up to here
STOP: Final = 0.52  # from here on an image of what lies inside is suppressed
ATTENUATION_DB: Final = 80.0  # of images, and of what lies at negative line frequencies
LOWEST_HZ: Final = 9e3  # no carrier of this family is below; the filter's transition around 0 Hz ends here
HIGHEST_CENTRE_HZ: Final = 10e6  # no power line modem is above; a tuner's own frequency, behind a converter, usually is
_SMALLEST_FFT: Final = 4096
_MOST_FACTOR: Final = 256  # a block must fit into memory


class PassbandConverter:
    """x(t) = Re(z(t) exp(2 pi j f0 t)): IQ samples -> real samples at a whole multiple of their rate.

    The filter between the IQ samples is flat over PASS of their rate and suppresses images; where the IQ band reaches below
    0 Hz on the line, what is there is suppressed too: its mirror would lie on the carriers and bring its noise along.
    Output sample k belongs to IQ time k / factor: there is no delay. |z| is the carrier's peak amplitude in x.
    The oscillator's phase is counted in 2^-64 turns and does not drift. Output does not depend on how the input is cut.

    Args:
        iq_rate: Hz. centre_hz: f0, the line frequency at which z is at 0 Hz, 0 .. 10 MHz.
    Attributes:
        factor: x samples for one IQ sample, the least that holds the band. sample_rate: of x, Hz.
        low_hz, high_hz: band of the line that x holds with a flat response.
        margin: IQ samples that an output depends on, before and behind. block: IQ samples converted at once.
    Raises:
        ConfigurationError: an argument is out of range.
    """

    def __init__(self, iq_rate: float, centre_hz: float) -> None:
        if not (math.isfinite(iq_rate) and iq_rate > 0):
            raise ConfigurationError(f"iq_rate must be positive, got {iq_rate}")
        if not 0 <= centre_hz <= HIGHEST_CENTRE_HZ:
            raise ConfigurationError(f"centre_hz must be in 0..{HIGHEST_CENTRE_HZ:.0f}, got {centre_hz:.12g}")
        self.factor = math.floor(2 * (centre_hz / iq_rate + STOP)) + 1
        self.sample_rate = iq_rate * self.factor
        if self.factor > _MOST_FACTOR:
            raise ConfigurationError(f"iq_rate {iq_rate:g} is too low for centre_hz {centre_hz:.12g}")
        self._folds = centre_hz - STOP * iq_rate < 0
        self.low_hz, self.high_hz = centre_hz - PASS * iq_rate, centre_hz + PASS * iq_rate
        if self._folds:
            self.low_hz = max(self.low_hz, LOWEST_HZ)
        taps = self._taps(iq_rate, centre_hz)
        self.margin = math.ceil((taps.size // 2) / self.factor)
        size = max(_SMALLEST_FFT, 1 << (8 * self.margin).bit_length())
        self.block = size - 2 * self.margin
        whole = np.zeros(size * self.factor, np.complex128)
        whole[: taps.size] = taps * self.factor
        response = np.fft.fft(np.roll(whole, -(taps.size // 2)))
        half = whole.size // 2 + 1
        # The real part has the spectrum (Y(f) + conj(Y(-f))) / 2.
        self._upper = (response[:half] / 2).astype(np.complex64)
        self._lower = np.conj(response[-np.arange(half)] / 2).astype(np.complex64)
        self._bins = np.arange(half) % size
        self._turn = round(Fraction(centre_hz) / Fraction(iq_rate) % 1 * 2**64) % 2**64
        turns = (np.arange(size, dtype=np.uint64) * np.uint64(self._turn)).astype(np.float64) * 2.0**-64
        self._oscillator = np.exp(2j * np.pi * turns)
        self.reset()

    def _taps(self, iq_rate: float, centre_hz: float) -> NDArray[np.complex128]:
        """(odd,) filter at the output's rate: a band-pass around the centre, where needed none below 0 Hz."""
        from scipy import signal  # takes as long to load as all the rest: every command that opens a recording would wait

        def low_pass(cutoff_hz: float, transition_hz: float) -> NDArray[np.float64]:
            length, beta = signal.kaiserord(ATTENUATION_DB, transition_hz / (self.sample_rate / 2))
            taps: NDArray[np.float64] = signal.firwin(length | 1, cutoff_hz, window=("kaiser", beta), fs=self.sample_rate)
            return taps

        def move(h: NDArray[np.float64], by_hz: float) -> NDArray[np.complex128]:
            return h * np.exp(2j * np.pi * by_hz / self.sample_rate * (np.arange(h.size) - h.size // 2))

        taps = move(low_pass(iq_rate / 2, (STOP - PASS) * iq_rate), centre_hz)
        if self._folds:
            # A half-band filter moved up by a quarter of the rate passes the positive frequencies alone.
            positive = move(low_pass(self.sample_rate / 4, min(2 * LOWEST_HZ, 0.1 * self.sample_rate)), self.sample_rate / 4)
            taps = signal.fftconvolve(taps, positive)
        return taps

    def reset(self) -> None:
        """The next sample is IQ sample 0, with silence before it."""
        self._z = np.zeros(self.margin, np.complex64)
        self._next = 0

    def process(self, z: NDArray[np.complex64]) -> NDArray[np.float32]:
        """(N,) complex64, V -> (M,) float32, V: the next blocks of the stream that can be computed by now."""
        self._z = np.concatenate((self._z, np.asarray(z, np.complex64)))
        return self._blocks()

    def flush(self) -> NDArray[np.float32]:
        """The stream ends here, with silence behind it: the samples that are left."""
        held = self._z.size - self.margin
        missing = (-held) % self.block + self.margin if held else 0
        self._z = np.concatenate((self._z, np.zeros(missing, np.complex64)))
        x = self._blocks()[: held * self.factor]
        self.reset()
        return x

    def _blocks(self) -> NDArray[np.float32]:
        size, parts, at = self.block + 2 * self.margin, [np.empty(0, np.float32)], 0
        while self._z.size - at >= size:
            parts.append(self.at(self._z[at : at + size], self._next))
            self._next += self.block
            at += self.block
        self._z = self._z[at:].copy()
        return np.concatenate(parts)

    def at(self, z: NDArray[np.complex64], first: int) -> NDArray[np.float32]:
        """(block + 2 * margin,) complex64, z[margin] being IQ sample `first` -> (block * factor,) float32 from there on.

        Leaves the stream alone. Blocks that begin at multiples of `block` are bit by bit those of the stream.
        """
        turn = (first - self.margin) * self._turn % 2**64 * 2.0**-64
        mixed = (z * (self._oscillator * np.exp(2j * np.pi * turn))).astype(np.complex64)
        spectrum = fft.fft(mixed)
        wide = spectrum[self._bins] * self._upper
        wide += np.conj(spectrum[-self._bins]) * self._lower
        x: NDArray[np.float32] = fft.irfft(wide, mixed.size * self.factor)
        return x[self.margin * self.factor : (self.margin + self.block) * self.factor]
