"""Closed forms against the figures that another program computed (tests/vectors/phy/theory.json)."""

import json
from pathlib import Path

import pytest

from phy import ConfigurationError, theory
from phy.words import WordCode

TRUTH = json.loads((Path(__file__).parent.parent / "vectors" / "phy" / "theory.json").read_text())
FOUND = TRUTH["detection"]["found"]


def required(missed, detection, *arguments):
    return theory.required_esn0_db(lambda db: 1 - detection(db, *arguments), missed, -12, 15)


@pytest.mark.parametrize("ebn0_db, bpsk, de_bpsk, dbpsk", TRUTH["ber"])
def test_bit_error_ratios(ebn0_db, bpsk, de_bpsk, dbpsk):
    assert theory.ber_bpsk(ebn0_db) == pytest.approx(bpsk, rel=6e-4)
    assert theory.ber_de_bpsk(ebn0_db) == pytest.approx(de_bpsk, rel=6e-4)
    assert theory.ber_dbpsk(ebn0_db) == pytest.approx(dbpsk, rel=6e-4)


@pytest.mark.parametrize("name, curve", [("bpsk", theory.ber_bpsk), ("de_bpsk", theory.ber_de_bpsk), ("dbpsk", theory.ber_dbpsk)])
def test_energy_that_a_bit_error_ratio_needs(name, curve):
    for target, expected in zip(TRUTH["ber_required_db"]["targets"], TRUTH["ber_required_db"][name], strict=True):
        assert theory.required_esn0_db(curve, target) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("row", TRUTH["words"]["rows"])
def test_word_error_ratios_of_the_parity_word(row):
    truth = dict(zip(TRUTH["words"]["columns"], row, strict=True))
    assert theory.uncoded_word_error_ratio(truth["esn0_db"]) == pytest.approx(truth["uncoded"], rel=0.01)
    assert theory.parity_word_error_ratio(truth["esn0_db"]) == pytest.approx(truth["parity_ml"], rel=4e-4)


@pytest.mark.parametrize("name, column", [("W11_L3", "l3_ml"), ("W11_P3", "p3_ml")])
@pytest.mark.parametrize("esn0_db", [2, 4])
def test_word_error_ratios_of_other_codes(name, column, esn0_db):
    """Both sides are Monte Carlo: 2 % each."""
    truth = dict(zip(TRUTH["words"]["columns"], TRUTH["words"]["rows"][esn0_db], strict=True))
    ideal = theory.ideal_word_error_ratio(WordCode.named(name), esn0_db)
    assert ideal.method == "simulated" and ideal.standard_error < 0.015 * ideal.value
    assert ideal.value == pytest.approx(truth[column], rel=0.08)


def test_the_union_bound_meets_the_simulation_where_errors_are_rare():
    code = WordCode.named("W11_L3")
    at_6 = theory.ideal_word_error_ratio(code, 6.0)
    assert at_6.value < theory.union_bound(code, 6.0) < 1.1 * at_6.value
    assert theory.ideal_word_error_ratio(code, 7.0).method == "union bound"


@pytest.mark.parametrize("octets, decoder, required", TRUTH["packets"]["rows"])
def test_energy_that_a_packet_error_ratio_needs(octets, decoder, required):
    words = {
        "uncoded": theory.uncoded_word_error_ratio,
        "detected": lambda db: theory.uncoded_word_error_ratio(db, 11),
        "parity_ml": theory.parity_word_error_ratio,
    }
    ratios = list(zip(TRUTH["packets"]["ratios"], required, strict=True))
    if decoder in words:
        for target, expected in ratios:
            got = theory.required_esn0_db(lambda db: theory.packet_error_ratio(words[decoder](db), octets), target)
            assert got == pytest.approx(expected, abs=0.006)
    elif decoder == "l3_ml" and octets == 20:
        code = WordCode.named("W11_L3")
        for target, expected in ratios[:2]:
            got = theory.required_esn0_db(lambda db: theory.ideal_packet_error_ratio(code, octets, db), target, 0, 7)
            assert got == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("esn0_db, per", TRUTH["packet_curve_20"])
def test_packet_error_ratio_of_the_profile(esn0_db, per):
    got = theory.ideal_packet_error_ratio(WordCode.named("W11_SPC"), 20, esn0_db)
    assert got == pytest.approx(per, rel=0.03 if per < 1e-3 else 3e-3)


def test_one_check_is_recognised_whatever_else_a_word_holds():
    """Nine live bits, in any positions, inverted or not; and eight without a check, two of eight checked."""
    assert theory.single_check_bits(WordCode.named("W11_SPC")) == 9
    assert theory.single_check_bits(WordCode.named("W11_L3")) is None
    plain = WordCode.named("W11_SPC").table[:, [10, 3, 1, 0, 2, 4, 6, 5, 7]] ^ 1
    code = WordCode("plain", plain)
    assert theory.single_check_bits(code) == 0
    assert theory.ideal_word_error_ratio(code, 3.0).value == pytest.approx(theory.uncoded_word_error_ratio(3.0), rel=1e-12)


@pytest.mark.parametrize("bits", ["10", "24", "35"])
def test_detection_of_known_bits(bits):
    for false_alarm, row in zip(TRUTH["detection"]["false_alarms"], TRUTH["detection"]["required_db"][bits], strict=True):
        for found, expected in zip(FOUND, row, strict=True):
            got = required(1 - found, theory.detection_probability, int(bits), false_alarm)
            assert got == pytest.approx(expected, abs=0.006)


def test_operating_points_of_the_preamble():
    for name, row in TRUTH["roc_24"].items():
        if name != "esn0_db":
            for esn0_db, expected in zip(TRUTH["roc_24"]["esn0_db"], row, strict=True):
                assert theory.detection_probability(esn0_db, 24, float(name)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("bits", ["24", "35"])
def test_constant_false_alarm_detection(bits):
    truth = TRUTH["cfar"]
    for k, false_alarm in enumerate(truth["false_alarms"]):
        assert theory.cfar_threshold(int(bits), false_alarm) == pytest.approx(truth["threshold"][bits][k], abs=6e-4)
        got = required(0.01, theory.cfar_detection_probability, int(bits), false_alarm)
        assert got == pytest.approx(truth["required_99_db"][bits][k], abs=0.006)


def test_detection_in_segments_with_a_frequency_error():
    truth = TRUTH["split_24"]
    for segments, row in truth["required_99_db"].items():
        for offset_hz, expected in zip(truth["offsets_hz"], row, strict=True):
            got = required(0.01, theory.detection_probability, 24, 1e-7, int(segments), offset_hz / truth["bit_rate"])
            assert got == pytest.approx(expected, abs=0.006)


def test_missed_sync_words():
    truth = TRUTH["sync_miss"]
    for errors, row in truth["hard"].items():
        for esn0_db, expected in zip(truth["esn0_db"], row, strict=True):
            assert theory.sync_miss_hard(esn0_db, 11, int(errors)) == pytest.approx(expected, rel=0.06)
    assert theory.sync_miss_soft(4.0) == pytest.approx(truth["soft_0.5_at_4_db"], rel=0.06)


@pytest.mark.parametrize("row", TRUTH["class_a"]["rows"])
def test_gains_in_class_a_noise(row):
    truth = dict(zip(TRUTH["class_a"]["columns"], row, strict=True))
    gain = theory.class_a_gain(truth["A"], truth["gamma"])
    for name in ("locally_optimum_db", "clipper_db", "blanker_db", "hard_limiter_db", "bound_db"):
        assert getattr(gain, name) == pytest.approx(truth[name], abs=0.011), name
    if truth["clipper_threshold"] is not None:
        assert gain.clipper_threshold == pytest.approx(truth["clipper_threshold"], rel=0.05)
    # the best blanker is a flat optimum: the threshold itself says little
    if truth["blanker_db"] > 1:
        assert gain.blanker_threshold == pytest.approx(truth["blanker_threshold"], rel=0.07)


def test_bit_error_ratio_in_class_a_noise():
    truth = TRUTH["class_a_symbol"]
    for ebn0_db, expected in zip(truth["ebn0_db"], truth["ber"], strict=True):
        assert theory.ber_class_a(ebn0_db, truth["A"], truth["gamma"]) == pytest.approx(expected, rel=0.03)


def test_false_acceptance():
    assert theory.false_acceptance(1) == pytest.approx(2**-16)
    assert theory.false_acceptance(0) == 0
    assert theory.false_acceptance(64) == pytest.approx(64 * 2**-16, rel=1e-3)
    assert theory.residual_error_ratio(0.1) == pytest.approx(1.5e-6, rel=0.02)


def test_wrong_arguments_name_themselves():
    with pytest.raises(ConfigurationError, match="not met"):
        theory.required_esn0_db(theory.ber_bpsk, 0.9)
    with pytest.raises(ConfigurationError, match="target"):
        theory.required_esn0_db(theory.ber_bpsk, 0.0)
    with pytest.raises(ConfigurationError, match="segments"):
        theory.detection_probability(0, 24, 1e-3, 5)
    with pytest.raises(ConfigurationError, match="bits"):
        theory.parity_word_error_ratio(3, 1)
    with pytest.raises(ConfigurationError, match="gamma"):
        theory.class_a_gain(0.1, 0.0)
