"""The mains, as far as a receiver reckons with them: noise and interference repeat with their half cycle."""

from typing import Final

MAINS_HZ: Final = (50.0, 60.0)  # nominal
