"""The envelope of a transaction (ET52, ET53; ET27, ET28 on the power line). Envelope fields are LITTLE endian.

    size(2) | type(1) | number(2) | [type 3: group count(1), group ids(2 each)] | records | number(2)
    record: length(2) message        a request or response PDU, big endian inside, without sequence number and digest

Source: OSGP Alliance MEP Client Developer Guide v1.1 (grade A).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from .errors import ConfigurationError, DecodeError, TruncatedMessage

HEAD: Final = 5
TAIL: Final = 2
EVERYONE: Final = 0xFF


class EnvelopeType(IntEnum):
    """Third octet."""

    REQUESTS = 0
    RESPONSES = 1
    PARTIAL_RESPONSES = 2
    GROUP_BROADCAST = 3
    BROADCAST_DENIED = 4


def in_group(asked: int, groups: frozenset[int]) -> bool:
    """Whether a group id of a broadcast means a member of `groups`.

    0xFFYY means everyone, 0xYYFF all sub-groups of YY, 0 nobody; grade A.
    """
    if not asked:
        return False
    high, low = asked >> 8, asked & 0xFF
    if high == EVERYONE:
        return True
    return any(group >> 8 == high and low in (EVERYONE, group & 0xFF) for group in groups)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A transaction or its answer.    number: 0..65535.    messages: PDUs.    groups: of a broadcast, 0..65535."""

    type: EnvelopeType
    number: int
    messages: tuple[bytes, ...] = ()
    groups: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.number <= 0xFFFF:
            raise ConfigurationError(f"a transaction number is 0..65535, got {self.number}")
        if any(not 1 <= len(message) <= 0xFFFF for message in self.messages):
            raise ConfigurationError("a message of a transaction has 1..65535 octets")
        if (self.type is not EnvelopeType.GROUP_BROADCAST) and self.groups:
            raise ConfigurationError(f"groups go with a group broadcast, not with {self.type.name}")
        if len(self.groups) > 0xFF or any(not 0 <= group <= 0xFFFF for group in self.groups):
            raise ConfigurationError(f"at most 255 groups of 0..65535, got {self.groups}")
        if self.size > 0xFFFF:
            raise ConfigurationError(f"a transaction has at most 65535 octets, got {self.size}")

    @property
    def size(self) -> int:
        """Octets of the whole envelope."""
        groups = 1 + 2 * len(self.groups) if self.type is EnvelopeType.GROUP_BROADCAST else 0
        return HEAD + groups + sum(2 + len(message) for message in self.messages) + TAIL

    def encode(self) -> bytes:
        parts = [self.size.to_bytes(2, "little"), bytes((self.type,)), self.number.to_bytes(2, "little")]
        if self.type is EnvelopeType.GROUP_BROADCAST:
            parts.append(bytes((len(self.groups),)))
            parts += [group.to_bytes(2, "little") for group in self.groups]
        for message in self.messages:
            parts += [len(message).to_bytes(2, "little"), message]
        parts.append(self.number.to_bytes(2, "little"))
        return b"".join(parts)

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """The envelope at the start of `octets`; what follows it is ignored.

        Raises:
            DecodeError: the numbers differ, a record has no octets or does not fit, or the type is not known.
        """
        if len(octets) < HEAD + TAIL:
            raise TruncatedMessage(f"a transaction has at least {HEAD + TAIL} octets, got {len(octets)}")
        size = int.from_bytes(octets[:2], "little")
        if not HEAD + TAIL <= size <= len(octets):
            raise TruncatedMessage(f"a transaction of {size} octets in {len(octets)}")
        try:
            kind = EnvelopeType(octets[2])
        except ValueError:
            raise DecodeError(f"type of a transaction must be 0..4, got {octets[2]}") from None
        number, end = int.from_bytes(octets[3:HEAD], "little"), size - TAIL
        if int.from_bytes(octets[end:size], "little") != number:
            raise DecodeError(f"transaction {number} is not closed by its number")
        at, groups = HEAD, []
        if kind is EnvelopeType.GROUP_BROADCAST:
            count = octets[at]
            at += 1
            if at > end or at + 2 * count > end:
                raise TruncatedMessage(f"{count} groups do not fit a transaction of {size} octets")
            groups = [int.from_bytes(octets[at + 2 * i : at + 2 * i + 2], "little") for i in range(count)]
            at += 2 * count
        messages = []
        while at < end:
            length = int.from_bytes(octets[at : at + 2], "little") if at + 2 <= end else 0
            if not length or at + 2 + length > end:
                raise DecodeError(f"a record of {length} octets at {at} does not fit a transaction of {size}")
            messages.append(bytes(octets[at + 2 : at + 2 + length]))
            at += 2 + length
        return cls(kind, number, tuple(messages), tuple(groups))


def answer(number: int, responses: Sequence[bytes], room: int, *, complete: bool = True) -> Envelope:
    """The answer to a transaction, cut to `room` octets: as many responses as fit, then the type says so."""
    taken: list[bytes] = []
    left = room - HEAD - TAIL
    for response in responses:
        if len(response) + 2 > left:
            complete = False
            break
        taken.append(response)
        left -= 2 + len(response)
    kind = EnvelopeType.RESPONSES if complete else EnvelopeType.PARTIAL_RESPONSES
    return Envelope(kind, number, tuple(taken))
