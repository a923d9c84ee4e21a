"""The 16-octet MAC over a firmware image that goes with the switch-over under AES security (EP19 type 9; grade A that it exists).

AES-CMAC over the image, then its length (4, little endian), under a key derived from the meter's PSK; grade D. The image's own
EC signature is another matter: it says who made it, this says that the meter got what the head-end sent.
"""

from __future__ import annotations

import hmac

from .aes import LABEL_MAC, cmac, derive
from .keys import Key

_CONTEXT = b"IMAGE"


def image_mac(psk: Key, image: bytes) -> bytes:
    """MAC of an image, 16 octets. `psk`: the key of the meter that gets it."""
    return cmac(derive(psk, LABEL_MAC, _CONTEXT), image + len(image).to_bytes(4, "little"))


def image_mac_right(psk: Key, image: bytes, mac: bytes) -> bool:
    """Whether that is the MAC, in constant time."""
    return hmac.compare_digest(mac, image_mac(psk, image))
