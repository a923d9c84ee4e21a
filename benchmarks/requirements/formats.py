"""R23 to R26: the transmitter's header and spectrum, sample rates and files, input that is none."""

import json
import math
import tempfile
from functools import partial
from pathlib import Path

import harness
import numpy as np
import soundfile
from harness import RATE, Carrier, Samples, Traffic
from ideal import esn0_for
from intervals import loss_db

from flowgraphs.decoding import packets_of
from flowgraphs.recording import open_recording
from phy import PhyError, ReceiverOptions, Transmitter, append_crc
from phy.emission import emission
from phy.profile import CARRIERS

from .case import Case, Outcome, scaled

_PROFILE = harness.load("pl20a")


def _header(scale: float) -> Outcome:
    """R23: the header of 100 packets, demodulated by its own carrier, and compared sample by sample.

    The last half bit of the header already leans towards the first bit of the data: a pulse of alpha 1 is wider than a bit.
    """
    rng = np.random.default_rng(23)
    sender = Transmitter(_PROFILE, RATE)
    waves = [sender.modulate(append_crc(rng.bytes(18))) for _ in range(100)]
    bit, lead = RATE * _PROFILE.bit_time, sender.lead_samples
    stop = lead + math.floor((35 - _PROFILE.alpha / 2) * bit)
    difference = max(float(np.max(np.abs(w[:stop] - waves[0][:stop]))) for w in waves)
    carrier = np.cos(2 * np.pi * _PROFILE.carrier_hz("primary") / RATE * (np.arange(waves[0].size) - lead))
    wrong = 0
    for wave in waves:
        mixed = wave * carrier
        middles = [mixed[lead + round((k + 0.25) * bit) : lead + round((k + 0.75) * bit)].mean() for k in range(35)]
        wrong += int(np.count_nonzero((np.array(middles) > 0) != _PROFILE.header_bits.astype(bool)))
    return Outcome(
        f"{wrong} wrong bits, largest difference {difference:g} V",
        "0, 0: bit-exact and sample-exact",
        wrong == 0 and difference == 0,
    )


def _mask(scale: float) -> Outcome:
    """R24: mean power over whole packets, ramps included, in slices of 200 Hz; the total is scaled to 127.9 dBuV."""
    rng, rate = np.random.default_rng(24), 1.6e6
    sender = Transmitter(_PROFILE, rate)
    total = None
    for _ in range(40):
        wave = sender.modulate(append_crc(rng.bytes(18)), phase=float(rng.uniform(-math.pi, math.pi)))
        spectrum = np.abs(np.fft.rfft(wave.astype(np.float64), 1 << 18)) ** 2
        total = spectrum if total is None else total + spectrum
    assert total is not None
    width = 200.0 / (rate / (1 << 18))
    edges = np.round(np.arange(0, total.size, width)).astype(int)
    slices = np.add.reduceat(total, edges[edges < total.size])
    level = 127.9 + 10 * np.log10(slices / total.sum() + 1e-30)
    freq = (np.arange(level.size) + 0.5) * 200.0
    in_band, above, far = level.max(), level[freq > 95e3].max(), level[(freq > 150e3) & (freq < 500e3)].max()
    text = f"{in_band:.1f} dBuV; above 95 kHz {above:.1f}, above 150 kHz {far:.1f}"
    return Outcome(text, "<= 120; 70; 66 dBuV in 200 Hz (mean)", bool(in_band <= 120 and above <= 70 and far <= 66))


def _emission(name: str, carrier: Carrier, scale: float) -> Outcome:
    """R24: the project's own measurement against EN 50065-1, mean power; the row above it is computed apart from it."""
    report = emission(harness.load(name), carrier, level_dbuv=127.9)
    worst = min((row for row in report.rows if row.decisive), key=lambda row: row.margin_db)
    text = f"least margin {worst.margin_db:+.1f} dB: {worst.name} at {worst.freq_hz / 1e3:.1f} kHz"
    return Outcome(text, f"EN 50065-1, {report.band}", report.passed)


def _resampled(rate: float, scale: float) -> Outcome:
    """R25: the same traffic at another sample rate, loss against that at 400 kS/s."""
    n, at = scaled(4000, scale), esn0_for(0.10)
    losses = []
    for fs in (RATE, rate):
        got = harness.run(Traffic(rate=fs), n, harness.seed_of("R25", fs), esn0_db=at)
        losses.append(loss_db(got.errors, n, at))
    (base, base_low, base_high), (loss, low, high) = losses
    half = math.hypot((base_high - base_low) / 2, (high - low) / 2)
    extra = loss - base
    return Outcome(
        f"extra {extra:+.3f} dB +-{half:.3f} of {n}", "<= 0.1 dB against 400 kS/s", extra <= 0.1, 0.1 < extra <= 0.1 + half
    )


def _stream(rate: float, packets: int) -> Samples:
    traffic = Traffic(rate=rate, level_v=0.2)
    x = np.concatenate([x for x, _ in harness.batches(traffic, packets, 25)])
    noise = math.sqrt(harness.mean_power(traffic) * _PROFILE.bit_time / 10 * rate / 2)
    return x + np.random.default_rng(26).normal(0, noise, x.size).astype(np.float32)


def _file(kind: str, rate: float, scale: float) -> Outcome:
    """R25: packets read from a file against those of the samples themselves."""
    n = scaled(100, scale)
    x = _stream(rate, n)
    receiver = harness.make_receiver("pl20a", rate)
    direct = [p.lpdu for p in receiver.push(x) + receiver.flush() if p.crc_ok]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"line.{'wav' if kind == 'wav' else 'sigmf-data'}"
        if kind == "wav":
            soundfile.write(path, x, round(rate), subtype="PCM_16")
        else:
            if kind == "ri16_le":
                np.round(x * 32767).astype("<i2").tofile(path)
            else:  # shifted down by the carrier; the real part would carry both side bands
                carrier = _PROFILE.carrier_hz("primary")
                spectrum = np.fft.fft(x)
                spectrum[x.size // 2 :] = 0
                z = 2 * np.fft.ifft(spectrum) * np.exp(-2j * np.pi * carrier / rate * np.arange(x.size))
                z.astype("<c8").tofile(path)
            meta = {"global": {"core:datatype": kind, "core:sample_rate": rate, "core:version": "1.0.0"}}
            capture: dict[str, float] = {"core:sample_start": 0}
            if kind.startswith("c"):
                capture["core:frequency"] = _PROFILE.carrier_hz("primary")
            path.with_suffix(".sigmf-meta").write_text(json.dumps({**meta, "captures": [capture], "annotations": []}))
        try:
            recording = open_recording(str(path))
            found = [p.lpdu for p in packets_of(recording, _PROFILE, ReceiverOptions()) if p.crc_ok]
        except Exception as error:
            reason = str(error).rsplit(": ", 1)[-1]
            return Outcome(f"refused: {reason}", "the same packets as from samples", False)
    missing = len(set(direct) ^ set(found))
    return Outcome(
        f"{len(found)} packets, {missing} differ, of {n}",
        "the same packets as from samples",
        missing == 0 and len(found) >= 0.99 * n,
    )


def _hostile(scale: float) -> Outcome:
    """R26: nothing of this may crash the receiver, nor give a packet."""
    rng = np.random.default_rng(26)
    n = round(RATE)
    noise = rng.normal(0, 0.1, n).astype(np.float32)
    square = np.where(np.arange(n) // 100 % 2 == 0, 1, -1).astype(np.float32)
    holes = noise.copy()
    holes[rng.integers(0, n, 5000)] = np.nan
    lines = {
        "NaN": np.full(n, np.nan, np.float32),
        "infinite": np.full(n, np.inf, np.float32),
        "NaN in noise": holes,
        "direct voltage": np.full(n, 3.0, np.float32),
        "noise on direct voltage": noise + np.float32(1e4),
        "clipped noise": np.clip(noise * 100, -1, 1),
        "square wave": square,
        "1e30": noise * np.float32(1e30),
        "denormal": noise * np.float32(1e-42),
        "one sample": noise[:1],
        "no sample": noise[:0],
        "zeros": np.zeros(n, np.float32),
        "steps": np.repeat(rng.choice([-1.0, 1.0], n // 1000), 1000).astype(np.float32),
    }
    proper = Transmitter(_PROFILE, RATE).modulate(append_crc(bytes(18)))
    problems = []
    for name, x in lines.items():
        receiver = harness.make_receiver("pl20a", RATE)
        try:
            packets = receiver.push(x) + receiver.flush()
        except PhyError as error:
            problems.append(f"{name}: {error}")
            continue
        good = sum(p.crc_ok for p in packets)
        if good or packets:
            problems.append(f"{name}: {good} packets, {len(packets) - good} bad ones")
        # Afterwards a packet must come through as ever.
        packets = receiver.push(np.concatenate([np.zeros(n // 4, np.float32), proper])) + receiver.flush()
        if not any(p.crc_ok for p in packets):
            problems.append(f"{name}: deaf afterwards")
    return Outcome("; ".join(problems) or f"{len(lines)} inputs, nothing found", "no crash, no packet", not problems)


def cases() -> list[Case]:
    """R23 to R26."""
    result = [
        Case("R23", "header", "35 bits of 100 random packets", _header),
        Case("R24", "transmit mask", "pl20a primary at 127.9 dBuV rms", _mask),
    ]
    for carrier in CARRIERS:
        measure = partial(_emission, "pl20a", carrier)
        result.append(Case("R24", "transmit mask, phy.emission", f"pl20a {carrier} at 127.9 dBuV", measure))
    for fs in (192e3, 250e3, 384e3, 1e6, 399_999.0):
        result.append(Case("R25", "sample rate", f"{fs / 1e3:g} kS/s, Es/N0 5.05 dB", partial(_resampled, fs)))
    for kind, fs in (("wav", 192e3), ("wav", 384e3), ("ri16_le", 400e3), ("cf32_le", 400e3)):
        name = "WAV, 16 bits" if kind == "wav" else f"SigMF {kind}"
        result.append(Case("R25", "file", f"{name}, {fs / 1e3:g} kS/s", partial(_file, kind, fs)))
    result.append(Case("R26", "hostile input", "NaN, direct voltage, clipped, one sample ...", _hostile))
    return result
