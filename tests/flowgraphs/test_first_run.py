"""The first decode after installing compiles once and says so; later ones start at once."""

import os
import subprocess
import sys
import time
from pathlib import Path

RECORDING = Path(__file__).parent.parent / "recordings" / "quiet.sigmf-meta"


def test_the_first_decode_compiles_and_says_so_and_the_next_starts_within_3_s(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "flowgraphs", "decode", "--json", str(RECORDING)]
    runs, times = [], []
    for _ in range(3):
        started = time.monotonic()
        runs.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120))
        times.append(time.monotonic() - started)
    assert "compiling" in runs[0].stderr and runs[1].stderr == runs[2].stderr == ""
    assert runs[0].stdout == runs[1].stdout != ""
    assert min(times[1:]) < 3.0
