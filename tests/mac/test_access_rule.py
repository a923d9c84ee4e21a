"""The access rule of the C band in front of channel access (EN 50065-1 clause 5, times of grade D)."""

from random import Random

import pytest

from mac import ChannelTiming, Statistics
from mac.access import ChannelAccess

RULED = ChannelTiming.load("pl20c")


class FirstSlot(Random):
    """Draws the first slot, and the shortest interval of the rule, each time."""

    def randrange(self, stop):
        return 0


def test_access_rule_waits_85_to_115_ms_in_seven_steps_after_the_band_was_used():
    starts = set()
    for seed in range(300):
        access = ChannelAccess(RULED, Random(seed), Statistics())
        access.set_ready(True, False, 0.0)
        access.on_channel(True, 1.0)
        access.on_channel(False, 1.2)
        at = access.next_timer()
        while not access.may_transmit:
            at = access.next_timer()
            access.on_timer(at)
        starts.add(round(at - 1.2, 6))
    assert starts == {round(0.085 + 0.005 * step, 6) for step in range(7)}


def test_access_rule_is_not_on_the_other_channels():
    with_rule = {name for name in ChannelTiming.names() if ChannelTiming.load(name).access_rule is not None}
    assert with_rule == {"pl20c", "pl20c_low"}


def test_access_rule_ignores_a_carrier_shorter_than_4_ms_and_pauses_after_own_frames():
    access = ChannelAccess(RULED, FirstSlot(), Statistics())
    access.on_channel(True, 1.0)
    access.on_channel(False, 1.0039)
    access.set_ready(True, False, 1.0039)
    access.on_timer(1.1)
    assert access.may_transmit, "nothing used the band since power-up"
    access.transmission_started(1.1)
    access.transmission_done(0, 1.2)
    while not access.may_transmit:
        access.on_timer(at := access.next_timer())
    assert at == pytest.approx(1.2 + 0.125)
