"""A meter that measures: load model, registers, tables and the request engine."""

from .config import MeterConfig
from .contactor import Contactor
from .control_settings import ControlSettings
from .device import Meter
from .display import Display, Screen
from .disturbance import Disturbance, DisturbanceRates
from .download import Download
from .events import MeterEvent, RefusalReason, RequestDenied, RequestServed
from .fault_kinds import Fault, Faults
from .faults import FaultInjection
from .load import ConstantLoad, Household, LoadModel, Power
from .mains import Mains
from .mbus_devices import MbusDevices
from .measuring import Measuring
from .mep_port import MepNumbers, MepPort
from .optical_port import OpticalPort
from .prepayment import Prepayment
from .registers import Registers
from .relays import Relays
from .saved import Saved
from .settings import DemandSettings, MeteringSettings, ProfileSettings
from .signals import Signal
from .subsystem import Clock, Host, Procedure, ProcedureResult, Subsystem

__all__ = [
    "Clock",
    "ConstantLoad",
    "Contactor",
    "ControlSettings",
    "DemandSettings",
    "Display",
    "Disturbance",
    "DisturbanceRates",
    "Download",
    "Fault",
    "FaultInjection",
    "Faults",
    "Host",
    "Household",
    "LoadModel",
    "Mains",
    "MbusDevices",
    "Measuring",
    "MepNumbers",
    "MepPort",
    "Meter",
    "MeterConfig",
    "MeterEvent",
    "MeteringSettings",
    "OpticalPort",
    "Power",
    "Prepayment",
    "Procedure",
    "ProcedureResult",
    "ProfileSettings",
    "RefusalReason",
    "Registers",
    "Relays",
    "RequestDenied",
    "RequestServed",
    "Saved",
    "Screen",
    "Signal",
    "Subsystem",
]
