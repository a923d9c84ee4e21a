"""The contract between a meter and its subsystems (measuring, clock, logs, security, pending tables, ...).

    request --> Meter.serve --> refresh(live table) --> TableStore --> response
                            --> check_write, TableStore, written
                            --> BT07 --> procedures()[number](parameters, session, now)
    time    --> Meter.advance --> advance(now) of every subsystem, never past anybody's next_timer()
    signals --> on_signal of every subsystem, before `Host.signal` returns

A subsystem is an object of a class derived from `Subsystem`. It is a small engine: no I/O, no clock, no thread. Everything
has a default that does nothing, so that a subsystem overrides only what it needs.

Lifetime
    1. The subsystem is made (with its own arguments), nothing of the meter is known yet; `name`, `live` and `watches` are.
    2. `attach(host)` once, in the order of the meter's list: keep `host`, put your tables into `host.store` (they exist from
       then on; BT00 lists them). Tables of earlier subsystems are there, those of later ones are not.
    3. `restore(octets, now)` when a saved state is there: tables of the store that are not live have been restored already.
    4. `start(now)` once, when all are attached and restored.

Tables
    A table is owned by the subsystem that puts it. `live` names the tables whose octets age; before anybody reads one
    `refresh(identifier, now)` is called, and the subsystem puts the octets into the store. Live tables are not part of the
    saved state (but for those in `kept`: tables of which only some fields age, and into which hosts or other subsystems write),
    and `refresh` is never called for a table that nobody reads: it costs nothing to own many.
    `watches` names tables (one's own or not) whose writes concern the subsystem. Before such a write `check_write` may refuse
    it with a result code other than OK (the first refusal wins; nothing is changed then). Afterwards, with the store already
    changed, `written(identifier, offset, octets, session, now)` is called with the part that was really stored (surplus cut
    off). Rights and the hardware lock were checked before either. Activation of a pending copy counts as a write of the whole
    table at offset 0 by the session that wrote the pending copy.
    A subsystem that changes the size of a table (its own or through dimensions) signals `DimensionsChanged`.

Procedures
    `procedures()` gives number (BPn = n, EPn = 2048 + n) to callable(parameters, session, now) -> (ProcedureResult, data).
    It is asked for once, after `attach`. Two subsystems with the same number: the later one of the list wins. Rights per key
    and port and sequence rules are checked before. `data` has at most BT00.response_data_length octets (12).
    A procedure that goes on after its call returns ACCEPTED and may post its end with `Host.post_result`.

Time
    `now` is in seconds since the meter was first started, a float that never goes back. `advance(now)` brings the subsystem
    up to `now`; it is called often, with now >= the time before, possibly equal. `next_timer()` is the next instant at which
    the subsystem wants `advance` exactly then (None: none); the meter stops there on its way, so a step never jumps over the
    timer of another subsystem. A timer that is due must have moved or vanished when `advance` returns. UTC and local time
    come from `host.clock`; a subsystem that keeps the time replaces it in `attach` by an object that is a `Clock`.

Signals and events
    `host.signal(signal, now)` calls `on_signal` of every subsystem (the sender too) in the order of the list and returns when
    all have dealt with it: after SelfRead the snapshot is taken. `host.tell(event)` is for the world outside
    (`Meter.next_event`); it is never seen by subsystems.

Power
    At `Meter.power_down` the signal PowerDown comes last: nothing is called then until PowerUp, which comes before the first
    `advance` after the outage. Volatile state is the subsystem's own to forget.

Saved state
    `snapshot()` gives whatever non-volatile state is not in tables as octets of the subsystem's own format (give it a version
    octet); `restore(octets, now)` takes them back, and must raise nothing but TableError/ConfigurationError on foreign
    octets. Call `self.touch()` whenever that state changed in a way that must not be lost; before the request that caused it
    is answered the port writes `Meter.changes()` to its store. Octets of tables are saved by the meter itself.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, TypeVar

from ..access import Session
from ..services import Response, ResultCode
from ..store import TableStore
from .signals import Signal

if TYPE_CHECKING:
    from .config import MeterConfig
    from .events import MeterEvent

MAX_SIGNAL_DEPTH: Final = 16  # signals sent while another is being delivered; more is a loop between subsystems


class ProcedureResult(IntEnum):
    """Result codes of BT08; grade A. 7 and above belong to the procedure."""

    COMPLETED = 0
    ACCEPTED = 1
    INVALID_PARAMETER = 2
    CONFLICTS_WITH_SETUP = 3
    TIMING_CONSTRAINT = 4
    NOT_AUTHORISED = 5
    UNKNOWN_PROCEDURE = 6
    QUEUE_FULL = 7  # EP19


# (parameters, session, now) -> (result, response data)
Procedure = Callable[[bytes, Session, float], tuple[ProcedureResult, bytes]]


class Clock(Protocol):
    """The meter's idea of the time. All datetimes are naive."""

    def utc(self, now: float) -> datetime.datetime:
        """UTC at an instant."""
        ...

    def local(self, now: float) -> datetime.datetime:
        """Local time (zone and daylight saving) at an instant."""
        ...

    def instant(self, utc: datetime.datetime) -> float:
        """The `now` at which the clock will show `utc`, if nobody sets it; may lie in the past."""
        ...


S = TypeVar("S", bound="Subsystem")


class Host(Protocol):
    """What a subsystem sees of its meter."""

    config: MeterConfig
    store: TableStore
    clock: Clock

    @property
    def now(self) -> float:
        """The last instant the meter was told, s."""
        ...

    def signal(self, signal: Signal, now: float) -> None:
        """Tell every subsystem; returns when all have dealt with it."""
        ...

    def tell(self, event: MeterEvent) -> None:
        """Tell the world outside."""
        ...

    def post_result(self, number: int, sequence: int, result: ProcedureResult, data: bytes, session: Session) -> None:
        """Renew the procedure result that stands in the client's result table, if it is still that procedure's."""
        ...

    def power_down(self, now: float) -> None:
        """The mains go: PowerDown, and until `power_up` only subsystems that live without power advance."""
        ...

    def power_up(self, now: float) -> None:
        """The mains are back: PowerUp."""
        ...

    def octets(self, identifier: str, now: float) -> bytes:
        """Octets of a table as a reader would get them now (live tables are refreshed); KeyError when it is not there."""
        ...

    def write(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> ResultCode:
        """Write a table in somebody's name without asking for rights; subsystems that watch it may refuse."""
        ...

    def serve_message(self, pdu: bytes, session: Session, now: float) -> Response:
        """Carry out a request PDU of a transaction."""
        ...

    def find(self, kind: type[S]) -> S | None:
        """The first subsystem of that class, None when the meter has none."""
        ...


class Subsystem:
    """Base of all subsystems; see the text of this module for what each part must do."""

    name: ClassVar[str] = ""  # unique in a meter; the key of its saved state
    live: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()  # live tables that are saved all the same, because others write into them
    watches: frozenset[str] = frozenset()
    unpowered: ClassVar[bool] = False  # whether `advance` and `next_timer` are asked while the mains are gone

    def __init__(self) -> None:
        self.revision = 0  # rises when the saved state changes

    def touch(self) -> None:
        """The saved state changed."""
        self.revision += 1

    def attach(self, host: Host) -> None:
        """Join a meter: put tables."""

    def start(self, now: float) -> None:
        """All subsystems are attached and restored."""

    def refresh(self, identifier: str, now: float) -> None:
        """Bring a live table up to date in the store."""

    def check_write(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> ResultCode:
        """Whether a write to a watched table may happen: OK, or the code of the refusal."""
        return ResultCode.OK

    def written(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> None:
        """A watched table was written."""

    def procedures(self) -> Mapping[int, Procedure]:
        """Procedures by number."""
        return {}

    def advance(self, now: float) -> None:
        """Live up to `now`."""

    def next_timer(self) -> float | None:
        """When `advance` is wanted at the latest."""
        return None

    def on_signal(self, signal: Signal, now: float) -> None:
        """Another subsystem said something."""

    def snapshot(self) -> bytes:
        """Non-volatile state that is not in tables."""
        return b""

    def restore(self, octets: bytes, now: float) -> None:
        """Take a snapshot back."""
