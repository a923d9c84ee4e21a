"""Carrier sense in small blocks: with one call the same as stage by stage, and a stage that was replaced is used."""

import copy
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phy import Profile, Receiver, Transmitter, append_crc
from phy.carrier import CarrierReceiver
from phy.downconvert import BankFilter, DownConverter
from phy.filters import plan_baseband, plan_front_end
from phy.packet import ReceiverOptions

RATE = 400_000.0
PROFILE = Profile.load("pl20a")
FRONT = plan_front_end(PROFILE, list(PROFILE.carriers.values()), RATE)
STAGES = ("sense_mixer", "sense_filter", "sense")


def line(seed, seconds=0.4):
    """Noise, packets of three levels on either carrier, impulses."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.03, round(seconds * RATE))
    x[rng.integers(0, x.size, 12)] += rng.normal(0, 20, 12)
    for at in range(30_000, x.size, 60_000):
        tx = Transmitter(PROFILE, RATE, level_v=float(rng.choice([0.06, 0.3, 2.0])))
        wave = tx.modulate(append_crc(rng.bytes(10)), alternate=bool(rng.integers(2)))[: x.size - at]
        x[at : at + wave.size] += wave
    return x.astype(np.float32)


def carrier():
    return CarrierReceiver(PROFILE, "primary", RATE, FRONT, ReceiverOptions())


class Replaced:
    """Somebody else's stage: does what the one before it did, and counts."""

    def __init__(self, stage):
        self.stage, self.calls = stage, 0

    def reset(self):
        self.stage.reset()

    def process(self, x):
        self.calls += 1
        return self.stage.process(x)

    def push(self, y):
        self.calls += 1
        return self.stage.push(y)

    @property
    def busy(self):
        return self.stage.busy


def state(chain, of=lambda stage: stage):
    """Everything that the three stages remember."""
    mixer, narrow, sense = (of(getattr(chain, name)) for name in STAGES)
    base, size, number = narrow._place.tolist()
    return [mixer._next, base, size, number, *narrow._z[:size].tolist(), *sense._tail.tolist(), *sense._state.tolist()]


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 5),
    sizes=st.lists(st.one_of(st.integers(1, 12), st.integers(1, 400), st.integers(1, 9000)), min_size=1, max_size=40),
    asked=st.lists(st.booleans(), min_size=1, max_size=20),
    replaced=st.sampled_from(STAGES),
)
def test_one_call_does_what_the_stages_do(seed, sizes, asked, replaced):
    """Flags and states, to the last bit, wherever the stream is cut and whenever somebody asks."""
    u = DownConverter(FRONT).process(line(seed))
    short, stages = carrier(), carrier()
    setattr(stages, replaced, Replaced(getattr(stages, replaced)))
    at = k = 0
    while at < u.size:
        part = u[at : at + sizes[k % len(sizes)] + 40 * (k > 400)]
        at, k = at + part.size, k + 1
        short.push_sense(part)
        stages.push_sense(part)
        if asked[k % len(asked)]:
            assert short.busy is stages.busy
    assert short.busy is stages.busy
    assert state(short) == state(stages, lambda stage: getattr(stage, "stage", stage))


def test_receivers_agree_on_a_quiet_line_and_on_another():
    """Until the line is found quiet, on it, and after the impulses that end it; the packets are the same as well."""
    x = np.concatenate([np.random.default_rng(1).normal(0, 0.03, 320_000).astype(np.float32), line(2)])
    short, stages = Receiver(PROFILE, RATE), Receiver(PROFILE, RATE)
    for chain in stages.carriers.values():
        chain.sense = Replaced(chain.sense)
    quiet, busy = [], []
    for first in range(0, x.size, 400):
        block = x[first : first + 400]
        assert repr(short.push(block)) == repr(stages.push(block))
        assert short.channel_busy is stages.channel_busy
        quiet.append(short.quiet is not None)
        busy.append(short.channel_busy)
    assert {True, False} == set(quiet) == set(busy)
    assert any(was and not now for was, now in itertools.pairwise(quiet))


@pytest.mark.parametrize("name", STAGES)
def test_a_replaced_stage_is_used_and_the_others_go_on(name):
    u = DownConverter(FRONT).process(line(3))
    plain, chain = carrier(), carrier()
    own, flags = getattr(chain, name), []
    other = Replaced(own)
    for k, first in enumerate(range(0, u.size, 80)):
        if k in (100, 200):
            setattr(chain, name, other if k == 100 else own)
        for one in (plain, chain):
            one.push_sense(u[first : first + 80])
        assert plain.busy is chain.busy
        flags.append(plain.busy)
    assert other.calls == 100
    assert state(plain) == state(chain)
    assert any(flags) and not all(flags)


def test_a_stage_that_hears_everything_makes_the_channel_busy():
    class Always:
        busy = True

        def push(self, y):
            return True

        def reset(self):
            pass

    receiver = Receiver(PROFILE, RATE)
    receiver.carriers["secondary"].sense = Always()
    receiver.push(np.zeros(4000, np.float32))
    assert receiver.channel_busy


def test_carrier_sense_starts_anew_in_place():
    """After a reset, by hand or because samples are missing, nothing is left of the past."""
    u = DownConverter(FRONT).process(line(4))
    used, fresh = carrier(), carrier()
    used.push_sense(u[:20_000])
    assert used.busy in (True, False)
    used.reset_sense()
    assert used.busy is False
    for first in range(20_000, u.size, 83):
        for one in (used, fresh):
            one.push_sense(u[first : first + 83])
        assert used.busy is fresh.busy
    assert state(used) == state(fresh)


def test_a_copied_filter_goes_on_alone():
    plan = plan_baseband(PROFILE, PROFILE.carrier_hz("primary"), RATE, FRONT)
    u = DownConverter(FRONT).process(line(5, 0.05))
    filter_, whole = BankFilter(plan, plan.bit_bank), BankFilter(plan, plan.bit_bank).process(u)
    begun = filter_.process(u[:1001])
    other = copy.copy(filter_)
    filter_.process(u[:7])
    assert np.array_equal(np.concatenate([begun, other.process(u[1001:])]), whole)
