"""What a packet says, layer by layer: every field of ISO/IEC 14908-1 and OSGP with the octets it stands in."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from functools import cache
from typing import Any, Final

import mac
import osgp
from mac import management

from ..sequence import describe

CRC_OCTETS: Final = 2
SHOWN: Final = 64  # octets of a value that are shown
OSGP_CODE: Final = 0x00  # message code of OSGP, osgp/security/apdu.py


@dataclass(frozen=True, slots=True)
class Field:
    """One field.    first, end: its octets in the LPDU.    bits: which of them, "7..6", "" all.    note: what the value means."""

    name: str
    value: str
    first: int
    end: int
    note: str = ""
    bits: str = ""


@dataclass(frozen=True, slots=True)
class Layer:
    """The fields of one layer.    problem: why they end early, "" when they do not."""

    name: str
    first: int
    end: int
    fields: tuple[Field, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Dissection:
    """A packet in layers.    source, destination: addresses in words, "" when it cannot be read.    text: one line for a list."""

    layers: tuple[Layer, ...]
    source: str = ""
    destination: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What others have said about a message.

    Args:
        asked: APDU of the request that it answers.    pdu: its OSGP PDU in clear, where somebody who has the key opened it.
        asked_pdu: that of the request.    context: what is known of the meter's tables.    how: what protects it.
    """

    asked: bytes | None = None
    pdu: bytes | None = None
    asked_pdu: bytes | None = None
    context: osgp.Context | None = None
    how: str = ""


NOTHING: Final = Known()


@dataclass(frozen=True, slots=True)
class Place:
    """An APDU within an LPDU.    apdu: its octets.    at: where it begins.    answer: whether it is a response."""

    apdu: bytes
    at: int
    answer: bool


def hexadecimal(octets: bytes) -> str:
    """Pairs of digits with spaces, long ones cut."""
    return octets.hex(" ") if len(octets) <= SHOWN else f"{octets[:SHOWN].hex(' ')} … ({len(octets)} octets)"


def apdu_of(lpdu: mac.Lpdu, length: int) -> Place | None:
    """The APDU of a decoded LPDU of `length` octets without CRC, None when it carries none."""
    pdu = lpdu.npdu.pdu
    if isinstance(pdu, mac.AuthPdu):
        return None
    apdu = pdu.encode() if isinstance(pdu, mac.Apdu) else pdu.apdu
    answer = isinstance(pdu, mac.Spdu) and pdu.type is mac.SpduType.RESPONSE
    return Place(apdu, length - len(apdu), answer) if apdu else None


def dissect(lpdu: bytes, crc_ok: bool, known: Known = NOTHING) -> Dissection:
    """All layers of an LPDU with its CRC; what cannot be read says why."""
    body = lpdu[:-CRC_OCTETS]
    verdict = "right" if crc_ok else "does not fit: some octets are wrong"
    crc = Layer("CRC", len(body), len(lpdu), (Field("CRC", lpdu[-CRC_OCTETS:].hex(), len(body), len(lpdu), verdict),))
    header = mac.LpduHeader.decode(body) if body else None
    link = Layer("Link (LPDU)", 0, min(1, len(body)), () if header is None else (
        Field("priority", "yes" if header.priority else "no", 0, 1, "sent in a priority slot" if header.priority else "", "7"),
        Field("alternate path", "yes" if header.alt_path else "no", 0, 1, "on the other carrier" if header.alt_path else "", "6"),
        Field("delta backlog", str(header.delta_backlog), 0, 1, "messages that this one will cause", "5..0"),
    ))  # fmt: skip
    try:
        decoded = mac.Lpdu.decode(body)
    except mac.DecodeError as error:
        rest = Layer("Network (NPDU)", min(1, len(body)), len(body), (), str(error))
        return Dissection((link, rest, crc), text=f"unreadable: {error}")
    npdu = decoded.npdu
    layers = [link, _network(npdu, body)]
    transaction = _transaction(npdu, body)
    if transaction is not None:
        layers.append(transaction)
    place = apdu_of(decoded, len(body))
    text = describe(body)
    if place is not None:
        inner = application(place, known)
        layers += inner
        text = _osgp_text(decoded, place, known) or _management_text(decoded, place, inner[0]) or text
    layers.append(crc)
    to = npdu.destination.address if isinstance(npdu.destination, mac.GroupReply) else npdu.destination
    return Dissection(tuple(layers), str(npdu.source), str(to), text)


_FORMATS: Final = {
    mac.Broadcast: "0, broadcast",
    mac.Group: "1, group",
    mac.SubnetNode: "2a, subnet/node",
    mac.GroupReply: "2b, answer to a group",
    mac.UniqueId: "3, unique node id",
}


def _network(npdu: mac.Npdu, body: bytes) -> Layer:
    to = npdu.destination
    domain_at = 4 + to.LENGTH
    pdu_at = domain_at + len(npdu.domain.octets)
    first = body[1]
    found = [
        Field("version", str(npdu.version), 1, 2, "12-bit transaction numbers" if npdu.version else "", "7..6"),
        Field("PDU type", f"{first >> 4 & 3}, {type(npdu.pdu).__name__.upper()}", 1, 2, "", "5..4"),
        Field("address format", _FORMATS[type(to)], 1, 2, "", "3..2"),
        Field("domain length", f"{len(npdu.domain.octets)} octets", 1, 2, "", "1..0"),
        Field("source", str(npdu.source), 2, 4, "subnet/node; 0/0 has no address yet"),
        Field("destination", str(to), 4, domain_at),
    ]
    if npdu.domain.octets:
        found.append(Field("domain", npdu.domain.octets.hex(), domain_at, pdu_at))
    return Layer("Network (NPDU)", 1, pdu_at, tuple(found))


def _transaction(npdu: mac.Npdu, body: bytes) -> Layer | None:
    """Header of a TPDU, SPDU or AuthPDU."""
    at = 4 + npdu.destination.LENGTH + len(npdu.domain.octets)
    pdu = npdu.pdu
    if isinstance(pdu, mac.Apdu):
        return None
    end = at + (2 if npdu.version else 1)
    number = Field("transaction number", str(pdu.number), at, end, "an answer repeats it", "11..0" if npdu.version else "3..0")
    if isinstance(pdu, mac.AuthPdu):
        kind = Field("type", pdu.type.name.replace("_", " ").lower(), at, at + 1, "", "5..4")
        after = end + len(pdu.value)
        value = Field("challenge" if pdu.is_challenge else "reply", pdu.value.hex(" "), end, after)
        group = () if pdu.group is None else (Field("group", str(pdu.group), after, after + 1),)
        address = Field("address format", str(pdu.address_format), at, at + 1, "of the message in question", "7..6")
        return Layer("Authentication (AuthPDU)", at, len(body), (address, kind, number, value, *group))
    name = "Session (SPDU)" if isinstance(pdu, mac.Spdu) else "Transport (TPDU)"
    found = [
        Field("authenticated", "yes" if pdu.auth else "no", at, at + 1, "", "7"),
        Field("type", pdu.type.name.replace("_", " ").lower(), at, at + 1, "", "6..4"),
        number,
    ]
    after = len(body) - len(pdu.apdu)
    if after > end:
        found.append(Field("member list", hexadecimal(body[end:after]), end, after, "who has answered already"))
    return Layer(name, at, after, tuple(found))


def _osgp_text(lpdu: mac.Lpdu, place: Place, known: Known) -> str:
    """A session message of OSGP in words, "" for another one."""
    from .osgp_fields import message_text

    pdu = lpdu.npdu.pdu
    if not isinstance(pdu, mac.Spdu):
        return ""
    text = message_text(place, known)
    return f"{pdu.type.name.replace('_', ' ').lower()} {pdu.number}: {text}" if text else ""


def _management_text(lpdu: mac.Lpdu, place: Place, layer: Layer) -> str:
    """A session message of network management in words, "" for another one."""
    pdu = lpdu.npdu.pdu
    if not isinstance(pdu, mac.Spdu) or layer.problem:
        return ""
    family = mac.Apdu(place.apdu[0]).family
    name = layer.name.removeprefix("Application: ")
    if name in (str(family).replace("_", " "), "response") or (not place.answer and place.apdu[0] not in _requests()):
        return ""
    kind = f"{pdu.type.name.replace('_', ' ').lower()} {pdu.number}"
    return f"{kind}: {name}"


def application(place: Place, known: Known = NOTHING) -> tuple[Layer, ...]:
    """The layers of an APDU; of an answer with the request at hand."""
    from .osgp_fields import commissioning_layer, is_osgp, osgp_layers

    apdu, at, asked = place.apdu, place.at, known.asked
    if is_osgp(place, known):
        return osgp_layers(place, known)
    if (step := commissioning_layer(place, asked)) is not None:
        return (step,)
    code = Field("message code", f"0x{apdu[0]:02x}", at, at + 1)
    rest = (Field("data", hexadecimal(apdu[1:]), at + 1, at + len(apdu)),) if apdu[1:] else ()
    if place.answer:
        return (_management_answer(place, asked, code, rest),)
    family = str(mac.Apdu(apdu[0]).family).replace("_", " ")
    for kind in _requests().get(apdu[0], ()):
        try:
            request = kind.decode(apdu)
        except (mac.DecodeError, ValueError, IndexError):
            continue
        name = _words(kind.__name__)
        found = tuple(Field(key, value, at + 1, at + len(apdu)) for key, value in plain_fields(request)) or rest
        named = Field("message code", code.value, at, at + 1, name)
        return (Layer(f"Application: {name}", at, at + len(apdu), (named, *found)),)
    if apdu[0] >= 0x80 and len(apdu) >= 2:  # 1 direction(1) selector(14); ISO/IEC 14908-1, clause unverified (grade B)
        selector = (apdu[0] & 0x3F) << 8 | apdu[1]
        value = (Field("value", hexadecimal(apdu[2:]), at + 2, at + len(apdu)),) if apdu[2:] else ()
        return (Layer("Application: network variable", at, at + len(apdu), (
            Field("direction", "output" if apdu[0] & 0x40 else "input", at, at + 1, "of the variable at the receiver", "6"),
            Field("selector", f"0x{selector:04x}", at, at + 2, "which variable", "13..0"), *value,
        )),)  # fmt: skip
    return (Layer(f"Application: {family}", at, at + len(apdu), (code, *rest)),)


def _management_answer(place: Place, asked: bytes | None, code: Field, rest: tuple[Field, ...]) -> Layer:
    apdu, at = place.apdu, place.at
    if asked is None:
        return Layer("Application: response", at, at + len(apdu), (code, *rest), "the request was not received")
    named = Field("response code", code.value, at, at + 1, f"answers 0x{asked[0]:02x}")
    plain = Layer("Application: response", at, at + len(apdu), (named, *rest))
    if asked[0] not in _requests():
        return plain
    try:
        report = management.decode_response(asked[0], apdu, asked[1] if len(asked) > 1 else None)
    except mac.DecodeError as error:
        return replace(plain, problem=str(error))
    if isinstance(report, management.Unexpected):
        return plain
    found = tuple(Field(key, value, at + 1, at + len(apdu)) for key, value in plain_fields(report) if value != "none") or rest
    return Layer(f"Application: {_words(type(report).__name__)}", at, at + len(apdu), (named, *found))


@cache
def _requests() -> dict[int, tuple[Any, ...]]:
    """Management request classes by message code, those with a sub-command first."""
    found: dict[int, list[Any]] = {}
    for name in management.__all__:
        kind = getattr(management, name)
        code = getattr(kind, "CODE", None)
        if isinstance(kind, type) and isinstance(code, int) and hasattr(kind, "decode"):
            found.setdefault(int(code), []).append(kind)
    return {code: tuple(sorted(kinds, key=lambda kind: not hasattr(kind, "SUBCODE"))) for code, kinds in found.items()}


def plain_fields(value: object) -> list[tuple[str, str]]:
    """Name and text of every field of a dataclass that may be shown."""
    if not is_dataclass(value):
        return []
    found: list[tuple[str, str]] = []
    for item in fields(value):
        if not item.repr:
            continue
        part = getattr(value, item.name)
        name = item.name.replace("_", " ")
        if is_dataclass(part) and not isinstance(part, type) and type(part).__str__ is object.__str__:
            found += [(f"{name}: {key}", text) for key, text in plain_fields(part)]
        else:
            found.append((name, _text(part)))
    return found


def _text(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case Enum():
            return value.name.replace("_", " ").lower()
        case bytes():
            return hexadecimal(value) or "none"
        case tuple() | list():
            return ", ".join(_text(item) for item in value) or "none"
    return str(value)


def _words(name: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
