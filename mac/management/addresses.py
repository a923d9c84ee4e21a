"""The address table over the network: update, query, and the update of a group by a message to that group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from ..address import check_length
from ..entries import GroupEntry
from ..errors import MalformedPdu
from ..message_codes import take
from .request import IndexedRequest, need

ROW_LENGTH = 5


@dataclass(frozen=True, slots=True)
class UpdateAddress:
    """66: write a row of the address table: index(8), row[5], see `SendAddress` and `GroupEntry` for the kinds of rows.

    An unassigned row (first octet 0) may come without its last octet (grade B).
    """

    CODE: ClassVar[int] = 0x66
    ROW_LENGTH: ClassVar[int] = ROW_LENGTH

    index: int
    row: bytes

    def __post_init__(self) -> None:
        check_length("address row", self.row, self.ROW_LENGTH)

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.index]) + self.row

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU; octets behind the row are ignored (grade B)."""
        if len(apdu) == 1 + cls.ROW_LENGTH and apdu[2] == 0:
            apdu += b"\0"
        need(apdu, 2 + cls.ROW_LENGTH, "Update Address")
        return cls(apdu[1], apdu[2 : 2 + cls.ROW_LENGTH])


class QueryAddress(IndexedRequest):
    """67: ask for a row of the address table (5 octets)."""

    __slots__ = ()
    CODE = 0x67


@dataclass(frozen=True, slots=True)
class UpdateGroupAddress:
    """69: new size and timers for the group this message is addressed to: group row[5].

    The member number and the domain index of each receiver's row stay, whatever stands in this one.
    """

    CODE: ClassVar[int] = 0x69

    entry: GroupEntry

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE]) + self.entry.encode()

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU."""
        take(apdu, 1 + GroupEntry.LENGTH, "Update Group Address")
        entry = GroupEntry.decode(apdu[1:])
        if entry is None:
            raise MalformedPdu("Update Group Address without a group row")
        return cls(entry)
