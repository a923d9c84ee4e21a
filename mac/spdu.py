"""SPDU: requests and responses of the session layer, and their reminders."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from .transaction_pdu import MAX_REM_MSG_LIST, MAX_REMINDER_LIST, TransactionPdu


class SpduType(IntEnum):
    """Three-bit type; 1, 3, 6 and 7 are unused."""

    REQUEST = 0
    RESPONSE = 2
    REMINDER = 4
    REM_MSG = 5


@dataclass(frozen=True, slots=True)
class Spdu(TransactionPdu):
    """Session PDU.                                            ISO/IEC 14908-1, clause unverified (grade B, L)

        octet 0  AUTH(1) type(3) transaction number(4)         one octet more in enhanced mode
        then     REMINDER  length(8) M_LIST[length]
                 REM_MSG   length(8) M_LIST[length] APDU       length 0..2
                 others    APDU

    Args: as `Tpdu`.
    """

    BY_CODE: ClassVar = {int(kind): kind for kind in SpduType}
    NAME: ClassVar = "SPDU"
    LIST_LIMITS: ClassVar = {SpduType.REMINDER: MAX_REMINDER_LIST, SpduType.REM_MSG: MAX_REM_MSG_LIST}
    WITHOUT_APDU: ClassVar = frozenset({SpduType.REMINDER})

    type: SpduType
