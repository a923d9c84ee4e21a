"""Sending on a real line: what will be sent is said before the first sample, and the duty cycle is kept."""

import tomllib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from phy import Profile
from phy.emission import dbuv_from_peak

from ..errors import FrontEndError
from .contract import SampleSink

NEEDS_TRANSMIT: Final = "nothing is sent without --transmit; what a coupler must have is in the README, and mains voltage kills"


@cache
def transmission() -> Mapping[str, Any]:
    """The tables of `spec/transmission.toml`, each with source and grade. Callers must not change what they get."""
    return tomllib.loads((files("flowgraphs") / "spec" / "transmission.toml").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class TransmitLimits:
    """What a transmitter keeps to.

    duty_cycle: most of the time, over any window of `window_s`.    longest_s: one transmission.    pause_s: after one, at least.
    """

    duty_cycle: float
    window_s: float
    longest_s: float
    pause_s: float

    @classmethod
    def for_profile(cls, profile: Profile, duty_cycle: float | None = None) -> Self:
        """The limits of a channel by `spec/transmission.toml`, with another duty cycle, 0..1, where one is given.

        Raises:
            FrontEndError: the duty cycle is not in 0..1.
        """
        spec = transmission()
        if duty_cycle is not None and not 0 < duty_cycle <= 1:
            raise FrontEndError(f"the duty cycle must be above 0 and at most 1, got {duty_cycle:g}")
        access = spec["access"]
        ruled = any(access["lowest_hz"] <= profile.carrier_hz(name) <= access["highest_hz"] for name in ("primary", "secondary"))
        return cls(
            spec["duty_cycle"]["most"] if duty_cycle is None else duty_cycle,
            spec["window"]["seconds"],
            access["longest_s"] if ruled else spec["longest"]["longest_s"],
            access["pause_s"] if ruled else 0.0,
        )


def statement(where: str, profile: Profile, level_v: float, limits: TransmitLimits) -> str:
    """One line that says what will be sent."""
    carriers = " and ".join(f"{profile.carrier_hz(name):.0f}" for name in ("secondary", "primary"))
    pause = f", {limits.pause_s * 1e3:.0f} ms of silence after each transmission" if limits.pause_s else ""
    return (
        f"{where} will transmit: {profile.name}, carriers {carriers} Hz, {profile.bit_rate:.0f} bit/s, at most {level_v:.3g} V "
        f"peak ({dbuv_from_peak(level_v):.1f} dBuV), at most {100 * limits.duty_cycle:.0f} % of any {limits.window_s:g} s and "
        f"{limits.longest_s:g} s at a time{pause}"
    )


class GuardedSink:
    """A sink that keeps the limits: a transmission that would break them is left out as a whole, one that grows too long is cut.

    Args:
        sink: where to.    limits: see there.    level_v: higher peaks are refused.    longest_packet_s: reckoned for each start.
        report: gets one line when something is held back, at most once a second of samples.
    Attributes:
        held_back: samples that were not sent.    on_air: samples that were.
    """

    def __init__(
        self, sink: SampleSink, limits: TransmitLimits, level_v: float, longest_packet_s: float,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:  # fmt: skip
        self.sink, self.limits = sink, limits
        self.sample_rate, self.name, self.statistics = sink.sample_rate, sink.name, sink.statistics
        self.held_back = self.on_air = 0
        self._level, self._report = np.float32(level_v * 1.001), report
        rate = self.sample_rate
        self._window, self._pause = round(limits.window_s * rate), round(limits.pause_s * rate)
        self._longest = limits.longest_s * rate
        self._reserve = round(min(longest_packet_s, limits.duty_cycle * limits.window_s) * rate)
        self._past: deque[tuple[int, int]] = deque()  # (end, samples) of what was sent within the window
        self._used = 0
        self._started_at = self._end = -(1 << 62)  # of the present or the last transmission
        self._sent_end = self._end  # of the last that was not held back
        self._refused, self._why = False, ""
        self._too_full = f"the duty cycle would exceed {100 * limits.duty_cycle:.0f} % of {limits.window_s:g} s"
        self._reported_at = self._end

    def write(self, first_sample: int, samples: NDArray[np.float32]) -> None:
        """See SampleSink. Silent samples are taken as a pause. Raises FrontEndError above the level that was stated."""
        loud = np.flatnonzero(samples)
        if not loud.size:
            return
        peak = float(np.abs(samples).max())
        if not peak <= self._level:
            raise FrontEndError(f"{self.name}: {peak:.3g} V were to be sent, more than the {self._level:.3g} V that were stated")
        first = first_sample + int(loud[0])
        x = samples[loud[0] : loud[-1] + 1]
        if first > self._end + self._joint():
            self._begin(first)
        end = first + x.size
        self._forget(end)
        if not self._refused and end - self._started_at > self._longest:
            self._refused, self._why = True, f"one transmission is longer than {self.limits.longest_s:g} s"
        elif not self._refused and self._used + x.size > self.limits.duty_cycle * self._window:
            self._refused, self._why = True, self._too_full
        if self._refused:
            self.held_back += x.size
            self._tell(first, self._why)
            self._end = end
            return
        self._end = self._sent_end = end
        self._used += x.size
        self.on_air += x.size
        self._past.append((end, x.size))
        self.sink.write(first, x)

    def duty_cycle(self, now_sample: int) -> float:
        """The part of the window before `now_sample` that was sent."""
        self._forget(now_sample)
        return self._used / self._window

    def close(self) -> None:
        """Close the sink."""
        self.sink.close()

    def _joint(self) -> int:
        """Zeros inside of a packet are no pause: a carrier crosses zero, a shaped one for a few samples (2 ms: chosen, D)."""
        return round(2e-3 * self.sample_rate)

    def _begin(self, first: int) -> None:
        self._forget(first)
        self._refused, self._why = False, ""
        if self._pause and 0 <= first - self._sent_end < self._pause:
            self._refused, self._why = True, f"the pause of {self.limits.pause_s * 1e3:.0f} ms is not over"
        elif self._used + self._reserve > self.limits.duty_cycle * self._window:
            self._refused, self._why = True, self._too_full
        self._started_at = first

    def _forget(self, now: int) -> None:
        while self._past and self._past[0][0] <= now - self._window:
            self._used -= self._past.popleft()[1]

    def _tell(self, sample: int, reason: str) -> None:
        if sample - self._reported_at >= self.sample_rate:
            self._reported_at = sample
            self._report(f"{self.name}: not sent: {reason}")
