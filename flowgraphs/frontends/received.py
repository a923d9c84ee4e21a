"""What a ZeroMQ message of samples says, whichever of the framings it has; what does not fit is named in plain words.

    framed                 header of messages.py, then float32 samples         index, rate, run
    gnuradio               bare float32 items                                  nothing
    gnuradio with tags     GNU Radio's tag header before the items             index, rate in the first message
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .. import messages
from ..errors import StreamError
from .gnuradio_messages import TaggedItems, decode_tagged, rate_of, starts_like_tags, time_of
from .item_types import guess_item_type

FRAMED, BARE, TAGGED = "framed", "gnuradio", "gnuradio with tags"
FORMATS: Final = ("auto", FRAMED, BARE)
PIECE: Final = 1 << 16  # samples of silence that are handed out together
CONFIRMED: Final = 1 << 15  # samples that looked like float32; then only each block's power is looked at
LARGEST_MEAN_SQUARE: Final = 1e12  # V^2
LONGEST_STOP_S: Final = 3600.0  # that a receiver's own time stamps are believed
KEY_OCTETS: Final = 255  # a filter key is short

_ZEROS: Final = np.broadcast_to(np.float32(0), PIECE)


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples of one message. first_sample None: there is no index.    rate: Hz as told, or None.    run: see messages.py."""

    samples: NDArray[np.float32]
    first_sample: int | None = None
    rate: float | None = None
    run: int = 0


class MessageReader:
    """Takes the messages of one stream apart.

    Args:
        form: `auto`, or one of `framed` and `gnuradio`, then the other is refused, and float32 is believed as long as it can be.

    Attributes:
        framing: of the newest message, as in the table above, "" before the first.
        rx_rate, rx_time: newest such tags of the sender: Hz; (sample index, whole s, fraction of s).
        keyed: the messages carry a filter key.
    """

    def __init__(self, form: str = "auto") -> None:
        self.framing = ""
        self.rx_rate: float | None = None
        self.rx_time: tuple[int, int, float] | None = None
        self.keyed = False
        self._form = form
        self._seen = 0  # samples that looked like float32
        self._shift = 0  # by which the sender's own time is ahead of its count of items
        self._last: tuple[int, int] | None = None  # offset and octets of the tagged message before
        self._item_octets: list[int] = []

    def read(self, parts: Sequence[memoryview]) -> list[Piece]:
        """The samples of a message, in order. A message that holds no samples (a greeting, say) gives none.

        Raises:
            StreamError: what is wrong with it and, where it can be guessed, what the sender should change.
        """
        if not parts:
            raise StreamError("an empty message")
        if bytes(parts[0][:4]) == messages.MAGIC:
            return self._framed(parts)
        if len(parts) == 2 and len(parts[0]) <= KEY_OCTETS:
            self.keyed, parts = True, parts[1:]
        if len(parts) != 1:
            raise StreamError(f"{len(parts)} parts in a message; a stream has 1 or 2")
        if self._form == FRAMED:
            what = "GNU Radio's tag header" if starts_like_tags(parts[0]) else "bare items"
            raise StreamError(f"the sender sends {what}, this end was told format=framed; take format=gnuradio")
        return self._tagged(parts[0]) if starts_like_tags(parts[0]) else self._bare(parts[0])

    # ------------------------------------------------------------ our own

    def _framed(self, parts: Sequence[memoryview]) -> list[Piece]:
        if self._form == BARE:
            raise StreamError("the sender sends this program's own header, this end was told format=gnuradio; take format=framed")
        message = messages.decode(parts)  # type: ignore[arg-type]
        if not isinstance(message, messages.SampleBlock):
            return []
        self.framing = FRAMED
        rate = message.sample_rate or None
        if message.samples is not None:
            return [Piece(message.samples, message.first_sample, rate, message.run)]
        ends = range(0, message.count, PIECE)
        return [
            Piece(_ZEROS[: min(PIECE, message.count - at)], message.first_sample + at, rate, message.run) for at in ends
        ]

    # ------------------------------------------------------------ GNU Radio

    def _bare(self, octets: memoryview) -> list[Piece]:
        samples = self._items(octets)
        self.framing = BARE
        return [Piece(samples)] if samples.size else []

    def _tagged(self, octets: memoryview) -> list[Piece]:
        message = decode_tagged(octets)
        self._check_item_size(message)
        samples = self._items(message.items)
        self.framing = TAGGED
        rate = rate_of(message.last("rx_rate"))
        self.rx_rate = rate or self.rx_rate
        pieces = []
        at = 0
        for tag in sorted((tag for tag in message.tags if tag.key == "rx_time"), key=lambda tag: tag.offset):
            moment, place = time_of(tag), tag.offset - message.offset
            if moment is None or not at <= place < samples.size:
                continue
            if place > at:
                pieces.append(Piece(samples[at:place], message.offset + at + self._shift, self.rx_rate))
            at = place
            self._note_time(tag.offset, *moment)
        if samples.size > at:
            pieces.append(Piece(samples[at:], message.offset + at + self._shift, self.rx_rate))
        return pieces

    def _note_time(self, offset: int, seconds: int, fraction: float) -> None:
        """A receiver that dropped samples goes on counting items and tells the new time: the difference is what is missing."""
        if self.rx_time is not None and self.rx_rate is not None:
            index, whole, part = self.rx_time
            passed = (seconds - whole + (fraction - part)) * self.rx_rate
            ahead = round(passed - (offset + self._shift - index))
            if 1 <= ahead <= LONGEST_STOP_S * self.rx_rate and offset + self._shift >= index:
                self._shift += ahead
        self.rx_time = offset + self._shift, seconds, fraction

    def _check_item_size(self, message: TaggedItems) -> None:
        """Offsets count items: what they advance by tells how many octets an item has."""
        last, self._last = self._last, (message.offset, len(message.items))
        if last is None or message.offset <= last[0]:
            self._item_octets.clear()
            return
        size, rest = divmod(last[1], message.offset - last[0])
        if rest or size == 0:
            return  # messages were lost in between
        self._item_octets = [*self._item_octets[-3:], size]
        if len(self._item_octets) == 4 and len(set(self._item_octets)) == 1 and size != messages.SAMPLE.itemsize:
            names = {8: "complex items, or vectors of 2", 2: "short items", 1: "byte items"}
            what = names.get(size, f"vectors of {size // 4}" if size % 4 == 0 else "no float32")
            raise StreamError(f"each item of the sender has {size} octets ({what}); this end takes float32 items of 4 octets")

    def _items(self, octets: memoryview) -> NDArray[np.float32]:
        """Float32 items; StreamError that says what they look like instead."""
        if len(octets) % messages.SAMPLE.itemsize:
            guess = guess_item_type(octets)
            looks = f"; they look like {guess.name}: {guess.reason}" if guess.contradicts_float32 else ""
            raise StreamError(f"{len(octets)} octets are no whole number of float32 items{looks}")
        samples = np.frombuffer(octets, messages.SAMPLE)
        with np.errstate(over="ignore", invalid="ignore"):
            power = float(samples.dot(samples)) if samples.size else 0.0
        absurd = not math.isfinite(power) or power > LARGEST_MEAN_SQUARE * samples.size
        if absurd or self._seen < CONFIRMED:
            guess = guess_item_type(octets)
            believed = self._form == BARE and guess.name == "complex64"
            if guess.contradicts_float32 and not believed:
                hint = "; if it is float32 all the same, say format=gnuradio" if guess.name == "complex64" else ""
                raise StreamError(f"the items are not float32, they look like {guess.name}: {guess.reason}{hint}")
            if absurd:
                raise StreamError("samples are not finite, or no voltages")
            if guess.name == "float32" or believed:
                self._seen += samples.size
        return samples
