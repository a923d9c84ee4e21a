"""Learning an unknown line's constants from recordings alone.

    line samples -> BurstFinder -> Burst -> tune, group_carriers -> demodulate -> align -> fit_transition, fit_start
        -> word_alignments (parity equations) -> solve_framing (check sequence) -> a profile, its confidences, what is open

Nothing is assumed but BPSK whose carrier is a whole number of cycles per bit, words of eleven bits, and the check sequence.
"""

from .bursts import Burst, BurstFinder
from .learn import identify
from .report import Finding, Gap, Identification

__all__ = ["Burst", "BurstFinder", "Finding", "Gap", "Identification", "identify"]
