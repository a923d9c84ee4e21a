"""Errors of the mac package, and the named reasons for which a received frame is dropped.

MacError
 +- ConfigurationError     a node or channel was configured outside its limits
 +- LocalProtocolError     we asked for something that the protocol forbids now
 +- DecodeError            octets do not form a PDU; caught at the edge, counted, never fatal
     +- TruncatedPdu       the PDU ends before its last field
     +- MalformedPdu       a field has a value that its layout does not allow
     +- UnknownPdu         well formed, but of a version or type that the standard does not use
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final


class DropReason(StrEnum):
    """Why a frame, or a message in it, went no further. Counted in `Statistics.drops`."""

    TOO_SHORT = "too_short"  # shorter than the smallest LPDU
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    UNKNOWN_PDU = "unknown_pdu"  # version 1 or 3, or an unused PDU type
    WHILE_TRANSMITTING = "while_transmitting"  # a half-duplex node hears nothing but itself
    OWN_SOURCE = "own_source"  # our own subnet/node as source
    FOREIGN_DOMAIN = "foreign_domain"
    NOT_ADDRESSED = "not_addressed"
    LATE_ANSWER = "late_answer"  # acknowledgement or response that fits no running transaction
    NO_RECEIVE_RECORD = "no_receive_record"  # all receive records in use
    STRAY_REMINDER = "stray_reminder"  # reminder without a record
    NO_OUTPUT_BUFFER = "no_output_buffer"  # an answer of ours, because too many frames wait for the line
    LATE_RESPONSE = "late_response"  # our application answered after the receive record was freed
    AUTHENTICATION = "authentication"  # challenge or reply that fits no message waiting for it
    OFFLINE = "offline"  # message for an application that is not running
    UNKNOWN_MESSAGE = "unknown_message"  # management message that needs no answer and means nothing to us


ANSWERS_DROPPED: Final = frozenset({DropReason.NO_OUTPUT_BUFFER, DropReason.LATE_RESPONSE})
"""Reasons for which an answer of ours went no further, not a frame that we received."""


class MacError(Exception):
    """Root of the tree."""


class ConfigurationError(MacError, ValueError):
    """A configuration value outside its limits."""


class LocalProtocolError(MacError):
    """A call that the protocol forbids in the present state; nothing happened."""


class DecodeError(MacError, ValueError):
    """Octets that form no PDU."""

    reason: ClassVar[DropReason] = DropReason.MALFORMED


class TruncatedPdu(DecodeError):
    """The PDU ends early."""

    reason = DropReason.TRUNCATED


class MalformedPdu(DecodeError):
    """A field outside its layout."""


class UnknownPdu(DecodeError):
    """A version or type the standard leaves unused."""

    reason = DropReason.UNKNOWN_PDU
