"""The meter behind its optical port: settings from ET04, ET51 and ET55, requests to `Meter.serve`.

    octets --> optical.OpticalServer --> OpticalPort --> Meter.serve
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..access import Port, Session
from ..context import GENERATION_4_FROM
from ..errors import TableError
from ..optical import OpticalConfig, OpticalServer, OpticalSettings, State
from ..security import KeyRing
from ..services import Response
from .port_tables import PortStatus, PortTables
from .signals import AuthenticationFailed, SessionOpened

if TYPE_CHECKING:
    from .device import Meter

_WATCHED = ("ET04", "ET51", "ET55")


class OpticalPort:
    """What an `OpticalServer` needs of a meter.

    Args:
        meter: behind the port.    keys: MK, PK and RK open it; a key that is None opens nothing.

    Example:
        server = OpticalPort(meter, keys).server()
    """

    def __init__(self, meter: Meter, keys: KeyRing) -> None:
        self._meter, self._keys = meter, keys
        self._known: tuple[tuple[bytes | None, ...], OpticalSettings] | None = None

    def server(self, config: OpticalConfig | None = None) -> OpticalServer:
        """An engine in front of this meter."""
        tables = self._meter.find(PortTables)
        server = OpticalServer(self, config, None if tables is None else tables.lockout)
        if tables is not None:
            tables.watch(Port.OPTICAL, lambda: PortStatus(3 if server.state is State.SESSION else 0))
        return server

    def serve(self, pdu: bytes, session: Session, now: float, max_response: int) -> Response:
        """See `OpticalHost`."""
        return self._meter.serve(pdu, session, now, max_response=max_response)

    def keys(self) -> KeyRing:
        """See `OpticalHost`."""
        return self._keys

    def opened(self, user_id: int, now: float) -> None:
        """See `OpticalHost`."""
        self._meter.signal(SessionOpened(Port.OPTICAL, user_id), now)

    def refused(self, user_id: int, now: float) -> None:
        """See `OpticalHost`."""
        self._meter.signal(AuthenticationFailed(Port.OPTICAL), now)
        if (tables := self._meter.find(PortTables)) is not None:
            tables.touch()  # its lock-out

    def settings(self, now: float) -> OpticalSettings:
        """See `OpticalHost`. A meter without power ignores the line."""
        if not self._meter.powered:
            return OpticalSettings(disabled=True)
        store = self._meter.store
        octets = tuple(store.octets(name) if name in store else None for name in _WATCHED)
        if self._known is None or self._known[0] != octets:
            self._known = octets, self._settings()
        return self._known[1]

    def _settings(self) -> OpticalSettings:
        context = self._meter.store.context

        def get(table: str, field: str, otherwise: Any) -> Any:
            try:
                value = context.peek(table)
            except TableError:
                return otherwise
            found = None if value is None else value.get(field)
            return otherwise if found is None else found

        default = OpticalSettings()
        if context.firmware >= GENERATION_4_FROM and context.octets("ET55") is not None:
            limits = {name: get("ET55", name, None) for name in ("optical_dos_timer", "optical_timeout", "optical_holdoff")}
        else:
            clients = get("ET51", "clients", None)
            limits = dict(clients[0]) if clients else {}
        seconds = limits.get("optical_timeout")
        holdoff = limits.get("optical_holdoff")
        limited = limits.get("optical_dos_timer")
        return OpticalSettings(
            disabled=bool(get("ET55", "disable_optical", False)),
            limited=default.limited if limited is None else bool(limited),
            session_limit=default.session_limit if seconds is None else float(seconds),
            holdoff=default.holdoff if holdoff is None else float(holdoff),
            lockout_threshold=int(get("ET55", "optical_lockout_threshold", 0)),
            lockout_minutes=int(get("ET55", "optical_lockout_minutes", 0)),
            pk_disabled=get("ET04", "pk_access", 0) == 1,
        )
