"""Settings of all tests."""

import os
import signal
import sys

import pytest
from hypothesis import settings

# The tests start hundreds of processes: without bytecode each would compile every module anew, half a second of its second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Jobs in the background of a script ignore Ctrl-C, and so would every process that they start; some tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# The first example of a test may load a kernel: how long one takes says nothing.
settings.register_profile("no deadline", deadline=None)
# Continuous integration tries the same examples every time: what it says does not depend on luck. At home they are new ones.
settings.register_profile("same examples", deadline=None, derandomize=True)
settings.load_profile("same examples" if os.environ.get("CI") == "true" else "no deadline")


def pytest_collection_modifyitems(items):
    """Runs of whole graphs come first, so that one worker has them all: side by side they would fight for the processors.

    The others meanwhile do what is short, and share that in the end so that all are done together.
    """
    items.sort(key=lambda item: item.get_closest_marker("system") is None)


@pytest.fixture
def quickest():
    """The least of up to eight measured times in s: other tests on the same processors may make several of them longer."""

    def measure(once, limit):
        took = []
        while len(took) < 8 and not (took and took[-1] < limit):
            took.append(once())
        return min(took)

    return measure
