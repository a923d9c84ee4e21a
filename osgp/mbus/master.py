"""What a master does on the bus: reset, read all telegrams, write, set addresses, search. One exchange after another, no I/O.

    Master.read --> SND_NKE, REQ_UD2 with alternating FCB --> telegrams
    Master.search --> selections with more and more digits --> one device at a time
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ..errors import DecodeError
from .bus import answer_of
from .frame import FCB, RSP_UD, SELECTED, SND_NKE, SND_UD, Ack, LongFrame, ShortFrame
from .slave import APPLICATION_RESET, DATA_SEND, SELECTION, SET_ADDRESS
from .telegram import FIXED_RESPONSE, HEADER, VARIABLE_RESPONSE, Fixed, Variable, decode_telegram

REQUEST: Final = 0x5B  # REQ_UD2 with FCV
MAX_TELEGRAMS: Final = 16  # of one device; more is a device that never ends
TRIES: Final = 3  # EN 13757-2: the first and two repetitions
DIGITS: Final = 8

Exchange = Callable[[ShortFrame | LongFrame], bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """One telegram of a device.    information: CI.    data: octets behind it.    value: what they say.    address: its own."""

    information: int
    data: bytes
    value: Variable | Fixed
    address: int = 0


class Master:
    """The master's end of a bus.    exchange: sends a frame and gives the octets that come back.    tries: per request."""

    def __init__(self, exchange: Exchange, tries: int = TRIES) -> None:
        self._exchange, self._tries = exchange, tries

    def _acknowledged(self, frame: ShortFrame | LongFrame, tries: int | None = None) -> bool:
        return any(isinstance(answer_of(self._exchange(frame)), Ack) for _ in range(tries or self._tries))

    def reset(self, address: int) -> bool:
        """SND_NKE; whether somebody answered."""
        return self._acknowledged(ShortFrame(SND_NKE, address))

    def read(self, address: int, key: bytes | None = None) -> tuple[Answer, ...]:
        """All telegrams of a device; none when it does not answer or says nothing that can be understood."""
        if not self.reset(address):
            return ()
        found: list[Answer] = []
        control = REQUEST | FCB
        for _ in range(MAX_TELEGRAMS):
            answer = self._request(ShortFrame(control, address), key)
            if answer is None:
                return ()
            found.append(answer)
            if not isinstance(answer.value, Variable) or not answer.value.more_follows:
                break
            control ^= FCB
        return tuple(found)

    def first(self, address: int, key: bytes | None = None) -> Answer | None:
        """The first telegram of a device: enough for its status."""
        return self._request(ShortFrame(REQUEST | FCB, address), key) if self.reset(address) else None

    def _request(self, frame: ShortFrame, key: bytes | None) -> Answer | None:
        for _ in range(self._tries):
            answer = answer_of(self._exchange(frame))
            if isinstance(answer, LongFrame) and answer.control & 0x4F == RSP_UD:
                try:
                    value = decode_telegram(answer.information, answer.data, key)
                except DecodeError:
                    continue
                return Answer(answer.information, answer.data, value, answer.address)
        return None

    def write(self, address: int, data: bytes, information: int = DATA_SEND, control: int = SND_UD) -> bool:
        """SND_UD; whether it was acknowledged."""
        return self._acknowledged(LongFrame(control, address, information, data))

    def application_reset(self, address: int, parameter: bytes = b"") -> bool:
        """CI 50h."""
        return self.write(address, parameter, APPLICATION_RESET)

    def set_address(self, address: int, new: int) -> bool:
        """Give the device at an address another one."""
        return self.write(address, SET_ADDRESS + bytes((new,)))

    def select(self, identity: bytes) -> bool:
        """Select by secondary address (8 octets, wildcards allowed); whether somebody is selected."""
        return self._acknowledged(LongFrame(SND_UD, SELECTED, SELECTION, identity), 1)

    def selected(self) -> Answer | None:
        """The first telegram of whoever is selected."""
        return self._request(ShortFrame(REQUEST | FCB, SELECTED), None)

    def search(self, prefix: str = "") -> Iterator[Answer]:
        """Answers of all devices, found digit by digit of their identification; each is selected when it comes."""
        wanted = bytes.fromhex(prefix.ljust(DIGITS, "f"))[::-1] + b"\xff" * 4
        if not self.select(wanted):
            return
        if len(prefix) < DIGITS:  # what several say at once may look like an answer: only whole identifications count
            for digit in "0123456789":
                yield from self.search(prefix + digit)
        elif (answer := self.selected()) is not None:
            yield answer


def identity_of(answer: Answer) -> bytes:
    """Secondary address of a device, 8 octets; of a fixed answer four of them are wildcards."""
    if answer.information == FIXED_RESPONSE:
        return answer.data[:4] + b"\xff" * 4
    return answer.data[:8]


def stored(answers: tuple[Answer, ...], limit: int) -> tuple[bytes, bool]:
    """Telegrams as ET16 keeps them: length octet, telegram, zero octet; and whether some did not fit in `limit` octets.

    The length counts the zero at the end; grade A. A zero behind each telegram: grade D.
    """
    octets = b""
    for answer in answers:
        if answer.information == VARIABLE_RESPONSE:
            record = bytes(((len(answer.data) + 1) & 0xFF,)) + answer.data + b"\0"
        else:
            record = bytes((len(answer.data),)) + answer.data
        if len(octets) + len(record) > limit:
            return octets, True
        octets += record
    return octets, False


def plain(answers: tuple[Answer, ...], key: bytes | None) -> tuple[Answer, ...]:
    """Telegrams with their records opened where the key fits: what ET16 holds is not encrypted any more; grade A."""
    return tuple(
        Answer(one.information, _opened(one.data, one.value), one.value, one.address)
        if key is not None and isinstance(one.value, Variable) and one.value.word and not one.value.encrypted
        else one
        for one in answers
    )


def _opened(data: bytes, value: Variable) -> bytes:
    records = b"".join(record.encode() for record in value.records)
    tail = (b"\x1f" if value.more_follows else b"\x0f") + value.rest if value.rest or value.more_follows else b""
    return data[: HEADER - 2] + b"\0\0" + records + tail
