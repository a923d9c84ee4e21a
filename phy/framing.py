"""Framing: a complete LPDU <-> the bits of a packet (EN 14908-3, clause unverified)."""

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigurationError
from .profile import Profile

_REVERSED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


def order_octets(octets: bytes, profile: Profile) -> bytes:
    """Octets with their bits in the order of the line: unchanged when most significant first. It is its own inverse."""
    return octets.translate(_REVERSED) if profile.lsb_first else octets


def packet_bits(lpdu: bytes, profile: Profile) -> NDArray[np.uint8]:
    """The bits of a packet, 0/1, in the order they are sent.

        | preamble | word sync | one word for each octet (L2 header ... CRC) | end word(s) |

    Args:
        lpdu: complete LPDU, CRC included.
        profile: the channel.
    Returns:
        (profile.packet_bits(len(lpdu)),) uint8.
    Raises:
        ConfigurationError: the LPDU is longer than the profile allows, or empty.
    """
    if not 1 <= len(lpdu) <= profile.max_octets:
        raise ConfigurationError(f"lpdu must have 1..{profile.max_octets} octets with its CRC, got {len(lpdu)}")
    words = profile.code.encode(order_octets(lpdu, profile))
    bits = np.concatenate([profile.header_bits, words, np.tile(profile.end_word, profile.end_words)])
    if profile.differential:
        bits = (np.cumsum(bits) % 2).astype(np.uint8)
    return bits
