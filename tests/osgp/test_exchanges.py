"""The exchanges that the guide prints, octet for octet, through a meter."""

import datetime
import json
from pathlib import Path

import pytest

from osgp import (
    AccessLevel,
    ConstantLoad,
    Meter,
    MeterConfig,
    Port,
    Response,
    Session,
    decode_request,
    table,
)
from osgp.envelope import Envelope, EnvelopeType
from osgp.procedure import procedure

EXCHANGES = json.loads((Path(__file__).parents[1] / "vectors" / "osgp" / "exchanges.json").read_text())
h = bytes.fromhex
MAK = Session(AccessLevel.MAK, Port.MEP1)
MBK = Session(AccessLevel.MBK, Port.MEP1)


@pytest.fixture
def meter():
    return Meter(MeterConfig(firmware=(3, 60, 1), load=ConstantLoad((0.0,))))


@pytest.mark.parametrize(
    ("name", "request_key", "response_key"),
    [
        ("read_bt23", "request", "response"),
        ("transaction", "write", "write_response"),
        ("transaction", "read", "read_response"),
        ("ep17", "write", "response"),
        ("registration", "write", "response"),
        ("which_client", "request", "response"),
        ("clock", "request", "response"),
    ],
)
def test_pdus_survive_decode_and_encode(name, request_key, response_key):
    exchange = EXCHANGES[name]
    request = decode_request(h(exchange[request_key]))
    assert request.encode() == h(exchange[request_key])
    response = Response.decode(h(exchange[response_key]), request)
    assert response.encode() == h(exchange[response_key])


def test_bt23_of_the_guide(meter):
    exchange = EXCHANGES["read_bt23"]
    octets = h(exchange["response"])[3:]
    meter.store.put("BT21", table("BT21").encode({"season_field": True, "date_time_field": True, "number_summations": 11,
                                                  "number_occurrences": 1, "number_tiers": 4}))  # fmt: skip
    values = table("BT23").decode(octets, meter.store.context, partial=True)
    assert values["summations"] == (0, 0, 0, 0, 8, 3, 0, 0, 0, 0, 6)
    again = table("BT23").encode({"total": [{"summations": values["summations"]}]}, meter.store.context)
    assert again[:44] == octets


def test_registration_gives_a_handle_and_a_slot(meter):
    exchange = EXCHANGES["registration"]
    assert meter.serve(h(exchange["write"]), MBK, 1.0).encode() == h(exchange["response"])
    devices = table("ET14").decode(meter.table_octets("ET14", 1.0), meter.store.context)
    slot = devices["devices"][exchange["slot"]]
    assert slot["handle"] == exchange["handle_from"] and slot["status"] == 3 and slot["baud"] == 6
    assert devices["occupancy"] == 1 << exchange["slot"]
    assert meter.store["ET50.clients[0].registered"] is True


def test_transaction_of_the_guide(meter):
    exchange = EXCHANGES["transaction"]
    assert meter.serve(h(exchange["write"]), MAK, 1.0).encode() == h(exchange["write_response"])
    assert meter.serve(h(exchange["read"]), MAK, 1.0).encode() == h(exchange["read_response"])
    answer = Envelope.decode(meter.table_octets("ET53", 1.0))
    assert (answer.type, answer.number, answer.size) == (EnvelopeType.RESPONSES, 1, 0x6F)
    for message, octets in zip(exchange["messages"], answer.messages, strict=True):
        assert octets == meter.serve(h(message), MAK, 1.0).encode()
    request = Envelope.decode(h(exchange["write"])[8:])
    assert [message.hex() for message in request.messages] == exchange["messages"]
    assert request.encode() == h(exchange["write"])[8:]


def test_ep17_of_the_guide(meter):
    exchange = EXCHANGES["ep17"]
    spec = procedure("EP17")
    written = h(exchange["write"])[5:]
    assert spec.encode(exchange["sequence"], action=exchange["action"], handle=exchange["handle"]) == written
    values = spec.decode(written[3:])
    assert (spec.number, values["action"], values["handle"]) == (exchange["number"], exchange["action"], exchange["handle"])
    assert meter.serve(h(exchange["write"]), MAK, 1.0).encode() == h(exchange["response"])
    assert meter.table_octets("BT08", 1.0)[:4] == h("11080703")  # no such handle: nobody has registered


def test_ep17_removes_the_client_that_registered(meter):
    meter.serve(h(EXCHANGES["registration"]["write"]), MBK, 1.0)
    written = procedure("EP17").encode(7, action=0, handle=1000)
    assert meter.serve(b"\x40\x00\x07" + len(written).to_bytes(2, "big") + written, MBK, 2.0).encode() == b"\0"
    assert meter.table_octets("BT08", 2.0)[:4] == h("11080700")
    assert meter.store["ET14.devices[4].handle"] == 0 and meter.store["ET50.clients[0].registered"] is False
    meter.serve(h(EXCHANGES["registration"]["write"]), MBK, 3.0)
    assert meter.store["ET14.devices[4].handle"] == 1001


def test_clock_of_the_guide():
    meter = Meter(MeterConfig(start=datetime.datetime(2004, 2, 16, 15, 59, 55)))
    exchange = EXCHANGES["clock"]
    assert meter.serve(h(exchange["request"]), MAK, 0.0).encode() == h(exchange["response"])
