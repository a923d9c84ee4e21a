"""What a measured loop means: pass, or what to change. The limits are this project's choice (grade D)."""

from dataclasses import dataclass
from typing import Final, Literal

from .hil import HilMeasurement

HEADROOM: Final = 0.98  # of full scale: a peak above it is as good as clipped
FAINT_DB: Final = 15.0  # median Es/N0 below it leaves nothing for a line
DROOP_DB: Final = 6.0  # loss at a carrier against the best frequency of the band
MOST_PPM: Final = 500.0  # a receiver follows more (see phy), two sound cards never differ by so much
ENOUGH: Final = 100  # packets below which an error rate says little


@dataclass(frozen=True, slots=True)
class HilFinding:
    """One judgement. status: ok, warning (it works, but), fail.    advice: what to change, or ""."""

    name: str
    status: Literal["ok", "warning", "fail"]
    text: str
    advice: str = ""


def judge(found: HilMeasurement, full_scale_v: float) -> list[HilFinding]:
    """Every judgement, in the order in which one would look for a fault."""
    findings = [_loop(found), _level(found, full_scale_v)]
    if found.response:
        findings.append(_response(found))
    findings += [_noise(found), _clock(found), _continuity(found), _packets(found)]
    return findings


def passes(findings: list[HilFinding]) -> bool:
    """Nothing failed."""
    return all(finding.status != "fail" for finding in findings)


def _loop(found: HilMeasurement) -> HilFinding:
    if found.gone:
        return HilFinding("loop", "fail", "the card went away while it was measured", "check cable, power and the system's log")
    if found.round_trip is None:
        return HilFinding(
            "loop", "fail", f"what was sent is not heard; the largest sample was {found.peak_v:.3g} V",
            "wire the output to the input, unmute both, choose the right channel and device",
        )  # fmt: skip
    ms = 1e3 * found.round_trip / found.sample_rate
    return HilFinding("loop", "ok", f"round trip {found.round_trip:.2f} samples ({ms:.2f} ms)")


def _level(found: HilMeasurement, full_scale_v: float) -> HilFinding:
    text = f"{found.level_v:.3g} V sent, largest sample heard {found.peak_v:.3g} V of {full_scale_v:.3g} V"
    if found.gain_db is not None:
        text += f", gain {found.gain_db:+.1f} dB"
    if found.clipped_out:
        return HilFinding("level", "fail", f"{text}; {found.clipped_out} samples clipped at the output", "lower --level")
    if found.clipped_in or found.peak_v > HEADROOM * full_scale_v:
        return HilFinding(
            "level", "fail", f"{text}; the input clips", "lower --level, the output's volume or the input's gain; switch AGC off"
        )
    if found.gain_db is not None and found.peak_v < 0.01 * full_scale_v:
        return HilFinding("level", "warning", f"{text}: below 1 % of full scale", "raise the output's volume or the input's gain")
    return HilFinding("level", "ok", text)


def _response(found: HilMeasurement) -> HilFinding:
    best = max(point.gain_db for point in found.response)
    worst = min(found.response, key=lambda point: point.gain_db)
    low, high = found.response[0].freq_hz, found.response[-1].freq_hz
    text = f"{low / 1e3:.0f}-{high / 1e3:.0f} kHz within {best - worst.gain_db:.1f} dB, lowest at {worst.freq_hz / 1e3:.0f} kHz"
    if best - worst.gain_db > DROOP_DB:
        return HilFinding(
            "response", "warning", text,
            "the card's filters cut the band: use a higher rate, another card, or the secondary carrier; switch effects off",
        )  # fmt: skip
    return HilFinding("response", "ok", text)


def _noise(found: HilMeasurement) -> HilFinding:
    text = f"noise {1e3 * found.noise_v:.3g} mV rms, {1e3 * found.noise_band_v:.3g} mV within 70-95 kHz"
    if found.esn0_db:
        text += ", Es/N0 " + ", ".join(f"{value:.1f} dB {name}" for name, value in found.esn0_db.items())
        if min(found.esn0_db.values()) < FAINT_DB:
            return HilFinding("noise", "warning", text, "raise the level; look for hum, resampling and a microphone preamplifier")
    return HilFinding("noise", "ok", text)


def _clock(found: HilMeasurement) -> HilFinding:
    if found.clock_ppm is None:
        return HilFinding("clock", "warning", "too few packets to tell the clock's error")
    text = f"input clock {found.clock_ppm:+.1f} ppm against the output's"
    if abs(found.clock_ppm) > MOST_PPM:
        return HilFinding("clock", "fail", text, "the rates differ: use one device for both directions, or set both to one rate")
    if abs(found.clock_ppm) > 1.0:
        return HilFinding(
            "clock", "warning", text, "two clocks: transmissions drift from their instants; use one device for both directions"
        )
    return HilFinding("clock", "ok", text)


def _continuity(found: HilMeasurement) -> HilFinding:
    slips = ", ".join(f"{slip.samples:+d} at {slip.at_s:.1f} s" for slip in found.slips[:5])
    text = (
        f"{len(found.slips)} slips{f' ({slips})' if slips else ''}, {found.missing} samples missing, {found.overruns} overruns, "
        f"{found.underruns} underruns, {found.late} samples late"
    )
    if found.slips or found.missing or found.overruns or found.underruns or found.late:
        return HilFinding(
            "continuity", "warning", text, "give a larger latency_s (0.1 to 0.3), leave the block size alone, free the processor"
        )
    return HilFinding("continuity", "ok", text)


def _packets(found: HilMeasurement) -> HilFinding:
    sent, received = sum(found.sent.values()), sum(found.received.values())
    each = ", ".join(f"{found.received[name]} of {found.sent[name]} {name}" for name in found.sent)
    text = f"{received} of {sent} packets received ({each}), error rate {100 * found.packet_error_rate:.2g} %"
    if received == sent and sent:
        text += f" (below {300 / sent:.2g} % with 95 % confidence)"  # rule of three
        if sent < ENOUGH:
            return HilFinding("packets", "ok", text, f"{sent} packets say little: --packets 200")
        return HilFinding("packets", "ok", text)
    if received and found.slips:
        return HilFinding("packets", "fail", text, "slips cost packets: see continuity")
    return HilFinding("packets", "fail", text, "see level, response and noise")
