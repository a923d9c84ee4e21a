"""The exceptions of `phy`.

    PhyError
     +- ConfigurationError   an argument is out of its range (also a ValueError)
     +- ProfileError         a profile file is missing, malformed or contradicts itself (also a ValueError)
"""


class PhyError(Exception):
    """Root of every exception that `phy` raises on purpose."""


class ConfigurationError(PhyError, ValueError):
    """An argument is out of its range; the text names the argument, its limit and the value."""


class ProfileError(PhyError, ValueError):
    """A profile file is missing, malformed or contradicts itself; the text names the file and the key."""
