"""The transmitter: a complete LPDU -> real passband samples in V at the coupler."""

import math

import numpy as np
from numpy.typing import NDArray

from ._kernels.modulate import modulate_bpsk
from .errors import ConfigurationError
from .framing import packet_bits
from .profile import Profile


class Transmitter:
    """BPSK transmitter of one channel (ETSI TS 103 908; the waveform is grade D, see the profile).

    Args:
        profile: the channel.
        sample_rate: Hz; must exceed twice the highest frequency of the carriers in use.
        level_v: peak amplitude of the carrier, V. Default: the profile's transmitter level.
        clock_ppm: error of this station's clock, -5000..5000; carrier and bit clock are coherent and both move.
    Attributes:
        lead_samples: samples from the first one of `modulate` to the start of bit 0 (the ramp that opens the packet).
    Raises:
        ConfigurationError: an argument is out of range.
    """

    def __init__(
        self, profile: Profile, sample_rate: float, *, level_v: float | None = None, clock_ppm: float = 0.0
    ) -> None:
        if not sample_rate > 0:
            raise ConfigurationError(f"sample_rate must be positive, got {sample_rate}")
        if level_v is None:
            level_v = profile.transmit_vpp / 2
        if not 0 <= level_v < math.inf:
            raise ConfigurationError(f"level_v must be at least 0 V, got {level_v}")
        if not -5000 <= clock_ppm <= 5000:
            raise ConfigurationError(f"clock_ppm must be in -5000..5000, got {clock_ppm}")
        self.profile, self.sample_rate, self.level_v, self.clock_ppm = profile, float(sample_rate), level_v, clock_ppm
        self._stretch = 1.0 + clock_ppm * 1e-6
        self.lead_samples = math.ceil(profile.ramp_bits * profile.bit_time * sample_rate / self._stretch)

    def modulate(
        self, lpdu: bytes, alternate: bool = False, *, phase: float = 0.0, delay: float = 0.0
    ) -> NDArray[np.float32]:
        """The samples of one packet.

        Args:
            lpdu: complete LPDU, CRC included (`append_crc`), 1..profile.max_octets octets.
            alternate: send on the secondary carrier.
            phase: carrier phase at the start of bit 0, rad.
            delay: samples by which everything comes later, 0..1.
        Returns:
            (N,) float32, V; bit 0 starts at sample `lead_samples` + delay.
        Raises:
            ConfigurationError: lpdu too long or empty, or the carrier does not fit below half the sample rate.
        """
        if not 0 <= delay <= 1:
            raise ConfigurationError(f"delay must be in 0..1 samples, got {delay}")
        bits = packet_bits(lpdu, self.profile)
        bit_rate = self.profile.bit_rate * self._stretch
        carrier_hz = self.profile.carrier_hz("secondary" if alternate else "primary") * self._stretch
        if carrier_hz + bit_rate >= self.sample_rate / 2:
            raise ConfigurationError(
                f"sample_rate {self.sample_rate:g} Hz is too low for a carrier at {carrier_hz:.0f} Hz: "
                f"it must exceed {2 * (carrier_hz + bit_rate):.0f} Hz"
            )
        tail = math.ceil((bits.size + self.profile.ramp_bits) / bit_rate * self.sample_rate + delay)
        y = np.empty(self.lead_samples + tail, np.float32)
        modulate_bpsk(
            bits, y, bit_rate, carrier_hz, self.profile.alpha, self.profile.ramp_bits,
            -(self.lead_samples + delay) / self.sample_rate, 1.0 / self.sample_rate, self.level_v, phase,
        )
        return y

    def packet_power(self, lpdu: bytes) -> float:
        """Mean of the squared samples between the start of the first and the end of the last bit, V^2.

        level^2 / 2 * (1 - d * changes / bits), where d is what a change of sign takes out of one bit time:
        d = alpha * (1 - int g^2 dw), g = 2 w + sin(2 pi w) / pi over -1/2 .. 1/2, which is alpha * (2/3 - 5 / (2 pi^2)).
        """
        bits = packet_bits(lpdu, self.profile)
        changes = int(np.count_nonzero(bits[1:] != bits[:-1]))
        lost = self.profile.alpha * (2 / 3 - 5 / (2 * math.pi**2))
        return 0.5 * self.level_v**2 * (1 - lost * changes / bits.size)

    def airtime_samples(self, octets: int) -> int:
        """Length of `modulate`'s result for an LPDU of `octets` octets."""
        bits = self.profile.packet_bits(octets) + self.profile.ramp_bits
        return self.lead_samples + math.ceil(bits / (self.profile.bit_rate * self._stretch) * self.sample_rate)
