"""What must survive a restart of a meter, as plain octets by name: for a store outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Saved:
    """State of a meter, whole or as far as it changed.

    Attributes:
        at: s, the `now` of the meter at that moment.
        tables: octets of tables by id, "BT54" or for a pending copy "BT54+4096"; live tables are left out.
        states: octets by the name of the subsystem; "meter" is the meter itself.
    """

    at: float = 0.0
    tables: Mapping[str, bytes] = field(default_factory=dict)
    states: Mapping[str, bytes] = field(default_factory=dict)

    def with_changes(self, changes: Saved) -> Saved:
        """This state brought up to date."""
        return Saved(changes.at, {**self.tables, **changes.tables}, {**self.states, **changes.states})
