r"""What a transmitter puts on the mains: its spectrum, and whether EN 50065-1 allows it.

    packets of random octets --> Transmitter --> Spectrum           mean power in 200 Hz slices ("psd")
                                            \--> measuring_receiver  peak and quasi-peak of a 200 Hz filter ("cispr")

Levels are those of a receiver that is calibrated with a sine: dBuV of the rms of a sine of the same peak. A carrier of
3.5 V peak (7 V peak to peak) reads 127.9 dBuV. They hold where the transmitter's level holds: at the terminals of the
artificial mains network, if the level is given there.
"""

import dataclasses
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .crc import append_crc
from .errors import ConfigurationError
from .profile import CARRIERS, Carrier, Profile
from .spectrum import Spectrum, measuring_receiver
from .transmitter import Transmitter

Detector = Literal["psd", "cispr"]
DETECTORS: Final[tuple[Detector, Detector]] = ("psd", "cispr")

_WIDE_RATE: Final = 1.2e6  # Hz: the spectrum up to 600 kHz
_NEAR_RATE: Final = 0.4e6  # Hz: the measuring receiver up to 150 kHz
_UV: Final = 1e-6


@cache
def limits() -> Mapping[str, Any]:
    """The tables of `spec/en50065.toml`, each with source and grade. Callers must not change what they get."""
    return tomllib.loads((files(__package__) / "spec" / "en50065.toml").read_text("utf-8"))


def dbuv_from_peak(peak_v: float) -> float:
    """Reading of a sine of that peak, dBuV: 20 log10(peak_v / sqrt(2) / 1 uV). A `Transmitter`'s level_v is such a peak."""
    if not 0 < peak_v < math.inf:
        raise ConfigurationError(f"peak_v must be above 0 V, got {peak_v!r}")
    return 20 * math.log10(peak_v / math.sqrt(2) / _UV)


def peak_from_dbuv(level_dbuv: float) -> float:
    """The peak in V of a sine that reads level_dbuv; half of the volts peak to peak."""
    if not -200 <= level_dbuv <= 200:
        raise ConfigurationError(f"level_dbuv must be in -200..200 dBuV, got {level_dbuv!r}")
    return math.sqrt(2) * _UV * 10 ** (level_dbuv / 20)


def limit_at(points: Sequence[Sequence[float]], freq_hz: ArrayLike) -> NDArray[np.float64]:
    """A limit through points (Hz, dBuV), straight over log frequency, at each frequency; constant beyond its ends."""
    at, level = np.array(points, np.float64).T
    limit: NDArray[np.float64] = np.interp(np.log(freq_hz), np.log(at), level)
    return limit


@dataclass(frozen=True, slots=True)
class EmissionRow:
    """One limit and what was found.

    name: what was measured.    detector: how.    freq_hz: where the margin is smallest (the carrier for a total).
    limit_dbuv, value_dbuv: there.    decisive: counts for the verdict.
    """

    name: str
    detector: str
    freq_hz: float
    limit_dbuv: float
    value_dbuv: float
    decisive: bool

    @property
    def margin_db(self) -> float:
        """Limit less value, dB."""
        return self.limit_dbuv - self.value_dbuv

    @property
    def passed(self) -> bool:
        """The value is not above the limit."""
        return self.value_dbuv <= self.limit_dbuv


@dataclass(frozen=True, eq=False)
class EmissionReport:
    """Spectrum of a transmitter's packets against the limits.

    Attributes:
        profile: name.    carrier, carrier_hz: on which.    band: its band in `spec/en50065.toml`.
        level_dbuv: asked for, of the carrier's peak.    waveform_peak_dbuv: found.
        wide_band: the -20 dB bandwidth makes it a wide-band signal.    width_20db_hz, width_99_hz: bandwidths, Hz.
        rms_to_peak_db: mean power over that of a sine of the same peak, dB.
        densest_db, edge_db: mean power in the densest 200 Hz slice, and in the slice at the band's upper edge, over the
            mean power of the packet, dB.    beyond_db: all power above that edge, over the same, dB.
        rows: every limit with value and margin.
        spectrum: mean power.    receiver_hz, peak_dbuv, quasi_peak_dbuv: (F,), of the measuring receiver.
    """

    profile: str
    carrier: Carrier
    carrier_hz: float
    band: str
    level_dbuv: float
    waveform_peak_dbuv: float
    wide_band: bool
    width_20db_hz: float
    width_99_hz: float
    rms_to_peak_db: float
    densest_db: float
    edge_db: float
    beyond_db: float
    rows: tuple[EmissionRow, ...]
    spectrum: Spectrum
    receiver_hz: NDArray[np.float64]
    peak_dbuv: NDArray[np.float64]
    quasi_peak_dbuv: NDArray[np.float64]

    @property
    def passed(self) -> bool:
        """Every decisive row passes."""
        return all(row.passed for row in self.rows if row.decisive)


def emission(
    profile: Profile,
    carrier: Carrier = "primary",
    *,
    level_dbuv: float | None = None,
    detector: Detector = "psd",
    equipment: str = "class122",
    packets: int = 12,
    octets: int = 40,
    seed: int = 1,
) -> EmissionReport:
    """Measure what a transmitter sends, packets of random octets, and compare it with EN 50065-1.

    Args:
        profile: the channel.    carrier: "primary" or "secondary".
        level_dbuv: reading of the carrier's peak, dBuV; default the profile's transmitter level, open circuit.
        detector: which readings decide. "psd": mean power in 200 Hz slices while packets are sent, as a spectrum is
            computed. "cispr": peak in the band and quasi-peak beside it, as a measuring receiver reads them; stricter.
            Beyond 150 kHz the mean power in 9 kHz decides in both.
        equipment: general, class122 or class134: the limit above 95 kHz.
        packets, octets: how many, and how long; together at least a second of signal is wise.    seed: of the octets.
    Raises:
        ConfigurationError: an argument out of range, or a carrier outside of every band of the standard.
    """
    if detector not in DETECTORS:
        raise ConfigurationError(f"detector must be psd or cispr, got {detector!r}")
    if carrier not in CARRIERS:
        raise ConfigurationError(f"carrier must be primary or secondary, got {carrier!r}")
    classes = limits()["band"]["BCD"]["total_dbuv"]
    if equipment not in classes:
        raise ConfigurationError(f"equipment must be one of {', '.join(classes)}, got {equipment!r}")
    if seed < 0:
        raise ConfigurationError(f"seed must not be negative, got {seed!r}")
    if not 2 <= packets <= 1000 or not 1 <= octets <= profile.max_octets - 2:
        raise ConfigurationError(
            f"packets must be in 2..1000 and octets in 1..{profile.max_octets - 2}, got {packets} and {octets}"
        )
    band_name, band = band_of(profile.carrier_hz(carrier))
    level = dbuv_from_peak(profile.transmit_vpp / 2) if level_dbuv is None else level_dbuv
    peak_v = peak_from_dbuv(level)
    values = limits()["receiver"]

    sent = _stream(profile, carrier, peak_v, _WIDE_RATE, 0, packets, octets, seed)
    spectrum = Spectrum.of(sent, _WIDE_RATE)
    gap_bits = limits()["packets"]["gap_bits"]
    near = _stream(profile, carrier, peak_v, _NEAR_RATE, gap_bits, packets, octets, seed)
    receiver_hz, peak, quasi = (
        each[1:]  # without 0 Hz
        for each in measuring_receiver(
            near, _NEAR_RATE, width_hz=values["slice_hz"], charge_s=values["charge_s"], discharge_s=values["discharge_s"]
        )
    )
    low_20, high_20 = spectrum.band_within(20.0, values["slice_hz"])
    slices = spectrum.slices(values["slice_hz"])
    edge = int(np.argmin(np.abs(spectrum.frequencies_hz - band["highest_hz"])))
    report = EmissionReport(
        profile=profile.name,
        carrier=carrier,
        carrier_hz=profile.carrier_hz(carrier),
        band=band_name,
        level_dbuv=level,
        waveform_peak_dbuv=dbuv_from_peak(float(np.abs(sent).max())),
        wide_band=high_20 - low_20 >= limits()["classification"]["wide_from_hz"],
        width_20db_hz=high_20 - low_20,
        width_99_hz=spectrum.width_of_share(0.99),
        rms_to_peak_db=_db(spectrum.total / (peak_v**2 / 2)),
        densest_db=_db(slices.max() / spectrum.total),
        edge_db=_db(slices[edge] / spectrum.total),
        beyond_db=_db(spectrum.power_above(band["highest_hz"]) / spectrum.total),
        rows=(),
        spectrum=spectrum,
        receiver_hz=receiver_hz,
        peak_dbuv=_dbuv(peak**2),
        quasi_peak_dbuv=_dbuv(quasi**2),
    )
    return dataclasses.replace(report, rows=(*_inside(report, band, detector, equipment), *_outside(report, band, detector)))


def band_of(carrier_hz: float) -> tuple[str, Mapping[str, Any]]:
    """Name and table of the band that a carrier lies in; ConfigurationError where there is none."""
    bands: Mapping[str, Mapping[str, Any]] = limits()["band"]
    for name, band in bands.items():
        if band["lowest_hz"] <= carrier_hz < band["highest_hz"]:
            return name, band
    raise ConfigurationError(f"EN 50065-1 has no band for signals at {carrier_hz:.0f} Hz: it covers 9 kHz to 148.5 kHz")


def _stream(
    profile: Profile, carrier: Carrier, peak_v: float, sample_rate: float, gap_bits: int, packets: int, octets: int, seed: int
) -> NDArray[np.float32]:
    """Packets of random octets, each with its own carrier phase, gap_bits of silence after each; (N,) V."""
    rng = np.random.default_rng(seed)
    transmitter = Transmitter(profile, sample_rate, level_v=peak_v)
    gap = np.zeros(round(gap_bits * profile.bit_time * sample_rate), np.float32)
    pieces = []
    for _ in range(packets):
        lpdu = append_crc(rng.bytes(octets), profile.crc)
        phase = rng.uniform(0.0, 2 * math.pi)
        pieces += [transmitter.modulate(lpdu, alternate=carrier == "secondary", phase=phase), gap]
    return np.concatenate(pieces)


def _db(ratio: float) -> float:
    return 10 * math.log10(max(ratio, 1e-30))


def _dbuv(power: ArrayLike) -> NDArray[np.float64]:
    """V^2 -> dBuV."""
    level: NDArray[np.float64] = 10 * np.log10(np.maximum(power, 1e-30)) - 20 * math.log10(_UV)
    return level


def _inside(report: EmissionReport, band: Mapping[str, Any], detector: Detector, equipment: str) -> list[EmissionRow]:
    """What the band allows its own signal."""
    at, level = report.carrier_hz, report.waveform_peak_dbuv
    if "total_dbuv" in band:
        return [
            EmissionRow(f"whole signal, {name}", "peak", at, limit, level, name == equipment)
            for name, limit in band["total_dbuv"].items()
        ]
    if not report.wide_band:
        limit = float(limit_at(band["narrow_total"], at))
        return [EmissionRow("whole signal, narrow-band", "peak", at, limit, level, True)]
    rows = [EmissionRow("whole signal, wide-band", "peak", at, band["wide_total_dbuv"], level, True)]
    slice_hz, limit = limits()["receiver"]["slice_hz"], band["wide_slice_dbuv"]
    for name, freqs, levels, counts in (
        ("psd", report.spectrum.frequencies_hz, _dbuv(report.spectrum.slices(slice_hz)), detector == "psd"),
        ("peak", report.receiver_hz, report.peak_dbuv, detector == "cispr"),
    ):
        worst = int(np.argmax(levels))
        rows.append(
            EmissionRow(f"each {slice_hz:.0f} Hz, wide-band", name, float(freqs[worst]), limit, float(levels[worst]), counts)
        )
    return rows


def _outside(report: EmissionReport, band: Mapping[str, Any], detector: Detector) -> list[EmissionRow]:
    """What the band's signal may leave beside it."""
    values, lines = limits()["receiver"], limits()["disturbance"]["quasi_peak"]
    start = lines[0][0][0]
    border = values["band_b_from_hz"]
    spectrum = report.spectrum
    mean = (spectrum.frequencies_hz, _dbuv(spectrum.slices(values["slice_hz"])))
    rows = []
    for low, high in ((start, band["lowest_hz"]), (band["highest_hz"], border)):
        for name, (freqs, levels), counts in (
            ("psd", mean, detector == "psd"),
            ("quasi-peak", (report.receiver_hz, report.quasi_peak_dbuv), detector == "cispr"),
        ):
            if low < high:
                rows.append(_worst(f"{low / 1e3:g} to {high / 1e3:g} kHz", name, freqs, levels, low, high, lines[:1], counts))
    wide = _dbuv(spectrum.slices(values["band_b_slice_hz"]))
    top = min(lines[-1][-1][0], float(spectrum.frequencies_hz[-1]) - values["band_b_slice_hz"])
    rows.append(
        _worst(
            f"{border / 1e3:g} to {top / 1e3:.0f} kHz in {values['band_b_slice_hz'] / 1e3:g} kHz", "psd",
            spectrum.frequencies_hz, wide, border, top, lines[1:], True,
        )
    )  # fmt: skip
    return rows


def _worst(
    name: str,
    detector: str,
    freqs: NDArray[np.float64],
    levels: NDArray[np.float64],
    low: float,
    high: float,
    lines: Sequence[Sequence[Sequence[float]]],
    decisive: bool,
) -> EmissionRow:
    """The place between low and high (both included) where a level comes closest to the lowest of the lines there."""
    inside = (freqs >= low) & (freqs <= high)
    f, level = freqs[inside], levels[inside]
    limit = np.full(f.size, np.inf)
    for points in lines:
        covered = (f >= points[0][0]) & (f <= points[-1][0])
        limit[covered] = np.minimum(limit[covered], limit_at(points, f[covered]))
    place = int(np.argmin(limit - level))
    return EmissionRow(name, detector, float(f[place]), float(limit[place]), float(level[place]), decisive)
