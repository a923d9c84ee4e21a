"""The optical port: ANSI C12.18 link and session, both ends, as engines without input or output.

    octets <-- packet.py --> packets <-- link.py --> messages <-- server.py | client.py --> table requests
"""

from .client import Answered, ClientConfig, Closed, Connected, Failed, OpticalClient, Step
from .link import Link, LinkDrop, LinkFailed, LinkTiming, MessageReceived, MessageSent
from .packet import Packet, PacketReader, crc_x25
from .port import (
    Ended,
    OpticalConfig,
    OpticalHost,
    OpticalSettings,
    PasswordRefused,
    RateChanged,
    SessionEnded,
    SessionOpened,
    State,
)
from .server import OpticalServer

__all__ = [
    "Answered",
    "ClientConfig",
    "Closed",
    "Connected",
    "Ended",
    "Failed",
    "Link",
    "LinkDrop",
    "LinkFailed",
    "LinkTiming",
    "MessageReceived",
    "MessageSent",
    "OpticalClient",
    "OpticalConfig",
    "OpticalHost",
    "OpticalServer",
    "OpticalSettings",
    "Packet",
    "PacketReader",
    "PasswordRefused",
    "RateChanged",
    "SessionEnded",
    "SessionOpened",
    "State",
    "Step",
    "crc_x25",
]
