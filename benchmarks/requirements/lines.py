"""R15, R16, R27: lines that distort, lines that change with the mains, and a carrier that is blocked."""

from collections.abc import Callable
from functools import partial
from typing import Any

import harness
import numpy as np
from harness import RATE, Carrier, Traffic
from ideal import esn0_for, ideal_slow_gain_error
from intervals import interval, loss_db

from phy.channel import Resonance, SlowGain, Tilt, scenario

from .case import Case, Outcome, per_case, rate, scaled, strays, verdict

_CARRIER_HZ = harness.load("pl20a").carrier_hz("primary")


def _resonance(preset: str) -> list[Any]:
    return [Resonance.preset(preset, RATE, _CARRIER_HZ)]


def _tilt() -> list[Any]:
    return [Tilt.preset("emi_filter", RATE, _CARRIER_HZ)]


def _slow(preset: str) -> list[Any]:
    return [SlowGain.preset(preset, RATE)]


def _extra_loss(id_: str, condition: str, make: Callable[[], list[Any]], mark_db: float, scale: float) -> Outcome:
    """R15: loss behind the path at its own energy, less that of a flat line; both read from the ideal's curve near PER 10 %."""
    n = scaled(2000, scale)
    at = esn0_for(0.10)
    flat = harness.run(Traffic(), n, harness.seed_of(id_, "flat"), esn0_db=at)
    base, _, _ = loss_db(flat.errors, n, at)
    got = harness.run(Traffic(), n, harness.seed_of(id_, condition), esn0_db=at + mark_db, path=make())
    loss, low, high = loss_db(got.errors, n, at + mark_db)
    limits = f"{'<' if got.errors == 0 else ''}{loss - base:+.2f} dB [{low - base:+.2f}, {high - base:+.2f}]"
    text = f"extra {limits}; PER {rate(got.errors, got.sent)}{strays(got)}"
    return Outcome(text, f"extra loss <= {mark_db:g} dB at PER 10 %", loss - base <= mark_db)


def _following(preset: str, mark_db: float, scale: float) -> Outcome:
    """R16: loss against an ideal receiver that knows the gain of every bit, at the mean energy behind the path.

    Weak bits between strong ones cost even the ideal more than their mean energy tells; that is no loss of the receiver.
    """
    n = scaled(2000, scale)
    steps, ideal = [3.0], [1.0]
    while ideal[-1] > 0.002:
        steps.append(steps[-1] + 0.5)
        ideal.append(ideal_slow_gain_error(preset, steps[-1]))
    at = float(np.interp(-0.1, -np.array(ideal), steps))
    got = harness.run(Traffic(), n, harness.seed_of("R16", preset), esn0_db=at + mark_db, path=_slow(preset))
    low, high = interval(got.errors, n)
    place = [float(np.interp(-per, -np.array(ideal), steps)) for per in (got.errors / n, low, high)]
    loss, best, worst = (at + mark_db - p for p in place)
    text = f"{loss:+.2f} dB [{best:+.2f}, {worst:+.2f}]; PER {rate(got.errors, n)} at {at + mark_db:.2f} dB{strays(got)}"
    return Outcome(text, f"<= {mark_db:g} dB over the ideal that knows the gain ({at:.2f} dB)", loss <= mark_db)


def _commuted_ideal() -> str:
    return f"ideal that knows the gain {100 * ideal_slow_gain_error('commuted', 20.0):.2g} %"


def _blocked(scale: float) -> Outcome:
    """R27: every LPDU up to four times, the last two on the secondary; levels and noise are the scenario's own."""
    n = scaled(1000, scale)
    order: tuple[Carrier, ...] = ("primary", "primary", "secondary", "secondary")
    line = scenario("S7_blocked", RATE, seed=27)
    traffic = Traffic(carriers=order, attempts=4, level_v=harness.load("pl20a").transmit_vpp / 2)
    got = harness.run(traffic, 4 * n, 27, density=1.0, power=1.0, background=lambda _: line.noise, path=line.path)
    first = got.delivered.reshape(-1, 4)
    text = f"not delivered {rate(got.errors, got.sent)}{strays(got)}; first attempt {100 * (1 - first[:, 0].mean()):.0f} % lost"
    return Outcome(text, "<= 1 % after 4 attempts", *verdict(got, 0.01))


def cases() -> list[Case]:
    """R15, R16, R27."""
    paths: list[tuple[str, str, str, Callable[[], list[Any]], float]] = [
        ("R15", "distorted channel", "resonance on the carrier, Q 20, depth 0.7", partial(_resonance, "centred"), 1.5),
        ("R15", "distorted channel", "resonance 2 kHz above, Q 30, depth 0.9", partial(_resonance, "beside"), 1.5),
        ("R15", "distorted channel", "tilt of 12 dB over 10 kHz", _tilt, 1.5),
    ]
    result = [
        Case(id_, name, condition, partial(_extra_loss, id_, condition, make, mark)) for id_, name, condition, make, mark in paths
    ]
    for preset, mark_db in (("mild", 0.5), ("hard", 3.0)):
        condition = f"{preset}, PER 10 %"
        result.append(Case("R16", "gain that follows the mains", condition, partial(_following, preset, mark_db)))
    result.append(
        per_case(
            "R16", "gain that follows the mains", "commuted, Es/N0 20 dB", Traffic(), 300, 0.10, truth=_commuted_ideal,
            esn0_db=20.0, path=_slow("commuted"),
        )
    )  # fmt: skip
    result.append(Case("R27", "dual-carrier retry", "S7_blocked, 2 on the primary, 2 on the secondary", _blocked))
    return result
