"""The demo itself: it reads every meter, repeats exactly, and its recording and capture say the same as its log."""

import json
import shutil
import signal
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(280)]
SEED = 5


def osgp_sdr(*arguments, timeout=120):
    command = [sys.executable, "-m", "flowgraphs.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    directory = tmp_path_factory.mktemp("demo") / "out"
    result = osgp_sdr("demo", "--seed", SEED, "--out", directory)
    assert result.returncode == 0, result.stderr
    return result, directory


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_meter_is_found_and_its_registers_are_shown(demo):
    result, directory = demo
    readings = json.loads((directory / "readings.json").read_text())
    assert readings["silent"] == [] and len(readings["meters"]) == 3
    for meter in readings["meters"]:
        register = meter["registers"]["forward_active_wh"]["value"]
        assert f"{register} Wh" in result.stdout
        assert {"BT01", "BT21", "BT23", "BT28"} <= set(meter["tables"])
    starts = {"meter-1": 12345678, "meter-2": 4711, "meter-3": 987654}
    for meter in readings["meters"]:
        gained = meter["registers"]["forward_active_wh"]["value"] - starts[meter["name"]]
        assert 0 <= gained < 100  # Wh in half a minute of a household


def test_the_same_seed_gives_the_same_readings_packets_and_line(demo, tmp_path):
    """Again up to the first meter's reading, which is past the middle: from there on nothing new happens."""
    command = [sys.executable, "-m", "flowgraphs.cli", "demo", "--seed", str(SEED), "--out", str(tmp_path), "--json", "--packets"]
    events = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as again:
        for line in again.stdout:
            events.append(json.loads(line))
            if events[-1]["event"] == "Reading":
                again.send_signal(signal.SIGINT)
                break
        again.stdout.read()
        assert again.wait(20) == 130
    _, directory = demo
    read, end = events[-1], events[-1]["sample"]
    (first,) = (m for m in json.loads((directory / "readings.json").read_text())["meters"] if m["name"] == "meter-3")
    assert read["unique_node_id"] == "0002a1001003" and {"name": "meter-3", **read["reading"]} == first
    keys = ("start_sample", "station", "carrier", "lpdu")
    sent = sorted(tuple(e[key] for key in keys) for e in events if e["event"] == "FrameSent")
    expected = [tuple(packet[key] for key in keys) for packet in lines(directory / "packets.jsonl")]
    assert len(sent) > 0.4 * len(expected) and sent == expected[: len(sent)]
    assert expected[len(sent)][0] > end - 400  # none was left out; the line is one block ahead of its stations
    octets = end * 4
    with (directory / "line.sigmf-data").open("rb") as whole, (tmp_path / "line.sigmf-data").open("rb") as part:
        assert octets > 0.4 * (directory / "line.sigmf-data").stat().st_size
        assert whole.read(octets) == part.read(octets)


def test_decoding_the_recording_finds_the_packets_that_were_sent(demo):
    directory = demo[1]
    sent = lines(directory / "packets.jsonl")
    result = osgp_sdr("decode", "--json", directory / "line.sigmf-meta")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    heard = {(packet["lpdu"], packet["start_sample"] // 4000) for packet in found}
    missed = [p for p in sent if not {(p["lpdu"], p["start_sample"] // 4000 + k) for k in (-1, 0, 1)} & heard]
    assert len(missed) <= len(sent) // 20, missed  # an impulse may hit one; the link repeats it
    assert {packet["lpdu"] for packet in found} <= {packet["lpdu"] for packet in sent}


def test_every_packet_is_annotated_in_the_recording(demo):
    directory = demo[1]
    meta = json.loads((directory / "line.sigmf-meta").read_text())
    sent = lines(directory / "packets.jsonl")
    assert [a["osgp:lpdu"] for a in meta["annotations"]] == [p["lpdu"] for p in sent]
    samples = (directory / "line.sigmf-data").stat().st_size // 4
    for annotation in meta["annotations"]:
        assert annotation["core:sample_start"] + annotation["core:sample_count"] <= samples
        assert annotation["core:freq_lower_edge"] < annotation["core:freq_upper_edge"]
        assert annotation["osgp:sender"]


def test_the_pictures_are_there(demo):
    for name in ("line.png", "packet.png", "timeline.png"):
        assert (demo[1] / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_dissects_the_capture_down_to_the_application_message(demo):
    fields = ["frame.protocols", "lon.nm", "lon.application", "lon.srcnet", "lon.srcnode", "_ws.malformed"]
    command = ["tshark", "-r", str(demo[1] / "capture.pcap"), "-T", "fields"]
    command += [word for field in fields for word in ("-e", field)]
    output = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    rows = [line.split("\t") for line in output.splitlines()]
    assert len(rows) == len(lines(demo[1] / "packets.jsonl"))
    # What follows the message code is OSGP, which tshark shows as data.
    assert all(row[0].removesuffix(":data").endswith(":cnip:lon") and not row[5] for row in rows)
    assert {int(row[1], 16) for row in rows if row[1]} >= {0x61, 0x63, 0x6C}
    osgp_requests = [row for row in rows if row[2] and int(row[2], 16) == 0 and (row[3], row[4]) == ("0x01", "0x01")]
    assert len(osgp_requests) >= 3 * 10
