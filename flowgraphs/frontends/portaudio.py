"""PortAudio, loaded when it is used, and every way in which it fails as one line."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ..errors import FrontEndError, MissingFeature

LOOPBACK: Final = "loopback"  # place of a sound card that needs none, see loopback.py


def portaudio() -> Any:
    """The module `sounddevice`.

    Raises:
        MissingFeature: it, or the PortAudio library, is not installed.
    """
    try:
        return importlib.import_module("sounddevice")
    except ImportError:
        raise MissingFeature("sound cards need the extra 'audio': pip install 'osgp-sdr[audio]'") from None
    except OSError as error:
        raise MissingFeature(
            f"sound cards need the PortAudio library ({' '.join(str(error).split())}); on Debian: apt install libportaudio2"
        ) from None
    except Exception as error:  # PortAudio reports at import what its host interfaces say
        raise MissingFeature(f"PortAudio does not start: {' '.join(str(error).split())}") from None


@contextmanager
def one_line(name: str) -> Iterator[None]:
    """Turns what sounddevice raises into a FrontEndError that begins with `name`."""
    try:
        yield
    except (FrontEndError, MissingFeature):
        raise
    except Exception as error:  # PortAudioError, ValueError (unknown device) and what a host interface adds
        text = " ".join(str(error).split())
        raise FrontEndError(f"{name}: {text}") from None
