"""Identify, its parts: parity equations, the map from word to octet, names of codes, numerology, baseband, report."""

import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phy import ConfigurationError, append_crc
from phy.crc import CRC_16_GENIBUS, CRCS
from phy.identify import BurstFinder, Finding
from phy.identify.baseband import limited, to_baseband
from phy.identify.checksearch import find_polynomials
from phy.identify.codenames import equations, write_code
from phy.identify.headersplit import split_header
from phy.identify.numerology import known_clocks
from phy.identify.octetmap import UNKNOWNS, MapEquations, Spans, missing_packets, solve_maps
from phy.identify.report import profile_text
from phy.identify.steadytones import remove_tones
from phy.identify.wordcode import EQUATIONS, find_code
from phy.words import WordCode

OCTETS = (np.arange(256)[:, None] >> np.arange(7, -1, -1) & 1).astype(np.uint8)
REVERSED = np.array([int(f"{octet:08b}"[::-1], 2) for octet in range(256)])


@st.composite
def tables(draw):
    """(256, 11): any affine code."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    while True:
        table = ((OCTETS @ rng.integers(0, 2, (8, 11)) + rng.integers(0, 2, 11)) % 2).astype(np.uint8)
        if np.unique(table, axis=0).shape[0] == 256:
            return table


@given(tables(), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_the_equations_of_any_code_are_found_among_words_with_errors(table, seed):
    rng = np.random.default_rng(seed)
    words = table[rng.integers(0, 256, 1500)]
    words = words ^ (rng.random(words.shape) < 2e-3).astype(np.uint8)
    code = find_code(words)
    assert code.equations == EQUATIONS
    assert {tuple(w) for w in code.words} == {tuple(w) for w in table}
    assert 0.95 < code.holds <= 1.0


def test_random_words_obey_no_equation_and_few_words_too_many():
    rng = np.random.default_rng(1)
    assert find_code(rng.integers(0, 2, (2000, 11)).astype(np.uint8)).equations == 0
    assert find_code(WordCode.named("W11_SPC").table[:4]).equations == 9


def test_frequent_octets_are_not_taken_for_equations():
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.integers(0, 128, 3000), rng.integers(0, 256, 200)])  # bit 7 is set in the CRCs alone
    assert find_code(WordCode.named("W11_L3").table[values]).equations == EQUATIONS


def packets_of(table, code, rng, lengths, append=append_crc):
    """Coordinates of the words of packets with random octets."""
    index = {tuple(w): i for i, w in enumerate(code.words)}
    for length in lengths:
        lpdu = append(bytes(rng.integers(0, 256, length - 2).astype(np.uint8)))
        yield code.coordinates[[index[tuple(table[o])] for o in lpdu]]


@given(tables(), st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_the_check_sequence_tells_the_octet_of_every_word(table, seed):
    rng = np.random.default_rng(seed)
    code = find_code(table)
    packets = list(packets_of(table, code, rng, rng.integers(8, 41, 14)))
    for damaged in packets[:2]:
        damaged[3, 5] ^= 1
    maps = solve_maps(packets, code.words, code.coordinates, CRC_16_GENIBUS, rng, 100)
    assert maps is not None and maps.undetermined == 0 and (maps.packets, maps.refused) == (12, 2)
    assert np.array_equal(maps.tables[0], table)


@pytest.mark.parametrize("name", ["CRC-16/USB", "CRC-16/TMS37157", "CRC-16(poly=0x5B93,init=0x0000,xor=0xFFFF,swapped)"])
def test_check_octets_may_be_sent_low_one_first(name):
    rng = np.random.default_rng(5)
    table = WordCode.named("W11_P3").table
    code = find_code(table)
    packets = list(packets_of(table, code, rng, rng.integers(8, 41, 12), CRCS[name].append))
    maps = solve_maps(packets, code.words, code.coordinates, CRCS[name], rng, 3)
    assert maps is not None and maps.packets == 12
    assert np.array_equal(maps.tables[0], table)


def test_words_without_their_check_octets_tell_no_polynomial():
    rng = np.random.default_rng(7)
    table = WordCode.named("W11_P3").table
    code = find_code(table)
    index = {tuple(w): i for i, w in enumerate(code.words)}
    texts = [b"%03d;%03d;" % tuple(rng.integers(0, 1000, 2)) for _ in range(40)]
    whole = [code.coordinates[[index[tuple(table[o])] for o in CRCS["CRC-16/T10-DIF"].append(text)]] for text in texts]
    assert find_polynomials(whole, True, False) == [0x8BB7]
    assert find_polynomials([packet[:-2] for packet in whole], True, False) == []


def test_too_few_packets_leave_the_map_open_and_the_truth_among_the_solutions():
    rng = np.random.default_rng(3)
    table = WordCode.named("W11_P3").table
    code = find_code(table)
    system = MapEquations(CRC_16_GENIBUS, 64)
    assert system.undetermined == UNKNOWNS
    for coordinates in packets_of(table, code, rng, [12, 16, 20, 31]):
        assert system.add(coordinates)
    assert 8 <= system.undetermined <= 12
    octets = np.stack([(code.coordinates @ m.T + b) % 2 @ (1 << np.arange(7, -1, -1)) for m, b in system.solutions(1 << 12)])
    wanted = [int(np.flatnonzero((table == w).all(axis=1))[0]) for w in code.words]
    assert (octets == wanted).all(axis=1).sum() == 1


def test_packets_that_contradict_the_check_sequence_are_refused():
    rng = np.random.default_rng(4)
    noise = [rng.integers(0, 2, (20, 8)).astype(np.uint8) for _ in range(20)]
    code = find_code(WordCode.named("W11_SPC").table)
    assert solve_maps(noise, code.words, code.coordinates, CRC_16_GENIBUS, rng, 10) is None


@pytest.mark.parametrize("name", ["W11_SPC", "W11_L3", "W11_P3"])
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("lsb_first", [False, True])
def test_a_named_code_is_found_under_polarity_and_bit_order(name, inverted, lsb_first):
    named = WordCode.named(name).table
    seen = (named[REVERSED] if lsb_first else named) ^ np.uint8(inverted)
    written = write_code(seen, may_invert=True, prefer_inverted=False)
    assert written.value == name and not written.inversion.any()
    back = WordCode.named(name).table ^ np.uint8(written.inverted)
    assert np.array_equal(back[REVERSED] if written.lsb_first else back, seen)


@given(tables(), st.booleans())
@settings(max_examples=20, deadline=None)
def test_any_other_code_is_written_as_a_table_that_means_the_same(table, prefer):
    written = write_code(table, may_invert=True, prefer_inverted=prefer)
    if isinstance(written.value, str):
        return
    words = (np.array(written.value)[:, None] >> np.arange(10, -1, -1) & 1).astype(np.uint8) ^ np.uint8(written.inverted)
    assert np.array_equal(words[REVERSED] if written.lsb_first else words, table)


def test_equations_are_written_with_data_bits_constants_and_inversions():
    assert equations(WordCode.named("W11_SPC").table)[6:] == ("d1", "d0", "d7+d6+d5+d4+d3+d2+d1+d0", "0", "1")
    inversion = np.zeros(11, np.uint8)
    inversion[0] = 1
    assert equations(WordCode.named("W11_SPC").inverted(inversion).table)[0] == "1+d7"


def test_known_clocks_are_those_of_the_profiles():
    assert known_clocks() == [(6_553_600.0, 76.0), (10_000_000.0, 76.0), (10_000_000.0, 116.0)]


def test_baseband_of_a_carrier_is_its_amplitude_and_phase():
    rate, carrier = 400e3, 86_231.58
    t = np.arange(40_000) / rate
    x = (0.7 * np.cos(2 * np.pi * carrier * t + 0.4) + np.cos(2 * np.pi * (carrier - 10.8e3) * t)).astype(np.float32)
    base = to_baseband(x, rate, carrier, 4.5e3, 6.3e3, 60e3)
    middle = base.z[base.z.size // 4 : -base.z.size // 4]
    assert np.allclose(middle, 0.7 * np.exp(0.4j), atol=2e-3) and base.rate >= 60e3
    times = np.linspace(0.03, 0.06, 7)
    assert np.allclose(base.at(times), 0.7 * np.exp(0.4j), atol=2e-3)


def test_impulses_are_cut_down_and_the_rest_is_left_alone():
    rate, carrier = 400e3, 86e3
    x = np.cos(2 * np.pi * carrier * np.arange(20_000) / rate).astype(np.float32)
    clean = limited(x, rate, carrier, 1000, 19_000)
    assert np.allclose(clean[500:-500], x[500:-500], atol=5e-3)
    x[10_000] += 100
    assert np.abs(limited(x, rate, carrier, 1000, 19_000)).max() < 3


def test_a_finding_s_grade_follows_its_confidence_and_its_text_survives_toml():
    sure = Finding.measured("pulse.alpha", 1.0, 2.0, 'evidence with "quotes" and \\ and\nlines')
    doubtful = Finding.measured("packet.code", [1, 2, 3], 0.4, "few packets")
    assert (sure.grade, sure.confidence, doubtful.grade) == ("C", 0.999, "D")
    tree = tomllib.loads(profile_text("name", "title", [sure, doubtful], ["a note"]))
    assert tree["pulse"]["alpha"]["value"] == 1.0 and '"quotes" and \\ and lines' in tree["pulse"]["alpha"]["source"]
    assert tree["packet"]["code"] == {"value": [1, 2, 3], "grade": "D", "source": doubtful.source}


def test_the_header_is_split_where_a_regular_preamble_ends_and_doubted_where_nothing_shows():
    sync = [1, 0, 0, 1, 0, 1, 1, 0, 0, 0, 1]
    end, sure = split_header(np.array([1, 0] * 20 + sync, np.uint8))
    assert end == 40 and sure > 0.8
    end, sure = split_header(np.array([1] * 16 + [0] * 8 + [1] * 8, np.uint8))
    assert end == 16 and sure > 0.7
    # No sync word has five bits: this one begins with as many ones as the preamble ends with.
    assert split_header(np.array([1] * 22 + [0, 0, 1, 0, 0], np.uint8))[0] <= 19
    assert [split_header(np.ones(n, np.uint8))[0] for n in (8, 11)] == [4, 4]
    rng = np.random.default_rng(5)
    end, sure = split_header(rng.integers(0, 2, 41).astype(np.uint8))
    assert end == 30 and sure < 0.7


def test_packets_that_are_sums_of_others_prove_nothing():
    rng = np.random.default_rng(6)
    a, b, c = (rng.integers(0, 2, (9, 8)).astype(np.uint8) for _ in range(3))
    spans = Spans()
    assert [spans.add(p) for p in (a, b, a, c, a ^ b ^ c, a ^ b, a[:-1])] == [True, True, False, True, False, True, True]
    # 104 = 72 unknowns and 32 for the proof, at 16 a packet.
    assert [missing_packets(k) for k in (0, 6, 7, 20)] == [7, 1, 0, 0]


@pytest.mark.parametrize("tone_hz", [77_500.0, 86_231.58, 31_234.567])
def test_a_steady_tone_is_taken_out_and_a_burst_is_left(tone_hz):
    rate = 400e3
    rng = np.random.default_rng(7)
    t = np.arange(int(1.5 * rate)) / rate
    noise = rng.normal(0, 0.1, t.size)
    burst = np.where((t > 0.5) & (t < 0.6), np.cos(2 * np.pi * 86_231.58 * t), 0.0)
    idle = (t < 0.495) | (t > 0.605)
    x = (noise + burst + 3 * np.cos(2 * np.pi * tone_hz * t + 1)).astype(np.float32)
    clean, tones = remove_tones(x, rate, idle, 9e3, 160e3)
    assert tones >= 1
    left = clean - noise - burst
    assert np.sqrt(np.mean(left**2)) < 0.03
    same, tones = remove_tones((noise + burst).astype(np.float32), rate, idle, 9e3, 160e3)
    assert tones == 0 and np.array_equal(same, (noise + burst).astype(np.float32))


def test_a_sample_rate_that_can_carry_no_carrier_is_refused():
    for rate in (8000.0, 0.0, float("nan")):
        with pytest.raises(ConfigurationError, match="sample_rate"):
            BurstFinder(rate)


def test_bursts_are_found_beside_the_steep_edges_of_a_recorder_s_filter():
    rate = 400e3
    rng = np.random.default_rng(8)
    x = rng.normal(0, 1, int(3 * rate))
    t = np.arange(x.size) / rate
    bits = np.repeat(2.0 * rng.integers(0, 2, x.size // 111 + 1) - 1, 111)[: x.size]
    starts = np.arange(0.1, 2.9, 0.15)
    gate = ((t[:, None] > starts) & (t[:, None] < starts + 0.05)).any(axis=1)
    x += 2.5 * gate * bits * np.cos(2 * np.pi * 86e3 * t)
    spectrum = np.fft.rfft(x)
    spectrum[np.abs(np.fft.rfftfreq(x.size, 1 / rate) - 85e3) > 25e3] = 0
    filtered = np.fft.irfft(spectrum, x.size).astype(np.float32)
    for band in ({}, {"low_hz": 62e3, "high_hz": 108e3}):
        finder = BurstFinder(rate, **band)
        bursts = [*finder.push(filtered), *finder.flush()]
        assert np.allclose([(b.first_sample + b.start) / rate for b in bursts], starts, atol=3e-3)
        assert all(abs(b.coarse_hz - 86e3) < 2e3 for b in bursts)
    with pytest.raises(ConfigurationError, match=r"9000\.\.160000 Hz, got samples of 200000\.\.300000 Hz"):
        BurstFinder(1e6, low_hz=200e3, high_hz=300e3)
