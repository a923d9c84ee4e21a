"""A meter under the AES profile, attacked on the line: replayed, reordered, reflected, cut, lengthened and changed messages."""

import hmac
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp import (
    FullRead,
    Key,
    Link,
    Meter,
    MeterConfig,
    PartialRead,
    PartialWrite,
    RefusalReason,
    Response,
    ResultCode,
    SecurityMode,
    client_security,
)
from osgp.security import NO_TAG

LINK = Link(1, 5, b"OSG")
READ = PartialRead(52, 0, 7)


def pair(seed=1, **arguments):
    """A meter and a client that has commissioned itself."""
    meter = Meter(MeterConfig(sequence=100, entropy=Random(seed).randbytes, **arguments))
    client = client_security(SecurityMode.AES, Key.omak(), Key.psk(), meter.config.unique_node_id, Random(seed + 1).randbytes)
    for _ in range(2):
        client.receive(send(meter, client.prepare(LINK)))
    return meter, client


def send(meter, octets, now=0.0, link=LINK):
    return meter.receive_request(octets, link.subnet, link.node, now, domain=link.domain)


def ask(meter, client, request, number, now=0.0):
    exchange = client.seal_request(request.encode(), number, LINK)
    return Response.decode(exchange.open_response(send(meter, exchange.octets, now)), request)


def test_requests_are_served_and_every_code_comes_back_sealed():
    meter, client = pair()
    assert ask(meter, client, READ, 101).result is ResultCode.OK
    assert ask(meter, client, PartialWrite(2051, 0, b"AB"), 102).result is ResultCode.OK
    assert ask(meter, client, FullRead(2), 103).result is ResultCode.INAPPROPRIATE_ACTION
    assert ask(meter, client, PartialWrite(23, 0, b"AB"), 104).result is ResultCode.INSUFFICIENT_SECURITY
    assert ask(meter, client, READ, 120).sequence == 104
    assert ask(meter, client, READ, 104).sequence == 104


def test_replays_are_refused_with_0c_whatever_happened_between():
    meter, client = pair()
    old = [client.seal_request(PartialWrite(2051, 0, bytes((65 + k,))).encode(), 101 + k, LINK) for k in range(4)]
    for exchange in old:
        assert exchange.open_response(send(meter, exchange.octets)) == b"\0"
    for exchange in old[::-1]:
        answer = exchange.open_response(send(meter, exchange.octets, 100.0))
        assert answer == b"\x0c" + (104).to_bytes(4, "big")
    assert meter.store.octets("ET03")[:1] == b"D" and meter.refusals == {RefusalReason.REPLAYED: 4}


def test_reordered_requests_are_carried_out_at_most_once_and_never_backwards():
    meter, client = pair()
    first, second = (client.seal_request(PartialWrite(2051, 0, text).encode(), n, LINK) for text, n in ((b"1", 101), (b"2", 102)))
    assert second.open_response(send(meter, second.octets)) == b"\0"
    assert first.open_response(send(meter, first.octets))[0] == 0x0C
    assert meter.store.octets("ET03")[:1] == b"2"


def test_reflected_answers_and_requests_are_refused():
    meter, client = pair()
    exchange = client.seal_request(READ.encode(), 101, LINK)
    answer = send(meter, exchange.octets)
    assert send(meter, answer)[1] == 0x0B
    with pytest.raises(Exception, match="tag of a response"):
        exchange.open_response(exchange.octets)


@settings(max_examples=60)
@given(data=st.data())
def test_any_change_of_any_message_is_refused_with_0b_and_no_tag(data):
    meter, client = pair()
    octets = bytearray(client.seal_request(PartialWrite(2051, 0, b"GOOD").encode(), 101, LINK).octets)
    change = data.draw(st.sampled_from(["flip", "cut", "longer", "zeroes", "other meter"]))
    if change == "flip":
        place = data.draw(st.integers(8, 8 * len(octets) - 1))
        octets[place // 8] ^= 1 << place % 8
    elif change == "cut":
        del octets[data.draw(st.integers(14, len(octets) - 1)) :]
    elif change == "longer":
        place = data.draw(st.integers(1, len(octets)))
        octets[place:place] = data.draw(st.binary(min_size=1, max_size=20))
    elif change == "zeroes":
        octets += bytes(data.draw(st.integers(1, 40)))
    link = Link(1, 6, b"OSG") if change == "other meter" else LINK
    before = meter.store.octets("ET03")
    assert send(meter, bytes(octets), link=link) == b"\0\x0b" + NO_TAG
    assert meter.store.octets("ET03") == before and meter.sequence == 100


@pytest.mark.parametrize("change", ["domain", "node", "psk"])
def test_a_commissioning_for_somebody_else_gives_nothing(change):
    meter = Meter(MeterConfig())
    link = {"domain": Link(1, 5, b"abc"), "node": Link(1, 6, b"OSG")}.get(change, LINK)
    psk = Key.psk(bytes(16)) if change == "psk" else Key.psk()
    client = client_security(SecurityMode.AES, Key.omak(), psk, meter.config.unique_node_id)
    with pytest.raises(Exception, match="does not know the key"):
        client.receive(send(meter, client.prepare(link)))


@given(noise=st.lists(st.binary(max_size=130), max_size=5), node=st.integers(0, 127))
@settings(max_examples=60)
def test_noise_never_raises_and_changes_nothing(noise, node):
    meter, client = pair()
    for octets in noise:
        for code in (b"", b"\0", b"\1", b"\1\1", b"\1\3"):
            meter.receive_request(code + octets, 1, node, 1.0, domain=b"OSG")
            meter.receive_broadcast(code + octets, 1.0)
    assert meter.served == 0 and ask(meter, client, READ, 101, 1.0).result is ResultCode.OK


def test_tags_and_passwords_are_compared_in_constant_time(monkeypatch):
    """By `hmac.compare_digest` or inside the AEAD of the library; counted, as no clock of a shared machine is steady enough."""
    compared = []

    def compare(one, other):
        compared.append((bytes(one), bytes(other)))
        return hmac_compare(one, other)

    hmac_compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    _, client = pair()
    assert len(compared) >= 3  # challenge, proof, welcome
    exchange = client.seal_request(READ.encode(), 101, LINK)
    compared.clear()
    with pytest.raises(Exception, match="tag of a response"):
        exchange.open_response(b"\0\x0c" + bytes(12))
    assert len(compared) == 1
    from osgp import KeyRing, OmaSuite

    ring = KeyRing.from_text({"MK": "M" * 20, "PK": "P" * 20, "RK": "R" * 20})
    compared.clear()
    ring.password_level(b"M" * 20)
    ring.password_level(b"x" * 20)
    assert len(compared) == 6  # every key, whichever fits
    compared.clear()
    oma = OmaSuite(Key.omak())
    oma.open_request(oma.seal_request(b"\x30\0\3", 1, LINK).octets, LINK)
    assert len(compared) == 1
