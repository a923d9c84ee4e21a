"""What a listener learns from packet to packet: which request an answer belongs to, the meters' tables, what is sealed.

Nothing here sends. Keys never leave: not in a repr, not in what is shown.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import mac
import osgp
from osgp.security.commissioning import CHALLENGE, COMMISSIONING_CODE, HELLO, NONCE_OCTETS
from osgp.security.exchange import Exchange, Suite
from osgp.services import FullRead, PartialRead

from .fields import CRC_OCTETS, NOTHING, OSGP_CODE, Known, apdu_of
from .osgp_fields import clear_pdu, request_of

REQUESTS_KEPT: Final = 1024
METERS_KEPT: Final = 256
TABLES_KEPT: Final = 64  # of one meter
SUITES_KEPT: Final = 4  # commissionings of one meter that count, as the meter itself keeps them

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class MeterSecrets:
    """Keys of one meter, as a graph names them.    unique_node_id: its 6 octets."""

    unique_node_id: bytes
    omak: osgp.Key = field(repr=False)
    psk: osgp.Key = field(repr=False)


@dataclass(slots=True)
class _Asked:
    apdu: bytes
    destination: mac.SubnetNode | None
    pdu: bytes | None = None
    exchange: Exchange | None = None
    how: str = ""


@dataclass(slots=True)
class _Meter:
    context: osgp.Context = field(default_factory=osgp.Context)
    tables: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    suites: list[osgp.AesSuite] = field(default_factory=list, repr=False)
    nonce: bytes = b""


def _kept(store: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> Value:
    """Put at the end, and drop the oldest when there are too many."""
    store[key] = value
    store.move_to_end(key)
    while len(store) > most:
        store.popitem(last=False)
    return value


class Listener:
    """Hears the packets of a line one by one.

    Args:
        secrets: keys of the meters, when the one who listens has them.    rc4: whether messages of that suite are tried, too.
    """

    def __init__(self, secrets: Iterable[MeterSecrets] = (), rc4: bool = False) -> None:
        self._secrets = tuple(secrets)
        keys = {meter.omak.reveal(): meter.omak for meter in self._secrets}
        oma = "OMA digest, right: weak, nothing encrypted"
        self._old: list[tuple[Suite, str]] = [(osgp.OmaSuite(key), oma) for key in keys.values()]
        if rc4:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", osgp.WeakSecurityWarning)
                self._old += [(osgp.Rc4Suite(key), "RC4, decrypted with the graph's key: broken") for key in keys.values()]
        self._requests: OrderedDict[tuple[bytes, str, int], _Asked] = OrderedDict()
        self._meters: OrderedDict[tuple[bytes, mac.SubnetNode], _Meter] = OrderedDict()

    def hear(self, lpdu: bytes) -> Known:
        """What is known about a good packet, from those before it.    lpdu: with CRC."""
        body = lpdu[:-CRC_OCTETS]
        try:
            decoded = mac.Lpdu.decode(body)
        except mac.DecodeError:
            return NOTHING
        npdu, pdu = decoded.npdu, decoded.npdu.pdu
        place = apdu_of(decoded, len(body))
        if place is None or not isinstance(pdu, mac.Spdu):
            return NOTHING
        domain = npdu.domain.octets
        if not place.answer:
            to = npdu.destination if isinstance(npdu.destination, mac.SubnetNode) else None
            asked = _Asked(place.apdu, to)
            _kept(self._requests, (domain, str(npdu.source), pdu.number), asked, REQUESTS_KEPT)
            if to is None:
                return NOTHING
            meter = self._meter(domain, to)
            if place.apdu[0] == OSGP_CODE:
                self._open(asked, meter, osgp.Link(to.subnet, to.node, domain))
            elif place.apdu[:2] == bytes((COMMISSIONING_CODE, HELLO)):
                meter.nonce = place.apdu[2 : 2 + NONCE_OCTETS]
            return Known(pdu=asked.pdu, context=meter.context, how=asked.how)
        address = npdu.destination.address if isinstance(npdu.destination, mac.GroupReply) else npdu.destination
        answered = self._requests.get((domain, str(address), pdu.number))
        if answered is None or (answered.destination is not None and answered.destination != npdu.source):
            return NOTHING
        meter = self._meter(domain, npdu.source)
        known = self._answer(place.apdu, answered, meter, osgp.Link(npdu.source.subnet, npdu.source.node, domain))
        self._learn(known, answered, meter, clear_pdu(place, known))
        return known

    def _meter(self, domain: bytes, address: mac.SubnetNode) -> _Meter:
        key = (domain, address)
        return _kept(self._meters, key, self._meters.get(key) or _Meter(), METERS_KEPT)

    def _open(self, asked: _Asked, meter: _Meter, link: osgp.Link) -> None:
        """Try the keys on a request."""
        sealed = [(suite, f"opened with the graph's key: {suite.name}") for suite in reversed(meter.suites)]
        for suite, how in [*sealed, *self._old]:
            try:
                asked.exchange = suite.open_request(asked.apdu, link)
            except osgp.OsgpError:
                continue
            asked.pdu, asked.how = asked.exchange.pdu, how
            return

    def _answer(self, apdu: bytes, asked: _Asked, meter: _Meter, link: osgp.Link) -> Known:
        known = Known(asked.apdu, None, asked.pdu, meter.context, asked.how)
        if asked.exchange is not None:
            try:
                return Known(asked.apdu, asked.exchange.open_response(apdu), asked.pdu, meter.context, asked.how)
            except osgp.OsgpError:
                return Known(asked.apdu, None, asked.pdu, meter.context, "its digest or tag is wrong")
        if apdu[:2] == bytes((COMMISSIONING_CODE, CHALLENGE)) and meter.nonce:
            nonces = meter.nonce + apdu[2 : 2 + NONCE_OCTETS]
            for secret in self._secrets:  # whose place this is shows when its request opens
                meter.suites.append(osgp.AesSuite(secret.psk, secret.unique_node_id, link, nonces))
            del meter.suites[: -SUITES_KEPT * max(1, len(self._secrets))]
        return known

    @staticmethod
    def _learn(known: Known, asked: _Asked, meter: _Meter, pdu: bytes) -> None:
        """Remember a table that was read from its beginning: others are laid out by it."""
        request = request_of(asked.apdu[1:-12]) if asked.pdu is None else request_of(asked.pdu, True)
        if not isinstance(request, FullRead) and not (isinstance(request, PartialRead) and request.offset == 0):
            return
        try:
            response = osgp.Response.decode(pdu, request)
        except osgp.OsgpError:
            return
        name = osgp.table_id(request.table)
        if response.data and len(response.data) >= len(meter.tables.get(name, b"")):
            meter.tables[name] = response.data
            meter.context.put(name, response.data)
            while len(meter.tables) > TABLES_KEPT:
                meter.context.forget(meter.tables.popitem(last=False)[0])
