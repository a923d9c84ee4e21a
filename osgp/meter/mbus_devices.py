"""Sub-meters behind the meter: found on the M-Bus, given a slot, read on schedule and on demand, watched.

    bus --> discovery --> slot of ET13, ET14 with a handle --> first read: ET16, event 96
    ET13 schedule --> read --> ET45        EP19 --> read --> ET16        ET20 --> read --> ET32
    status, serial number --> alarms, event 81
    load profile channel --> poll --> value by its data type (ET57)

An exchange on the bus takes no time here; what a read needs is done at one instant (grade D).
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from ..access import NOBODY, Session
from ..errors import ConfigurationError, TableError
from ..mbus import MbusBus, Variable
from ..mbus.frame import LAST_PRIMARY, SELECTED, UNCONFIGURED
from ..mbus.master import Answer, Master, identity_of, plain, stored
from ..types import LtimeDate
from .identity import put
from .journal import Journal
from .mbus_channels import MbusChannels
from .mbus_schedule import Schedule
from .mbus_slot import SLOTS, Slot
from .mbus_types import DEFAULT_ENTRIES, find_value, read_types
from .mep_clients import MepClients
from .profiling import Profiling
from .signals import Alarm, ClockChanged, LogEntry, PowerDown, PowerUp, Signal
from .subsystem import Host, Procedure, ProcedureResult, Subsystem
from .timekeeping import MS_PER_S, to_ms, to_seconds

HANDLES: Final = range(1, 1000)  # grade A
UP, DOWN = 1, 2  # ET14.status; grade A
BAUD_CODES: Final = {300: 1, 600: 2, 1200: 3, 2400: 4, 4800: 5, 9600: 6}  # ET13.baud; grade A
DEFAULT_BAUD: Final = 2400
ALARM_EVENT, DISCOVERY_EVENT, STATUS_EVENT = 81, 82, 96  # spec/events.json
COMMAND_EVENT: Final = 3020
COMMISSIONED, NO_FREE_SLOT, LOST, REMOVED = 0, 1, 2, 4  # argument of event 96; grade B
COLLECTED, NEW_ALARM, OVERFLOW, FAILED, MISMATCH = 0, 2, 3, 4, 5  # alarm bits of ET14 and event 81; grades A and B
ALARMS_AT: Final = 14  # in an element of ET14
STATUS_ALARMS: Final = 0xFC  # of the status octet of a telegram; EN 13757-3
CLEAR: Final = 2048 + 18  # EP18
REMOVE: Final = 2048 + 17  # EP17
FIRST_READ, SCHEDULED, ON_DEMAND, ONE_TIME = range(4)
LOG_OF: Final = {SCHEDULED: "ET45", ONE_TIME: "ET32"}  # the others go to ET16; grade A
KEY_AT, HIDDEN, KEY_OCTETS = 30, 8, 32  # in an element of ET13; the first eight octets are write only; grade A
RECORD_HEADER: Final = 7  # octets of an ET16 element in front of the telegrams
OSGP_NAMESPACE: Final = 2 << 11
DELAYED, SUCCESS = 2, 4  # ET45 execution_status and result; grade A
LOOK_AGAIN_MS: Final = 3_600_000  # discovery in the background, and schedules while local time may jump: grade D
LOG_ENTRIES: Final = {"ET45": 24, "ET32": 8}  # when there are devices; grade D for ET45, A for ET32
_VERSION: Final = 1


class MbusDevices(Subsystem):
    """Slots 0 to 3 of ET13, ET14, ET16, ET34 and ET58; ET32, ET45, ET57; EP17 and EP18.

    The layout of ET32 is not published; as its entries are as long as those of ET45, they are taken to be the same (grade D).

    Attributes:
        bus: the wires with the simulated devices.    slots: commissioned devices, None: free.    types: ET57.
    """

    name: ClassVar[str] = "mbus"
    live = frozenset(("ET32", "ET45"))
    watches = frozenset(("ET13", "ET57"))

    def attach(self, host: Host) -> None:
        self._host = host
        clients, journal = host.find(MepClients), host.find(Journal)
        if clients is None or journal is None:
            raise ConfigurationError("M-Bus devices need the subsystems MepClients and Journal")
        self._clients, self._journal = clients, journal
        devices = host.config.mbus
        self.bus = MbusBus([device.slave() for device in devices])
        self.slots: list[Slot | None] = [None] * SLOTS
        self._keys = [bytearray(HIDDEN) for _ in range(SLOTS)]
        self._next_handle = HANDLES[0]
        self._look_ms: int | None = None
        self._found = 0  # by the discovery that is going on; a restart begins another one
        store = host.store
        found = store.context.peek("ET11")
        dimensions: Mapping[str, Any] = {} if found is None else found
        if "config2_entry_size" in dimensions:
            put(store, "ET34", {"devices": [{"lp_poll_rate": 60}] * int(dimensions["num_devices"])})
        if "et57_entries" in dimensions:
            put(store, "ET57", {"entries": DEFAULT_ENTRIES[: int(dimensions["et57_entries"])]})
            put(store, "ET58", {})
        for name, entries in LOG_ENTRIES.items():
            journal.logs[name].resize(entries if devices else 0, journal.logs[name].entry_size)
        for name in self._logs():
            store.put(name, b"")
        for slot in range(SLOTS):
            store[f"ET13.devices[{slot}].frequency"] = 1
        profile = host.find(Profiling)
        self._channels = MbusChannels(self, host, profile)
        if profile is not None:
            profile.provide(self._channels.value)

    def _logs(self) -> tuple[str, ...]:
        return ("ET45", "ET32") if self.bus.slaves else ("ET45",)

    def start(self, now: float) -> None:
        for name in self._logs():
            self.refresh(name, now)
        self.types = read_types(self._host.store)
        if self.bus.slaves and self._look_ms is None:
            self._look_ms = to_ms(now) + MS_PER_S
        for slot in self._used():
            self._plan(slot, now)

    def refresh(self, identifier: str, now: float) -> None:
        self._host.store.put(identifier, self._journal.logs[identifier].table())

    def _used(self) -> list[int]:
        return [number for number, slot in enumerate(self.slots) if slot is not None]

    def slot(self, number: int) -> Slot:
        """The device in a slot that is in use."""
        slot = self.slots[number]
        assert slot is not None
        return slot

    def by_handle(self, handle: int) -> int | None:
        """Slot of a handle, None: there is none."""
        return next((number for number in self._used() if self.slot(number).handle == handle), None)

    def master(self, now: float, baud: int = DEFAULT_BAUD) -> Master:
        """The meter as the master of its bus."""
        return Master(lambda frame: self.bus.exchange(frame, now, baud))

    # discovery

    def discover(self, now: float, *, quietly: bool = False) -> int:
        """Look for devices without an address; how many were found. `quietly`: say so only when there were some."""
        while self._find_one(now):
            pass
        return self._discovered(now, quietly)

    def _discovered(self, now: float, quietly: bool) -> int:
        found, self._found = self._found, 0
        if found or not quietly:
            self._host.signal(Alarm("mbus_autodiscovery_complete"), now)
            self._log(DISCOVERY_EVENT, 0, now)
        self.touch()
        return found

    def _find_one(self, now: float) -> bool:
        """Commission one device without an address, at any speed; whether there was one and a slot for it."""
        store = self._host.store
        store["ET14.mode"] = 1
        speeds = [DEFAULT_BAUD]
        if "ET97" in store and "mbus_300_baud" in (store.context.peek("ET97") or ()) and store["ET97.mbus_300_baud"]:
            speeds.append(300)
        done = any(self._find(self.master(now, baud), baud, now) for baud in speeds)
        store["ET14.mode"] = 0
        self._found += done
        self.touch()
        return done

    def _find(self, master: Master, baud: int, now: float) -> bool:
        """Commission a device without an address; several at once are told apart by their identification."""
        if not master.reset(UNCONFIGURED):
            return False
        answer = master.first(UNCONFIGURED)
        if answer is None or not _alone(master, answer):  # what several say at once may look like an answer
            answer = next((one for one in master.search() if one.address == UNCONFIGURED), None)
        return answer is not None and self._commission(master, answer, baud, now)

    def _commission(self, master: Master, answer: Answer, baud: int, now: float) -> bool:
        """Give the selected device an address and a slot."""
        number = next((one for one in range(SLOTS) if self.slots[one] is None), None)
        if number is None:
            self._log(STATUS_EVENT, NO_FREE_SLOT, now)
            return False
        address = number + 1
        if not master.set_address(SELECTED, address):
            return False
        used = {self.slot(one).handle for one in self._used()}
        while self._next_handle in used:
            self._next_handle = HANDLES[self._next_handle % len(HANDLES)]
        slot = Slot(self._next_handle, address, identity_of(answer), baud)
        self._next_handle = HANDLES[self._next_handle % len(HANDLES)]
        self.slots[number] = slot
        store, path = self._host.store, f"ET14.devices[{number}]"
        store[path] = bytes(store.place(path).size)
        store[f"{path}.handle"], store[f"{path}.status"] = slot.handle, UP
        store[f"{path}.baud"] = store[f"ET13.devices[{number}].baud"] = BAUD_CODES.get(baud, 0)
        if self._host.config.firmware[:2] >= (4, 30):
            store[f"{path}.mbus_address"] = address
        store["ET14.occupancy"] |= 1 << number
        self._log(STATUS_EVENT, number << 13 | COMMISSIONED, now)
        self.billing_read(number, now, FIRST_READ)
        self._plan(number, now)
        return True

    def remove(self, number: int, now: float, address: int | None) -> None:
        """Give a slot up; the device gets another address (0: it can be found again, 250: it cannot; None: it keeps its own)."""
        slot, store = self.slot(number), self._host.store
        if address is not None:
            self.master(now, slot.baud).set_address(slot.address, address)
        self.slots[number] = None
        path = f"ET14.devices[{number}]"
        store[path] = bytes(store.place(path).size)
        store["ET14.occupancy"] &= ~(1 << number) & 0xFF
        store[f"ET13.devices[{number}].baud"] = 0
        self._log(STATUS_EVENT, number << 13 | REMOVED, now)
        self.touch()

    # reading

    def key(self, number: int) -> bytes | None:
        """The key of a slot, None: it has none, or one of a length that no mode here uses."""
        store, path = self._host.store, f"ET13.devices[{number}]"
        length = store[f"{path}.body"][KEY_AT - 1 - 8]
        octets = bytes(self._keys[number]) + bytes(store[f"{path}.body"][KEY_AT - 8 + HIDDEN : KEY_AT - 8 + KEY_OCTETS])
        return octets[:16] if length == 16 else None

    def read(self, number: int, now: float) -> tuple[Answer, ...]:
        """Read a device and keep the books of ET14; none when it does not answer."""
        slot, store, path = self.slot(number), self._host.store, f"ET14.devices[{number}]"
        store[f"{path}.read_attempts"] = (store[f"{path}.read_attempts"] + 1) & 0xFFFFFFFF
        store[f"{path}.last_attempt_time"] = LtimeDate.of(self._host.clock.local(now))
        answers = self.master(now, slot.baud).read(slot.address, self.key(number))
        self.touch()
        if not answers:
            if store[f"{path}.status"] != DOWN:
                store[f"{path}.status"] = DOWN
                self._log(STATUS_EVENT, number << 13 | LOST, now)
            self._raise(number, 1 << FAILED, now)
            return ()
        store[f"{path}.read_answers"] = (store[f"{path}.read_answers"] + 1) & 0xFFFFFFFF
        store[f"{path}.status"] = UP
        self._watch(number, answers, now)
        return answers

    def _watch(self, number: int, answers: tuple[Answer, ...], now: float) -> None:
        """Serial number, alarms, control status."""
        slot, store, path = self.slot(number), self._host.store, f"ET14.devices[{number}]"
        bits = 0
        if identity_of(answers[0])[:4] != slot.identity[:4]:
            bits |= 1 << MISMATCH
        status = answers[0].value.status & STATUS_ALARMS if isinstance(answers[0].value, Variable) else 0
        new = status & ~store[f"{path}.device_alarms"]
        store[f"{path}.device_alarms"] |= status
        store[f"{path}.status_read_time"] = LtimeDate.of(self._host.clock.local(now))
        if new & store[f"ET13.devices[{number}].alarm_mask"]:
            bits |= 1 << NEW_ALARM
        self._raise(number, bits, now)
        if "ET34" not in store or "ET58" not in store:
            return
        control, command = (int(store[f"ET34.devices[{number}].{name}"]) for name in ("control_mdt", "command_mdt"))
        value = find_value(self.types, control, answers) if control else None
        if value is not None and value & 0xFF != store[f"ET58.devices[{number}].control_status"]:
            store[f"ET58.devices[{number}].control_status"] = value & 0xFF
            self._clients.alert_mbus_change()
        if command and find_value(self.types, command, answers):
            self._log(COMMAND_EVENT, number << 13, now)

    def billing_read(self, number: int, now: float, kind: int, *, delayed: bool = False) -> bool:
        """Read a device into ET16 (first or on demand), ET45 (scheduled) or ET32 (once); whether it answered."""
        answers = self.read(number, now)
        if not answers:
            return False
        store, key = self._host.store, self.key(number)
        size = store.place(f"ET16.devices[{number}]").size
        telegrams, overflow = stored(plain(answers, key), size - RECORD_HEADER)
        last = answers[-1].value
        closed = any(isinstance(one.value, Variable) and one.value.encrypted for one in answers)
        flags = (not isinstance(last, Variable)) << 1 | (key is not None) << 2 | closed << 5
        record = LtimeDate.of(self._host.clock.local(now)).encode() + bytes((flags,)) + telegrams
        store[f"ET14.devices[{number}].billing_length"] = len(telegrams)
        log = LOG_OF.get(kind)
        if log is not None and self._journal.logs[log].entries:
            head = OSGP_NAMESPACE.to_bytes(2, "little") + self.slot(number).handle.to_bytes(2, "little")
            body = head + bytes((DELAYED if delayed else 0, SUCCESS)) + record + b"\0"
            self._journal.append(log, (len(body).to_bytes(2, "little") + body)[: self._journal.logs[log].entry_size], now)
        else:
            store[f"ET16.devices[{number}]"] = record.ljust(size, b"\0")
        self._raise(number, 1 << COLLECTED | overflow << OVERFLOW, now)
        return True

    def _raise(self, number: int, bits: int, now: float) -> None:
        """Latch alarm bits of ET14; event and alarm for new ones."""
        store = self._host.store
        place = store.place(f"ET14.devices[{number}]")
        at = place.offset + ALARMS_AT
        before = int.from_bytes(store.read("ET14", at, 2), "little")
        if bits & ~before:
            store.write("ET14", at, (before | bits).to_bytes(2, "little"))
            self._log(ALARM_EVENT, (number + 1) << 13 | bits & ~before, now)
            self._host.signal(Alarm("mbus_alarm"), now)

    def _log(self, event: int, argument: int, now: float) -> None:
        self._host.signal(LogEntry(event, (argument & 0xFFFF).to_bytes(2, "little"), NOBODY), now)

    # time

    def _plan(self, number: int, now: float) -> None:
        """When a device is read next; looked at again every hour, since local time may jump."""
        slot, store = self.slot(number), self._host.store
        local = self._host.clock.local(now)
        due = Schedule.of(store, number).next(local)
        slot.due_ms = None if due is None else to_ms(now) + round((due - local) / datetime.timedelta(milliseconds=1))
        minutes = int(store[f"ET13.devices[{number}].status_read_minutes"])
        slot.status_ms = None if not minutes else to_ms(now) + 60 * MS_PER_S * minutes

    def advance(self, now: float) -> None:
        at_ms = to_ms(now)
        for number in self._used():
            slot = self.slot(number)
            if slot.next_poll_ms is not None and at_ms >= slot.next_poll_ms:
                self._channels.go_on(number, now)
            if slot.due_ms is not None and at_ms >= slot.due_ms:
                late, slot.late = slot.late, False
                status_ms = slot.status_ms
                self.billing_read(number, now, SCHEDULED, delayed=late)
                self._plan(number, now)
                slot.status_ms = status_ms
            if slot.status_ms is not None and at_ms >= slot.status_ms:
                minutes = int(self._host.store[f"ET13.devices[{number}].status_read_minutes"])
                slot.status_ms = at_ms + 60 * MS_PER_S * minutes if minutes else None
                self.read(number, now)
        if self._look_ms is not None and at_ms >= self._look_ms:
            self._look_ms = at_ms + LOOK_AGAIN_MS
            if (None in self.slots or self._found) and self._find_one(now):
                self._look_ms = at_ms + MS_PER_S  # one device a second: what a real bus can do at most; grade D
            else:
                self._discovered(now, quietly=True)

    def next_timer(self) -> float | None:
        if self._look_ms is None and not any(self.slots):
            return None
        instants = [self._look_ms]
        for slot in self.slots:
            if slot is not None:
                instants += [slot.due_ms, slot.status_ms, slot.next_poll_ms]
        return min((to_seconds(one) for one in instants if one is not None), default=None)

    def on_signal(self, signal: Signal, now: float) -> None:
        if isinstance(signal, PowerDown):
            for number in self._used():
                self._channels.give_up(number)
        elif isinstance(signal, PowerUp):
            for number in self._used():
                slot = self.slot(number)
                slot.late = slot.due_ms is not None and slot.due_ms < to_ms(now)
        elif isinstance(signal, ClockChanged):
            for number in self._used():
                self._plan(number, now)

    def written(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> None:
        self.types = read_types(self._host.store)
        if identifier == "ET13":
            self._hide_keys(offset, octets)
            for number in self._used():
                self._plan(number, now)
        self.touch()

    def _hide_keys(self, offset: int, octets: bytes) -> None:
        """The first octets of a key go where nobody can read them."""
        store = self._host.store
        for number in range(SLOTS):
            start = store.place(f"ET13.devices[{number}]").offset + KEY_AT
            first, last = max(start, offset), min(start + HIDDEN, offset + len(octets))
            if first < last:
                self._keys[number][first - start : last - start] = octets[first - offset : last - offset]
                store.write("ET13", first, bytes(last - first))

    # procedures

    def procedures(self) -> Mapping[int, Procedure]:
        return {REMOVE: self._remove_procedure, CLEAR: self._clear_procedure}

    def _remove_procedure(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP17 for M-Bus devices; MEP clients are removed by their own subsystem."""
        if len(parameters) >= 3 and parameters[0] <= 1:
            handle = int.from_bytes(parameters[1:3], "little")
            number = self.by_handle(handle)
            if number is not None or handle == 0xFFFF:
                if session.level.value == "MBK":
                    return ProcedureResult.NOT_AUTHORISED, b""
                for one in self._used() if number is None else [number]:
                    self.remove(one, now, None if number is None else LAST_PRIMARY if parameters[0] else UNCONFIGURED)
                if number is not None:
                    return ProcedureResult.COMPLETED, b""
        return self._clients.procedures()[REMOVE](parameters, session, now)

    def _clear_procedure(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        """EP18: UINT16 handle, UINT16 mask of alarm bits that are cleared. Project-defined, grade D."""
        if len(parameters) < 4:
            return ProcedureResult.INVALID_PARAMETER, b""
        handle, mask = (int.from_bytes(parameters[at : at + 2], "little") for at in (0, 2))
        store, left = self._host.store, 0
        handles = [store[f"ET14.devices[{number}].handle"] for number in range(len(store["ET14.devices"]))]
        if not handle or handle not in handles:
            return ProcedureResult.CONFLICTS_WITH_SETUP, b""
        for number, one in enumerate(handles):
            at = store.place(f"ET14.devices[{number}]").offset + ALARMS_AT
            alarms = int.from_bytes(store.read("ET14", at, 2), "little")
            if one == handle:
                alarms &= ~mask
                store.write("ET14", at, alarms.to_bytes(2, "little"))
                if mask >> NEW_ALARM & 1:
                    store[f"ET14.devices[{number}].device_alarms"] = 0
            left |= alarms
        if not left:
            self._host.signal(Alarm("mbus_alarm", False), now)
        return ProcedureResult.COMPLETED, b""

    # what must survive

    def snapshot(self) -> bytes:
        slots = [
            None if slot is None
            else (slot.handle, slot.address, slot.identity.hex(), slot.baud, slot.due_ms, slot.status_ms, slot.late)
            for slot in self.slots
        ]  # fmt: skip
        addresses = [slave.address for slave in self.bus.slaves]  # what the devices themselves remember
        state = {
            "slots": slots, "keys": [bytes(key).hex() for key in self._keys], "next": self._next_handle,
            "look": self._look_ms, "addresses": addresses,
        }  # fmt: skip
        return bytes((_VERSION,)) + json.dumps(state).encode()

    def restore(self, octets: bytes, now: float) -> None:
        if not octets or octets[0] != _VERSION:
            raise TableError(f"a saved state of {self.name} starts with {_VERSION}, got {octets[:1].hex() or 'nothing'}")
        try:
            state: dict[str, Any] = json.loads(octets[1:])
            for number, row in enumerate(state["slots"][:SLOTS]):
                if row is not None:
                    slot = Slot(row[0], row[1], bytes.fromhex(row[2]), row[3])
                    slot.due_ms, slot.status_ms, slot.late = row[4], row[5], row[6]
                    self.slots[number] = slot
            self._keys = [bytearray(bytes.fromhex(key)) for key in state["keys"]]
            self._next_handle, self._look_ms = state["next"], state["look"]
            for slave, address in zip(self.bus.slaves, state["addresses"], strict=False):
                slave.address = address
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise TableError(f"a saved state of {self.name} is damaged: {error}") from error


def _alone(master: Master, answer: Answer) -> bool:
    """Select the device that an answer names; whether it is there, has no address, and is the only one."""
    again = master.selected() if master.select(identity_of(answer)) else None
    return again is not None and again.address == UNCONFIGURED and identity_of(again) == identity_of(answer)
