"""The meter engine: a list of subsystems around one table store. Sans I/O; time is an argument.

    now ----> advance ----> subsystems ----> tables
    PDU ----> serve ------> rights, tables, procedures ----> Response         any port
    APDU ---> receive_request ----> PlcPort ----> serve                       power line
"""

from __future__ import annotations

import struct
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

from ..access import Port, Session
from ..errors import ConfigurationError, LocalProtocolError
from ..security import Link
from ..services import MAX_COUNT, Response, ResultCode
from ..store import TableStore
from ..table import table
from .composition import default_subsystems
from .config import MeterConfig
from .events import MeterEvent, RefusalReason
from .faults import FaultInjection
from .identity import Identity, put_maker, put_root
from .measuring import Measuring
from .pending import PendingTables
from .plc_port import PlcPort
from .procedures import ProcedureMailbox
from .registers import Registers
from .saved import Saved
from .serving import RequestServer
from .signals import PowerDown, PowerUp, SessionOpened, Signal
from .subsystem import MAX_SIGNAL_DEPTH, Clock, ProcedureResult, S, Subsystem
from .transactions import Transactions

EVENTS_KEPT: Final = 1000  # when nobody asks for events the oldest are lost
STATE_VERSION: Final = 2  # of the state of the meter itself: version, powered, down since (8), power-line port
STATE_OCTETS: Final = 10
MAX_STEPS: Final = 1_000_000  # timers one `advance` may pass before a subsystem that never moves its timer is suspected
MAX_RESPONSE: Final = 3 + MAX_COUNT  # octets of the longest response PDU


class Meter:
    """A device that measures a home and answers at its ports.

    Args:
        config: identity, load, security.    subsystems: what it consists of behind its identity; None: the usual ones.
        saved: state to go on from.

    Attributes:
        config: as given.    store: its tables.    clock: its idea of the time.    subsystems: its parts.
        powered: whether the mains are there.    plc: its power-line port.

    Example:
        meter = Meter(MeterConfig(serial="42"))
        answer = meter.receive_request(request, subnet=1, node=2, now=10.0)
        response = meter.serve(b"\\x30\\x00\\x17", Session(AccessLevel.MAK, Port.MEP1), now=11.0)
    """

    def __init__(
        self, config: MeterConfig | None = None, subsystems: Sequence[Subsystem] | None = None, saved: Saved | None = None
    ) -> None:
        self.config = config or MeterConfig()
        self.clock: Clock = self.config
        self.store = TableStore(self.config.locked)
        self.powered = True
        self.plc = PlcPort(self, self.config)
        self._now = saved.at if saved is not None else 0.0
        self._down_since = 0.0
        self._events: deque[MeterEvent] = deque(maxlen=EVENTS_KEPT)
        self._depth = 0
        own = Identity(self.plc)
        self.subsystems: tuple[Subsystem, ...] = (
            own,
            *(default_subsystems(self.config) if subsystems is None else subsystems),
            PendingTables(),
            Transactions(),
        )  # fmt: skip
        names = [subsystem.name for subsystem in self.subsystems]
        if len(set(names)) != len(names) or "" in names or "meter" in names:
            raise ConfigurationError(f"every subsystem needs a name of its own, got {names}")
        habits = self.config.habits
        self._mailbox = ProcedureMailbox(self.store, habits, self.config.locked_procedures)
        self._server = RequestServer(self.store, self._mailbox, self.subsystems, self._events, habits)
        self._faults = self.find(FaultInjection)
        self._attach()
        if saved is not None:
            self._restore(saved)
        self._saved_revisions = {subsystem.name: subsystem.revision for subsystem in self.subsystems}
        self.store.take_changed()
        for subsystem in self.subsystems:
            subsystem.start(self._now)

    def _attach(self) -> None:
        put_maker(self.store, self.config)
        put_root(self.store)
        for subsystem in self.subsystems:
            subsystem.attach(self)
            self._mailbox.add(subsystem.procedures())
        for name in ("BT07", "BT08"):
            self.store.put(name, table(name).encode({}, self.store.context))
        put_root(self.store, self._mailbox.known())

    # what the world sees

    @property
    def now(self) -> float:
        """The last instant the meter was told, s since it was first started."""
        return self._now

    @property
    def sequence(self) -> int:
        """The last sequence number used on the power line."""
        return self.plc.sequence

    @property
    def refusals(self) -> Counter[RefusalReason]:
        """Refused requests by reason."""
        return self._server.refusals

    @property
    def served(self) -> int:
        """Requests carried out."""
        return self._server.served

    @property
    def repeats(self) -> int:
        """Stored responses sent again on the power line."""
        return self.plc.repeats

    @property
    def registers(self) -> Registers:
        """The billing registers of the plain measuring subsystem; LocalProtocolError when the meter has another one."""
        measuring = self.find(Measuring)
        if measuring is None:
            raise LocalProtocolError("this meter has no plain measuring subsystem")
        return measuring.registers

    def advance(self, now: float) -> None:
        """Live up to `now`, stopping at every timer on the way. An instant before the last one changes nothing."""
        if now <= self._now:
            return
        for _ in range(MAX_STEPS):
            timer = self.next_timer()
            self._now = now if timer is None else min(now, max(timer, self._now))
            for subsystem in self.subsystems:
                if self.powered or subsystem.unpowered:
                    subsystem.advance(self._now)
            if self._now >= now and (timer is None or timer > now or self._idle(now)):
                return
        raise LocalProtocolError(f"a subsystem's timer stands still at {self._now} s")

    def _idle(self, now: float) -> bool:
        timer = self.next_timer()
        return timer is None or timer > now

    def next_timer(self) -> float | None:
        """When `advance` is wanted at the latest, None: nothing is due."""
        timers = [
            timer for subsystem in self.subsystems
            if (self.powered or subsystem.unpowered) and (timer := subsystem.next_timer()) is not None
        ]  # fmt: skip
        return min(timers, default=None)

    def next_event(self) -> MeterEvent | None:
        """What happened, oldest first; None when there is nothing."""
        return self._events.popleft() if self._events else None

    def serve(self, pdu: bytes, session: Session, now: float, *, max_response: int = MAX_RESPONSE) -> Response:
        """Carry out one request PDU (service code to data, no sequence number, no digest) of any port.

        The port has verified who asks; the request may do exactly what `session.level` may. Never raises for what is in
        `pdu`: refusals are answered 0x01 malformed or unknown, 0x02 service of another layer, 0x03 rights or hardware lock,
        0x04 not possible (an answer longer than `max_response` octets included), 0x05 no such table; counted and told.

        Raises:
            LocalProtocolError: the meter is without power; ports do not answer then.
        """
        if not self.powered:
            raise LocalProtocolError("the meter is without power")
        self.advance(now)
        return self._server.serve(pdu, session, self._now, max_response)

    def receive_request(
        self, request: bytes, subnet: int, node: int, now: float, *, domain: bytes = b"", authenticated: bool = False
    ) -> bytes | None:
        """Answer a 14908 application PDU (message code to tag) sent to subnet/node of a domain; None: no answer.

        Refusals are answered with their code and counted: those of `serve`, 0x0B digest or tag, 0x0C sequence number (with the
        last one used). `authenticated`: the network layer did that. Never raises for what is in `request`.
        """
        self.advance(now)
        if not self.powered:
            return None
        answer = self.plc.receive(request, Link(subnet, node & 0x7F, domain), self._now, authenticated)
        return None if answer is not None and self._faults is not None and self._faults.loses_answer() else answer

    def receive_broadcast(self, octets: bytes, now: float, *, domain: bytes = b"") -> bool:
        """Take a secure broadcast (message code to tag); whether it was carried out. Never answered, never raises."""
        self.advance(now)
        return self.plc.receive_broadcast(octets, domain, self._now) if self.powered else False

    def table_octets(self, identifier: str, now: float) -> bytes:
        """Table data as a reader would get it at that instant; KeyError when the meter lacks the table."""
        self.advance(now)
        return self.octets(identifier, self._now)

    def power_down(self, now: float) -> None:
        """The mains go: until `power_up` nothing is measured or answered."""
        if self.powered:
            self.advance(now)
            self.signal(PowerDown(), self._now)
            self.powered, self._down_since = False, self._now

    def power_up(self, now: float) -> None:
        """The mains are back."""
        if not self.powered:
            self._now = max(self._now, now)
            self.powered = True
            self.signal(PowerUp(self._now - self._down_since), self._now)

    # what must survive

    def saved(self) -> Saved:
        """The whole state, for a later `Meter(config, saved=...)`."""
        names = [name for name in self.store.known() if self._server.is_saved(name)]
        states = {subsystem.name: subsystem.snapshot() for subsystem in self.subsystems}
        return Saved(self._now, {name: self.store.octets(name) for name in names}, states | {"meter": self._state()})

    def changes(self) -> Saved:
        """What changed since this was asked last: written away before a request is answered, nothing acknowledged is lost."""
        changed = [name for name in self.store.take_changed() if name in self.store and self._server.is_saved(name)]
        tables = {name: self.store.octets(name) for name in changed}
        states = {"meter": self._state()}
        for subsystem in self.subsystems:
            if self._saved_revisions[subsystem.name] != subsystem.revision:
                self._saved_revisions[subsystem.name] = subsystem.revision
                states[subsystem.name] = subsystem.snapshot()
        return Saved(self._now, tables, states)

    def _state(self) -> bytes:
        return struct.pack(">B?d", STATE_VERSION, self.powered, self._down_since) + self.plc.state()

    def _restore(self, saved: Saved) -> None:
        for name, octets in saved.tables.items():
            if name in self.store and self._server.is_saved(name):
                self.store.put(name, octets)
        state = saved.states.get("meter", b"")
        if state[:1] == bytes((STATE_VERSION,)) and len(state) >= STATE_OCTETS:
            _, self.powered, self._down_since = struct.unpack_from(">B?d", state)
            self.plc.restore(state[STATE_OCTETS:])
        for subsystem in self.subsystems:
            if subsystem.name in saved.states:
                subsystem.restore(saved.states[subsystem.name], self._now)

    # what subsystems see (Host), and the ports

    def octets(self, identifier: str, now: float) -> bytes:
        """See `Host`."""
        if identifier in self.store:
            self._server.refresh(identifier, now)
        return self.store.octets(identifier)

    def signal(self, signal: Signal, now: float) -> None:
        """See `Host`."""
        if self._depth >= MAX_SIGNAL_DEPTH:
            raise LocalProtocolError(f"signals go round in a circle: {signal}")
        self._depth += 1
        try:
            if isinstance(signal, SessionOpened) and signal.port is Port.OPTICAL:
                self._mailbox.logged_on()
            for subsystem in self.subsystems:
                subsystem.on_signal(signal, now)
        finally:
            self._depth -= 1

    def tell(self, event: MeterEvent) -> None:
        """See `Host`."""
        self._events.append(event)

    def deny(self, reason: RefusalReason, result: ResultCode | None, octets: bytes, session: Session) -> None:
        """A port refused something: counted and told."""
        self._server.deny(reason, result, octets, session, self._now)

    def post_result(self, number: int, sequence: int, result: ProcedureResult, data: bytes, session: Session) -> None:
        """See `Host`."""
        self._mailbox.renew(number, sequence, result, data, session)

    def write(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> ResultCode:
        """See `Host`."""
        return self._server.write(identifier, offset, octets, session, now)

    def serve_message(self, pdu: bytes, session: Session, now: float) -> Response:
        """See `Host`."""
        return self._server.serve(pdu, session, now, MAX_RESPONSE, in_transaction=True)

    def find(self, kind: type[S]) -> S | None:
        """See `Host`."""
        return next((subsystem for subsystem in self.subsystems if isinstance(subsystem, kind)), None)
