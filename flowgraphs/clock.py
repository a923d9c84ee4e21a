"""The sample clock: time is the index of the newest sample divided by the sample rate."""

from dataclasses import dataclass


@dataclass(slots=True)
class SampleClock:
    """Counts samples, turns them into seconds and notices when some are missing.

    Args:
        sample_rate: Hz.
        next_sample: absolute index of the next sample that is expected.

    Attributes:
        gaps: how often the stream jumped ahead.
        missing_samples: how many samples were skipped in all.
        late: how many blocks came from before the expected index (they are dropped).
    """

    sample_rate: float
    next_sample: int = 0
    gaps: int = 0
    missing_samples: int = 0
    late: int = 0

    @property
    def now(self) -> float:
        """Seconds: the end of the newest sample."""
        return self.next_sample / self.sample_rate

    def seconds(self, sample: int) -> float:
        """The instant of one absolute sample index in seconds."""
        return sample / self.sample_rate

    def advance(self, first_sample: int, count: int) -> int | None:
        """Take a block. Returns how many samples are missing before it (0 = none), None for a late block.

        A late block must not be used: its time has passed and the clock never goes back.
        """
        missing = first_sample - self.next_sample
        if missing < 0:
            self.late += 1
            return None
        if missing:
            self.gaps += 1
            self.missing_samples += missing
        self.next_sample = first_sample + count
        return missing
