"""A row of the command table: which class reads a request, which function carries it out, and who may ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

from ..message_codes import EXPANDED, INSTALL
from ..network import Arrival
from .managed_node import ManagedNode
from .reply import Reply

_WITH_SUBCODE: Final = frozenset({EXPANDED, INSTALL})

CommandKey = tuple[int, int | None]
"""Message code, and the sub-command for codes that have one."""


class Codec(Protocol):
    """What a request class must have."""

    CODE: ClassVar[int]

    @classmethod
    def decode(cls, apdu: bytes) -> Any:
        """Read the request; raises `DecodeError`."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the command table.

    Args:
        request: class that reads the request.
        carry_out: function that answers it.
        by_message: also carried out when it comes without a request (and then not answered).
        by_request: carried out when it comes as a request.
        open: carried out without authentication even when management authentication is on.
    """

    request: type[Codec]
    carry_out: Callable[[ManagedNode, Any, Arrival], Reply]
    by_message: bool = False
    by_request: bool = True
    open: bool = False

    @property
    def key(self) -> CommandKey:
        """Where the row stands in the table."""
        return self.request.CODE, getattr(self.request, "SUBCODE", None)


def command_key(apdu: bytes) -> CommandKey:
    """Row of a message; code 60 without a sub-command has none, code 70 without one is a wink."""
    code = apdu[0]
    if code not in _WITH_SUBCODE:
        return code, None
    if len(apdu) > 1:
        return code, apdu[1]
    return code, 0 if code == INSTALL else None
