"""What the user of a running node may ask it: one JSON object a line, checked and carried out.

    {"do": "request", "to": "35/12", "apdu": "51"}
    {"do": "acknowledged", "to": "group 7", "apdu": "05e1", "retries": 4, "timer": 8}
    {"do": "write", "variable": 2, "value": "1234"}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

import mac

from .errors import CommandError

_DESTINATION: Final = re.compile(
    r"(?P<subnet>\d+)/(?P<node>\d+)|broadcast(?: (?P<broadcast>\d+))?"
    r"|group (?P<group>\d+)(?:/(?P<size>\d+))?|(?P<id>[0-9a-fA-F]{12})"
)
_RETRIES: Final = 3
_TIMER: Final = 7  # timer code: 192 ms, ample over IP (choice, D)


class _Message(msgspec.Struct, forbid_unknown_fields=True, tag_field="do"):
    """Fields of everything that is sent."""

    to: str
    apdu: str
    domain: int = 0
    priority: bool = False


class Unacknowledged(_Message, tag="unacknowledged"):
    """Send once."""


class Repeated(_Message, tag="repeated"):
    """Send `repeats` + 1 copies, `timer` (a code 0..15) apart."""

    repeats: int = _RETRIES
    timer: int = _TIMER


class Acknowledged(_Message, tag="acknowledged"):
    """Send and have it acknowledged."""

    retries: int = _RETRIES
    timer: int = _TIMER
    backlog: int = 0
    alternate: bool | None = None
    authenticated: bool = False


class Request(Acknowledged, tag="request"):
    """Send and wait for responses."""

    max_responses: int = 1


class Respond(msgspec.Struct, forbid_unknown_fields=True, tag_field="do", tag="respond"):
    """Answer a request; without an APDU, leave it unanswered."""

    request_id: int
    apdu: str = ""


class ServiceMessage(msgspec.Struct, forbid_unknown_fields=True, tag_field="do", tag="service_message"):
    """Tell everybody the unique node id, as a pressed service pin does."""


class Write(msgspec.Struct, forbid_unknown_fields=True, tag_field="do", tag="write"):
    """Give an output network variable a value and send it where it is connected."""

    variable: int
    value: str


class Poll(msgspec.Struct, forbid_unknown_fields=True, tag_field="do", tag="poll"):
    """Ask for the value of what an input network variable is connected to."""

    variable: int


class Status(msgspec.Struct, forbid_unknown_fields=True, tag_field="do", tag="status"):
    """Tell state, address and counters."""


class Quit(msgspec.Struct, forbid_unknown_fields=True, tag_field="do", tag="quit"):
    """End the node."""


Command = Unacknowledged | Repeated | Acknowledged | Request | Respond | ServiceMessage | Write | Poll | Status | Quit
_DECODER: Final = msgspec.json.Decoder(Command)


def parse_command(line: bytes) -> Command:
    """Read a line; raises `CommandError`."""
    try:
        command: Command = _DECODER.decode(line)
    except msgspec.MsgspecError as error:
        raise CommandError(str(error)) from None
    return command


def parse_destination(text: str) -> mac.Destination:
    """From "35/12", "broadcast", "broadcast 35", "group 7", "group 7/4" (its size) or a unique node id; raises `CommandError`."""
    match = _DESTINATION.fullmatch(text.strip())
    if match is None:
        raise CommandError(f"{text!r} is no destination: subnet/node, broadcast [subnet], group NUMBER[/SIZE] or 12 hex digits")
    found = match.groupdict()
    if found["id"] is not None:
        return mac.UniqueId(bytes.fromhex(found["id"]))
    if found["node"] is not None:
        return mac.SubnetNode(int(found["subnet"]), int(found["node"]))
    if found["group"] is not None:
        return mac.Group(int(found["group"]), int(found["size"] or 0))
    return mac.Broadcast(int(found["broadcast"] or 0))


def _octets(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise CommandError(f"{text!r} is not hexadecimal") from None


def carry_out(node: mac.Node, command: Command, now: float) -> tuple[int, ...]:
    """Do what a command asks; returns the handles of the messages. Raises `CommandError` with what was wrong."""
    try:
        return _ACTIONS[type(command)](node, command, now)
    except mac.MacError as error:
        raise CommandError(str(error)) from None


def _unacknowledged(node: mac.Node, it: Unacknowledged, now: float) -> tuple[int, ...]:
    to = parse_destination(it.to)
    return (node.send_unacknowledged(to, _octets(it.apdu), now, domain=it.domain, priority=it.priority),)


def _repeated(node: mac.Node, it: Repeated, now: float) -> tuple[int, ...]:
    handle = node.send_repeated(
        parse_destination(it.to),
        _octets(it.apdu),
        now,
        domain=it.domain,
        repeats=it.repeats,
        repeat_time=mac.transmit_time(it.timer),
        priority=it.priority,
    )
    return (handle,)


def _options(it: Acknowledged) -> dict[str, Any]:
    return {
        "domain": it.domain,
        "retries": it.retries,
        "transmit_time": mac.transmit_time(it.timer),
        "backlog": it.backlog,
        "priority": it.priority,
        "alternate": it.alternate,
        "authenticated": it.authenticated,
    }


def _acknowledged(node: mac.Node, it: Acknowledged, now: float) -> tuple[int, ...]:
    return (node.send_acknowledged(parse_destination(it.to), _octets(it.apdu), now, **_options(it)),)


def _request(node: mac.Node, it: Request, now: float) -> tuple[int, ...]:
    options = _options(it) | {"max_responses": it.max_responses}
    return (node.send_request(parse_destination(it.to), _octets(it.apdu), now, **options),)


def _respond(node: mac.Node, it: Respond, now: float) -> tuple[int, ...]:
    apdu = _octets(it.apdu)
    if apdu:
        node.respond(it.request_id, apdu, now)
    else:
        node.decline(it.request_id, now)
    return ()


def _service_message(node: mac.Node, it: ServiceMessage, now: float) -> tuple[int, ...]:
    node.send_service_message(now)
    return ()


def _write(node: mac.Node, it: Write, now: float) -> tuple[int, ...]:
    return node.variables.write(it.variable, _octets(it.value), now)


def _poll(node: mac.Node, it: Poll, now: float) -> tuple[int, ...]:
    return node.variables.poll(it.variable, now)


_ACTIONS: Final[dict[type[Any], Callable[[mac.Node, Any, float], tuple[int, ...]]]] = {
    Unacknowledged: _unacknowledged,
    Repeated: _repeated,
    Acknowledged: _acknowledged,
    Request: _request,
    Respond: _respond,
    ServiceMessage: _service_message,
    Write: _write,
    Poll: _poll,
}
