"""Which subsystems a meter has, in the order in which they attach, advance and hear signals."""

from __future__ import annotations

from collections.abc import Sequence

from .config import MeterConfig
from .measuring import Measuring
from .mep_clients import MepClients
from .subsystem import Subsystem


def default_subsystems(config: MeterConfig) -> Sequence[Subsystem]:
    """The subsystems of a meter behind its identity. One line each."""
    return (Measuring(), MepClients())
