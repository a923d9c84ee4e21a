"""Source of proxy repeating: sends a message along a route, and says what became of it or which link is dead."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from .address import DomainId
from .events import Event, ProxyDone, ProxyOutcome, ResponseReceived, Service, TransactionDone
from .forwarding import DELIVERED_CODE, FAILURE_CODE
from .outbox import Outbox
from .proxy_route import ProxyRoute
from .timers import transmit_time
from .transaction import ANSWERED_SERVICES

_FAILURE_LENGTH = 2  # code and count


@dataclass(slots=True)
class _Pending:
    route: ProxyRoute
    response: ResponseReceived | None = None


class ProxySource:
    """Keeps the messages that are on their way to their targets.

    Args:
        outbox: sends to the first station.    events: where the outcome is reported.
    """

    def __init__(self, outbox: Outbox, events: deque[Event]) -> None:
        self._outbox = outbox
        self._events = events
        self._pending: dict[int, _Pending] = {}

    def send(
        self,
        route: ProxyRoute,
        apdu: bytes,
        now: float,
        domain: int | DomainId = 0,
        priority: bool = False,
        authenticated: bool = False,
    ) -> int:
        """Send along a route; arguments as of `Node.send_proxied`."""
        timing = route.chosen_timing
        if route.hops:
            first = route.hops[0]
            handle = self._outbox.send(
                route.source_service,
                first.station,
                route.message(apdu).encode(),
                now,
                domain,
                timing.source_retries,
                timing.source_time,
                priority=priority,
                alternate=first.alternate,
                authenticated=authenticated,
                enhanced=False,
                last_wait=timing.source_last_wait,
                listener=self._on_event,
            )
        else:
            handle = self._outbox.send(
                route.service,
                route.target,
                apdu,
                now,
                domain,
                timing.target_retries,
                transmit_time(timing.target_timer_code),
                backlog=route.backlog,
                priority=priority,
                alternate=route.target_alternate,
                authenticated=authenticated,
                listener=self._on_event,
            )
        self._pending[handle] = _Pending(route)
        return handle

    def _on_event(self, event: ResponseReceived | TransactionDone, now: float) -> None:
        pending = self._pending[event.handle]
        if isinstance(event, ResponseReceived):
            pending.response = pending.response or event
            return
        del self._pending[event.handle]
        self._events.append(_outcome(pending.route, pending.response, event))


def _outcome(route: ProxyRoute, response: ResponseReceived | None, done: TransactionDone) -> ProxyDone:
    handle, attempts = done.handle, done.attempts
    service = route.source_service if route.hops else route.service
    if response is not None:
        outcome, dead_link = _read(route, response.apdu) if route.hops else (ProxyOutcome.RESPONSE, None)
        shown = response.apdu if outcome in (ProxyOutcome.RESPONSE, ProxyOutcome.REFUSED) else b""
        return ProxyDone(handle, outcome, shown, dead_link, attempts, response.alt_path)
    if not done.success:
        return ProxyDone(handle, ProxyOutcome.NO_ANSWER, dead_link=1 if attempts else None, attempts=attempts)
    delivered = not route.hops and service in ANSWERED_SERVICES
    return ProxyDone(handle, ProxyOutcome.DELIVERED if delivered else ProxyOutcome.SENT, attempts=attempts)


def _read(route: ProxyRoute, apdu: bytes) -> tuple[ProxyOutcome, int | None]:
    """What a response means, and the dead link: a station that got count c stands c + 1 links before the target's."""
    if apdu[:1] == bytes([FAILURE_CODE]) and len(apdu) <= _FAILURE_LENGTH:
        count = apdu[1] if len(apdu) == _FAILURE_LENGTH else None
        known = count is not None and count <= route.count
        return ProxyOutcome.LINK_FAILED, route.count - count + 2 if known and count is not None else None
    if route.service is Service.REQUEST:
        return ProxyOutcome.RESPONSE, None
    return (ProxyOutcome.DELIVERED if apdu == bytes([DELIVERED_CODE]) else ProxyOutcome.REFUSED), None
