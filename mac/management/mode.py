"""Set Node Mode: off-line, on-line, reset, change of state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Self

from ..errors import MalformedPdu, TruncatedPdu
from ..events import NodeState
from ..message_codes import SETTABLE_STATES, STATE_BY_OCTET, STATE_OCTETS, take
from .request import one_of


class NodeMode(IntEnum):
    """First octet of Set Node Mode."""

    OFFLINE = 0
    ONLINE = 1
    RESET = 2
    CHANGE_STATE = 3
    PHYSICAL_RESET = 6


@dataclass(frozen=True, slots=True)
class SetNodeMode:
    """6C: off-line, on-line, reset, or a new state (mode CHANGE_STATE, then the state octet)."""

    CODE: ClassVar[int] = 0x6C

    mode: NodeMode
    state: NodeState | None = None

    def encode(self) -> bytes:
        """The whole APDU."""
        return bytes([self.CODE, self.mode]) + (b"" if self.state is None else bytes([STATE_OCTETS[self.state]]))

    @classmethod
    def decode(cls, apdu: bytes) -> Self:
        """From the whole APDU; octets behind a mode without a state are ignored (grade B)."""
        if len(apdu) < 2:
            raise TruncatedPdu("Set Node Mode without a mode")
        mode = NodeMode(one_of(NodeMode, apdu[1], "node mode"))
        if mode is not NodeMode.CHANGE_STATE:
            return cls(mode)
        octet = take(apdu, 3, "Set Node Mode with a state")[2]
        state = STATE_BY_OCTET.get(octet)
        if state not in SETTABLE_STATES:
            raise MalformedPdu(f"node state {octet:02X} cannot be set")
        return cls(mode, state)
