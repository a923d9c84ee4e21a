"""What was said on a line, frame by frame and in words, as data for a sequence diagram or a table.

    for step in sequence(network.frames):
        print(f"{step.start:8.3f} s  {step.sender:>6} -> {step.receiver:<12} {step.text}")
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

import mac

_SHOWN_OCTETS: Final = 8  # of an APDU that has no words


class FrameOnLine(Protocol):
    """What is needed of a frame; octets are the LPDU without CRC."""

    @property
    def start(self) -> float:
        """When it began, s."""

    @property
    def end(self) -> float:
        """When it ended, s."""

    @property
    def octets(self) -> bytes:
        """LPDU without CRC."""

    @property
    def alternate(self) -> bool:
        """On the alternate path."""


@dataclass(frozen=True, slots=True)
class Step:
    """One arrow of the diagram.

    Args:
        start, end: s.    sender, receiver: addresses in words, such as "35/12" or "group 7".
        text: what the frame says.    alternate: on the alternate path.
    """

    start: float
    end: float
    sender: str
    receiver: str
    text: str
    alternate: bool = False


def sequence(frames: Iterable[FrameOnLine]) -> list[Step]:
    """The frames in words, in their order. A frame that cannot be read has no addresses."""
    return [_step(frame) for frame in frames]


def describe(octets: bytes) -> str:
    """An LPDU without CRC in words, without its addresses."""
    try:
        lpdu = mac.Lpdu.decode(octets)
    except mac.DecodeError as error:
        return f"unreadable: {error}"
    pdu = lpdu.npdu.pdu
    prefix = "priority " if lpdu.header.priority else ""
    if isinstance(pdu, mac.Apdu):
        return f"{prefix}{_message(pdu.encode())}"
    if isinstance(pdu, mac.AuthPdu):
        return f"{prefix}{pdu.type.name.replace('_', ' ').lower()} {pdu.number}"
    name = pdu.type.name.replace("_", " ").lower()
    asked = ", to be authenticated" if pdu.auth else ""
    members = f", answered by {_members(pdu.m_list)}" if pdu.m_list else ""
    if not pdu.apdu:
        return f"{prefix}{name} {pdu.number}{members}"
    is_answer = isinstance(pdu, mac.Spdu) and pdu.type is mac.SpduType.RESPONSE
    return f"{prefix}{name} {pdu.number}{asked}{members}: {_response(pdu.apdu) if is_answer else _message(pdu.apdu)}"


def _step(frame: FrameOnLine) -> Step:
    text = describe(frame.octets)
    try:
        npdu = mac.Lpdu.decode(frame.octets).npdu
    except mac.DecodeError:
        return Step(frame.start, frame.end, "?", "?", text, frame.alternate)
    destination = npdu.destination
    to = destination.address if isinstance(destination, mac.GroupReply) else destination
    return Step(frame.start, frame.end, str(npdu.source), str(to), text, frame.alternate)


def _message(apdu: bytes) -> str:
    if apdu[0] != mac.ProxyMessage.CODE:
        return _octets(apdu)
    try:
        message = mac.ProxyMessage.decode(apdu)
        part = mac.AgentPart.decode(message.agent_part)
    except mac.DecodeError:
        return _octets(apdu)
    more = "to all agents, " if message.all_agents else ""
    for_whom = f"for {_target(part.target)} by {part.service}: {_octets(part.apdu)}"
    if not message.hops:
        return f"proxy, {more}agent: {for_whom}"
    following = ", ".join(_hop(hop) for hop in message.hops)
    return f"proxy, {more}over {following}, {for_whom}"


def _hop(hop: mac.HopEntry) -> str:
    node = str(hop.node) if hop.subnet is None else f"{hop.subnet}/{hop.node}"
    return f"{node} (alternate)" if hop.alternate else node


def _target(target: mac.TargetAddress) -> str:
    if target.kind in (mac.TargetKind.NODE_OF_AGENT, mac.TargetKind.NODE_OF_SENDER):
        return f"node {target.destination.node}" if isinstance(target.destination, mac.SubnetNode) else "?"
    return str(target.destination)


def _response(apdu: bytes) -> str:
    if apdu[:1] == b"\x4d" and len(apdu) == 1:
        return "delivered"
    if apdu[:1] == b"\x4c" and len(apdu) == 2:
        return f"failed, count {apdu[1]}"
    return _octets(apdu)


def _octets(apdu: bytes) -> str:
    shown = apdu[:_SHOWN_OCTETS].hex(" ").upper()
    return f"{shown} .. ({len(apdu)} octets)" if len(apdu) > _SHOWN_OCTETS else shown


def _members(m_list: bytes) -> str:
    return ", ".join(str(m) for m in range(8 * len(m_list)) if m_list[m // 8] >> m % 8 & 1) or "nobody"
