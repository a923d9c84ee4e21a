"""Random frames of every PDU and address format as tshark reads them: truth from a decoder that shares nothing with ours.

Known to be odd in tshark 4.0.17, and compared accordingly: format 2b shows its destination subnet as a group; type and address
format of an AuthPDU are masked wrongly; of a foreign frame's code half is shown; 12-bit transaction numbers are unknown.
"""

import shutil
import subprocess
from random import Random

import pytest

from flowgraphs.capture import CapturedPacket, write_capture
from mac import (
    Apdu,
    AuthPdu,
    AuthPduType,
    Broadcast,
    DomainId,
    Group,
    GroupReply,
    Lpdu,
    LpduHeader,
    Npdu,
    Spdu,
    SpduType,
    SubnetNode,
    Tpdu,
    TpduType,
    UniqueId,
)

TSHARK = shutil.which("tshark")
FIELDS = (
    *("prio", "alt_path", "delta_bl", "vers", "pdufmt", "addrfmt", "domainlen", "srcnet", "srcnode"),
    *("dstnet", "dstnode", "dstgrp", "grp", "grpmem", "uid", "domain"),
    *("tpdu_type", "spdu_type", "spdu.mlen", "trans_no", "auth", "code", "nv.dir", "nv.selector"),
)


def random_pdu(draw, address_format):
    code = draw.choice([*range(0x7F), *range(0x80, 0x100)])  # 7F is dissected further, which is not the point here
    apdu = bytes([code]) + draw.randbytes(draw.randrange(1, 20))
    number, auth = draw.randrange(16), draw.random() < 0.5
    match draw.randrange(4):
        case 0 | 1 as family:
            pdu, kinds = ((Tpdu, TpduType), (Spdu, SpduType))[family]
            kind = draw.choice(list(kinds))
            limit = {"REMINDER": 8, "REM_MSG": 2}.get(kind.name)
            m_list = b"" if limit is None else draw.randbytes(draw.randrange(limit + 1))
            return pdu(kind, number, auth, b"" if kind.name in ("ACK", "REMINDER") else apdu, m_list)
        case 2:
            group = draw.randrange(256) if address_format == 1 else None
            return AuthPdu(draw.choice(list(AuthPduType)), number, address_format, draw.randbytes(8), group)
    return Apdu.decode(apdu)


def random_frame(draw):
    address = SubnetNode(draw.randrange(256), draw.randrange(128))
    destination = draw.choice(
        (
            address,
            Broadcast(draw.randrange(256)),
            Group(draw.randrange(256)),
            GroupReply(address, draw.randrange(256), draw.randrange(64)),
            UniqueId(draw.randbytes(6), draw.randrange(256)),
        )
    )
    header = LpduHeader(draw.random() < 0.5, draw.random() < 0.5, draw.randrange(64))
    domain = DomainId(draw.randbytes(draw.choice((1, 3, 6))))
    source = SubnetNode(draw.randrange(256), draw.randrange(128))
    return Lpdu(header, Npdu(source, destination, domain, random_pdu(draw, draw.randrange(4))))


def expected(lpdu):
    """The fields, as numbers and octets; those that do not occur are left out."""
    header, npdu = lpdu.header, lpdu.npdu
    to, pdu = npdu.destination, npdu.pdu
    fields = {
        "prio": header.priority,
        "alt_path": header.alt_path,
        "delta_bl": header.delta_backlog,
        "vers": npdu.version,
        "pdufmt": [Tpdu, Spdu, AuthPdu, Apdu].index(type(pdu)),
        "addrfmt": to.FORMAT,
        "domainlen": [0, 1, 3, 6].index(len(npdu.domain.octets)),
        "srcnet": npdu.source.subnet,
        "srcnode": npdu.source.node,
        "domain": npdu.domain.octets.hex(),
    }
    match to:
        case SubnetNode(subnet, node):
            fields |= {"dstnet": subnet, "dstnode": node}
        case Broadcast(subnet):
            fields |= {"dstnet": subnet}
        case Group(group):
            fields |= {"dstgrp": group}
        case GroupReply(address, group, member):
            fields |= {"dstgrp": address.subnet, "dstnode": address.node, "grp": group, "grpmem": member}
        case UniqueId(octets, subnet):
            fields |= {"dstnet": subnet, "uid": octets.hex()}
    apdu = pdu.encode() if isinstance(pdu, Apdu) else getattr(pdu, "apdu", b"")
    if apdu and apdu[0] < 0x80:
        fields |= {"code": apdu[0] & 0x0F if 0x40 <= apdu[0] < 0x50 else apdu[0]}
    elif apdu:
        fields |= {"nv.dir": apdu[0] >> 6 & 1, "nv.selector": (apdu[0] & 0x3F) << 8 | apdu[1]}
    if isinstance(pdu, AuthPdu):
        return fields | {"trans_no": pdu.number}
    if not isinstance(pdu, Apdu):
        fields |= {"trans_no": pdu.number, "auth": pdu.auth, f"{'tpdu' if isinstance(pdu, Tpdu) else 'spdu'}_type": pdu.type}
        if pdu.type in (TpduType.REMINDER, TpduType.REM_MSG):
            fields |= {"spdu.mlen": len(pdu.m_list)}
    return fields


def read_by_tshark(path):
    """One dict per frame, of the fields that occur."""
    command = [TSHARK, "-r", str(path), "-T", "fields", "-E", "separator=;", *(a for f in FIELDS for a in ("-e", f"lon.{f}"))]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    rows = (dict(zip(FIELDS, line.split(";"), strict=True)) for line in lines)
    octets = ("uid", "domain")
    return [{f: v if f in octets else int(v, 0) for f, v in row.items() if v} for row in rows]


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
def test_tshark_reads_what_we_wrote(tmp_path):
    draw = Random(14908)
    lpdus = [random_frame(draw) for _ in range(600)]
    write_capture(tmp_path / "frames.pcap", [CapturedPacket(float(i), lpdu.encode(), 0) for i, lpdu in enumerate(lpdus)])
    found = read_by_tshark(tmp_path / "frames.pcap")
    assert len(found) == len(lpdus)
    for lpdu, fields in zip(lpdus, found, strict=True):
        assert fields == expected(lpdu), lpdu
        assert Lpdu.decode(lpdu.encode()) == lpdu
