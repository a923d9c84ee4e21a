"""Load profile channels of sub-meters: polled at the ends of intervals, each value by its data type. Guide, grade A.

    source 73..80, or extended id of type 4 --> slot, data type --> poll, when ET34 says so --> value, status
                                            --> placeholder --> wait, retries --> value into the interval
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..mbus import Variable
from .mbus_slot import SLOTS
from .mbus_types import find_value
from .profile_status import ChannelStatus
from .subsystem import Host
from .timekeeping import MS_PER_S, to_ms

if TYPE_CHECKING:
    from .mbus_devices import MbusDevices
    from .profiling import Profiling

FIRST_CHANNEL: Final = 73  # sources 73..80: device 1..4, counter 1 and 2; grade A


SHORTEST_RETRY_S: Final = 1  # an exchange on the bus takes about that long; grade D


class MbusChannels:
    """What the load profile asks for.

    A device is asked ET34.lp_poll_wait seconds after the end of an interval, again and again until it answers or its retries are
    used up; meanwhile the interval holds a placeholder. A poll that still goes on at the next end serves both (grade D).

    Args:
        devices: those that are polled.    host: the meter.    profile: who asks.
    """

    def __init__(self, devices: MbusDevices, host: Host, profile: Profiling | None = None) -> None:
        self._devices, self._host, self._profile = devices, host, profile

    def value(self, extended: int, now: float) -> tuple[int, ChannelStatus] | None:
        """Value of a load profile channel of a sub-meter; None: the channel is none. Placeholders are filled later."""
        if extended >> 12 == 4:
            number = extended >> 8 & 0xF
        elif FIRST_CHANNEL <= extended < FIRST_CHANNEL + 2 * SLOTS:
            number = (extended - FIRST_CHANNEL) // 2
        else:
            return None
        if number >= SLOTS or self._devices.slots[number] is None:
            return 0, ChannelStatus.DEVICE_MISSING
        slot = self._devices.slot(number)
        fresh = self._poll(number, now)
        if slot.next_poll_ms is not None:
            slot.wanted[extended] = None
            return 0, ChannelStatus.PLACEHOLDER
        found, code = self._found(number, extended)
        return found, code if fresh or code is not ChannelStatus.NONE else ChannelStatus.NOT_CURRENT

    def _found(self, number: int, extended: int) -> tuple[int, ChannelStatus]:
        """What the last poll of a device says about a channel."""
        slot = self._devices.slot(number)
        if not slot.polled:
            return 0, ChannelStatus.PLACEHOLDER
        if any(isinstance(one.value, Variable) and one.value.encrypted for one in slot.polled):
            return 0, ChannelStatus.DECRYPTION_FAILURE
        mdt = extended & 0x1F if extended >> 12 == 4 else (extended - FIRST_CHANNEL) % 2 + 1
        value = find_value(self._devices.types, mdt, slot.polled)
        return (0, ChannelStatus.DEVICE_MISSING) if value is None else (value, ChannelStatus.NONE)

    def _poll(self, number: int, now: float) -> bool:
        """Poll for the interval that ends now, when ET34.lp_poll_rate says so; whether the values are, or will be, of now."""
        slot, at_ms = self._devices.slot(number), to_ms(now)
        if slot.poll_ms == at_ms or slot.next_poll_ms is not None:
            return True
        rate = self._setting(number, "lp_poll_rate")
        utc = self._host.clock.utc(now)
        minute = 60 * utc.hour + utc.minute
        if rate and minute % rate and minute:  # minute 0 ends the last interval of the day
            return False
        slot.poll_ms, slot.polled = at_ms, ()
        slot.tries_left = 1 + self._setting(number, "lp_poll_retries")
        slot.next_poll_ms = at_ms + MS_PER_S * self._setting(number, "lp_poll_wait")
        if slot.next_poll_ms <= at_ms:
            self.go_on(number, now)
        return True

    def _setting(self, number: int, name: str) -> int:
        """A field of ET34, 0 where the meter has no such table."""
        return int(self._host.store.value("ET34", "devices", number, name, default=0))

    def go_on(self, number: int, now: float) -> None:
        """Ask a device whose poll is due, and tell the load profile what came, or that nothing will."""
        slot = self._devices.slot(number)
        slot.tries_left -= 1
        slot.polled = self._devices.read(number, now)
        if not slot.polled and slot.tries_left > 0:
            slot.next_poll_ms = to_ms(now) + MS_PER_S * max(SHORTEST_RETRY_S, self._setting(number, "lp_poll_retry_wait"))
            return
        self._end(number, bool(slot.polled))

    def give_up(self, number: int) -> None:
        """What is being waited for will never arrive."""
        self._end(number, False)

    def _end(self, number: int, answered: bool) -> None:
        slot = self._devices.slot(number)
        slot.next_poll_ms = None
        wanted, slot.wanted = slot.wanted, {}
        if self._profile is not None:
            for extended in wanted:
                self._profile.arrived(extended, self._found(number, extended) if answered else None)
