"""Transactions: a batch of requests written into ET52 (power line: ET27), its responses in ET53 (ET28); EP61.

    write of the closing number --> envelope whole? number and CRC new? group ours? --> every message through `serve`
                                --> response envelope

Source: OSGP Alliance MEP Client Developer Guide v1.1 (grade A); where it is silent: grade D, marked below.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from ..access import AccessLevel, Port, Session
from ..envelope import Envelope, EnvelopeType, answer, in_group
from ..errors import ConfigurationError, DecodeError
from ..services import ResultCode
from .signals import PowerUp, Signal
from .subsystem import Host, Procedure, ProcedureResult, Subsystem

RESPONSES: Final = {"ET52": "ET53", "ET27": "ET28"}  # request table -> response table; ET27 and ET28 grade D
POWER_LINE: Final = "ET27"
LENGTHS: Final = {"ET52": ("request", 768), "ET53": ("response", 1785)}
LOCK_TIME: Final = 10.0  # s until a lock of EP61 opens by itself; grade A
LOCK_PROCEDURE: Final = 2109  # EP61
LOCKED_BY_OTHER: Final = ProcedureResult.CONFLICTS_WITH_SETUP  # result 3; grade A
CHANNELS: Final = {Port.MEP1: 1, Port.MEP2: 2}  # ET54.mep_tx_channel; grade A


@dataclass(frozen=True, slots=True)
class _Running:
    """A transaction between its write and its end."""

    octets: bytes
    session: Session
    due: float


class Transactions(Subsystem):
    """ET52/ET53 for MEP and the optical port, ET27/ET28 for the power line.

    A malformed envelope is refused with 0x04 at the write that closes it; a write while the meter still works on the last
    transaction, or while the other MEP client holds the lock, too (grade D).
    """

    name: ClassVar[str] = "transactions"
    watches = frozenset(RESPONSES)

    def __init__(self) -> None:
        super().__init__()
        self._done: dict[str, tuple[int, int]] = {}  # number and CRC of the last one by request table
        self._running: dict[str, _Running] = {}
        self._lock: tuple[Port, float] | None = None
        self._executing = False

    def attach(self, host: Host) -> None:
        self._host = host
        for request, response in RESPONSES.items():
            for name, like in ((request, "ET52"), (response, "ET53")):
                kind, usual = LENGTHS[like]
                length = host.store[f"ET11.transaction_{kind}_length"] if "ET11" in host.store else usual
                host.store.put(name, bytes(length))

    def check_write(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> ResultCode:
        if self._executing or identifier in self._running or self._locked_for(session, identifier, now):
            return ResultCode.OPERATION_NOT_POSSIBLE
        content = bytearray(self._host.store.octets(identifier))
        piece = octets[: max(0, len(content) - offset)]
        content[offset : offset + len(piece)] = piece
        if _closes(content, offset, len(piece)):
            try:
                envelope = Envelope.decode(bytes(content))
            except DecodeError:
                return ResultCode.OPERATION_NOT_POSSIBLE
            if envelope.type not in (EnvelopeType.REQUESTS, EnvelopeType.GROUP_BROADCAST):
                return ResultCode.OPERATION_NOT_POSSIBLE
        return ResultCode.OK

    def written(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> None:
        content = self._host.store.octets(identifier)
        if not _closes(content, offset, len(octets)):
            return
        content = content[: int.from_bytes(content[:2], "little")]
        key = int.from_bytes(content[3:5], "little"), zlib.crc32(content)
        if self._done.get(identifier) == key:
            return  # the same again: its answer still stands
        if identifier != POWER_LINE and POWER_LINE in self._running:
            return  # never both at once: the MEP transaction is dropped and must be retried
        if identifier == POWER_LINE:
            self._running.clear()
        self._running[identifier] = _Running(content, session, now + self._host.config.habits.transaction_time)
        self._done[identifier] = key
        self.touch()
        self.advance(now)

    def advance(self, now: float) -> None:
        if self._lock is not None and now >= self._lock[1]:
            self._unlock()
        for identifier, running in tuple(self._running.items()):
            if running.due <= now:
                self._execute(identifier, running, now)

    def next_timer(self) -> float | None:
        times = [running.due for running in self._running.values()]
        if self._lock is not None:
            times.append(self._lock[1])
        return min(times, default=None)

    def on_signal(self, signal: Signal, now: float) -> None:
        if isinstance(signal, PowerUp):  # what a power failure interrupted runs again from the start
            self._running = {name: replace(running, due=now) for name, running in self._running.items()}
            self._unlock()

    def _execute(self, identifier: str, running: _Running, now: float) -> None:
        envelope, host = Envelope.decode(running.octets), self._host
        self._running.pop(identifier, None)
        response_table = RESPONSES[identifier]
        room = host.store.length(response_table)
        if envelope.type is EnvelopeType.GROUP_BROADCAST and not self._addressed(envelope):
            result = Envelope(EnvelopeType.BROADCAST_DENIED, envelope.number)
        else:
            self._executing = True
            try:
                responses = [host.serve_message(message, running.session, now).encode() for message in envelope.messages]
            finally:
                self._executing = False
            result = answer(envelope.number, responses, room)
        host.store.put(response_table, result.encode().ljust(room, b"\0"))
        self.touch()

    def _addressed(self, envelope: Envelope) -> bool:
        config = self._host.config
        return config.habits.group_broadcasts and any(in_group(group, config.groups) for group in envelope.groups)

    # the lock of two MEP clients

    def procedures(self) -> Mapping[int, Procedure]:
        return {LOCK_PROCEDURE: self._lock_procedure}

    def _lock_procedure(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        if session.port not in CHANNELS:
            return ProcedureResult.NOT_AUTHORISED, b""
        if not parameters or parameters[0] > 1:
            return ProcedureResult.INVALID_PARAMETER, b""
        if self._lock is not None and self._lock[0] is not session.port:
            return LOCKED_BY_OTHER, b""
        if parameters[0]:
            self._lock = (session.port, now + LOCK_TIME)
            self._show_lock()
        else:
            self._unlock()
        return ProcedureResult.COMPLETED, b""

    def _locked_for(self, session: Session, identifier: str, now: float) -> bool:
        if self._lock is None or identifier == POWER_LINE or now >= self._lock[1]:
            return False
        return session.port in CHANNELS and session.port is not self._lock[0]

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock = None
            self._show_lock()

    def _show_lock(self) -> None:
        if "ET54" in self._host.store:
            channel = CHANNELS[self._lock[0]] if self._lock is not None else 0
            self._host.store.update("ET54", {"mep_tx_locked": int(bool(channel)), "mep_tx_channel": channel})

    # saved state

    def snapshot(self) -> bytes:
        running = [
            [name, one.octets.hex(), one.session.level, one.session.port, one.session.user_id, one.session.client]
            for name, one in self._running.items()
        ]
        return b"\x01" + json.dumps({"done": self._done, "running": running}).encode()

    def restore(self, octets: bytes, now: float) -> None:
        if octets[:1] != b"\x01":
            raise ConfigurationError("the saved state of the transactions is of another version")
        try:
            saved = json.loads(octets[1:])
            self._done = {name: (int(number), int(crc)) for name, (number, crc) in saved["done"].items() if name in RESPONSES}
            for name, content, level, port, user, client in saved["running"]:
                session = Session(AccessLevel(level), Port(port), user, client)
                Envelope.decode(bytes.fromhex(content))
                if name in RESPONSES:
                    self._running[name] = _Running(bytes.fromhex(content), session, now)
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"the saved state of the transactions cannot be read: {error}") from None


def _closes(content: bytes | bytearray, offset: int, count: int) -> bool:
    """Whether a write of `count` octets at `offset` brought the closing number of an envelope, and it is the opening one."""
    size = int.from_bytes(content[:2], "little")
    if not 7 <= size <= len(content) or not offset <= size - 1 < offset + count:
        return False
    return content[3:5] == content[size - 2 : size]
