"""Times of channel access for the stations of a graph: those of its channel, with or without the band's access rule."""

from dataclasses import replace
from typing import Final

import mac

from .errors import GraphError
from .graph import Graph

# ISO/IEC 14908 channel parameters by profile; the OSGP system's own set is the one without priority slots.
CHANNELS: Final = {"pl20c": "pl20c"}
DEFAULT_CHANNEL: Final = "pl20a_nes"


def timing_of(graph: Graph) -> mac.ChannelTiming:
    """The 14908 channel timing; GraphError when it is to have a rule that its channel does not know."""
    timing = mac.ChannelTiming.load(graph.channel or CHANNELS.get(graph.profile, DEFAULT_CHANNEL))
    if graph.access_rule and timing.access_rule is None:
        raise GraphError(f"graph {graph.name}: access_rule: channel {timing.name} has no access rule to switch on")
    return replace(timing, access_rule=None) if graph.access_rule is False else timing
