"""The symbol-level simulator: the same decisions as the word decoders, the same result however a run is split, the theory."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from phy import ConfigurationError, theory
from phy.symbol_level import DECODERS, SymbolErrors, noise_rms, send_words, simulate_words
from phy.words import WordCode


def any_table(bits, seed):
    words = np.random.default_rng(seed).permutation(1 << bits)[:256]
    return WordCode("any", (words[:, None] >> np.arange(bits - 1, -1, -1) & 1).astype(np.uint8))


CODES = [WordCode.named("W11_SPC"), WordCode.named("W11_L3"), *(any_table(bits, seed=bits) for bits in (8, 11, 13, 16))]


@pytest.mark.parametrize("code", CODES, ids=lambda code: f"{code.name}-{code.length}")
@pytest.mark.parametrize("decoder", list(DECODERS))
def test_the_same_errors_as_the_decoders_of_the_word_code(code, decoder):
    """Truth: `WordCode`'s own decoders, which try all 256 words, on the very soft bits."""
    if decoder == "weakest_flip" and code.name == "any" and code.length > 8:
        with pytest.raises(ConfigurationError, match="linear"):
            simulate_words(code, 20, 2.0, 1, decoder=decoder)
        return
    got = simulate_words(code, 20, 1.0, 60, decoder=decoder, seed=5, stream=2, first_packet=7)
    octets, soft = send_words(code, 1.0, 1200, seed=5, stream=2, first_word=140)
    sent = np.frombuffer(octets, np.uint8)
    decode = {"ml": code.decode_ml, "weakest_flip": code.decode_weakest_flip, "hard": code.decode_hard}[decoder]
    difference = sent ^ np.frombuffer(decode(soft), np.uint8)
    wrong = difference != 0
    assert got == SymbolErrors(
        packets=60,
        words=1200,
        channel_bits=1200 * code.length,
        packet_errors=int(wrong.reshape(-1, 20).any(axis=1).sum()),
        word_errors=int(wrong.sum()),
        octet_bit_errors=int(np.bitwise_count(difference).sum()),
        channel_bit_errors=int(((soft < 0) != code.table[sent]).sum()),
    )
    assert got.word_errors > 0


@settings(deadline=None, max_examples=25)
@given(octets=st.integers(1, 40), cuts=st.lists(st.integers(0, 150), max_size=4), decoder=st.sampled_from(list(DECODERS)))
def test_a_run_may_be_cut_anywhere(octets, cuts, decoder):
    code = CODES[1]
    whole = simulate_words(code, octets, 3.0, 150, decoder=decoder, seed=3)
    places = [0, *sorted(cuts), 150]
    total = SymbolErrors(0, 0, 0, 0, 0, 0, 0)
    for first, last in pairwise(places):
        total += simulate_words(code, octets, 3.0, last - first, decoder=decoder, seed=3, first_packet=first)
    assert total == whole


@pytest.mark.parametrize("esn0_db, packets", [(0.0, 2000), (3.0, 5000), (5.0, 20_000)])
def test_word_and_packet_error_ratio_meet_theory(esn0_db, packets):
    """Truth: the exact integral; two-sided bands of four sigmas, also for the channel's own bits."""
    run = simulate_words(CODES[0], 20, esn0_db, packets, seed=21)
    word = theory.parity_word_error_ratio(esn0_db)
    for errors, trials, p in (
        (run.word_errors, run.words, word),
        (run.packet_errors, run.packets, theory.packet_error_ratio(word, 20)),
        (run.channel_bit_errors, run.channel_bits, theory.ber_bpsk(esn0_db)),
    ):
        assert errors == pytest.approx(trials * p, abs=4 * np.sqrt(trials * p * (1 - p)))


def test_uncoded_words_meet_theory():
    run = simulate_words(any_table(8, 9), 1, 4.0, 200_000, seed=4)
    p = theory.uncoded_word_error_ratio(4.0)
    assert run.word_errors == pytest.approx(run.words * p, abs=4 * np.sqrt(run.words * p * (1 - p)))


def test_noise_is_normal_and_octets_are_uniform():
    code = CODES[1]
    octets, soft = send_words(code, 3.0, 100_000, seed=1)
    noise = (soft - code.signs[np.frombuffer(octets, np.uint8)]) / noise_rms(3.0)
    assert kstest(noise.ravel(), "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(noise.T) - np.eye(code.length)).max() < 4 / np.sqrt(100_000) * 1.2
    assert np.mean(np.abs(noise) > 4) == pytest.approx(6.334e-5, abs=4 * np.sqrt(6.334e-5 / noise.size))
    counts = np.bincount(np.frombuffer(octets, np.uint8), minlength=256)
    assert np.sum((counts - 100_000 / 256) ** 2) / (100_000 / 256) == pytest.approx(255, abs=4 * np.sqrt(2 * 255))


def test_streams_and_seeds_differ():
    seen = {send_words(CODES[0], 3.0, 8, seed=seed, stream=stream)[0] for seed in (0, 1, 2**40) for stream in (0, 1)}
    assert len(seen) == 6


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"octets": 0}, "octets"), ({"esn0_db": 101.0}, "esn0_db"), ({"packets": -1}, "packets"), ({"seed": -1}, "seed"),
        ({"stream": 2**32}, "stream"), ({"decoder": "guess"}, "decoder must be"), ({"first_packet": 2**60}, "first_packet"),
    ],
)  # fmt: skip
def test_wrong_arguments_name_themselves(change, complaint):
    arguments = {"octets": 20, "esn0_db": 3.0, "packets": 10, **change}
    with pytest.raises(ConfigurationError, match=complaint):
        simulate_words(CODES[0], arguments.pop("octets"), arguments.pop("esn0_db"), arguments.pop("packets"), **arguments)
