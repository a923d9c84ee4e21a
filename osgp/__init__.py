"""OSGP application layer, independent of the transport: messages to values.

    octets of a request  <-->  Meter          a device that measures and keeps tables
    actions, feedback    <-->  Concentrator   finds meters, gives them addresses, reads them
    table octets         <-->  table("BT23")  specifications as data and the walker that lays them out

Standards: ETSI TS 104 001, CLC/TS 50586, ANSI C12.19 lineage; facts from the documents named in osgp/spec/index.json.

The parts are loaded when they are first used, so that importing this package costs next to nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .access import AccessLevel, Port, Session
    from .concentrator import (
        Action,
        Commission,
        CommissionFailed,
        Concentrator,
        ConcentratorConfig,
        Discover,
        Event,
        Measure,
        MeterBack,
        MeterCommissioned,
        MeterFound,
        MeterSilent,
        PassDone,
        Quantity,
        Reading,
        ReadingDone,
        Request,
        RequestRefused,
        Route,
        RouteChanged,
        TableRead,
    )
    from .context import Context
    from .errors import (
        BadDigest,
        ConfigurationError,
        DecodeError,
        ExpressionError,
        LocalProtocolError,
        OsgpError,
        TableError,
        TruncatedMessage,
        TruncatedTable,
        UnknownService,
    )
    from .eventcodes import EventCode, event_code, event_codes
    from .meter import (
        ConstantLoad,
        DemandSettings,
        Disturbance,
        DisturbanceRates,
        Household,
        LoadModel,
        Mains,
        Meter,
        MeterConfig,
        MeterEvent,
        MeteringSettings,
        Power,
        ProfileSettings,
        RefusalReason,
        RequestDenied,
        RequestServed,
        Saved,
        Subsystem,
    )
    from .place import Place, place
    from .plc import Limits
    from .rings import ProfileGeometry, ProfileInterval, newest_first
    from .security import (
        MODE_NAMES,
        RC4_WEAKNESS,
        AesSuite,
        Key,
        KeyRing,
        Link,
        MepSuite,
        MeterSecurity,
        OmaSuite,
        Rc4Suite,
        SecurityMode,
        WeakSecurityWarning,
        client_security,
        oma_digest,
    )
    from .services import FullRead, FullWrite, PartialRead, PartialWrite, Response, ResultCode, Service, decode_request
    from .sources import Source, source, sources
    from .store import TableStore
    from .table import TableName, TableSpec, table, table_id, table_number, tables
    from .value import Record, TableValue

_HOMES: Final = {
    "place": "Place place",
    "sources": "Source source sources",
    "table": "TableName TableSpec table table_id table_number tables",
    "access": "AccessLevel Port Session",
    "concentrator": (
        "Action Commission CommissionFailed Concentrator ConcentratorConfig Discover Event Measure MeterBack "
        "MeterCommissioned MeterFound MeterSilent PassDone Quantity Reading ReadingDone Request "
        "RequestRefused Route RouteChanged TableRead"
    ),
    "context": "Context",
    "errors": (
        "BadDigest ConfigurationError DecodeError ExpressionError LocalProtocolError OsgpError TableError "
        "TruncatedMessage TruncatedTable UnknownService"
    ),
    "eventcodes": "EventCode event_code event_codes",
    "meter": (
        "ConstantLoad DemandSettings Disturbance DisturbanceRates Household LoadModel Mains Meter MeterConfig "
        "MeterEvent MeteringSettings Power ProfileSettings RefusalReason RequestDenied RequestServed Saved "
        "Subsystem"
    ),
    "plc": "Limits",
    "rings": "ProfileGeometry ProfileInterval newest_first",
    "security": (
        "AesSuite Key KeyRing Link MODE_NAMES MepSuite MeterSecurity OmaSuite RC4_WEAKNESS Rc4Suite "
        "SecurityMode WeakSecurityWarning client_security oma_digest"
    ),
    "services": "FullRead FullWrite PartialRead PartialWrite Response ResultCode Service decode_request",
    "store": "TableStore",
    "value": "Record TableValue",
}  # module -> names
_MODULES: Final = {name: module for module, names in _HOMES.items() for name in names.split()}


class _Package(ModuleType):
    """Three functions have the name of their module; loading the module must not put it in the function's place."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and name in _MODULES):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "MODE_NAMES",
    "RC4_WEAKNESS",
    "AccessLevel",
    "Action",
    "AesSuite",
    "BadDigest",
    "Commission",
    "CommissionFailed",
    "Concentrator",
    "ConcentratorConfig",
    "ConfigurationError",
    "ConstantLoad",
    "Context",
    "DecodeError",
    "DemandSettings",
    "Discover",
    "Disturbance",
    "DisturbanceRates",
    "Event",
    "EventCode",
    "ExpressionError",
    "FullRead",
    "FullWrite",
    "Household",
    "Key",
    "KeyRing",
    "Limits",
    "Link",
    "LoadModel",
    "LocalProtocolError",
    "Mains",
    "Measure",
    "MepSuite",
    "Meter",
    "MeterBack",
    "MeterCommissioned",
    "MeterConfig",
    "MeterEvent",
    "MeterFound",
    "MeterSecurity",
    "MeterSilent",
    "MeteringSettings",
    "OmaSuite",
    "OsgpError",
    "PartialRead",
    "PartialWrite",
    "PassDone",
    "Place",
    "Port",
    "Power",
    "ProfileGeometry",
    "ProfileInterval",
    "ProfileSettings",
    "Quantity",
    "Rc4Suite",
    "Reading",
    "ReadingDone",
    "Record",
    "RefusalReason",
    "Request",
    "RequestDenied",
    "RequestRefused",
    "RequestServed",
    "Response",
    "ResultCode",
    "Route",
    "RouteChanged",
    "Saved",
    "SecurityMode",
    "Service",
    "Session",
    "Source",
    "Subsystem",
    "TableError",
    "TableName",
    "TableRead",
    "TableSpec",
    "TableStore",
    "TableValue",
    "TruncatedMessage",
    "TruncatedTable",
    "UnknownService",
    "WeakSecurityWarning",
    "client_security",
    "decode_request",
    "event_code",
    "event_codes",
    "newest_first",
    "oma_digest",
    "place",
    "source",
    "sources",
    "table",
    "table_id",
    "table_number",
    "tables",
]
