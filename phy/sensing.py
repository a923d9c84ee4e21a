"""Carrier sense from the wide stream at once: what Mixer, BankFilter and CarrierSense do, with one call for a small block."""

import numpy as np
from numpy.typing import NDArray

from ._kernels.downconvert import sense_wide
from .detect import CarrierSense
from .downconvert import BankFilter, Mixer


def listen(u: NDArray[np.complex64], mixer: Mixer, narrow: BankFilter, sense: CarrierSense) -> bool:
    """The same as `sense.push(narrow.process(mixer.process(u)))`, to the last bit; the stages are left in the same state.

    Args:
        u: (N,) complex64, N > 0, the next wide samples. mixer: that has not been reset to a negative sample.
    Returns:
        whether a carrier is present after the last of them.
    """
    busy = sense_wide(u, mixer.skip(u.size), *mixer.oscillator, *narrow.settings, *sense.settings)
    sense.busy = bool(busy)
    return sense.busy
