"""What a station tells the world, gathered until somebody takes it."""

from __future__ import annotations

from .events import Event, StationEvent


class StationReports:
    """Collects events of one station."""

    def __init__(self, station: str, sample_rate: float) -> None:
        self.station, self._sample_rate = station, sample_rate
        self._reports: list[Event] = []

    def tell(self, now: float, name: str, text: str, **values: str | int | float | bool | None) -> None:
        self._reports.append(StationEvent(self.station, self.sample(now), name, text, values))

    def add(self, event: Event) -> None:
        self._reports.append(event)

    def sample(self, now: float) -> int:
        return round(now * self._sample_rate)

    def take(self) -> list[Event]:
        if not self._reports:
            return []
        taken, self._reports = self._reports, []
        return taken
