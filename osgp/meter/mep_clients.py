"""MEP clients at the meter: registration (ET50), handles and slots (ET14), their settings (ET13, ET51), removal (EP17).

    partial write ET50.30 = 1  -->  handle 1000.. or 2000.. and slot 4 or 5 in ET14, event 96
    EP17                       -->  flag and icons of ET50 cleared, slot of ET14 emptied, event 96

Source: OSGP Alliance MEP Client Developer Guide v1.1 (grade A). Slots 0 to 3 belong to M-Bus devices, see mbus_devices.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from ..access import NOBODY, Port, Session
from ..errors import ConfigurationError, TableError
from ..types import LtimeDate
from .identity import put
from .signals import LogEntry
from .subsystem import Host, Procedure, ProcedureResult, Subsystem

FIRST_SLOT: Final = 4  # of MEP clients in ET13 and ET14, behind four M-Bus devices; grade A
HANDLES: Final = (range(1000, 2000), range(2000, 3000))  # of client 1 and 2; grade A
ALL_HANDLES: Final = 0xFFFF
UP: Final = 3  # ET14 status "MEP up"
BAUD_9600: Final = 6
STATUS_EVENT: Final = 96  # MEP/M-Bus status; grade B
COMMISSIONED, REMOVED = 0, 4  # low bits of its argument; grade B
REMOVE: Final = 2065  # EP17
BAD_ACTION: Final = ProcedureResult.INVALID_PARAMETER
NO_SUCH_HANDLE: Final = ProcedureResult.CONFLICTS_WITH_SETUP  # result 3 of EP17; grade A
FLAGS_AT: Final = 8  # alert flags in an ET13 element of a MEP client; grade A
FLAGS: Final = ("scheduled_read_request", "ondemand_request", "reserved", "mbus_change", "delta_data_alert")
CLIENT_OCTETS: Final = 35  # of an element of ET50 without its data sources


class MepClients(Subsystem):
    """ET13, ET14, ET15, ET16, ET50, ET51, ET59 and, from firmware 4.0 on, ET85."""

    name: ClassVar[str] = "mep_clients"
    watches = frozenset(("ET50",))

    def __init__(self) -> None:
        super().__init__()
        self._next = [handles[0] for handles in HANDLES]

    def attach(self, host: Host) -> None:
        self._host = host
        store = host.store
        dimensions = store.context.peek("ET11")
        assert dimensions is not None
        self._clients = int(dimensions.get("mep_channel_count", 1) or 1)
        self._stride = CLIENT_OCTETS + 6 * int(dimensions["mep_data_sources"])
        self._slots = int(dimensions["num_devices"])
        put(store, "ET13", {})
        put(store, "ET14", {})
        put(store, "ET15", {})
        put(store, "ET16", {})
        put(store, "ET50", {})
        client = {
            "optical_dos_timer": True, "health_timeout": 60, "ondemand_timeout": 30, "optical_timeout": 600,
            "optical_holdoff": 300, "reset_duration": 1,
        }  # fmt: skip
        put(store, "ET51", {"clients": [client] * self._clients})
        put(store, "ET59", {})
        if self._clients > 1:
            put(store, "ET85", {})

    def written(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> None:
        """A set flag of a client without a handle starts its discovery; here it is found at once (grade D)."""
        store = self._host.store
        for client in range(self._clients):
            flag = store[f"ET50.clients[{client}].registered"]
            handle = store[f"ET14.devices[{FIRST_SLOT + client}].handle"]
            if flag and not handle:
                self._register(client, now)
            elif not flag and handle:
                self._remove(client, now)

    def _register(self, client: int, now: float) -> None:
        store, slot, handles = self._host.store, FIRST_SLOT + client, HANDLES[client]
        handle = self._next[client]
        self._next[client] = handles[(handle - handles[0] + 1) % len(handles)]
        self.touch()
        path = f"ET14.devices[{slot}]"
        store[f"{path}.handle"], store[f"{path}.status"], store[f"{path}.baud"] = handle, UP, BAUD_9600
        store[f"{path}.last_attempt_time"] = LtimeDate.of(self._host.clock.local(now))
        store["ET14.occupancy"] |= 1 << slot
        store[f"ET50.clients[{client}].identification"] = self._identification(client)
        self._log(client, COMMISSIONED, now)

    def _identification(self, client: int) -> bytes:
        """Identification string of a client, 30 octets; nothing tells it over the port, so the configuration does."""
        given = self._host.config.mep_identifications
        return (given[client] if client < len(given) else b"").ljust(30, b"\0")

    def _remove(self, client: int, now: float) -> None:
        """ET50 keeps everything but the flag and the icons, ET16 its data; the baud rate goes back to 9600. Grade A."""
        store, slot = self._host.store, FIRST_SLOT + client
        store[f"ET50.clients[{client}].registered"] = False
        icons = store[f"ET50.clients[{client}].icon_control"]
        store[f"ET50.clients[{client}].icon_control"] = (0,) * len(icons)
        store[f"ET50.clients[{client}].house_icon"] = 0
        store[f"ET13.devices[{slot}].baud"] = 0
        size = store.place(f"ET14.devices[{slot}]").size
        store[f"ET14.devices[{slot}]"] = bytes(size)
        store["ET14.occupancy"] &= ~(1 << slot) & 0xFF
        self._log(client, REMOVED, now)

    def alert(self, client: int, flag: str, raised: bool = True) -> None:
        """Set or clear an alert flag of a registered client in ET13, e.g. "ondemand_request"."""
        slot, store = FIRST_SLOT + client, self._host.store
        if store[f"ET14.devices[{slot}].handle"]:
            at = store.place(f"ET13.devices[{slot}]").offset + FLAGS_AT
            mask = 1 << FLAGS.index(flag)
            before = store.read("ET13", at, 1)[0]
            store.write("ET13", at, bytes((before | mask if raised else before & ~mask,)))

    def alert_mbus_change(self) -> None:
        """News of an M-Bus device for every client."""
        for client in range(self._clients):
            self.alert(client, "mbus_change")

    def own(self, port: Port) -> int | None:
        """Client at a port, None: another port."""
        return {Port.MEP1: 0, Port.MEP2: 1}.get(port)

    def by_handle(self, handle: int) -> int | None:
        """Client of a handle, None: there is none."""
        for client in range(self._clients):
            if handle and self._host.store[f"ET14.devices[{FIRST_SLOT + client}].handle"] == handle:
                return client
        return None

    def _log(self, client: int, what: int, now: float) -> None:
        argument = min(FIRST_SLOT + client, 7) << 13 | what  # device index in bits 15..13
        self._host.signal(LogEntry(STATUS_EVENT, argument.to_bytes(2, "little"), NOBODY), now)

    def procedures(self) -> Mapping[int, Procedure]:
        return {REMOVE: self._remove_procedure}

    def _remove_procedure(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        if len(parameters) < 3:
            raise TableError(f"EP17 has 3 octets of parameters, got {len(parameters)}")
        action, handle = parameters[0], int.from_bytes(parameters[1:3], "little")
        if action > 1:
            return BAD_ACTION, b""
        own = self.own(session.port)
        found = [
            client for client in range(self._clients)
            if (present := self._host.store[f"ET14.devices[{FIRST_SLOT + client}].handle"])
            and handle in (present, ALL_HANDLES)
        ]  # fmt: skip
        if not found and handle != ALL_HANDLES:
            return NO_SUCH_HANDLE, b""
        if session.level.value == "MBK" and any(client != own for client in found):
            return ProcedureResult.NOT_AUTHORISED, b""  # the basic key removes its own client only; grade A
        for client in found:
            self._remove(client, now)
        return ProcedureResult.COMPLETED, b""

    def snapshot(self) -> bytes:
        return b"\x01" + b"".join(handle.to_bytes(2, "big") for handle in self._next)

    def restore(self, octets: bytes, now: float) -> None:
        if len(octets) != 5 or octets[0] != 1:
            raise ConfigurationError("the saved state of the MEP clients is of another version")
        handles = [int.from_bytes(octets[at : at + 2], "big") for at in (1, 3)]
        self._next = [handle if handle in known else known[0] for handle, known in zip(handles, HANDLES, strict=True)]
