"""Receiving a stream with holes: the one rule for sources that lose samples.

    hole shorter than FILLED_S   silence takes its place: time goes on, noise floors and whoever is being received stay
    longer, or time goes back    the receiver ends what was open and begins anew
    a packet without a word      is not believed: what is missing cannot be right, and its check sequence holds by chance
                                 (a hole in its header is no loss: nobody reads it)

Never is joined what was not together.
"""

import dataclasses
from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from phy import Packet, Receiver

FILLED_S: Final = 0.1
HOLES_KEPT: Final = 64


class GapReceiver:
    """A receiver that is given samples with their absolute indices.

    Args:
        receiver: fresh. It may be looked at, but not be given samples.
    Attributes:
        next: absolute index of the sample that would follow; None before the first.    base: of the receiver's sample 0.
        torn: packets that were not believed, because samples of them are missing.
    """

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.next: int | None = None
        self.base = 0
        self.torn = 0
        self._holes: deque[tuple[int, int]] = deque(maxlen=HOLES_KEPT)  # filled ones: first sample, end
        self._filled = round(FILLED_S * receiver.sample_rate)
        samples_per_bit = receiver.profile.bit_time * receiver.sample_rate
        self._header = round(receiver.profile.header_bits.size * samples_per_bit)
        # Of a packet as much is missing as a word, which nothing can tell any more. Less than that a decoder can mend.
        self._torn = receiver.profile.code.length * samples_per_bit

    def push(self, first_sample: int, x: NDArray[np.float32]) -> list[Packet]:
        """Samples -> packets that ended, their places as absolute indices.

        Args:
            first_sample: absolute index of x[0].    x: (N,) float32 V.
        """
        found: list[Packet] = []
        if self.next is None:
            self.base = first_sample
        elif first_sample != self.next:
            missing = first_sample - self.next
            if 0 < missing <= self._filled:
                self._holes.append((self.next, first_sample))
                found += self._placed(self.receiver.push(np.zeros(missing, np.float32)))
            else:
                found += self.begin(first_sample)
        self.next = first_sample + x.size
        return found + self._placed(self.receiver.push(x))

    def begin(self, first_sample: int) -> list[Packet]:
        """The next sample will be `first_sample`, and nothing before it is together with it."""
        found = self.flush()
        self.receiver.reset()
        self.base = self.next = first_sample
        self._holes.clear()
        return found

    def flush(self) -> list[Packet]:
        """The end: packets that were still open. Before more samples come `begin` has to be called."""
        return self._placed(self.receiver.flush())

    def _placed(self, packets: list[Packet]) -> list[Packet]:
        placed = []
        for packet in packets:
            first, end = int(packet.start_sample) + self.base, int(packet.end_sample) + self.base
            believed = packet.crc_ok and not self._is_torn(first + self._header, end)
            self.torn += packet.crc_ok and not believed
            placed.append(dataclasses.replace(packet, start_sample=first, end_sample=end, crc_ok=believed))
        return placed

    def _is_torn(self, first: int, end: int) -> bool:
        return sum(max(0, min(end, stop) - max(first, start)) for start, stop in self._holes) >= self._torn
