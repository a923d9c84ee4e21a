"""What somebody who listens to a line learns about its meters: nothing is sent, no key is known but the published test keys.

    frames --> requests and answers by meter --> OMA: tables in clear; RC4: key streams; AES: sizes --> findings
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final

import mac
import osgp
from mac import management
from osgp.concentrator.reading import build_reading
from osgp.security.apdu import SHORTEST_REQUEST
from osgp.security.commissioning import CHALLENGE, HELLO, overheard
from osgp.security.rc4 import packet_key, plc_base_key, rc4

from .overheard import Heard

RC4_MESSAGES: Final = 90_000  # that give an RC4 key away, eprint 2016/455
SEQUENCE_STEP: Final = 64  # numbers of consecutive requests that lie closer are in clear
ID_OCTETS: Final = 6
Write = osgp.FullWrite | osgp.PartialWrite
Request = osgp.FullRead | osgp.PartialRead | osgp.FullWrite | osgp.PartialWrite


class Protection(StrEnum):
    """How a meter's messages turned out to be protected."""

    OMA = "oma"
    RC4 = "rc4"
    AES = "aes"
    UNKNOWN = "unknown"  # too few messages to tell


class Severity(StrEnum):
    """What a finding means."""

    READ = "read"  # the listener reads or can read
    WEAK = "weak"  # a construction that does not hold
    SEEN = "seen"  # what no encryption hides


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was learnt, in a sentence."""

    severity: Severity
    text: str


@dataclass(frozen=True, slots=True)
class MeterAudit:
    """What was learnt about one meter.

    Attributes:
        address: subnet/node.    unique_node_id: hex, "" when it was not heard.    protection: see `Protection`.
        requests, answers: OSGP messages.    tables: octets read in clear by table.    writes: tables written in clear.
        reading: what the octets say, None when nothing was in clear.    findings: sentences.
    """

    address: str
    unique_node_id: str
    protection: Protection
    requests: int
    answers: int
    tables: dict[str, int]
    writes: tuple[str, ...]
    reading: osgp.Reading | None
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class _Meter:
    link: osgp.Link
    requests: list[bytes] = field(default_factory=list)  # APDUs, repeats left out
    answers: dict[bytes, list[bytes]] = field(default_factory=dict)  # by request
    pair: tuple[bytes, bytes] | None = None  # hello and challenge of a commissioning
    commissionings: int = 0


class Eavesdropper:
    """Listens to frames; `audits()` at the end.

    Attributes:
        frames: heard.    unreadable: that are no LPDU.    management: network management messages, all in clear.
    """

    def __init__(self) -> None:
        self.frames = self.unreadable = self.management = 0
        self._meters: dict[osgp.Link, _Meter] = {}
        self._ids: dict[osgp.Link, bytes] = {}
        self._keys_in_clear: set[bytes] = set()
        self._open: dict[tuple[mac.DomainId, str, str, int], bytes] = {}  # last request by client, meter, number
        self._first = self._last = 0.0

    @property
    def duration_s(self) -> float:
        """From the first frame to the last."""
        return self._last - self._first

    def hear(self, heard: Heard) -> None:
        """Take one frame. Never raises for what is in it."""
        self._first = heard.at if not self.frames else min(self._first, heard.at)
        self._last = max(self._last, heard.at)
        self.frames += 1
        try:
            npdu = mac.Lpdu.decode(heard.lpdu).npdu
        except mac.DecodeError:
            self.unreadable += 1
            return
        pdu = npdu.pdu
        if not isinstance(pdu, mac.Spdu) or not pdu.apdu:
            return
        if pdu.type is mac.SpduType.REQUEST:
            self._request(npdu, pdu)
        elif pdu.type is mac.SpduType.RESPONSE and isinstance(npdu.destination, mac.SubnetNode):
            asked = self._open.get((npdu.domain, str(npdu.destination), str(npdu.source), pdu.number))
            if asked is not None and isinstance(npdu.source, mac.SubnetNode):
                self._answer(self._meter(npdu.source, npdu.domain), asked, pdu.apdu)

    def _meter(self, address: mac.SubnetNode, domain: mac.DomainId) -> _Meter:
        link = osgp.Link(address.subnet, address.node, domain.octets)
        return self._meters.setdefault(link, _Meter(link))

    def _request(self, npdu: mac.Npdu, pdu: mac.Spdu) -> None:
        code, to = pdu.apdu[0], npdu.destination
        if code >= 0x50:
            self.management += 1
            self._learn_id(npdu, pdu.apdu)
        if code not in (osgp.security.apdu.MESSAGE_CODE, osgp.security.COMMISSIONING_CODE) or not isinstance(to, mac.SubnetNode):
            return
        meter = self._meter(to, npdu.domain)
        self._open[npdu.domain, str(npdu.source), str(to), pdu.number] = pdu.apdu
        if code == osgp.security.apdu.MESSAGE_CODE and pdu.apdu not in meter.answers:
            meter.requests.append(pdu.apdu)
            meter.answers[pdu.apdu] = []

    def _learn_id(self, npdu: mac.Npdu, apdu: bytes) -> None:
        """Update Domain names id and address of a meter, and has room for a key."""
        if apdu[0] != management.UpdateDomain.CODE or not isinstance(npdu.destination, mac.UniqueId):
            return
        try:
            entry = management.UpdateDomain.decode(apdu).entry
        except mac.DecodeError:
            return
        if entry is None:
            return
        identifier = npdu.destination.unique_node_id
        self._ids[osgp.Link(entry.subnet, entry.node, entry.domain.octets)] = identifier
        if any(entry.key) and set(entry.key) != {0xFF}:
            self._keys_in_clear.add(identifier)

    @staticmethod
    def _answer(meter: _Meter, asked: bytes, answer: bytes) -> None:
        if asked[0] == osgp.security.COMMISSIONING_CODE:
            if asked[1:2] == bytes((HELLO,)) and answer[:2] == bytes((asked[0], CHALLENGE)):
                meter.pair = asked, answer
                meter.commissionings += 1
        elif answer not in meter.answers[asked]:
            meter.answers[asked].append(answer)

    def audits(self) -> list[MeterAudit]:
        """What was learnt, by address."""
        order = sorted(self._meters.values(), key=lambda meter: (meter.link.domain, meter.link.subnet, meter.link.node))
        return [self._audit(meter) for meter in order if meter.requests or meter.commissionings]

    def _audit(self, meter: _Meter) -> MeterAudit:
        link, identifier = meter.link, self._ids.get(meter.link, b"")
        protection = _protection(meter)
        tables: dict[str, bytearray] = {}
        writes: list[str] = []
        reading = None
        findings: list[Finding] = []
        if protection is Protection.OMA:
            _read_in_clear(meter, tables, writes)
            reading = _reading(tables, identifier, link)
            findings += _oma_findings(meter, tables, writes)
        elif protection is Protection.RC4:
            findings += _rc4_findings(meter)
        elif protection is Protection.AES:
            findings += _aes_findings(meter, identifier)
        if identifier in self._keys_in_clear:
            findings.append(Finding(Severity.READ, "its EN 14908 authentication key was sent in clear (Update Domain)"))
        if identifier:
            findings.append(Finding(Severity.SEEN, "network management is in clear: its unique node id and its address"))
        sizes = {name: len(octets) for name, octets in tables.items()}
        answers = sum(map(len, meter.answers.values()))
        return MeterAudit(
            f"{link.subnet}/{link.node}", identifier.hex(), protection, len(meter.requests), answers, sizes,
            tuple(dict.fromkeys(writes)), reading, tuple(findings),
        )  # fmt: skip


def _table_request(apdu: bytes) -> Request | None:
    """The request in an APDU when it is in clear and for a table that is known."""
    if len(apdu) < SHORTEST_REQUEST:
        return None
    try:
        request = osgp.decode_request(apdu[1:-12])
        if not isinstance(request, Request):
            return None
        osgp.table(osgp.table_id(request.table))
    except (osgp.OsgpError, KeyError):
        return None
    return request


def _protection(meter: _Meter) -> Protection:
    if meter.commissionings:
        return Protection.AES
    readable = sum(_table_request(apdu) is not None for apdu in meter.requests)
    if 2 * readable > len(meter.requests):
        return Protection.OMA
    numbers = [int.from_bytes(apdu[-12:-8], "big") for apdu in meter.requests if len(apdu) >= SHORTEST_REQUEST]
    steps = [(b - a) % (1 << 32) for a, b in pairwise(numbers)]
    if not steps:
        return Protection.UNKNOWN
    close = sum(1 <= step <= SEQUENCE_STEP for step in steps)
    return Protection.AES if 2 * close > len(steps) else Protection.RC4


def _read_in_clear(meter: _Meter, tables: dict[str, bytearray], writes: list[str]) -> None:
    for apdu in meter.requests:
        request = _table_request(apdu)
        if request is None:
            continue
        name = osgp.table_id(request.table)
        if isinstance(request, Write):
            writes.append(name)
            continue
        offset = request.offset if isinstance(request, osgp.PartialRead) else 0
        for answer in meter.answers[apdu]:
            try:
                data = osgp.Response.decode(answer[1:-8], request).data
            except osgp.OsgpError:
                continue
            if data is not None:
                octets = tables.setdefault(name, bytearray())
                octets.extend(bytes(max(0, offset + len(data) - len(octets))))
                octets[offset : offset + len(data)] = data


def _reading(tables: dict[str, bytearray], identifier: bytes, link: osgp.Link) -> osgp.Reading | None:
    if not tables:
        return None
    context = osgp.Context({name: bytes(octets) for name, octets in tables.items()})
    try:
        return build_reading(context, tuple(tables), (), identifier or bytes(ID_OCTETS), (link.subnet, link.node), 0.0)
    except (osgp.OsgpError, KeyError):
        return None


def _oma_findings(meter: _Meter, tables: dict[str, bytearray], writes: list[str]) -> list[Finding]:
    findings: list[Finding] = []
    if tables:
        octets = sum(map(len, tables.values()))
        findings.append(Finding(Severity.READ, f"{len(tables)} tables read along, {octets} octets: {', '.join(tables)}"))
    if writes:
        findings.append(Finding(Severity.READ, f"what was written: {', '.join(dict.fromkeys(writes))}"))
    pairs = len(meter.requests) + sum(map(len, meter.answers.values()))
    findings += [
        Finding(
            Severity.WEAK,
            f"{pairs} messages with their digests: one of them and a device that says which digests of whole blocks (144 octets) "
            "are right give the key away in 96 questions, a device that tells digests in 13 or fewer (eprint 2015/428)",
        ),
        Finding(Severity.WEAK, "no nonce in the digest: equal messages have equal digests, and zeroes at the end change nothing"),
    ]
    factory = osgp.OmaSuite(osgp.Key.omak())
    if any(_opens(factory, apdu, meter.link) for apdu in meter.requests):
        findings.append(Finding(Severity.READ, "the factory key 12 x DF opens it: anybody can read, write and switch it"))
    return findings


def _opens(suite: osgp.OmaSuite, apdu: bytes, link: osgp.Link) -> bool:
    try:
        suite.open_request(apdu, link)
    except osgp.OsgpError:
        return False
    return True


def _rc4_findings(meter: _Meter) -> list[Finding]:
    messages = len(meter.requests)
    share = f"{100.0 * messages / RC4_MESSAGES:.2g} % of the {RC4_MESSAGES} that give it away (eprint 2016/455)"
    findings = [
        Finding(Severity.WEAK, f"{messages} key streams under one base key with their digests in clear, {share}"),
        Finding(Severity.WEAK, "digest and cipher share their key: the attacks on the digest open the cipher"),
    ]
    reused = sum(len(answers) > 1 for answers in meter.answers.values())
    by_digest = Counter(apdu[-8:] for apdu in meter.requests)
    reused += sum(count - 1 for count in by_digest.values() if count > 1)
    if reused:
        findings.append(Finding(Severity.READ, f"{reused} key streams served twice: the difference of the messages is in clear"))
    base = plc_base_key(osgp.Key.omak().reveal())
    opened = sum(_decrypts(base, apdu) for apdu in meter.requests)
    if 2 * opened > messages:
        findings.append(Finding(Severity.READ, "the factory key 12 x DF decrypts it"))
    return findings


def _decrypts(base: bytes, apdu: bytes) -> bool:
    clear = rc4(packet_key(base, apdu[-8:]), apdu[1:-8])
    return _table_request(apdu[:1] + clear + apdu[-8:]) is not None


def _aes_findings(meter: _Meter, identifier: bytes) -> list[Finding]:
    sizes = {(len(apdu), *sorted(map(len, meter.answers[apdu]))) for apdu in meter.requests}
    findings = [
        Finding(Severity.SEEN, "no table, no value, no command: addresses, times, sequence numbers and sizes of messages"),
        Finding(Severity.SEEN, f"{len(sizes)} pairs of sizes: a guess at which tables are read, not at what is in them"),
    ]
    if meter.pair is not None and identifier and overheard(osgp.Key.psk(), identifier, meter.link, *meter.pair) is not None:
        text = "the published test key of this project is in use, which decrypts everything: give each meter a PSK of its own"
        findings.append(Finding(Severity.READ, text))
    return findings


def eavesdrop(frames: Iterable[Heard]) -> Eavesdropper:
    """Listen to all of them."""
    listener = Eavesdropper()
    for frame in frames:
        listener.hear(frame)
    return listener
