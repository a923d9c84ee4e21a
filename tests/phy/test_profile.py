"""Profiles as data: numbers, grades, and files that contradict themselves."""

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
