"""Running campaigns: the same result however it is computed, interrupted or resumed; directories that are not overwritten."""

import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowgraphs.campaign.figure import draw, write_figures
from flowgraphs.campaign.plan import fingerprint, make_plan
from flowgraphs.campaign.results import Provenance, rows, write_parquet
from flowgraphs.campaign.runner import PointState, Runner
from flowgraphs.campaign.spec import parse_campaign
from flowgraphs.campaign.store import Store
from flowgraphs.campaign.unit import Tally, UnitResult, run_unit, unit_seed
from flowgraphs.campaign.workers import Done, InlineWorkers, LocalWorkers, Task, Workers, run_remote_unit
from flowgraphs.errors import CampaignError
from phy.measure import StoppingRule
from phy.theory import ideal_packet_error_ratio
from phy.words import WordCode

SYMBOLS = """
title = "codes"
kind = "symbols"
seed = 4
[[axis]]
name = "esn0_db"
values = [4, 5.5]
[receivers.likeliest]
[receivers.hard]
word_decoder = "hard"
[stop]
errors = 800
packets = 100_000
"""


def waveform(extra="", esn0_db=8.0, packet=""):
    return make_plan(
        parse_campaign(
            f'title = "t"\nkind = "waveform"\n[packet]\noctets = 12\nclock_ppm = [-300, 300]\n{packet}\n'
            f'[[axis]]\nname = "esn0_db"\nvalues = [{esn0_db}]\n{extra}'
        )
    )


def finished(plan, directory, workers=InlineWorkers):
    with Store(directory, fingerprint(plan), "v1") as store:
        runner = Runner(plan, store)
        runner.run(workers)
        return list(rows(plan, runner.states)), [sorted(state.results) for state in runner.states]


@pytest.fixture(scope="module")
def plan():
    return make_plan(parse_campaign(SYMBOLS))


@pytest.fixture(scope="module")
def whole(plan, tmp_path_factory):
    return finished(plan, tmp_path_factory.mktemp("whole") / "dir")[0]


def test_rows_hold_counts_bounds_theory_and_loss(whole):
    """Truth: the exact packet error ratio at 4 dB, 0.3433; hard decisions are the no-FEC row of the theory."""
    first = whole[0]
    assert (first.receiver, first.esn0_db, first.octets, first.stopped_by) == ("likeliest", 4.0, 20, "errors")
    assert first.ideal == pytest.approx(0.3433, rel=1e-3) and first.confidence == 0.95
    assert first.low < first.ideal * 1.05 and first.high > first.ideal * 0.95
    assert abs(first.loss_db) < 0.1 and first.loss_low_db < first.loss_db < first.loss_high_db
    assert all(row.errors >= 800 for row in whole) and whole[1].packet_error_ratio > 2 * first.packet_error_ratio


class Interrupted(Workers):
    """Gives results in any order, and fails after a number of them."""

    def __init__(self, order, limit):
        self.wanted = 3
        self._order, self._limit, self._waiting = order, limit, []

    def submit(self, task):
        self._waiting.append(task)

    def collect(self):
        if self._limit == 0:
            raise KeyboardInterrupt
        self._limit -= 1
        task = self._waiting.pop(self._order.integers(len(self._waiting)))
        return [Done(task.point, task.unit, run_unit(task.setup, task.seed, task.packets))]

    def close(self):
        self._waiting.clear()


@settings(deadline=None, max_examples=4)
@given(limits=st.lists(st.integers(0, 5), max_size=4), seed=st.integers(0, 9))
def test_interruptions_and_order_make_no_difference(plan, whole, tmp_path_factory, limits, seed):
    directory = tmp_path_factory.mktemp("resumed") / "dir"
    order = np.random.default_rng(seed)
    for limit in limits:
        try:
            finished(plan, directory, lambda limit=limit: Interrupted(order, limit))
        except KeyboardInterrupt:
            continue
    done = len(list((directory).glob("*"))) and sqlite3.connect(directory / "campaign.sqlite")
    before = done.execute("select count(*) from unit").fetchone()[0] if done else 0
    if done:
        done.close()
    got, units = finished(plan, directory, lambda: Interrupted(order, 10**9))
    assert got == whole
    assert sum(map(len, units)) >= before  # nothing lost; the primary key of the store refuses a unit done twice


def test_two_processes_that_die_and_the_rest_by_one(plan, whole, tmp_path):
    """Units of two processes, what they had just done being lost, then of this one: the result of one process alone."""

    class Dying(LocalWorkers):
        collected = 0

        def collect(self):
            self.collected += 1
            if self.collected == 2:
                for process, connection in self._processes:
                    process.kill()
                    process.join()
                    while connection.poll() and connection in self._busy:
                        try:
                            connection.recv()
                        except (EOFError, OSError):
                            break
            return super().collect()

    with pytest.raises(CampaignError, match="a worker process ended; what is done is kept"):
        finished(plan, tmp_path / "dir", lambda: Dying(2))
    got, units = finished(plan, tmp_path / "dir")
    assert got == whole and sum(map(len, units)) >= 2


def test_a_process_that_died_while_it_was_idle_is_told(plan):
    workers = LocalWorkers(1)
    try:
        process = workers._processes[0][0]
        process.kill()
        process.join()
        with pytest.raises(CampaignError, match="a worker process ended"):
            workers.submit(Task(0, 0, plan.setups[0], 1, 1))
            workers.collect()
    finally:
        workers.close()


def test_a_finished_campaign_computes_nothing_again(plan, whole, tmp_path):
    finished(plan, tmp_path / "dir")

    def nobody():
        raise AssertionError("nothing is left to compute")

    assert finished(plan, tmp_path / "dir", nobody)[0] == whole


def test_directories_of_others_are_refused(plan, tmp_path):
    directory = tmp_path / "dir"
    Store(directory, "nothing has been computed", "v0").close()
    with Store(directory, "spec", "v1") as store:
        store.add(0, 0, UnitResult(1, []))
    with pytest.raises(CampaignError, match="another specification"):
        Store(directory, "other", "v1")
    with pytest.raises(CampaignError, match=r"another version \(v1, this is v2\)"):
        Store(directory, "spec, as v2 says it", "v2")
    with Store(directory, "spec", "v1"), pytest.raises(CampaignError, match="another run is at work here"):
        Store(directory, "spec", "v1")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("precious")
    with pytest.raises(CampaignError, match="holds other files and no campaign"):
        Store(foreign, "spec", "v1")
    (tmp_path / "file").write_text("")
    with pytest.raises(CampaignError, match="File exists"):
        Store(tmp_path / "file", "spec", "v1")
    shutil.rmtree(foreign)
    foreign.mkdir()
    (foreign / "campaign.sqlite").write_text("this is no database, however long it is " * 99)
    with pytest.raises(CampaignError, match="not a database"):
        Store(foreign, "spec", "v1")


def test_what_the_specification_says_is_in_its_fingerprint(plan):
    other = make_plan(parse_campaign(SYMBOLS.replace("seed = 4", "seed = 5")))
    renamed = make_plan(parse_campaign(SYMBOLS.replace('"codes"', '"a better title"') + "# a comment\n"))
    assert fingerprint(other) != fingerprint(plan) == fingerprint(renamed)


@given(order=st.permutations(range(6)))
def test_a_point_ends_at_the_first_unit_that_meets_the_rule_in_order(order):
    """Errors 3, 4, 5, 0, 9, 9 of 10 each: ten errors are there after the third unit, whoever came first."""
    errors = [3, 4, 5, 0, 9, 9]
    state = PointState(setup=None)  # type: ignore[arg-type]
    for unit in order:
        state.add(unit, UnitResult(10, [Tally(errors[unit], failed=f"{(1 << errors[unit]) - 1:04x}")]), StoppingRule(errors=10))
    assert (state.counted, state.packets, state.totals[0].errors, state.reason) == (3, 30, 12, "errors")


def test_units_grow_and_end_with_the_limit():
    setup = waveform("[stop]\npackets = 500\n").setups[0]
    assert [setup.unit_packets(k) for k in range(8)] == [64, 64, 128, 128, 116, 0, 0, 0]
    large = waveform("[stop]\npackets = 1_000_000\n").setups[0]
    longest = large.unit_packets(20) * (large.profile.airtime(12) + 40 * large.profile.bit_time)
    assert 55 < longest <= 60


def test_receivers_are_compared_packet_by_packet():
    state = PointState(setup=None)  # type: ignore[arg-type]
    state.add(0, UnitResult(8, [Tally(2, failed="c0"), Tally(3, failed="83")]), StoppingRule(errors=100))
    state.add(1, UnitResult(8, [Tally(1, failed="01"), Tally(0, failed="00")]), StoppingRule(errors=100))
    assert state.paired == [(0, 0), (2, 2)] and state.reason is None


def test_points_that_differ_in_receivers_alone_share_their_noise():
    axes = '[[axis]]\nname = "receiver.blanker"\nvalues = [0.0, 9.0]\n[[axis]]\nname = "gap_bits"\nvalues = [40, 50]\n'
    assert waveform(axes).noise_of == (0, 1, 0, 1)


def test_a_worker_of_another_version_refuses(plan):
    with pytest.raises(CampaignError, match=r"a worker of the cluster has version .*, this is 0\.0"):
        run_remote_unit(plan.setups[0], 1, 10, "0.0")


def test_seeds_differ_between_points_units_and_campaigns():
    seeds = {unit_seed(seed, point, unit) for seed in range(3) for point in range(20) for unit in range(20)}
    assert len(seeds) == 1200 and all(0 <= seed < 2**63 for seed in seeds)


def test_packets_of_a_waveform_arrive_in_good_noise_and_are_lost_in_bad():
    good, bad = waveform(esn0_db=12.0).setups[0], waveform(esn0_db=-12.0).setups[0]
    assert run_unit(good, 1, 40).tallies[0] == Tally(0, failed="00" * 5)
    lost = run_unit(bad, 1, 16).tallies[0]
    assert (lost.errors, lost.missed, lost.residual, lost.false) == (16, 16, 0, 0)


def test_a_waveform_unit_depends_on_its_seed_alone_and_receivers_share_its_noise():
    three = waveform("[receivers.a]\n[receivers.hard]\nword_decoder = 'hard'\n[receivers.b]\n", esn0_db=4.0).setups[0]
    one = waveform(esn0_db=4.0).setups[0]
    a, hard, b = run_unit(three, 7, 24).tallies
    assert a == b == run_unit(one, 7, 24).tallies[0] != run_unit(one, 8, 24).tallies[0]
    assert hard.errors > a.errors


def test_packet_error_ratio_of_the_whole_chain_in_white_noise():
    """Truth: ideal soft decoding at 5 dB, 1 - (1 - WER)^12: two-sided, from 0.6 dB better to 0.8 dB worse, four sigmas."""
    tally = run_unit(waveform(esn0_db=5.0).setups[0], 3, 300).tallies[0]
    code = WordCode.named("W11_SPC")
    low, high = (300 * ideal_packet_error_ratio(code, 12, db) for db in (5.6, 4.2))
    assert low - 4 * np.sqrt(low) < tally.errors < high + 4 * np.sqrt(high)


@pytest.mark.parametrize("name", ["S1_quiet", "S3_dimmer"])
def test_scenarios_of_the_channel_library(name):
    """A line with a path, a converter and a clock error of its own: at 25 dB nearly everything arrives."""
    tally = run_unit(waveform(f'[line]\nscenario = "{name}"\n', esn0_db=25.0).setups[0], 1, 12).tallies[0]
    assert tally.errors <= 2 and tally.false == tally.residual == 0


def test_noise_beside_the_background_counts_from_its_level():
    """White noise of the background's own density over it costs 3 dB: the packet error ratio at 8 dB is that of 5 dB."""
    doubled = '[line]\nnoise = [{kind = "white", over = "full_band", sir_db = 0}]\n'
    tally = run_unit(waveform(doubled, 8.0, 'carrier = "secondary"').setups[0], 3, 300).tallies[0]
    low, high = (300 * ideal_packet_error_ratio(WordCode.named("W11_SPC"), 12, db) for db in (5.6, 4.2))
    assert low - 4 * np.sqrt(low) < tally.errors < high + 4 * np.sqrt(high)


def test_an_axis_may_mix_numbers_lists_words_and_truth_values(plan, whole, tmp_path):
    """Such a campaign once ended with an internal error, after everything had been computed."""
    for mixed in ([0.0, [-400.0, 400.0]], [True, 3], [1, "a"], [2, 2.5]):
        found = [replace(row, coordinates={"x": mixed[row.point]}) for row in whole]
        write_parquet(tmp_path / "results.parquet", found, Provenance("t", "", 1, "v", "c"))
        table = pq.read_table(tmp_path / "results.parquet")
        column = table.column("axis.x").to_pylist()
        assert [str(table.schema.field(name).type) for name in ("only_first", "same_p")] == ["int64", "double"]
        assert column[::2] == ([2.0, 2.5] if mixed[0] == 2 else [str(v) for v in mixed]), mixed


def test_what_the_disk_refuses_is_one_line(plan, whole, tmp_path):
    origin = Provenance("t", "", 1, "v", "c")
    (tmp_path / "results.parquet.partial").mkdir()
    with pytest.raises(CampaignError, match=r"results\.parquet: cannot write: .*; what was computed is kept"):
        write_parquet(tmp_path / "results.parquet", whole, origin)
    (tmp_path / "partial-figure.pdf").mkdir()
    with pytest.raises(CampaignError, match=r"figure\.pdf: cannot write: Is a directory"):
        write_figures(tmp_path, plan, whole, origin)
    (tmp_path / "dir" / "campaign.sqlite").mkdir(parents=True)
    with pytest.raises(CampaignError, match=r"campaign\.sqlite: unable to open database file"):
        Store(tmp_path / "dir", "spec", "v1")


def test_without_a_waveform_packets_are_not_told_apart(whole):
    """Not 0 and 0 of equal receivers: which packets they lost is not known."""
    assert all(row.only_first is row.only_this is row.same_p is None for row in whole)


def test_every_receiver_and_bound_is_in_the_legend_and_no_title_stops_a_figure(tmp_path):
    """Names that matplotlib would hide, dollars that are no formula, curves that share colours, too many for the inside."""
    names = ["_first", "$", *(f"r{k}" for k in range(9))]
    text = SYMBOLS.split("[receivers")[0].replace("codes", "$\\\\foo$ of $5")
    text += "".join(f'[receivers."{name}"]\n' for name in names) + "[stop]\nerrors = 5\npackets = 10\n"
    plan = make_plan(parse_campaign(text))
    state = PointState(setup=plan.setups[0])
    state.add(0, UnitResult(10, [*[Tally(5)] * 10, Tally(0)]), plan.rule)
    figure = draw(plan, list(rows(plan, [state, PointState(setup=plan.setups[1])])))
    figure.savefig(tmp_path / "figure.svg")
    (legend,) = figure.legends
    shown = [entry.get_text() for entry in legend.get_texts()]
    assert shown == ["ideal soft decoding, W11_SPC", *names, "no error: upper bound"]
    assert legend.get_title().get_text() == "bars: 95 % confidence"
    styles = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert ("C0", "o", "-") in styles and ("C0", "o", "--") in styles


def test_es_n0_is_that_behind_the_path():
    """A line that loses 40 dB and turns the phase changes nothing; a resonance there costs little."""
    flat = waveform('[line]\npath = [{kind = "flat", attenuation_db = 40, angle_deg = 50}]\n', 5.0).setups[0]
    code = WordCode.named("W11_SPC")
    low, high = (300 * ideal_packet_error_ratio(code, 12, db) for db in (5.6, 4.2))
    assert low - 4 * np.sqrt(low) < run_unit(flat, 3, 300).tallies[0].errors < high + 4 * np.sqrt(high)
    centred = '[line]\npath = [{kind = "resonance", preset = "centred"}]\n'
    resonant = waveform(centred, 12.0, 'carrier = "secondary"').setups[0]
    assert run_unit(resonant, 3, 40).tallies[0].errors <= 2


def test_copies_of_a_packet_are_combined_over_both_carriers():
    """Truth at 2 dB: a packet is lost with p = 0.77 and two of two with p^2; their energies together make 5 dB, 0.058."""
    receivers = "[receivers.alone]\n[receivers.together]\ncombine_s = 2.0\n"
    both = waveform(receivers, 2.0, 'copies = 2\ncarrier = "alternate"').setups[0]
    assert both.ideal(2.0) == pytest.approx(ideal_packet_error_ratio(both.code, 12, 5.01 + both.words_above_mean_db), rel=0.01)
    alone, together = run_unit(both, 3, 80).tallies
    p = ideal_packet_error_ratio(both.code, 12, 2.0)
    assert abs(alone.errors - 80 * p**2) < 4 * np.sqrt(80 * p**2 * (1 - p**2)) and len(alone.failed) == 20
    assert 80 * both.ideal(2.5) / 2 < together.errors < 0.75 * alone.errors


def test_the_other_carrier_carries_what_a_blocked_one_does_not():
    blocked = '[line]\nscenario = "S7_blocked"\n'
    assert run_unit(waveform(blocked, 12.0, "copies = 2").setups[0], 1, 6).tallies[0].errors == 6
    alternate = waveform(blocked, 12.0, 'copies = 2\ncarrier = "alternate"').setups[0]
    assert run_unit(alternate, 1, 6).tallies[0] == Tally(0, failed="00")


def test_tables_and_figures_carry_where_they_are_from(plan, whole, tmp_path):
    origin = Provenance("codes", SYMBOLS, 4, "0.1+test", "osgp-sdr sweep codes -o dir")
    write_parquet(tmp_path / "results.parquet", whole, origin)
    table = pq.read_table(tmp_path / "results.parquet")
    assert table.column("errors").to_pylist() == [row.errors for row in whole]
    assert table.column("axis.esn0_db").to_pylist() == [4.0, 4.0, 5.5, 5.5]
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert metadata["osgp_sdr.spec"] == SYMBOLS and metadata["osgp_sdr.seed"] == "4"
    assert metadata["osgp_sdr.version"] == "0.1+test" and metadata["osgp_sdr.command"] == "osgp-sdr sweep codes -o dir"
    first = {path.name: path.read_bytes() for path in write_figures(tmp_path, plan, whole, origin)}
    again = {path.name: path.read_bytes() for path in write_figures(tmp_path, plan, whole, origin)}
    assert first == again and set(first) == {"figure.pdf", "figure.svg"}
    assert first["figure.pdf"].startswith(b"%PDF") and b"osgp-sdr sweep codes" in first["figure.pdf"]
    assert b"seed 4; 0.1+test; osgp-sdr sweep codes -o dir" in first["figure.svg"]
