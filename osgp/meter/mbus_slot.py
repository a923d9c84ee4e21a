"""A slot of ET13 and ET14 with the M-Bus device that has it."""

from __future__ import annotations

from typing import Final

from ..mbus.master import Answer

SLOTS: Final = 4  # of M-Bus devices; grade A


class Slot:
    """One commissioned device.    identity: its secondary address.    due_ms, status_ms: next reads, None: not planned.

    poll_ms: instant of the interval end for which it was polled last.    polled: what it said then.
    wanted, next_poll_ms, tries_left: a poll that is still going on; a restart ends it.
    """

    def __init__(self, handle: int, address: int, identity: bytes, baud: int) -> None:
        self.handle, self.address, self.identity, self.baud = handle, address, identity, baud
        self.due_ms: int | None = None
        self.late = False
        self.status_ms: int | None = None
        self.poll_ms = -1
        self.polled: tuple[Answer, ...] = ()
        self.wanted: dict[int, None] = {}  # sources for which the load profile waits, in order
        self.next_poll_ms: int | None = None
        self.tries_left = 0
