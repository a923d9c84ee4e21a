"""What packets carry behind their check sequence: one word over and over, as a profile describes it, or something else."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .framing import Framing, PacketRows
from .wordcode import WORD_BITS

_ALIKE: Final = 0.8  # share of the packets that agree on a bit that all have


@dataclass(frozen=True, eq=False, slots=True)
class Tail:
    """The end of packets.

    Attributes:
        word: (11,) uint8, the first word behind the check sequence, and how often it comes: `repeats`, perhaps 0.
        agreement: share of the packets that have the rarest of its bits right.
        behind: bits that all packets send behind that, "" where there are none.
    """

    word: NDArray[np.uint8]
    repeats: int
    agreement: float
    behind: str

    def inverted(self) -> "Tail":
        """The same on a line of the other polarity."""
        behind = self.behind.translate(str.maketrans("01", "10"))
        return Tail(self.word ^ np.uint8(1) if self.repeats else self.word, self.repeats, self.agreement, behind)


def read_tail(rows: PacketRows, packets: Iterable[int], framing: Framing, unseen: NDArray[np.uint8]) -> Tail:
    """What follows the octets of these packets; `unseen` stands for an end word that does not come."""
    size = round(framing.end_words * WORD_BITS + framing.left_over)
    last = []
    for index in packets:
        row = rows.rows[index]
        octets = rows.words(index, framing.header_bits, framing.end_words).shape[0]
        begin = framing.header_bits + WORD_BITS * octets
        if octets and begin + size <= row.size:
            last.append(row[begin : begin + size] > 0)
    if not last or size <= 0:
        return Tail(unseen, 0, 1.0, "")
    share = np.mean(last, axis=0)
    bits = (share > 0.5).astype(np.uint8)
    alike = np.maximum(share, 1 - share) > _ALIKE
    same = [
        bool(alike[at : at + WORD_BITS].all() and (bits[at : at + WORD_BITS] == bits[:WORD_BITS]).all())
        for at in range(0, bits.size // WORD_BITS * WORD_BITS, WORD_BITS)
    ]
    repeats = (*same, False).index(False)
    rest = slice(repeats * WORD_BITS, None)
    known = int(np.argmin(np.append(alike[rest], False)))
    behind = "".join(map(str, bits[rest][:known]))
    if not repeats:
        return Tail(unseen, 0, 1.0, behind)
    agreement = np.maximum(share, 1 - share)[: repeats * WORD_BITS].min()
    return Tail(bits[:WORD_BITS], repeats, float(agreement), behind)
