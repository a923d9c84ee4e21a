"""All cases of the table."""

from . import formats, impulses, iq, lines, stations, tones, white
from .case import Case


def cases() -> list[Case]:
    """Every line, in the order of the requirements' numbers."""
    found = [case for part in (white, tones, impulses, lines, stations, formats, iq) for case in part.cases()]
    return sorted(found, key=lambda case: int(case.id[1:]))
