"""Samples <-> frames: the BPSK power-line modem of ETSI TS 103 908 / EN 14908-3."""

from .crc import append_crc, crc_ok
from .errors import ConfigurationError, PhyError, ProfileError
from .profile import Profile
from .transmitter import Transmitter

__all__ = [
    "ConfigurationError",
    "PhyError",
    "Profile",
    "ProfileError",
    "Transmitter",
    "append_crc",
    "crc_ok",
]
