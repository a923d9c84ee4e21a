"""Secret keys that do not show themselves, and how people write them down."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import Final, Self

from ..errors import ConfigurationError

OMAK_OCTETS: Final = 12  # unicast key on the power line; grade B
MEP_KEY_OCTETS: Final = 16  # MAK and MBK: 20 are stored, the first 16 used; grade A
PASSWORD_OCTETS: Final = 20  # MK, PK, RK: the C12.18 password; grade A
PSK_OCTETS: Final = 16  # project profile of OSGP-AES-128-PSK, grade D
DEFAULT_OMAK: Final = b"\xdf" * OMAK_OCTETS  # the key of the published vector, taken as the factory key; grade D
DEFAULT_PSK: Final = bytes(range(0xA0, 0xA0 + PSK_OCTETS))  # a labelled test key of this project, no device's; grade D


@dataclass(frozen=True, slots=True)
class KeyKind:
    """What a kind of key is: its sizes in octets, how it is written, and what it opens."""

    sizes: tuple[int, ...]
    text: str  # "ascii" or "hex"
    purpose: str


# Names and rights from the guides (grade A), lengths as in the constants above.
KINDS: Final[dict[str, KeyKind]] = {
    "MK": KeyKind((PASSWORD_OCTETS,), "ascii", "optical port, everything that is not locked by hardware"),
    "PK": KeyKind((PASSWORD_OCTETS,), "ascii", "optical port, all but security keys and firmware; can be disabled"),
    "RK": KeyKind((PASSWORD_OCTETS,), "ascii", "optical port, reads all but keys, calibration and download data"),
    "MAK": KeyKind((MEP_KEY_OCTETS, PASSWORD_OCTETS), "ascii", "MEP port, advanced"),
    "MBK": KeyKind((MEP_KEY_OCTETS, PASSWORD_OCTETS), "ascii", "MEP port, basic"),
    "OMAK": KeyKind((OMAK_OCTETS,), "hex", "power line, OMA digest, one meter"),
    "OMA-BROADCAST": KeyKind((OMAK_OCTETS,), "hex", "power line, OMA digest, secure broadcasts"),
    "PSK": KeyKind((PSK_OCTETS,), "hex", "power line, OSGP-AES-128-PSK project profile, one meter"),
    "PSK-BROADCAST": KeyKind((PSK_OCTETS,), "hex", "power line, OSGP-AES-128-PSK project profile, secure broadcasts"),
    "AUTHENTICATION": KeyKind((6, 12), "hex", "EN 14908-1 authentication"),
}
_HEX: Final = re.compile(r"^(?:[0-9A-Fa-f]{2}[ :-]?)+$")


class Key:
    """Octets of a key with its kind ("OMAK", "MAK", "MBK", ...). `repr`, `str` and pickles never show the octets.

    A MAK or MBK of 20 octets keeps the first 16, which are all that is used of it (grade A).

    Example: `Key.omak()` is the factory key of the power line, `Key(octets, "MAK")` one of the MEP port,
    `Key.from_text("MK", "20 ASCII characters!")` as an owner writes it.
    """

    __slots__ = ("_octets", "kind")

    def __init__(self, octets: bytes, kind: str = "OMAK") -> None:
        self._octets, self.kind = b"", kind  # a half-made key must have a `repr` for whoever prints local variables
        known = KINDS.get(kind)
        size = len(octets)
        if known is not None and size not in known.sizes:
            del octets  # a traceback that shows local variables must not show it
            raise ConfigurationError(f"{kind} has {_sizes(known.sizes)} octets, got {size}")
        if not 1 <= size <= 64:
            del octets
            raise ConfigurationError(f"a key has 1..64 octets, got {size}")
        self._octets = bytes(octets[:MEP_KEY_OCTETS] if kind in ("MAK", "MBK") else octets)

    @classmethod
    def omak(cls, octets: bytes = DEFAULT_OMAK) -> Self:
        """A unicast key of the power line (OMA digest); without argument the factory key."""
        return cls(octets, "OMAK")

    @classmethod
    def psk(cls, octets: bytes = DEFAULT_PSK) -> Self:
        """A unicast key of the power line (AES project profile); without argument the project's test key."""
        return cls(octets, "PSK")

    @classmethod
    def from_text(cls, kind: str, text: str) -> Self:
        """A key as its owner writes it.

        MK, PK, RK, MAK and MBK are 20 ASCII characters, not hex. The others are hex digits. `hex:` in front takes hex digits
        for any kind. Raises ConfigurationError that says what is expected and never quotes the key.
        """
        known = KINDS.get(kind)
        if known is None:
            raise ConfigurationError(f"a key is one of {', '.join(KINDS)}, got {kind!r}")
        problem, octets = _read(known, kind, text)
        if octets is None:
            del text
            raise ConfigurationError(problem)
        return cls(octets, kind)

    def reveal(self) -> bytes:
        """The octets, for a digest or a key store. Do not log them."""
        return self._octets

    def matches(self, octets: bytes) -> bool:
        """Whether these are the octets of the key; takes the same time wherever they differ."""
        return hmac.compare_digest(self._octets, octets)

    def __len__(self) -> int:
        return len(self._octets)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key):
            return NotImplemented
        return self.kind == other.kind and hmac.compare_digest(self._octets, other._octets)

    def __hash__(self) -> int:
        return hash((self.kind, self._octets))

    def __repr__(self) -> str:
        return f"Key({self.kind}, {len(self._octets)} octets, hidden)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Key is not pickled; keep keys in a key store")


def _sizes(sizes: tuple[int, ...]) -> str:
    return " or ".join(map(str, sizes))


def _read(known: KeyKind, kind: str, text: str) -> tuple[str, bytes | None]:
    """What is wrong with the text, or the octets."""
    digits = text.removeprefix("hex:").strip()
    if known.text == "hex" or text.startswith("hex:"):
        plain = re.sub(r"[ :-]", "", digits)
        if not _HEX.match(digits) or len(plain) // 2 not in known.sizes:
            wanted = " or ".join(str(2 * size) for size in known.sizes)
            return f"{kind} is written as {wanted} hex digits, got {len(digits)} characters", None
        return "", bytes.fromhex(plain)
    used = f" (the first {MEP_KEY_OCTETS} are used)" if kind in ("MAK", "MBK") else ""
    wanted = f"{kind} is {PASSWORD_OCTETS} ASCII characters, NOT hex{used}"
    if len(text) != PASSWORD_OCTETS:
        hint = ""
        if _HEX.match(text) and len(text) in (2 * PASSWORD_OCTETS, 2 * MEP_KEY_OCTETS):
            hint = "; these look like hex digits: write the characters themselves, or hex: in front"
        return f"{wanted}; got {len(text)} characters{hint}", None
    if not text.isascii():
        return f"{wanted}; got a character that is not ASCII", None
    return "", text.encode("ascii")
