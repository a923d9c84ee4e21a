"""An M-Bus slave: one device on the bus that answers a master. Sans I/O.

    SND_NKE --> reset, E5    SND_UD --> address, selection, time, reset --> E5    REQ_UD2 --> RSP_UD with the next telegram
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Final

from .cipher import encrypt
from .frame import (
    BROADCAST,
    FCB,
    FCV,
    LAST_PRIMARY,
    REQ_UD1,
    REQ_UD2,
    RSP_UD,
    SELECTED,
    SND_NKE,
    SND_UD,
    TEST,
    Ack,
    Frame,
    LongFrame,
    ShortFrame,
)
from .record import decode_moment
from .telegram import FIXED_RESPONSE, VARIABLE_RESPONSE, DeviceId

APPLICATION_RESET: Final = 0x50
DATA_SEND: Final = 0x51
SELECTION: Final = 0x52
WILDCARD_DIGIT: Final = 0xF
SET_ADDRESS: Final = b"\x01\x7a"  # record: one octet, bus address
SET_TIME: Final = b"\x04\x6d"  # record: type F
BAUD_RATES: Final = {0xB8: 300, 0xBA: 1200, 0xBB: 2400, 0xBD: 9600}
DEFAULT_BAUD: Final = 2400

# (now) -> the records of each telegram
Telegrams = Callable[[float], tuple[bytes, ...]]


class MbusSlave:
    """One device.

    Args:
        identity: its secondary address.    telegrams: what it says.    address: primary address, 0: none yet.
        key: 16 octets; it then encrypts with mode 5.    fixed: it answers with CI 73h; telegrams then give 8 octets of counters.
        units: the two medium and unit octets of a fixed answer.    baud: it hears.

    Attributes:
        status: status octet of its answers.    silent: it answers nothing (a fault).    selected: by secondary address.
        written: data that masters sent.    clock: what a master set, None: nothing.    resets: application resets.
    """

    def __init__(
        self,
        identity: DeviceId,
        telegrams: Telegrams,
        *,
        address: int = 0,
        key: bytes | None = None,
        fixed: bool = False,
        units: int = 0,
        baud: int = DEFAULT_BAUD,
    ) -> None:
        self.identity, self.address, self.baud = identity, address, baud
        self._telegrams, self._key, self._fixed, self._units = telegrams, key, fixed, units
        self.status = 0
        self.silent = self.selected = False
        self.written: list[bytes] = []
        self.clock: datetime.datetime | datetime.date | None = None
        self.resets = 0
        self._access = 0
        self._place = 0
        self._last_fcb: int | None = None

    def receive(self, frame: Frame, now: float) -> Frame | None:
        """A frame from the master; what this device answers."""
        if self.silent or isinstance(frame, Ack):
            return None
        if frame.address == SELECTED:
            mine = self.selected or (isinstance(frame, LongFrame) and frame.information == SELECTION)
        else:
            mine = frame.address in (self.address, TEST, BROADCAST)
        if not mine:
            return None
        answer = self._answer(frame, now)
        return None if frame.address == BROADCAST else answer

    def _answer(self, frame: ShortFrame | LongFrame, now: float) -> Frame | None:
        control = frame.control & ~FCB
        if control == SND_NKE:
            self._last_fcb = None
            self._place = 0
            if frame.address == SELECTED:
                self.selected = False
            return Ack()
        if isinstance(frame, ShortFrame):
            if control & ~FCV == REQ_UD2 & ~FCV:
                return self._respond(frame, now)
            return Ack() if control & ~FCV == REQ_UD1 & ~FCV else None
        if control & ~FCV != SND_UD & ~FCV:
            return None
        return self._command(frame)

    def _respond(self, frame: ShortFrame, now: float) -> LongFrame:
        """RSP_UD; another FCB than before asks for the next telegram, the same one for the last again."""
        telegrams = self._telegrams(now)
        fcb = frame.control & FCB if frame.control & FCV else None
        if fcb is not None and self._last_fcb is not None and fcb != self._last_fcb:
            self._place = (self._place + 1) % len(telegrams)
        elif fcb is None:
            self._place = 0
        if fcb is None or fcb != self._last_fcb:
            self._access = (self._access + 1) & 0xFF
        self._last_fcb = fcb
        records = telegrams[self._place]
        if self._fixed:
            head = self.identity.encode()[:4] + bytes((self._access, self.status)) + self._units.to_bytes(2, "little")
            return LongFrame(RSP_UD, self.address, FIXED_RESPONSE, head + records)
        head = self.identity.encode() + bytes((self._access, self.status))
        word = 0
        if self._key is not None:
            word, records = encrypt(self._key, head, records)
        return LongFrame(RSP_UD, self.address, VARIABLE_RESPONSE, head + word.to_bytes(2, "little") + records)

    def _command(self, frame: LongFrame) -> Frame | None:
        if frame.information == SELECTION:
            self.selected = len(frame.data) >= 8 and matches(frame.data[:8], self.identity.encode())
            self._last_fcb = None
            return Ack() if self.selected else None
        if frame.information == APPLICATION_RESET:
            self.resets += 1
            self._place = 0
        elif frame.information == DATA_SEND:
            self._write(frame.data)
        elif frame.information in BAUD_RATES:
            self.baud = BAUD_RATES[frame.information]
        else:
            return None
        return Ack()

    def _write(self, data: bytes) -> None:
        self.written.append(data)
        del self.written[:-16]
        if data.startswith(SET_ADDRESS) and len(data) >= 3 and data[2] <= LAST_PRIMARY:
            self.address = data[2]
        elif data.startswith(SET_TIME) and len(data) >= 6:
            self.clock = decode_moment(data[2:6])


def matches(wanted: bytes, identity: bytes) -> bool:
    """Whether a selection (8 octets with wildcards: digit F, FFFF, FF, FF) means a device."""
    for place in range(4):
        for shift in (0, 4):
            digit = wanted[place] >> shift & 0xF
            if digit not in (WILDCARD_DIGIT, identity[place] >> shift & 0xF):
                return False
    if wanted[4:6] not in (b"\xff\xff", identity[4:6]):
        return False
    return all(wanted[place] in (0xFF, identity[place]) for place in (6, 7))
