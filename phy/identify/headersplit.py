"""Where the preamble ends and the sync word begins: nothing on the line tells, so it is a guess with a probability."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .wordcode import WORD_BITS

_SHORTEST: Final = 4  # of either, in a profile
_LONGEST_SYNC: Final = 64
# A shorter sync word is found in any data; what looks like one is a longer one that begins as the preamble ends. Grade D.
_SHORTEST_SYNC: Final = 8
_BOOK_BITS: Final = 35  # vendor's data book, p. 237 (grade B): 24 of preamble and a word of sync (grade C)
# Own choices, grade D: how likely sync words of a length are, and that a preamble is constant or alternating.
_ONE_WORD: Final = 0.6
_BOOK_ONE_WORD: Final = 0.85
_REGULAR: Final = 0.7
_MOST_SURE: Final = 0.85  # these guesses themselves are none that one could measure


def split_header(bits: NDArray[np.uint8]) -> tuple[int, float]:
    """(H,) bits common to all packets, H at least 8 -> bits of the preamble, and the probability that it ends there.

    Sync words of one word, of whole octets and of any other length compete; a preamble that is constant or alternates up to
    where the sync word would begin speaks for it, by a factor of two for each bit.
    """
    longest = min(bits.size - _SHORTEST, _LONGEST_SYNC)
    lengths = np.arange(min(_SHORTEST_SYNC, longest), longest + 1)
    prior = np.where(lengths % 8 == 0, 4.0, 1.0)
    prior /= prior.sum()
    one = _BOOK_ONE_WORD if bits.size == _BOOK_BITS else _ONE_WORD
    prior = (1 - one) * prior + one * (lengths == WORD_BITS)
    change = bits[1:] ^ bits[:-1]
    other = np.flatnonzero(change != change[0])
    regular = int(other[0]) + 1 if other.size else bits.size
    before = bits.size - lengths
    # Four regular preambles there are: both constants and both alternations.
    weight = prior * ((1 - _REGULAR) + _REGULAR / 4 * np.where(before <= regular, 2.0**before, 0.0))
    best = int(np.argmax(weight))
    return int(before[best]), min(_MOST_SURE, float(weight[best] / weight.sum()))
