"""Which subsystems a meter has, in the order in which they attach, advance and hear signals."""

from __future__ import annotations

from collections.abc import Sequence

from .billing import Billing
from .config import MeterConfig
from .consumption import Consumption
from .contactor import Contactor
from .control_outputs import ControlOutputs
from .display import Display
from .download import Download
from .faults import FaultInjection
from .interface import InterfaceDefinition
from .journal import Journal
from .mbus_devices import MbusDevices
from .measuring import Measuring
from .mep_clients import MepClients
from .mep_port import MepNumbers
from .on_demand import OnDemand
from .one_time_reads import MbusOneTimeReads, OneTimeReads
from .port_tables import PortTables
from .prepayment import Prepayment
from .profiling import Profiling
from .quality import Quality
from .relays import Relays
from .subsystem import Subsystem
from .timing import Timing


def default_subsystems(config: MeterConfig) -> Sequence[Subsystem]:
    """The subsystems of a meter behind its identity. One line each."""
    # The journal keeps what the others log; measuring counts before anybody reads; intervals end before the tariff changes.
    return (
        Journal(), Measuring(), Billing(), Quality(), Profiling(), Timing(), Consumption(), OneTimeReads(), InterfaceDefinition(),
        MepClients(), MepNumbers(), PortTables(), ControlOutputs(), Contactor(), Relays(), Prepayment(),
        MbusDevices(), MbusOneTimeReads(), OnDemand(), Download(), FaultInjection(), Display(),
    )  # fmt: skip
