"""What kind of items do these octets hold? A guess from their statistics, in plain words, for streams that do not say it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

# A voltage in float32 is 0 or within these; what a computed sine has at its zeros is above the lower one.
LEAST_V: Final = 1e-30
LARGEST_V: Final = 1e6
MOSTLY: Final = 0.995
FEWEST: Final = 256  # octets; fewer tell nothing
MOST: Final = 1 << 16  # octets looked at
MIRROR_DB: Final = 15.0  # I and Q in turn show each line of the spectrum twice, at f and at half the rate minus f, as strong
ABOVE_NOISE_DB: Final = 25.0
NEAR_QUARTER: Final = 0.02  # of the rate: there the mirror of a line is the line itself
SEGMENT: Final = 1024
ALIKE_BITS: Final = 0.25  # octets whose statistics differ by less are alike
RANDOM: Final = 4.0  # 8 times the flatness of a spectrum: above it there is no signal


@dataclass(frozen=True, slots=True)
class ItemGuess:
    """name: of the item type, `unknown` when nothing can be told.    reason: in plain words.    sure: no doubt is left."""

    name: str
    reason: str
    sure: bool = True

    @property
    def contradicts_float32(self) -> bool:
        """Certainly something else."""
        return self.sure and self.name not in ("float32", "unknown")


def guess_item_type(octets: bytes | memoryview) -> ItemGuess:
    """Guess the type of a stream's items from one message or several.

    Returns:
        float32, complex64, int16, int32, int8, float64, big-endian float32, or unknown.
    """
    view = memoryview(octets).cast("B")[:MOST]
    whole = view[: len(view) - len(view) % 8]
    raw = np.frombuffer(whole, np.uint8)
    if raw.size < FEWEST:
        return ItemGuess("unknown", "too few octets", False)
    if not raw.any():
        return ItemGuess("unknown", "all octets are zero", False)
    if _plausible(whole, "<f4"):
        return _real_or_complex(np.frombuffer(whole, "<f4"))
    if _plausible(whole, "<f8"):
        return ItemGuess("float64", "the octets make sense as double precision, not as float32")
    if _plausible(whole, ">f4"):
        return ItemGuess("big-endian float32", "the octets make sense as float32 in the other byte order")
    return _integers(raw)


def _plausible(octets: memoryview, kind: str) -> bool:
    x = np.abs(np.frombuffer(octets, kind))
    with np.errstate(invalid="ignore"):
        return bool(np.mean((x == 0) | ((x > LEAST_V) & (x < LARGEST_V))) >= MOSTLY and (x != 0).any())


def _real_or_complex(x: NDArray[np.float32]) -> ItemGuess:
    """White noise tells nothing; lines and bands do: see MIRROR_DB."""
    count = x.size // SEGMENT
    if count == 0:
        return ItemGuess("float32", "the octets make sense as float32")
    segments = x[: count * SEGMENT].reshape(count, SEGMENT).astype(np.float64)
    power = np.mean(np.abs(np.fft.rfft(segments * np.hanning(SEGMENT), axis=1)) ** 2, axis=0)
    level = 10 * np.log10(power + 1e-300 + 1e-14 * power.max())
    off_quarter = np.abs(np.linspace(0.0, 0.5, level.size) - 0.25) > NEAR_QUARTER
    strong = (level > np.median(level) + ABOVE_NOISE_DB) & (level > level.max() - MIRROR_DB)
    if strong.any() and off_quarter[strong].all() and (np.abs(level - level[::-1])[strong] < MIRROR_DB).all():
        return ItemGuess(
            "complex64", "every line of the spectrum shows twice, as it does when I and Q (complex items) are read as float32"
        )
    return ItemGuess("float32", "the octets make sense as float32")


def _integers(raw: NDArray[np.uint8]) -> ItemGuess:
    """The high octets of numbers vary less, or less randomly, than the low ones: how often does that repeat?"""
    spread = [_entropy(raw[k::4]) for k in range(4)]
    if max(spread) - min(spread) < ALIKE_BITS:
        spread = [8 * _flatness(raw[k::4]) for k in range(4)]
    if max(spread) - min(spread) < ALIKE_BITS:
        if min(spread) > RANDOM:
            return ItemGuess("int8", "the octets look random, as packed or compressed data do")
        return ItemGuess("int8", "all octets have the same statistics, as single bytes have")
    if spread[3] < spread[1] - (max(spread) - min(spread)) / 4:
        return ItemGuess("int32", "every fourth octet varies least, as in 32-bit whole numbers")
    return ItemGuess("int16", "every second octet varies less, as in 16-bit whole numbers (short)")


def _entropy(octets: NDArray[np.uint8]) -> float:
    """Bits of an octet, 0..8."""
    counts = np.bincount(octets, minlength=256)
    p = counts[counts > 0] / octets.size
    return float(-np.sum(p * np.log2(p)))


def _flatness(octets: NDArray[np.uint8]) -> float:
    """Geometric over arithmetic mean of the spectrum: about 0.56 for random octets, small for a signal."""
    power = np.abs(np.fft.rfft(octets - octets.mean())[1:]) ** 2 + 1e-9
    return float(np.exp(np.mean(np.log(power))) / np.mean(power))
