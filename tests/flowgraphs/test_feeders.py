"""The examples of WIRE_FORMAT.md, as somebody would use them: a process that feeds samples it reads."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from flowgraphs.frontends.contract import open_source

FEEDERS = Path(__file__).parents[2] / "flowgraphs" / "frontends" / "feeders"
RATE = 250_000.0
X = np.random.default_rng(8).normal(size=20_500).astype("<f4")


@pytest.fixture(scope="module")
def c_program(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here")
    program = tmp_path_factory.mktemp("feed") / "feed"
    asked = subprocess.run([compiler, "-E", "-include", "zmq.h", "-x", "c", "/dev/null"], capture_output=True, check=False)
    if asked.returncode:
        pytest.skip("libzmq's header is not installed here (Debian: libzmq3-dev)")
    flags = ["-std=c11", "-D_POSIX_C_SOURCE=199309L", "-Wall", "-Wextra", "-Werror"]
    command = [compiler, *flags, FEEDERS / "feed.c", "-o", program, "-lzmq"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return [program]


@pytest.mark.parametrize("language", ["python", "c"])
def test_an_example_feeds_the_front_end(language, request, tmp_path_factory):
    command = [sys.executable, FEEDERS / "feed.py"] if language == "python" else request.getfixturevalue("c_program")
    endpoint = f"ipc://{tmp_path_factory.mktemp('f')}/s"
    feeder = subprocess.Popen([*command, endpoint, str(RATE)], stdin=subprocess.PIPE)
    source = open_source(f"zmq+sub:{endpoint}", rate=RATE)
    try:
        deadline = time.monotonic() + 20
        while source.link.peers == 0 and time.monotonic() < deadline:
            source.link.look()
            time.sleep(0.01)
        time.sleep(0.2)  # for the subscription to get there
        feeder.stdin.write(X.tobytes())
        feeder.stdin.close()
        blocks = []
        while sum(block.samples.size for block in blocks) < X.size and time.monotonic() < deadline:
            if (block := source.read(0.1)) is not None:
                blocks.append(block)
        np.testing.assert_array_equal(np.concatenate([block.samples for block in blocks]), X)
        assert blocks[0].first_sample == 0 and source.statistics.missing == source.statistics.malformed == 0
        assert source.stream.reader.framing == "framed" and source.stream._order._run != 0
    finally:
        source.close()
        assert feeder.wait(10) == 0


def test_the_examples_are_short():
    for name in ("feed.py", "feed.c"):
        lines = [line for line in (FEEDERS / name).read_text().splitlines() if line.strip()]
        assert len(lines) <= 40, name
