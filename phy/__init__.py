"""Samples <-> frames: the BPSK power-line modem of ETSI TS 103 908 / EN 14908-3."""

from .crc import append_crc, crc_ok
from .errors import ConfigurationError, PhyError, ProfileError
from .packet import Packet, ReceiverOptions
from .profile import Carrier, Profile
from .receiver import Receiver
from .transmitter import Transmitter
from .warmup import kernels_cached, warmup

__all__ = [
    "Carrier",
    "ConfigurationError",
    "Packet",
    "PhyError",
    "Profile",
    "ProfileError",
    "Receiver",
    "ReceiverOptions",
    "Transmitter",
    "append_crc",
    "crc_ok",
    "kernels_cached",
    "warmup",
]
