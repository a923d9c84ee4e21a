"""What every noise source promises, and making sources from names."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phy import channel
from phy.errors import ConfigurationError

RATE = 400_000.0
N = 5000

# Impulses are made dense, so that any cut falls inside some of them.
MAKERS = {
    "white": lambda **more: channel.WhiteNoise(RATE, rms_v=1.0, **more),
    "coloured": lambda **more: channel.ColouredNoise(RATE, [1e3, 1e5], [1e-3, 1e-5], n_taps=65, **more),
    "background": lambda **more: channel.BackgroundNoise(RATE, level_sigma=2.0, **more),
    "broadband_floor": lambda **more: channel.BroadbandFloor(4e6, "worst", **more),
    "cyclostationary": lambda **more: channel.CyclostationaryNoise(RATE, rms_v=1.0, mains_phase=1.0, **more),
    "mains_impulses": lambda **more: channel.MainsImpulses(
        RATE, 1.0, 200e-6, 90e3, per_cycle=60, jitter_s=1e-4, spread_db=6.0, random_phase=True, **more
    ),
    "random_impulses": lambda **more: channel.RandomImpulses(RATE, 2e-4, 1e-4, 0.1, 10.0, **more),
    "tone": lambda **more: channel.Tone(RATE, 84e3, 1.0, am_depth=0.9, am_hz=100.0, fm_deviation_hz=2e3, **more),
    "mains_hum": lambda **more: channel.MainsHum(RATE, 1.0, mains_freq=50.1, **more),
    "tone_set": lambda **more: channel.ToneSet.preset("pal_lines", RATE, 1.0, **more),
    "switched": lambda **more: channel.SwitchedNoise.preset("lv3", RATE, mains_phase=2.9, mains_drift_hz=0.2, **more),
    "band_bursts": lambda **more: channel.BandBursts(RATE, 1.0, 40e3, 90e3, 1e-3, 1e-3, **more),
    "periodic_impulses": lambda **more: channel.PeriodicImpulses.preset("supply_65k", RATE, 1.0, **more),
    "markov_impulses": lambda **more: channel.MarkovImpulses(
        RATE, 1.0, [{"share": 0.7, "constant_s": 1e-4}, {"share": 0.3, "constant_s": 1e-5}],
        [{"share": 1, "constant_s": 3e-5}], **more
    ),
    "gilbert_elliott": lambda **more: channel.GilbertElliottNoise(RATE, 1.0, 1e-4, 5e-5, 20.0, **more),
    "bernoulli_gaussian": lambda **more: channel.BernoulliGaussianNoise.preset("frequent", RATE, 1.0, hold_s=33e-6, **more),
    "class_a": lambda **more: channel.ClassANoise.preset("A.1_G.01", RATE, 1.0, centre_hz=86e3, bandwidth_hz=86.2e3, **more),
    "alpha_stable": lambda **more: channel.AlphaStableNoise(RATE, 1.0, 1.5, centre_hz=86e3, bandwidth_hz=86.2e3, **more),
    "sum": lambda first_sample=0, seed=0: channel.LineNoise.from_specs(
        [
            channel.Spec("white", {"rms_v": 1.0}),
            channel.Spec("random_impulses", {"preset": "heavy", "reference_v": 1.0}),
        ],
        RATE, seed, first_sample,
    ),
}
RANDOM = sorted(set(MAKERS) - {"tone", "mains_hum", "tone_set", "periodic_impulses"})
every_source = pytest.mark.parametrize("name", sorted(MAKERS))


@every_source
@settings(deadline=None, max_examples=8)
@given(cuts=st.lists(st.integers(0, N), max_size=8), first=st.sampled_from([0, 1, 399_999, 10**10 + 3]))
def test_output_does_not_depend_on_block_size(name, cuts, first):
    source = MAKERS[name](first_sample=first)
    edges = [0, *sorted(cuts), N]
    pieces = [source.generate(stop - start) for start, stop in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(pieces), MAKERS[name](first_sample=first).generate(N))


@every_source
def test_one_sample_at_a_time_is_the_same(name):
    source = MAKERS[name]()
    np.testing.assert_array_equal([source.generate(1)[0] for _ in range(300)], MAKERS[name]().generate(300))


@every_source
def test_a_late_start_continues_an_early_one(name):
    early, late = MAKERS[name](), MAKERS[name](first_sample=1234)
    np.testing.assert_array_equal(early.generate(N)[1234:], late.generate(N - 1234))
    assert early.next_sample == late.next_sample == N


@every_source
def test_reset_copy_dtype_and_empty_block(name):
    source = MAKERS[name](first_sample=7)
    first = source.generate(1000)
    assert first.dtype == np.float32 and first.shape == (1000,) and np.isfinite(first).all() and first.any()
    twin = source.copy()
    np.testing.assert_array_equal(twin.generate(100), source.generate(100))
    twin.generate(50)
    assert source.next_sample == 1107
    assert source.generate(0).shape == (0,)
    source.reset()
    np.testing.assert_array_equal(source.generate(1000), first)


@pytest.mark.parametrize("name", RANDOM)
def test_seed_decides_the_samples(name):
    x, same, other = (MAKERS[name](seed=seed).generate(100_000) for seed in (1, 1, 2))
    np.testing.assert_array_equal(x, same)
    live = (x != 0) | (other != 0)
    assert abs(np.corrcoef(x[live], other[live])[0, 1]) < 0.1
    assert not np.array_equal(x, other)


def test_sum_is_the_sum_and_its_members_are_independent():
    specs = [channel.Spec("white", {"rms_v": 1.0})] * 2
    line = channel.LineNoise.from_specs(specs, RATE, seed=5)
    a, b = (member.samples(0, 100_000) for member in line.sources)
    np.testing.assert_array_equal(line.generate(100_000), a + b)
    assert abs(np.corrcoef(a, b)[0, 1]) < 4.5 / 100_000**0.5


def test_empty_sum_is_silence():
    assert not channel.LineNoise(RATE).generate(10).any()


def test_two_kinds_of_draws_of_one_source_do_not_share_words():
    """A burst's width and its samples come from one seed and stream; equal counters would tie them together."""
    bursts = channel.RandomImpulses(RATE, 2e-4, 1e-4, 1.0, 1.0, seed=1).generate(100_000)
    white = channel.WhiteNoise(RATE, rms_v=1.0, seed=1).generate(100_000)
    live = bursts != 0
    assert np.abs(white[live]).mean() == pytest.approx((2 / np.pi) ** 0.5, rel=0.03)  # mean of |x|, normal


@pytest.mark.parametrize("kind", sorted(channel.SOURCES))
def test_every_kind_can_be_made_by_name(kind):
    parameters = {
        "white": {"density": 1e-6},
        "coloured": {"frequencies": [0.0, 1e5], "density": [1e-3, 1e-4]},
        "cyclostationary": {"rms_v": 1},
        "mains_impulses": {"preset": "dimmer3", "reference_v": 0.1, "mains_freq": 60.0},
        "random_impulses": {"preset": "weak", "reference_v": 0.1},
        "tone": {"freq_hz": 77_500, "amplitude_v": 0.01},
        "mains_hum": {"amplitude_v": 0.5},
        "tone_set": {"preset": "dcf77", "reference_v": 1e-3},
        "switched": {"preset": "lv3"},
        "band_bursts": {"preset": "ofdm_plc", "reference_v": 1e-3},
        "periodic_impulses": {"preset": "supply_65k", "reference_v": 1e-3},
        "markov_impulses": {"preset": "bursty", "reference_v": 1e-3},
        "gilbert_elliott": {"preset": "bursty", "rms_v": 1e-3},
        "bernoulli_gaussian": {"preset": "rare", "rms_v": 1e-3, "hold_s": 1e-5},
        "class_a": {"preset": "A1_G.1", "rms_v": 1e-3, "hold_s": 50e-6},
        "alpha_stable": {"scale_v": 1e-3, "alpha": 1.5, "hold_s": 1e-5},
    }.get(kind, {})
    made = channel.source(kind, 4e6 if kind == "broadband_floor" else RATE, seed=3, **parameters)
    assert type(made) is channel.SOURCES[kind] and made.seed == 3
    assert made.generate(200).shape == (200,)


@pytest.mark.parametrize("kind", sorted(channel.ELEMENTS))
def test_every_element_can_be_made_by_name(kind):
    parameters = {
        "attenuation": {"preset": "cross_phase"},
        "flat": {"attenuation_db": 6.0, "angle_deg": 30.0},
        "echoes": {"paths": [[0.0, 1.0], [1e-5, -0.5]]},
        "resonance": {"freq_hz": 86e3, "q": 20, "depth": 0.7},
        "slow_gain": {"preset": "mild", "mains_freq": 60.0},
        "tilt": {"preset": "emi_filter", "carrier_hz": 86e3},
        "stop_band": {"preset": "carrier_blocked", "carrier_hz": 86e3},
        "coupler": {"insertion_loss_db": 2.0},
        "quantiser": {"full_scale_v": 1.0, "bits": 16},
    }[kind]
    made = channel.element(kind, RATE, **parameters)
    assert type(made) is channel.ELEMENTS[kind]
    assert made.process(np.ones(200, np.float32)).shape == (200,)


@pytest.mark.parametrize(
    "kind, parameters, said",
    [
        ("pink", {}, "unknown noise source 'pink'"),
        ("white", {}, "exactly one of rms_v and density"),
        ("white", {"rms_v": 1.0, "density": 1.0}, "exactly one of"),
        ("white", {"rms_v": -1.0}, "rms_v must not be negative, got -1.0"),
        ("white", {"rms_v": "loud"}, "rms_v must be a finite number, got 'loud'"),
        ("white", {"rms_v": float("nan")}, "rms_v must be a finite number"),
        ("white", {"rms": 1.0}, "white has no parameter 'rms'; it has: "),
        ("white", {"rms_v": 1.0, "seed": -1}, "seed must be an integer in"),
        ("white", {"rms_v": 1.0, "preset": "loud"}, "white has no presets"),
        ("tone", {"freq_hz": 77e3}, "missing a required argument: 'amplitude_v'"),
        ("tone", {"freq_hz": 200e3, "amplitude_v": 1.0}, "freq_hz"),
        ("tone", {"freq_hz": 199e3, "amplitude_v": 1.0, "fm_deviation_hz": 2e3}, "freq_hz + fm_deviation_hz"),
        ("tone", {"freq_hz": 1e3, "amplitude_v": 1.0, "am_depth": 1.5}, "am_depth must be in [0, 1]"),
        ("mains_impulses", {"preset": "dimmer9", "reference_v": 1.0}, "has no preset 'dimmer9'; it has: dimmer1"),
        ("mains_impulses", {"preset": "dimmer1"}, "missing a required argument: 'reference_v'"),
        ("mains_impulses", {"preset": "dimmer1", "reference_v": 1.0, "taus": 1}, "no parameter 'taus'"),
        ("mains_impulses", {"preset": "dimmer1", "reference_v": 1.0, "per_cycle": 2.5}, "per_cycle must be an integer"),
        ("mains_impulses", {"preset": "dimmer1", "reference_v": 1, "alternate": 1}, "alternate must be true or false"),
        ("random_impulses", {"preset": "family", "reference_v": 1.0}, "has no preset 'family'; it has: heavy"),
        ("random_impulses", {"preset": "heavy", "reference_v": 1, "lowest_v": 1e9}, "must be in (0, highest_v]"),
        ("random_impulses", {"preset": "heavy", "reference_v": 1.0, "mean_interval_s": 1e-9}, "mean_interval_s"),
        ("coloured", {"frequencies": [1.0, 0.0], "density": [1.0, 1.0]}, "frequencies must rise"),
        ("coloured", {"frequencies": "abc", "density": [1.0]}, "lists of numbers"),
        ("coloured", {"frequencies": [0.0], "density": [1.0], "n_taps": 64}, "n_taps must be odd"),
        ("mains_hum", {"amplitude_v": 1.0, "harmonics": {}}, "at least one"),
        ("tone_set", {"tones": []}, "at least one tone"),
        ("tone_set", {"tones": [{"freq_hz": 1e3}]}, "a tone has freq_hz and amplitude_v"),
        ("class_a", {"preset": "A.1_G.01", "rms_v": 1.0}, "give either centre_hz and bandwidth_hz, or hold_s"),
        ("class_a", {"preset": "A.1_G.01", "rms_v": 1.0, "centre_hz": 40e3, "bandwidth_hz": 86e3}, "centre_hz - bandwidth"),
        ("class_a", {"preset": "A.1_G.01", "rms_v": 1.0, "hold_s": 1e-6}, "one sample or more"),
        ("class_a", {"preset": "A.1", "rms_v": 1.0, "hold_s": 1e-5}, "has no preset 'A.1'; it has: A.1_G.01"),
        ("gilbert_elliott", {"preset": "bursty", "rms_v": 1.0, "mean_bad_s": 1e-6}, "mean_bad_s must be above one sample"),
        ("markov_impulses", {"preset": "bursty", "reference_v": 1.0, "gaps": [{"share": 0.5, "constant_s": 1}]}, "must sum to 1"),
        ("markov_impulses", {"rms_v": 1.0, "gaps": [], "bursts": []}, "gaps must be a list of {share, constant_s}"),
        ("band_bursts", {"preset": "ofdm_plc", "reference_v": 1.0, "lowest_hz": 99e3}, "lowest_hz must be below highest_hz"),
        ("switched", {"ends": [0.5], "frequencies": [0.0], "densities": [[1.0]]}, "ends must rise to 1"),
        ("alpha_stable", {"scale_v": 1.0, "alpha": 2.5, "hold_s": 1e-5}, "alpha must be in [0.5, 2]"),
        ("mains_hum", {"amplitude_v": 1.0, "harmonics": {0.5: 1.0}}, "order of a harmonic must be an integer"),
    ],
)
def test_a_wrong_description_is_refused_in_words(kind, parameters, said):
    with pytest.raises(ConfigurationError) as caught:
        channel.source(kind, RATE, **parameters)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "kind, parameters, said",
    [
        ("magic", {}, "unknown path element 'magic'; there are: attenuation, coupler, echoes"),
        ("attenuation", {"db": 3.0}, "attenuation has no parameter 'db'; it has: attenuation_db"),
        ("echoes", {"paths": []}, "paths must be a list"),
        ("echoes", {"paths": [[-1e-6, 1.0]]}, "delay_s must not be negative"),
        ("echoes", {"paths": [[1.0, 1.0]]}, "delay_s must be at most"),
        ("echoes", {"preset": "velocity", "freq_hz": 86e3}, "not a set of paths"),
        ("resonance", {"freq_hz": 86e3, "q": 0.0, "depth": 0.5}, "q must be in [1, 1e+06]"),
        ("resonance", {"preset": "centred"}, "missing a required argument: 'carrier_hz'"),
        ("tilt", {"preset": "emi_filter", "carrier_hz": 86e3, "db_per_khz": 9.0}, "must stay within 40 dB, got 9"),
        ("coupler", {"highest_hz": 300e3}, "highest_hz must be in (0, 200000) Hz"),
        ("quantiser", {"full_scale_v": 1.0, "bits": 25}, "bits must be an integer in [1, 24]"),
        ("quantiser", {"full_scale_v": 0.0, "bits": 8}, "full_scale_v must be above 0"),
        ("slow_gain", {"depth": -1.5, "angle_deg": 0.0, "duty": 0.5}, "depth must be -1 or above"),
        ("slow_gain", {"preset": "hard", "duty": 2.0}, "duty must be in [0, 1]"),
    ],
)
def test_a_wrong_element_is_refused_in_words(kind, parameters, said):
    with pytest.raises(ConfigurationError) as caught:
        channel.element(kind, RATE, **parameters)
    assert said in str(caught.value)


def test_a_sum_refuses_mixed_rates_and_negative_blocks():
    with pytest.raises(ConfigurationError, match="48000"):
        channel.LineNoise(RATE, [channel.WhiteNoise(48_000.0, rms_v=1.0)])
    with pytest.raises(ConfigurationError, match="n must be an integer"):
        channel.WhiteNoise(RATE, rms_v=1.0).generate(-1)


def test_warmup_leaves_nothing_to_compile():
    from phy._kernels import noise, path

    channel.warmup()
    kernels = [noise.gaussian, noise.ring_train, noise.burst_power, noise.periodic, noise.tones, noise.two_states, noise.uniforms]
    kernels += [noise.regions, noise.upconvert, path.polynomial]
    kernels += [path.convolve, path.second_order, path.interpolate]
    before = [len(kernel.signatures) for kernel in kernels]
    assert min(before) >= 1
    for name in MAKERS:
        MAKERS[name](first_sample=10**12, seed=2**63).generate(10)
    read_only = np.zeros(10, np.float32)
    read_only.flags.writeable = False
    for element in (channel.SlowGain.preset("hard", RATE), channel.Resonance.preset("beside", RATE, 86e3)):
        element.process(read_only)
        element.process(np.zeros(20, np.float32)[::2])
    assert [len(kernel.signatures) for kernel in kernels] == before
