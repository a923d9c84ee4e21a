"""Tables about the ports themselves: ET55 (limits and lock-outs), ET70 (which MEP client am I), ET90 and ET97 (TLS policy), ET89
(TLS status).

Other subsystems may own these tables; here they are only put where nobody has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from ..access import Port
from ..firmware import has
from ..security.lockout import Lockout
from ..table import table
from .subsystem import Host, Subsystem

# Firmware from which a meter has the table; grade A for ET70 and ET97, D for the others.
SINCE: Final = {"ET55": "", "ET70": "4.0", "ET90": "3.82", "ET97": "3.82", "ET89": "4.0"}
# Defaults of the guide; grade A.
DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "ET55": {"delta_time_increment": 1, "plc_active_timeout": 60, "phase_loss_seconds": 10, "optical_timeout": 600,
             "optical_holdoff": 300},
    "ET90": {"ip_address_length": 50, "urgent_alarm_length": 20, "connection_reason_length": 2, "apn_length": 64,
             "apn_user_length": 32, "apn_password_length": 32, "sim_pin_length": 5, "modem_maker_length": 32,
             "modem_model_length": 32, "modem_revision_length": 32, "imei_length": 32, "phone_length": 32,
             "operator_length": 40, "max_connections": 2, "max_services": 10, "ftz_messages": 3, "at_reply_length": 200,
             "iccid_length": 23},
}  # fmt: skip
TLS_STATUS_SINCE: Final = "4.60"
PLACES: Final = {Port.OPTICAL: 0, Port.MEP1: 1, Port.MEP2: 2}  # in ET89.tls_ports
CHANNEL_AT: Final = 142  # ET70.comm_channel
CHANNELS: Final = {Port.MEP1: 1, Port.MEP2: 2}


@dataclass(frozen=True, slots=True)
class PortStatus:
    """ET89.tls_ports of one port.

    Args:
        session_state: 0 none, 1 RC4 mode plain, 2 RC4 mode encrypted, 3 C12.18, 4 TLS.
        tls_state: of the handshake; 16 over, 0 else (grade D).    tls_error: last alert (grade D).    tls_errors: how many.
    """

    session_state: int = 0
    tls_state: int = 0
    tls_error: int = 0
    tls_errors: int = 0


class PortTables(Subsystem):
    """See the text of this module.

    Attributes:
        lockout: of the optical port; who counts in it calls `touch`.
    """

    name: ClassVar[str] = "port_tables"
    live = frozenset(("ET89",))

    def __init__(self) -> None:
        super().__init__()
        self.lockout = Lockout()
        self._status: dict[Port, Callable[[], PortStatus]] = {}
        self._shown: list[Callable[[float], Mapping[str, Any]]] = []
        self._seen: tuple[list[dict[str, Any]], bytes] = ([], b"")  # what they said last, and the table then

    def attach(self, host: Host) -> None:
        self._host = host
        store = host.store
        for name, since in SINCE.items():
            if name not in store and has(since, store.context.firmware):
                store.put(name, table(name).encode(DEFAULTS.get(name, {}), store.context))

    def watch(self, port: Port, status: Callable[[], PortStatus]) -> None:
        """Ask that when somebody wants to know the status of a port."""
        self._status[port] = status

    def show(self, values: Callable[[float], Mapping[str, Any]]) -> None:
        """Another subsystem has fields of ET89."""
        self._shown.append(values)

    def asks(self, port: Port) -> None:
        """A request comes from that port: ET70 tells a MEP client which of the two it is."""
        if port in CHANNELS and "ET70" in self._host.store:
            self._host.store.write("ET70", CHANNEL_AT, bytes((CHANNELS[port],)))

    def refresh(self, identifier: str, now: float) -> None:
        store = self._host.store
        shown = [dict(values(now)) for values in self._shown]
        if shown != self._seen[0] or store.octets("ET89") != self._seen[1]:
            for values in shown:
                store.update("ET89", values)
            self._seen = shown, store.octets("ET89")
        if not has(TLS_STATUS_SINCE, store.context.firmware):
            return
        for port, ask in self._status.items():
            status, path = ask(), f"ET89.tls_ports[{PLACES[port]}]"
            store[f"{path}.session_state"] = status.session_state
            store[f"{path}.tls_state"] = status.tls_state
            store[f"{path}.tls_error"] = status.tls_error
            store[f"{path}.tls_error_count"] = status.tls_errors & 0xFFFF

    # what must survive

    def snapshot(self) -> bytes:
        return bytes((1,)) + self.lockout.state()

    def restore(self, octets: bytes, now: float) -> None:
        if octets[:1] == b"\1":
            self.lockout.restore(octets[1:])
