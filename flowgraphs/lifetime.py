"""How long a process of a graph lives: until a signal, or until the process that started it is gone."""

import os
import signal
from types import FrameType, TracebackType
from typing import Final, Self

PARENT_VARIABLE: Final = "OSGP_SDR_PARENT"  # set by the runner: the process id that a child must not outlive


class Lifetime:
    """Turns SIGTERM and SIGINT into a question that a loop can ask: `stopped()`.

    As a context manager it restores the handlers. `interrupted` is true after SIGINT (Ctrl-C).
    """

    def __init__(self) -> None:
        self.interrupted = False
        self._stopped = False
        parent = os.environ.get(PARENT_VARIABLE, "")
        self._parent = int(parent) if parent.isdecimal() else None
        self._previous = [
            (number, signal.signal(number, self._on_signal)) for number in (signal.SIGTERM, signal.SIGINT)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous:
            signal.signal(number, handler)

    def stop(self) -> None:
        """End the loop from inside."""
        self._stopped = True

    def stopped(self) -> bool:
        """Has somebody asked this process to end? Ask it when idle and every now and then when busy."""
        if self._parent is not None and os.getppid() != self._parent:
            self._stopped = True
        return self._stopped

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stopped = True
        if number == signal.SIGINT:
            self.interrupted = True
