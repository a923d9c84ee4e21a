"""What a carried-out management message leads to: an answer or silence, and a reset or none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from ..message_codes import failure_code, success_code


class Reset(Enum):
    """What the node has to do after its answer."""

    NONE = auto()
    SOFTWARE = auto()
    PHYSICAL = auto()


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer to a management message.

    Args:
        apdu: the response, None for silence.
        without_address: send it from source 0/0.
        reset: to be done afterwards.
    """

    apdu: bytes | None = None
    without_address: bool = False
    reset: Reset = Reset.NONE


SILENCE: Final = Reply()


def success(request_code: int, octets: bytes = b"", reset: Reset = Reset.NONE) -> Reply:
    """The success code of a request, and what follows it."""
    return Reply(bytes([success_code(request_code)]) + octets, reset=reset)


def refusal(request_code: int, subcode: int | None = None) -> Reply:
    """The failure code of a request; the answer to an expanded one repeats its sub-command."""
    return Reply(bytes([failure_code(request_code)]) + (b"" if subcode is None else bytes([subcode])))
