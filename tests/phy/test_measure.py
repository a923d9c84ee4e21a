"""Counts, bounds, stopping and losses in dB."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phy import ConfigurationError, theory
from phy.measure import ErrorCount, StoppingRule, loss_db, noise_rms_v


@pytest.mark.parametrize(
    "errors, trials, low, high",
    # Clopper-Pearson bounds: 0 of 10 and 10 of 10 by hand, 1 - 0.025^(1/10); 5 of 10 and 1 of 20 from printed tables.
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129), (1, 20, 0.0013, 0.2487)],
)
def test_exact_bounds(errors, trials, low, high):
    assert ErrorCount(errors, trials).interval() == pytest.approx((low, high), abs=6e-5)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """An exact interval misses at most 5 %, and not much less at these sizes; band: four sigmas below 2.5 %, 5 % above."""
    rng = np.random.default_rng(1)
    misses = 0
    for errors in rng.binomial(2000, 0.05, 2000):
        low, high = ErrorCount(int(errors), 2000).interval()
        misses += not low <= 0.05 <= high
    assert 0.0125 < misses / 2000 < 0.06


def test_without_trials_nothing_is_known():
    count = ErrorCount(0, 0)
    assert math.isnan(count.ratio) and count.interval() == (0.0, 1.0) and count.relative_width() == math.inf


@given(st.integers(0, 300), st.integers(0, 10_000))
def test_a_rule_stops_when_one_of_its_limits_is_reached(errors, more):
    count = ErrorCount(errors, errors + more)
    rule = StoppingRule(errors=100, trials=5000)
    assert (rule.met(count) is not None) == (errors >= 100 or errors + more >= 5000)
    width = StoppingRule(errors=10**6, trials=10**9, relative_width=0.5)
    assert (width.met(count) == "confidence") == (count.relative_width() <= 0.5)


def test_about_sixty_errors_give_an_interval_half_as_wide_as_the_ratio():
    """3.92 / sqrt(k) for a small ratio: k = 61 for 0.5."""
    k = next(k for k in range(1, 200) if ErrorCount(k, 100_000 * k).relative_width() <= 0.5)
    assert 61 <= k <= 70


def test_loss_against_theory_in_db():
    """5 dB with the errors of 4.6 dB: a loss of 0.4 dB, inside its interval; the interval is that of the counts."""

    def per(esn0_db):
        return theory.packet_error_ratio(theory.parity_word_error_ratio(esn0_db), 20)

    count = ErrorCount(round(20_000 * per(4.6)), 20_000)
    loss = loss_db(count, 5.0, per)
    assert loss.value_db == pytest.approx(0.4, abs=0.003)
    low, high = count.interval()
    assert per(5.0 - loss.low_db) == pytest.approx(low, rel=1e-4) and per(5.0 - loss.high_db) == pytest.approx(high, rel=1e-4)
    assert loss_db(ErrorCount(0, 100), 5.0, per).low_db == -math.inf
    assert loss_db(ErrorCount(100, 100), 5.0, per).value_db == math.inf


def test_noise_for_a_wanted_es_n0():
    """A carrier of 1 V peak, 3592.98 b/s, 400 kS/s, 0 dB: N0 = 0.5 / 3592.98, rms^2 = N0 * 200 kHz."""
    assert noise_rms_v(0.5, 3592.98, 400_000, 0.0) == pytest.approx(math.sqrt(0.5 / 3592.98 * 200_000))
    assert noise_rms_v(0.5, 3592.98, 400_000, 20.0) == pytest.approx(0.1 * noise_rms_v(0.5, 3592.98, 400_000, 0.0))


def test_wrong_arguments_name_themselves():
    with pytest.raises(ConfigurationError, match="errors"):
        ErrorCount(3, 2)
    with pytest.raises(ConfigurationError, match="confidence"):
        ErrorCount(1, 2).interval(1.0)
    with pytest.raises(ConfigurationError, match="relative_width"):
        StoppingRule(relative_width=-1)
    with pytest.raises(ConfigurationError, match="trials"):
        StoppingRule(trials=0)
