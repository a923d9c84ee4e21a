"""Specifications of campaigns: what they mean, and faults told with file, line and what is expected."""

import re
from importlib import resources
from pathlib import Path

import pytest

from flowgraphs.campaign.plan import make_plan
from flowgraphs.campaign.spec import load_campaign, parse_campaign
from flowgraphs.errors import CampaignError

HEAD = 'title = "t"\nkind = "waveform"\n'
AXIS = '[[axis]]\nname = "esn0_db"\nvalues = [3, 4.5]\n'
SYMBOLS = 'title = "t"\nkind = "symbols"\n'


def plan(text):
    return make_plan(parse_campaign(text, "x.toml"))


def test_points_are_all_combinations_the_last_axis_fastest():
    campaign = parse_campaign(HEAD + AXIS + '[[axis]]\nname = "octets"\nstart = 20\nstop = 60\nstep = 20\n')
    assert campaign.axes == ("esn0_db", "octets")
    expected = [{"esn0_db": e, "octets": n} for e in (3, 4.5) for n in (20, 40, 60)]
    assert [point.coordinates for point in campaign.points] == expected
    assert [(p.values.packet.esn0_db, p.values.packet.octets) for p in campaign.points][4] == (4.5, 40)


@pytest.mark.parametrize(
    "span, values",
    [("start = 3.0\nstop = 4.0\nstep = 0.1", [3 + k / 10 for k in range(11)]), ("start = 2\nstop = -3\nstep = -2", [2, 0, -2])],
)
def test_ranges_include_their_stop_where_they_meet_it(span, values):
    campaign = parse_campaign(HEAD + f'[[axis]]\nname = "esn0_db"\n{span}\n')
    assert [point.coordinates["esn0_db"] for point in campaign.points] == pytest.approx(values, abs=1e-12)


def test_an_axis_may_set_any_parameter():
    text = (
        HEAD + '[line]\nnoise = [{kind = "tone", freq_hz = 80e3}]\n[receivers.a]\n[receivers.b]\ntones_db = 0.0\n'
        '[[axis]]\nname = "line.noise[0].amplitude_v"\nvalues = [0.1, 0.2]\n[[axis]]\nname = "receiver.blanker"\nvalues = [0.0]\n'
        '[packet]\nesn0_db = 5\n'
    )  # fmt: skip
    setups = plan(text).setups
    assert [dict(s.line.sources[0].parameters)["amplitude_v"] for s in setups] == [0.1, 0.2]
    assert [(r.name, r.options.blanker, r.options.tones_db) for r in setups[0].receivers] == [("a", 0.0, 16.0), ("b", 0.0, 0.0)]


@pytest.mark.parametrize("name", ["awgn", "receivers", "codes"])
def test_campaigns_of_the_package_are_right(name):
    assert make_plan(load_campaign(name)).setups


@pytest.mark.parametrize(
    "text, line, complaint",
    [
        (HEAD + "seeds = 3\n" + AXIS, 3, "seeds: unknown key; expected title, kind, axis, seed"),
        (HEAD + AXIS + "[packet]\noctet = 3\n", 7, "packet.octet: unknown key; expected profile, code, octets"),
        (HEAD + AXIS + "[packet]\noctets = 2\n", 7, "packet.octets: Expected int >= 3"),
        (HEAD + AXIS + '[packet]\noctets = "many"\n', 7, "packet.octets: Expected int, got str"),
        (HEAD + AXIS + "[packet]\noctets = 300\n", 7, "packet.octets: the profile pl20a has 8..255 octets with the CRC, got 300"),
        (HEAD + AXIS + "[packet]\nclock_ppm = [4, 2]\n", 7, "packet.clock_ppm: the first must not be above the second"),
        (HEAD + AXIS + "[packet]\nclock_ppm = 9999\n", 7, "packet.clock_ppm: Expected float <= 5000"),
        (HEAD + AXIS + "[packet]\nesn0_db = 3\n", 7, r"packet.esn0_db is set here and by the axis 'esn0_db' \(line 4\)"),
        (HEAD + AXIS + '[packet]\nprofile = "pl99"\n', 7, "packet.profile: no profile 'pl99'; known: pl20a"),
        (HEAD + AXIS + '[packet]\ncarrier = "third"\n', 7, "packet.carrier: must be one of primary, .*, got 'third'"),
        (HEAD + AXIS + "[packet]\nsample_rate = 150000\n", 7, "packet.sample_rate: sample_rate 150000 Hz is too low"),
        (HEAD + AXIS + '[packet]\ncode = "W11_L3"\n', 7, "packet.code: a waveform has the code of its profile"),
        (HEAD + AXIS + "[stop]\nerrors = 0\n", 7, "stop.errors: Expected int >= 1"),
        (HEAD + AXIS + "[stop]\nconfidence = 1.0\n", 7, "stop.confidence: Expected float < 1"),
        (HEAD + AXIS + "[receivers.a]\nblanked = 1\n", 7, "receivers.a.blanked: unknown option; expected threshold, blanker"),
        (HEAD + AXIS + '[receivers.a]\nword_decoder = "guess"\n', 7, "receivers.a.word_decoder: must be one of ml, weakest_flip"),
        (HEAD + AXIS + '[receivers.a]\nblanker = "on"\n', 7, "receivers.a.blanker: Expected float, got str"),
        (HEAD + AXIS + "[receivers.a]\nlost_below = 7.0\n", 7, "receivers.a.lost_below: lost_below must be in"),
        (HEAD + AXIS + "[receivers.a]\nthreshold = 7.0\n", 7, "receivers.a.threshold: .*threshold must be"),
        (HEAD + AXIS + '[line]\nscenario = "S9"\n', 7, "line.scenario: must be one of S0_awgn"),
        (HEAD + AXIS + '[line]\nscenario = "S0_awgn"\nnoise = []\n', 8, "line.noise: the scenario S0_awgn brings its own noise"),
        (HEAD + AXIS + '[line]\nnoise = [\n  {kind = "rain"},\n]\n', 8, r"noise\[0\].kind: kind must be one of alpha_stable"),
        (HEAD + AXIS + '[line]\nnoise = [{kind = "tone", freq_hz = 9e9, amplitude_v = 1}]\n', 7, r"noise\[0\].freq_hz: freq_hz"),
        (HEAD + AXIS + '[line]\nnoise = [{kind = "tone", pitch = 3}]\n', 7, r"noise\[0\].pitch: tone has no parameter 'pitch'"),
        (HEAD + AXIS + '[line]\nnoise = [{kind = "tone", over = "hills"}]\n', 7, r"line.noise\[0\].over: must be carrier_band"),
        (HEAD + AXIS + '[line]\nnoise = [{kind = "white", sir_db = 3}]\n', 7, r"line.noise\[0\].sir_db: counts from a level"),
        (HEAD + '[[axis]]\nname = "loudness"\nvalues = [1]\n', 4, "name: no parameter 'loudness'; expected profile"),
        (HEAD + '[[axis]]\nname = "esn0_db"\n', 3, r"axis\[0\]: give either values, or start, stop and step"),
        (HEAD + '[[axis]]\nname = "esn0_db"\nvalues = [1]\nstep = 1\n', 3, "give either"),
        (HEAD + '[[axis]]\nname = "esn0_db"\nvalues = []\n', 5, "must have at least one value"),
        (HEAD + '[[axis]]\nname = "esn0_db"\nvalues = [\n1,\n2,\n1]\n', 8, "1 is there twice"),
        (HEAD + '[[axis]]\nname = "esn0_db"\nvalues = [\n1,\n"x"]\n', 7, "packet.esn0_db: Expected"),
        (HEAD + '[[axis]]\nname = "esn0_db"\nstart = 1\nstop = 2\n', 3, "the key 'step' is missing"),
        (HEAD + '[[axis]]\nname = "esn0_db"\nstart = 1\nstop = 2\nstep = -1\n', 7, "does not lead from 1 to 2: -1"),
        (HEAD + '[[axis]]\nname = "esn0_db"\nstart = 1\nstop = 2\nstep = 1e-9\n', 7, "at most 10000"),
        (HEAD + '[[axis]]\nname = "receivers.x.blanker"\nvalues = [1]\n', 4, "no receiver 'x'; there are default"),
        (HEAD + '[[axis]]\nname = "line.noise[0].rms_v"\nvalues = [1]\n', 4, "the line has 0 sources"),
        (HEAD + '[[axis]]\nname = "octets"\nvalues = [20]\n', 1, "packet: the key 'esn0_db' is missing: here, or as an axis"),
        (HEAD + AXIS + '[[axis]]\nname = "octets"\nvalues = [20, 999]\n', 8, "packet.octets: the profile pl20a has 8..255"),
        (HEAD, 1, "the key 'axis' is missing"),
        (AXIS, 1, "the key 'title' is missing"),
        (HEAD + AXIS + AXIS, 7, "packet.esn0_db is already set by the axis 'esn0_db'"),
        (HEAD + "x = = 3\n", 3, "Invalid value"),
        (HEAD + '[axis]\nname = "esn0_db"\n', 3, r"axis: Expected list, got table; a table of a list is written \[\[axis\]\]"),
        ('title = "t"\nkind = "wave"\n' + AXIS, 2, "kind: must be one of waveform, symbols, got 'wave'"),
        (HEAD + "seed = " + "9" * 5000 + "\n" + AXIS, 3, "Exceeds the limit"),
        (HEAD + "x = " + "[" * 100_000 + "\n" + AXIS, 3, "nested too deeply"),
        (HEAD + AXIS + "[receivers.a]\n[receivers]\nb = 3\n", 8, "receivers.b: Expected table, got int"),
        (HEAD + '[[axis]]\nname = "esn0_db"\nstart = 1\nstop = 1e300\nstep = 1e-300\n', 6, "stop: must be a number of at most"),
        (HEAD + '[[axis]]\nname = "esn0_db"\nstart = nan\nstop = 3\nstep = 1\n', 5, "start: must be a number of at most"),
        (HEAD + f'[[axis]]\nname = "esn0_db"\nstart = 1\nstop = 1{"0" * 400}\nstep = 1\n', 6, "stop: must be a number"),
        (HEAD + AXIS + '[line]\nnoise = [{kind = ["tone"]}]\n', 7, r"line.noise\[0\].kind: kind must be one of alpha_stable"),
        (HEAD + AXIS + '[line]\nnoise = [\n{kind = "white", rms_v = 1e-3, stream = 0}]\n', 8, r"stream: is set by the campaign"),
        (
            HEAD + AXIS + '[line]\nnoise = [{kind = "white", rms_v = 1}]\n[[axis]]\nname = "line.noise[0].loud"\nvalues = [1]\n',
            10, r"line.noise\[0\].loud: white has no parameter 'loud'",
        ),
        (
            HEAD + AXIS + '[line]\nscenario = "S0_awgn"\n[[axis]]\nname = "line.background_density_v"\nvalues = [1e-6]\n',
            10, "line.background_density_v: the scenario S0_awgn brings its own noise",
        ),
        (HEAD + AXIS + '[line]\npath = [{kind = "rain"}]\n', 7, r"line.path\[0\].kind: kind must be one of attenuation, coupler"),
        (HEAD + AXIS + '[line]\npath = [{kind = "tilt"},\n{kind = "flat", q = 3}]\n', 7, "tilt: the key 'centre_hz' is missing"),
        (HEAD + AXIS + '[line]\nnoise = [{kind = "mains_hum"}]\n', 7, "the key 'amplitude_v' is missing; or let it follow"),
        (HEAD + AXIS + '[line]\npath = [\n{kind = "resonance", freq_hz = 8e4, q = 0, depth = 0.5}]\n', 8, r"path\[0\].q: q must"),
        (HEAD + AXIS + '[line]\nscenario = "S0_awgn"\npath = []\n', 8, "line.path: the scenario S0_awgn brings its own path"),
        (HEAD + AXIS + '[[axis]]\nname = "line.path[0].q"\nvalues = [1]\n', 7, "the line has 0 elements of its path"),
        (HEAD + AXIS + '[packet]\ncarrier = "alternate"\n', 7, "packet.carrier: alternate needs copies of at least 2"),
        (SYMBOLS + AXIS + "[packet]\ncopies = 2\n", 7, "packet.copies has no meaning"),
        (SYMBOLS + AXIS + "[line]\npath = []\n", 7, "line.path has no meaning"),
        (SYMBOLS + AXIS + "[packet]\nclock_ppm = 3\n", 7, "packet.clock_ppm has no meaning with kind = .symbols."),
        (SYMBOLS + AXIS + '[packet]\ncode = "W9"\n', 7, "packet.code: codes.toml: no word code 'W9'; known: W11_SPC"),
        (SYMBOLS + AXIS + "[receivers.a]\nblanker = 1.0\n", 7, "receivers.a.blanker: unknown option; expected word_decoder"),
        (SYMBOLS + AXIS + '[line]\nscenario = "S0_awgn"\n', 7, "line.scenario has no meaning"),
    ],
)
def test_a_fault_is_told_with_its_line(text, line, complaint):
    with pytest.raises(CampaignError, match=rf"^x\.toml:{line}: ") as caught:
        plan(text)
    assert re.search(complaint, str(caught.value)), str(caught.value)


def test_the_campaign_of_the_readme_is_right():
    (text,) = re.findall(r"```toml\n(.*?)```", (Path(__file__).parents[2] / "README.md").read_text("utf-8"), re.DOTALL)
    assert [receiver.options.blanker for receiver in plan(text).setups[8].receivers] == [9.0, 0.0]


def test_a_directory_of_results_does_not_hide_the_campaign_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "awgn").mkdir()
    assert len(load_campaign("awgn").points) == 8
    (tmp_path / "mine").mkdir()
    with pytest.raises(CampaignError, match="mine: Is a directory"):
        load_campaign("mine")


def test_a_profile_may_lie_beside_the_specification(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    source = resources.files("phy").joinpath("profiles", "test-nrz.toml").read_text("utf-8")
    (tmp_path / "study" / "mine.toml").write_text(source, encoding="utf-8")
    (tmp_path / "study" / "spec.toml").write_text(HEAD + AXIS + '[packet]\nprofile = "mine.toml"\n', encoding="utf-8")
    assert make_plan(load_campaign("study/spec.toml")).setups[0].profile.name == "test-nrz"


def test_a_file_that_is_not_there_is_told_with_those_that_are(tmp_path):
    with pytest.raises(CampaignError, match="no such file; campaigns that come with the package: awgn, codes, receivers"):
        load_campaign("nothing")
    with pytest.raises(CampaignError, match="No such file"):
        load_campaign(str(tmp_path / "nothing.toml"))
    (tmp_path / "marked.toml").write_text("\ufeff" + HEAD + AXIS, encoding="utf-8")
    assert len(load_campaign(str(tmp_path / "marked.toml")).points) == 2
    (tmp_path / "odd.toml").write_bytes(b"\xff")
    with pytest.raises(CampaignError, match="not UTF-8"):
        load_campaign(str(tmp_path / "odd.toml"))
