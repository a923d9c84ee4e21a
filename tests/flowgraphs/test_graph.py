"""Graphs: the ready ones load, and every mistake is told with file, line and key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowgraphs.commands.security_option import with_security
from flowgraphs.concentrator_binding import concentrator_config
from flowgraphs.errors import GraphError
from flowgraphs.graph import GRAPHS, MeterStation, dump_graph, load_graph, parse_graph
from flowgraphs.protection import meter_keys, weaknesses

MINIMAL = """\
sample_rate: 400000
block: 200
line:
  couplers: 2
  paths:
    - {between: [0, 1], gain_db: -20}
  noise:
    - {kind: white, rms_v: 0.1}
stations:
  - name: a
    kind: meter
    coupler: 0
    unique_node_id: "000000000001"
  - name: b
    kind: concentrator
    coupler: 1
    unique_node_id: "000000000002"
"""


@pytest.mark.parametrize("path", sorted(GRAPHS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_ready_graph_loads_by_file_and_by_name(path):
    assert load_graph(path) == load_graph(path.stem)


def test_a_dumped_graph_is_the_same_graph():
    graph = load_graph("demo")
    assert parse_graph(dump_graph(graph)) == graph


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("coupler: 1", "coupler: 2", 16, "stations[1].coupler: the line has couplers 0..1"),
        ("coupler: 1", "coupler: -1", 16, "stations[1].coupler: Expected int >= 0"),
        ("coupler: 1", "coupler: one", 16, "stations[1].coupler: Expected int, got str"),
        ("coupler: 1", "coupler: 0", 16, "stations[1].coupler: 0 is already used by a"),
        ("name: b", "name: a", 14, "stations[1].name: a is already used"),
        ("kind: meter", "kind: metre", 11, "stations[0].kind: Invalid value 'metre'"),
        ("  couplers: 2", "  couplers: 2\n  coupler: 3", 5, "line.coupler: unknown key"),
        ("  - name: a\n", "  - title: a\n", 10, "stations[0].title: unknown key"),
        ("block: 200", "block: 401", 2, "block: at 400000 Hz a block has at most 400 samples"),
        ("rms_v: 0.1", "rms_v: -0.1", 8, "line.noise[0].rms_v: rms_v must not be negative, got -0.1"),
        ("rms_v: 0.1", "rms: 0.1", 8, "line.noise[0].rms: white has no parameter 'rms'"),
        ("kind: white", "kind: pink", 8, "line.noise[0].kind: unknown noise source 'pink'"),
        ("gain_db: -20", "gain_db: -20, elements: [{kind: echoes}]", 6, "line.paths[0].elements[0]"),
        ("between: [0, 1]", "between: [1, 1]", 6, "line.paths[0].between: a path needs two different"),
        ("    unique_node_id: \"000000000002\"\n", "", 14, "stations[1]: the key 'unique_node_id' is missing"),
        ("couplers: 2", "couplers: 2\n  couplers: 3", 5, "line has 'couplers' twice"),
        ("block: 200", "block: [200", 3, "expected ',' or ']'"),
        ("000000000001", "xyz", 13, "stations[0].unique_node_id: Expected str matching regex"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_line_number_and_key(old, new, line, words):
    assert old in MINIMAL
    with pytest.raises(GraphError) as caught:
        parse_graph(MINIMAL.replace(old, new), "x.yaml")
    text = str(caught.value)
    assert text.startswith(f"x.yaml:{line}: ") and words in text and "\n" not in text


@given(st.text(max_size=60))
def test_noise_raises_only_graph_error(text):
    with pytest.raises(GraphError):
        parse_graph(text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(GraphError, match=r"nothing\.yaml: No such file"):
        load_graph(tmp_path / "nothing.yaml")


def test_security_is_the_aes_profile_unless_the_graph_says_otherwise():
    graph = load_graph("demo")
    meters = [station for station in graph.stations if isinstance(station, MeterStation)]
    assert {graph.security_of(meter) for meter in meters} == {"aes"} and weaknesses(graph) == []
    weak = with_security(graph, "rc4")
    assert {weak.security_of(meter) for meter in meters} == {"rc4"} and "90 000 messages" in weaknesses(weak)[0]
    one = parse_graph(dump_graph(graph).replace('"serial": "1001"', '"serial": "1001", "security": "oma"', 1))
    assert [one.security_of(s) for s in one.stations if isinstance(s, MeterStation)] == ["oma", "aes", "aes"]
    assert "eprint 2015/428" in weaknesses(one)[0]
    with pytest.raises(GraphError, match="security"):
        parse_graph(dump_graph(graph).replace('"serial": "1001"', '"serial": "1001", "security": "none"', 1))


def test_a_graph_does_not_show_its_keys():
    secret, psk = "00112233445566778899aabb", "00112233445566778899aabbccddeeff"
    named = f'"name": "demo", "psk": "{psk}", "broadcast_psk": "{psk}"'
    text = dump_graph(load_graph("demo")).replace('"name": "demo"', named, 1)
    graph = parse_graph(text.replace('"serial": "1001"', f'"serial": "1001", "omak": "{secret}"', 1))
    keys = meter_keys(graph, next(s for s in graph.stations if isinstance(s, MeterStation)))
    config = concentrator_config(graph, graph.stations[0])
    for item in (graph, *graph.stations, keys, config):
        assert secret not in f"{item!r}{item}" and bytes.fromhex(secret) not in repr(item).encode()
    assert keys.omak.reveal().hex() == secret and keys.psk.reveal().hex() == psk and keys.broadcast is not None
    for wrong in (secret[:-1], psk + "0", "x" * 24):
        with pytest.raises(GraphError) as caught:
            parse_graph(text.replace('"serial": "1001"', f'"serial": "1001", "omak": "{wrong}"', 1))
        assert wrong not in str(caught.value)
