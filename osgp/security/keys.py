"""A secret key that does not show itself."""

from __future__ import annotations

import hmac
from typing import Final, Self

from ..errors import ConfigurationError

OMAK_OCTETS: Final = 12  # unicast key on the power line; grade B
MEP_KEY_OCTETS: Final = 16  # MAK and MBK: 20 are stored, the first 16 used; grade A
DEFAULT_OMAK: Final = b"\xdf" * OMAK_OCTETS  # the key of the published vector, taken as the factory key; grade D


class Key:
    """Octets of a key with its kind ("OMAK", "MAK", "MBK", ...). `repr`, `str` and pickles never show the octets.

    Example: `Key.omak()` is the factory key of the power line, `Key(octets, "MAK")` one of the MEP port.
    """

    __slots__ = ("_octets", "kind")

    def __init__(self, octets: bytes, kind: str = "OMAK") -> None:
        if not 1 <= len(octets) <= 64:
            raise ConfigurationError(f"a key has 1..64 octets, got {len(octets)}")
        if kind == "OMAK" and len(octets) != OMAK_OCTETS:
            raise ConfigurationError(f"an OMAK has {OMAK_OCTETS} octets, got {len(octets)}")
        self._octets = bytes(octets)
        self.kind = kind

    @classmethod
    def omak(cls, octets: bytes = DEFAULT_OMAK) -> Self:
        """A unicast key of the power line; without argument the factory key."""
        return cls(octets, "OMAK")

    def reveal(self) -> bytes:
        """The octets, for a digest or a key store. Do not log them."""
        return self._octets

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
