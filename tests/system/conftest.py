"""Runs of whole graphs that tests share, also when these run in several processes."""

import os
import time

import pytest

LONGEST_S = 240.0


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """`shared(name, make)`: a directory that `make(directory)` has filled, once for all workers of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def directory_of(name, make):
        directory, done, failed = root / name, root / f"{name}.done", root / f"{name}.failed"
        try:
            directory.mkdir()  # whoever is first makes it, the others wait
        except FileExistsError:
            deadline = time.monotonic() + LONGEST_S
            while not done.exists():
                assert not failed.exists(), f"{name}: another worker could not make it"
                assert time.monotonic() < deadline, f"{name}: another worker does not get ready"
                time.sleep(0.05)
            return directory
        try:
            make(directory)
        except BaseException:
            failed.touch()
            raise
        done.touch()
        return directory

    return directory_of
