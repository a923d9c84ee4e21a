"""What the receiver gives, and what a user may tune in it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigurationError
from .profile import Carrier
from .words import WordCode

WordDecoder: TypeAlias = Callable[[WordCode, NDArray[np.float32]], bytes]  # see PacketDecoder.word_decoder
WORD_DECODERS: Final[dict[str, WordDecoder]] = {
    "ml": WordCode.decode_ml,
    "weakest_flip": WordCode.decode_weakest_flip,
    "hard": WordCode.decode_hard,
}

# What an option may be; the stages say the same of their arguments, but under other names and only when they are made.
_RANGES: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "threshold": ("in (0, 1)", lambda v: 0 < v < 1),
    "blanker": ("0 (off) or above 1", lambda v: v == 0 or 1 < v < math.inf),
    "tones_db": ("0 (off) or in 6..60", lambda v: v == 0 or 6 <= v <= 60),
    "periodic": ("0 (off) or in (0, 1)", lambda v: 0 <= v < 1),
    "BnT": ("in 0..0.1", lambda v: 0 <= v <= 0.1),
    "timing": ("in 0..0.2", lambda v: 0 <= v <= 0.2),
    "list_size": ("in 0..4096", lambda v: 0 <= v <= 4096),
    "combine_s": ("in 0..60", lambda v: 0 <= v <= 60),
    "lost_below": ("in (0, 1)", lambda v: 0 < v < 1),
    "design_esn0_db": ("in -10..60", lambda v: -10 <= v <= 60),
    "sense_rise_db": ("in 6..20", lambda v: 6 <= v <= 20),
}


@dataclass(frozen=True, slots=True)
class ReceiverOptions:
    """What a user may tune; every default is for an ordinary line.

    Attributes:
        threshold: of the header detector, (0, 1). blanker: power factor of the impulse blanker, 0 switches off.
        tones_db: threshold of the tone canceller, 0 switches off.
        periodic: threshold of the canceller of what repeats with the mains, correlation coefficient, 0 switches off.
        BnT, timing: tracking loops, see LoopGains. word_decoder: ml, weakest_flip or hard.
        direct: go through one filter per carrier while the line is quiet, see QuietLine; same packets, less work.
        second_look: try again when the CRC fails: the whole packet by its trellis, then with filters fitted to the line.
        mains_weights: the second look weights samples with the noise at their place in the mains cycle.
        list_size: 0, or how many of the likeliest packets are tried when every look's CRC fails. Each try accepts a wrong
            packet with probability 2^-16, so that a failed packet becomes a false one with list_size / 65536.
        combine_s: 0, or for how long a failed packet is remembered, s, to be decided together with retransmissions of it on
            either carrier.
        lost_below: see PacketTracker. design_esn0_db: of the bit filter. sense_rise_db: see CarrierSense.
    Raises:
        ConfigurationError: an option is out of its range; names it, and the range.
    """

    threshold: float = 0.5
    blanker: float = 9.0
    tones_db: float = 16.0
    periodic: float = 0.15
    BnT: float = 0.015
    timing: float = 0.03
    word_decoder: str = "ml"
    second_look: bool = True
    direct: bool = True
    mains_weights: bool = True
    list_size: int = 0
    combine_s: float = 0.0
    lost_below: float = 0.3
    design_esn0_db: float = 9.0
    sense_rise_db: float = 10.0

    def __post_init__(self) -> None:
        if self.word_decoder not in WORD_DECODERS:
            raise ConfigurationError(
                f"word_decoder must be one of {', '.join(WORD_DECODERS)}, got {self.word_decoder!r}"
            )
        if not isinstance(self.list_size, Integral):
            raise ConfigurationError(f"list_size must be a whole number, got {self.list_size!r}")
        for name, (range_text, allowed) in _RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, Real) or not allowed(value):
                raise ConfigurationError(f"{name} must be {range_text}, got {value!r}")


@dataclass(frozen=True, eq=False)
class Packet:
    """One packet as received.

    Attributes:
        lpdu: octets with the CRC. crc_ok: whether the CRC holds.
        start_sample, end_sample: line samples where bit 0 begins and the last word ends.
        carrier: "primary" or "secondary". level_v: peak amplitude of the carrier, V.
        esn0_db: energy per coded bit over noise density, dB. clock_ppm: the sender's clock against ours and the profile.
        corrected_bits: bits of the words that the decoder changed.
        symbols: (B,) complex64, one per bit from the preamble on, unit amplitude, + means 1.
        method: how the bits were estimated.
    """

    lpdu: bytes
    crc_ok: bool
    start_sample: int
    end_sample: int
    carrier: Carrier
    level_v: float
    esn0_db: float
    clock_ppm: float
    corrected_bits: int
    symbols: NDArray[np.complex64] = field(repr=False)
    method: str = "tracked"
