"""Nothing is left to be loaded when samples come in real time."""

import subprocess
import sys
import time

import pytest

from flowgraphs import processes
from flowgraphs.cli import run
from flowgraphs.errors import StationError
from flowgraphs.lifetime import Lifetime
from flowgraphs.listening import listen

AFTER_LOADING = """\
import numpy as np
from flowgraphs.readiness import load_kernels
load_kernels()
from phy import Profile, Receiver, Transmitter, append_crc
from phy.warmup import _MODEM, _entry_points
counted = lambda: {f"{m.__name__}.{f.py_func.__name__}": len(f.signatures) for m in _MODEM for f in _entry_points(m)}
before = counted()
rng, rate = np.random.default_rng(1), 400_000.0
transmitter = Transmitter(Profile.load("pl20a"), rate, level_v=0.1)
receiver, quiet, good, bad = Receiver(Profile.load("pl20a"), rate), 0, 0, 0
for k in range(24):
    noise_v = 0.02 if k < 14 or k % 4 else 0.35
    x = rng.normal(0, noise_v, 60_000).astype(np.float32)
    wave = transmitter.modulate(append_crc(rng.bytes(12)), alternate=bool(k & 1))
    x[10_000 : 10_000 + wave.size] += wave
    for first in range(0, x.size, 400):
        for packet in receiver.push(x[first : first + 400]):
            good, bad = good + packet.crc_ok, bad + (not packet.crc_ok)
        receiver.channel_busy
        quiet += receiver.quiet is not None
assert quiet and good >= 15 and bad, (quiet, good, bad)
late = {name: n for name, n in counted().items() if n != before[name]}
print(late)
"""


def test_a_receiver_has_all_its_kernels_before_the_first_sample():
    """Packets good and bad, on both carriers, on a quiet line and a noisy one, in blocks of a station."""
    done = subprocess.run([sys.executable, "-c", AFTER_LOADING], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "{}\n"), done.stdout + done.stderr


@pytest.fixture
def slow_to_load(monkeypatch):
    """When a machine that is slow to load its kernels had done that."""
    loaded = []

    def load():
        time.sleep(0.8)
        loaded.append(time.monotonic())

    monkeypatch.setattr(processes, "load_kernels", load)
    return loaded


def test_a_line_is_waited_for_from_when_the_kernels_are_loaded(tmp_path, capsys, slow_to_load):
    endpoint = f"ipc://{tmp_path}/nowhere"
    assert run(["read", "meter-1", "BT01", "--graph", "demo", "--endpoint", endpoint, "--wait", "0.5"]) == 2
    assert 0.5 < time.monotonic() - slow_to_load[0] < 20
    assert capsys.readouterr().err == f"osgp-sdr: no line at {endpoint}: waited 0.5 s\n"


def test_who_listens_waits_from_then_on_too(tmp_path, slow_to_load):
    endpoint = f"ipc://{tmp_path}/nowhere"
    with Lifetime() as lifetime, pytest.raises(StationError, match=r"nowhere: waited 0\.5 s"):
        listen("demo", endpoint, lifetime, 0.5, lambda packet, good: True)
    assert 0.5 < time.monotonic() - slow_to_load[0] < 20
