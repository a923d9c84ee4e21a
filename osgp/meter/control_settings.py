"""What the control outputs of a meter are told before it starts: contactor, limits, relays, prepayment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import ConfigurationError

BLOCKS: Final = {  # bits of ET89 behind unread_mask; grade A
    "remote": "block_remote_disconnect",
    "automatic": "block_auto_disconnect",
    "local": "block_local_disconnect",
    "unblock": "block_remote_unblock",
}
MAX_RATE: Final = 1_000_000  # Wh of credit per kWh; grade A
UINT32_MAX: Final = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """Contactor, limits, relays and prepayment of one meter; a host changes most of it through ET05, ET30, ET80 and ET97.

    Args:
        contactor: whether a contactor is fitted.    relays: control relays fitted, 0..2; the second from firmware 4.30.
        toggle_button: the push button opens as well as closes; without it it closes only.
        power_limits: whether the limits are enabled.    by_current: limits are in mA per phase, not in W.
        max_power, max_current: (primary, secondary) level in W and mA, 0: no limit.
        hold: s that a limit must be exceeded.    reconnect: s after which the contactor closes by itself, 0: the button does.
        average: (sub-interval in s, multiplier 1..15, threshold in W) of ET80, None: off.
        blocked: of "remote", "automatic", "local" (opening) and "unblock" (remote closing); firmware 4.50, ET89.
        prepay: whether energy is paid in advance.    credit: Wh to begin with.    rates: Wh of credit per kWh, per tariff.
        warning: Wh of credit at which the warning sounds.    negative_credit: Wh allowed below zero.
        relay_calendar: mode of ET61 for relay 1 and 2, see ET05.    relay_switches: of ET61, per relay (hour, minute, closed).
        relay_settings: values of ET97.relays, per relay.
    """

    contactor: bool = True
    relays: int = 1
    toggle_button: bool = False
    power_limits: bool = False
    by_current: bool = False
    max_power: tuple[int, int] = (0, 0)
    max_current: tuple[int, int] = (0, 0)
    hold: int = 10
    reconnect: int = 0
    average: tuple[int, int, int] | None = None
    blocked: frozenset[str] = frozenset()
    prepay: bool = False
    credit: int = 0
    rates: tuple[int, ...] = (1000, 1000, 1000, 1000)
    warning: int = 0
    negative_credit: int = 0
    relay_calendar: tuple[int, int] = (0, 0)
    relay_switches: tuple[tuple[tuple[int, int, bool], ...], ...] = ()
    relay_settings: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.relays <= 2:
            raise ConfigurationError(f"a meter has 0..2 control relays, got {self.relays}")
        if unknown := self.blocked - BLOCKS.keys():
            raise ConfigurationError(f"blocked takes {sorted(BLOCKS)}, got {sorted(unknown)}")
        if len(self.rates) not in (4, 8) or any(not 0 <= rate <= MAX_RATE for rate in self.rates):
            raise ConfigurationError(f"rates are 4 or 8 numbers of 0..{MAX_RATE} Wh per kWh, got {self.rates}")
        if any(not 0 <= level <= UINT32_MAX for level in (*self.max_power, *self.max_current)):
            raise ConfigurationError("power and current levels are 0..4294967295")
        if not (0 <= self.hold <= 0xFFFF and 0 <= self.reconnect <= 0xFFFF):
            raise ConfigurationError(f"hold and reconnect are 0..65535 s, got {self.hold} and {self.reconnect}")
        if any(abs(credit) >= 1 << 31 for credit in (self.credit, self.warning, self.negative_credit)):
            raise ConfigurationError("credits are INT32 Wh")
        if self.negative_credit < 0:
            raise ConfigurationError(f"negative_credit is at least 0 Wh, got {self.negative_credit}")
