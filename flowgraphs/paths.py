"""How well each station of a line hears each other one, on both carriers."""

import math
from collections.abc import Callable
from typing import Final

PathRule = Callable[[int, int, bool], float | None]


class Paths:
    """Es/N0 of every path of a line.

    Args:
        esn0_db: of every path that is not set, on the primary carrier, dB of the mean packet power; None: nothing is heard.
        alternate_esn0_db: the same on the secondary carrier; left out: as on the primary.
        rule: gives the Es/N0 of a path that is not set from (sender, receiver, alternate), instead of the two figures.
    """

    def __init__(
        self,
        esn0_db: float | None = 30.0,
        alternate_esn0_db: float | None = math.nan,
        rule: PathRule | None = None,
    ) -> None:
        if alternate_esn0_db is not None and math.isnan(alternate_esn0_db):
            alternate_esn0_db = esn0_db
        self._default: Final = {False: esn0_db, True: alternate_esn0_db}
        self._rule = rule
        self._set: dict[tuple[int, int, bool], float | None] = {}
        self._floor: dict[bool, float] = {}

    def set(
        self,
        sender: int,
        receiver: int,
        esn0_db: float | None,
        alternate_esn0_db: float | None = math.nan,
        both_ways: bool = True,
    ) -> None:
        """Set a path between two stations of the line; alternate left out: as on the primary carrier."""
        if alternate_esn0_db is not None and math.isnan(alternate_esn0_db):
            alternate_esn0_db = esn0_db
        for a, b in ((sender, receiver), (receiver, sender)) if both_ways else ((sender, receiver),):
            self._set[a, b, False], self._set[a, b, True] = esn0_db, alternate_esn0_db
        self._floor.clear()

    def esn0_db(self, sender: int, receiver: int, alternate: bool) -> float | None:
        """Es/N0 of a frame at a receiver, dB; None: nothing is heard."""
        if self._set:
            key = sender, receiver, alternate
            if key in self._set:
                return self._set[key]
        if self._rule is not None:
            return self._rule(sender, receiver, alternate)
        return self._default[alternate]

    @property
    def are_alike(self) -> bool:
        """Every station hears every other one at the same level, on one and the same carrier."""
        return self._rule is None and not self._set

    def floor_db(self, alternate: bool) -> float:
        """No path is worse than this; -inf when that cannot be said."""
        if alternate not in self._floor:
            self._floor[alternate] = self._find_floor(alternate)
        return self._floor[alternate]

    def _find_floor(self, alternate: bool) -> float:
        if self._rule is not None:
            return -math.inf
        values = [self._default[alternate], *(value for (_, _, path), value in self._set.items() if path is alternate)]
        return min(-math.inf if value is None else value for value in values)
