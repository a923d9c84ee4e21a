"""Which meters repeat for which others: routes that are kept, links that rest after a failure, and what to try instead.

    concentrator --link 1--> repeaters[0] --link 2--> .. repeaters[-1] --last link--> meter

What is known of the line is what became of messages: a link that carried one is good both ways, one that was reported dead
several times in a row rests for a while. How a route is travelled (frames, carriers, timers) is up to the network below.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

Address = tuple[int, int]
FAILURES_TO_REST: Final = 3  # in a row; each of them after all tries (grade D, a published proposal)
LINK_REST_S: Final = 600.0  # s for which such a link is not used, twice as long with each further failure (grade D)
LONGEST_REST_S: Final = 86_400.0  # s: searched anew daily (grade D, the same proposal)
SOURCE: Final = (0, 0)  # the concentrator, as the beginning of a link


@dataclass(frozen=True, slots=True)
class Route:
    """A way to a meter: addresses (subnet, node) of the meters that repeat, the nearest first; none: it is asked directly."""

    repeaters: tuple[Address, ...] = ()

    def __len__(self) -> int:
        """Meters that repeat."""
        return len(self.repeaters)

    def links_to(self, target: Address) -> list[tuple[Address, Address]]:
        """Every step, in order."""
        return list(pairwise((SOURCE, *self.repeaters, target)))

    def __str__(self) -> str:
        return " ".join(f"{subnet}/{node}" for subnet, node in self.repeaters) or "direct"


DIRECT: Final = Route()


@dataclass(slots=True)
class _Link:
    good: bool = False  # the last message went through
    margin_db: float | None = None  # as measured last
    failures: int = 0  # in a row
    rests_until: float = 0.0


class Topology:
    """What messages have shown of the links.

    Args:
        max_repeaters: most meters on a route; 0: everybody is asked directly.
        good_margin_db: signal margin of a link from which on it is as good as any.
    """

    def __init__(self, max_repeaters: int, good_margin_db: float) -> None:
        self._max_repeaters = max_repeaters
        self._good_margin_db = good_margin_db
        self._links: dict[frozenset[Address], _Link] = {}

    def note(self, route: Route, target: Address, now: float, dead_link: int | None = None) -> None:
        """A message along a route arrived, or a link was found dead (1: from the concentrator to the first station)."""
        links = route.links_to(target)
        good = len(links) if dead_link is None else min(dead_link, len(links)) - 1
        for link in links[:good]:
            known = self._links.setdefault(frozenset(link), _Link())
            known.good, known.failures = True, 0
        if good < len(links):
            known = self._links.setdefault(frozenset(links[good]), _Link())
            known.good = False
            known.failures += 1
            if known.failures >= FAILURES_TO_REST:
                rest = LINK_REST_S * 2.0 ** min(known.failures - FAILURES_TO_REST, 30)
                known.rests_until = now + min(rest, LONGEST_REST_S)

    def measured(self, route: Route, target: Address, margin_db: float) -> None:
        """Signal margin of the last link of a route, dB."""
        self._links.setdefault(frozenset(route.links_to(target)[-1]), _Link()).margin_db = margin_db

    def forget(self, address: Address) -> None:
        """A meter was commissioned anew, it may stand elsewhere."""
        self._links = {link: known for link, known in self._links.items() if address not in link}

    def choices(
        self,
        target: Address,
        present: Route,
        agents: Iterable[tuple[Address, Route]],
        tried: Collection[Route],
        now: float,
        by_new_link: bool = False,
    ) -> Iterator[Route]:
        """Routes to a meter that were not tried, best first: by what is known of their last links, then the shorter ones.

        Of links of which nothing is known those from its neighbours come first: meters behind the same repeater.

        Args:
            present: route to it.
            agents: meters that may repeat, and the routes to them.    by_new_link: with another last link than those tried.
        """
        last_links = {route.links_to(target)[-1] for route in tried} if by_new_link else set()
        routes = [DIRECT] + [Route((*route.repeaters, agent)) for agent, route in agents if agent != target]
        usable = [
            (self._rank(frozenset(route.links_to(target)[-1]), Route(route.repeaters[:-1]) == present), len(route), number, route)
            for number, route in enumerate(routes)
            if len(route) <= self._max_repeaters
            and target not in route.repeaters
            and route not in tried
            and route.links_to(target)[-1] not in last_links
            and self.is_usable(route, target, now)
        ]
        return (route for *_, route in sorted(usable, key=lambda choice: choice[:3]))

    def is_usable(self, route: Route, target: Address, now: float) -> bool:
        """Whether no link of a route rests."""
        return not any(self._rests(frozenset(link), now) for link in route.links_to(target))

    def _rank(self, link: frozenset[Address], is_neighbour: bool) -> int:
        known = self._links.get(link)
        if known is None:
            return 2 if is_neighbour else 3
        if not known.good:
            return 5
        if known.margin_db is None:
            return 1
        return 0 if known.margin_db >= self._good_margin_db else 4

    def _rests(self, link: frozenset[Address], now: float) -> bool:
        known = self._links.get(link)
        return known is not None and not known.good and now < known.rests_until
