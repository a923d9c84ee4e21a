"""R17, R18, R19, R20, R21, R28: near and far stations, carrier sense, silence, collisions, polarity, what a packet reports."""

import math
from functools import partial

import harness
import numpy as np
from harness import RATE, Carrier, Samples, Sent, Traffic
from intervals import claims_at_most, consistent_at_most, interval
from missed_and_false import NOISY, listen, rarely_above

from phy import Packet, Transmitter, append_crc
from phy.channel import Quantiser, WhiteNoise

from .case import Case, Outcome, per_case, rate, scaled, strays

_PROFILE = harness.load("pl20a")
_BIT = RATE * _PROFILE.bit_time
_SENSE_BITS = 10.0
_HOURS = 0.1  # of each scenario in the table; missed_and_false.py takes whole hours


def _noise(power: float, esn0_db: float, n: int, seed: int) -> Samples:
    density = math.sqrt(power * _PROFILE.bit_time / 10 ** (esn0_db / 10))
    return WhiteNoise(RATE, density=density, seed=seed, stream=1).generate(n)


def _steps(carriers: tuple[Carrier, ...]) -> Case:
    """R17: strong and weak in turn, so that a step down and a step up of 60 dB come 24 bits after every packet."""
    traffic = Traffic(carriers=carriers, level_v=3.5, levels_db=(0.0, -60.0), gap_bits=(24.0, 24.0))
    where = "same carrier" if len(carriers) == 1 else "strong on the primary, weak on the secondary"
    return per_case(
        "R17", "level step of 60 dB", f"gap 24 bits, {where}", traffic, 2000, 0.01, density=1e-6, behind=[Quantiser(4.0, 16)]
    )


def _latency(esn0_db: float, scale: float) -> Outcome:
    """R18: bit times from the start of bit 0 until channel_busy, looked at every half bit; silence of 30 to 60 bits before."""
    n = scaled(4000, scale)
    rng = np.random.default_rng(harness.seed_of("R18", esn0_db))
    receiver = harness.make_receiver("pl20a", RATE)
    power = harness.mean_power(Traffic())
    half = round(_BIT / 2)
    delays: list[float] = []
    early = 0
    for k in range(n):
        sender = Transmitter(_PROFILE, RATE, level_v=1.0, clock_ppm=float(rng.uniform(-400, 400)))
        wave = sender.modulate(append_crc(rng.bytes(18)), phase=float(rng.uniform(-math.pi, math.pi)))
        gap = round(rng.uniform(30, 60) * _BIT)
        start = gap + sender.lead_samples
        x = np.concatenate([np.zeros(gap, np.float32), wave])
        x = x + _noise(power, esn0_db, x.size, 1000 * k + 5)
        before = start - 2 * half  # the ramp is still weak here
        receiver.push(x[:before])
        early += receiver.channel_busy
        at, delay = before, math.inf
        while at < start + 30 * _BIT:
            receiver.push(x[at : at + half])
            at += half
            if receiver.channel_busy:
                delay = (at - start) / _BIT
                break
        delays.append(delay)
        receiver.push(x[at:])
    late = sum(d > _SENSE_BITS for d in delays)
    text = f"later {rate(late, n)}; median {np.median(delays):.1f}, 99 % {np.quantile(delays, 0.99, method='higher'):.1f} bits"
    text += f"; busy before {early} of {n}"
    proven = claims_at_most(late, n, 0.01) and claims_at_most(early, n, 0.05)
    mark = "<= 1 % later than 10 bits (preamble: mean -1.2 dB)"
    return Outcome(text, mark, proven, not proven and consistent_at_most(late, n, 0.01))


def _silence(name: str, scale: float) -> Outcome:
    """R19: what is found in noise alone."""
    hours = _HOURS * scale
    good, bad = listen(name, hours * 3600, 0)
    ok = good == 0 and rarely_above(bad, hours, 1.0)
    return Outcome(f"{good} packets, {bad} preambles in {hours:g} h", "0 packets, <= 1 preamble an hour", ok)


def _collision(second_db: float, scale: float) -> Outcome:
    """R20: a second packet of another station starts inside the first."""
    n = scaled(1000, scale)
    rng = np.random.default_rng(harness.seed_of("R20", second_db))
    power = harness.mean_power(Traffic())
    receiver = harness.make_receiver("pl20a", RATE)
    sent: list[Sent] = []
    got: list[Packet] = []
    position = 0
    for k in range(n):
        waves: list[Samples] = []
        starts: list[int] = []
        gap = round(rng.uniform(24, 40) * _BIT)
        for level_db in (0.0, second_db):
            level, ppm = 10 ** (level_db / 20), float(rng.uniform(-200, 200))
            sender = Transmitter(_PROFILE, RATE, level_v=level, clock_ppm=ppm)
            lpdu = append_crc(rng.bytes(18))
            wave = sender.modulate(lpdu, phase=float(rng.uniform(-math.pi, math.pi)))
            first = gap + (round(rng.uniform(0.05, 0.95) * waves[0].size) if waves else 0)
            waves.append(wave)
            starts.append(first)
            sent.append(Sent(lpdu, position + first + sender.lead_samples, "primary", ppm, level))
        x = np.zeros(starts[1] + waves[1].size + round(30 * _BIT), np.float32)
        for first, wave in zip(starts, waves, strict=True):
            x[first : first + wave.size] += wave
        x += _noise(power, 20.0, x.size, 1000 * k + 7)
        got += receiver.push(x)
        position += x.size
    got += receiver.flush()
    # `count` wants the order of the starts; first packets and second ones alternate in it.
    all_ = harness.count(sent, got, _BIT)
    lost = int(np.count_nonzero(~all_.delivered[0::2]))
    second = int(np.count_nonzero(all_.delivered[1::2]))
    clean = not all_.residual and not all_.false
    text = f"first lost {rate(lost, n)}, second delivered {100 * second / n:.0f} %{strays(all_)}"
    if second_db == 0:
        return Outcome(text, "no false delivery", clean)
    proven = clean and claims_at_most(lost, n, 0.05)
    return Outcome(text, "first: PER <= 5 %", proven, clean and not proven and consistent_at_most(lost, n, 0.05))


def _inverted(scale: float) -> Outcome:
    """R21: the same samples with the other sign give the same packets, good and bad."""
    n = scaled(500, scale)
    power = harness.mean_power(Traffic())
    receivers = [harness.make_receiver("pl20a", RATE) for _ in range(2)]
    found: list[list[Packet]] = [[], []]
    for k, (clean, _) in enumerate(harness.batches(Traffic(), n, harness.seed_of("R21"))):
        x = clean + _noise(power, 5.0, clean.size, 1000 * k + 9)
        for sign, receiver, packets in zip((1, -1), receivers, found, strict=True):
            packets += receiver.push(np.float32(sign) * x)
    for receiver, packets in zip(receivers, found, strict=True):
        packets += receiver.flush()
    keys = [[(p.lpdu, p.crc_ok, p.start_sample, p.carrier) for p in packets] for packets in found]
    different = sum(a != b for a, b in zip(*keys, strict=False)) + abs(len(keys[0]) - len(keys[1]))
    return Outcome(
        f"{different} of {len(keys[0])} packets differ", "none, at Es/N0 5 dB", different == 0 and len(keys[0]) > 0.9 * n
    )


def _metadata(esn0_db: float, scale: float) -> Outcome:
    """R28: reported level and Es/N0 against the truth, packets of bad CRC included; levels from 1 mV to 3 V."""
    n = scaled(300, scale)
    strength, margin = [], []
    for level_v in (1e-3, 0.05, 3.0):
        got = harness.run(Traffic(level_v=level_v), n // 3, harness.seed_of("R28", esn0_db, level_v), esn0_db=esn0_db)
        strength += [20 * math.log10(p.level_v / s.level_v) for s, p in got.pairs]
        margin += [p.esn0_db - esn0_db for _, p in got.pairs]
    if not margin:
        return Outcome("no packet found", "strength +-6 dB, margin +-3 dB", False)
    worst = [int(np.count_nonzero(np.abs(np.array(v)) > limit)) for v, limit in ((strength, 6.0), (margin, 3.0))]
    spans = [f"{np.mean(v):+.1f} dB ({np.min(v):+.1f}..{np.max(v):+.1f})" for v in (strength, margin)]
    text = f"strength {spans[0]}, margin {spans[1]} of {len(margin)}; {max(worst)} outside"
    ok = all(interval(w, len(margin))[1] <= 0.05 for w in worst)
    undecided = not ok and all(consistent_at_most(w, len(margin), 0.01) for w in worst)
    return Outcome(text, "strength +-6 dB, margin +-3 dB for 95 %", ok, undecided)


def cases() -> list[Case]:
    """R17 to R21 and R28."""
    result = [_steps(("primary",)), _steps(("primary", "secondary"))]
    for esn0 in (6.0, 20.0):
        result.append(Case("R18", "detection latency", f"channel_busy, Es/N0 {esn0:g} dB", partial(_latency, esn0)))
    for name in NOISY:
        result.append(Case("R19", "false alarms", f"noise of {name} alone", partial(_silence, name)))
    for level_db in (-10.0, 0.0):
        result.append(Case("R20", "collision", f"second packet at {level_db:g} dB, Es/N0 20 dB", partial(_collision, level_db)))
    result.append(Case("R21", "polarity", "samples with the other sign", _inverted))
    for esn0 in (0.0, 5.0, 10.0, 20.0, 30.0, 40.0):
        result.append(Case("R28", "reported level and margin", f"Es/N0 {esn0:g} dB, 1 mV .. 3 V", partial(_metadata, esn0)))
    return result
