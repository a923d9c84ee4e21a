"""Reading one meter: which octets to ask for next, and what an answer means. No time, no addresses of others.

    [commissioning of keys] tables in an order that respects dimensions --> pieces of at most 84 octets --> sealed requests
    answers --> digest or tag, result code --> octets --> tables
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from ..context import Context
from ..errors import BadDigest, DecodeError, TableError
from ..security import ClientSecurity, Exchange, Link, next_number
from ..security.apdu import unsealed
from ..security.exchange import AUTHENTICATION_FAILURE
from ..services import PartialRead, Response, ResultCode
from ..table import table, table_number
from ..value import TableValue
from .config import STABLE, ConcentratorConfig

# A meter without BT21 (0x05) is read by BT20, which has the same layout; grade A.
INSTEAD: Final = {"BT21": "BT20"}
# Octets read of a table that describes itself (ET36, ET42) before we give up finding its dimensions. Grade D.
LONGEST_HEAD: Final = 1024
ANOTHER_KEY: Final = "the meter has another key"


class Verdict(Enum):
    """What an answer was worth."""

    GOOD = "octets came"
    TABLE_DONE = "a table is complete"
    PREPARED = "keys are being agreed on: go on asking"
    RESYNCHRONISED = "the meter told its sequence number, or wants new keys: ask again"
    BAD = "no answer to what we asked: as if there were none"
    REFUSED = "the table is not to be had"
    GIVEN_UP = "the meter is not to be read now"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Verdict with the table it is about; `value` for TABLE_DONE, `result` and `reason` for the refusals."""

    verdict: Verdict
    table: str
    value: TableValue | None = None
    result: ResultCode | None = None
    reason: str = ""


def reading_order(read_set: tuple[str, ...], have: frozenset[str] = frozenset()) -> list[str]:
    """The tables and the dimension tables they need, each behind those it needs, else in the given order."""
    order: list[str] = []

    def visit(identifier: str, below: tuple[str, ...]) -> None:
        if identifier in order or identifier in have or identifier in below:
            return
        for needed in sorted(table(identifier).depends_on()):
            visit(needed, (*below, identifier))
        order.append(identifier)

    for identifier in read_set:
        visit(identifier, ())
    return order


class Session:
    """The concentrator's dealings with one meter.

    Attributes:
        context: tables read so far.    sequence: last number used, None: not known yet.
        missing: tables that could not be read in this pass.    bad_answers: answers thrown away, in all.
    """

    def __init__(self, security: ClientSecurity, config: ConcentratorConfig, guess: int) -> None:
        self._security, self._config = security, config
        self._guess = guess  # a number to provoke the first 0x0C with
        self.context = Context()
        self.sequence: int | None = None
        self.missing: list[str] = []
        self.bad_answers = 0
        self._plan: list[str] = []
        self._buffer = bytearray()
        self._resyncs = 0
        self._identity: tuple[object, object] | None = None
        self._open: tuple[PartialRead, Exchange] | None = None
        self._preparing = False

    def restart(self) -> None:
        """The meter was commissioned anew: forget what it said, it may be another program by now."""
        self.sequence = None
        self.context = Context()
        self._identity = None
        self._plan, self._open = [], None
        self._security.forget()

    def begin(self) -> None:
        """Start a pass."""
        watched = "ET04" in self._config.read_set and not self._config.reread_stable
        have = frozenset(STABLE & set(self.context.known())) if watched and self._identity else frozenset()
        first = ("ET04",) if have else ()  # tells whether the rest still holds
        self._plan = reading_order((*first, *self._config.read_set), have)
        self.missing = []
        self._next_table()

    def _next_table(self) -> None:
        self._buffer = bytearray()
        self._resyncs = 0
        self._open = None

    def abandon(self) -> None:
        """No answer came. The meter may have taken the number all the same, so it is not used for another request."""
        if self._open is not None and self.sequence is not None:
            self.sequence = self._open[1].sequence
        self._open = None

    @property
    def finished(self) -> bool:
        """Whether the pass is over."""
        return not self._plan

    @property
    def table(self) -> str:
        """The table being read, "" when finished."""
        return self._plan[0] if self._plan else ""

    def request(self, subnet: int, node: int) -> bytes:
        """The request to send now; the same octets again until an answer was accepted."""
        link = Link(subnet, node, self._config.domain)
        if self._open is None:
            hello = self._security.prepare(link)
            self._preparing = hello is not None
            if hello is not None:
                return hello
            name = self._plan[0]
            count = self._config.limits.read_data
            if (size := self._size(name)) is not None:
                count = min(count, size - len(self._buffer))
            read = PartialRead(table_number(name), len(self._buffer), count)
            number = self._guess if self.sequence is None else next_number(self.sequence)
            self._open = (read, self._security.seal_request(read.encode(), number, link))
        return self._open[1].octets

    def _size(self, name: str) -> int | None:
        """Octets to read of a table, None while its own first octets are needed to tell."""
        try:
            size = table(name).size(self.context)
        except TableError:
            return self._config.prefixes.get(name)
        return max(1, min(size, self._config.prefixes.get(name, size)))

    def receive(self, octets: bytes, subnet: int, node: int) -> Outcome:
        """Judge an answer to the last request. Never raises for what is in `octets`."""
        name = self.table
        if self._preparing:
            return self._prepare(octets)
        if self._open is None:
            return Outcome(Verdict.BAD, name, reason="nothing was asked")
        read, exchange = self._open
        try:
            response = Response.decode(exchange.open_response(octets), read)
        except DecodeError as error:
            self.bad_answers += 1
            return Outcome(Verdict.BAD, name, reason=str(error))
        if response.sequence is not None:
            return self._resynchronise(response.sequence)
        if response.result is ResultCode.AUTHENTICATION_FAILURE:
            return self._stranger(response.result)
        self.sequence = exchange.sequence
        self._open = None
        self._resyncs = 0
        if response.result is not ResultCode.OK:
            return self._skip(response.result, f"refused with {response.result.name}")
        if response.data is None or len(response.data) != read.count:
            return self._skip(response.result, f"{read.count} octets asked, {len(response.data or b'')} came")
        self._buffer += response.data
        return self._take()

    def _prepare(self, octets: bytes) -> Outcome:
        """An answer while keys are agreed on."""
        name = self.table
        if octets == unsealed(AUTHENTICATION_FAILURE):
            self._security.forget()
            return Outcome(Verdict.GIVEN_UP, name, None, ResultCode.AUTHENTICATION_FAILURE, ANOTHER_KEY)
        try:
            sequence = self._security.receive(octets)
        except BadDigest:
            self._security.forget()
            self.bad_answers += 1
            return Outcome(Verdict.GIVEN_UP, name, reason=ANOTHER_KEY)
        except DecodeError as error:
            self.bad_answers += 1
            return Outcome(Verdict.BAD, name, reason=str(error))
        if sequence is not None:
            self.sequence, self._preparing = sequence, False
        return Outcome(Verdict.PREPARED, name)

    def _stranger(self, result: ResultCode) -> Outcome:
        """The meter does not know our keys: it has another one, or it was restarted and agrees on new ones."""
        if self._security.forget():
            self._open = None
            return self._again("it does not know the keys it agreed on", result)
        return Outcome(Verdict.GIVEN_UP, self.table, None, result, ANOTHER_KEY)

    def _resynchronise(self, sequence: int) -> Outcome:
        self.sequence, self._open = sequence, None
        return self._again("sequence number refused", ResultCode.INVALID_SEQUENCE)

    def _again(self, why: str, result: ResultCode) -> Outcome:
        name = self.table
        self._resyncs += 1
        if self._resyncs > self._config.resyncs:
            self._resyncs = 0
            return Outcome(Verdict.GIVEN_UP, name, None, result, f"{why} {self._config.resyncs} times in a row")
        return Outcome(Verdict.RESYNCHRONISED, name)

    def _skip(self, result: ResultCode | None, reason: str) -> Outcome:
        name = self._plan.pop(0)
        self._next_table()
        self.context.forget(name)
        if result is ResultCode.INAPPROPRIATE_ACTION and name in INSTEAD:
            self._plan.insert(0, INSTEAD[name])
        self.missing.append(name)
        return Outcome(Verdict.REFUSED, name, None, result, reason)

    def _take(self) -> Outcome:
        name = self._plan[0]
        self.context.put(name, bytes(self._buffer))
        size = self._size(name)
        if size is None:
            known = table(name).depends_on() <= set(self.context.known())
            if known and len(self._buffer) < LONGEST_HEAD:
                return Outcome(Verdict.GOOD, name)  # its dimensions stand further back
            return self._skip(None, "its size cannot be told from what was read")
        if len(self._buffer) < size:
            return Outcome(Verdict.GOOD, name)
        octets = bytes(self._buffer[:size])
        self.context.put(name, octets)
        try:
            value = table(name).decode(octets, self.context, partial=True)
        except TableError as error:
            return self._skip(None, str(error))
        self._plan.pop(0)
        self._next_table()
        for original, instead in INSTEAD.items():
            if name == instead and original in self.missing:
                self.context.put(original, octets)
        if name == "ET04":
            self._check_identity(value)
        return Outcome(Verdict.TABLE_DONE, name, value)

    def _check_identity(self, value: TableValue) -> None:
        """Other firmware or other dimensions: read everything again."""
        identity = (value.get("program_id"), value.get("idt_version"))
        if self._identity not in (None, identity):
            for name in STABLE & set(self.context.known()):
                self.context.forget(name)
            done = frozenset(("ET04",))
            self._plan = [name for name in reading_order(self._config.read_set, done) if name not in done]
        self._identity = identity
