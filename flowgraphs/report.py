"""What a run tells a person and leaves behind: live lines, the table of readings, JSON, recording, capture, pictures."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from .errors import RecordingError
from .events import Event, Finished, FrameSent, PacketReceived, Reading, StationEvent, instant
from .graph import Graph, MeterStation

SAME_WITHIN: Final = 64  # samples: receivers of one line differ by less about the end of a packet
# Events that only somebody who looks for a fault wants to see.
DETAILS: Final = {"table_read", "refused", "state", "started"}


class EventPrinter:
    """Prints events as they come: a line of text, or a JSON object."""

    def __init__(self, sample_rate: float, as_json: bool = False, packets: bool = False, details: bool = True) -> None:
        self._sample_rate, self._as_json, self._packets, self._details = sample_rate, as_json, packets, details

    def show(self, event: Event) -> None:
        """Print one event, if it is wanted."""
        if self._as_json:
            plain = msgspec.to_builtins(event, builtin_types=())
            if isinstance(event, FrameSent | PacketReceived):
                plain["lpdu"] = event.lpdu.hex()
            line = json.dumps({"event": plain.pop("type"), "at_s": instant(event) / self._sample_rate, **plain})
        else:
            text = self._text(event)
            if text is None:
                return
            line = f"{instant(event) / self._sample_rate:9.3f} s  {event.station:<13} {text}"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def _text(self, event: Event) -> str | None:
        if isinstance(event, StationEvent):
            return event.text if self._details or event.name not in DETAILS else None
        if isinstance(event, Finished):
            return f"finished: {event.text}"
        if isinstance(event, FrameSent) and self._packets:
            return f"sends on the {event.carrier} carrier: {event.lpdu.hex()}"
        if isinstance(event, PacketReceived) and self._packets:
            return f"hears {event.lpdu.hex()} at {event.esn0_db:.1f} dB{'' if event.crc_ok else ', CRC bad'}"
        return None


class RunLog:
    """Everything that happened in a run up to its finish, in the order of the sample clock."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._events: list[Event] = []
        self.finish: int | None = None

    def add(self, event: Event) -> None:
        """Keep an event."""
        self._events.append(event)
        if isinstance(event, Finished):
            self.finish = event.sample if self.finish is None else max(self.finish, event.sample)

    def until_finish(self) -> list[Event]:
        """Events up to the finish; what comes later depends on when the processes were stopped."""
        end = self.finish
        kept = [event for event in self._events if end is None or instant(event) <= end]
        return sorted(kept, key=lambda event: (instant(event), event.station, type(event).__name__))

    def frames(self) -> list[FrameSent]:
        """Frames whose last sample was on the line before the finish, by time."""
        end = self.finish
        frames = [event for event in self.until_finish() if isinstance(event, FrameSent)]
        return [frame for frame in frames if end is None or frame.first_sample + frame.count <= end]

    def readings(self) -> dict[str, Reading]:
        """The newest reading of each meter by unique node id, in the order of the graph."""
        found = {event.unique_node_id: event for event in self.until_finish() if isinstance(event, Reading)}
        known = [spec.unique_node_id.lower() for spec in self.graph.stations if isinstance(spec, MeterStation)]
        ordered = [uid for uid in known if uid in found] + sorted(uid for uid in found if uid not in known)
        return {uid: found[uid] for uid in ordered}

    def good_packets(self) -> int:
        """Packets with a good CRC, counted once however many stations heard them."""
        heard = [event for event in self._events if isinstance(event, PacketReceived) and event.crc_ok]
        return len({(event.end_sample // SAME_WITHIN, event.lpdu) for event in heard})

    def silent_meters(self) -> list[str]:
        """Meters of the graph that were not read."""
        read = self.readings()
        return [
            spec.name
            for spec in self.graph.stations
            if isinstance(spec, MeterStation) and spec.unique_node_id.lower() not in read
        ]


def readings_table(log: RunLog) -> str:
    """The registers of every meter as a text table, one column per meter."""
    readings = list(log.readings().values())
    if not readings:
        return "no meter was read"
    names = {spec.unique_node_id.lower(): spec.name for spec in log.graph.stations}
    rows: list[list[str]] = [["", *(names.get(item.unique_node_id, item.unique_node_id) for item in readings)]]
    rows.append(["unique node id", *(item.unique_node_id for item in readings)])
    rows.append(["address", *(item.address for item in readings)])
    for key in ("manufacturer", "model", "serial", "clock_utc"):
        rows.append([key, *(str(item.reading.get(key) or "-") for item in readings)])
    for group in ("registers", "present"):
        quantities = [_quantities(item, group) for item in readings]
        for name in dict.fromkeys(name for one in quantities for name in one):
            if any(one.get(name, (0, ""))[0] for one in quantities):
                rows.append([name, *(" ".join(map(str, one[name])) if name in one else "-" for one in quantities)])
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells))
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(lines)


def _quantities(item: Reading, group: str) -> dict[str, tuple[Any, str]]:
    """Value and unit by name; the plain data come from another process and may hold anything."""
    found = item.reading.get(group)
    if not isinstance(found, dict):
        return {}
    return {
        str(name): (quantity.get("value"), str(quantity.get("unit")))
        for name, quantity in found.items()
        if isinstance(quantity, dict)
    }


def write_readings(path: Path, log: RunLog) -> None:
    """readings.json: every meter's reading, and who did not answer."""
    names = {spec.unique_node_id.lower(): spec.name for spec in log.graph.stations}
    document = {
        "graph": log.graph.name,
        "seed": log.graph.seed,
        "finished_s": None if log.finish is None else log.finish / log.graph.sample_rate,
        "meters": [{"name": names.get(uid), **item.reading} for uid, item in log.readings().items()],
        "silent": log.silent_meters(),
    }
    _write(path, json.dumps(document, indent=1) + "\n")


def write_packets(path: Path, log: RunLog) -> None:
    """packets.jsonl: one line for each packet that was sent, in order of time."""
    rate = log.graph.sample_rate
    lines = [
        json.dumps(
            {
                "start_s": round(frame.start_sample / rate, 6),
                "start_sample": frame.start_sample,
                "station": frame.station,
                "carrier": frame.carrier,
                "lpdu": frame.lpdu.hex(),
            }
        )
        for frame in log.frames()
    ]
    _write(path, "".join(line + "\n" for line in lines))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecordingError(f"{path}: cannot write: {error.strerror}") from None


def write_artefacts(log: RunLog, directory: Path, recording: Path | None) -> list[Path]:
    """Readings, packets, annotated recording, capture and pictures of a finished run; returns what was written."""
    from phy import Profile

    from .airtime import carrier_edges
    from .capture import CapturedPacket, write_capture
    from .recorder import Annotation, finish_recording, sigmf_paths

    graph = log.graph
    profile = Profile.load(graph.profile)
    couplers = {spec.name: spec.coupler for spec in graph.stations}
    frames = log.frames()
    written = [directory / "readings.json", directory / "packets.jsonl", directory / "capture.pcap"]
    write_readings(written[0], log)
    write_packets(written[1], log)
    write_capture(
        written[2],
        [
            CapturedPacket(frame.start_sample / graph.sample_rate, frame.lpdu[:-2], couplers.get(frame.station, 0))
            for frame in frames
        ],
    )
    if recording is not None and log.finish is not None:
        annotations = [
            Annotation(
                frame.first_sample,
                frame.count,
                *carrier_edges(profile, frame.carrier),
                f"{frame.station} {len(frame.lpdu)} octets",
                frame.lpdu.hex(),
                frame.carrier,
                frame.start_sample,
                frame.station,
            )
            for frame in frames
        ]
        finish_recording(recording, graph.sample_rate, log.finish, f"graph {graph.name}, seed {graph.seed}", annotations)
        written += list(sigmf_paths(recording))
        written += draw(log, frames, directory, sigmf_paths(recording)[0])
    return written


def draw(log: RunLog, frames: Sequence[FrameSent], directory: Path, meta: Path) -> list[Path]:
    """The pictures of a run: line, one packet, timeline."""
    from phy import Profile, Receiver, ReceiverOptions

    from . import plot
    from .recording import open_recording

    graph = log.graph
    profile = Profile.load(graph.profile)
    rate = graph.sample_rate
    marks = [
        (frame.station, plot.Mark(frame.first_sample, frame.first_sample + frame.count, frame.carrier, frame.station))
        for frame in frames
    ]
    stations = [spec.name for spec in graph.stations]
    written = [plot.plot_timeline(directory / "timeline.png", marks, rate, stations)]
    if not frames:
        return written
    recording = open_recording(str(meta))
    first = max(0, frames[0].first_sample - round(0.05 * rate))
    count = min(recording.length - first, round(plot.WINDOW_S * rate))
    x = recording.source.read(first, count)
    written.append(plot.plot_line(directory / "line.png", x, rate, first, [mark for _, mark in marks], profile))
    recorder = graph.line.recorder
    listening = next((s for s in graph.stations if recorder is not None and s.coupler == recorder.coupler), None)
    options = ReceiverOptions(**listening.receiver) if listening is not None else ReceiverOptions()
    foreign = [frame for frame in frames if listening is None or frame.station != listening.name]
    for frame in sorted(foreign, key=lambda frame: -frame.count):
        # The receiver wants some line before the packet to know the noise.
        start = max(0, frame.first_sample - round(0.2 * rate))
        end = min(recording.length, frame.first_sample + frame.count + round(0.02 * rate))
        receiver = Receiver(profile, rate, options=options)
        x = recording.source.read(start, end - start)
        packets = [packet for packet in [*receiver.push(x), *receiver.flush()] if packet.lpdu == frame.lpdu]
        if packets:
            packet = packets[0]
            samples = x[max(0, packet.start_sample) : packet.end_sample]
            written.append(plot.plot_packet(directory / "packet.png", packet, samples, rate, profile))
            break
    return written


def relative(paths: Iterable[Path]) -> str:
    """Names of files for a closing line."""
    return ", ".join(path.name for path in paths)
