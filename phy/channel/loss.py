"""The loss of a link as a random number: from packet to packet, and between the two carriers."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from .._kernels import noise as kernels
from ..errors import ConfigurationError
from . import catalogue
from .limits import between, finite, not_negative, positive, whole
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


@dataclass(frozen=True, slots=True)
class LossRange:
    """A loss that papers give as a range: one place of a network has one value in it.

    lowest_db, highest_db: dB, or dB per km where per_km is set.
    """

    lowest_db: float
    highest_db: float
    per_km: bool = False

    @classmethod
    def preset(cls, name: str) -> Self:
        """`low_voltage`, `line` (per km), `cross_phase` (on top of the line) or `transformer`."""
        values = catalogue.entry("path", "loss_range", name)
        return cls(values["lowest_db"], values["highest_db"], values.get("per_km", False))

    def draw(self, place: int, seed: int = 0, length_m: float | None = None) -> float:
        """The loss of place number `place`, dB, uniform in the range. length_m: of the line, needed where per_km is set."""
        if self.per_km != (length_m is not None):
            raise ConfigurationError(f"length_m must be given for a loss per km and for no other, got {length_m!r}")
        u = np.empty(1)
        key = np.uint64(whole("seed", seed, 0, MAX_SEED))
        kernels.uniforms(u, key, np.uint64(0), np.uint64(0), whole("place", place, 0, 2**61))
        loss_db = self.lowest_db + (self.highest_db - self.lowest_db) * float(u[0])
        return loss_db if length_m is None else loss_db * positive("length_m", length_m) / 1e3
