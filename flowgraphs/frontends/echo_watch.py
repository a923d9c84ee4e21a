"""Watches where own transmissions come back: a round trip that changes while nobody told of an underrun is seen and corrected."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .round_trip import LEAST_MATCH, locate

REFERENCE_S: Final = 30e-3  # of a transmission that are looked for
SEARCH_S: Final = 0.1  # to either side
EVERY_S: Final = 1.0
LEAST_SAMPLES: Final = 2  # smaller deviations are the converters' filters


class EchoWatch:
    """Compares the place of own transmissions in what is heard with where they were meant to be.

    Args:
        sample_rate: Hz.
    Attributes:
        checks, changes: how often it looked, and how often the place had changed.    unheard: transmissions not found.
    """

    def __init__(self, sample_rate: float) -> None:
        self.checks = self.changes = self.unheard = 0
        self._reference, self._search, self._every = (round(s * sample_rate) for s in (REFERENCE_S, SEARCH_S, EVERY_S))
        self._sent: list[NDArray[np.float32]] = []
        self._sent_first = self._sent_next = 0
        self._heard = np.zeros(0, np.float32)
        self._heard_first = 0
        self._not_before = 0

    def sent(self, first_sample: int, samples: NDArray[np.float32]) -> None:
        """A block that was given to the sink."""
        if self._sent and first_sample != self._sent_next:
            if self._held() < self._reference:  # too short to be told from others
                self._sent = []
            else:
                return
        if not self._sent:
            if first_sample < self._not_before:
                return
            self._sent_first = first_sample
        if self._held() < self._reference:
            self._sent.append(samples.copy())
            self._sent_next = first_sample + samples.size

    def heard(self, first_sample: int, samples: NDArray[np.float32]) -> int:
        """A block of the source. Returns by how many samples own transmissions come later than before; nearly always 0."""
        if not self._sent:
            self._heard = self._heard[:0]
            return 0
        if not self._heard.size:
            self._heard_first = first_sample
        elif first_sample != self._heard_first + self._heard.size:
            self._forget(first_sample)
            return 0
        self._heard = np.concatenate((self._heard, samples))
        start = self._sent_first - self._search
        if self._heard_first < start:
            cut = min(start - self._heard_first, self._heard.size)
            self._heard, self._heard_first = self._heard[cut:], self._heard_first + cut
        end = self._heard_first + self._heard.size
        if self._held() < self._reference or end < self._sent_first + self._held() + self._search:
            return 0
        return self._compare(end)

    def _compare(self, end: int) -> int:
        reference = np.concatenate(self._sent)[: self._reference]
        found = locate(self._heard, reference)
        deviation = found.samples + self._heard_first - self._sent_first
        self._forget(end)
        self.checks += 1
        if found.match < LEAST_MATCH:
            self.unheard += 1
            return 0
        if abs(deviation) < LEAST_SAMPLES:
            return 0
        self.changes += 1
        self._not_before = end + self._search  # what is on its way was placed by the old value
        return deviation

    def _held(self) -> int:
        return sum(part.size for part in self._sent)

    def _forget(self, now: int) -> None:
        self._sent = []
        self._heard = self._heard[:0]
        self._not_before = now + self._every
