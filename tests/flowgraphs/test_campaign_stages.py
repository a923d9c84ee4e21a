"""Stages of one's own in a campaign: used, compared, carried to other processes, part of the fingerprint; faults are one line."""

import json
import pickle

import pyarrow.parquet as pq
import pytest

from flowgraphs.campaign.plan import fingerprint, make_plan
from flowgraphs.campaign.spec import parse_campaign
from flowgraphs.campaign.unit import run_unit
from flowgraphs.cli import run
from flowgraphs.errors import CampaignError

SPEC = """title = "t"
kind = "waveform"
[packet]
octets = 12
[[axis]]
name = "esn0_db"
values = [4]
[receivers.default]
[receivers.hard]
word_decoder = "hard"
[receivers.own]
stages = "{place}"
"""
FILE = """from phy.words import WordCode

class Late:
    n = 0
    def reset(self):
        pass
    def process(self, z):
        self.n += z.size
        if self.n > 20_000:
            raise IndexError("too late")
        return z

def use(receiver):
    for chain in receiver.carriers.values():
        chain.decoder.word_decoder = WordCode.decode_hard

def late(receiver):
    receiver.blanker = Late()

def wrong(receiver):
    receiver.blanker = receiver.no_such_stage

def deaf(receiver):
    receiver.blanker = type("Deaf", (Late,), {"process": lambda self, z: z[::0]})()
"""


@pytest.fixture
def own(tmp_path):
    """A specification beside a file of stages; gives its plan for a function of the file."""
    (tmp_path / "mine.py").write_text(FILE, encoding="utf-8")
    return lambda place="mine.py:use": make_plan(parse_campaign(SPEC.format(place=place), str(tmp_path / "x.toml")))


def test_a_receiver_with_stages_of_ones_own_hears_the_same_packets(own):
    """Truth: the option that does the same. The setup travels to another process with all that it needs."""
    setup = pickle.loads(pickle.dumps(own().setups[0]))
    default, hard, mine = run_unit(setup, 5, 24).tallies
    assert mine == hard != default


def test_the_table_carries_the_stages(own, tmp_path, monkeypatch):
    monkeypatch.setattr("flowgraphs.campaign.figure.write_figures", lambda *_: [])
    own()
    (tmp_path / "x.toml").write_text(SPEC.format(place="mine.py:use") + "[stop]\npackets = 1\n", encoding="utf-8")
    assert run(["sweep", str(tmp_path / "x.toml"), "-o", str(tmp_path / "dir"), "--jobs", "1"]) == 0
    metadata = pq.read_table(tmp_path / "dir" / "results.parquet").schema.metadata
    assert json.loads(metadata[b"osgp_sdr.stages"]) == {str(tmp_path / "mine.py"): FILE}


def test_a_campaign_of_other_stages_is_another_one(own, tmp_path):
    before = fingerprint(own())
    assert fingerprint(own()) == before
    (tmp_path / "mine.py").write_text(FILE.replace("decode_hard", "decode_ml"), encoding="utf-8")
    assert fingerprint(own()) != before


@pytest.mark.parametrize(
    "place, complaint",
    [
        ("mine.py", 'must be "FILE.py:FUNCTION", got'),
        ("other.py:use", r"other\.py: No such file"),
        ("mine.py:nothing", r"mine\.py: has no function 'nothing'"),
        ("mine.py:wrong", r"mine\.py:21: AttributeError: 'Receiver' object has no attribute 'no_such_stage'"),
        ("mine.py:deaf", r"mine\.py:24: ValueError: slice step cannot be zero"),
    ],
)
def test_a_fault_is_told_with_its_line_before_anything_runs(own, place, complaint):
    with pytest.raises(CampaignError, match=rf"x\.toml:12: receivers\.own\.stages: .*{complaint}"):
        own(place)


def test_a_file_that_is_no_python_and_a_stage_that_fails_later(own, tmp_path):
    with pytest.raises(CampaignError, match=r"mine\.py:10: IndexError: too late"):
        run_unit(own("mine.py:late").setups[0], 5, 24)
    (tmp_path / "mine.py").write_text("def use(:\n", encoding="utf-8")
    with pytest.raises(CampaignError, match=r"receivers\.own\.stages: .*mine\.py.*SyntaxError"):
        own()


def test_words_alone_have_no_stages(own):
    with pytest.raises(CampaignError, match=r"x:8: receivers\.own\.stages: unknown option; expected word_decoder"):
        make_plan(parse_campaign('title = "t"\nkind = "symbols"\n\n[[axis]]\nname = "esn0_db"\nvalues = [4]\n'
                                 '[receivers.own]\nstages = "mine.py:use"\n', "x"))  # fmt: skip
