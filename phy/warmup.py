"""Compiling the kernels ahead of use, and telling whether that has been done."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from . import _kernels
from ._kernels import blanker, burst, downconvert, modulate, notch, packets, periodic, sense, words
from .crc import append_crc
from .detect import Candidate, HeaderDetector
from .line_search import LineSearch
from .profile import Profile
from .receiver import Receiver
from .stream import Past
from .tracking import LoopGains, PacketTracker, tracking_settings
from .transmitter import Transmitter

_MODEM: tuple[ModuleType, ...] = (blanker, burst, downconvert, modulate, notch, packets, periodic, sense, words)


def _entry_points(module: ModuleType) -> list[Any]:
    """The compiled functions of a kernel file that are called from outside of it."""
    return [f for name, f in vars(module).items() if hasattr(f, "py_func") and not name.startswith("_")]


def cache_directory() -> Path:
    """Where the compiled kernels are kept on this machine."""
    stats = getattr(_entry_points(blanker)[0], "stats", None)
    path = getattr(stats, "cache_path", None)
    return Path(path) if path else Path(_kernels.__file__).parent / "__pycache__"


def kernels_cached() -> bool:
    """True when the modem's kernels of this version have been compiled before and are loaded from disk."""
    return all(_is_cached(kernel, Path(str(module.__file__))) for module in _MODEM for kernel in _entry_points(module))


def _is_cached(kernel: Any, source: Path) -> bool:
    """Whether numba will find a kernel on disk.

    Numba itself is asked, as far as it can be: it goes by what the source says, so that the times of the files tell nothing.
    """
    try:
        cache, codegen = kernel._cache, kernel.targetctx.codegen()
        return any(key == cache._index_key(key[0], codegen) for key in cache._cache_file._load_index())
    except AttributeError:  # another version of numba keeps its books elsewhere
        indexes = cache_directory().glob(f"{source.stem}.{kernel.py_func.__name__}-*.nbi")
        return any(index.stat().st_mtime >= source.stat().st_mtime for index in indexes)


def warmup() -> None:
    """Compile every kernel of the modem, or load it from the cache, by sending packets to ourselves."""
    profile = Profile.load("pl20a")
    rate = 400_000.0
    transmitter = Transmitter(profile, rate)
    good, bad = (transmitter.modulate(lpdu) for lpdu in (append_crc(bytes(6)), bytes(range(8))))  # a bad one is looked at again
    gap = np.zeros(4000, np.float32)
    receiver = Receiver(profile, rate)
    receiver.push(np.concatenate([gap, good, gap, bad]))
    _ = receiver.channel_busy  # sensed when it is asked for
    receiver.flush()
    past = Past(np.float32)
    past.append(np.zeros(4000, np.float32))
    chain = receiver.carriers["primary"]  # what is at work only when the line has been quiet for a while
    cycles_per_bit, gains = chain.decoder.cycles_per_bit, LoopGains()
    chain.direct.process(past, 4000)
    detector = HeaderDetector(profile, cycles_per_bit)
    settings = tracking_settings(profile, cycles_per_bit, gains, 0.3)
    search = LineSearch(profile, detector, settings, chain.direct, np.zeros(0, np.complex64), 0)
    search.find(past, 4000)
    search.leave_out(0.0)
    PacketTracker(profile, cycles_per_bit, Candidate(10.0, 0.0, 0.0, 1.0, 1.0), gains).push_on_line(chain.direct, past, 4000)
    one = np.zeros(1, np.complex64)
    chain.sense.push(one)  # called alone when a stage before it was replaced
    # Idle while there is no tone, and while there is no echo.
    notch.notch_cascade(one, np.ones(1, np.complex128), 0.9, np.zeros((1, 2), np.complex128), one)
    lags, taps = np.ones(1, np.int64), np.ones(1, np.complex64)
    periodic.subtract_periods(np.zeros(3, np.complex64), 2, lags, taps, taps, np.zeros(1, np.complex64))
    periodic.correlate_lags(np.zeros(3, np.complex64), 2, 1, np.zeros(1, np.complex128))
    bits = np.ones(2, np.float32)
    burst.echo_metrics(
        one, 0.0, 1.0, bits, bits, np.ones(2, np.complex64), np.zeros(0), np.zeros(0, np.complex64), bits, 1.0,
        np.empty((0, 4, 2), np.float32),
    )  # fmt: skip
