"""One visitor: where he is on the line, and what he is sent. A slow one gets fewer pictures, never old ones."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from ..errors import CommandError
from .frame import encode
from .gallery import Gallery
from .watch import Watch

RATE_HZ: Final = 10.0  # pictures a second
ROWS: Final = 5  # rows of the waterfall in one of them
MOST_ROWS: Final = 50  # one who is further behind jumps
BEFORE_ROWS: Final = 300  # shown at once after a jump
STATE_S: Final = 0.5
BATCH: Final = 200  # packets in one message
OCCUPANCY_S: Final = 10.0
SPEEDS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
COMMAND_OCTETS: Final = 512

Send = Callable[[str | bytes], Awaitable[None]]


class Command(msgspec.Struct, forbid_unknown_fields=True):
    """What a page may say. do: play, pause, seek (to: s), speed (to: factor)."""

    do: str
    to: float = 0.0


_DECODER: Final = msgspec.json.Decoder(Command)


class Session:
    """The state of one visitor.

    Args:
        watch: what he looks at.    gallery: makes pictures of packets.    send: to his page; returns when it is on its way.
    Attributes:
        playing: pictures go on.    speed: of a recording.    position: sample up to which he has seen.
        sent: binary messages so far.    dropped: pictures that were left out because he is slow.
    """

    def __init__(self, watch: Watch, gallery: Gallery, send: Send) -> None:
        self.watch, self._gallery, self._send = watch, gallery, send
        self.playing, self.speed = True, 1.0
        self.position = watch.history.end if watch.live else 0
        self.sent = self.dropped = 0
        self._jump = 0
        self._moved = True
        self._played_from: tuple[float, float] | None = None  # instant, position: from where playing is reckoned
        self._next_packet, self._shown = 0, -1
        self._noted = 0
        self._state_at = -math.inf
        self._painter: object = None

    def command(self, octets: str | bytes) -> None:
        """Carry out what the page says; CommandError when it is nothing."""
        if len(octets) > COMMAND_OCTETS:
            raise CommandError(f"a command has at most {COMMAND_OCTETS} octets")
        try:
            command = _DECODER.decode(octets)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
            raise CommandError(f"not a command: {error}") from None
        if not math.isfinite(command.to):
            raise CommandError("to must be a number")
        match command.do:
            case "play":
                if not self.watch.live and self.position >= self.watch.history.end:
                    self._jump_to(0)
                self.playing = True
            case "pause":
                self.playing = False
            case "seek" if not self.watch.live:
                end = self.watch.history.end
                self._jump_to(min(max(0, round(min(max(command.to, 0.0), 1e9) * self.watch.history.sample_rate)), end))
            case "speed" if not self.watch.live:
                self.speed = min(SPEEDS, key=lambda speed: abs(speed - command.to))
            case _:
                raise CommandError(f"no command {command.do[:20]!r}; there are play, pause, and of a recording seek, speed")
        self._played_from = None
        self._state_at = -math.inf

    def _jump_to(self, sample: int) -> None:
        self.position, self._moved = sample, True
        self._jump += 1

    async def tick(self) -> None:
        """Send what has become due: texts first, then at most one picture of the line and one of a packet."""
        await self._texts()
        now = time.monotonic()
        moved = self._advance(now)
        if self._painter is not self.watch.painter:  # packets turned out to be of another profile
            self._painter, self._moved = self.watch.painter, True
            self._jump += 1
            await self._text("hello", self.about())
        if self._moved:
            self._moved = False
            await self._line(max(self.watch.history.oldest, self.position - BEFORE_ROWS * self._row), self.position, BEFORE_ROWS)
        elif moved:
            await self._line(self.position - moved * self._row, self.position, moved)
        entry = self.watch.log.before(self.position)
        if entry is not None and entry.number != self._shown:
            self._shown = entry.number
            picture = await self._gallery.picture(entry)
            await self._binary(encode(picture, self.sent, time.time(), self._jump))
        if now - self._state_at >= STATE_S:
            self._state_at = now
            await self._text("state", self.state())

    @property
    def _row(self) -> int:
        """Samples of one row of the waterfall."""
        speed = 1.0 if self.watch.live else self.speed
        return max(1, round(speed * self.watch.history.sample_rate / (RATE_HZ * ROWS)))

    def _advance(self, now: float) -> int:
        """Rows that have become due; moves the position behind them."""
        end, row = self.watch.history.end, self._row
        if not self.playing:
            self._played_from = None
            return 0
        if self.watch.live:
            target = end
            if end < self.position:  # the source began anew
                self._jump_to(end)
                return 0
        else:
            if self._played_from is None:
                self._played_from = now, float(self.position)
            since, start = self._played_from
            target = min(end, round(start + (now - since) * self.speed * self.watch.history.sample_rate))
        rows = (target - self.position) // row
        if rows > MOST_ROWS:
            self.dropped += rows - MOST_ROWS
            self._jump_to(target)
            return 0
        self.position += rows * row
        if not self.watch.live and end - self.position < row:
            self.position, self.playing = end, False
            self._state_at = -math.inf
        return rows

    async def _line(self, first: int, end: int, rows: int) -> None:
        rows = max(1, min(rows, (end - first) // max(1, self._row)))
        if end > first:
            picture = self._gallery.line(self.watch.painter, first, end, rows, round(0.1 * self.watch.history.sample_rate))
            await self._binary(encode(picture, self.sent, time.time(), self._jump))

    async def _binary(self, octets: bytes) -> None:
        self.sent += 1
        await self._send(octets)

    async def _text(self, kind: str, content: dict[str, Any]) -> None:
        await self._send(json.dumps({"type": kind, **content}))

    async def _texts(self) -> None:
        entries, self._next_packet = self.watch.log.after(self._next_packet, BATCH)
        if entries:
            await self._text("packets", {"items": [entry.row() for entry in entries]})
        new = self.watch.noted - self._noted
        if new:
            self._noted += new
            notes = list(self.watch.notes)[-new:]
            items = [{"at_s": round(note.at_s, 6), "who": note.who, "text": note.text} for note in notes]
            await self._text("notes", {"items": items})

    def about(self) -> dict[str, Any]:
        """What does not change: the source, its carriers, the axes of the pictures."""
        from ..airtime import carrier_edges

        painter, history = self.watch.painter, self.watch.history
        profile = painter.profile
        return {
            "name": self.watch.name,
            "live": self.watch.live,
            "sample_rate": history.sample_rate,
            "length_s": None if self.watch.live else history.end / history.sample_rate,
            "profile": profile.name,
            "title": profile.title,
            "bit_rate": profile.bit_rate,
            "carriers": {
                name: {"hz": profile.carrier_hz(name), "edges_hz": carrier_edges(profile, name)} for name in profile.carriers
            },
            "columns": painter.columns,
            "edges_hz": painter.edges_hz,
            "header_bits": len(profile.header_bits),
            "word_bits": profile.code.length,
            "eye_points": self._gallery.eye_points,
            "speeds": SPEEDS,
        }

    def state(self) -> dict[str, Any]:
        """What changes."""
        watch, rate = self.watch, self.watch.history.sample_rate
        watch.clocks.mark("view")
        first = max(watch.history.oldest if watch.live else 0, self.position - round(OCCUPANCY_S * rate))
        return {
            "position_s": self.position / rate,
            "playing": self.playing,
            "speed": self.speed,
            "source": watch.state,
            "decoded_s": watch.decoded_s,
            "counters": watch.log.counters(),
            "statistics": watch.statistics(),
            "occupancy": {
                "window_s": (self.position - first) / rate,
                **{name: round(part, 4) for name, part in watch.log.airtime(first, self.position).items()},
            },
            "cpu": {name: round(part, 4) for name, part in watch.clocks.shares().items()},
            "sent": self.sent,
            "dropped": self.dropped,
        }
