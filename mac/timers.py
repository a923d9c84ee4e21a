"""Timer codes of transport and session layer, and other fixed times, in seconds.

Transmit and repeat timers: 16 ms doubled every second code, half as much more for odd codes.
Receive timers: eight times that.
Grade B, several codes measured on a live independent stack (L); ISO/IEC 14908-1, clause unverified.
"""

from __future__ import annotations

from typing import Final

from .address import check_range

_BASE_MS: Final = 16
_RECEIVE_FACTOR: Final = 8
MAX_TIMER_CODE: Final = 15
MAX_LONG_TIMER_CODE: Final = 31  # codes above 15 are the "long" timers of proxy repeating (grade B, D above 20)

UNIQUE_ID_RECEIVE_TIME: Final = 8.192  # s, for every message addressed by unique id (grade L)
RESET_SILENCE: Final = 2.0  # s without originating after power-up or reset, so that peers forget (grade L)
NUMBER_LIFETIME: Final = 24.0  # s for which a destination's last transaction number is remembered (grade B)

DEFAULT_RETRIES: Final = 3  # four tries, two on each path; our choice (D)
DEFAULT_TRANSMIT_CODE: Final = 11  # 768 ms for acknowledged messages on an A-band line; our choice (D)
DEFAULT_REQUEST_CODE: Final = 13  # 1536 ms: a response of 120 octets lasts 390 ms plus its access delay; our choice (D)
DEFAULT_REPEAT_CODE: Final = 7  # 192 ms between the copies of a repeated message; our choice (D)
DEFAULT_RECEIVE_CODE: Final = 13  # 12.3 s > (3 retries + 1) x 1536 ms; our choice for the A band (D)


def transmit_time(code: int) -> float:
    """Transmit or repeat timer in s for a code 0..15, or 16..31 for the long timers of proxy repeating."""
    check_range("timer code", code, 0, MAX_LONG_TIMER_CODE)
    milliseconds = _BASE_MS << code // 2
    return (milliseconds + (milliseconds // 2 if code % 2 else 0)) / 1000


def receive_time(code: int) -> float:
    """Receive timer in s for a code 0..15."""
    check_range("timer code", code, 0, MAX_TIMER_CODE)
    return _RECEIVE_TIMES[code]


_RECEIVE_TIMES: Final = tuple(_RECEIVE_FACTOR * transmit_time(code) for code in range(MAX_TIMER_CODE + 1))
