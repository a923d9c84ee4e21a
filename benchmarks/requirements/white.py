"""R1 to R5 and R22: white noise, levels, clocks, long packets, on either carrier."""

from functools import partial
from itertools import pairwise

import harness
from harness import Carrier, Traffic
from ideal import packet_error
from intervals import interval, loss_db

from phy.channel import Quantiser

from .case import Case, Outcome, per_case, rate, scaled, strays, verdict

_FRONT_END = 1e-6  # V/sqrt(Hz): thermal noise of the analogue front end
_FULL_SCALE_V = 4.0
_VOLTS_7_VPP = 3.5


def _ideal(esn0_db: float, octets: int = 20) -> str:
    return f"ideal {100 * packet_error(esn0_db, octets):.2g} %"


def sensitivity(id_: str, carrier: Carrier) -> list[Case]:
    """R1: three points of the curve, and one that must not beat the ideal."""
    traffic = Traffic(carriers=(carrier,))
    cases = [
        per_case(id_, f"quiet line, {carrier}", f"Es/N0 {esn0:g} dB", traffic, packets, mark, truth=_ideal(esn0), esn0_db=esn0)
        for esn0, packets, mark in ((5.6, 1000, 0.10), (6.4, 1000, 0.03), (7.0, 3000, 0.01))
    ]
    above = harness.words_above_mean_db("pl20a")
    cases.append(
        per_case(
            id_, f"quiet line, {carrier}", "Es/N0 5.05 dB, one look", traffic, 1000, None, truth=_ideal(5.05), esn0_db=5.05,
            not_below=packet_error(5.05 + above + 0.1), options={"second_look": False},
        )
    )  # fmt: skip
    return cases


def _levels(carrier: Carrier, packets: int, id_: str, scale: float) -> Outcome:
    """R2: every step on its own, noise of the front end, converter of 16 bits."""
    worst, text, passed, undecided, stray = -1.0, "", True, True, ""
    n = scaled(packets, scale, least=20)
    power = harness.mean_power(Traffic(carriers=(carrier,)))
    for step_db in (6, 0, *range(-6, -79, -6), -80):
        level = _VOLTS_7_VPP * 10 ** (step_db / 20)
        got = harness.run(
            Traffic(carriers=(carrier,), level_v=level), n, harness.seed_of(id_, carrier, step_db), density=_FRONT_END,
            behind=[Quantiser(_FULL_SCALE_V, 16)], power=power * level**2,
        )  # fmt: skip
        proven, open_ = verdict(got, 0.03 if step_db > 0 else 0.01)
        passed, undecided = passed and proven, undecided and (proven or open_)
        stray += strays(got)
        if got.errors / got.sent > worst:
            worst = got.errors / got.sent
            text = f"worst step {step_db:+d} dB: PER {rate(got.errors, got.sent)}"
    return Outcome(text + stray, "PER <= 1 % each, 3 % at +6 dB", passed, undecided and not passed)


def _ladder(carrier: Carrier, id_: str, scale: float) -> Outcome:
    """R3: the maker's ladder: the noise puts the ideal's 3 % at the 78 dB step, the others follow."""
    at_78 = 5.81
    counts = {}
    n = scaled(1000, scale)
    for loss in (60, 66, 72, 78, 84):
        esn0 = at_78 + 78 - loss
        counts[loss] = harness.run(Traffic(carriers=(carrier,)), n, harness.seed_of(id_, carrier, loss), esn0_db=esn0)
    steps = [counts[a].errors / counts[a].sent for a in sorted(counts)]
    low, high = interval(counts[78].errors, n)
    shaped = all(a <= b for a, b in pairwise(steps)) and high > 0.005 and low < 0.06
    proven, open_ = verdict(counts[72], 0.01)
    text = "PER at 60/66/72/78/84 dB: " + "/".join(f"{100 * s:.2g}" for s in steps) + f" % of {n}"
    text += "".join(strays(c) for c in counts.values())
    return Outcome(text, "monotone; 72 dB <= 1 %, 78 dB 0.5..6 %", shaped and proven, shaped and open_)


def _clock(carrier: Carrier, ppm: float, mark_db: float, id_: str, scale: float) -> Outcome:
    """R4: loss at the ideal's 10 % point over that of a right clock, the same noise and packets for both."""
    n = scaled(2000, scale)
    esn0 = 5.05
    errors = {}
    for name, value in (("right", 0.0), ("fast", ppm), ("slow", -ppm)):
        traffic = Traffic(carriers=(carrier,), ppm=(value, value))
        errors[name] = harness.run(traffic, n, harness.seed_of(id_, carrier), esn0_db=esn0).errors
    base, _, _ = loss_db(errors["right"], n, esn0)
    loss, low, high = loss_db(errors["fast"] + errors["slow"], 2 * n, esn0)
    extra = loss - base
    half = (high - low) / 2
    return Outcome(
        f"{extra:+.2f} dB [{low - base:+.2f}, {high - base:+.2f}] of {n} fast and {n} slow; right clock {base:+.2f} dB",
        f"extra loss <= {mark_db:g} dB (interval of one point +-{half:.2f})",
        extra <= mark_db,
    )


def _choice(scale: float) -> Outcome:
    """R22: packets on either carrier in an order that the receiver cannot know."""
    n = scaled(3000, scale)
    order: tuple[Carrier, ...] = tuple(("primary", "secondary")[b] for b in (0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0))
    got = harness.run(Traffic(carriers=order), n, harness.seed_of("R22"), esn0_db=7.0)
    text = f"PER {rate(got.errors, got.sent)}{strays(got)}, right carrier each"
    return Outcome(text, "PER <= 1 %; " + _ideal(7.0), *verdict(got, 0.01))


def _on(id_: str, carrier: Carrier) -> list[Case]:
    cases = sensitivity(id_, carrier)
    cases.append(Case(id_, f"dynamic range, {carrier}", "+6, 0 .. -80 dB of 7 Vpp", partial(_levels, carrier, 300, id_)))
    cases.append(Case(id_, f"maker's ladder, {carrier}", "78 dB near 3 %", partial(_ladder, carrier, id_)))
    for ppm, mark_db in ((200.0, 0.2), (400.0, 0.2), (690.0, 0.5)):
        measure = partial(_clock, carrier, ppm, mark_db, id_)
        cases.append(Case(id_, f"clock, {carrier}", f"+-{ppm:g} ppm, Es/N0 5.05 dB", measure))
    cases.append(
        per_case(
            id_, f"long packets, {carrier}", "100 octets, Es/N0 7.2 dB", Traffic(carriers=(carrier,), octets=100), 1000, 0.03,
            truth=_ideal(7.2, 100), esn0_db=7.2,
        )
    )  # fmt: skip
    return cases


def cases() -> list[Case]:
    """R1 to R5 on the primary, the same as R22 on the secondary."""
    kinds = ["R1"] * 4 + ["R2", "R3"] + ["R4"] * 3 + ["R5"]
    first = [Case(kind, c.name, c.condition, c.measure) for kind, c in zip(kinds, _on("R1-R5", "primary"), strict=True)]
    second = _on("R22", "secondary")
    return [*first, *second, Case("R22", "choice of the carrier", "both in turn, Es/N0 7 dB", _choice)]
