"""Keys that wear out: clients agree on new ones in time, meters refuse worn ones and say why. What a restart must not open."""

import random

import pytest

from osgp import ConcentratorConfig, ConfigurationError, FullRead, Key, Meter, MeterConfig, PartialRead, RefusalReason, table
from osgp.concentrator.session import Session, Verdict
from osgp.meter import OpticalPort
from osgp.optical import Packet
from osgp.optical.services import Logon
from osgp.security import BroadcastSuite, KeyRing, Link, OmaSuite
from osgp.security.lockout import Lockout
from osgp.security.modes import AesClient

LINK = Link(1, 9)
PLACE = (1, 9)
READ = PartialRead(52, 0, 4).encode()


def worn_meter(limit, **more):
    meter = Meter(MeterConfig(firmware=(3, 80, 0), **more))
    meter.store.update("ET04", {"max_key_usage": limit})
    return meter


def client_of(meter, renewal, seed=1):
    return AesClient(meter.config.psk, meter.config.unique_node_id, random.Random(seed).randbytes, renewal)


def ask(client, meter, number, now=0.0):
    """One request, with whatever the keys need before; (response, messages of commissioning)."""
    hellos = 0
    while (hello := client.prepare(LINK)) is not None:
        hellos += 1
        answer = meter.receive_request(hello, *PLACE, now)
        if answer is not None:
            client.receive(answer)
    exchange = client.seal_request(READ, number, LINK)
    return exchange.open_response(meter.receive_request(exchange.octets, *PLACE, now)), hellos


def uses(meter):
    return table("ET54").decode(meter.table_octets("ET54", meter.now), meter.store.context)["unicast_key_uses"]


def test_a_client_renews_its_keys_before_the_meter_even_warns():
    meter = worn_meter(100)
    client, hellos = client_of(meter, 75), 0
    for number in range(1, 501):
        response, more = ask(client, meter, number)
        hellos += more
        assert response[0] == 0
    assert hellos == 2 * 7 and uses(meter) < 80  # the first time, and after each 75 of 500
    assert not meter.store["BT03.key_expiration_pending"] and not meter.refusals[RefusalReason.KEY_EXHAUSTED]


def test_a_worn_key_is_refused_and_counted_and_a_new_one_serves():
    meter = worn_meter(64)
    client = client_of(meter, 10_000)
    codes = [ask(client, meter, number)[0][0] for number in range(1, 71)]
    assert codes == [0] * 64 + [0x0B] * 6  # authentic refusals: `open_response` has checked them
    assert meter.refusals[RefusalReason.KEY_EXHAUSTED] == 6 and not meter.refusals[RefusalReason.BAD_DIGEST]
    assert uses(meter) == 64 and meter.sequence == 64 and meter.store["BT03.key_expiration_pending"]
    other = client_of(meter, 10_000, seed=2)
    assert ask(other, meter, 65)[0][0] == 0
    client.forget()
    assert ask(client, meter, 66)[0][0] == 0


def test_the_last_answer_is_still_repeated_under_a_worn_key():
    meter = worn_meter(64)
    client = client_of(meter, 10_000)
    for number in range(1, 64):
        ask(client, meter, number)
    exchange = client.seal_request(READ, 64, LINK)
    answers = {meter.receive_request(exchange.octets, *PLACE, 0.0) for _ in range(3)}
    assert len(answers) == 1 and exchange.open_response(answers.pop())[0] == 0


@pytest.mark.parametrize(("renewal", "refused"), [(48, 0), (10_000, 1)], ids=["renews in time", "learns it from the meter"])
def test_a_concentrator_reads_on_over_the_end_of_its_keys(renewal, refused):
    meter = worn_meter(64)
    reader = Session(client_of(meter, renewal), ConcentratorConfig(read_set=("BT23", "BT52")), guess=0)
    verdicts, passes = [], 0
    for _ in range(600):
        if reader.finished:
            passes += 1
            reader.begin()
        answer = meter.receive_request(reader.request(*PLACE), *PLACE, 0.0)
        verdicts.append(reader.receive(answer, *PLACE).verdict)
    assert (meter.refusals[RefusalReason.KEY_EXHAUSTED] >= refused) is True
    assert bool(meter.refusals[RefusalReason.KEY_EXHAUSTED]) is bool(refused)
    assert passes > 30 and not {Verdict.GIVEN_UP, Verdict.REFUSED, Verdict.BAD} & set(verdicts) and not reader.missing


def test_a_renewal_that_nobody_answers_is_put_off():
    meter = worn_meter(100)
    client = client_of(meter, 50)
    assert all(ask(client, meter, number)[0][0] == 0 for number in range(1, 51))
    for number in range(200):  # somebody else uses up the day's commissionings
        meter.receive_request(b"\1\1" + number.to_bytes(16, "big"), *PLACE, 0.0)
    answers = [ask(client, meter, number) for number in range(51, 101)]
    assert all(response[0] == 0 for response, _ in answers) and sum(hellos for _, hellos in answers) < 60 * 6
    assert ask(client, meter, 101, now=86_400.0 * 2)[1] == 2  # the next day it works


def test_the_omak_is_warned_of_and_serves_on():
    meter = worn_meter(64, security="oma")
    suite = OmaSuite(Key.omak())
    for number in range(1, 131):
        octets = suite.seal_request(READ, number, LINK).octets
        assert meter.receive_request(octets, *PLACE, 0.0)[1] == 0
    assert uses(meter) == 130 and meter.store["BT03.key_expiration_pending"]


def test_broadcasts_end_with_their_key():
    key = Key(bytes(16), "PSK-BROADCAST")
    meter = worn_meter(64, broadcast_key=key)
    meter.store.update("ET04", {"broadcast_delta": 1000})
    suite = BroadcastSuite(key)
    done = [meter.receive_broadcast(suite.seal(FullRead(1).encode(), value), 0.0) for value in range(1, 70)]
    assert done == [True] * 64 + [False] * 5 and meter.refusals[RefusalReason.KEY_EXHAUSTED] == 5


def test_a_renewal_needs_at_least_a_request():
    with pytest.raises(ConfigurationError, match="renewal"):
        AesClient(Key.psk(), bytes(6), renewal=0)


def test_et23_counts_what_came_and_what_was_good():
    meter = Meter()
    client = client_of(meter, 1000)
    ask(client, meter, 1)
    meter.receive_request(bytes(30), *PLACE, 0.0)
    meter.receive_request(b"\5" + bytes(30), *PLACE, 0.0)  # another message code: none of ours
    again = Meter(meter.config, saved=meter.saved())
    for one in (meter, again):
        counters = table("ET23").decode(one.table_octets("ET23", 0.0), one.store.context)
        assert (counters["messages_received"], counters["messages_validated"]) == (2, 1)


def test_an_older_saved_state_keeps_its_sequence_number():
    meter = Meter(MeterConfig(sequence=77))
    meter.plc.restore(meter.plc.state()[:14].replace((77).to_bytes(4, "big"), (99).to_bytes(4, "big")))
    assert meter.sequence == 99 and meter.plc.received == 0


def test_switching_a_meter_off_and_on_does_not_open_a_locked_power_line():
    meter = Meter(MeterConfig(firmware=(4, 30, 0)))
    meter.store.update("ET55", {"plc_lockout_threshold": 3, "plc_lockout_minutes": 10})
    for _ in range(2):
        meter.receive_request(bytes(30), *PLACE, 0.0)
    meter = Meter(meter.config, saved=meter.saved())  # the failures so far count on
    meter.receive_request(bytes(30), *PLACE, 1.0)
    meter = Meter(meter.config, saved=meter.saved())
    assert meter.plc.lockout.locked(500.0) and meter.plc.lockout.lockouts == 1
    assert meter.receive_request(b"\1\1" + bytes(16), *PLACE, 2.0)[1] == 0x0B
    assert meter.refusals[RefusalReason.LOCKED_OUT] == 1 and not meter.plc.lockout.locked(602.0)


def test_nor_a_locked_optical_port():
    keys = KeyRing.from_text({"RK": "READONLY000000000001"})

    def try_password(server, password, now):
        said = b""
        for place, message in enumerate((b"\x20", Logon(1, b"x").encode(), b"\x51" + password)):
            server.receive_octets(Packet(message, toggle=bool(place % 2)).encode(), now + place)
            said = server.octets_to_send(now + place)
            server.receive_octets(b"\x06", now + place)
        server.line_lost(now + 3)
        return Packet.decode(said[1:]).payload[0]

    meter = Meter(MeterConfig(firmware=(4, 30, 0)))
    meter.store.update("ET55", {"optical_lockout_threshold": 2, "optical_lockout_minutes": 5})
    meter.changes()
    for now in (0.0, 10.0):
        assert try_password(OpticalPort(meter, keys).server(), bytes(20), now) == 3
        changed = meter.changes()
        assert "port_tables" in changed.states  # written away before the answer leaves
        meter = Meter(meter.config, saved=meter.saved())
    right = keys.rk.reveal()
    assert try_password(OpticalPort(meter, keys).server(), right, 30.0) == 3
    assert try_password(OpticalPort(meter, keys).server(), right, 400.0) == 0


def test_a_lock_outs_state_is_taken_back_whole_or_not_at_all():
    one, other = Lockout(2, 1, failures=100_000), Lockout()
    one.failed(50.0)
    other.restore(one.state())
    assert other.locked(100.0) and other.lockouts == 1 and not other.failures
    other.restore(b"\1\2\3")
    assert other.locked(100.0)
