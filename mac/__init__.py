"""ISO/IEC 14908-1, layers 2 to 6, without I/O: frames <-> messages.

    from mac import ChannelTiming, Node, NodeConfig
    node = Node(NodeConfig(unique_node_id=bytes(6)), ChannelTiming.load("pl20a_nes"), rng=random.Random(1))

The PDUs can be used alone: `Lpdu.decode(octets)`. Network management messages are in `mac.management`.
"""

from . import management
from .access_states import AccessState
from .address import Broadcast, Destination, DomainId, Group, GroupReply, SubnetNode, UniqueId
from .apdu import Apdu, ApduFamily
from .authentication import AuthenticationKeys
from .authpdu import AuthPdu, AuthPduType
from .configuration import NodeConfig
from .entries import DomainEntry, GroupEntry
from .errors import (
    ConfigurationError,
    DecodeError,
    DropReason,
    LocalProtocolError,
    MacError,
    MalformedPdu,
    TruncatedPdu,
    UnknownPdu,
)
from .events import (
    DomainChanged,
    Event,
    MessageReceived,
    NodeState,
    ProxyDone,
    ProxyOutcome,
    RequestReceived,
    ResponseReceived,
    Service,
    ServiceMessage,
    StateChanged,
    TransactionDone,
    VariableUpdated,
    Via,
    WasReset,
    Wink,
)
from .link import OutgoingFrame
from .lpdu import Lpdu, LpduHeader
from .node import Node
from .npdu import Npdu
from .proxy_message import AgentPart, HopEntry, ProxyMessage, ProxyMode, TargetAddress, TargetKind
from .proxy_route import ProxyHop, ProxyLink, ProxyRoute
from .proxy_timing import ProxyTiming
from .reception import Reception
from .route_health import BadLink, RouteHealth
from .snapshot import NodeSnapshot
from .spdu import Spdu, SpduType
from .statistics import Statistics
from .timers import RESET_SILENCE, receive_time, transmit_time
from .timing import ChannelTiming
from .tpdu import Tpdu, TpduType
from .variable_entry import AliasConfig, Direction, VariableConfig, VariableService
from .variable_table import NetworkVariable

__all__ = [
    "RESET_SILENCE",
    "AccessState",
    "AgentPart",
    "AliasConfig",
    "Apdu",
    "ApduFamily",
    "AuthPdu",
    "AuthPduType",
    "AuthenticationKeys",
    "BadLink",
    "Broadcast",
    "ChannelTiming",
    "ConfigurationError",
    "DecodeError",
    "Destination",
    "Direction",
    "DomainChanged",
    "DomainEntry",
    "DomainId",
    "DropReason",
    "Event",
    "Group",
    "GroupEntry",
    "GroupReply",
    "HopEntry",
    "LocalProtocolError",
    "Lpdu",
    "LpduHeader",
    "MacError",
    "MalformedPdu",
    "MessageReceived",
    "NetworkVariable",
    "Node",
    "NodeConfig",
    "NodeSnapshot",
    "NodeState",
    "Npdu",
    "OutgoingFrame",
    "ProxyDone",
    "ProxyHop",
    "ProxyLink",
    "ProxyMessage",
    "ProxyMode",
    "ProxyOutcome",
    "ProxyRoute",
    "ProxyTiming",
    "Reception",
    "RequestReceived",
    "ResponseReceived",
    "RouteHealth",
    "Service",
    "ServiceMessage",
    "Spdu",
    "SpduType",
    "StateChanged",
    "Statistics",
    "SubnetNode",
    "TargetAddress",
    "TargetKind",
    "Tpdu",
    "TpduType",
    "TransactionDone",
    "TruncatedPdu",
    "UniqueId",
    "UnknownPdu",
    "VariableConfig",
    "VariableService",
    "VariableUpdated",
    "Via",
    "WasReset",
    "Wink",
    "management",
    "receive_time",
    "transmit_time",
]
