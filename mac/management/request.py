"""What management requests have in common: requests of a code alone, of a code and an index, and sub-commands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Self

from ..errors import MalformedPdu, TruncatedPdu
from ..message_codes import take


def one_of(kinds: type[IntEnum], octet: int, what: str) -> int:
    """The octet, when it is a value of the enumeration; raises `MalformedPdu`."""
    if octet not in list(kinds):
        raise MalformedPdu(f"{what} {octet} is unknown")
    return octet


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """A request of its code alone; `SUBCODE` is the second octet of those that have one."""

    CODE: ClassVar[int]
    SUBCODE: ClassVar[int | None] = None

    def encode(self) -> bytes:
        """The code, and the sub-command where there is one."""
        return bytes([self.CODE] if self.SUBCODE is None else [self.CODE, self.SUBCODE])

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        take(apdu, 1 if cls.SUBCODE is None else 2, cls.__name__)
        return cls()


@dataclass(frozen=True, slots=True)
class IndexedRequest:
    """A request of its code and the index of a table row."""

    CODE: ClassVar[int]
    SUBCODE: ClassVar[int | None] = None

    index: int

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.index] if self.SUBCODE is None else [self.CODE, self.SUBCODE, self.index])

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        return cls(take(apdu, 2 if cls.SUBCODE is None else 3, cls.__name__)[-1])


def need(apdu: bytes, length: int, what: str) -> None:
    """Refuse an APDU shorter than `length`; raises `TruncatedPdu`."""
    if len(apdu) < length:
        raise TruncatedPdu(f"{what} needs {length} octets, got {len(apdu)}")
