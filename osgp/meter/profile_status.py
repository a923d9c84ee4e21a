"""Statuses of load profile intervals: their codes, which one wins, how nibbles lie in octets. Guide, grade A unless marked."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, IntFlag
from typing import Final


class CommonStatus(IntFlag):
    """What concerns the whole interval. Bit numbering inside the nibble: grade D."""

    NONE = 0
    DST = 1
    POWER_FAIL = 2
    CLOCK_FORWARD = 4
    CLOCK_BACK = 8


class ChannelStatus(IntEnum):
    """What concerns one channel."""

    NONE = 0
    OVERFLOW = 1
    PARTIAL = 2  # the clock moved forward
    LONG = 3  # the clock moved back
    SKIPPED = 4
    TEST_MODE = 5
    DECRYPTION_FAILURE = 8
    CLOCK_ERROR = 9
    DEVICE_MISSING = 10
    NOT_CURRENT = 11
    OPTED_OUT = 12
    PLACEHOLDER = 15  # the M-Bus value never arrived


# The higher one wins.
PRECEDENCE: Final = {
    ChannelStatus.NONE: 0,
    ChannelStatus.OPTED_OUT: 0,
    ChannelStatus.TEST_MODE: 2,
    ChannelStatus.CLOCK_ERROR: 3,
    ChannelStatus.LONG: 4,
    ChannelStatus.PARTIAL: 5,
    ChannelStatus.DEVICE_MISSING: 6,
    ChannelStatus.NOT_CURRENT: 7,
    ChannelStatus.DECRYPTION_FAILURE: 8,
    ChannelStatus.OVERFLOW: 10,
    ChannelStatus.SKIPPED: 11,
    ChannelStatus.PLACEHOLDER: 11,
}
# What an ANSI compliant meter reports instead.
ANSI: Final = {
    ChannelStatus.DECRYPTION_FAILURE: ChannelStatus.SKIPPED,
    ChannelStatus.NOT_CURRENT: ChannelStatus.SKIPPED,
    ChannelStatus.PLACEHOLDER: ChannelStatus.SKIPPED,
    ChannelStatus.CLOCK_ERROR: ChannelStatus.NONE,
    ChannelStatus.DEVICE_MISSING: ChannelStatus.NONE,
}


def combined(one: ChannelStatus, other: ChannelStatus) -> ChannelStatus:
    """The status that wins; of equals the one that says more."""
    if PRECEDENCE[one] == PRECEDENCE[other]:
        return one if one is not ChannelStatus.NONE else other
    return one if PRECEDENCE[one] > PRECEDENCE[other] else other


def put_status(octets: bytearray, at: int, channel: int, code: ChannelStatus, ansi: bool = False) -> None:
    """Change the status of one channel (from 0) in status octets that begin at `at`."""
    nibble = channel + 1
    place, shift = at + nibble // 2, 0 if nibble % 2 else 4
    octets[place] = octets[place] & ~(0xF << shift) & 0xFF | int(ANSI.get(code, code) if ansi else code) << shift


def pack_status(common: CommonStatus, channels: Sequence[ChannelStatus], ansi: bool = False) -> bytes:
    """Status octets of an interval: channels/2 + 1 of them, high nibble first: common, channel 0, channel 1, ..."""
    codes = [ANSI.get(code, code) for code in channels] if ansi else channels
    nibbles = [int(common), *(int(code) for code in codes)]
    if len(nibbles) % 2:
        nibbles.append(0)
    return bytes(high << 4 | low for high, low in zip(nibbles[::2], nibbles[1::2], strict=True))
