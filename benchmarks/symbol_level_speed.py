"""How many megabits of coded bits a second the symbol-level simulator sends and decodes, beside other packages.

    python benchmarks/symbol_level_speed.py [--require 100]

Words of three tables (single parity, a dense linear code, a random table) go through white noise at 4 dB and are decoded by
maximum likelihood over all 256 words, in one thread; the best of five runs counts. Beside it NumPy with a Hamming (7,4) code,
measured in the same run, and figures of other packages measured earlier on another machine of two such cores. The word error
ratios are checked against theory.
"""

import argparse
import sys
import time

import numpy as np

from phy.symbol_level import simulate_words
from phy.theory import ideal_word_error_ratio
from phy.words import WordCode

ESN0_DB = 4.0
PUBLISHED = {"aff3ct BCH (fast noise)": 7.2, "liquid-dsp Hamming": 4.1, "komm Hamming": 3.8, "Sionna on the CPU": 0.33}


def numpy_hamming(seconds: float) -> float:
    """Mb/s of coded bits of a Hamming (7,4) code in NumPy, hard decisions and a syndrome table."""
    rng = np.random.default_rng(1)
    parity = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1]], np.uint8)
    checks = np.concatenate([parity, np.eye(3, dtype=np.uint8)])
    table = np.zeros((8, 7), np.uint8)
    for bit in range(7):
        table[checks[bit] @ [4, 2, 1], bit] = 1
    sigma, words, done = np.float32(np.sqrt(0.5 * 10 ** (-ESN0_DB / 10))), 40_000, 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        data = rng.integers(0, 2, (words, 4), dtype=np.uint8)
        sent = np.concatenate([data, data @ parity & 1], axis=1)
        hard = (1 - 2 * sent.astype(np.float32) + sigma * rng.standard_normal(sent.shape, dtype=np.float32)) < 0
        fixed = hard ^ table[(hard.astype(np.uint8) @ checks & 1) @ [4, 2, 1]]
        np.count_nonzero((fixed[:, :4] != data).any(axis=1))
        done += sent.size
    return done / (time.perf_counter() - start) / 1e6


def main() -> int:
    """Print the figures; exit 1 when the requirement or the theory is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--require", type=float, default=100.0, help="Mb/s of coded bits (default 100)")
    required: float = parser.parse_args().require
    words = np.random.default_rng(2).permutation(2048)[:256]
    codes = [
        WordCode.named("W11_SPC"),
        WordCode.named("W11_L3"),
        WordCode("random table", (words[:, None] >> np.arange(10, -1, -1) & 1).astype(np.uint8)),
    ]
    good = True
    print(f"coded bits, Mb/s on one core, maximum likelihood, Es/N0 {ESN0_DB:g} dB (required: {required:g})")
    for code in codes:
        simulate_words(code, 20, ESN0_DB, 10)
        rates = []
        for run in range(5):
            start = time.perf_counter()
            result = simulate_words(code, 20, ESN0_DB, 50_000, seed=run)
            rates.append(result.channel_bits / (time.perf_counter() - start) / 1e6)
        ideal = ideal_word_error_ratio(code, ESN0_DB)
        got = result.word_errors / result.words
        sigmas = (got - ideal.value) / np.hypot(np.sqrt(got / result.words), ideal.standard_error)
        good &= max(rates) >= required and bool(abs(sigmas) < 4)
        truth = f"theory {ideal.value:.3e} ({ideal.method}), {sigmas:+.1f} sigma"
        print(f"  {code.name:24} {max(rates):6.0f}   word errors {got:.3e}, {truth}")
    print(f"  {'NumPy, Hamming (7,4)':24} {numpy_hamming(2.0):6.0f}   hard decisions, measured now")
    for name, rate in PUBLISHED.items():
        print(f"  {name:24} {rate:6g}   measured earlier")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
