"""Answers to Set Node Mode."""

from __future__ import annotations

from typing import Final

from ..events import NodeState
from ..management.mode import NodeMode, SetNodeMode
from ..network import Arrival
from .command import Command
from .managed_node import ManagedNode
from .reply import Reply, Reset, success

MODE_CHANGES: Final = {  # off-line and on-line mean something in two states only
    (NodeMode.OFFLINE, NodeState.CONFIGURED): NodeState.SOFT_OFFLINE,
    (NodeMode.ONLINE, NodeState.SOFT_OFFLINE): NodeState.CONFIGURED,
}
_RESETS: Final = {NodeMode.RESET: Reset.SOFTWARE, NodeMode.PHYSICAL_RESET: Reset.PHYSICAL}


def _set_node_mode(node: ManagedNode, request: SetNodeMode, arrival: Arrival) -> Reply:
    """Only a change of state is answered (grade L)."""
    if request.state is not None:
        node.set_state(request.state)
        return success(request.CODE)
    change = MODE_CHANGES.get((request.mode, node.state))
    if change is not None:
        node.set_state(change)
    return Reply(reset=_RESETS.get(request.mode, Reset.NONE))


COMMANDS: Final = (Command(SetNodeMode, _set_node_mode, by_message=True),)
