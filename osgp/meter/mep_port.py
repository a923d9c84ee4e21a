"""The meter behind its MEP ports: sequence numbers that survive, alerts, settings; requests to `Meter.serve`.

    octets --> mep.MepServer --> MepPort --> Meter.serve
                                     \\--> MepNumbers (a subsystem: what must survive)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from ..access import Port, Session
from ..errors import LocalProtocolError, TableError
from ..mep import MepConfig, MepServer, MepSettings
from ..security import KeyRing, SequenceWindow, next_number
from ..services import Response
from .port_tables import PortStatus, PortTables
from .signals import AuthenticationFailed, DimensionsChanged, Signal
from .subsystem import Host, Subsystem

if TYPE_CHECKING:
    from .device import Meter

RESERVE: Final = 256  # numbers written away at once, so that not every request needs the store; grade D
MARGIN: Final = 16
FIRST_MEP_SLOT: Final = 4  # of ET13 and ET14; grade A
CONFIG_ENTRY: Final = 66  # octets of a slot of ET13 when ET11 does not say; grade A
FLAGS_AT: Final = 8  # in the slot; grade A
RATES: Final = {
    0: 9600, 1: 300, 2: 600, 3: 1200, 4: 2400, 5: 4800, 6: 9600, 7: 14400, 8: 19200, 9: 28800, 10: 38400, 11: 57600,
    12: 115200,
}  # ET13.baud; grade A  # fmt: skip
PORTS: Final = (Port.MEP1, Port.MEP2)


class MepNumbers(Subsystem):
    """Sequence numbers of the two MEP clients.

    They are saved in blocks: after a restart the meter goes on behind the block it had reserved, so that no number serves twice;
    clients learn the new one by 0x0C.

    Args:
        first: last number used by MEP1 and MEP2, 0 .. 2^32 - 1; None: some number that depends on the meter's seed.
    """

    name: ClassVar[str] = "mep"

    def __init__(self, first: tuple[int, int] | None = None) -> None:
        super().__init__()
        self._first = first
        self.windows: dict[Port, SequenceWindow] = {}
        self._reserved: dict[Port, int] = {}

    def attach(self, host: Host) -> None:
        self._jump = host.config.habits.sequence_jump
        seed = host.config.seed
        first = self._first or tuple((seed * 2654435761 + place * 0x5BD1E995 + 0x77635B) & 0xFFFFFFFF for place in (1, 2))
        for port, number in zip(PORTS, first, strict=True):
            self.windows[port] = SequenceWindow(number, resumes=True)
            self._reserved[port] = number
            self.used(port)

    def used(self, port: Port) -> None:
        """The window of a port has moved."""
        last = self.windows[port].last
        if (self._reserved[port] - last) % (1 << 32) not in range(MARGIN, RESERVE + 1):
            self._reserved[port] = next_number(last, RESERVE)
            self.touch()

    def on_signal(self, signal: Signal, now: float) -> None:
        if isinstance(signal, DimensionsChanged):
            for port in PORTS if self._jump else ():
                self.windows[port].skip(self._jump)
                self.used(port)

    def snapshot(self) -> bytes:
        return bytes((1,)) + b"".join(self._reserved[port].to_bytes(4, "big") for port in PORTS)

    def restore(self, octets: bytes, now: float) -> None:
        if len(octets) != 9 or octets[0] != 1:
            raise TableError("the saved sequence numbers of the MEP ports are not readable")
        for place, port in enumerate(PORTS):
            number = int.from_bytes(octets[1 + 4 * place : 5 + 4 * place], "big")
            self.windows[port] = SequenceWindow(number, resumes=True)
            self._reserved[port] = number
            self.used(port)


class MepPort:
    """What a `MepServer` needs of a meter.

    Args:
        meter: behind the port.    keys: MAK and MBK.    port: MEP1 or MEP2.

    Raises:
        LocalProtocolError: the meter has no MEP ports (no MepNumbers among its subsystems).

    Example:
        server = MepPort(meter, keys).server()
    """

    def __init__(self, meter: Meter, keys: KeyRing, port: Port = Port.MEP1) -> None:
        numbers = meter.find(MepNumbers)
        if numbers is None:
            raise LocalProtocolError("this meter has no MEP ports")
        self._meter, self._keys, self._port, self._numbers = meter, keys, port, numbers
        self._tables = meter.find(PortTables)
        self._slot = FIRST_MEP_SLOT + PORTS.index(port)

    def server(self, config: MepConfig | None = None) -> MepServer:
        """An engine in front of this meter."""
        server = MepServer(self, self._port, config)
        if self._tables is not None:
            self._tables.watch(self._port, lambda: _status(server))
        return server

    def serve(self, pdu: bytes, session: Session, now: float, max_response: int) -> Response:
        """See `MepHost`."""
        if self._tables is not None:
            self._tables.asks(self._port)
        return self._meter.serve(pdu, session, now, max_response=max_response)

    def keys(self) -> KeyRing:
        """See `MepHost`."""
        return self._keys

    def sequence(self) -> SequenceWindow:
        """See `MepHost`."""
        return self._numbers.windows[self._port]

    def used(self, now: float) -> None:
        """See `MepHost`."""
        self._numbers.used(self._port)

    def refused(self, now: float) -> None:
        """See `MepHost`."""
        self._meter.signal(AuthenticationFailed(self._port), now)

    def _entry(self) -> bytes:
        """The slot of this client in ET13; empty when there is none."""
        store = self._meter.store
        if "ET13" not in store:
            return b""
        size = store.octets("ET11")[1] if "ET11" in store else CONFIG_ENTRY
        return store.octets("ET13")[self._slot * size : (self._slot + 1) * size]

    def alert(self, now: float) -> bool:
        """See `MepHost`: one of the alert flags of ET13 is set."""
        return self._meter.powered and any(self._entry()[FLAGS_AT : FLAGS_AT + 1])

    def settings(self, now: float) -> MepSettings:
        """See `MepHost`. A meter without power ignores the line."""
        entry = self._entry()
        rate = RATES.get(entry[6], RATES[0]) if len(entry) > 6 else RATES[0]
        return MepSettings(disabled=not self._meter.powered or self._switched_off(), requires_tls=self._requires_tls(), rate=rate)

    def _switched_off(self) -> bool:
        """ET51.disable_mep of this client."""
        store, place = self._meter.store, 10 * PORTS.index(self._port)
        return "ET51" in store and bool(store.octets("ET51")[place : place + 1] >= b"\x80")

    def _requires_tls(self) -> bool:
        """ET97.tls_mep1 or tls_mep2."""
        context = self._meter.store.context
        if context.octets("ET97") is None:
            return False
        try:
            value = context.peek("ET97")
        except TableError:
            return False
        return bool(value is not None and value.get(f"tls_{self._port}"))


def _status(server: MepServer) -> PortStatus:
    state = 4 if server.tls_session else server.last_mode
    return PortStatus(state, 16 if server.tls_session else 0, server.tls_error, server.tls_errors)
