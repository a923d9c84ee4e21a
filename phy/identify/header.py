"""What all packets begin with: bursts brought to the same start and the same sign, and compared bit by bit."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .demodulate import PAD, BurstBits

_SHIFTS: Final = np.arange(-4, 5)  # bits by which a burst's start, as its envelope tells it, may be wrong
_FIRST_LOOK: Final = 35  # bit times that the vendor's data book calls identical in every packet (grade B); only a first guess
_SECOND_LOOK: Final = 160  # then as far as the bursts agree: bits that differ average out
_ALIKE: Final = 0.6  # share of the common bits that a burst must have to be a packet like the others
_COMMON: Final = 0.93  # share of the packets that agree on a bit that all have in common


@dataclass(frozen=True, eq=False, slots=True)
class AlignedPackets:
    """Bursts with the same beginning.

    Attributes:
        packets: the bursts that begin alike. shifts: (P,) bits to leave out (or to put before) of each. signs: (P,) +-1.
        mean: (PAD + 160,) float64, mean of the first soft bits; column PAD is about where packets begin.
        agreement: same shape, share of the packets on the side of the majority.
        rejected: bursts that begin otherwise.
    """

    packets: list[BurstBits]
    shifts: NDArray[np.int64]
    signs: NDArray[np.float64]
    mean: NDArray[np.float64]
    agreement: NDArray[np.float64]
    rejected: int

    def soft(self, index: int, first: int) -> NDArray[np.float64]:
        """Soft bits of a packet from common column `first` on, + means 1."""
        start = first + int(self.shifts[index])
        return self.packets[index].soft[start:] * self.signs[index]

    def end(self, index: int) -> float:
        """Column at which the packet's envelope falls."""
        packet = self.packets[index]
        return PAD + packet.length - packet.lead - float(self.shifts[index])

    def common_end(self, first: int) -> int:
        """First column from `first` on in which the packets differ."""
        differs = np.flatnonzero(self.agreement[first:] < _COMMON)
        return first + int(differs[0]) if differs.size else self.agreement.size


def align(bursts: list[BurstBits]) -> AlignedPackets:
    """Find for each burst the shift by a few bits and the sign with which it begins like the others."""
    width = PAD + _SECOND_LOOK
    reach = int(_SHIFTS[-1])
    heads = np.zeros((len(bursts), width + 2 * reach))
    for row, burst in zip(heads, bursts, strict=True):
        piece = np.clip(burst.soft[: width + reach], -1.2, 1.2)
        row[reach : reach + piece.size] = piece
    views = np.stack([heads[:, reach + s : reach + s + width] for s in _SHIFTS], axis=1)

    # Where the envelope rises tells the start to a fraction of a bit, but for a constant that all bursts share.
    leads = np.array([burst.lead for burst in bursts])
    starts = _SHIFTS + leads[:, None]

    def weigh(constant: float) -> NDArray[np.float64]:
        return np.exp(-0.5 * (starts - constant) ** 2)

    # Any burst may be the odd one out: take as first template the one that the others resemble most.
    references = np.unique(np.linspace(0, len(bursts) - 1, min(12, len(bursts))).astype(int))
    template, best, constant = np.zeros(width), -1.0, 0.0
    for reference in references:
        trial = np.zeros(width)
        trial[PAD - 2 : PAD + _FIRST_LOOK] = views[reference, reach, PAD - 2 : PAD + _FIRST_LOOK]
        total = float(np.median((np.abs(views @ trial) * weigh(leads[reference])).max(axis=1)))
        if total > best:
            template, best, constant = trial, total, float(leads[reference])
    rows = np.arange(len(bursts))
    for _ in range(12):
        score = views @ template
        choice = (np.abs(score) * weigh(constant)).argmax(axis=1)
        signs = np.where(score[rows, choice] >= 0, 1.0, -1.0)
        chosen = views[rows, choice] * signs[:, None]
        renewed = chosen.mean(axis=0)
        if np.allclose(renewed, template):
            break
        template, constant = renewed, float(np.median(starts[rows, choice]))
    # The template's own energy, counted once, is what a packet without data would score.
    alike = np.abs(score[rows, choice]) / max(float(np.median(np.abs(score[rows, choice]))), 1e-30) > _ALIKE
    kept = np.flatnonzero(alike)
    head = chosen[kept]
    mean = head.mean(axis=0)
    agreement = ((head >= 0) == (mean >= 0)).mean(axis=0)
    return AlignedPackets(
        [bursts[i] for i in kept], _SHIFTS[choice[kept]].astype(np.int64), signs[kept], mean, agreement,
        len(bursts) - kept.size,
    )  # fmt: skip
