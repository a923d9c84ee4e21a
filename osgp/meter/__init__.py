"""A meter that measures: load model, registers, tables and the request engine."""

from .config import MeterConfig
from .device import Meter
from .events import MeterEvent, RefusalReason, RequestDenied, RequestServed
from .load import ConstantLoad, Energy, Household, LoadModel, Power
from .mains import Mains
from .registers import Registers

__all__ = [
    "ConstantLoad",
    "Energy",
    "Household",
    "LoadModel",
    "Mains",
    "Meter",
    "MeterConfig",
    "MeterEvent",
    "Power",
    "RefusalReason",
    "Registers",
    "RequestDenied",
    "RequestServed",
]
