"""TPDU: acknowledged and repeated messages of the transport layer, acknowledgements, reminders."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from .transaction_pdu import MAX_REM_MSG_LIST, MAX_REMINDER_LIST, TransactionPdu


class TpduType(IntEnum):
    """Three-bit type; 3, 6 and 7 are unused."""

    ACKD = 0
    UNACKD_RPT = 1
    ACK = 2
    REMINDER = 4
    REM_MSG = 5


@dataclass(frozen=True, slots=True)
class Tpdu(TransactionPdu):
    """Transport PDU.                                          ISO/IEC 14908-1, clause unverified (grade B, L)

        octet 0  AUTH(1) type(3) transaction number(4)         one octet more in enhanced mode
        then     REMINDER  length(8) M_LIST[length]
                 REM_MSG   length(8) M_LIST[length] APDU       length 0..2
                 ACK       nothing
                 others    APDU

    Args:
        type: kind of TPDU.
        number: transaction number.
        auth: the message asks to be authenticated.
        apdu: application PDU; empty for ACK and REMINDER.
        m_list: member list, only for REMINDER and REM_MSG (see `member_list`).
    """

    BY_CODE: ClassVar = {int(kind): kind for kind in TpduType}
    NAME: ClassVar = "TPDU"
    LIST_LIMITS: ClassVar = {TpduType.REMINDER: MAX_REMINDER_LIST, TpduType.REM_MSG: MAX_REM_MSG_LIST}
    WITHOUT_APDU: ClassVar = frozenset({TpduType.ACK, TpduType.REMINDER})

    type: TpduType
