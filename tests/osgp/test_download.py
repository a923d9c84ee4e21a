"""Firmware download: bitmap, resume, signature and MAC, code banks, what happens to bad images."""

import datetime
import random
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from osgp import AccessLevel, DecodeError, FullRead, FullWrite, Meter, MeterConfig, Port, ResultCode, SecurityMode, Session, table
from osgp.firmware_image import ImageError, ImageKey, build_image, crc_of, decode_image
from osgp.meter import Download, ProcedureResult
from osgp.meter.journal import Journal
from osgp.security.image import image_mac

MK = Session(AccessLevel.MK, Port.OPTICAL)
PK = Session(AccessLevel.PK, Port.OPTICAL)
PLC = Session(AccessLevel.OMAK, Port.PLC)
KEYS = [ec.derive_private_key(secret, ec.SECP256R1()) for secret in (11111, 22222)]
POINTS = [key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) for key in KEYS]
BODY = random.Random(1).randbytes(5000)
VERSION = (4, 50, 7)
GOOD = build_image(VERSION, BODY, 101, KEYS[0])
SIZE = 200


def home(keys=None, **config):
    keys = keys or (ImageKey(101, POINTS[0]), ImageKey(102, POINTS[1]))
    config = {"firmware": (4, 50, 1), **config}
    return Meter(MeterConfig(start=datetime.datetime(2024, 3, 4), utc_offset=0, image_keys=keys, **config))


def run(meter, number, parameters, now, session=MK):
    run.sequence = getattr(run, "sequence", 0) % 200 + 1
    request = FullWrite(7, (2048 + number).to_bytes(2, "little") + bytes((run.sequence,)) + parameters)
    assert meter.serve(request.encode(), session, now).result is ResultCode.OK
    answer = meter.store.octets("BT08")
    return ProcedureResult(answer[3]), answer[4:6]


def begin(meter, image, now, session=MK):
    return run(meter, 90, struct.pack("<IBH", len(image), SIZE, crc_of(image)), now, session)


def packet(meter, image, number, now, session=MK):
    return run(meter, 91, number.to_bytes(2, "little") + image[SIZE * number : SIZE * number + SIZE], now, session)[0]


def load(meter, image, now=10.0, session=MK):
    begin(meter, image, now, session)
    for number in range(-(-len(image) // SIZE)):
        assert packet(meter, image, number, now, session) == 0


def finish(meter, now, action=1, when=bytes(6), mac=b"", session=MK):
    return run(meter, 92, bytes((action,)) + when + mac, now, session)


def events(meter):
    log = meter.find(Journal).history
    entries = [bytes(log.octets[14 * n : 14 * n + 14]) for n in range(log.valid)]
    found = [(int.from_bytes(one[10:12], "little") & 0xFFF, one[12]) for one in entries]
    return [one for one in found if one[0] in (36, 77, 78)]


def version(meter, now):
    values = table("BT01").decode(meter.table_octets("BT01", now))
    word = values["firmware_version"] << 8 | values["firmware_revision"]
    return word >> 12, word >> 5 & 0x7F, word & 31


def status(meter, now):
    return table("ET89").decode(meter.table_octets("ET89", now), meter.store.context)


def test_packets_in_any_order_then_switch():
    meter = home()
    count = -(-len(GOOD) // SIZE)
    assert begin(meter, GOOD, 1.0) == (0, count.to_bytes(2, "little"))
    for number in random.Random(2).sample(range(count), count):
        assert packet(meter, GOOD, number, 2.0) == packet(meter, GOOD, number, 2.0) == 0
    assert finish(meter, 3.0) == (ProcedureResult.ACCEPTED, b"\0\0")
    meter.advance(4.0)
    assert version(meter, 4.0) == VERSION and events(meter) == [(36, 0), (78, 0)]
    seen = status(meter, 5.0)
    assert (seen["last_validation_error"], seen["last_validation_key"], seen["last_image_length"]) == (0, 101, len(GOOD))
    assert seen["signature_length"] == 64 and bytes(seen["signature_head"]) == GOOD[-64:-56]
    assert seen["image_key_ids"] == (101, 102)
    assert table("ET03").decode(meter.table_octets("ET03", 5.0))["image_crc"] == decode_image(GOOD).crc
    bits = table("BT03").decode(meter.store.octets("BT03"), meter.store.context)
    assert bits["code_bank_changed"] and not bits["software_crc_error"]
    assert finish(meter, 10.0, action=4)[0] == 0 and version(meter, 11.0) == (4, 50, 1)
    assert finish(meter, 20.0, action=4)[0] == 0 and version(meter, 21.0) == VERSION


def test_a_download_is_resumed_after_a_restart_and_the_bitmap_tells_what_is_missing():
    meter = home()
    begin(meter, GOOD, 1.0)
    for number in (0, 3, 7, 25):
        packet(meter, GOOD, number, 2.0)
    assert finish(meter, 2.0)[0] is ProcedureResult.TIMING_CONSTRAINT
    again = Meter(meter.config, saved=meter.saved())
    bitmap = again.serve(FullRead(2065).encode(), MK, 3.0).data
    assert len(bitmap) == 1250 and [n for n in range(10_000) if bitmap[n // 8] >> n % 8 & 1] == [0, 3, 7, 25]
    assert begin(again, GOOD, 4.0)[1] == (26 - 4).to_bytes(2, "little")
    for number in again.find(Download).missing():
        packet(again, GOOD, number, 5.0)
    assert finish(again, 6.0)[0] is ProcedureResult.ACCEPTED
    other = build_image((4, 50, 8), BODY, 101, KEYS[0])
    assert begin(again, other, 7.0)[1] == (26).to_bytes(2, "little") and not any(again.table_octets("ET17", 7.0))


def test_the_bank_is_switched_at_its_time_across_an_outage():
    meter = home()
    load(meter, GOOD)
    assert finish(meter, 20.0, 2, bytes((24, 3, 4, 1, 0, 0)))[0] is ProcedureResult.ACCEPTED
    assert version(meter, 3599.0) == (4, 50, 1)
    meter.power_down(3599.5)
    meter.power_up(3700.0)
    assert version(meter, 3701.0) == VERSION and events(meter) == [(36, 0), (78, 0)]
    assert version(Meter(meter.config, saved=meter.saved()), 3702.0) == VERSION


def tampered(at):
    octets = bytearray(GOOD)
    octets[at] ^= 1
    return bytes(octets)


BAD = {
    "crc": (tampered(100), ImageError.UNKNOWN, 0),
    "signature": (tampered(len(GOOD) - 3), ImageError.BAD_SIGNATURE, 1),
    "unsigned": (build_image(VERSION, BODY), ImageError.NOT_SIGNED, 1),
    "unknown key": (build_image(VERSION, BODY, 7, KEYS[0]), ImageError.UNKNOWN_KEY, 1),
    "another's key": (build_image(VERSION, BODY, 102, KEYS[0]), ImageError.BAD_SIGNATURE, 1),
    "no signature data": (GOOD[:-64] + bytes(64), ImageError.BAD_SIGNATURE_DATA, 1),
    "short signature": (GOOD[:-65] + b"\x3f" + GOOD[-63:], ImageError.BAD_SIGNATURE_LENGTH, 1),
    "another release": (build_image((4, 60, 0), BODY, 101, KEYS[0]), ImageError.UNKNOWN, 0),
    "nonsense": (bytes(999), ImageError.UNKNOWN, 0),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_images_change_nothing_but_the_log(name):
    image, error, argument = BAD[name]
    meter = home()
    load(meter, image)
    assert finish(meter, 20.0) == (ProcedureResult.CONFLICTS_WITH_SETUP, bytes((error, 0)))
    assert version(meter, 30.0) == (4, 50, 1) and events(meter) == [(77, argument)]
    assert status(meter, 30.0)["last_validation_error"] == error and meter.find(Download).bank == 0
    assert table("BT03").decode(meter.store.octets("BT03"), meter.store.context)["software_crc_error"]


@pytest.mark.parametrize(("point", "error"), [
    (POINTS[0][1:], ImageError.BAD_KEY_FORMAT), (b"\x04" + bytes(64), ImageError.BAD_KEY_POINT),
])  # fmt: skip
def test_bad_keys(point, error):
    meter = home((ImageKey(101, point),))
    load(meter, GOOD)
    assert finish(meter, 20.0)[1][0] == error


def test_an_invalidated_key_no_longer_counts():
    meter = home()
    assert run(meter, 93, b"\0", 1.0)[0] == 0 and run(meter, 93, b"\2", 1.0)[0] == 2
    load(meter, GOOD)
    assert finish(meter, 20.0)[1][0] == ImageError.KEY_INVALIDATED and status(meter, 20.0)["image_key_status"] == 1
    load(meter, build_image(VERSION, BODY, 102, KEYS[1]), 30.0)
    assert finish(meter, 40.0)[0] is ProcedureResult.ACCEPTED


def test_an_image_that_rots_before_its_switch_is_not_run():
    meter = home()
    load(meter, GOOD)
    finish(meter, 20.0, 2, bytes((24, 3, 4, 1, 0, 0)))
    meter.find(Download).damage(1)
    assert version(meter, 4000.0) == (4, 50, 1) and events(meter) == [(36, 0), (77, 0)]


def test_over_the_power_line_under_aes_a_mac_is_needed():
    meter = home(security=SecurityMode.AES)
    load(meter, GOOD, session=PLC)
    assert finish(meter, 20.0, session=PLC) == (ProcedureResult.CONFLICTS_WITH_SETUP, b"\xf0\0") and events(meter) == [(77, 1)]
    load(meter, GOOD, 30.0, session=PLC)
    mac = image_mac(meter.config.psk, GOOD)
    assert finish(meter, 40.0, mac=mac, session=PLC)[0] is ProcedureResult.ACCEPTED
    load(meter, GOOD, 50.0)
    assert finish(meter, 60.0, mac=bytes(16))[0] is ProcedureResult.CONFLICTS_WITH_SETUP
    assert len(mac) == 16


def test_what_may_not_be():
    meter = home()
    assert begin(meter, GOOD, 1.0, PK)[0] is ProcedureResult.NOT_AUTHORISED
    assert packet(meter, GOOD, 0, 1.0) == 2 and finish(meter, 1.0)[0] == 4 and finish(meter, 1.0, 9)[0] == 2
    assert run(meter, 90, struct.pack("<IBH", 1 << 19, 255, 0), 1.0)[0] == 2 and finish(meter, 1.0, 4)[0] == 3
    assert run(meter, 90, struct.pack("<IBH", 20_000, 1, 0), 1.0)[0] == 2
    begin(meter, GOOD, 2.0)
    assert run(meter, 91, b"\0\0" + GOOD[: SIZE - 1], 2.0)[0] == 2 and packet(meter, GOOD, 26, 2.0) == 2
    assert finish(meter, 3.0, 3)[0] == 0 and meter.find(Download).missing() == []
    for octets in (b"", GOOD[:-1], GOOD + b"\0", tampered(0)):
        with pytest.raises(DecodeError):
            decode_image(octets)
