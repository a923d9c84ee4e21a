"""Recordings to packets: options by name, rates that cannot carry a band."""

import re
import typing
from dataclasses import fields

import numpy as np
import pytest

from flowgraphs.cli import run
from flowgraphs.decoding import decode_recording, receiver_options
from flowgraphs.errors import FlowgraphError, RecordingError
from flowgraphs.recording import open_recording
from phy import PhyError, Profile, ReceiverOptions
from phy.packet import WORD_DECODERS
from phy.profile import CARRIERS

KINDS = typing.get_type_hints(ReceiverOptions)
OPTIONS = [field.name for field in fields(ReceiverOptions)]


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_of_the_receiver_can_be_set_by_name(name):
    default = getattr(ReceiverOptions(), name)
    if KINDS[name] is bool:
        others = {"true": True, "NO": False, "1": True, "0": False}
    elif KINDS[name] is int:
        others = {str(default + 1): default + 1}
    elif KINDS[name] is float:
        others = {repr(default * 1.01): default * 1.01, f"{default:.3e}": float(f"{default:.3e}")}
    else:
        assert name == "word_decoder", "an option of a new type: say here how it is written"
        others = {decoder: decoder for decoder in WORD_DECODERS}
    for text, value in {str(default): default, **others}.items():
        options = receiver_options({f"receiver.{name}": text})
        assert getattr(options, name) == value and type(getattr(options, name)) is KINDS[name]
        for other in set(OPTIONS) - {name}:
            assert getattr(options, other) == getattr(ReceiverOptions(), other)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("text", ["", "some", "nan", "inf", "1,5", "0x10"])
def test_a_value_of_the_wrong_type_is_refused_with_the_option_and_what_is_expected(name, text):
    with pytest.raises((FlowgraphError, PhyError), match=name) as caught:
        receiver_options({f"receiver.{name}": text})
    assert KINDS[name] is str or f"expected {KINDS[name].__name__}, got '{text}'" in str(caught.value)


def test_an_unknown_option_is_answered_with_all_that_there_are():
    for key in ("receiver.nothing", "blanker", "receiver", "transmitter.level_v"):
        with pytest.raises(FlowgraphError, match=re.escape(key)) as caught:
            receiver_options({key: "1"})
        assert all(f"receiver.{name}" in str(caught.value) for name in OPTIONS)


def silence(directory, rate, dtype="int16", **more):
    path = directory / "line.raw"
    np.zeros(4000, "<i2").tofile(path)
    return open_recording(str(path), rate, dtype, **more)


def needed(name, carrier):
    profile = Profile.load(name)
    return 2 * (profile.carrier_hz(carrier) + profile.bit_rate)


@pytest.mark.parametrize("rate", [8000.0, 44_100.0, 96_000.0])
@pytest.mark.parametrize("profile", ["pl20a", "pl20c", "auto"])
def test_a_rate_that_carries_no_carrier_is_refused_with_the_rate_that_would(tmp_path, rate, profile):
    with pytest.raises(RecordingError) as caught:
        list(decode_recording(silence(tmp_path, rate), profile, ReceiverOptions()))
    text = str(caught.value)
    assert "line.raw" in text and f"{rate:g} Hz is too low" in text and "\n" not in text
    for name in ("pl20a", "pl20c") if profile == "auto" else (profile,):
        for carrier in CARRIERS:
            told = re.search(rf"{name}:[^;]*the {carrier} frequency at \d+ Hz needs more than (\d+) Hz", text)
            assert 0 <= int(told[1]) - needed(name, carrier) < 1


@pytest.mark.parametrize("profile", ["pl20a", "pl20c", "auto"])
def test_iq_that_holds_no_carrier_is_refused_with_its_band_and_the_rate_that_would(tmp_path, profile):
    recording = silence(tmp_path, 20e3, "ci16", frequency=40e3)
    with pytest.raises(RecordingError) as caught:
        list(decode_recording(recording, profile, ReceiverOptions()))
    text = str(caught.value)
    assert "IQ at 20000 Hz around 40000 Hz (30400..49600 Hz of the line) is too low" in text
    for name in ("pl20a", "pl20c") if profile == "auto" else (profile,):
        for carrier in CARRIERS:
            rate = int(re.search(rf"{name}:[^;]*the {carrier} frequency at \d+ Hz needs more than (\d+) Hz", text)[1])
            again = silence(tmp_path, float(rate), "ci16", frequency=40e3)
            assert list(decode_recording(again, name, ReceiverOptions())) == []
            below = silence(tmp_path, rate * 0.99, "ci16", frequency=40e3)
            notes = []
            try:
                assert list(decode_recording(below, name, ReceiverOptions(), notes.append)) == []
            except RecordingError as error:
                notes.append(str(error))
            assert f"the {carrier} frequency" in notes[0] and f"{rate} Hz" in notes[0]


def test_what_a_rate_leaves_out_is_told(tmp_path):
    notes = []
    rate = (needed("pl20a", "primary") + needed("pl20a", "secondary")) / 2
    assert list(decode_recording(silence(tmp_path, rate), "pl20a", ReceiverOptions(), notes.append)) == []
    assert len(notes) == 1 and "leaves out" in notes[0] and "primary" in notes[0] and "secondary" not in notes[0]
    notes.clear()
    assert list(decode_recording(silence(tmp_path, 192e3), "auto", ReceiverOptions(), notes.append)) == []
    assert len(notes) == 1 and "pl20c" in notes[0] and "not tried" in notes[0]
    notes.clear()
    assert list(decode_recording(silence(tmp_path, 384e3), "auto", ReceiverOptions(), notes.append)) == []
    assert notes == []


@pytest.mark.parametrize("profile", ["pl20a", "pl20c", "auto"])
def test_the_command_says_it_in_one_line_with_exit_code_2(tmp_path, capsys, profile):
    silence(tmp_path, 44_100.0)
    path = str(tmp_path / "line.raw")
    assert run(["decode", "--json", "--profile", profile, "--rate", "44100", "--dtype", "int16", path]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert f"{path}: sample rate 44100 Hz is too low for pl20" in captured.err and "needs more than" in captured.err
