"""Composite scenarios: a path and the noise at its end under one name, set to a wanted Es/N0.

    x --> [Attenuation, ...] --(+)--> [ClockError] --> [Quantiser] --> y
             transfer           |
                              noise (background + extra sources)
"""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._kernels import noise as kernels
from ..errors import ConfigurationError
from ..profile import Profile
from . import catalogue
from .clock import ClockError
from .converter import Quantiser
from .limits import below_nyquist, finite, positive, whole
from .line_noise import ELEMENTS, SOURCES, LineNoise, element, source
from .path import Attenuation, Element
from .source import MAX_SEED, Source

_COMB_TONES = 41
_COMB_MAINS_CYCLES = 12
_SETTLE_S = 0.02
_DENSITY_POINTS = 33
_MAINS = ("mains_freq", "mains_phase", "mains_drift_hz")


class _Background(Protocol):
    """A source that knows its density."""

    def density_at(self, freq_hz: float) -> float: ...
    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]: ...


def esn0_db(signal_rms_v: float, noise_density: float, bit_rate: float) -> float:
    """Es/N0 = (mean power over the packet * T_b) / N0, dB.

    Args:
        signal_rms_v: rms of the packet at the receiver terminals, V.
        noise_density: square root of the one-sided density N0 of the background, V/sqrt(Hz), mean over +-bit_rate / 2.
        bit_rate: coded bits a second, Hz.
    """
    return 20 * math.log10(signal_rms_v / noise_density) - 10 * math.log10(bit_rate)


def loss_for_esn0(wanted_db: float, transmit_rms_v: float, path_gain: float, noise_density: float, bit_rate: float) -> float:
    """The flat loss (dB) that brings a packet to the wanted Es/N0 at the receiver; may be negative.

    This is the one place where a scenario is scaled: the noise keeps its volts, the signal comes down to it. With the
    definition of `esn0_db`,  loss = Es/N0 of the transmitted packet + path_gain - wanted.

    Args:
        wanted_db: Es/N0, dB.    transmit_rms_v: rms of the packet as transmitted, V.
        path_gain: mean power behind the other elements of the path over that before them (`path_power_gain`).
        noise_density, bit_rate: as of `esn0_db`.
    """
    return esn0_db(transmit_rms_v, noise_density, bit_rate) + 10 * math.log10(path_gain) - finite("esn0_db", wanted_db)


def path_power_gain(
    elements: Sequence[Element],
    sample_rate: float,
    carrier_hz: float,
    bit_rate: float,
    mains_freq: float = 50.0,
    waveform: ArrayLike | None = None,
) -> float:
    """Mean power behind a path over that before it, measured on copies of its elements.

    Args:
        waveform: the packet, (N,); without it a flat comb over carrier_hz +- bit_rate / 2 lasting whole mains cycles.
    """
    if waveform is None:
        settle = round(_SETTLE_S * sample_rate)
        n = settle + round(_COMB_MAINS_CYCLES * sample_rate / mains_freq)
        freqs = carrier_hz + bit_rate * (np.arange(_COMB_TONES) - _COMB_TONES // 2) / _COMB_TONES
        phases = np.pi * np.arange(_COMB_TONES) ** 2 / _COMB_TONES  # after Schroeder: no crest
        sent = np.zeros(n)
        for freq, phase in zip(freqs, phases, strict=True):
            sent += np.cos(2 * np.pi * freq / sample_rate * np.arange(n) + phase)
    else:
        settle, sent = 0, np.asarray(waveform, np.float64)
    got = sent.astype(np.float32)
    for item in elements:
        got = item.copy().process(got)
    before, behind = np.mean(sent[settle:] ** 2), np.mean(got[settle:].astype(np.float64) ** 2)
    if not before > 0.0 or not behind > 0.0:
        raise ConfigurationError("nothing comes through the path: Es/N0 has no meaning there")
    return float(behind / before)


@dataclass(eq=False)
class Scenario:
    """A line ready to run; made by `scenario`.

    Attributes:
        name, title: what it is.    sample_rate, carrier_hz, bit_rate: Hz.    seed: of every random number.
        path: the elements, the flat loss first.    noise: background first.
        clock, converter: of the receiver, or None.
        loss_db: the flat loss.    signal_rms_v: rms of a packet at the place where Es/N0 is taken, V.
        background_density: V/sqrt(Hz), mean over carrier_hz +- bit_rate / 2.    esn0_db: what these two give.
    """

    name: str
    title: str
    sample_rate: float
    carrier_hz: float
    bit_rate: float
    seed: int
    path: tuple[Element, ...]
    noise: LineNoise
    clock: ClockError | None
    converter: Quantiser | None
    loss_db: float
    signal_rms_v: float
    background_density: float
    esn0_db: float

    def transfer(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The path alone: (N,) float32 -> (N,) float32, V, a stream."""
        for item in self.path:
            x = item.process(x)
        return x

    def process(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the receiver gets: (N,) V as transmitted -> V as sampled. N samples, or about N with a clock error."""
        y = self.transfer(np.asarray(x, np.float32))
        y = y + self.noise.generate(y.size)
        if self.clock is not None:
            y = self.clock.process(y)
        return y if self.converter is None else self.converter.process(y)

    def reset(self) -> None:
        """Go back to the first sample."""
        parts: tuple[Element | LineNoise | ClockError | None, ...] = (*self.path, self.noise, self.clock, self.converter)
        for part in parts:
            if part is not None:
                part.reset()


def scenario_names() -> tuple[str, ...]:
    """`S0_awgn` .. `S7_blocked`."""
    return tuple(name for name in catalogue.load("scenario") if name != "family")


def scenario(
    name: str,
    sample_rate: float,
    seed: int = 0,
    *,
    carrier_hz: float | None = None,
    bit_rate: float | None = None,
    transmit_rms_v: float | None = None,
    waveform: NDArray[np.float32] | None = None,
    esn0_db: float | None = None,
    clock_ppm: float | None = None,
    mains_freq: float = 50.0,
    mains_phase: float = 0.0,
    mains_drift_hz: float = 0.0,
    profile: str = "pl20a",
) -> Scenario:
    """One of the composite scenarios of `spec/scenario.toml`.

    Args:
        name: see `scenario_names`.    sample_rate: Hz.    seed: the same seed gives the same line, bit for bit.
        carrier_hz: the carrier that levels, resonances and N0 refer to.    bit_rate: coded bits a second.
        transmit_rms_v: rms of a packet as transmitted, V. These three come from `profile` when they are not given (a sine of
            its level for the rms; a shaped packet has 1 to 2 dB less, so give its own rms or the waveform for exact figures).
        waveform: a packet as transmitted, (N,) V: Es/N0 is then exactly that of this packet when it starts at sample 0.
        esn0_db: wanted Es/N0; the loss is set for it (`loss_for_esn0`). Without it the scenario's own loss holds.
        clock_ppm: clock error of the receiver; without it, uniform in the scenario's range, from the seed.
        mains_freq, mains_phase, mains_drift_hz: of everything that follows the mains.

    Raises:
        ConfigurationError: unknown name, or an argument out of its range.
    """
    data = catalogue.load("scenario")
    if name not in scenario_names():
        raise ConfigurationError(f"unknown scenario {name!r}; there are: {', '.join(scenario_names())}")
    values: Mapping[str, Any] = data[name]
    fs = positive("sample_rate", sample_rate)
    constants = Profile.load(profile)
    carrier = below_nyquist("carrier_hz", constants.carrier_hz("primary") if carrier_hz is None else carrier_hz, fs)
    rate = positive("bit_rate", constants.bit_rate if bit_rate is None else bit_rate)
    mains = dict(zip(_MAINS, (mains_freq, mains_phase, mains_drift_hz), strict=True))
    key = whole("seed", seed, 0, MAX_SEED)
    sent = _transmitted(waveform, transmit_rms_v, constants.transmit_vpp)

    elements = [_element(item, fs, carrier, mains) for item in values.get("path", ())]
    counted = elements if values.get("esn0_at", "receiver") == "receiver" else []
    gain = path_power_gain(counted, fs, carrier, rate, mains_freq, waveform) if counted else 1.0
    background = _background(values["background"], fs, key, carrier, rate, mains)
    density = _mean_density(background, carrier, rate)

    loss = float(catalogue.entry("path", "attenuation", values["loss"])["attenuation_db"])
    if esn0_db is not None:
        loss = loss_for_esn0(esn0_db, sent, gain, density, rate)
    signal = sent * math.sqrt(gain) * 10 ** (-loss / 20)
    levels = {"carrier_band": density * math.sqrt(rate), "full_band": density * math.sqrt(fs / 2), "signal": signal}
    sources = [background]
    for stream, item in enumerate(values.get("extra", ()), start=1):
        sources.append(_extra(item, fs, key, stream, levels, carrier, mains))
    return Scenario(
        name=name,
        title=values["title"],
        sample_rate=fs,
        carrier_hz=carrier,
        bit_rate=rate,
        seed=key,
        path=(Attenuation(loss), *elements),
        noise=LineNoise(fs, sources),
        clock=_clock(values, fs, key, clock_ppm),
        converter=Quantiser(**values["converter"]) if "converter" in values else None,
        loss_db=loss,
        signal_rms_v=signal,
        background_density=density,
        esn0_db=_esn0_db(signal, density, rate),
    )


_esn0_db: Final = esn0_db  # the argument of that name hides the function


def _transmitted(waveform: NDArray[np.float32] | None, transmit_rms_v: float | None, transmit_vpp: float) -> float:
    """rms of a packet as transmitted, V."""
    if waveform is None:
        return positive("transmit_rms_v", transmit_vpp / math.sqrt(8) if transmit_rms_v is None else transmit_rms_v)
    if transmit_rms_v is not None:
        raise ConfigurationError("give either waveform or transmit_rms_v: a waveform has its own rms")
    packet = np.asarray(waveform, np.float64)
    if packet.ndim != 1 or packet.size == 0:
        raise ConfigurationError(f"waveform must be the samples of one packet, got shape {packet.shape}")
    return positive("rms of waveform", math.sqrt(float(np.mean(packet**2))))


def _arguments(item: Mapping[str, Any], maker: type[Any], mains: Mapping[str, float]) -> dict[str, Any]:
    """What a row says about its element or source, with the mains where it follows them."""
    known = inspect.signature(maker).parameters
    arguments = {name: value for name, value in item.items() if name not in ("kind", "density_v", "over", "sir_db", "offset_hz")}
    return {**arguments, **{name: value for name, value in mains.items() if name in known}}


def _element(item: Mapping[str, Any], sample_rate: float, carrier_hz: float, mains: Mapping[str, float]) -> Element:
    maker: Any = ELEMENTS[item["kind"]]
    arguments = _arguments(item, maker, mains)
    if "carrier_hz" in inspect.signature(maker.preset).parameters:
        arguments["carrier_hz"] = carrier_hz
    return element(item["kind"], sample_rate, **arguments)


def _background(
    item: Mapping[str, Any], sample_rate: float, seed: int, carrier_hz: float, bit_rate: float, mains: Mapping[str, float]
) -> Any:
    """The source of N0, at the density its row asks for."""
    kind, density = item["kind"], item.get("density_v")
    arguments = {**_arguments(item, SOURCES[kind], mains), "seed": seed}
    if kind == "white":
        return source(kind, sample_rate, density=density, **arguments)
    if kind == "class_a":
        band = catalogue.entry("noise", "class_a")["samples_per_bit"] * bit_rate
        arguments.update(centre_hz=carrier_hz, bandwidth_hz=band)
    if density is None:
        return source(kind, sample_rate, **arguments)
    unit: Any = source(kind, sample_rate, rms_v=1.0, **arguments)
    return source(kind, sample_rate, rms_v=density / _mean_density(unit, carrier_hz, bit_rate), **arguments)


def _extra(
    item: Mapping[str, Any],
    sample_rate: float,
    seed: int,
    stream: int,
    levels: Mapping[str, float],
    carrier_hz: float,
    mains: Mapping[str, float],
) -> Source:
    kind = item["kind"]
    reference = levels[item["over"]] * 10 ** (-item.get("sir_db", 0.0) / 20)
    arguments = {**_arguments(item, SOURCES[kind], mains), "seed": seed, "stream": stream}
    if kind == "tone":
        arguments.update(freq_hz=carrier_hz + item["offset_hz"], amplitude_v=math.sqrt(2) * reference)
        return source(kind, sample_rate, **arguments)
    return source(kind, sample_rate, reference_v=reference, **arguments)


def _mean_density(background: _Background, carrier_hz: float, bit_rate: float) -> float:
    """Square root of the mean power density over carrier_hz +- bit_rate / 2, V/sqrt(Hz)."""
    freqs = carrier_hz + bit_rate * np.linspace(-0.5, 0.5, _DENSITY_POINTS)
    return math.sqrt(float(np.mean([background.density_at(float(freq)) ** 2 for freq in freqs])))


def _clock(values: Mapping[str, Any], sample_rate: float, seed: int, clock_ppm: float | None) -> ClockError | None:
    if clock_ppm is None and "clock_ppm" not in values:
        return None
    if clock_ppm is None:
        u = np.empty(1)
        kernels.uniforms(u, np.uint64(seed), np.uint64(0), np.uint64(0), 0)
        clock_ppm = (2 * float(u[0]) - 1) * values["clock_ppm"]
    return ClockError(sample_rate, clock_ppm)
