"""Keys as owners write them, who a client is, lock-outs, limits of use; and keys never show themselves."""

import dataclasses
import pickle
import random
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

import osgp
from osgp import (
    AesSuite,
    ConfigurationError,
    Key,
    KeyRing,
    Link,
    MepSuite,
    Meter,
    MeterConfig,
    OmaSuite,
    PartialRead,
    Rc4Suite,
    SecurityMode,
    client_security,
)
from osgp.security import BroadcastSuite, BroadcastWindow, KeyUse, Lockout, image_mac, image_mac_right
from osgp.security.keys import KINDS
from osgp.security.usage import DailyLimit

TEXT = "ABCDEFGHIJKLMNOPQRST"


@pytest.mark.parametrize("kind", ["MK", "PK", "RK", "MAK", "MBK"])
def test_owners_keys_are_twenty_ascii_characters_and_not_hex(kind):
    key = Key.from_text(kind, TEXT)
    assert key.reveal() == (TEXT[:16] if kind in ("MAK", "MBK") else TEXT).encode()
    for wrong, said in (
        ("41" * 20, "20 ASCII characters, NOT hex"), ("41" * 16, "look like hex digits"), (TEXT[:16], "got 16 characters"),
        ("\u20ac" + TEXT[1:], "not ASCII"), ("", "got 0 characters"),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError, match=said) as caught:
            Key.from_text(kind, wrong)
        assert not wrong or wrong not in str(caught.value)
    if kind in ("MAK", "MBK"):
        with pytest.raises(ConfigurationError, match="the first 16 are used"):
            Key.from_text(kind, "short")
    assert Key.from_text(kind, "hex:" + "41" * 20).reveal()[:16] == b"A" * 16


@pytest.mark.parametrize(("kind", "digits"), [("OMAK", 24), ("PSK", 32), ("AUTHENTICATION", 12), ("AUTHENTICATION", 24)])
def test_keys_of_the_power_line_are_hex_digits(kind, digits):
    assert len(Key.from_text(kind, "5a" * (digits // 2))) == digits // 2
    assert Key.from_text(kind, "5A " * (digits // 2)).reveal() == b"Z" * (digits // 2)
    with pytest.raises(ConfigurationError, match="hex digits, got 5 characters"):
        Key.from_text(kind, "5a5a5")
    with pytest.raises(ConfigurationError, match="hex digits"):
        Key.from_text(kind, "x" * digits)


def test_unknown_kinds_are_refused():
    with pytest.raises(ConfigurationError, match="one of MK, PK"):
        Key.from_text("KEK", TEXT)


def test_password_opens_the_level_of_its_key():
    ring = KeyRing.from_text({"MK": "M" * 20, "PK": "P" * 20, "RK": "R" * 20, "MAK": "A" * 20, "MBK": "B" * 20})
    assert [ring.password_level(letter * 20) for letter in (b"M", b"P", b"R", b"A", b"\0")] == ["MK", "PK", "RK", None, None]
    assert ring.password_level(b"P" * 20, pk_disabled=True) is None
    assert ring.password_level(b"M" * 19) is None and ring.password_level(b"") is None
    assert [key.kind for key in ring.mep_keys] == ["MAK", "MBK"]
    with pytest.raises(ConfigurationError, match="kind MK"):
        KeyRing(mk=Key.from_text("PK", "P" * 20))


def test_mep_level_is_that_of_the_key_and_mak_comes_first():
    mak, mbk = Key(b"A" * 16, "MAK"), Key(b"B" * 16, "MBK")
    server = MepSuite((mak, mbk))
    for key in (mak, mbk):
        assert server.open_request(MepSuite((key,)).seal_request(b"\x30\0\3", 5).octets).level == key.kind
    same = MepSuite((mak, Key(b"A" * 16, "MBK")))
    assert same.open_request(MepSuite((mak,)).seal_request(b"\x30\0\3", 5).octets).level == "MAK"
    with pytest.raises(osgp.BadDigest):
        server.open_request(MepSuite((Key(b"C" * 16, "MAK"),)).seal_request(b"\x30\0\3", 5).octets)


@given(st.lists(st.sampled_from(["fail", "pass", "wait"]), max_size=60), st.integers(0, 5), st.integers(1, 3))
def test_lockout_is_a_count_in_a_row(steps, threshold, minutes):
    """Against the rule written down plainly: so many failures without a success in between, then so many minutes."""
    lockout, now, row, until = Lockout(threshold, minutes), 0.0, 0, -1.0
    for step in steps:
        assert lockout.locked(now) is (now < until)
        if step == "wait":
            now += 30.0
        elif now >= until:
            if step == "pass":
                lockout.passed()
                row = 0
            else:
                row += 1
                assert lockout.failed(now) is (row == threshold)
                if row == threshold:
                    row, until = 0, now + 60.0 * minutes


def set_lockout(meter, threshold, minutes):
    """ET55 as a host would write it."""
    meter.store.update("ET55", {"plc_lockout_threshold": threshold, "plc_lockout_minutes": minutes})


def test_locked_port_looks_at_nothing_until_its_time_is_over():
    key = Key.omak(bytes(range(12)))
    meter = Meter(MeterConfig(security="oma", key=key, firmware=(4, 30, 0)))
    set_lockout(meter, 3, 1)
    good = OmaSuite(key).seal_request(PartialRead(52, 0, 4).encode(), 1, Link(1, 2)).octets
    for _ in range(3):
        assert meter.receive_request(good[:-1] + b"x", 1, 2, 0.0)[1] == 0x0B
    assert meter.receive_request(good, 1, 2, 59.0)[1] == 0x0B
    assert meter.receive_request(good, 1, 2, 61.0)[1] == 0x00
    assert meter.refusals[osgp.RefusalReason.LOCKED_OUT] == 1


def test_stale_numbers_lock_nobody_out():
    """A client with queued requests whose numbers have become old."""
    meter = Meter(MeterConfig(security="oma", sequence=1000, firmware=(4, 30, 0)))
    set_lockout(meter, 3, 1)
    suite = OmaSuite(Key.omak())
    for number in range(20):
        octets = suite.seal_request(PartialRead(52, 0, 4).encode(), number, Link(1, 2)).octets
        assert meter.receive_request(octets, 1, 2, 0.0)[1] == 0x0C
    assert meter.plc.lockout.lockouts == 0


def test_et55_sets_the_lockout():
    meter = Meter(MeterConfig(security="oma", firmware=(4, 30, 0)))
    set_lockout(meter, 2, 7)
    for _ in range(2):
        meter.receive_request(bytes(20), 1, 2, 0.0)
    assert meter.plc.lockout.lockouts == 1 and meter.plc.lockout.locked(7 * 60 - 1.0) and not meter.plc.lockout.locked(7 * 60.0)


def test_key_use_is_counted_warned_of_at_80_percent_and_shown_in_the_tables():
    meter = Meter(MeterConfig(security="oma", firmware=(3, 80, 0)))
    meter.store.update("ET04", {"max_key_usage": 10})
    alarms = []
    for number in range(1, 11):
        octets = OmaSuite(Key.omak()).seal_request(PartialRead(52, 0, 4).encode(), number, Link(1, 2)).octets
        assert meter.receive_request(octets, 1, 2, 0.0)[1] == 0
        alarms.append(osgp.table("BT03").decode(meter.table_octets("BT03", 0.0), meter.store.context)["key_expiration_pending"])
    assert alarms == [False] * 7 + [True] * 3
    status = osgp.table("ET54").decode(meter.table_octets("ET54", 0.0), meter.store.context)
    assert status["unicast_key_uses"] == 10 and status["broadcast_key_uses"] == 0


def test_key_use_knows_warning_and_end():
    use = KeyUse(limit=5)
    assert [use.use() for _ in range(5)] == [False, False, False, True, False] and use.exhausted
    use.renewed()
    assert not use.pending
    with pytest.raises(ConfigurationError, match="limit"):
        KeyUse(limit=0)


def test_commissionings_stop_at_a_hundred_a_day():
    limit = DailyLimit()
    assert [limit.use(5.0) for _ in range(101)].count(True) == 100 and limit.count == 100
    assert not limit.use(86_399.0) and limit.use(86_400.0) and limit.count == 1
    meter = Meter(MeterConfig(firmware=(3, 80, 0)))
    answers = [meter.receive_request(b"\1\1" + n.to_bytes(16, "big"), 1, 2, 0.0) for n in range(101)]
    assert [answer is None for answer in answers] == [False] * 100 + [True]
    assert osgp.table("ET04").decode(meter.table_octets("ET04", 0.0), meter.store.context)["fcm_message_count"] == 100


def test_use_counters_survive_a_restart():
    meter = Meter(MeterConfig(security="oma"))
    octets = OmaSuite(Key.omak()).seal_request(PartialRead(52, 0, 4).encode(), 1, Link(1, 2)).octets
    meter.receive_request(octets, 1, 2, 0.0)
    again = Meter(MeterConfig(security="oma"), saved=meter.saved())
    assert (again.plc.unicast.uses, again.sequence, again.plc.address) == (1, 1, (1, 2))
    assert again.receive_request(octets, 1, 2, 1.0)[1] == 0x0C


@given(base=st.integers(0, 2**32 - 1), delta=st.integers(0, 65535), value=st.integers(0, 2**32 - 1))
def test_broadcast_window(base, delta, value):
    window = BroadcastWindow(base, delta)
    assert window.accept(value) is (base < value <= base + delta)
    assert window.base == (value if base < value <= base + delta else base)


@pytest.mark.parametrize("key", [Key(b"B" * 16, "PSK-BROADCAST"), Key(b"B" * 12, "OMA-BROADCAST")], ids=["aes", "oma"])
def test_secure_broadcast_is_taken_once_inside_its_window(key):
    meter = Meter(MeterConfig(broadcast_key=key))
    meter.store.update("ET04", {"broadcast_base": 100, "broadcast_delta": 10})
    sender = BroadcastSuite(key, b"OSG")
    write = osgp.PartialWrite(2051, 0, b"GRID").encode()
    for value, taken in ((100, False), (111, False), (105, True), (105, False), (106, True)):
        assert meter.receive_broadcast(sender.seal(write, value), 1.0, domain=b"OSG") is taken, value
    assert meter.store.octets("ET03")[:4] == b"GRID"
    system = osgp.table("ET04").decode(meter.table_octets("ET04", 1.0), meter.store.context)
    assert system["broadcast_base"] == 106 and "2024-03-04 17:00:01" in str(system["broadcast_receipt"])
    octets = bytearray(sender.seal(write, 107))
    for place in range(len(octets)):
        octets[place] ^= 0x10
        assert not meter.receive_broadcast(bytes(octets), 1.0, domain=b"OSG")
        octets[place] ^= 0x10
    if key.kind.startswith("PSK"):
        assert not meter.receive_broadcast(bytes(octets), 1.0, domain=b"abc")
    assert meter.receive_broadcast(bytes(octets), 1.0, domain=b"OSG")


@given(image=st.binary(max_size=300), place=st.integers(0, 8 * 316 - 1))
def test_image_mac_covers_every_bit(image, place):
    mac = image_mac(Key.psk(), image)
    assert len(mac) == 16 and image_mac_right(Key.psk(), image, mac)
    changed = bytearray(image + mac)
    changed[place // 8 % len(changed)] ^= 1 << place % 8
    assert not image_mac_right(Key.psk(), bytes(changed[:-16]), bytes(changed[-16:]))
    assert not image_mac_right(Key.psk(), image + b"\0", mac)


def test_requires_authentication_of_the_network_layer():
    meter = Meter(MeterConfig(security="oma", requires_authentication=True))
    octets = OmaSuite(Key.omak()).seal_request(PartialRead(52, 0, 4).encode(), 1, Link(1, 2)).octets
    assert meter.receive_request(octets, 1, 2, 0.0)[1] == 0x03 and meter.sequence == 0
    assert meter.receive_request(octets, 1, 2, 0.0, authenticated=True)[1] == 0x00


def test_aes_meter_refuses_the_rc4_era_and_auto_does_after_its_first_commissioning():
    oma = OmaSuite(Key.omak())
    for mode, before in (("aes", 0x0B), ("auto", 0x00), ("oma", 0x00)):
        meter = Meter(MeterConfig(security=mode, firmware=(3, 80, 0)))
        link = Link(1, 2)

        def ask(number, meter=meter, link=link):
            return meter.receive_request(oma.seal_request(PartialRead(52, 0, 4).encode(), number, link).octets, 1, 2, 0.0)[1]

        assert ask(1) == before
        client = client_security(SecurityMode.AES, Key.omak(), Key.psk(), meter.config.unique_node_id)
        for _ in range(2):
            answer = meter.receive_request(client.prepare(link), 1, 2, 0.0)
            if answer is None:
                break
            client.receive(answer)
        assert ask(2) == (0x00 if mode == "oma" else 0x0B)
        mode_in_table = osgp.table("ET04").decode(meter.table_octets("ET04", 0.0), meter.store.context)["security_mode"]
        assert mode_in_table == (0 if mode == "oma" else 2)


def test_replayed_commissioning_gives_no_keys():
    """Hello and proof of an earlier day: the meter's nonce is another one, so the proof does not fit."""
    meter, link = Meter(MeterConfig()), Link(1, 2)
    client = client_security(SecurityMode.AES, Key.omak(), Key.psk(), meter.config.unique_node_id)
    hello = client.prepare(link)
    client.receive(meter.receive_request(hello, 1, 2, 0.0))
    proof = client.prepare(link)
    client.receive(meter.receive_request(proof, 1, 2, 0.0))
    restarted = Meter(MeterConfig())
    assert restarted.receive_request(hello, 1, 2, 1.0)[:2] == b"\1\2"
    assert restarted.receive_request(proof, 1, 2, 1.0)[:2] == b"\0\x0b"


def test_switching_rc4_on_warns_and_says_why():
    for make in (lambda: Rc4Suite(Key.omak()), lambda: MepSuite((Key(b"A" * 16, "MAK"),), encrypts=True)):
        with pytest.warns(osgp.WeakSecurityWarning, match=r"2015/428.*90 000 messages"):
            make()


# keys never show themselves

SECRETS = {
    "OMAK": random.Random(1).randbytes(12), "PSK": random.Random(2).randbytes(16), "MAK": random.Random(3).randbytes(16),
    "MBK": random.Random(4).randbytes(16), "MK": random.Random(5).randbytes(20), "PK": random.Random(6).randbytes(20),
    "RK": random.Random(7).randbytes(20), "PSK-BROADCAST": random.Random(8).randbytes(16),
    "OMA-BROADCAST": random.Random(9).randbytes(12), "AUTHENTICATION": random.Random(10).randbytes(6),
}  # fmt: skip
KEYS = {kind: Key(octets, kind) for kind, octets in SECRETS.items()}


def shows_a_key(text):
    """Any six octets in a row of any key, as hex, as a bytes literal, or as a list of numbers."""
    squeezed = text.lower().replace(" ", "").replace(":", "")
    for octets in SECRETS.values():
        for start in range(len(octets) - 5):
            part = octets[start : start + 6]
            if part.hex() in squeezed or repr(part)[2:-1] in text or ",".join(map(str, part)) in squeezed:
                return True
    return False


def everything():
    link = Link(1, 2, b"OSG")
    config = MeterConfig(key=KEYS["OMAK"], psk=KEYS["PSK"], broadcast_key=KEYS["PSK-BROADCAST"])
    meter = Meter(config)
    client = client_security(SecurityMode.AES, KEYS["OMAK"], KEYS["PSK"], config.unique_node_id)
    for _ in range(2):
        client.receive(meter.receive_request(client.prepare(link), 1, 2, 0.0, domain=b"OSG"))
    ring = KeyRing(**{kind.lower().replace("-", "_"): key for kind, key in KEYS.items() if kind != "AUTHENTICATION"})
    suite = AesSuite(KEYS["PSK"], bytes(6), link)
    exchange = suite.seal_request(b"\x30\0\3", 1, link)
    concentrator = osgp.ConcentratorConfig(key=KEYS["OMAK"], psk=KEYS["PSK"], keys={bytes(6): KEYS["OMAK"]})
    mep = MepSuite((KEYS["MAK"], KEYS["MBK"]))
    yield from (config, meter, meter.plc, client, ring, suite, exchange, concentrator, mep, mep.seal_request(b"\x30\0\3", 1))
    oma = OmaSuite(KEYS["OMAK"])
    yield from (oma, oma.seal_request(b"\x30\0\3", 1, link), osgp.Concentrator(concentrator))
    yield from (BroadcastSuite(KEYS["OMA-BROADCAST"]), meter.saved(), meter.changes(), *KEYS.values())


def test_no_object_shows_a_key_in_repr_str_format_or_fields():
    assert shows_a_key(SECRETS["PSK"].hex()) and shows_a_key(repr(SECRETS["OMAK"])) and shows_a_key(str(list(SECRETS["MK"])))
    for item in everything():
        shown = f"{item!r} {item} {item:}" + repr(vars(item) if hasattr(item, "__dict__") else "")
        if dataclasses.is_dataclass(item):
            shown += repr({field.name: getattr(item, field.name, None) for field in dataclasses.fields(item)})
        assert not shows_a_key(shown), type(item)


def test_what_a_meter_saves_holds_no_key():
    meter = Meter(MeterConfig(key=KEYS["OMAK"], psk=KEYS["PSK"]))
    saved = meter.saved()
    assert not shows_a_key(" ".join(octets.hex() for octets in (*saved.tables.values(), *saved.states.values())))


def test_keys_are_not_pickled():
    for key in KEYS.values():
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(key)


@pytest.mark.parametrize("kind", list(KINDS))
def test_tracebacks_with_local_variables_show_no_key(kind):
    """What went wrong is told by somebody who catches an error and prints every frame's variables."""
    secret = SECRETS[kind]
    attempts = [
        lambda: Key(secret + b"xy" * 30, kind),
        lambda: Key.from_text(kind, secret.hex() + "0"),
        lambda: OmaSuite(KEYS[kind]).open_request(b"\0" * 30, Link(1, 2)),
        lambda: osgp.oma_digest(secret + b"x" * 9, b""),
    ]
    for attempt in attempts:
        try:
            attempt()
        except osgp.OsgpError as error:
            frames = traceback.TracebackException.from_exception(error, capture_locals=True)
            for frame in list(frames.stack):
                if frame.filename == __file__:
                    frames.stack.remove(frame)  # the test's own variables hold the secret on purpose
            assert not shows_a_key("".join(frames.format())), (kind, error)
