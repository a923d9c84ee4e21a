"""Where a packet is on the line: the frequency band it fills."""

from typing import Literal, cast

from phy import Profile


def carrier_edges(profile: Profile, carrier: str) -> tuple[float, float]:
    """(lower, upper) edge in Hz: the main lobe, one bit rate to either side of the carrier."""
    centre = profile.carrier_hz(cast(Literal["primary", "secondary"], carrier))
    return centre - profile.bit_rate, centre + profile.bit_rate
