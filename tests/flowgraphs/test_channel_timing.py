"""Channel timing of a graph: the access rule of the C band is on by default there, and a named option anywhere."""

import msgspec
import pytest

from flowgraphs.channel_timing import timing_of
from flowgraphs.errors import GraphError
from flowgraphs.graph import load_graph
from mac import ChannelTiming


def graph(**options):
    return msgspec.structs.replace(load_graph("demo"), **options)


def test_rule_is_on_where_the_channel_has_one_unless_it_is_switched_off():
    ruled = ChannelTiming.load("pl20c")
    assert ruled.access_rule is not None
    assert timing_of(graph(profile="pl20c")) == timing_of(graph(profile="pl20c", access_rule=True)) == ruled
    off = timing_of(graph(profile="pl20c", access_rule=False))
    assert off.access_rule is None and off.beta2 == ruled.beta2
    assert timing_of(graph()) == timing_of(graph(access_rule=False)) == ChannelTiming.load("pl20a_nes")


def test_rule_cannot_be_switched_on_where_there_is_none():
    with pytest.raises(GraphError, match="access_rule: channel pl20a_nes has no access rule to switch on"):
        timing_of(graph(access_rule=True))
