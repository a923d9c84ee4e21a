"""On-demand requests: the queue ET15 with its pointers, EP19 that fills it, EP39 by which MEP clients answer.

    EP19 --> ET15 --> M-Bus device: carried out on the bus a second later --> result, ET16
                  --> MEP client: alert flag in ET13 --> EP39 --> result, ET16
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, ClassVar, Final

from ..access import Session
from ..errors import ConfigurationError, TableError
from ..mbus.frame import SND_UD
from ..mbus.record import encode_moment
from ..mbus.slave import SET_TIME
from ..types import LtimeDate
from .journal import Journal
from .mbus_devices import ON_DEMAND as READ_ON_DEMAND
from .mbus_devices import OSGP_NAMESPACE, SUCCESS, MbusDevices
from .mep_clients import FIRST_SLOT, MepClients
from .subsystem import Host, Procedure, ProcedureResult, Subsystem
from .timekeeping import MS_PER_S, to_ms, to_seconds

POST: Final = 2048 + 19  # EP19
ANSWER: Final = 2048 + 39  # EP39
DOWNLOAD: Final = 2048 + 41  # EP41
CODE_OCTETS: Final = 56  # multicast length of a code packet: number and code; grade A
SWITCH_OK, SWITCH_FAILED = "fw_switch_ok", "fw_switch_failed"  # ET14; grade A
NO_SUCH_DEVICE: Final = ProcedureResult.CONFLICTS_WITH_SETUP  # result 3 of EP19; grade A
OPEN, DONE, NO_RESPONSE, FAILED = range(4)  # ET15 results; grade A
NO_REQUEST: Final = 0
BUS_TIME_MS: Final = MS_PER_S  # until a request is carried out: grade D
MEP_RECORD: Final = 7  # octets of an ET16 element in front of read count and length; grade A


class Request(IntEnum):
    """Request types of EP19 and ET15; grade A."""

    APPLICATION_RESET = 1
    BILLING_READ = 2
    STATUS_READ = 3
    WRITE = 4
    TIME_SYNC = 5
    MULTICAST = 6
    DOWNLOAD_START = 7
    CODE_PACKET = 8
    SWITCH_OVER = 9
    WRITE_BY_INDEX = 10


WITH_DATA: Final = frozenset((Request.WRITE, Request.MULTICAST, Request.WRITE_BY_INDEX))
POSTABLE: Final = frozenset((1, 2, 3, 4, 5, 6, 9, 10))  # 7 and 8 come from EP41; grade A
FOR_CLIENTS: Final = frozenset((Request.BILLING_READ, Request.WRITE, Request.SWITCH_OVER))


class Post(IntEnum):
    """Types of EP39; project-defined but for 12 (grade A)."""

    SCHEDULED = 1
    SCHEDULED_WITH_ALARMS = 2
    RESULT = 3
    UNSOLICITED = 4
    CLEAR_MBUS_ALERT = 11
    CLEAR_DELTA_ALERT = 12


class OnDemand(Subsystem):
    """ET15 and the data of MEP clients in ET16 and ET45; EP19 and EP39."""

    name: ClassVar[str] = "on_demand"

    def attach(self, host: Host) -> None:
        self._host = host
        mbus, clients, journal = host.find(MbusDevices), host.find(MepClients), host.find(Journal)
        if mbus is None or clients is None or journal is None:
            raise ConfigurationError("on-demand requests need the subsystems MbusDevices, MepClients and Journal")
        self._mbus, self._clients, self._journal = mbus, clients, journal
        dimensions: Any = host.store.context.peek("ET11")
        self._size = int(dimensions["ondemand_queue_size"])
        self._entry = int(dimensions["ondemand_entry_size"])
        self._write_size = int(dimensions["ondemand_write_size"])
        self._multicast_size = int(dimensions.get("mbus_multicast_length", 0))
        self._due: dict[int, int] = {}  # instant at which an M-Bus request of the queue is carried out, by index

    def procedures(self) -> Mapping[int, Procedure]:
        return {POST: self._post, ANSWER: self._answer, DOWNLOAD: self._download}

    # the queue

    def _open(self, index: int) -> bool:
        entry = self._host.store[f"ET15.queue[{index}]"]
        return bool(entry["request_type"] != NO_REQUEST and entry["result"] == OPEN)

    def _post(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP19: UINT16 transaction, UINT16 handle or mask, UINT8 type, and data by type; gives the queue index."""
        if len(parameters) < 5:
            return ProcedureResult.INVALID_PARAMETER, b""
        transaction, handle, kind = struct.unpack_from("<HHB", parameters)
        data = parameters[6 : 6 + parameters[5]] if kind in WITH_DATA and len(parameters) > 5 else parameters[5:]
        limit = self._multicast_size if kind == Request.MULTICAST else self._write_size
        if kind not in POSTABLE or (kind in WITH_DATA and (len(parameters) < 6 or len(data) != parameters[5])):
            return ProcedureResult.INVALID_PARAMETER, b""
        if len(data) > max(0, limit - 1):
            return ProcedureResult.INVALID_PARAMETER, b""
        client = None
        if kind == Request.WRITE_BY_INDEX:
            found = self._by_index(handle)
            if found is None:
                return NO_SUCH_DEVICE, b""
            handle, kind = found, Request.WRITE
        if kind != Request.MULTICAST:
            client = self._clients.by_handle(handle)
            if client is None and self._mbus.by_handle(handle) is None:
                return NO_SUCH_DEVICE, b""
            if (client is not None) != (kind in FOR_CLIENTS) and (client is not None or kind == Request.SWITCH_OVER):
                return ProcedureResult.INVALID_PARAMETER, b""
        return self._enqueue(transaction, handle, kind, data, client, now)

    def _download(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP41: UINT16 transaction, UINT16 handle, and for a code packet UINT16 number and at most 54 octets. Grade D.

        Without a packet it announces a download (request type 7), with one it passes the packet on (type 8).
        """
        if len(parameters) < 4 or len(parameters) == 5 or len(parameters) > 4 + CODE_OCTETS:
            return ProcedureResult.INVALID_PARAMETER, b""
        transaction, handle = struct.unpack_from("<HH", parameters)
        client = self._clients.by_handle(handle)
        if client is None:
            return NO_SUCH_DEVICE, b""
        packet = parameters[4:]
        kind = Request.CODE_PACKET if packet else Request.DOWNLOAD_START
        return self._enqueue(transaction, handle, kind, packet.ljust(CODE_OCTETS, b"\0") if packet else b"", client, now)

    def _by_index(self, mask: int) -> int | None:
        """Handle of the lowest slot whose bit is set; grade A."""
        for number in range(FIRST_SLOT + 1):
            if mask >> number & 1:
                return int(self._host.store[f"ET14.devices[{number}].handle"]) or None
        return None

    def _enqueue(
        self, transaction: int, handle: int, kind: int, data: bytes, client: int | None, now: float
    ) -> tuple[ProcedureResult, bytes]:
        store = self._host.store
        index = store["ET15.write_pointer"] % self._size
        if self._open(index):
            return ProcedureResult.QUEUE_FULL, b""
        entry = struct.pack("<HHBB", transaction, handle, kind, OPEN)
        store.write("ET15", 1 + index * self._entry, entry)
        if kind in (Request.MULTICAST, Request.CODE_PACKET):
            at = 1 + self._size * (self._entry + self._write_size)
            store.write("ET15", at, bytes((len(data),)) + data)
        else:
            at = 1 + self._size * self._entry + index * self._write_size
            store.write("ET15", at, (bytes((len(data),)) + data).ljust(self._write_size, b"\0"))
        store["ET15.write_pointer"] = (index + 1) % self._size
        if client is None:
            self._due[index] = to_ms(now) + BUS_TIME_MS
        else:
            self._clients.alert(client, "ondemand_request")
        self.touch()
        return ProcedureResult.COMPLETED, bytes((index,))

    def _close(self, index: int, result: int) -> None:
        """A request is done; the read pointer moves on past all that are."""
        store = self._host.store
        store[f"ET15.queue[{index}].result"] = result
        self._due.pop(index, None)
        pointer = store["ET15.read_pointer"] % self._size
        for _ in range(self._size):
            if pointer == store["ET15.write_pointer"] or self._open(pointer):
                break
            pointer = (pointer + 1) % self._size
        store["ET15.read_pointer"] = pointer
        self.touch()

    # time

    def next_timer(self) -> float | None:
        return to_seconds(min(self._due.values())) if self._due else None

    def advance(self, now: float) -> None:
        for index, due_ms in sorted(self._due.items(), key=lambda item: item[1]):
            if to_ms(now) >= due_ms:
                self._close(index, self._carry_out(index, now))

    def _carry_out(self, index: int, now: float) -> int:
        """Do what a request asks of an M-Bus device."""
        store = self._host.store
        entry = store[f"ET15.queue[{index}]"]
        write = store[f"ET15.writes[{index}]"]
        data = bytes(write["data"])[: write["length"]]
        if entry["request_type"] == Request.MULTICAST:
            return self._multicast(entry["handle_or_mask"], now)
        number = self._mbus.by_handle(entry["handle_or_mask"])
        if number is None:
            return FAILED
        slot = self._mbus.slots[number]
        assert slot is not None
        master = self._mbus.master(now, slot.baud)
        match entry["request_type"]:
            case Request.APPLICATION_RESET:
                parameter = store[f"ET13.devices[{number}].body"][20]
                done = master.application_reset(slot.address, bytes((parameter,)) if parameter else b"")
            case Request.BILLING_READ:
                done = self._mbus.billing_read(number, now, READ_ON_DEMAND)
            case Request.STATUS_READ:
                done = bool(self._mbus.read(number, now))
            case Request.WRITE:
                done = master.write(slot.address, data)
            case Request.TIME_SYNC:
                done = master.write(slot.address, SET_TIME + encode_moment(self._host.clock.local(now)))
            case _:
                return FAILED
        return DONE if done else NO_RESPONSE

    def _multicast(self, mask: int, now: float) -> int:
        """C field, CI field and user data for every device of a group, one after another."""
        store = self._host.store
        octets = bytes(store["ET15.multicast_data"])[: store["ET15.multicast_length"]]
        if len(octets) < 2:
            return FAILED
        reached = []
        for number, slot in enumerate(self._mbus.slots):
            if slot is not None and (mask == 0xFFFF or mask & self._group_mask(number)):
                master = self._mbus.master(now, slot.baud)
                control = octets[0] if octets[0] & 0x4F == SND_UD & 0x4F else SND_UD
                reached.append(master.write(slot.address, octets[2:], octets[1], control))
        return DONE if reached and all(reached) else NO_RESPONSE

    def _group_mask(self, number: int) -> int:
        return int(self._host.store[f"ET34.devices[{number}].group_mask"]) if "ET34" in self._host.store else 0

    # answers of MEP clients

    def _answer(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP39: UINT8 type, UINT16 handle, UINT16 transaction, UINT8 result, UINT8 alarms, UINT16 length, data. Grade D."""
        if not parameters or parameters[0] not in tuple(Post):
            return ProcedureResult.INVALID_PARAMETER, b""
        kind = Post(parameters[0])
        handle = int.from_bytes(parameters[1:3], "little")
        client = self._clients.by_handle(handle)
        if client is None:
            return ProcedureResult.CONFLICTS_WITH_SETUP, b""
        if session.level.value == "MBK" and client != self._clients.own(session.port):
            return ProcedureResult.NOT_AUTHORISED, b""
        if kind is Post.CLEAR_MBUS_ALERT or kind is Post.CLEAR_DELTA_ALERT:
            flag = "mbus_change" if kind is Post.CLEAR_MBUS_ALERT else "delta_data_alert"
            self._clients.alert(client, flag, False)
            return ProcedureResult.COMPLETED, b""
        if len(parameters) < 9:
            return ProcedureResult.INVALID_PARAMETER, b""
        _, _, transaction, result, alarms, length = struct.unpack_from("<BHHBBH", parameters)
        data = parameters[9 : 9 + length]
        if len(data) != length or result > FAILED:
            return ProcedureResult.INVALID_PARAMETER, b""
        return self._take(kind, client, handle, transaction, result, alarms, data, now), b""

    def _take(
        self, kind: Post, client: int, handle: int, transaction: int, result: int, alarms: int, data: bytes, now: float
    ) -> ProcedureResult:
        store, slot = self._host.store, FIRST_SLOT + client
        size = store.place(f"ET16.devices[{slot}]").size
        if len(data) > size - MEP_RECORD - 4:
            return ProcedureResult.INVALID_PARAMETER
        if kind is Post.RESULT:
            index = next((one for one in range(self._size) if self._open(one) and self._is(one, transaction, handle)), None)
            if index is None:
                return ProcedureResult.CONFLICTS_WITH_SETUP
            self._close(index, result or DONE)
            if store[f"ET15.queue[{index}].request_type"] == Request.SWITCH_OVER:
                store[f"ET14.devices[{slot}].{SWITCH_FAILED if result > DONE else SWITCH_OK}"] = True
            if not any(self._open(one) and store[f"ET15.queue[{one}].handle_or_mask"] == handle for one in range(self._size)):
                self._clients.alert(client, "ondemand_request", False)
        reads = (store[f"ET14.devices[{slot}].read_answers"] + 1) & 0xFFFFFFFF
        store[f"ET14.devices[{slot}].read_answers"] = reads
        if alarms or kind is Post.SCHEDULED_WITH_ALARMS:
            store[f"ET14.devices[{slot}].device_alarms"] |= alarms
        record = LtimeDate.of(self._host.clock.local(now)).encode() + b"\0" + struct.pack("<HH", reads & 0xFFFF, len(data)) + data
        scheduled = kind in (Post.SCHEDULED, Post.SCHEDULED_WITH_ALARMS)
        if scheduled:
            self._clients.alert(client, "scheduled_read_request", False)
        log = self._journal.logs["ET45"]
        if scheduled and log.entries:
            body = struct.pack("<HHBB", OSGP_NAMESPACE, handle, 0, SUCCESS) + record + b"\0"
            self._journal.append("ET45", (len(body).to_bytes(2, "little") + body)[: log.entry_size], now)
        else:
            store[f"ET14.devices[{slot}].billing_length"] = len(data)
            store[f"ET16.devices[{slot}]"] = record.ljust(size, b"\0")
        return ProcedureResult.COMPLETED

    def _is(self, index: int, transaction: int, handle: int) -> bool:
        entry = self._host.store[f"ET15.queue[{index}]"]
        return bool(entry["transaction"] == transaction and entry["handle_or_mask"] == handle)

    # what must survive

    def snapshot(self) -> bytes:
        return b"\x01" + json.dumps(list(self._due.items())).encode()

    def restore(self, octets: bytes, now: float) -> None:
        try:
            if octets[:1] != b"\x01":
                raise ValueError("another version")
            self._due = {int(index): int(due) for index, due in json.loads(octets[1:])}
        except (ValueError, TypeError) as error:
            raise TableError(f"a saved state of {self.name} is damaged: {error}") from error
