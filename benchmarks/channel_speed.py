"""How fast the noise of the line is made on one core: every source, and every composite scenario.

    python benchmarks/channel_speed.py [--require-white 150] [--require-scenario 25]

Generates blocks of 65 536 samples at 400 kS/s after compilation, in one thread, and prints for each the best of five
runs in MS/s and in times real time, by processor time, so that a busy machine costs little. "path and noise" is all that a
scenario does to a signal: elements, noise, clock and converter. The requirement holds for white noise and for the noise of
each scenario.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

from phy import channel

RATE = 400_000.0
BLOCK = 1 << 16
BLOCKS = 12
RUNS = 5
CARRIER_HZ = 86_231.58
BAND = {"centre_hz": 86.2e3, "bandwidth_hz": 86.2e3}
SOURCES: dict[str, Callable[[], channel.Source]] = {
    "white": lambda: channel.WhiteNoise(RATE, rms_v=1.0),
    "coloured": lambda: channel.ColouredNoise(RATE, [1e3, 150e3], [1e-3, 1e-5]),
    "background": lambda: channel.BackgroundNoise(RATE),
    "cyclostationary": lambda: channel.CyclostationaryNoise(RATE, 1.0),
    "switched lv3": lambda: channel.SwitchedNoise.preset("lv3", RATE),
    "mains_impulses dimmer1": lambda: channel.MainsImpulses.preset("dimmer1", RATE, 1.0),
    "mains_impulses dimmer3": lambda: channel.MainsImpulses.preset("dimmer3", RATE, 1.0),
    "random_impulses heavy": lambda: channel.RandomImpulses.preset("heavy", RATE, 1.0),
    "markov_impulses": lambda: channel.MarkovImpulses.preset("bursty", RATE, 1.0),
    "gilbert_elliott": lambda: channel.GilbertElliottNoise.preset("bursty", RATE, 1.0),
    "bernoulli_gaussian": lambda: channel.BernoulliGaussianNoise.preset("rare", RATE, 1.0, **BAND),
    "class_a in band": lambda: channel.ClassANoise.preset("A.1_G.01", RATE, 1.0, **BAND),
    "class_a held 50 us": lambda: channel.ClassANoise.preset("A.1_G.01", RATE, 1.0, hold_s=50e-6),
    "alpha_stable": lambda: channel.AlphaStableNoise(RATE, 1.0, 1.5, **BAND),
    "band_bursts": lambda: channel.BandBursts.preset("ofdm_plc", RATE, 1.0),
    "tone": lambda: channel.Tone(RATE, 77.5e3, 1.0),
    "tone with FM": lambda: channel.Tone(RATE, 84e3, 1.0, am_depth=0.9, fm_deviation_hz=2e3),
    "tone_set pal_lines": lambda: channel.ToneSet.preset("pal_lines", RATE, 1.0),
    "periodic_impulses": lambda: channel.PeriodicImpulses.preset("supply_65k", RATE, 1.0),
    "mains_hum": lambda: channel.MainsHum(RATE, 1.0),
}


def speed(step: Callable[[], object]) -> float:
    """Samples a second, in millions, of a step that makes one block."""
    step()
    best = float("inf")
    for _ in range(RUNS):
        start = time.process_time()
        for _ in range(BLOCKS):
            step()
        best = min(best, time.process_time() - start)
    return BLOCK * BLOCKS / best / 1e6


def line(name: str, rate_ms: float, note: str = "") -> None:
    """One row of the table."""
    print(f"{name:<28}{rate_ms:9.1f} MS/s {rate_ms * 1e6 / RATE:9.0f} x real time  {note}", flush=True)


def main() -> int:
    """Print the figures; exit 1 when a requirement is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--require-white", type=float, default=150.0, help="MS/s of white noise (default 150)")
    parser.add_argument("--require-scenario", type=float, default=25.0, help="MS/s of a scenario's noise (default 25)")
    required = parser.parse_args()
    channel.warmup()
    good = True
    for name, make in SOURCES.items():
        source = make()
        got = speed(lambda source=source: source.generate(BLOCK))  # type: ignore[misc]
        note = ""
        if name == "white":
            note = f"(required: {required.require_white:g})"
            good &= got >= required.require_white
        line(name, got, note)
    silence = np.zeros(BLOCK, np.float32)
    for name in channel.scenario_names():
        scene = channel.scenario(name, RATE, esn0_db=10.0)
        got = speed(lambda scene=scene: scene.noise.generate(BLOCK))  # type: ignore[misc]
        good &= got >= required.require_scenario
        line(f"{name} noise", got, f"(required: {required.require_scenario:g})")
        line(f"{name} path and noise", speed(lambda scene=scene: scene.process(silence)))  # type: ignore[misc]
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
