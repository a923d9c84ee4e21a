"""Listening without being heard: the packets of a running line, or of recordings, for a capture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

import mac

from .capture import CapturedPacket
from .errors import StationError
from .events import Event, PacketReceived
from .graph import DEFAULT_ENDPOINT, AnyStation, ConcentratorStation, Graph, ReaderStation, load_graph
from .lifetime import Lifetime
from .processes import Standstill, run_station
from .recording import Recording

LISTENER: Final = "listener"
LISTENER_ID: Final = "0002a1ff0002"
OWN_DOMAIN: Final = "ffffffffffff"  # nobody's: the listener's node answers nobody
CRC_OCTETS: Final = 2

# Gets each packet, good or bad; returns whether more are wanted.
Take = Callable[[CapturedPacket, bool], bool]


class Silent:
    """An application that does nothing but notice that time passes."""

    def __init__(self) -> None:
        self.blocks = 0

    def start(self, now: float) -> None:
        """See `Application`."""

    def on_event(self, event: mac.Event, now: float) -> None:
        """See `Application`."""

    def work(self, now: float) -> None:
        """See `Application`."""
        self.blocks += 1

    def next_timer(self) -> float | None:
        """See `Application`."""
        return None

    def reports(self) -> list[Event]:
        """See `Application`."""
        return []


def _remark(carrier: str, crc_ok: bool, esn0_db: float, corrected_bits: int) -> str:
    return f"{carrier} frequency, Es/N0 {esn0_db:.1f} dB, {corrected_bits} corrected{'' if crc_ok else ', CRC BAD'}"


def listen(graph: str | Graph, endpoint: str | None, lifetime: Lifetime, wait_s: float, take: Take) -> None:
    """Join the line of a running graph on a free coupler and hand over what is heard, until told to stop or the line ends.

    Raises:
        StationError: there is no line within `wait_s` seconds, or it refuses.
    """
    loaded = load_graph(graph) if isinstance(graph, str) else graph
    like = next((s for s in loaded.stations if isinstance(s, ConcentratorStation | ReaderStation)), None)
    spec = ReaderStation(
        name=LISTENER, coupler=0, unique_node_id=LISTENER_ID, subnet=1, node=1,
        receiver={} if like is None else like.receiver,
    )  # fmt: skip
    heard_as = msgspec.structs.replace(loaded, stations=[*loaded.stations, spec], domain=OWN_DOMAIN)
    location = endpoint or loaded.endpoint or DEFAULT_ENDPOINT
    application = Silent()
    standstill = Standstill()
    done = False

    def emit(event: Event) -> None:
        nonlocal done
        if isinstance(event, PacketReceived) and not event.own and not done:
            text = _remark(event.carrier, event.crc_ok, event.esn0_db, event.corrected_bits)
            at = event.start_sample / loaded.sample_rate
            packet = CapturedPacket(at, event.lpdu[:-CRC_OCTETS], 0, text, event.carrier == "secondary")
            done = not take(packet, event.crc_ok)

    def make(of: Graph, station: AnyStation, node: mac.Node) -> Silent:
        return application

    def finished() -> bool:
        if standstill.seconds(application.blocks) > (wait_s if not application.blocks else LINE_GONE_S):
            if application.blocks:
                return True
            raise StationError(f"no line at {location}: waited {wait_s:g} s")
        return done

    run_station(heard_as, spec.name, location, lifetime, emit, make, coupler=-1, finished=finished)


LINE_GONE_S: Final = 5.0  # a line that was there and says nothing for so long has ended


def recorded(recordings: Sequence[Recording], profile: str, take: Take) -> None:
    """Hand over the packets of recordings, one file after the other, with the time in the file."""
    from phy import ReceiverOptions

    from .decoding import decode_recording

    for recording in recordings:
        for decoded in decode_recording(recording, profile, ReceiverOptions(), lambda text: None):
            packet = decoded.packet
            text = _remark(packet.carrier, packet.crc_ok, packet.esn0_db, packet.corrected_bits)
            lpdu = bytes(packet.lpdu[:-CRC_OCTETS])
            captured = CapturedPacket(decoded.start_s, lpdu, 0, text, packet.carrier == "secondary")
            if not take(captured, bool(packet.crc_ok)):
                return
