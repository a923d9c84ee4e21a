"""Processor time of the view, and of the receiver that works for it, told apart by thread."""

from __future__ import annotations

import threading
import time
from typing import Final

AGAIN_S: Final = 1.0  # the shares are taken over at least this long


class Clocks:
    """Every thread marks now and then what it has used.    shares: of one core, by name, over the last second or more."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, int], float] = {}
        self._lock = threading.Lock()
        self._taken_at = time.monotonic()
        self._before: dict[str, float] = {}
        self._shares: dict[str, float] = {}

    def mark(self, name: str) -> None:
        """The calling thread works under this name and has used this much."""
        with self._lock:
            self._used[name, threading.get_ident()] = time.thread_time()

    def used(self) -> dict[str, float]:
        """Seconds of processor time by name."""
        with self._lock:
            total: dict[str, float] = {}
            for (name, _), seconds in self._used.items():
                total[name] = total.get(name, 0.0) + seconds
            return total

    def shares(self) -> dict[str, float]:
        """Part of one core by name, 0.2 = 20 %."""
        now = time.monotonic()
        passed = now - self._taken_at
        if passed >= AGAIN_S:
            used = self.used()
            self._shares = {name: max(0.0, seconds - self._before.get(name, 0.0)) / passed for name, seconds in used.items()}
            self._before, self._taken_at = used, now
        return dict(self._shares)
