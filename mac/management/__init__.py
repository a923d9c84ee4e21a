"""Network management and diagnostic messages: one frozen value per request and per response.

Each request class has the message `CODE`, where it has one a `SUBCODE`, and `encode`/`decode` of the whole APDU, code
included. The response to a request repeats part of its code, so it is read with the request at hand:
`decode_response(request_code, apdu)`. ISO/IEC 14908-1 network management, clauses unverified; grades B and L
(exercised on a live independent stack).
"""

from ..classic_proxy import ClassicProxy, ProxyQuestion, SendAddress
from ..message_codes import failure_code, success_code
from ..reports import (
    DomainReport,
    IdInfoReport,
    IdReport,
    PhaseReport,
    SignalStrengthReport,
    StatusReport,
    TransceiverReport,
    VersionReport,
)
from .addresses import QueryAddress, UpdateAddress, UpdateGroupAddress
from .domains import LeaveDomain, QueryDomain, UpdateDomain, UpdateKey
from .expanded import (
    AddressMappingReport,
    Capability,
    CapabilityReport,
    InitConfig,
    KeyReport,
    QueryAddressMapping,
    QueryAliasRow,
    QueryDomainNoKey,
    QueryIpAddress,
    QueryKey,
    QueryVariableRow,
    QueryVersion,
    UpdateAliasRow,
    UpdateDomainNoKey,
    UpdateOmaKey,
    UpdateVariableByIndex,
    UpdateVariableRow,
)
from .identity import QueryId, QueryNvInfo, QuerySelector, RespondToQuery, SendIdInfo, WinkCommand
from .memory import MemoryMode, ReadMemory, RecalculateChecksum, RefreshMemory, WriteMemory
from .mode import NodeMode, SetNodeMode
from .responses import Done, Refused, Response, Unexpected, decode_response
from .status import (
    ClearStatus,
    ComputePhase,
    GetFullVersion,
    QuerySignalStrength,
    QueryStatus,
    QueryStatusFlex,
    QueryTransceiverStatus,
)
from .variables import FetchVariable, QuerySelfIdentification, QueryVariableConfig, UpdateVariableConfig

__all__ = [
    "AddressMappingReport",
    "Capability",
    "CapabilityReport",
    "ClassicProxy",
    "ClearStatus",
    "ComputePhase",
    "DomainReport",
    "Done",
    "FetchVariable",
    "GetFullVersion",
    "IdInfoReport",
    "IdReport",
    "InitConfig",
    "KeyReport",
    "LeaveDomain",
    "MemoryMode",
    "NodeMode",
    "PhaseReport",
    "ProxyQuestion",
    "QueryAddress",
    "QueryAddressMapping",
    "QueryAliasRow",
    "QueryDomain",
    "QueryDomainNoKey",
    "QueryId",
    "QueryIpAddress",
    "QueryKey",
    "QueryNvInfo",
    "QuerySelector",
    "QuerySelfIdentification",
    "QuerySignalStrength",
    "QueryStatus",
    "QueryStatusFlex",
    "QueryTransceiverStatus",
    "QueryVariableConfig",
    "QueryVariableRow",
    "QueryVersion",
    "ReadMemory",
    "RecalculateChecksum",
    "RefreshMemory",
    "Refused",
    "RespondToQuery",
    "Response",
    "SendAddress",
    "SendIdInfo",
    "SetNodeMode",
    "SignalStrengthReport",
    "StatusReport",
    "TransceiverReport",
    "Unexpected",
    "UpdateAddress",
    "UpdateAliasRow",
    "UpdateDomain",
    "UpdateDomainNoKey",
    "UpdateGroupAddress",
    "UpdateKey",
    "UpdateOmaKey",
    "UpdateVariableByIndex",
    "UpdateVariableConfig",
    "UpdateVariableRow",
    "VersionReport",
    "WinkCommand",
    "WriteMemory",
    "decode_response",
    "failure_code",
    "success_code",
]
