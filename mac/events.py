"""What a node reports to its user, one frozen value per event, through `Node.next_event()`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .address import Destination, DomainId, SubnetNode
from .entries import DomainEntry


class NodeState(StrEnum):
    """States of a node. The octets that stand for them are in `message_codes.STATE_OCTETS`."""

    UNCONFIGURED = "unconfigured"
    APPLICATIONLESS_UNCONFIGURED = "applicationless_unconfigured"
    CONFIGURED = "configured"
    HARD_OFFLINE = "hard_offline"
    SOFT_OFFLINE = "soft_offline"
    APPLICATIONLESS = "applicationless"
    BYPASS = "bypass"


class Service(StrEnum):
    """Services of transport and session layer."""

    ACKNOWLEDGED = "acknowledged"
    REPEATED = "repeated"
    UNACKNOWLEDGED = "unacknowledged"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Via:
    """How a message reached us.

    Args:
        destination: what it was addressed to.
        domain_index: row of our domain table it came on, None for a domain that is not ours.
        priority: in the priority class.    alt_path: over the alternate path.
        auth_asked: the sender asked to be authenticated.
        authenticated: and it was: it knows the key of the domain. A message that asked in vain is delivered too.
    """

    destination: Destination
    domain_index: int | None
    priority: bool = False
    alt_path: bool = False
    auth_asked: bool = False
    authenticated: bool = False


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A request for the application; answer it with `Node.respond` or `Node.decline`."""

    request_id: int
    source: SubnetNode
    domain: DomainId
    apdu: bytes
    via: Via


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A message that wants no answer from the application."""

    source: SubnetNode
    domain: DomainId
    apdu: bytes
    via: Via
    service: Service


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A response to our request `handle`; several may come to a broadcast or group request."""

    handle: int
    source: SubnetNode
    apdu: bytes
    domain: DomainId
    alt_path: bool = False


@dataclass(frozen=True, slots=True)
class TransactionDone:
    """Our message `handle` is finished.

    Args:
        success: all expected answers came; for a broadcast at least one; without acknowledgement: all copies were sent.
        attempts: tries that left on the line.
        responses: answers received.
    """

    handle: int
    success: bool
    attempts: int
    responses: int = 0


class ProxyOutcome(StrEnum):
    """What became of a message sent through other stations."""

    RESPONSE = "response"  # the target answered our request
    DELIVERED = "delivered"  # acknowledged by the target; sent to it, when the service has no acknowledgement
    SENT = "sent"  # on its way, and no result comes back
    LINK_FAILED = "link_failed"  # a station reported that it could not reach the next one
    NO_ANSWER = "no_answer"  # nothing came back in time
    REFUSED = "refused"  # a station answered something that is no result; it does not repeat, for one


@dataclass(frozen=True, slots=True)
class ProxyDone:
    """Our message `handle`, sent through other stations, is finished.

    Args:
        outcome: what became of it.
        response: octets of the target's response, or of the one that was no result.
        dead_link: number of the link that failed, 1 from us to the first station; after NO_ANSWER it is 1, the only
            one of which we know anything. None: no link is to blame (after a reset), or the report makes no sense.
        attempts: tries of ours that left on the line.
        alt_path: the result came over the alternate path.
    """

    handle: int
    outcome: ProxyOutcome
    response: bytes = b""
    dead_link: int | None = None
    attempts: int = 1
    alt_path: bool = False

    @property
    def success(self) -> bool:
        """The target has the message, as far as can be known."""
        return self.outcome in (ProxyOutcome.RESPONSE, ProxyOutcome.DELIVERED, ProxyOutcome.SENT)


@dataclass(frozen=True, slots=True)
class ServiceMessage:
    """A node told its unique node id and program id (its service pin was pressed)."""

    unique_node_id: bytes
    program_id: bytes
    source: SubnetNode
    domain: DomainId


@dataclass(frozen=True, slots=True)
class StateChanged:
    """Our own node state changed, by network management or by `Node.set_state`."""

    state: NodeState


@dataclass(frozen=True, slots=True)
class DomainChanged:
    """A row of our domain table changed; entry is None when we left the domain."""

    index: int
    entry: DomainEntry | None


@dataclass(frozen=True, slots=True)
class VariableUpdated:
    """The network wrote one of our input network variables, by an update or as the answer to our poll."""

    index: int
    value: bytes
    source: SubnetNode
    domain: DomainId
    authenticated: bool = False


@dataclass(frozen=True, slots=True)
class Wink:
    """Somebody asks this node to show itself."""


@dataclass(frozen=True, slots=True)
class WasReset:
    """Network management reset this node; `physical` asks for a restart of the whole device."""

    physical: bool


Event = (
    RequestReceived
    | MessageReceived
    | ResponseReceived
    | TransactionDone
    | ProxyDone
    | ServiceMessage
    | StateChanged
    | DomainChanged
    | VariableUpdated
    | Wink
    | WasReset
)
