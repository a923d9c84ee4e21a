"""Habits in which meters of different generations differ, as switches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from ..errors import ConfigurationError

SEQUENCE_JUMP: Final = 25  # grade A
MEP_PROCEDURE_NUMBERS: Final = range(5, 10)  # procedure sequence numbers of MEP clients; grade A
# A module leaves values 75 to 83 of BT28 out of a full read: 75 values of 4 octets stay; grade A.
MODULE_BT28: Final = 300


@dataclass(frozen=True, slots=True)
class Quirks:
    """How one meter deviates.

    Args:
        indexed_access: whether the indexed services 0x31..0x39 and 0x41..0x49 are answered; otherwise 0x02, as OSGP meters may
            (grade D).
        default_table: table of the default read 0x3E; None: 0x02.
        full_read_limit: a full read of a table with more octets is answered 0x04; 0: no limit (grade D).
        full_read_cut: octets that a full read gives of a table, e.g. {"BT28": 300}: modules leave the newest values of BT28 out
            of a full read (grade A that they do).
        sequence_jump: by how much the MEP sequence number rises when idt_version changes; 0: not at all.
        strict_procedure_numbers: refuse procedure sequence numbers of MEP clients outside 5..9 with 0x04. The guide tells the
            clients to use these; whether meters insist is not published, so it is off unless asked for.
        transaction_time: s a transaction takes after it was written; while it runs a power failure interrupts it.
        group_broadcasts: whether transactions of type 3 are carried out for groups of the meter; otherwise all are denied.
    """

    indexed_access: bool = False
    default_table: str | None = None
    full_read_limit: int = 0
    full_read_cut: Mapping[str, int] = field(default_factory=dict)
    sequence_jump: int = SEQUENCE_JUMP
    strict_procedure_numbers: bool = False
    transaction_time: float = 0.0
    group_broadcasts: bool = True

    def __post_init__(self) -> None:
        if self.full_read_limit < 0 or any(octets < 0 for octets in self.full_read_cut.values()):
            raise ConfigurationError("full_read_limit and full_read_cut must be at least 0 octets")
        if not 0 <= self.sequence_jump <= 0xFFFF:
            raise ConfigurationError(f"sequence_jump must be 0..65535, got {self.sequence_jump}")
        if not 0.0 <= self.transaction_time <= 60.0:
            raise ConfigurationError(f"transaction_time must be 0..60 s, got {self.transaction_time}")

    @classmethod
    def of(cls, firmware: tuple[int, ...], *, module: bool = False) -> Self:
        """The known habits of a firmware (x, yy, ..) of a meter or of an OSGP module. None differs between 2.x, 3.x and 4.x."""
        return cls(full_read_cut={"BT28": MODULE_BT28} if module else {})
