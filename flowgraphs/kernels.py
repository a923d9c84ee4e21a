"""Compiling the modem's kernels once, and telling the user about it."""

import sys


def ensure_compiled() -> None:
    """Compile the kernels when this installation has not done so yet; says so on stderr."""
    import phy

    if not phy.kernels_cached():
        print("compiling the modem once; later starts take a second", file=sys.stderr, flush=True)
        phy.warmup()
        from phy import channel

        channel.warmup()
