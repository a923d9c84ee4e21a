"""What is installed, what is in the way, and which feature misses what."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PACKAGES: Final = ("phy", "mac", "osgp", "flowgraphs")
DISTRIBUTION: Final = "osgp-sdr"
LIBRARIES: Final = ("numpy", "scipy", "numba", "pyzmq", "matplotlib", "click", "msgspec", "PyYAML", "soundfile", "dpkt")

WEB: Final = ("starlette", "uvicorn", "websockets")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the diagnosis. status: ok, missing (a feature is not available), problem (something will fail)."""

    name: str
    status: str
    detail: str


def diagnose() -> list[Finding]:
    """Look at everything; never raises because something is missing."""
    findings = [
        Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}, {sys.executable}"),
        *_versions(),
        *_packages(),
        _kernel_cache(),
        _audio(),
        _web(),
        _tshark(),
    ]
    return findings


def _versions() -> list[Finding]:
    found = []
    for name in (DISTRIBUTION, *LIBRARIES):
        try:
            found.append(Finding(name, "ok", importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            found.append(Finding(name, "problem", "not installed"))
    return found


def _packages() -> list[Finding]:
    """Distributions of other people called `phy` and `mac` exist and overwrite ours without a word."""
    owners = importlib.metadata.packages_distributions()
    home = Path(__file__).resolve().parent.parent
    found = []
    for name in PACKAGES:
        foreign = sorted({owner for owner in owners.get(name, []) if owner.lower() != DISTRIBUTION})
        try:
            path = Path(str(importlib.import_module(name).__file__)).resolve().parent
        except ImportError as error:
            found.append(Finding(f"package {name}", "problem", f"cannot be imported: {error}"))
            continue
        if foreign:
            found.append(Finding(f"package {name}", "problem", f"also installed by {', '.join(foreign)}; uninstall that"))
        elif path != home / name:
            found.append(Finding(f"package {name}", "problem", f"a foreign one shadows ours: {path}"))
        else:
            found.append(Finding(f"package {name}", "ok", str(path)))
    return found


def _kernel_cache() -> Finding:
    try:
        import phy
        from phy.warmup import cache_directory

        directory = cache_directory()
        cached = phy.kernels_cached()
    except ImportError as error:
        return Finding("numba cache", "problem", str(error))
    text = f"{directory}, {'compiled' if cached else 'not compiled yet: the first command compiles once'}"
    if not os.access(directory if directory.exists() else directory.parent, os.W_OK):
        return Finding("numba cache", "problem", f"{directory} is not writable; set NUMBA_CACHE_DIR")
    return Finding("numba cache", "ok", text)


def _audio() -> Finding:
    try:
        sounddevice = importlib.import_module("sounddevice")
        return Finding("audio", "ok", f"{sounddevice.get_portaudio_version()[1]}, {len(sounddevice.query_devices())} devices")
    except ImportError:
        return Finding("audio", "missing", "sound cards need: pip install 'osgp-sdr[audio]'")
    except OSError as error:
        return Finding("audio", "missing", f"sound cards need the PortAudio library: {error}")
    except Exception as error:  # PortAudio reports whatever its host API says
        return Finding("audio", "missing", f"PortAudio does not start: {error}")


def _web() -> Finding:
    try:
        found = [f"{name} {importlib.metadata.version(name)}" for name in WEB]
    except importlib.metadata.PackageNotFoundError:
        return Finding("web", "missing", "the live page needs: pip install 'osgp-sdr[web]'")
    return Finding("web", "ok", ", ".join(found))


def _tshark() -> Finding:
    program = shutil.which("tshark")
    if program is None:
        return Finding("tshark", "missing", "reading captures in a terminal needs tshark or Wireshark")
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("tshark", "missing", f"{program} does not run: {error}")
    return Finding("tshark", "ok", answer.splitlines()[0] if answer else program)
