"""What a listener learns from exchanges whose protection is known, from every kind of file."""

import json
from random import Random

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mac
import osgp
from flowgraphs.audit import Protection, Severity, eavesdrop
from flowgraphs.capture import CapturedPacket, encode_capture, write_capture
from flowgraphs.cli import run
from flowgraphs.overheard import Heard, read_capture
from mac import management
from osgp.concentrator.session import Session

pytestmark = pytest.mark.filterwarnings("ignore::osgp.WeakSecurityWarning")
DOMAIN, CLIENT, METER, ID = mac.DomainId(b"OSG"), mac.SubnetNode(1, 1), mac.SubnetNode(1, 10), bytes.fromhex("0002a1001003")
OWN = {"omak": osgp.Key.omak(bytes(range(12))), "psk": osgp.Key.psk(bytes(range(16)))}


def lpdu(source, destination, pdu):
    return mac.Lpdu(mac.LpduHeader(), mac.Npdu(source, destination, DOMAIN, pdu)).encode()


def exchanges(mode, keys=None, read_set=("BT01", "BT22", "BT23"), key=b""):
    """Frames of a reading: the address is given, then every request and its answer, each request once more."""
    keys = keys or {"omak": osgp.Key.omak(), "psk": osgp.Key.psk()}
    meter = osgp.Meter(
        osgp.MeterConfig(
            unique_node_id=ID, security=mode, key=keys["omak"], psk=keys["psk"], entropy=Random(1).randbytes, serial="4711",
            initial_registers={"forward_active_wh": 123_456},
        )
    )  # fmt: skip
    config = osgp.ConcentratorConfig(
        security=mode, key=keys["omak"], psk=keys["psk"], domain=DOMAIN.octets, read_set=read_set, entropy=Random(2).randbytes
    )
    session = Session(config.security_of(ID), config, guess=0xDEAD)
    session.begin()
    entry = mac.DomainEntry(DOMAIN, METER.subnet, METER.node, **({"key": key} if key else {}))
    update = management.UpdateDomain(0, entry).encode()
    frames = [lpdu(CLIENT, mac.UniqueId(ID), mac.Spdu(mac.SpduType.REQUEST, 15, apdu=update))]
    number = 0
    while not session.finished:
        number = number % 15 + 1
        request = session.request(METER.subnet, METER.node)
        answer = meter.receive_request(request, METER.subnet, METER.node, float(len(frames)), domain=DOMAIN.octets)
        session.receive(answer, METER.subnet, METER.node)
        asked = lpdu(CLIENT, METER, mac.Spdu(mac.SpduType.REQUEST, number, apdu=request))
        frames += [asked, asked, lpdu(METER, CLIENT, mac.Spdu(mac.SpduType.RESPONSE, number, apdu=answer))]
    return [Heard(0.1 * k, octets) for k, octets in enumerate(frames)]


def audit(*arguments, **options):
    (found,) = eavesdrop(exchanges(*arguments, **options)).audits()
    return found


def texts(found, severity):
    return " / ".join(finding.text for finding in found.findings if finding.severity is severity)


def test_oma_is_read_along_to_the_last_register():
    found = audit("oma", OWN)
    assert (found.protection, found.address, found.unique_node_id) == (Protection.OMA, "1/10", ID.hex())
    assert {"BT01": 24, "BT21": 10, "BT22": 11, "BT23": 220}.items() <= found.tables.items() and not found.writes
    assert found.reading.serial == "4711"
    assert found.reading.registers["forward_active_wh"].value >= 123_456
    assert "factory key" not in texts(found, Severity.READ)
    assert "96 questions" in texts(found, Severity.WEAK)
    assert found.requests == found.answers >= 6  # the pieces, and one refused for its number


def test_factory_and_test_keys_are_noticed():
    assert "factory key" in texts(audit("oma"), Severity.READ)
    assert "factory key 12 x DF decrypts" in texts(audit("rc4"), Severity.READ)
    assert "published test key" in texts(audit("aes"), Severity.READ)


def test_aes_shows_sizes_and_nothing_else():
    found = audit("aes", OWN)
    assert (found.protection, found.tables, found.writes, found.reading) == (Protection.AES, {}, (), None)
    assert {finding.severity for finding in found.findings} == {Severity.SEEN}


def test_rc4_is_told_from_aes_and_its_key_streams_are_counted():
    found = audit("rc4", OWN)
    assert found.protection is Protection.RC4 and not found.tables and found.reading is None
    assert f"{found.requests} key streams" in texts(found, Severity.WEAK) and not texts(found, Severity.READ)


def test_a_key_stream_that_serves_twice_is_noticed():
    frames = exchanges("rc4", OWN)
    other = bytearray(frames[-1].lpdu)
    other[-12] ^= 1
    found = eavesdrop([*frames, frames[-2], Heard(99.0, bytes(other))]).audits()[0]
    assert "1 key streams served twice" in texts(found, Severity.READ)


def test_a_key_in_update_domain_is_read():
    assert "EN 14908 authentication key" in texts(audit("aes", OWN, key=bytes(range(6))), Severity.READ)


def test_writes_in_clear_are_told():
    suite, link = osgp.OmaSuite(OWN["omak"]), osgp.Link(1, 10, DOMAIN.octets)
    octets = suite.seal_request(osgp.PartialWrite(2051, 0, b"EVIL").encode(), 5, link).octets
    request = mac.Spdu(mac.SpduType.REQUEST, 3, apdu=octets)
    found = eavesdrop([Heard(0.0, lpdu(CLIENT, METER, request))]).audits()[0]
    assert found.writes == ("ET03",)


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_noise_is_counted_and_never_raises(noise):
    listener = eavesdrop(Heard(0.0, octets) for octets in noise)
    assert listener.frames == len(noise)
    listener.audits()


@pytest.mark.parametrize("cut", [3, 30, 100, -1])
def test_every_exchange_cut_anywhere_is_survived(cut):
    frames = [Heard(frame.at, frame.lpdu[:cut]) for frame in exchanges("oma", OWN)]
    eavesdrop(frames).audits()


def test_captures_of_every_kind_say_the_same(tmp_path):
    frames = exchanges("oma", OWN)
    packets = [CapturedPacket(frame.at, frame.lpdu, 0) for frame in frames]
    write_capture(tmp_path / "a.pcap", packets)
    write_capture(tmp_path / "b.pcapng", packets)
    with (tmp_path / "c.pcap").open("wb") as file:
        writer = dpkt.pcap.Writer(file, linktype=147)
        for frame in frames:
            writer.writepkt(frame.lpdu, ts=frame.at)
    for name in ("a.pcap", "b.pcapng", "c.pcap"):
        heard = list(read_capture(str(tmp_path / name)))
        assert [one.lpdu for one in heard] == [one.lpdu for one in frames], name
        assert heard[-1].at == pytest.approx(frames[-1].at, abs=1e-5)


def test_command_prints_json_lines_and_exits_as_it_should(tmp_path, capsys):
    write_capture(tmp_path / "oma.pcap", [CapturedPacket(frame.at, frame.lpdu, 0) for frame in exchanges("oma", OWN)])
    assert run(["audit", "--json", str(tmp_path / "oma.pcap")]) == 0
    out, err = capsys.readouterr()
    (line,) = [json.loads(line) for line in out.splitlines()]
    assert line["protection"] == "oma" and line["tables"]["BT23"] == 220 and line["reading"]["serial"] == "4711"
    assert "1 meters" in err
    assert run(["audit", str(tmp_path / "oma.pcap")]) == 0
    assert "learnt: forward_active_wh" in capsys.readouterr().out
    (tmp_path / "empty.pcap").write_bytes(encode_capture([]))
    assert run(["audit", str(tmp_path / "empty.pcap")]) == 1
    whole = (tmp_path / "oma.pcap").read_bytes()
    (tmp_path / "cut.pcap").write_bytes(whole[:10])
    assert run(["audit", str(tmp_path / "cut.pcap")]) == 2
    assert run(["audit", str(tmp_path / "missing.pcap")]) == 2
    for line in capsys.readouterr().err.splitlines()[1:]:
        assert "Traceback" not in line


def test_a_recording_of_the_line_is_listened_to(tmp_path, capsys):
    frames = [frame.lpdu.hex() for frame in exchanges("oma", OWN, read_set=("BT52",))[-3:]]
    assert run(["encode", *frames, "-o", str(tmp_path / "line.wav")]) == 0
    capsys.readouterr()
    assert run(["audit", "--json", str(tmp_path / "line.wav")]) == 0
    assert json.loads(capsys.readouterr().out)["tables"] == {"BT52": 7}
