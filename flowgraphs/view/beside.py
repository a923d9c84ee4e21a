"""The page beside a running graph: what its recorded coupler hears, who sends what, and the events of its stations."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from phy import ReceiverOptions

from ..events import Event, Finished, FrameSent, PacketReceived, Reading, StationEvent
from ..graph import Graph, MeterStation
from ..monitor import MonitorSource
from ..processes import private_endpoint
from ..protection import meter_keys
from ..report import DETAILS
from .access import Access
from .listening import Listener, MeterSecrets
from .packet_log import PacketLog, Sent
from .serving import address_of, bind, serve
from .watch import LiveWatch

STOP_S: Final = 0.8


class ViewBeside:
    """A page that is served by a thread while the graph runs in other processes.

    Args:
        graph: as it runs.    host, port: where to serve.
    Attributes:
        address: what to open, with the token where one is needed.    endpoint: where the line sends what its coupler hears.
    Raises:
        SocketError: the port is taken.
    """

    def __init__(self, graph: Graph, host: str, port: int) -> None:
        self._listening = bind(host, port)
        self._access = Access.of(host)
        self.address = address_of(self._access, self._listening)
        self._directory = tempfile.TemporaryDirectory(prefix="osgp-sdr-")  # mode 0700
        self.coupler = graph.line.recorder.coupler if graph.line.recorder is not None else 0
        self._source = source = MonitorSource(
            private_endpoint(Path(self._directory.name), "monitor"), graph.sample_rate, f"{graph.name}, coupler {self.coupler}"
        )
        self.endpoint = source.endpoint
        own = next((spec for spec in graph.stations if spec.coupler == self.coupler), None)
        options = ReceiverOptions(**own.receiver) if own is not None else ReceiverOptions()
        self._rate = graph.sample_rate
        self._log = PacketLog(graph.sample_rate, listener=listener_of(graph))
        self._watch = LiveWatch(source, graph.profile, options, self._log)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="view", daemon=True)

    def __enter__(self) -> Self:
        self._watch.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(STOP_S)
        self._watch.stop()
        self._listening.close()
        self._directory.cleanup()

    def hear(self, event: Event) -> None:
        """An event of the graph."""
        if isinstance(event, FrameSent):
            self._log.sent(Sent(event.start_sample, event.lpdu, event.station))
        elif isinstance(event, StationEvent):
            if event.name not in DETAILS:
                self._watch.note(event.sample / self._rate, event.station, event.text)
        elif isinstance(event, Finished):
            self._watch.note(event.sample / self._rate, event.station, f"finished: {event.text}")
        elif not isinstance(event, PacketReceived | Reading):
            raise TypeError(f"unknown event {type(event).__name__}")

    def stay(self, stopped: Callable[[], bool]) -> None:
        """Keep serving after the graph has ended, until `stopped()`."""
        self._source.ended = True
        while not stopped() and self._thread.is_alive():
            time.sleep(0.05)

    def _serve(self) -> None:
        serve(self._watch, self._access, self._listening, self._stop.is_set)


def listener_of(graph: Graph) -> Listener:
    """A listener with the keys that the graph names."""
    meters = [spec for spec in graph.stations if isinstance(spec, MeterStation)]
    secrets = []
    for spec in meters:
        keys = meter_keys(graph, spec)
        secrets.append(MeterSecrets(bytes.fromhex(spec.unique_node_id), keys.omak, keys.psk))
    return Listener(secrets, rc4=any(graph.security_of(spec) == "rc4" for spec in meters))
