"""What the receiver gives, and what a user may tune in it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

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
        if not 0 < self.lost_below < 1:
            raise ConfigurationError(f"lost_below must be in (0, 1), got {self.lost_below}")
        if not -10 <= self.design_esn0_db <= 60:
            raise ConfigurationError(f"design_esn0_db must be in -10..60, got {self.design_esn0_db}")
        if not 0 <= self.combine_s <= 60:
            raise ConfigurationError(f"combine_s must be in 0..60, got {self.combine_s}")
        if not 0 <= self.list_size <= 4096:
            raise ConfigurationError(f"list_size must be in 0..4096, got {self.list_size}")
        if not 6 <= self.sense_rise_db <= 20:
            raise ConfigurationError(f"sense_rise_db must be in 6..20, got {self.sense_rise_db}")


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
