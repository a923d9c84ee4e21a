"""The mixer of the simulated line: gains, echoes, noise, and that nothing depends on who listens or how it is cut."""

import msgspec
import numpy as np
import pytest

from flowgraphs.frontends.simulated_line import Mixer
from flowgraphs.graph import parse_graph

LINE = """\
block: 100
seed: 3
line:
  couplers: 3
  own_gain_db: 0
  gain_db: -40
  paths:
    - {between: [0, 1], gain_db: -20}
    - {between: [0, 2], gain_db: -6.0206, elements: [{kind: echoes, paths: [[0.0, 1.0], [1.0e-4, 0.5]]}]}
  noise: %s
stations:
  - {name: a, kind: meter, coupler: 0, unique_node_id: "000000000001"}
"""
QUIET = parse_graph(LINE % "[]")
NOISY = parse_graph(LINE % "[{kind: white, rms_v: 0.1}, {kind: tone, freq_hz: 80000, amplitude_v: 0.2, couplers: [1]}]")


def heard(mixer, sent_by_block, blocks):
    return np.concatenate([mixer.work(k * 100, sent_by_block.get(k, {})) for k in range(blocks)], axis=1)


def test_every_pair_has_its_gain_in_both_directions():
    x = np.ones(100, np.float32)
    y = Mixer(QUIET).work(0, {1: x})
    np.testing.assert_allclose(y[:, 50], [0.1, 1.0, 0.01], rtol=1e-6)
    y = Mixer(QUIET).work(0, {0: x})
    np.testing.assert_allclose(y[:2, 50], [1.0, 0.1], rtol=1e-6)


def test_a_path_with_echoes_rings_on_after_the_sender_has_stopped():
    impulse = np.zeros(100, np.float32)
    impulse[90] = 1.0
    y = heard(Mixer(QUIET), {0: {0: impulse}}, 4)[2]
    direct = int(np.argmax(np.abs(y)))
    assert y[direct] == pytest.approx(0.5, rel=1e-3)
    assert y[direct + 40] == pytest.approx(0.25, rel=1e-2)  # 100 us at 400 kS/s
    assert direct + 40 >= 100


def test_noise_differs_between_couplers_and_repeats_with_the_seed():
    y = heard(Mixer(NOISY), {}, 300)
    assert y[0].std() == pytest.approx(0.1, rel=0.03)
    assert abs(np.corrcoef(y[0], y[2])[0, 1]) < 0.03
    tone = np.exp(-2j * np.pi * 80e3 / 400e3 * np.arange(y.shape[1]))
    assert 2 * abs(np.mean(y[1] * tone)) == pytest.approx(0.2, rel=0.05)
    np.testing.assert_array_equal(y, heard(Mixer(NOISY), {}, 300))


def test_what_a_coupler_hears_does_not_depend_on_where_the_line_started_or_who_else_listens():
    whole = heard(Mixer(NOISY), {}, 250)
    late = Mixer(NOISY, listeners=[1])
    np.testing.assert_array_equal(late.work(15_300, {})[1], whole[1, 15_300:15_400])
    late.listen([1, 2])
    np.testing.assert_array_equal(late.work(15_400, {})[1:], whole[1:, 15_400:15_500])


def test_in_real_time_noise_is_made_in_smaller_pieces_and_is_the_same():
    prompt = Mixer(msgspec.structs.replace(NOISY, pace="realtime"))
    np.testing.assert_array_equal(heard(prompt, {}, 120), heard(Mixer(NOISY), {}, 120))
    assert prompt._chunk.shape[1] <= 0.005 * 400_000
