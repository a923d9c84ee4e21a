"""The concentrator engine: discovery, commissioning and reading, one action at a time. Sans I/O; time is an argument.

    start --> Discover round --> Commission each new node --> Discover round ... --> nothing new
                                                                                        |
              with repeaters: Discover behind each meter in the same way, then Measure how well the new ones are heard
                                                                                        |
    PassDone <-- every meter read, or silent after its turns <-- Request, Request, ... <+
       +--> after `period`: the next pass, with a discovery when it is due or a meter is silent
"""

from __future__ import annotations

from collections import Counter, deque
from enum import Enum
from random import Random

from ..errors import LocalProtocolError
from ..security import SEQUENCE_MODULUS
from .actions import Action, Commission, Discover, Measure, Request
from .config import ConcentratorConfig
from .events import (
    CommissionFailed,
    Event,
    MeterBack,
    MeterCommissioned,
    MeterFound,
    MeterSilent,
    PassDone,
    ReadingDone,
    RequestRefused,
    RouteChanged,
    TableRead,
)
from .reading import build_reading
from .routing import Routing, Station
from .session import Outcome, Session, Verdict
from .topology import DIRECT, Route

Phase = Enum("Phase", "STOPPED WORKING WAITING DONE")


class Concentrator:
    """Finds, addresses and reads meters over a network that it knows only by actions and feedback.

    Attributes:
        stations: every meter known, by unique id.    done: the only pass is over (`period` is None).
        passes: passes finished.    ignored: feedback that fitted no action, by kind.

    Args:
        rng: gives the first, deliberately wrong sequence numbers.

    Example:
        concentrator = Concentrator(ConcentratorConfig(), Random(1))
        concentrator.start(now=0.0)
        action = concentrator.next_action()         # Discover(round=1, ...)
    """

    def __init__(self, config: ConcentratorConfig | None = None, rng: Random | None = None) -> None:
        self.config = config or ConcentratorConfig()
        self._rng = rng or Random(0)
        self.stations: dict[bytes, Station] = {}
        self.passes = 0
        self.ignored: Counter[str] = Counter()
        self._phase = Phase.STOPPED
        self._events: deque[Event] = deque()
        self._queued: Action | None = None
        self._out: Action | None = None
        self._request_id = 0
        self._round = 0  # 0: not discovering
        self._empty = 0
        self._news = 0
        self._heard: set[bytes] = set()
        self._to_commission: deque[Station] = deque()
        self._to_read: deque[Station] = deque()
        self._again: list[Station] = []
        self._reading: Station | None = None
        self._read: list[bytes] = []
        self._failed: list[bytes] = []
        self._pass_at: float | None = None
        self._discover_at: float | None = None
        self._routing = Routing(self.config)
        self._topology = self._routing.topology
        self._agents: deque[Station] = deque()  # that have not asked their neighbours yet
        self._agent: Station | None = None  # that does so now
        self._to_measure: deque[Station] = deque()
        self._measuring: Station | None = None  # the first of these
        self._margins: dict[Route, float] = {}  # of the routes to it
        for unique_node_id, address in self.config.known.items():
            station = self._add(unique_node_id, bytes(8), address)
            station.commissioned = True
            station.route = self.config.routes.get(unique_node_id, DIRECT)

    # driving

    def start(self, now: float) -> None:
        """Begin the first pass with a discovery."""
        if self._phase is not Phase.STOPPED:
            raise LocalProtocolError("the concentrator runs already")
        self._begin_pass(now, discover=True)
        self._proceed(now)

    @property
    def done(self) -> bool:
        """Whether there is nothing more to do, ever."""
        return self._phase is Phase.DONE

    def next_action(self) -> Action | None:
        """The action to carry out now; each is given once, the next one after its feedback."""
        action, self._queued = self._queued, None
        return action

    def next_event(self) -> Event | None:
        """What happened, oldest first; None when there is nothing."""
        return self._events.popleft() if self._events else None

    def next_timer(self) -> float | None:
        """When to call `on_timer`, None: never."""
        if self._out is not None:
            return self._out.deadline
        return self._pass_at if self._phase is Phase.WAITING else None

    def on_timer(self, now: float) -> None:
        """Give up an action without feedback, or begin the next pass."""
        timer = self.next_timer()
        if timer is None or now < timer:
            return
        match self._out:
            case Discover():
                self._queued = None
                self.on_discovery_done(now)
            case Commission(unique_node_id=unique_node_id):
                self._queued = None
                self.on_commissioned(unique_node_id, False, now)
            case Measure():
                self._queued = None
                self.on_measured(None, now)
            case Request(request_id=request_id):
                self._queued = None
                self.on_response(request_id, None, now)
            case None:
                due = self._discover_at is not None and now >= self._discover_at
                self._begin_pass(now, discover=due or any(station.silent for station in self.stations.values()))
                self._proceed(now)

    # feedback

    def on_discovered(self, unique_node_id: bytes, program_id: bytes, now: float) -> None:
        """An unconfigured node answered the discovery that is out. Answers to none, and repeated ones, are ignored."""
        if not isinstance(self._out, Discover):
            self.ignored["discovered"] += 1
            return
        if unique_node_id in self._heard:
            return
        self._heard.add(unique_node_id)
        station = self.stations.get(unique_node_id)
        if station is not None and station.set_aside:
            return
        self._news += 1
        self._events.append(MeterFound(now, unique_node_id, program_id, known=station is not None))
        if station is None:
            address = self._free_address()
            if address is None:
                self._events.append(CommissionFailed(now, unique_node_id, 0, 0, "no address is left"))
                self._news -= 1
                return
            station = self._add(unique_node_id, program_id, address)
        station.program_id = program_id
        station.commissioned = False
        station.route = self._out.route
        self._topology.forget(station.address)
        station.session.restart()
        self._to_commission.append(station)

    def on_discovery_done(self, now: float, dead_link: int | None = None) -> None:
        """The discovery that is out brings no more answers; `dead_link`: see `on_response`, of those before the last."""
        if not isinstance(self._out, Discover):
            self.ignored["discovery done"] += 1
            return
        out, self._out = self._out, None
        if self._agent is not None and out.route:
            self._topology.note(Route(out.route.repeaters[:-1]), self._agent.address, now, dead_link)
        self._empty = 0 if self._news else self._empty + 1
        if self._empty >= self.config.empty_rounds or self._round >= self.config.max_rounds or dead_link is not None:
            self._round = 0
        else:
            self._round += 1
        self._proceed(now)

    def on_commissioned(self, unique_node_id: bytes, ok: bool, now: float) -> None:
        """The commissioning that is out succeeded or not."""
        if not isinstance(self._out, Commission) or self._out.unique_node_id != unique_node_id:
            self.ignored["commissioned"] += 1
            return
        self._out = None
        station = self.stations[unique_node_id]
        subnet, node = station.address
        if ok:
            self._to_commission.popleft()
            station.commissioned = True
            station.tries = 0
            self._events.append(MeterCommissioned(now, unique_node_id, subnet, node))
            self._topology.note(station.route, station.address, now)
            if self._routing.may_repeat(station) and station not in self._agents:
                self._agents.append(station)
            if self.config.max_repeaters and station not in self._to_measure:
                self._to_measure.append(station)
            self._heard_from(station, now)
            if station not in self._to_read and station not in self._again:
                self._to_read.append(station)
        elif station.tries >= self.config.commission_tries:
            self._to_commission.popleft()
            station.tries = 0
            station.set_aside = True
            self._events.append(CommissionFailed(now, unique_node_id, subnet, node, "no confirmation"))
        self._proceed(now)

    def on_measured(self, margin_db: float | None, now: float, dead_link: int | None = None) -> None:
        """Signal margin of the last link of the route to be measured; None: no answer. `dead_link`: see `on_response`."""
        if not isinstance(self._out, Measure):
            self.ignored["measured"] += 1
            return
        self._out = None
        station = self._to_measure[0]
        station.tried.add(station.way)
        if margin_db is not None or dead_link is not None:
            self._topology.note(station.way, station.address, now, dead_link)
        if margin_db is not None:
            self._margins[station.way] = margin_db
            self._topology.measured(station.way, station.address, margin_db)
        good = margin_db is not None and margin_db >= self.config.good_margin_db
        enough = good or len(station.tried) > self.config.route_tries
        way = None if enough else self._routing.other(station, now, by_new_link=True)
        if way is not None:
            station.way = way
        else:
            self._to_measure.popleft()
            self._measuring = None
            if self._margins:
                station.way = max(self._margins, key=self._margins.__getitem__)
                self._keep_way(station, now)
        self._proceed(now)

    def on_response(self, request_id: int, apdu: bytes | None, now: float, dead_link: int | None = None) -> None:
        """The answer to the request that is out; None: there was none.

        `dead_link`: number of the link of its route that failed, 1 from the concentrator to the first station; None: unknown.
        """
        if not isinstance(self._out, Request) or self._out.request_id != request_id or self._reading is None:
            self.ignored["response"] += 1
            return
        self._out = None
        station = self._reading
        if apdu is None:
            self._no_answer(station, now, dead_link)
        else:
            outcome = station.session.receive(apdu, *station.address)
            if outcome.verdict is Verdict.BAD:
                self._no_answer(station, now)
            else:
                station.tries = 0
                self._came_by(station, now)
                self._heard_from(station, now)
                self._judge(station, outcome, now)
        self._proceed(now)

    # work

    def _begin_pass(self, now: float, *, discover: bool) -> None:
        self._phase = Phase.WORKING
        self._pass_at = None if self.config.period is None else now + self.config.period
        self._read, self._failed = [], []
        self._again = []
        for station in self.stations.values():
            station.turns = 0
            if not station.commissioned and station not in self._to_commission:
                self._to_commission.append(station)
        self._to_read = deque(station for station in self.stations.values() if station.commissioned)
        if discover:
            self._begin_discovery(now)

    def _begin_discovery(self, now: float) -> None:
        self._round, self._empty, self._agent = 1, 0, None
        for station in self.stations.values():
            station.set_aside = False
        near = filter(self._routing.may_repeat, self.stations.values())
        self._agents = deque(sorted(near, key=lambda station: len(station.route)))
        if self.config.rediscover is not None:
            self._discover_at = now + self.config.rediscover

    def _proceed(self, now: float) -> None:
        """Choose the next action when none is out."""
        while self._out is None and self._phase is Phase.WORKING:
            if self._to_commission:
                self._commission(self._to_commission[0], now)
            elif self._round:
                self._news = 0
                self._heard.clear()
                agent = self._agent
                route = DIRECT if agent is None else self._routing.through(agent)
                self._send(Discover(self._round, self._deadline(now, route), route))
            elif self._agents:
                self._agent = self._agents.popleft()
                self._round, self._empty = 1, 0
            elif self._to_measure:
                self._measure(self._to_measure[0], now)
            elif self._reading is not None:
                self._ask(self._reading, now)
            elif self._to_read:
                self._reading = self._to_read.popleft()
                self._reading.turns += 1
                self._reading.tries = 0
                self._routing.start(self._reading, now)
                self._reading.session.begin()
            elif self._again:
                self._to_read.extend(self._again)
                self._again = []
                self._begin_discovery(now)
            else:
                self._end_pass(now)

    def _send(self, action: Action) -> None:
        self._out = self._queued = action

    def _commission(self, station: Station, now: float) -> None:
        station.tries += 1
        subnet, node = station.address
        self._send(Commission(station.unique_node_id, subnet, node, self._deadline(now, station.route), station.route))

    def _measure(self, station: Station, now: float) -> None:
        if self._measuring is not station:
            self._measuring = station
            self._margins.clear()
            self._routing.start(station, now)
        self._send(Measure(*station.address, self._deadline(now, station.way), station.way))

    def _ask(self, station: Station, now: float) -> None:
        if station.session.finished:
            self._finish(station, now)
            return
        station.tries += 1
        self._request_id += 1
        apdu = station.session.request(*station.address)
        self._send(Request(self._request_id, *station.address, apdu, self._deadline(now, station.way), station.way))

    def _deadline(self, now: float, route: Route) -> float:
        return now + self.config.answer_time * (1 + len(route))

    def _judge(self, station: Station, outcome: Outcome, now: float) -> None:
        match outcome.verdict:
            case Verdict.TABLE_DONE:
                assert outcome.value is not None
                octets = outcome.value.octets
                self._events.append(TableRead(now, station.unique_node_id, outcome.table, outcome.value, octets))
            case Verdict.REFUSED | Verdict.GIVEN_UP:
                self._events.append(
                    RequestRefused(now, station.unique_node_id, outcome.table, outcome.result, outcome.reason)
                )
                if outcome.verdict is Verdict.GIVEN_UP:
                    self._reading = None
                    self._failed.append(station.unique_node_id)

    def _finish(self, station: Station, now: float) -> None:
        self._reading = None
        session = station.session
        names = tuple(name for name in session.context.known() if name not in session.missing)
        missing = tuple(session.missing)
        reading = build_reading(session.context, names, missing, station.unique_node_id, station.address, now)
        self._read.append(station.unique_node_id)
        self._events.append(ReadingDone(now, reading))

    def _came_by(self, station: Station, now: float) -> None:
        """An answer came along the route that was tried: it is the meter's from now on."""
        self._topology.note(station.way, station.address, now)
        station.tried.clear()
        self._keep_way(station, now)

    def _keep_way(self, station: Station, now: float) -> None:
        if station.way != station.route:
            station.route = station.way
            self._events.append(RouteChanged(now, station.unique_node_id, station.route))

    def _no_answer(self, station: Station, now: float, dead_link: int | None = None) -> None:
        if dead_link is not None and self.config.max_repeaters:
            self._topology.note(station.way, station.address, now, dead_link)
        if station.tries < self.config.tries and self._topology.is_usable(station.way, station.address, now):
            return
        if not station.way and dead_link is None:
            self._topology.note(station.way, station.address, now, dead_link=1)
        if self._routing.take_another(station, now):
            station.tries = 0
            return
        self._reading = None
        station.session.abandon()
        tries, station.tries = station.tries, 0
        if not station.silent:
            station.silent = True
            self._events.append(MeterSilent(now, station.unique_node_id, *station.address, tries))
        if station.turns < self.config.silent_tries:
            self._again.append(station)

    def _heard_from(self, station: Station, now: float) -> None:
        if station.silent:
            station.silent = False
            self._events.append(MeterBack(now, station.unique_node_id, *station.address))

    def _end_pass(self, now: float) -> None:
        self.passes += 1
        silent = tuple(station.unique_node_id for station in self.stations.values() if station.silent)
        self._events.append(PassDone(now, self.passes, tuple(self._read), silent, tuple(self._failed)))
        if self._pass_at is None:
            self._phase = Phase.DONE
        else:
            self._phase = Phase.WAITING
            self._pass_at = max(self._pass_at, now)

    # registry

    def _add(self, unique_node_id: bytes, program_id: bytes, address: tuple[int, int]) -> Station:
        security = self.config.security_of(unique_node_id)
        session = Session(security, self.config, self._rng.randrange(SEQUENCE_MODULUS))
        station = Station(unique_node_id, program_id, address, session)
        self.stations[unique_node_id] = station
        self._routing.add(station)
        return station

    def _free_address(self) -> tuple[int, int] | None:
        taken = {station.address for station in self.stations.values()}
        return next((address for address in self.config.addresses() if address not in taken), None)
