"""Profiles as data: numbers, grades, and files that contradict themselves."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phy import Profile, ProfileError, append_crc, crc_ok


@pytest.mark.parametrize(
    "name, primary, secondary, bit_rate",
    # Worked out by hand: clock / divider, / 24, x 21.
    [
        ("pl20a", 86231.58, 75452.63, 3592.982),
        ("pl20a-116", 86206.90, 75431.03, 3591.954),
        ("pl20c", 131578.95, 115131.58, 5482.456),
    ],
)
def test_numerology(name, primary, secondary, bit_rate):
    profile = Profile.load(name)
    assert profile.carrier_hz("primary") == pytest.approx(primary, abs=0.01)
    assert profile.carrier_hz("secondary") == pytest.approx(secondary, abs=0.01)
    assert profile.bit_rate == pytest.approx(bit_rate, abs=0.001)


@pytest.mark.parametrize("octets, milliseconds", [(8, 37.3), (11, 46.5), (20, 74.0), (50, 165.9), (100, 319.0), (255, 793.0)])
def test_airtime(octets, milliseconds):
    """(35 + 11 octets + 11) bits of 278.32 us, worked out by hand."""
    assert Profile.load("pl20a").airtime(octets) * 1e3 == pytest.approx(milliseconds, abs=0.6)


def test_every_constant_has_a_grade_and_a_source():
    for name in Profile.names():
        for key, constant in Profile.load(name).constants.items():
            assert constant.grade in "ABCD" and constant.source, f"{name}: {key}"


@pytest.mark.parametrize(
    "octets, crc",
    # Published check value, and values from frames an independent stack accepted and sent.
    [
        (b"123456789", 0xD64E),
        (bytes.fromhex("010901AA01A90103810D00CA"), 0x099E),
        (bytes.fromhex("401B238F238C4142434445460351"), 0x1666),
        (bytes.fromhex("FFFF"), 0xFFFF),
    ],
)
def test_known_check_sequences(octets, crc):
    assert append_crc(octets) == octets + crc.to_bytes(2, "big") and crc_ok(append_crc(octets))


@given(st.binary(min_size=1, max_size=64), st.data())
def test_one_wrong_bit_never_passes_the_crc(octets, data):
    lpdu = bytearray(append_crc(octets))
    bit = data.draw(st.integers(0, 8 * len(lpdu) - 1))
    lpdu[bit // 8] ^= 1 << bit % 8
    assert not crc_ok(bytes(lpdu))


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("name = 1", "name must be a string"),
        ("[[[", "mine.toml"),
        ('extends = "pl20a"\n[carrier]\nspeed = {value = 1, grade = "D"}', "unknown key carrier.speed"),
        ('extends = "pl20a"\n[pulse]\nalpha = {value = 2.0, grade = "D"}', "pulse.alpha must be in 0..1"),
        ('extends = "pl20a"\n[pulse]\nalpha = 0.5', "must be a table of value, grade"),
        ('extends = "pl20a"\n[packet]\nsync = {value = "10a1", grade = "D"}', "only 0 and 1"),
        ('extends = "pl20a"\n[packet]\nend_word = {value = "10101010", grade = "D"}', "must have 11 bits"),
        ('extends = "pl20a"\n[packet]\ncode = {value = [1, 2], grade = "D"}', "256 integers"),
        ('extends = "pl20a"\n[extra]\nx = 1', "unknown section 'extra'"),
        ('extends = "pl20x"', "no profile 'pl20x'"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path, text, complaint):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ProfileError, match=complaint):
        Profile.load(path)


@pytest.mark.parametrize(
    "text, line, complaint",
    [
        ('[packet]\nmin_octets = {value = 99, grade = "D"}\nmax_octets = {value = 9, grade = "D"}', 4, "octets: 99"),
        ('[packet]\nmax_octets = {value = 4, grade = "D"}', 4, "min_octets is above packet.max_octets: 8 and 4"),
        ('[carrier]\n\nprimary_cycles_per_bit = {value = 21, grade = "D"}', 5, "both are 21: the carriers would be one"),
        ('[carrier]\nsearch_ppm = {value = 100, grade = "D"}', 4, "at least carrier.tolerance_ppm, got 100 and 200"),
        ('[packet]\npreamble = {value = "10101012", grade = "D"}', 4, "packet.preamble must hold only 0 and 1"),
        ('[packet]\ninversion = {value = "000000000000", grade = "D"}', 4, "inversion must have 11 bits as the code has, got 12"),
        ('[packet]\ncrc = {value = "CRC-8", grade = "D"}', 4, "packet.crc must be one of CRC-16/GENIBUS"),
        ('[packet]\nbit_order = {value = "lfs", grade = "D"}', 4, "packet.bit_order must be one of msb, lsb"),
        ('[packet]\ncode = {value = "W12", grade = "D"}', 4, "packet.code: .*no word code 'W12'; known: W11_SPC"),
        ('[packet]\nend_words = {value = 1.5, grade = "D"}', 4, "packet.end_words has the wrong type: expected integer, got 1.5"),
        ('[pulse]\nalpha = {value = nan, grade = "D"}', 4, "pulse.alpha must be in 0..1"),
        ('[pulse]\nalpha = {\tgrade = "E", value = 0.5}', 4, "grade must be one of A, B, C, D, got 'E'"),
        ('[pulse.alpha]\nvalue = 0.5\ngrade = "D"\nsource = 3', 6, "pulse.alpha: source must be a string, got 3"),
        ("[pulse]\nalpha = = 3", 4, "Invalid value"),
        ("[pulse]\nalpha = {}\nalpha = {}", 5, "Cannot overwrite a value"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path, text, line, complaint):
    path = tmp_path / "mine.toml"
    path.write_text(f'extends = "pl20a"\nname = "mine"\n{text}\n')
    with pytest.raises(ProfileError, match=rf"^{re.escape(str(path))}:{line}: .*{complaint}"):
        Profile.load(path)


def test_a_fault_in_what_is_extended_is_told_there(tmp_path):
    base, path = tmp_path / "base.toml", tmp_path / "mine.toml"
    base.write_text('extends = "pl20a"\n[pulse]\nalpha = {value = 3.0, grade = "D"}\n')
    path.write_text(f'extends = "{base}"\nname = "mine"\n')
    with pytest.raises(ProfileError, match=rf"^{re.escape(str(base))}:3: pulse.alpha"):
        Profile.load(path)
    path.write_text('name = "mine"\ntitle = "t"\nextends = "gone.toml"\n')
    with pytest.raises(ProfileError, match=rf"^{re.escape(str(path))}:3: extends: gone.toml: No such file"):
        Profile.load(path)


def test_an_end_word_may_be_a_code_word(tmp_path):
    """Lines whose packets end with an ordinary word exist; the length of the packet tells then."""
    path = tmp_path / "mine.toml"
    path.write_text('extends = "pl20a"\n[packet]\nend_word = {value = "00000000001", grade = "D"}\n')
    assert Profile.load(path).end_word.tolist() == [0] * 10 + [1]


def test_profiles_that_extend_each_other_in_a_circle_are_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f'extends = "{path}"')
    with pytest.raises(ProfileError, match="circle"):
        Profile.load(path)


def test_a_code_may_be_given_as_a_table(tmp_path):
    words = [i << 3 | (bin(i).count("1") % 2) << 2 | 1 for i in range(256)]
    path = tmp_path / "mine.toml"
    path.write_text(f'extends = "pl20a"\n[packet]\ncode = {{value = {words}, grade = "D", source = "test"}}')
    assert np.array_equal(Profile.load(path).code.table, Profile.load("pl20a").code.table)
