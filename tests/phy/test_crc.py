"""Check sequences of 16 bits: the public catalogue's check values, division by the polynomial, names that hold parameters."""

import tomllib
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phy import ConfigurationError
from phy.crc import CRCS, Crc
from phy.identify.checksearch import find_constants, find_polynomials, mirror_image

CATALOGUE = tomllib.loads((files("phy") / "crcs.toml").read_text("utf-8"))
REVERSED = np.array([int(f"{octet:08b}"[::-1], 2) for octet in range(256)])
parameters = st.tuples(
    st.integers(0, 0x7FFF).map(lambda v: 2 * v + 1), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.booleans(), st.booleans()
)


@pytest.mark.parametrize("name", CATALOGUE)
def test_check_values_of_the_catalogue(name):
    assert CRCS[name].compute(b"123456789") == CATALOGUE[name]["check"]


@given(st.binary(min_size=1, max_size=40), parameters)
def test_a_crc_is_the_remainder_of_a_division(octets, given_parameters):
    polynomial, initial, final_xor, reflected, _ = given_parameters
    bits = [octet >> (k if reflected else 7 - k) & 1 for octet in octets for k in range(8)] + [0] * 16
    for k in range(16):
        bits[k] ^= initial >> (15 - k) & 1
    generator = [1] + [polynomial >> (15 - k) & 1 for k in range(16)]
    for k in range(len(bits) - 16):
        if bits[k]:
            bits[k : k + 17] = [a ^ b for a, b in zip(bits[k : k + 17], generator, strict=True)]
    rest = bits[-16:][::-1] if reflected else bits[-16:]
    expected = int("".join(map(str, rest)), 2) ^ final_xor
    assert Crc("mine", polynomial, initial, final_xor, reflected).compute(octets) == expected


@given(st.binary(min_size=1, max_size=40), parameters, st.data())
def test_a_name_holds_the_parameters_and_one_wrong_bit_is_seen(octets, given_parameters, data):
    crc = Crc.parametric(*given_parameters)
    assert CRCS[crc.name] == crc and len(crc.name) <= 64
    lpdu = bytearray(crc.append(octets))
    assert crc.ok(bytes(lpdu))
    lpdu[data.draw(st.integers(0, len(lpdu) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert not crc.ok(bytes(lpdu))


def test_names_that_are_none_and_parameters_out_of_range_are_refused():
    for name in ("CRC-8", "CRC-16(poly=0x1020,init=0x0000,xor=0x0000)", "CRC-16(poly=0x1021)", ""):
        assert name not in CRCS
    for bad in ((0x1020, 0, 0), (0x11021, 0, 0), (0x1021, -1, 0), (0x1021, 0, 1 << 16)):
        with pytest.raises(ConfigurationError, match="of a CRC"):
            Crc("bad", *bad)


@given(st.binary(min_size=1, max_size=30), parameters)
def test_the_mirror_image_holds_for_octets_turned_end_for_end(octets, given_parameters):
    crc = Crc.parametric(*given_parameters)
    lpdu = crc.append(octets)
    assert mirror_image(crc).ok(bytes(int(REVERSED[o]) for o in lpdu)) and mirror_image(mirror_image(crc)) == crc


def packets_under(crc, seed):
    """Coordinates of packets whose octets went through a random affine map."""
    rng = np.random.default_rng(seed)
    octets = np.arange(256)[:, None] >> np.arange(8) & 1
    image = np.zeros(256, np.int64)
    while np.unique(image).size < 256:
        image = (octets @ rng.integers(0, 2, (8, 8)) + rng.integers(0, 2, 8)) % 2 @ (1 << np.arange(8))
    lpdus = [crc.append(bytes([1, 9, *rng.integers(0, 16, rng.integers(5, 30)).astype(np.uint8)])) for _ in range(14)]
    return [octets[image[np.frombuffer(lpdu, np.uint8)]].astype(np.uint8) for lpdu in lpdus]


@pytest.mark.parametrize("name", ["CRC-16/GENIBUS", "CRC-16/KERMIT", "CRC-16/RIELLO", "CRC-16/DECT-R", "CRC-16/PROFIBUS"])
def test_the_check_sequence_is_found_without_knowing_the_octets(name):
    packets = packets_under(CRCS[name], 1)
    assert find_polynomials(packets, True, False) == [CRCS[name].polynomial]
    fit = find_constants(packets, CRCS[name].polynomial, False)
    assert fit.rank == 0 and fit.crc in (CRCS[name], mirror_image(CRCS[name]))


def test_a_check_sequence_of_no_catalogue_is_found_and_octets_in_the_other_order_too():
    crc = Crc.parametric(0x2F15, 0xFFFF, 0x0000, swapped=True)
    packets = packets_under(crc, 2)
    assert find_polynomials(packets, True, True) == []
    assert find_polynomials(packets, False, True) == [0x2F15]
    fit = find_constants(packets, 0x2F15, True)
    assert fit.rank == 1 and fit.crc == crc


def test_random_octets_have_no_check_sequence():
    rng = np.random.default_rng(3)
    assert find_polynomials([rng.integers(0, 2, (20, 8)).astype(np.uint8) for _ in range(24)], True, False) == []
