"""What is said about carriers and clock."""

from typing import Final

import numpy as np

from ..profile import Profile
from .numerology import Numerology
from .report import Finding, Gap

_SURE: Final = 0.97  # of a crystal and divider that a profile of the package has, when no other can be meant
# Of another divider: one in thirty arbitrary frequencies is within the stations' tolerance of a crystal's, and there are two.
_OTHER_DIVIDER: Final = 0.6
_NO_CRYSTAL: Final = 0.4
_STATIONS: Final = 8  # packets from which on the numbers are not doubted because they are few


def carrier_findings(numerology: Numerology, base: Profile, roles_sure: float, enough: int) -> tuple[list[Finding], list[Gap]]:
    """Findings of the section [carrier] and what is open about them.

    Args:
        roles_sure: probability that primary and secondary are not exchanged. enough: packets that one would want.
    """
    known, clock = base.constants, numerology.clock
    seen = {name: len(bursts) for name, bursts in numerology.bursts.items()}
    count = sum(seen.values())
    gaps: list[Gap] = []
    few = min(1.0, count / _STATIONS)
    if clock.known:
        # Stations' clocks scatter around the right one: the nearer fit is the likelier.
        rival = min((abs(o.middle_ppm) for o in numerology.others), default=np.inf)
        sure = _SURE if np.isinf(rival) else 0.5 + 0.45 * min(1.0, max(0.0, rival - abs(clock.middle_ppm)) / 300.0)
    else:
        sure = _OTHER_DIVIDER if numerology.fitted else _NO_CRYSTAL
    evidence = f"{count} bursts, bit rate {numerology.bit_rate:.3f} Hz, clocks {clock.middle_ppm:+.0f} ppm"
    if not numerology.fitted:
        evidence = f"{count} bursts, the measured carrier itself, to about 200 ppm: no known crystal divides to it"
        reason = "no known crystal with a whole divider fits; the measured frequency was taken"
        gaps.append(Gap("carrier.master_clock_hz", reason + ", as exact as the stations' clocks"))
    elif not clock.known:
        reason = f"{clock} fits, but may do so by chance; the frequency itself is known to the stations' tolerance"
        gaps.append(Gap("carrier.master_clock_hz", reason))
    if not numerology.coherent:
        reason = "the carrier is not a whole number of cycles per bit: another kind of line, or a poor recording"
        gaps.append(Gap("carrier cycles per bit", reason, enough))
    if numerology.others:
        others = ", ".join(str(o) for o in numerology.others)
        reason = f"{clock} was taken, but {others} fits as well within the stations' tolerance; more stations would tell"
        gaps.append(Gap("carrier.master_clock_hz", reason, enough))
    findings = [
        Finding.measured("carrier.master_clock_hz", clock.master_clock_hz, sure * few, evidence),
        Finding.measured("carrier.clocks_per_cycle", clock.clocks_per_cycle, sure * few, evidence),
    ]
    for name in ("primary", "secondary"):
        key, cycles = f"carrier.{name}_cycles_per_bit", numerology.cycles[name]
        value = int(cycles) if cycles == int(cycles) else round(cycles, 6)
        if name in seen:
            findings.append(
                Finding.measured(key, value, few * roles_sure * (1 - min(1.0, 4 * numerology.cycles_error)),
                                 f"{seen[name]} bursts, carrier over bit rate is whole to {numerology.cycles_error:.4f}")
            )  # fmt: skip
        else:
            findings.append(Finding.assumed(key, known[key], value))
            gaps.append(Gap(f"{name} carrier", f"no packet was seen on it; {value} cycles per bit are assumed", enough))
    if numerology.strangers:
        gaps.append(Gap("carriers", f"{numerology.strangers} bursts have another bit rate or a third carrier and were left out"))
    spread = numerology.spread_ppm
    findings.append(Finding.assumed("carrier.tolerance_ppm", known["carrier.tolerance_ppm"]))
    findings.append(Finding.assumed("carrier.search_ppm", known["carrier.search_ppm"]))
    gaps.append(Gap("carrier.tolerance_ppm", f"the packets seen differ by {2 * spread:.0f} ppm; what is allowed does not show"))
    gaps.append(Gap("level.transmit_vpp", "a recording shows what arrives, not what is sent"))
    return findings, gaps
