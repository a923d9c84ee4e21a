"""Loops measured: what a known wire does must be what the measurement says, and bad loops must not pass."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import signal

from flowgraphs.cli import run
from flowgraphs.frontends.contract import open_duplex
from flowgraphs.hil import HilMeasurement, Response, Slip, analyse, make_plan, play
from flowgraphs.hil_verdict import judge, passes
from phy import Profile

RATE = 192_000.0


@pytest.fixture(scope="module")
def plan():
    return make_plan(Profile.load("pl20a"), RATE, 10, 0.4)


def measured(plan, options):
    source, sink = open_duplex(f"soundcard:loopback?pace=fast&settle_s=0.05&queue_s=0.2&{options}")
    try:
        capture = play(plan, source, sink, source.card)
    finally:
        source.close()
    found = analyse(plan, capture, source.card)
    return found, {finding.name: finding for finding in judge(found, 1.0)}


def test_the_plan_keeps_the_duty_cycle_and_both_carriers(plan):
    starts = [first for first, _ in plan.parts[1:-1]]
    assert (plan.parts[1][1] - starts[0]) / np.diff(starts) == pytest.approx(0.6, abs=0.001)
    assert {packet.carrier for packet in plan.packets} == {"primary", "secondary"}
    assert len({packet.lpdu for packet in plan.packets}) == 10 and np.abs(plan.samples).max() <= 0.4001
    c_band = make_plan(Profile.load("pl20c"), 400_000.0, 2, 1.0)
    assert len(c_band.sweeps) == 4  # 70-95 and 110-140 kHz, twice


def test_a_good_loop_passes_and_is_measured_truly(plan):
    found, findings = measured(plan, "delay=3000&gain_db=-9&noise_v=0.001&low_pass_hz=85000")
    assert passes(list(findings.values())) and found.packet_error_rate == 0 and found.false_packets == 0
    sos = signal.butter(2, 85_000, fs=RATE, output="sos")
    for point in found.response:
        _, gain = signal.sosfreqz(sos, [point.freq_hz], fs=RATE)
        if point.freq_hz <= 90e3:  # above it the wire is 30 dB down and its noise shows
            assert point.gain_db == pytest.approx(20 * np.log10(abs(gain[0])) - 9, abs=0.35), point
    assert {point.freq_hz for point in found.response} == {70e3 + 1e3 * k for k in range(26)}
    assert found.round_trip == pytest.approx(3000 + 2048, abs=4)
    assert found.noise_v == pytest.approx(0.001, rel=0.02)
    assert found.noise_band_v == pytest.approx(0.001 * np.sqrt(25e3 / 96e3), rel=0.05)  # white: by bandwidth
    assert abs(found.clock_ppm) < 0.05 and found.sent == {"primary": 5, "secondary": 5} == found.received


def test_two_clocks_are_seen(plan):
    found, findings = measured(plan, "ppm=-63&noise_v=0.001")
    assert found.clock_ppm == pytest.approx(-63, abs=0.5) and findings["clock"].status == "warning"


def test_a_slip_is_found_with_its_place_and_size(plan):
    found, findings = measured(plan, "delay=9000&slip=8189&slip_at_s=1.9&noise_v=0.001")
    assert [slip.samples for slip in found.slips] == [pytest.approx(8189, abs=4)] and findings["continuity"].status == "warning"
    lost = sum(found.sent.values()) - sum(found.received.values())
    assert lost <= 2  # what the slip touched; the receiver goes on behind it


@pytest.mark.parametrize(
    ("options", "name", "words"),
    [("gain_db=-110", "loop", "not heard"), ("gain_db=12", "level", "input clips"), ("unplug_at_s=1.5", "loop", "went away")],
)
def test_a_bad_loop_does_not_pass(plan, options, name, words):
    found, findings = measured(plan, options)
    assert findings[name].status == "fail" and words in findings[name].text and findings[name].advice
    assert not passes(judge(found, 1.0))


GOOD = HilMeasurement(
    192e3, "pl20a", 0.5, 4000.0, 0.0, (Response(70e3, -6.0), Response(95e3, -7.0)), -6.0, 1e-3, 1e-4, 0.25, 0.25,
    {"primary": 100, "secondary": 100}, {"primary": 100, "secondary": 100}, 0, {"primary": 40.0, "secondary": 41.0}, (), 0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "name", "status", "words"),
    [
        ({}, "packets", "ok", "below 1.5 % with 95 % confidence"),  # rule of three: 3 / 200
        ({"received": {"primary": 99, "secondary": 100}}, "packets", "fail", "error rate 0.5 %"),
        ({"peak_v": 0.004}, "level", "warning", "below 1 %"),
        ({"clipped_out": 3}, "level", "fail", "3 samples clipped"),
        ({"response": (Response(70e3, -6.0), Response(94e3, -20.0))}, "response", "warning", "lowest at 94 kHz"),
        ({"esn0_db": {"primary": 11.0}}, "noise", "warning", "11.0 dB"),
        ({"clock_ppm": 12.0}, "clock", "warning", "+12.0 ppm"),
        ({"clock_ppm": 900.0}, "clock", "fail", "+900.0 ppm"),
        ({"slips": (Slip(1.0, 8189),)}, "continuity", "warning", "+8189 at 1.0 s"),
        ({"underruns": 1}, "continuity", "warning", "1 underruns"),
    ],
)
def test_each_fault_gets_its_advice(changes, name, status, words):
    found = dataclasses.replace(GOOD, **changes)
    (finding,) = [one for one in judge(found, 1.0) if one.name == name]
    assert finding.status == status and words in finding.text and bool(finding.advice) == (status != "ok")
    assert passes(judge(found, 1.0)) == (status != "fail")


def test_the_command_says_pass_and_writes_json(tmp_path, capsys):
    wire = ["hil-check", "soundcard:loopback?pace=fast&settle_s=0.05", "--packets", "4"]
    assert run([*wire, "--record", str(tmp_path / "heard.wav"), "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["passed"] and found["packet_error_rate"] == 0 and found["received"] == {"primary": 2, "secondary": 2}
    assert "dBuV" in err and (tmp_path / "heard.wav").stat().st_size > 100_000
    assert run(["hil-check", "soundcard:loopback?pace=fast&gain_db=-100", "--packets", "2"]) == 1
    assert "does not pass" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["hil-check"], "give a URL or --loop"),
        (["hil-check", "soundcard:"], "nothing is sent without --transmit"),
        (["hil-check", "file:x.wav", "--transmit"], "no front end for both directions of kind 'file'"),
        (["run", "demo", "--transmit"], "name it with --frontend"),
        (["bridge", "file:x.wav", "soundcard:"], "nothing is sent without --transmit"),
        (["listen", "nonsense:x"], "no source of kind 'nonsense'"),
    ],
)
def test_wrong_usage_is_one_line(arguments, words, capsys):
    assert run(arguments) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1
