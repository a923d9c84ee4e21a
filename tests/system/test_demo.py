"""The demo reads every meter; its line with one meter repeats exactly; recording and capture say the same as the log."""

import json
import shutil
import subprocess
import sys

import msgspec
import pytest

from flowgraphs.graph import dump_graph, load_graph

pytestmark = [pytest.mark.system, pytest.mark.timeout(280)]
SEED = 5


def osgp_sdr(*arguments, timeout=120):
    command = [sys.executable, "-m", "flowgraphs", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="session")
def demo(shared):
    """The results of the demo; what it printed is in stdout.txt."""

    def make(directory):
        result = osgp_sdr("demo", "--seed", SEED, "--out", directory)
        assert result.returncode == 0, result.stderr
        (directory / "stdout.txt").write_text(result.stdout)

    return shared("demo", make)


def run_small(directory):
    """The demo's line with all of its noise and the meter behind echoes, of which one table is read."""
    graph = load_graph("demo")
    concentrator = msgspec.structs.replace(graph.station("concentrator"), tables=["BT01"])
    graph = msgspec.structs.replace(graph, stations=[concentrator, graph.station("meter-2")])
    (directory / "small.yaml").write_text(dump_graph(graph))
    place = ["--out", directory, "--endpoint", f"ipc://{directory}/line"]
    done = osgp_sdr("run", directory / "small.yaml", "--seed", SEED, *place)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def once(shared):
    return shared("once", run_small)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_meter_is_found_and_its_registers_are_shown(demo):
    said = (demo / "stdout.txt").read_text()
    readings = json.loads((demo / "readings.json").read_text())
    assert readings["silent"] == [] and len(readings["meters"]) == 3
    for meter in readings["meters"]:
        register = meter["registers"]["forward_active_wh"]["value"]
        assert f"{register} Wh" in said
        assert {"BT01", "BT21", "BT23", "BT28"} <= set(meter["tables"])
    starts = {"meter-1": 12345678, "meter-2": 4711, "meter-3": 987654}
    for meter in readings["meters"]:
        gained = meter["registers"]["forward_active_wh"]["value"] - starts[meter["name"]]
        assert 0 <= gained < 100  # Wh in half a minute of a household


def test_the_same_seed_gives_the_same_readings_packets_and_line(once, tmp_path):
    run_small(tmp_path)
    for name in ("readings.json", "packets.jsonl", "capture.pcap", "line.sigmf-meta"):
        assert (tmp_path / name).read_bytes() == (once / name).read_bytes(), name
    assert list(json.loads((tmp_path / "readings.json").read_text())["meters"][0]["tables"]) == ["BT01"]
    # The metadata carry the SHA-512 of the samples, so the line was the same to the last bit.
    assert json.loads((tmp_path / "line.sigmf-meta").read_text())["global"]["core:sha512"]


def test_decoding_the_recording_finds_the_packets_that_were_sent(once):
    sent = lines(once / "packets.jsonl")
    assert len(sent) > 10
    result = osgp_sdr("decode", "--json", once / "line.sigmf-meta")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    heard = {(packet["lpdu"], packet["start_sample"] // 4000) for packet in found}
    missed = [p for p in sent if not {(p["lpdu"], p["start_sample"] // 4000 + k) for k in (-1, 0, 1)} & heard]
    assert len(missed) <= len(sent) // 20, missed  # an impulse may hit one; the link repeats it
    assert {packet["lpdu"] for packet in found} <= {packet["lpdu"] for packet in sent}


def test_every_packet_is_annotated_in_the_recording(demo):
    meta = json.loads((demo / "line.sigmf-meta").read_text())
    sent = lines(demo / "packets.jsonl")
    assert [a["osgp:lpdu"] for a in meta["annotations"]] == [p["lpdu"] for p in sent]
    samples = (demo / "line.sigmf-data").stat().st_size // 4
    for annotation in meta["annotations"]:
        assert annotation["core:sample_start"] + annotation["core:sample_count"] <= samples
        assert annotation["core:freq_lower_edge"] < annotation["core:freq_upper_edge"]
        assert annotation["osgp:sender"]


def test_the_pictures_are_there(demo):
    for name in ("line.png", "packet.png", "timeline.png"):
        assert (demo / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_dissects_the_capture_down_to_the_application_message(demo):
    fields = ["frame.protocols", "lon.nm", "lon.application", "lon.srcnet", "lon.srcnode", "_ws.malformed"]
    command = ["tshark", "-r", str(demo / "capture.pcap"), "-T", "fields"]
    command += [word for field in fields for word in ("-e", field)]
    output = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    rows = [line.split("\t") for line in output.splitlines()]
    assert len(rows) == len(lines(demo / "packets.jsonl"))
    # What follows the message code is OSGP, which tshark shows as data.
    assert all(row[0].removesuffix(":data").endswith(":cnip:lon") and not row[5] for row in rows)
    assert {int(row[1], 16) for row in rows if row[1]} >= {0x61, 0x63, 0x6C}
    osgp_requests = [row for row in rows if row[2] and int(row[2], 16) == 0 and (row[3], row[4]) == ("0x01", "0x01")]
    assert len(osgp_requests) >= 3 * 10
