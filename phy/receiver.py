"""The receiver: line samples in any blocks -> packets, on both carriers at once."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .carrier import CarrierReceiver, Conclusion
from .errors import ConfigurationError
from .filters import SAMPLES_PER_BIT
from .packet import Packet, ReceiverOptions
from .profile import CARRIERS, Carrier, Profile

_BLOCK: Final = 1 << 15  # samples worked on at once: small enough for the caches
_LARGEST_V: Final = 1e9  # nothing on a line; beyond it single precision would overflow


class Receiver:
    """Receives both carriers of one channel at once, in real passband samples.

        x -> DownConverter -> ImpulseBlanker -> NarrowFilter -> BitFilter -> HeaderDetector -> PacketTracker -> words -> CRC
                                                                     \\-> CarrierSense -> channel_busy

    Args:
        profile: the channel. sample_rate: Hz. options: see ReceiverOptions.
    Attributes:
        carriers: carrier name -> CarrierReceiver; a carrier that does not fit below half the sample rate is left out.
        rejected: counts of what was dropped: "not finite" samples, "ghost" packets.
    Raises:
        ConfigurationError: an argument is out of range, or no carrier fits.
    """

    def __init__(self, profile: Profile, sample_rate: float, options: ReceiverOptions | None = None) -> None:
        if not (math.isfinite(sample_rate) and sample_rate > 0):
            raise ConfigurationError(f"sample_rate must be positive, got {sample_rate}")
        self.profile, self.sample_rate = profile, float(sample_rate)
        self.options = options or ReceiverOptions()
        self.carriers: dict[Carrier, CarrierReceiver] = {}
        problem: ConfigurationError | None = None
        for carrier in CARRIERS:
            try:
                self.carriers[carrier] = CarrierReceiver(profile, carrier, self.sample_rate, self.options)
            except ConfigurationError as error:
                problem = error
        if not self.carriers and problem is not None:
            raise problem
        self.reset()

    def reset(self) -> None:
        """First-day state: the next sample is sample 0."""
        for chain in self.carriers.values():
            chain.reset()
        self.rejected = {"not finite": 0, "ghost": 0}
        self._waiting: list[Conclusion] = []

    @property
    def channel_busy(self) -> bool:
        """Whether a carrier is present, of either frequency; what the MAC listens to."""
        return any(chain.busy for chain in self.carriers.values())

    def push(self, x: NDArray[np.float32]) -> list[Packet]:
        """Next samples of the stream -> packets that ended, in the order of their ends; bad ones have crc_ok False.

        Args:
            x: (N,) real, V (or full scale = 1), any N. Samples that are not finite, or
                beyond 1e9, are taken as 0 and counted.
        """
        x = np.ascontiguousarray(x, np.float32)
        if x.ndim != 1:
            raise ConfigurationError(f"x must have one dimension, got shape {x.shape}")
        packets: list[Packet] = []
        for first in range(0, x.size, _BLOCK):
            block = x[first : first + _BLOCK]
            if not max(float(block.max()), -float(block.min())) < _LARGEST_V:
                bad = ~(np.abs(block) < _LARGEST_V)
                self.rejected["not finite"] += int(np.count_nonzero(bad))
                block = np.where(bad, np.float32(0), block)
            for chain in self.carriers.values():
                self._waiting += chain.push(block)
            packets += self._release()
        return packets

    def flush(self) -> list[Packet]:
        """End of the stream: packets that were still open, as if silence followed."""
        silence = np.zeros(math.ceil(60 * self.sample_rate * self.profile.bit_time), np.float32)
        return self.push(silence)

    def _release(self) -> list[Packet]:
        """Packets that both carriers' chains have passed, so that their order does not depend on how the stream is cut."""
        if not self._waiting:
            return []
        frontier = min(chain.frontier for chain in self.carriers.values())
        due = sorted((w for w in self._waiting if w.decided < frontier), key=lambda w: (w.decided, w.packet.carrier))
        self._waiting = [w for w in self._waiting if w.decided >= frontier]
        packets = [w.packet for w in due if not self._is_ghost(w.packet)]
        self.rejected["ghost"] += len(due) - len(packets)
        return packets

    def _is_ghost(self, packet: Packet) -> bool:
        """Whether it is what a strong packet leaves in the other carrier's band.

        The carriers are a whole number of bit rates apart, so the little that passes the filters looks like a packet there.
        """
        unit = self.sample_rate / (SAMPLES_PER_BIT * self.profile.bit_rate)
        return any(
            abs((candidate.position - SAMPLES_PER_BIT / 2) * unit - packet.start_sample) < 3 * SAMPLES_PER_BIT * unit
            and candidate.amplitude > 10 * packet.level_v
            for name, chain in self.carriers.items()
            if name != packet.carrier
            for candidate in chain.candidates
        )
