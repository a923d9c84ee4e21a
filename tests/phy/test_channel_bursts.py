"""Impulsive noise with memory: lengths of gaps and bursts, duty and level against their laws."""

import math

import numpy as np
import pytest
from scipy import signal

from phy import channel
from phy.channel.bursts import StateChain

RATE = 400_000.0
GAPS = ((0.9, 20e-3), (0.1, 0.3e-3))
BURSTS = ((0.8, 30e-6), (0.2, 300e-6))


def stays(live):
    """Lengths of the gaps and of the bursts, samples; the cut stays at both ends are left out."""
    edges = np.flatnonzero(np.diff(live.astype(np.int8)))
    lengths = np.diff(edges)
    first_is_burst = not live[edges[0]]
    return lengths[first_is_burst::2], lengths[not first_is_burst :: 2]


def survival(laws, n):
    """Truth: P(length > n samples) = sum of share * u^n, u = exp(-1 / (constant * rate)) (Zimmermann and Dostert's form)."""
    return sum(share * math.exp(-n / (constant * RATE)) for share, constant in laws)


def mean_length(laws):
    """Truth: the mean of a geometric number, 1 / (1 - u) samples."""
    return sum(share / (1 - math.exp(-1 / (constant * RATE))) for share, constant in laws)


def test_markov_gaps_and_widths_are_sums_of_exponentials():
    source = channel.MarkovImpulses.preset("bursty", RATE, 1.0, seed=1)
    live = source.generate(int(60 * RATE)) != 0
    gaps, bursts = stays(live)
    expected = 60 * RATE / (mean_length(GAPS) + mean_length(BURSTS))
    assert bursts.size == pytest.approx(expected, rel=4 * 1.1 / math.sqrt(expected))
    for lengths, laws, levels in ((gaps, GAPS, (40, 120, 400, 4000, 16_000)), (bursts, BURSTS, (1, 5, 12, 40, 120, 300))):
        for n in levels:
            p = survival(laws, n)
            assert np.mean(lengths > n) == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / lengths.size) + 0.003)
    assert live.mean() == pytest.approx(source.chain.duty, rel=4 * 2.5 / math.sqrt(expected))
    assert source.chain.duty == pytest.approx(mean_length(BURSTS) / (mean_length(BURSTS) + mean_length(GAPS)))


def test_markov_impulses_come_in_groups():
    """Truth: a tenth of the gaps has 0.3 ms: more than 8 % of the gaps below 1 ms; a Poisson process of this rate has 5 %."""
    gaps, _ = stays(channel.MarkovImpulses.preset("bursty", RATE, 1.0, seed=2).generate(int(40 * RATE)) != 0)
    share = 1 - survival(GAPS, RATE * 1e-3)
    assert np.mean(gaps <= RATE * 1e-3) == pytest.approx(share, abs=4 * math.sqrt(share / gaps.size))
    assert share > 1.6 * (1 - math.exp(-1 / 18))


def test_markov_preset_level():
    """Truth: +35 dB over the reference while a burst lasts."""
    y = channel.MarkovImpulses.preset("bursty", RATE, 1e-3, seed=3).generate(int(20 * RATE)).astype(np.float64)
    live = y[y != 0]
    assert np.mean(live**2) == pytest.approx(1e-6 * 10**3.5, rel=4 * math.sqrt(2 / live.size))


def test_gilbert_elliott_stays_duty_and_power():
    """Truth: means 5 ms and 0.1 ms, geometric (standard deviation near the mean), +25 dB; long-term power of both."""
    source = channel.GilbertElliottNoise.preset("bursty", RATE, 1.0, seed=4)
    n = int(20 * RATE)
    y = source.generate(n).astype(np.float64)
    white = channel.WhiteNoise(RATE, rms_v=1.0, seed=4).generate(n)
    ratio = y / white
    bad = ratio > 2.0
    assert np.unique(np.round(ratio[white != 0], 3)).tolist() == [1.0, pytest.approx(10**1.25, abs=0.01)]
    good_stays, bad_stays = stays(bad)
    for lengths, mean_s in ((good_stays, 5e-3), (bad_stays, 0.1e-3)):
        assert lengths.mean() / RATE == pytest.approx(mean_s, rel=4 / math.sqrt(lengths.size))
        assert lengths.std() / lengths.mean() == pytest.approx(1.0, abs=0.08)
    duty = 0.1 / 5.1
    assert bad.mean() == pytest.approx(duty, rel=4 * math.sqrt(2 / bad_stays.size))
    assert source.density**2 * RATE / 2 == pytest.approx(1 + duty * (10**2.5 - 1), rel=1e-6)
    assert np.mean(y**2) == pytest.approx(source.density**2 * RATE / 2, rel=4 * math.sqrt(2 / bad_stays.size))


def test_a_chain_may_change_its_state_at_every_sample():
    """Means of two samples: both laws are geometric with 1/2, so the states are fair coins without memory."""
    law = [(1.0, math.log(0.5))]
    states = StateChain(law, law).states(np.uint64(1), np.uint64(0), 0, 100_000)
    assert states.mean() == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(1e5))
    assert np.corrcoef(states[1:], states[:-1])[0, 1] == pytest.approx(0.0, abs=4.5 / math.sqrt(1e5))


def test_band_bursts_fill_their_band_for_their_share_of_time():
    """Truth: a fifth of the time (60 of 300 ms); in a burst +30 dB; 35.9 to 90.6 kHz and nothing 6 kHz outside."""
    source = channel.BandBursts.preset("ofdm_plc", RATE, 1e-3, mean_burst_s=6e-3, mean_gap_s=24e-3, seed=5)
    y = source.generate(int(10 * RATE)).astype(np.float64)
    blocks = np.sqrt((y.reshape(-1, 400) ** 2).mean(axis=1))
    full = 1e-3 * 10**1.5
    assert np.mean(blocks > full / 2) == pytest.approx(0.2, rel=4 * math.sqrt(2 / 333))
    high = np.median(blocks[blocks > 0.8 * full])
    assert high == pytest.approx(full, rel=0.02)
    f, p = signal.welch(y, RATE, nperseg=2048, detrend=False)
    db = 10 * np.log10(p / p[(f > 45e3) & (f < 80e3)].mean())
    assert np.abs(db[(f > 38e3) & (f < 88.5e3)]).max() < 1.5
    assert db[(f < 29.9e3) | (f > 96.6e3)].max() < -45
