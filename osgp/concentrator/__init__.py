"""A data concentrator: finds meters it was not told about, gives them addresses and reads them."""

from .actions import Action, Commission, Discover, Measure, Request
from .config import ConcentratorConfig
from .engine import Concentrator
from .events import (
    CommissionFailed,
    Event,
    MeterBack,
    MeterCommissioned,
    MeterFound,
    MeterSilent,
    PassDone,
    ReadingDone,
    RequestRefused,
    RouteChanged,
    TableRead,
)
from .reading import Quantity, Reading
from .topology import Route

__all__ = [
    "Action",
    "Commission",
    "CommissionFailed",
    "Concentrator",
    "ConcentratorConfig",
    "Discover",
    "Event",
    "Measure",
    "MeterBack",
    "MeterCommissioned",
    "MeterFound",
    "MeterSilent",
    "PassDone",
    "Quantity",
    "Reading",
    "ReadingDone",
    "Request",
    "RequestRefused",
    "Route",
    "RouteChanged",
    "TableRead",
]
