"""The meters of a concentrator, and over which others each of them is reached."""

from __future__ import annotations

from dataclasses import dataclass, field

from .config import ConcentratorConfig
from .session import Session
from .topology import DIRECT, Address, Route, Topology


@dataclass(slots=True, eq=False)
class Station:
    """A meter as the concentrator sees it."""

    unique_node_id: bytes
    program_id: bytes
    address: tuple[int, int]
    session: Session
    commissioned: bool = False
    silent: bool = False
    turns: int = 0  # in this pass
    tries: int = 0  # of the action that is out
    set_aside: bool = False  # commissioning failed in this discovery
    route: Route = DIRECT
    way: Route = DIRECT  # that is tried now
    tried: set[Route] = field(default_factory=set)  # in this turn


class Routing:
    """Chooses routes. Those of a meter lead through the present route of the last meter that repeats for it.

    Attributes:
        topology: what messages have shown of the links.
    """

    def __init__(self, config: ConcentratorConfig) -> None:
        self.topology = Topology(config.max_repeaters, config.good_margin_db)
        self._most, self._tries = config.max_repeaters, config.route_tries
        self._stations: dict[Address, Station] = {}

    def add(self, station: Station) -> None:
        """A meter that may be reached, and repeat."""
        self._stations[station.address] = station

    def may_repeat(self, station: Station) -> bool:
        """Whether a meter may be asked to carry messages on."""
        return station.commissioned and not station.silent and len(station.route) < self._most

    def start(self, station: Station, now: float) -> None:
        """A meter gets its turn: by its route, or by another one while a link of that rests."""
        station.tried.clear()
        station.way = self._present(station.route, station.address, frozenset())
        if self._most and not self.topology.is_usable(station.way, station.address, now):
            station.way = self.other(station, now) or station.way

    def take_another(self, station: Station, now: float) -> bool:
        """Try another route in this turn; False when there is none, or enough were tried."""
        station.tried.add(station.way)
        way = None if len(station.tried) > self._tries or not self._most else self.other(station, now)
        if way is None:
            return False
        station.way = way
        return True

    def other(self, station: Station, now: float, by_new_link: bool = False) -> Route | None:
        """Best route that was not tried in this turn."""
        agents = (
            (agent.address, self._present(agent.route, agent.address, frozenset()))
            for agent in self._stations.values()
            if self.may_repeat(agent)
        )
        present = self._present(station.route, station.address, frozenset())
        return next(self.topology.choices(station.address, present, agents, station.tried, now, by_new_link), None)

    def through(self, agent: Station) -> Route:
        """To those behind a meter."""
        return Route((*self._present(agent.route, agent.address, frozenset()).repeaters, agent.address))

    def _present(self, route: Route, target: Address, seen: frozenset[Address]) -> Route:
        """A route through the present one of its last station."""
        agent = self._stations.get(route.repeaters[-1]) if route else None
        if agent is None or agent.address in seen:
            return route
        through = Route((*self._present(agent.route, agent.address, seen | {agent.address}).repeaters, agent.address))
        is_loop = target in through.repeaters or len(set(through.repeaters)) < len(through)
        return route if is_loop or len(through) > self._most else through
