"""Requests along the routes of a concentrator: enhanced proxy repeating, the carrier of each link chosen by what became of it.

The concentrator chooses the stations of a route, here is chosen over which of the two carriers each link is travelled. A link
that fails is tried on its other carrier, then the failure is reported, and the concentrator looks for another route.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import mac
import osgp

RESENDS: Final = 2  # of one request over other carriers, before its route counts as dead (choice, D)
SEARCH_CODE: Final = 13  # an agent's search: one try, 1.536 s, several answers spread over the window announced (D)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request.

    Args:
        handle: what `RepeatedRequests.send` returned.
        answer: of the target, None when there was none.    dead_link: number of the link that failed, 1.., None: unknown.
    """

    handle: int
    answer: bytes | None
    dead_link: int | None = None


@dataclass(frozen=True, slots=True)
class _Sent:
    handle: int
    wanted: mac.ProxyRoute
    taken: mac.ProxyRoute
    apdu: bytes
    resends: int = 0


class RepeatedRequests:
    """The requests of one node that other stations carry on.

    Attributes:
        health: links that rest, each on its carrier.
    """

    def __init__(self, node: mac.Node) -> None:
        self.health = mac.RouteHealth()
        self._node = node
        self._sent: dict[int, _Sent] = {}

    def request(self, route: osgp.Route, target: mac.SubnetNode | mac.UniqueId, apdu: bytes, now: float) -> int:
        """Send a request to a node, directly where the route names no station; returns its handle."""
        if route:
            return self.send(route, target, apdu, now)
        return self._node.send_request(target, apdu, now)

    def send(self, route: osgp.Route, target: mac.Destination, apdu: bytes, now: float, search_alternate: bool = False) -> int:
        """Send a request along a route with at least one station; returns its handle.

        Args:
            target: a node or a unique id; a broadcast is a search: whoever hears the last station of the route may answer.
            search_alternate: carrier of a search.
        """
        hops = tuple(mac.ProxyHop(mac.SubnetNode(*address)) for address in route.repeaters)
        wanted = mac.ProxyRoute(hops, target)
        if isinstance(target, mac.Broadcast):
            timing = replace(wanted.chosen_timing, target_retries=0, target_timer_code=SEARCH_CODE)
            wanted = replace(wanted, timing=timing, target_alternate=search_alternate)
        taken = self.health.choose((wanted,), now) or wanted
        handle = self._node.send_proxied(taken, apdu, now)
        self._sent[handle] = _Sent(handle, wanted, taken, apdu)
        return handle

    def on_done(self, done: mac.ProxyDone, now: float) -> Outcome | None:
        """What became of a request; None when it was sent again, or is none of these."""
        sent = self._sent.pop(done.handle, None)
        if sent is None:
            return None
        is_search = isinstance(sent.taken.target, mac.Broadcast)
        last = len(sent.taken.links)
        if done.outcome is mac.ProxyOutcome.RESPONSE:
            self.health.note(sent.taken, done, now)
            return Outcome(sent.handle, done.response)
        if is_search and done.dead_link == last:
            return Outcome(sent.handle, None)  # nobody there
        self.health.note(sent.taken, done, now)
        other = self.health.choose((sent.wanted,), now)
        if done.dead_link is None or other is None or other == sent.taken or sent.resends >= RESENDS:
            return Outcome(sent.handle, None, done.dead_link)
        handle = self._node.send_proxied(other, sent.apdu, now)
        self._sent[handle] = replace(sent, taken=other, resends=sent.resends + 1)
        return None
