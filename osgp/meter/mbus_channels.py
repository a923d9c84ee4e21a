"""Load profile channels of sub-meters: polled at the ends of intervals, each value by its data type. Guide, grade A.

    source 73..80, or extended id of type 4 --> slot, data type --> poll, when ET34 says so --> value, status
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..mbus import Variable
from .mbus_slot import SLOTS
from .mbus_types import find_value
from .profile_status import ChannelStatus
from .subsystem import Host
from .timekeeping import to_ms

if TYPE_CHECKING:
    from .mbus_devices import MbusDevices

FIRST_CHANNEL: Final = 73  # sources 73..80: device 1..4, counter 1 and 2; grade A


class MbusChannels:
    """What the load profile asks for.    devices: those that are polled."""

    def __init__(self, devices: MbusDevices, host: Host) -> None:
        self._devices, self._host = devices, host

    def value(self, extended: int, now: float) -> tuple[int, ChannelStatus] | None:
        """Value of a load profile channel of a sub-meter, None: the channel is none."""
        if extended >> 12 == 4:
            number, mdt = extended >> 8 & 0xF, extended & 0x1F
        elif FIRST_CHANNEL <= extended < FIRST_CHANNEL + 2 * SLOTS:
            number, mdt = (extended - FIRST_CHANNEL) // 2, (extended - FIRST_CHANNEL) % 2 + 1
        else:
            return None
        if number >= SLOTS or self._devices.slots[number] is None:
            return 0, ChannelStatus.DEVICE_MISSING
        fresh = self._poll(number, now)
        slot = self._devices.slot(number)
        if not slot.polled:
            return 0, ChannelStatus.PLACEHOLDER
        if any(isinstance(one.value, Variable) and one.value.encrypted for one in slot.polled):
            return 0, ChannelStatus.DECRYPTION_FAILURE
        value = find_value(self._devices.types, mdt, slot.polled)
        if value is None:
            return 0, ChannelStatus.DEVICE_MISSING
        return value, ChannelStatus.NONE if fresh else ChannelStatus.NOT_CURRENT

    def _poll(self, number: int, now: float) -> bool:
        """Poll for the interval that ends now, when ET34.lp_poll_rate says so; whether the values are of now."""
        slot, store, at_ms = self._devices.slot(number), self._host.store, to_ms(now)
        if slot.poll_ms == at_ms:
            return True
        rate = int(store[f"ET34.devices[{number}].lp_poll_rate"]) if "ET34" in store else 0
        utc = self._host.clock.utc(now)
        minute = 60 * utc.hour + utc.minute
        if rate and minute % rate and minute:  # minute 0 ends the last interval of the day
            return False
        retries = int(store[f"ET34.devices[{number}].lp_poll_retries"]) if "ET34" in store else 0
        slot.polled = ()
        for _ in range(1 + retries):
            slot.polled = self._devices.read(number, now)
            if slot.polled:
                break
        slot.poll_ms = at_ms
        return True
