"""R6 to R8: tones beside and on the carrier."""

import math
from collections.abc import Sequence
from functools import partial

import harness
from harness import Carrier, Levels, Traffic

from phy.channel import Source, Tone, ToneSet

from .case import Case, Outcome, per_case, rate, scaled, strays, verdict

_CANCELLED_DB = 20.0


def _tone(offset_hz: float, sir_db: float, levels: Levels) -> Sequence[Source]:
    amplitude = math.sqrt(2) * levels.signal_rms_v * 10 ** (-sir_db / 20)
    return [Tone(levels.rate, levels.carrier_hz + offset_hz, amplitude, phase=1.0)]


def _with_canceller() -> list[Case]:
    result = []
    marked = [(0.0, khz) for khz in (1.0, 2.0, 3.6, 5.0, 8.0, 12.0)]
    marked += [(sir, khz) for sir in (-10.0, -20.0) for khz in (8.0, 12.0)]
    for sir_db, khz in marked:
        for sign in (-1, 1):
            extra = partial(_tone, sign * khz * 1e3, sir_db)
            text = f"SIR {sir_db:g} dB, {sign * khz:+g} kHz, Es/N0 20 dB"
            result.append(per_case("R6", "tone, canceller on", text, Traffic(), 300, 0.10, esn0_db=_CANCELLED_DB, extra=extra))
    for sir_db, khz in ((0.0, 0.0), (0.0, 0.5), (0.0, -0.5), (6.0, 0.0), (-10.0, 3.6), (-10.0, 5.0), (-20.0, 5.0)):
        extra = partial(_tone, khz * 1e3, sir_db)
        text = f"SIR {sir_db:g} dB, {khz:+g} kHz, Es/N0 20 dB"
        result.append(per_case("R6", "tone, canceller on", text, Traffic(), 300, None, esn0_db=_CANCELLED_DB, extra=extra))
    return result


# Extra Es/N0 (dB) that an integrator over one rectangular bit needs for a bit error rate of 1e-3: offset, SIR -> dB.
_EXTRA_DB = {
    (0.0, 10.0): 1.8,
    (1.0, 10.0): 1.4,
    (2.0, 6.0): 1.5,
    (2.0, 10.0): 0.62,
    (5.0, 3.0): 0.47,
    (8.1, -10.0): 1.8,
    (12.0, -10.0): 1.3,
}


def _without_canceller() -> list[Case]:
    """At the Es/N0 where the curve plus 1 dB puts 1e-3 bit errors, packets fail as in white noise at 6.79 dB: 0.4 %."""
    result = []
    for (khz, sir_db), extra_db in _EXTRA_DB.items():
        esn0 = 6.79 + extra_db + 1.0
        extra = partial(_tone, khz * 1e3, sir_db)
        text = f"SIR {sir_db:g} dB, {khz:+g} kHz, Es/N0 {esn0:.2f} dB"
        truth = f"curve +{extra_db:g} dB, and 1 dB"
        result.append(
            per_case(
                "R6",
                "tone, canceller off",
                text,
                Traffic(),
                1000,
                0.01,
                truth=truth,
                esn0_db=esn0,
                extra=extra,
                options={"tones_db": 0.0},
            )
        )
    return result


def _television(levels: Levels) -> Sequence[Source]:
    lines = ToneSet.preset("pal_lines", levels.rate, levels.signal_rms_v, seed=levels.seed, stream=2)
    return [lines, ToneSet.preset("dcf77", levels.rate, levels.signal_rms_v, seed=levels.seed, stream=3)]


def _swept(am_depth: float, centre_hz: float, levels: Levels) -> Sequence[Source]:
    amplitude = math.sqrt(2) * levels.signal_rms_v
    return [Tone(levels.rate, centre_hz, amplitude, am_depth=am_depth, fm_deviation_hz=2e3, fm_hz=100.0)]


def _retry(am_depth: float, scale: float) -> Outcome:
    """Each LPDU twice on the primary and twice on the secondary."""
    n = scaled(1000, scale)
    order: tuple[Carrier, ...] = ("primary", "primary", "secondary", "secondary")
    centre = harness.load("pl20a").carrier_hz("primary")
    got = harness.run(
        Traffic(carriers=order, attempts=4),
        4 * n,
        harness.seed_of("R8", am_depth),
        esn0_db=20.0,
        extra=partial(_swept, am_depth, centre),
    )
    return Outcome(f"not delivered {rate(got.errors, got.sent)}{strays(got)}", "<= 3 % after 4 attempts", *verdict(got, 0.03))


def cases() -> list[Case]:
    """R6, R7, R8."""
    result = [*_with_canceller(), *_without_canceller()]
    result.append(
        per_case(
            "R7", "two PAL lines and DCF77", "secondary, each SIR 0 dB, Es/N0 20 dB", Traffic(carriers=("secondary",)),
            1000, 0.03, esn0_db=20.0, extra=_television,
        )
    )  # fmt: skip
    centre = harness.load("pl20a").carrier_hz("primary")
    for am_depth, kind in ((0.0, "FM"), (0.9, "FM and AM")):
        text = f"+-2 kHz at 100 Hz over the carrier, {kind}, SIR 0 dB, 20 dB"
        extra = partial(_swept, am_depth, centre)
        result.append(per_case("R8", "swept tone", text, Traffic(), 1000, 0.30, esn0_db=20.0, extra=extra))
        result.append(Case("R8", "swept tone, dual-carrier retry", text, partial(_retry, am_depth)))
    return result
