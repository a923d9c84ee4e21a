"""The loss of a link as a random number: from packet to packet, and between the two carriers."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from .._kernels import noise as kernels
from . import catalogue
from .limits import between, finite, not_negative, whole
from .source import MAX_SEED


@dataclass(frozen=True, slots=True)
class PacketLoss:
    """Loss of one packet on either carrier.  primary_db, secondary_db: dB."""

    primary_db: float
    secondary_db: float


@dataclass(frozen=True, slots=True)
class LossSpread:
    """How the loss varies from packet to packet and between the carriers; a packet's loss depends on (seed, packet) alone.

    median_db: dB.  sigma_db: standard deviation of a packet's loss (log-normal in V), both carriers together.
    difference_db: standard deviation of primary minus secondary; half of a difference goes to each carrier.
    """

    median_db: float
    sigma_db: float
    difference_db: float

    @classmethod
    def preset(cls, name: str, **changes: float) -> Self:
        """The loss of `Attenuation.preset(name)` with the spread of `[attenuation]`. changes: any other field."""
        values = catalogue.entry("path", "attenuation")
        spread = {key: values[key] for key in ("sigma_db", "difference_db")}
        return cls(**{"median_db": catalogue.entry("path", "attenuation", name)["attenuation_db"], **spread, **changes})

    def draw(self, packet: int, seed: int = 0) -> PacketLoss:
        """The loss of packet number `packet`."""
        normal = np.empty(2, np.float32)
        key = np.uint64(whole("seed", seed, 0, MAX_SEED))
        kernels.gaussian(normal, key, np.uint64(0), 2 * whole("packet", packet, 0, 2**61), 1.0)
        common = finite("median_db", self.median_db) + not_negative("sigma_db", self.sigma_db) * float(normal[0])
        half = between("difference_db", self.difference_db, 0.0, 100.0) * float(normal[1]) / 2
        return PacketLoss(common + half, common - half)
