"""The domain table over the network: update, query, leave, key increment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

from ..address import check_length
from ..authentication import BLANK_KEY
from ..entries import DomainEntry
from ..message_codes import QUERY_DOMAIN, take
from ..reports import encode_row
from .request import IndexedRequest, need


@dataclass(frozen=True, slots=True)
class UpdateDomain:
    """63: write a row of the domain table: index(8), row[15].

    Args:
        index: 0 or 1.
        entry: the row; None for a blank one.
        blank_key: key of a blank row, which the 96-bit authentication still uses; never shown by `repr`.
    """

    CODE: ClassVar[int] = 0x63

    index: int
    entry: DomainEntry | None
    blank_key: bytes = field(default=BLANK_KEY, repr=False)

    def __post_init__(self) -> None:
        check_length("blank_key", self.blank_key, DomainEntry.KEY_LENGTH)

    def encode(self) -> bytes:
        """The whole APDU."""
        row = encode_row(self.entry)
        if self.entry is None:
            row = row[: -DomainEntry.KEY_LENGTH] + self.blank_key
        return bytes([self.CODE, self.index]) + row

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU; octets behind the row are ignored (grade B)."""
        need(apdu, 2 + DomainEntry.LENGTH, "Update Domain")
        row = apdu[2 : 2 + DomainEntry.LENGTH]
        entry = DomainEntry.decode(row)
        return cls(apdu[1], entry, row[-DomainEntry.KEY_LENGTH :] if entry is None else BLANK_KEY)


class LeaveDomain(IndexedRequest):
    """64: blank a row of the domain table; a node left without any becomes unconfigured."""

    __slots__ = ()
    CODE = 0x64


class QueryDomain(IndexedRequest):
    """6A: ask for a row of the domain table."""

    __slots__ = ()
    CODE = QUERY_DOMAIN


@dataclass(frozen=True, slots=True)
class UpdateKey:
    """65: add an increment to a row's key, octet by octet modulo 256; the key itself never travels."""

    CODE: ClassVar[int] = 0x65

    index: int
    increment: bytes = field(repr=False)

    def __post_init__(self) -> None:
        check_length("increment", self.increment, DomainEntry.KEY_LENGTH)

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.index]) + self.increment

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        take(apdu, 2 + DomainEntry.KEY_LENGTH, "Update Key")
        return cls(apdu[1], apdu[2:])
