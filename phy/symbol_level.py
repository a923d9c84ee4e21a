"""Symbol-level simulation: words and noise without a waveform, for studies of word codes and as a bound for receivers.

    octets -> words of any table -> +-1 -> white Gaussian noise of a given Es/N0 -> word decoder -> errors
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._kernels import symbol_level as kernel
from .errors import ConfigurationError
from .words import WordCode

DECODERS: Final[dict[str, int]] = {
    "ml": kernel.MAXIMUM_LIKELIHOOD,
    "weakest_flip": kernel.WEAKEST_FLIP,
    "hard": kernel.HARD,
}
_WORDS_MAX: Final = 2**60


@dataclass(frozen=True, slots=True)
class SymbolErrors:
    """What one run sent, and what of it came out wrong.

    Attributes:
        packets, words, channel_bits: sent. packet_errors, word_errors: wrong after decoding.
        octet_bit_errors: wrong bits of the decoded octets. channel_bit_errors: wrong hard decisions before decoding.
    """

    packets: int
    words: int
    channel_bits: int
    packet_errors: int
    word_errors: int
    octet_bit_errors: int
    channel_bit_errors: int

    def __add__(self, other: "SymbolErrors") -> "SymbolErrors":
        """Both runs as one."""
        return SymbolErrors(
            self.packets + other.packets,
            self.words + other.words,
            self.channel_bits + other.channel_bits,
            self.packet_errors + other.packet_errors,
            self.word_errors + other.word_errors,
            self.octet_bit_errors + other.octet_bit_errors,
            self.channel_bit_errors + other.channel_bit_errors,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """A word code as the kernel wants it: integers, first bit sent = most significant."""

    code: NDArray[np.int32]
    constant_mask: np.int32
    octet_of: NDArray[np.int16]
    nearest: NDArray[np.uint8]
    columns: NDArray[np.int32]
    fault: NDArray[np.int32]
    groups: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]


def simulate_words(
    code: WordCode, octets: int, esn0_db: float, packets: int, *, decoder: str = "ml", seed: int = 0, stream: int = 0,
    first_packet: int = 0,
) -> SymbolErrors:  # fmt: skip
    """Send packets of random octets through white Gaussian noise and decode them word by word, with everything synchronised.

    Every octet and every noise value is a function of (seed, stream, packet): runs over packets 0..99 and 100..199 add up to
    the run over 0..199, and two decoders get the same noise.

    Args:
        code: any word code. octets: octets in a packet, with the CRC, 1..4096.
        esn0_db: energy of a coded bit over the one-sided noise density, dB, -100..100.
        packets: how many, at least 0. first_packet: number of the first.
        decoder: ml (largest correlation of the 256 words), weakest_flip or hard, as in ReceiverOptions.
        seed: 0..2^64-1. stream: 0..2^32-1, another noise of the same seed.
    Raises:
        ConfigurationError: an argument is out of range.
    """
    t = _checked(code, octets, esn0_db, seed, stream)
    if decoder not in DECODERS:
        raise ConfigurationError(f"decoder must be one of {', '.join(DECODERS)}, got {decoder!r}")
    if decoder == "weakest_flip" and code.checks.shape[0] != code.length - 8:
        raise ConfigurationError(f"decoder weakest_flip needs a linear code: the checks of {code.name!r} do not tell its words")
    if packets < 0 or first_packet < 0 or (first_packet + packets) * octets > _WORDS_MAX:
        raise ConfigurationError(f"packets and first_packet must be at least 0, got {packets} and {first_packet}")
    counts = np.zeros(4, np.int64)
    kernel.simulate_words(
        first_packet * octets, packets * octets, octets, noise_rms(esn0_db), np.uint64(seed), np.uint64(stream),
        DECODERS[decoder], t.code, code.length, t.constant_mask, t.octet_of, t.nearest, t.columns, t.fault, *t.groups, counts,
    )  # fmt: skip
    words = packets * octets
    return SymbolErrors(packets, words, words * code.length, *(int(c) for c in counts))


def send_words(
    code: WordCode, esn0_db: float, words: int, *, seed: int = 0, stream: int = 0, first_word: int = 0
) -> tuple[bytes, NDArray[np.float32]]:
    """The octets that `simulate_words` sends and the soft bits it decodes, for a decoder of one's own.

    Args:
        first_word: number of the first word: packet k begins with word k * octets. Others: see `simulate_words`.
    Returns:
        octets and (words, n) float32 soft bits, + means 0.
    """
    t = _checked(code, 1, esn0_db, seed, stream)
    if words < 0 or not 0 <= first_word <= _WORDS_MAX - words:
        raise ConfigurationError(f"words and first_word must be at least 0, got {words} and {first_word}")
    octets = np.empty(words, np.uint8)
    soft = np.empty((words, code.length), np.float32)
    kernel.send_words(
        first_word, t.code, code.length, noise_rms(esn0_db), np.uint64(seed), np.uint64(stream), octets, soft
    )
    return octets.tobytes(), soft


def noise_rms(esn0_db: float) -> float:
    """Standard deviation of the noise on soft bits of +-1: sigma^2 = N0 / (2 Es)."""
    return math.sqrt(0.5 * 10 ** (-esn0_db / 10))


def _checked(code: WordCode, octets: int, esn0_db: float, seed: int, stream: int) -> _Tables:
    if not 1 <= octets <= 4096:
        raise ConfigurationError(f"octets must be in 1..4096, got {octets}")
    if not -100 <= esn0_db <= 100:
        raise ConfigurationError(f"esn0_db must be in -100..100, got {esn0_db}")
    if not 0 <= seed < 2**64:
        raise ConfigurationError(f"seed must be in 0..2^64-1, got {seed}")
    if not 0 <= stream < 2**32:
        raise ConfigurationError(f"stream must be in 0..2^32-1, got {stream}")
    return _tables(code.table.tobytes(), code.length)


@cache
def _tables(octets_of_table: bytes, length: int) -> _Tables:
    """Tables of the code whose (256, length) table has these octets."""
    code = WordCode("", np.frombuffer(octets_of_table, np.uint8).reshape(256, length))
    weights = 1 << np.arange(length - 1, -1, -1)
    words = (code.table.astype(np.int64) @ weights).astype(np.int32)
    every = np.arange(1 << length, dtype=np.int32)
    octet_of = np.full(every.size, -1, np.int16)
    octet_of[words] = np.arange(256)
    nearest = np.empty(every.size, np.uint8)
    for part in np.split(every, max(1, every.size >> 11)):  # 256 distances of each: in pieces that fit into the cache
        nearest[part] = np.bitwise_count(part[:, None] ^ words[None, :]).argmin(axis=1)
    checks = code.checks.astype(np.int64)
    places = 1 << np.arange(checks.shape[0])
    bits = every[:, None] >> np.arange(length - 1, -1, -1) & 1
    fault = (((bits @ checks.T) & 1) ^ code.syndrome) @ places
    constant = int(weights[~code.live].sum())
    return _Tables(
        code=words,
        constant_mask=np.int32(constant),
        octet_of=octet_of,
        nearest=nearest,
        columns=(places @ checks).astype(np.int32),
        fault=fault.astype(np.int32),
        groups=_groups(words, length // 2),
    )


def _groups(
    words: NDArray[np.int32], tail_bits: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Words split into heads and tails, heads with the same tails together: starts and members of both, for the kernel.

    A linear code has few groups, as heads with the same part of the syndrome share their tails; any other table works too.
    """
    tails_of: dict[int, list[int]] = {}
    for word in words.tolist():
        tails_of.setdefault(word >> tail_bits, []).append(word & ((1 << tail_bits) - 1))
    heads_of: dict[tuple[int, ...], list[int]] = {}
    for head, tails in tails_of.items():
        heads_of.setdefault(tuple(sorted(tails)), []).append(head)
    head_starts = np.cumsum([0, *(len(heads) for heads in heads_of.values())]).astype(np.int32)
    tail_starts = np.cumsum([0, *(len(tails) for tails in heads_of)]).astype(np.int32)
    all_heads = np.array([head for group in heads_of.values() for head in group], np.int32)
    all_tails = np.array([tail for group in heads_of for tail in group], np.int32)
    return head_starts, all_heads, tail_starts, all_tails
