"""Carrier sense from the wide stream at once: what Mixer, BankFilter and CarrierSense do, with one call for a small block."""

import numpy as np
from numpy.typing import NDArray

from ._kernels.downconvert import sense_wide
from .detect import CarrierSense
from .downconvert import BankFilter, Mixer


class SensePath:
    """Does the same as `sense.push(narrow.process(mixer.process(u)))`, to the last bit, and leaves the stages in the same state.

    Args:
        mixer: that is never reset to a negative sample. narrow: the filter. sense: what listens behind it.
    Attributes:
        stages: all three, as given.
    """

    def __init__(self, mixer: Mixer, narrow: BankFilter, sense: CarrierSense) -> None:
        self.stages = mixer, narrow, sense
        self._mixer, self._sense = mixer, sense
        self._settings = *mixer.oscillator, *narrow.settings, *sense.settings

    def push(self, u: NDArray[np.complex64]) -> bool:
        """(N,) complex64, N > 0, the next wide samples -> whether a carrier is present after the last of them."""
        busy = self._sense.busy = bool(sense_wide(u, self._mixer.skip(u.size), *self._settings))
        return busy
