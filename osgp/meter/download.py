"""Firmware download: packets with a bitmap, resumed where they stopped; checks; switch of the code bank, with a way back.

    EP90 begin --> EP91 packets in any order --> EP92 check, MAC --> bank switch now or at a time --> event 78
                                                  wrong CRC or signature --> event 77, the old bank stays

How an image of a meter is transferred is not published: EP90 to EP93 and their parameters are choices of this project, grade D.
A simulated image carries no code. It changes the version that BT01 shows, within one release: other releases lay out their tables
in another way, and are refused.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from ..access import Port, Session
from ..context import pack_firmware
from ..errors import DecodeError, TableError
from ..firmware_image import FirmwareImage, ImageError, check_signature, decode_image
from ..security import SecurityMode
from ..security.image import image_mac_right
from ..types import LtimeDate
from .port_tables import PortTables
from .signals import Alarm, LogEntry
from .subsystem import Host, Procedure, ProcedureResult, Subsystem
from .timekeeping import to_ms, to_seconds

BEGIN, PACKET, FINISH, INVALIDATE = 2048 + 90, 2048 + 91, 2048 + 92, 2048 + 93  # project-defined
CHECK_ONLY, SWITCH_NOW, SWITCH_AT, CANCEL, SWITCH_BACK = range(5)  # actions of EP92
REPROGRAMMED, CRC_ERROR, BANK_CHANGED = 36, 77, 78  # spec/events.json
BAD_CRC, BAD_DIGEST = 0, 1  # argument of event 77; grade B
BITMAP: Final = 1250  # octets, so 10 000 packets; grade A
MAX_IMAGE: Final = 1 << 18  # octets: grade D
MAC: Final = 16
KEY_SLOTS: Final = 2  # grade A
_HEAD: Final = struct.Struct("<IBH")
_VERSION: Final = 1


class Download(Subsystem):
    """ET17; the image fields of ET89; EP90 to EP93.

    Attributes:
        banks: images in the two code banks; b"": the one the meter left the factory with.    bank: the one that runs.
        error: last result of the checks.    invalidated: key slots that no longer count.
    """

    name: ClassVar[str] = "download"
    live = frozenset(("ET17",))

    def __init__(self) -> None:
        super().__init__()
        self.banks, self.bank = [b"", b""], 0
        self.error = ImageError.NONE
        self.invalidated: frozenset[int] = frozenset()
        self._job = (0, 0, 0)  # length, octets per packet, CRC-16 of the whole file
        self._buffer = bytearray()
        self._received: set[int] = set()
        self._switch_ms: int | None = None
        self._checked: dict[str, Any] = {}

    def attach(self, host: Host) -> None:
        self._host = host
        self._factory = host.config.firmware
        dimensions = host.store.context.peek("ET11")
        self._bitmap = BITMAP
        if dimensions is not None and "et17_bitmap_size" in dimensions:
            self._bitmap = int(dimensions["et17_bitmap_size"])
            host.store.put("ET17", bytes(self._bitmap))
        ports = host.find(PortTables)
        if ports is not None and host.config.firmware[:2] >= (4, 50):
            ports.show(self._status)

    def start(self, now: float) -> None:
        if self.bank or self.banks[self.bank]:
            self._show_version()

    def refresh(self, identifier: str, now: float) -> None:
        octets = bytearray(self._bitmap)
        for number in self._received:
            octets[number // 8] |= 1 << number % 8
        self._host.store.put("ET17", bytes(octets))

    def _status(self, now: float) -> Mapping[str, Any]:
        keys = (*self._host.config.image_keys, None, None)[:KEY_SLOTS]
        return {
            "image_key_ids": tuple(0 if key is None else key.id for key in keys),
            "image_key_status": sum(1 << slot for slot in self.invalidated), "last_validation_error": int(self.error),
            **self._checked,
        }  # fmt: skip

    # packets

    def procedures(self) -> Mapping[int, Procedure]:
        return {BEGIN: self._begin, PACKET: self._packet, FINISH: self._finish, INVALIDATE: self._invalidate}

    def _count(self) -> int:
        length, size, _ = self._job
        return -(-length // size) if size else 0

    def missing(self) -> list[int]:
        """Numbers of the packets that have not come yet."""
        return [number for number in range(self._count()) if number not in self._received]

    def _begin(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP90: UINT32 octets of the image, UINT8 octets per packet, UINT16 CRC of the file. The same once more resumes.

        The response holds the number of packets that are missing, UINT16.
        """
        if len(parameters) < _HEAD.size:
            return ProcedureResult.INVALID_PARAMETER, b""
        length, size, crc = _HEAD.unpack_from(parameters)
        if not (0 < length <= MAX_IMAGE and size and -(-length // size) <= 8 * self._bitmap):
            return ProcedureResult.INVALID_PARAMETER, b""
        if (length, size, crc) != self._job:
            self._job, self._buffer = (length, size, crc), bytearray(length)
            self._received.clear()
        self._switch_ms = None
        self.touch()
        return ProcedureResult.COMPLETED, len(self.missing()).to_bytes(2, "little")

    def _packet(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP91: UINT16 number, octets. A packet that came already changes nothing."""
        length, size, _ = self._job
        number, octets = int.from_bytes(parameters[:2], "little"), parameters[2:]
        if len(parameters) < 3 or number >= self._count():
            return ProcedureResult.INVALID_PARAMETER, b""
        if len(octets) != min(size, length - number * size):
            return ProcedureResult.INVALID_PARAMETER, b""
        if number not in self._received:
            self._buffer[number * size : number * size + len(octets)] = octets
            self._received.add(number)
            self.touch()
        return ProcedureResult.COMPLETED, b""

    # checks and switch

    def _finish(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP92: UINT8 action, LTIME_DATE UTC of the switch (action 2), then 16 octets of MAC or none.

        The response holds the code of ET89.last_validation_error. Over the power line under AES the MAC is required.
        """
        action = parameters[0] if parameters else 255
        if action > SWITCH_BACK:
            return ProcedureResult.INVALID_PARAMETER, b""
        if action == CANCEL:
            self._forget()
            return ProcedureResult.COMPLETED, b""
        if action == SWITCH_BACK:
            return (ProcedureResult.COMPLETED, b"") if self._switch(now) else (ProcedureResult.CONFLICTS_WITH_SETUP, b"")
        if not self._count() or self.missing():
            return ProcedureResult.TIMING_CONSTRAINT, b""
        when = LtimeDate.decode(parameters[1:7]).moment() if action == SWITCH_AT and len(parameters) >= 7 else None
        if action == SWITCH_AT and when is None:
            return ProcedureResult.INVALID_PARAMETER, b""
        mac = parameters[7:]
        config = self._host.config
        needs_mac = session.port is Port.PLC and config.security is SecurityMode.AES
        if (needs_mac or mac) and not image_mac_right(config.psk, bytes(self._buffer), mac):
            return self._refuse(ImageError.UNKNOWN, BAD_DIGEST, now)
        try:
            image = decode_image(bytes(self._buffer))
        except DecodeError:
            return self._refuse(ImageError.UNKNOWN, BAD_CRC, now)
        self._remember(image)
        error = check_signature(image, config.image_keys, self.invalidated)
        if error is not ImageError.NONE:
            return self._refuse(error, BAD_DIGEST, now)
        if image.firmware[:2] != self._factory[:2]:
            return self._refuse(ImageError.UNKNOWN, BAD_CRC, now)
        self.error = ImageError.NONE
        if action != CHECK_ONLY:
            self.banks[1 - self.bank] = bytes(self._buffer)
            self._host.signal(LogEntry(REPROGRAMMED, user_id=session.user), now)
            at_ms = to_ms(now) if when is None else to_ms(self._host.clock.instant(when))
            self._switch_ms = max(at_ms, to_ms(now) + 1)
            self._job, self._buffer = (0, 0, 0), bytearray()
            self._received.clear()
        self.touch()
        result = ProcedureResult.COMPLETED if action == CHECK_ONLY else ProcedureResult.ACCEPTED
        return result, bytes((ImageError.NONE,))

    def _remember(self, image: FirmwareImage) -> None:
        self._checked = {
            "last_validation_key": image.key_id, "last_image_length": len(self._buffer),
            "signature_length": len(image.signature), "signature_head": tuple(image.signature[:8].ljust(8, b"\0")),
        }  # fmt: skip

    def _refuse(self, error: ImageError, argument: int, now: float) -> tuple[ProcedureResult, bytes]:
        self.error = error
        self._forget()
        self._complain(argument, now)
        return ProcedureResult.CONFLICTS_WITH_SETUP, bytes((error,))

    def _complain(self, argument: int, now: float) -> None:
        self._host.signal(Alarm("software_crc_error"), now)
        self._host.signal(LogEntry(CRC_ERROR, bytes((argument, 0))), now)

    def _forget(self) -> None:
        """Nothing that was loaded counts any more."""
        self._job, self._buffer, self._switch_ms = (0, 0, 0), bytearray(), None
        self._received.clear()
        self.touch()

    def _switch(self, now: float) -> bool:
        """Run the other bank; the boot code checks it once more, and a bad one is not run."""
        other = 1 - self.bank
        octets = self.banks[other]
        if not octets and (other or not self.bank):  # the second bank is empty until something is loaded
            return False
        if octets:
            try:
                image = decode_image(octets)
            except DecodeError:
                self._complain(BAD_CRC, now)
                return False
            self.error = check_signature(image, self._host.config.image_keys, frozenset())
            if self.error is not ImageError.NONE:
                self._complain(BAD_DIGEST, now)
                return False
        self.bank = other
        self._show_version()
        self._host.signal(Alarm("code_bank_changed"), now)
        self._host.signal(LogEntry(BANK_CHANGED), now)
        self.touch()
        return True

    def _show_version(self) -> None:
        """BT01 and ET03 tell what runs."""
        octets = self.banks[self.bank]
        image = decode_image(octets) if octets else None
        high, low = pack_firmware(*(self._factory if image is None else image.firmware))
        self._host.store.update("BT01", {"firmware_version": high, "firmware_revision": low})
        self._host.store.update("ET03", {"image_crc": 0 if image is None else image.crc})

    def damage(self, bank: int) -> None:
        """A fault for tests: a bit of a bank tips over."""
        octets = bytearray(self.banks[bank])
        octets[len(octets) // 2] ^= 1
        self.banks[bank] = bytes(octets)
        self.touch()

    def _invalidate(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP93: UINT8 key slot, 0 or 1; it never counts again."""
        if len(parameters) < 1 or parameters[0] >= KEY_SLOTS:
            return ProcedureResult.INVALID_PARAMETER, b""
        self.invalidated |= {parameters[0]}
        self.touch()
        return ProcedureResult.COMPLETED, b""

    # time

    def next_timer(self) -> float | None:
        return None if self._switch_ms is None else to_seconds(self._switch_ms)

    def advance(self, now: float) -> None:
        if self._switch_ms is not None and to_ms(now) >= self._switch_ms:
            self._switch_ms = None
            self._switch(now)
            self.touch()

    # what must survive

    def snapshot(self) -> bytes:
        head = json.dumps({
            "banks": [len(one) for one in self.banks], "bank": self.bank, "error": int(self.error), "job": self._job,
            "received": sorted(self._received), "switch": self._switch_ms, "invalidated": sorted(self.invalidated),
            "checked": self._checked,
        }).encode()  # fmt: skip
        return bytes((_VERSION,)) + struct.pack("<I", len(head)) + head + b"".join((*self.banks, bytes(self._buffer)))

    def restore(self, octets: bytes, now: float) -> None:
        if len(octets) < 5 or octets[0] != _VERSION:
            raise TableError(f"a saved state of {self.name} starts with {_VERSION}, got {octets[:1].hex() or 'nothing'}")
        place = 5 + int.from_bytes(octets[1:5], "little")
        try:
            state = json.loads(octets[5:place])
            first, second = state["banks"]
            self.banks = [octets[place : place + first], octets[place + first : place + first + second]]
            self._buffer = bytearray(octets[place + first + second :])
            length, size, crc = state["job"]
            if len(self._buffer) != length:
                raise ValueError("the image is cut off")
            self._job, self.bank, self.error = (length, size, crc), int(state["bank"]), ImageError(state["error"])
            self._received, self._switch_ms = set(state["received"]), state["switch"]
            self.invalidated, self._checked = frozenset(state["invalidated"]), dict(state["checked"])
        except (ValueError, KeyError, TypeError) as error:
            raise TableError(f"a saved state of {self.name} is damaged: {error}") from error
