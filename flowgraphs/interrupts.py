"""Ctrl-C ends a command with exit code 130 and without a traceback, from the first import to the last file.

    program starts --> at_once() --> imports --> in_good_order() --> command
                       ends the process          raises Interrupted
"""

import os
import signal
from types import FrameType
from typing import Final

INTERRUPTED: Final = 130  # the exit code, 128 + SIGINT as in every shell


class Interrupted(KeyboardInterrupt):
    """Ctrl-C was pressed.

    A class of its own: a KeyboardInterrupt that has passed through exec() of a text, as dataclasses and numba use it, makes
    CPython end by the signal instead of the exit code, although it was caught (run_eval_code_obj in pythonrun.c).
    """


_pressed = False


def pressed() -> bool:
    """Has Ctrl-C been pressed since `in_good_order`? Code between here and there may have made another error of it."""
    return _pressed


def at_once() -> None:
    """Until `in_good_order` Ctrl-C ends the process on the spot: nothing has been opened yet."""
    _install(_end)


def in_good_order() -> None:
    """From now on Ctrl-C raises `Interrupted`, so that files are completed. Where SIGINT is ignored it stays ignored."""
    global _pressed
    _pressed = False
    _install(_raise)


def _install(handler: "signal._HANDLER") -> None:
    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, _end, _raise):
        signal.signal(signal.SIGINT, handler)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)


def _raise(number: int, frame: FrameType | None) -> None:
    global _pressed
    _pressed = True
    raise Interrupted
