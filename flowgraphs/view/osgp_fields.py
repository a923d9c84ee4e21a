"""The fields of an OSGP message in an APDU: what protects it, the table service, and the table's own fields."""

from __future__ import annotations

from typing import Final

import osgp
from osgp.explain import explain
from osgp.security.commissioning import CHALLENGE, HELLO, NONCE_OCTETS, PROOF, WELCOME
from osgp.services import IndexedRead, IndexedWrite, ReadRequest, TableRequest
from osgp.table import TableSpec

from .fields import NOTHING, OSGP_CODE, Field, Known, Layer, Place, hexadecimal

TAG: Final = 8
SEQUENCE: Final = 4
LEAST: Final = {False: 2 + SEQUENCE + TAG, True: 2 + TAG}  # octets of a request, of an answer
MAX_ROWS: Final = 400  # fields of a table that are shown
STEPS: Final = {HELLO: "hello", CHALLENGE: "challenge", PROOF: "proof", WELCOME: "welcome"}


def is_osgp(place: Place, known: Known) -> bool:
    """Whether an APDU is a message of OSGP; of an answer its request decides, where that is known."""
    code = (known.asked if place.answer and known.asked else place.apdu)[:1]
    return code == bytes((OSGP_CODE,))


def message_text(place: Place, known: Known) -> str:
    """A message of OSGP in words, "" when it is none."""
    apdu = (known.asked or b"") if place.answer else place.apdu
    if (step := commissioning_step(apdu)) is not None:
        return f"OSGP commissioning, {'answer to ' if place.answer else ''}{step}"
    if not is_osgp(place, known) or len(place.apdu) < LEAST[place.answer]:
        return ""
    pdu = clear_pdu(place, known)
    if not place.answer:
        request = request_of(pdu, known.pdu is not None)
        return f"OSGP {request_text(request)}" if request is not None else "OSGP request, sealed"
    request = _asked(known)
    if request is None:
        return "OSGP response, sealed" if len(pdu) > 1 else f"OSGP {answer_text(pdu, None)}"
    return f"OSGP {answer_text(pdu, request)}"


def clear_pdu(place: Place, known: Known) -> bytes:
    """The PDU as somebody opened it, else as it stands there."""
    return known.pdu if known.pdu is not None else place.apdu[1 : -TAG if place.answer else -TAG - SEQUENCE]


def _asked(known: Known) -> TableRequest | None:
    """The request that is answered, when it can be read."""
    if known.asked_pdu is not None:
        return request_of(known.asked_pdu, True)
    return None if known.asked is None else request_of(known.asked[1 : -TAG - SEQUENCE])


def osgp_layers(place: Place, known: Known = NOTHING) -> tuple[Layer, ...]:
    """Layers of an OSGP message."""
    apdu, at = place.apdu, place.at
    if len(apdu) < LEAST[place.answer]:
        shell = [Field("octets", hexadecimal(apdu), at, at + len(apdu))]
        return (Layer("OSGP", at, at + len(apdu), tuple(shell), "shorter than a message"),)
    tail = len(apdu) - TAG
    end = tail if place.answer else tail - SEQUENCE
    shell = [Field("message code", "0x00", at, at + 1, "OSGP")]
    if known.pdu is not None:
        shell.append(Field("PDU", f"{end - 1} octets", at + 1, at + end, known.how))
    pdu = clear_pdu(place, known)
    context = known.context
    inner = _answer(pdu, at + 1, _asked(known), context) if place.answer else _request(pdu, at + 1, known)
    if inner is None:
        shell.append(Field("PDU", hexadecimal(apdu[1:end]), at + 1, at + end, "encrypted, or no table service"))
    if not place.answer:
        number = int.from_bytes(apdu[end:tail], "big")
        shell.append(Field("sequence number", str(number), at + end, at + tail, "rises with every request: no replay"))
    shell.append(Field("digest or tag", apdu[tail:].hex(" "), at + tail, at + len(apdu), "proves who sent it"))
    name = "OSGP response" if place.answer else "OSGP request"
    layers = [Layer(name, at, at + len(apdu), tuple(shell))]
    return tuple(layers if inner is None else [*layers, *inner])


def request_of(pdu: bytes, certain: bool = False) -> TableRequest | None:
    """A request PDU, None when it is none: then it is encrypted, or noise.

    Unless it is certain that the PDU is in clear, one for a table that nobody knows is taken for noise, too.
    """
    try:
        request = osgp.decode_request(pdu)
    except osgp.OsgpError:
        return None
    number = getattr(request, "table", None)
    return request if certain or number is None or _spec(number) is not None else None


def _spec(number: int) -> TableSpec | None:
    """The specification of a table, None when it is not known."""
    try:
        return osgp.table(number)
    except osgp.OsgpError:
        return None


def request_text(request: TableRequest) -> str:
    """A request in words."""
    name = _words(type(request).__name__)
    if not hasattr(request, "table"):
        return name
    text = f"{name} {osgp.table_id(request.table)}"
    offset = getattr(request, "offset", 0)
    if offset:
        text += f" from {offset}"
    size = getattr(request, "count", None)
    data = getattr(request, "data", None)
    count = len(data) if data is not None else size
    return text if count is None else f"{text}, {count} {'elements' if isinstance(request, IndexedRead) else 'octets'}"


def answer_text(pdu: bytes, request: TableRequest | None) -> str:
    """An answer in words."""
    try:
        result = osgp.ResultCode(pdu[0])
    except (ValueError, IndexError):
        return "sealed"
    if result is not osgp.ResultCode.OK:
        return result.name.replace("_", " ").lower()
    if request is None or not hasattr(request, "table"):
        return "ok"
    return f"ok, {osgp.table_id(request.table)}" + (f", {len(pdu) - 3} octets" if isinstance(request, ReadRequest) else "")


def _request(pdu: bytes, at: int, known: Known) -> list[Layer] | None:
    request = request_of(pdu, known.pdu is not None)
    if request is None:
        return None
    found = [Field("service", f"0x{pdu[0]:02x}", at, at + 1, _words(type(request).__name__))]
    if hasattr(request, "table"):
        spec = _spec(request.table)
        found.append(Field("table", osgp.table_id(request.table), at + 1, at + 3, "not known" if spec is None else spec.name))
    place = at + 3
    if isinstance(request, IndexedRead | IndexedWrite):
        found.append(Field("indices", ", ".join(map(str, request.indices)), place, place + 2 * len(request.indices)))
        place += 2 * len(request.indices)
    elif hasattr(request, "offset"):
        found.append(Field("offset", str(request.offset), place, place + 3))
        place += 3
    data: bytes | None = getattr(request, "data", None)
    if data is not None:
        found.append(Field("count", str(len(data)), place, place + 2))
        found.append(Field("data", hexadecimal(data), place + 2, at + len(pdu)))
    elif hasattr(request, "count"):
        found.append(Field("count", str(request.count), place, place + 2))
    layers = [Layer("Table service", at, at + len(pdu), tuple(found))]
    if data and not isinstance(request, IndexedWrite):
        layers += _table(request, data, place + 2, known.context)
    return layers


def _answer(pdu: bytes, at: int, request: TableRequest | None, context: osgp.Context | None) -> list[Layer] | None:
    if request is None:
        return None
    try:
        response = osgp.Response.decode(pdu, request)
    except osgp.OsgpError:
        return None
    found = [Field("result", f"0x{pdu[0]:02x}", at, at + 1, response.result.name.replace("_", " ").lower())]
    found.append(Field("answers", request_text(request), at, at + 1))
    if response.sequence is not None:
        found.append(Field("last sequence number", str(response.sequence), at + 1, at + 5))
    if response.data is None:
        return [Layer("Table service", at, at + len(pdu), tuple(found))]
    found.append(Field("count", str(len(response.data)), at + 1, at + 3))
    found.append(Field("data", hexadecimal(response.data), at + 3, at + len(pdu)))
    layers = [Layer("Table service", at, at + len(pdu), tuple(found))]
    if response.data and not isinstance(request, IndexedRead):
        layers += _table(request, response.data, at + 3, context)
    return layers


def _table(request: TableRequest, data: bytes, at: int, context: osgp.Context | None) -> list[Layer]:
    """The fields of the table that these octets are."""
    number: int | None = getattr(request, "table", None)
    if number is None:
        return []
    first: int = getattr(request, "offset", 0)
    spec = _spec(number)
    if spec is None:
        return []
    try:
        rows = explain(spec, context or osgp.Context(), data, first=first)
    except osgp.OsgpError as error:
        return [Layer(f"{spec.id} {spec.name}", at, at + len(data), (), str(error))]
    shown = [row for row in rows if row.value is not None and row.offset is not None][:MAX_ROWS]
    found = tuple(
        Field(f"{row.place} {row.path}", str(row.value), at + (row.offset or 0) - first,
              at + (row.offset or 0) - first + max(1, row.size or 1), row.note or row.meaning)
        for row in shown
    )  # fmt: skip
    needs = ", ".join(sorted(spec.depends_on()))
    problem = f"its fields depend on {needs} of this meter, which have not been seen" if needs else "no field in these octets"
    problem = "" if shown else problem
    return [Layer(f"{spec.id} {spec.name}", at, at + len(data), found, problem)]


def commissioning_layer(place: Place, asked: bytes | None) -> Layer | None:
    """A step of an AES commissioning, None when the APDU is none."""
    apdu, at = place.apdu, place.at
    if commissioning_step(apdu) is None or (place.answer and commissioning_step(asked or b"") is None):
        return None
    found = (
        Field("message code", f"0x{apdu[0]:02x}", at, at + 1, "commissioning of the AES profile"),
        Field("step", str(apdu[1]), at + 1, at + 2, STEPS[apdu[1]]),
        Field("nonce and proof", hexadecimal(apdu[2:]), at + 2, at + len(apdu), "fresh keys follow from both sides' nonces"),
    )
    return Layer("OSGP commissioning", at, at + len(apdu), found)


def commissioning_step(apdu: bytes) -> str | None:
    """The step of an AES commissioning, None when the APDU is none."""
    if len(apdu) < 2 + NONCE_OCTETS or apdu[0] != 0x01:
        return None
    return STEPS.get(apdu[1])


def _words(name: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
