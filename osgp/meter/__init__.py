"""A meter that measures: load model, registers, tables and the request engine."""

from .config import MeterConfig
from .device import Meter
from .events import MeterEvent, RefusalReason, RequestDenied, RequestServed
from .load import ConstantLoad, Energy, Household, LoadModel, Power
from .mains import Mains
from .registers import Registers
from .saved import Saved
from .signals import Signal
from .subsystem import Clock, Host, Procedure, ProcedureResult, Subsystem

__all__ = [
    "Clock",
    "ConstantLoad",
    "Energy",
    "Host",
    "Household",
    "LoadModel",
    "Mains",
    "Meter",
    "MeterConfig",
    "MeterEvent",
    "Power",
    "Procedure",
    "ProcedureResult",
    "RefusalReason",
    "Registers",
    "RequestDenied",
    "RequestServed",
    "Saved",
    "Signal",
    "Subsystem",
]
