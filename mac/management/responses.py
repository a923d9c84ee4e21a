"""Responses to management requests, read with the code of the request at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..classic_proxy import ClassicProxy, ProxyQuestion
from ..errors import TruncatedPdu
from ..message_codes import (
    COMPUTE_PHASE,
    EXPANDED,
    FULL_VERSION,
    INSTALL,
    QUERY_DOMAIN,
    QUERY_ID,
    QUERY_STATUS,
    QUERY_STATUS_FLEX,
    QUERY_TRANSCEIVER_STATUS,
    SIGNAL_STRENGTH,
    failure_code,
    success_code,
)
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
from .expanded import (
    AddressMappingReport,
    CapabilityReport,
    KeyReport,
    QueryAddressMapping,
    QueryDomainNoKey,
    QueryKey,
    QueryVersion,
    decode_domain_without_key,
)
from .identity import SendIdInfo


@dataclass(frozen=True, slots=True)
class Done:
    """Success; `octets` follow the code (and the sub-command) where the response has no class of its own."""

    octets: bytes = b""


@dataclass(frozen=True, slots=True)
class Refused:
    """The failure code of the request."""


@dataclass(frozen=True, slots=True)
class Unexpected:
    """A response whose code does not belong to the request, such as 3F of an off-line application."""

    apdu: bytes


Response = (
    IdReport
    | StatusReport
    | DomainReport
    | TransceiverReport
    | IdInfoReport
    | SignalStrengthReport
    | PhaseReport
    | VersionReport
    | CapabilityReport
    | KeyReport
    | AddressMappingReport
    | Done
    | Refused
    | Unexpected
)

_BY_CODE: Final[dict[int, Callable[[bytes], Response]]] = {  # from the whole APDU
    QUERY_ID: IdReport.decode,
    QUERY_STATUS: StatusReport.decode,
    QUERY_STATUS_FLEX: StatusReport.decode,
    QUERY_DOMAIN: DomainReport.decode,
    QUERY_TRANSCEIVER_STATUS: TransceiverReport.decode,
    SIGNAL_STRENGTH: SignalStrengthReport.decode,
    COMPUTE_PHASE: PhaseReport.decode,
    FULL_VERSION: VersionReport.decode,
}
_BY_SUBCODE: Final[dict[int, Callable[[bytes], Response]]] = {  # from the octets behind the sub-command of 60
    QueryVersion.SUBCODE: CapabilityReport.decode,
    QueryDomainNoKey.SUBCODE: lambda octets: DomainReport(decode_domain_without_key(octets)),
    QueryKey.SUBCODE: KeyReport.decode,
    QueryAddressMapping.SUBCODE: AddressMappingReport.decode,
}
_BY_QUESTION: Final[dict[int | None, Callable[[bytes], Response]]] = {  # of the classic proxy, from the whole APDU
    ProxyQuestion.UNCONFIGURED_ID: IdReport.decode,
    ProxyQuestion.STATUS: StatusReport.decode,
    ProxyQuestion.TRANSCEIVER_STATUS: TransceiverReport.decode,
}


def decode_response(request_code: int, apdu: bytes, subcode: int | None = None) -> Response:
    """Read the response to a request; raises `DecodeError` when it does not fit its layout.

    Args:
        request_code: first octet of the request.
        apdu: the whole response.
        subcode: second octet of the request, where codes 52, 60 and 70 have one.
    """
    if not apdu:
        raise TruncatedPdu("empty response")
    if apdu[0] == failure_code(request_code):
        return Refused()
    if apdu[0] != success_code(request_code):
        return Unexpected(apdu)
    if request_code == EXPANDED:
        return _decode_expanded(apdu, subcode)
    if request_code == INSTALL and subcode == SendIdInfo.SUBCODE:
        return IdInfoReport.decode(apdu)
    if request_code == ClassicProxy.CODE and subcode in _BY_QUESTION:
        return _BY_QUESTION[subcode](apdu)
    decode = _BY_CODE.get(request_code)
    return Done(apdu[1:]) if decode is None else decode(apdu)


def _decode_expanded(apdu: bytes, subcode: int | None) -> Response:
    if len(apdu) < 2:
        raise TruncatedPdu("expanded response without its sub-command")
    if subcode is not None and apdu[1] != subcode:
        return Unexpected(apdu)
    decode = _BY_SUBCODE.get(apdu[1])
    return Done(apdu[2:]) if decode is None else decode(apdu[2:])
