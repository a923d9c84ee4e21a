"""The word code: table and parity-check matrix."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phy import ConfigurationError, ProfileError
from phy.words import WordCode

CODES = ["W11_SPC", "W11_L3", "W11_P3"]


@pytest.mark.parametrize(
    "octet, word",
    # d7..d0, even parity, 0, 1: worked out by hand from the definition.
    [(0x00, "00000000001"), (0x80, "10000000101"), (0xFF, "11111111001"), (0xA7, "10100111101")],
)
def test_known_words_of_the_parity_code(octet, word):
    assert "".join(map(str, WordCode.named("W11_SPC").encode(bytes([octet])))) == word


@pytest.mark.parametrize(
    "name, spectrum",
    # Weight distributions computed with another program.
    [
        ("W11_SPC", {0: 1, 2: 36, 4: 126, 6: 84, 8: 9}),
        ("W11_L3", {0: 1, 2: 4, 3: 26, 4: 44, 5: 50, 6: 58, 7: 46, 8: 19, 9: 6, 10: 2}),
        ("W11_P3", {0: 1, 2: 12, 3: 8, 4: 54, 5: 56, 6: 44, 7: 56, 8: 17, 9: 8}),
    ],
)
def test_weight_distribution(name, spectrum):
    code = WordCode.named(name)
    weights, counts = np.unique((code.table ^ code.table[0]).sum(axis=1), return_counts=True)
    assert dict(zip(weights.tolist(), counts.tolist(), strict=True)) == spectrum


@pytest.mark.parametrize("name", CODES)
def test_check_matrix_accepts_the_words_and_nothing_else(name):
    code = WordCode.named(name)
    assert code.checks.shape == (3, 11)
    every = (np.arange(2048)[:, None] >> np.arange(10, -1, -1) & 1).astype(np.uint8)
    words = {bytes(w) for w in code.table}
    accepted = code.is_word(every)
    assert accepted.sum() == 256 and all((bytes(w) in words) == a for w, a in zip(every, accepted, strict=True))


@pytest.mark.parametrize("name", CODES)
@given(octets=st.binary(min_size=1, max_size=20), mask=st.integers(0, 2047))
def test_round_trip_with_any_inversion(name, octets, mask):
    code = WordCode.named(name).inverted(np.array([mask >> i & 1 for i in range(11)], np.uint8))
    soft = (1.0 - 2.0 * code.encode(octets).reshape(-1, 11)).astype(np.float32)
    assert code.decode_ml(soft) == code.decode_weakest_flip(soft) == code.decode_hard(soft) == octets


@given(st.integers(0, 255), st.integers(0, 8))
def test_the_weakest_bit_is_flipped_back(octet, bit):
    code = WordCode.named("W11_SPC")
    soft = (1.0 - 2.0 * code.encode(bytes([octet])).reshape(1, 11)).astype(np.float32)
    soft[0, bit] *= -0.1
    assert code.decode_weakest_flip(soft) == code.decode_ml(soft) == bytes([octet])


def test_weakest_flip_is_maximum_likelihood_for_a_parity_code():
    """Wagner decoding: for a single-parity word both rules give the same octets."""
    code, rng = WordCode.named("W11_SPC"), np.random.default_rng(1)
    octets = rng.bytes(4000)
    soft = (1.0 - 2.0 * code.encode(octets).reshape(-1, 11) + rng.normal(0, 0.6, (4000, 11))).astype(np.float32)
    assert code.decode_weakest_flip(soft) == code.decode_ml(soft)


@pytest.mark.parametrize("esn0_db, expected", [(3.0, 5.643e-2), (5.0, 5.696e-3)])
def test_word_error_rate_meets_the_exact_integral(esn0_db, expected):
    """Truth: the exact Wagner integral, computed with another program, for nine live bits; a band of four sigmas, two-sided."""
    code, rng, n = WordCode.named("W11_SPC"), np.random.default_rng(2), 60_000
    octets = rng.bytes(n)
    sigma = np.sqrt(1 / (2 * 10 ** (esn0_db / 10)))
    soft = (1.0 - 2.0 * code.encode(octets).reshape(-1, 11) + rng.normal(0, sigma, (n, 11))).astype(np.float32)
    decoded = np.frombuffer(code.decode_ml(soft), np.uint8)
    errors = np.count_nonzero(decoded != np.frombuffer(octets, np.uint8))
    assert errors == pytest.approx(n * expected, abs=4 * np.sqrt(n * expected))


def test_disagreement_is_the_strength_that_speaks_against_the_words():
    """By chance both constant bits of W11_SPC are wrong half the time and so is its parity: 1.5 bits of 11."""
    code = WordCode.named("W11_SPC")
    soft = 2.0 * code.signs[[7, 200]]
    assert code.disagreement(soft, bytes([7, 200])) == 0
    soft[0, 3] *= -0.5
    assert code.disagreement(soft, bytes([7, 200])) == pytest.approx(1 / 43)
    assert code.disagreement(np.zeros((2, 11), np.float32), bytes(2)) == 0
    assert code.disagreement_of_chance == pytest.approx(1.5 / 11, rel=1e-4)


def test_bad_tables_and_names_are_refused():
    with pytest.raises(ConfigurationError, match="same word"):
        WordCode("twice", np.zeros((256, 11), np.uint8))
    with pytest.raises(ConfigurationError, match="256"):
        WordCode("short", np.zeros((16, 11), np.uint8))
    with pytest.raises(ProfileError, match="W11_SPC"):
        WordCode.named("nonsense")
