"""Files that keep what of a node survives a restart: written whole or not at all, readable by their owner only."""

import os
import tempfile
from pathlib import Path

import mac

from .errors import StateFileError


def save_state(path: Path, snapshot: mac.NodeSnapshot) -> None:
    """Write a snapshot so that after a crash either the old file or the new one is there, complete.

    The file holds keys in clear; its mode is 0600. Raises `StateFileError`.
    """
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(snapshot.encode())
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)
    except OSError as error:
        raise StateFileError(f"{path}: the node's state cannot be written: {error.strerror}") from None


def load_state(path: Path) -> mac.NodeSnapshot | None:
    """Read a snapshot; None when there is no such file.

    Raises `StateFileError` for a file that is damaged: a node that silently started unconfigured would have forgotten
    its domain and keys, so that is left to whoever removes the file.
    """
    try:
        octets = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateFileError(f"{path}: the node's state cannot be read: {error.strerror}") from None
    try:
        return mac.NodeSnapshot.decode(octets)
    except mac.DecodeError as error:
        raise StateFileError(f"{path}: {error}; remove the file to start the node unconfigured") from None


def _sync_directory(directory: Path) -> None:
    """Make the new name durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
