"""Which links of proxy routes are to be avoided for a while, and what to try instead: the other carrier, then another route."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .errors import ConfigurationError
from .events import ProxyDone
from .proxy_route import ProxyLink, ProxyRoute

FIRST_REST: Final = 60.0  # s without using a link after it failed once (grade D)
LONGEST_REST: Final = 3600.0  # s, the rest doubles with every further failure up to this (grade D)


@dataclass(frozen=True, slots=True)
class BadLink:
    """A link that failed.

    Args:
        link: which one.    failures: how often in a row.    rests_until: not to be used before, s.
    """

    link: ProxyLink
    failures: int
    rests_until: float


class RouteHealth:
    """Remembers the links that failed; each rests for a while, the longer the more often it failed.

    Args:
        first_rest, longest_rest: s.
    """

    def __init__(self, first_rest: float = FIRST_REST, longest_rest: float = LONGEST_REST) -> None:
        if not 0.0 < first_rest <= longest_rest:
            raise ConfigurationError(f"rests must be positive and not shrink, got {first_rest} and {longest_rest}")
        self._first_rest = first_rest
        self._longest_rest = longest_rest
        self._bad: dict[ProxyLink, BadLink] = {}

    def note(self, route: ProxyRoute, done: ProxyDone, now: float) -> None:
        """Learn from what became of a message: the dead link is bad, those before it are good."""
        links = route.links
        good = len(links) if done.success else (done.dead_link or 1) - 1
        for link in links[:good]:
            self._bad.pop(link, None)
        if done.success or done.dead_link is None or not 1 <= done.dead_link <= len(links):
            return
        link = links[done.dead_link - 1]
        before = self._bad.get(link)
        failures = 1 if before is None else before.failures + 1
        rest = min(self._first_rest * 2 ** min(failures - 1, 30), self._longest_rest)
        self._forget(now)
        self._bad[link] = BadLink(link, failures, now + rest)

    def is_bad(self, link: ProxyLink, now: float) -> bool:
        """Whether a link, on its carrier, rests."""
        bad = self._bad.get(link)
        return bad is not None and now < bad.rests_until

    def bad_links(self, now: float) -> tuple[BadLink, ...]:
        """All that rest, the one to be free first in front."""
        resting = (bad for bad in self._bad.values() if now < bad.rests_until)
        return tuple(sorted(resting, key=lambda bad: bad.rests_until))

    def choose(self, routes: Sequence[ProxyRoute], now: float) -> ProxyRoute | None:
        """First usable one of the routes to a target, best first; None when on each of them some link rests on both carriers.

        A link that rests on the carrier of its route is tried on the other one before the next route is.
        """
        for route in routes:
            paths = [self._path(link, now) for link in route.links]
            usable = tuple(path for path in paths if path is not None)
            if len(usable) == len(paths):
                return route.with_paths(usable)
        return None

    def _path(self, link: ProxyLink, now: float) -> bool | None:
        for alternate in (link.alternate, not link.alternate):
            if not self.is_bad(ProxyLink(link.sender, link.receiver, alternate), now):
                return alternate
        return None

    def _forget(self, now: float) -> None:
        """Drop what has been usable again for as long as it could have rested."""
        horizon = now - self._longest_rest
        self._bad = {link: bad for link, bad in self._bad.items() if bad.rests_until > horizon}
