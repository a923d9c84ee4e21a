"""Stages of a user's own in a receiver of a campaign: `stages = "FILE.py:FUNCTION"`; the function changes a new receiver.

    def use(receiver):
        receiver.blanker = Clipper()

The file's text goes with the work, to processes and clusters alike, and into the campaign's fingerprint.
"""

import re
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from phy import Receiver

from ..errors import CampaignError
from .spec import named_in, read_text

T = TypeVar("T")
Use = Callable[[Receiver], object]


@dataclass(frozen=True, slots=True)
class OwnStages:
    """A function of a Python file that puts stages into a receiver.

    Attributes:
        place: file and function as written. file: its path. function: its name. text: of the file.
    """

    place: str
    file: str
    function: str
    text: str

    def install(self, receiver: Receiver) -> None:
        """Change a receiver that has not received anything yet.

        Raises:
            CampaignError: the file cannot be run, has no such function, or the function fails.
        """
        use = _function(self)
        with_reason([self], lambda: use(receiver))


def own_stages(place: object, spec: str) -> OwnStages:
    """What `FILE.py:FUNCTION` names; the file as seen from the working directory or from the specification's.

    Raises:
        CampaignError: it is no such text, or the file cannot be read.
    """
    match = re.fullmatch(r"(.+\.py):([^\W\d]\w*)", place) if isinstance(place, str) else None
    if match is None:
        raise CampaignError(f'must be "FILE.py:FUNCTION", got {place!r}')
    path = named_in(spec, match[1])
    return OwnStages(str(place), str(path), match[2], read_text(path, str(path)))


def with_reason(owns: Sequence[OwnStages], work: Callable[[], T]) -> T:
    """What `work` gives, in which code of `owns` takes part; what it raises becomes one line, with the place in their file."""
    try:
        return work()
    except CampaignError:
        raise
    except Exception as error:
        where = ", ".join(own.place for own in owns)
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename in {own.file for own in owns}:
                where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
            trace = trace.tb_next
        raise CampaignError(f"{where}: {type(error).__name__}: {error}") from None


@cache
def _function(own: OwnStages) -> Use:
    module = types.ModuleType(Path(own.file).stem)
    module.__file__ = own.file
    with_reason([own], lambda: exec(compile(own.text, own.file, "exec"), module.__dict__))
    use = getattr(module, own.function, None)
    if not callable(use):
        raise CampaignError(f"{own.file}: has no function {own.function!r}")
    made: Use = use
    return made
