"""The line of one unit: what a packet of known power passes, and the power it needs for the wanted Es/N0."""

import inspect
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phy import Carrier, Profile
from phy.channel import LineNoise, Scenario, Source, WhiteNoise, scenario, source
from phy.channel.line_noise import ELEMENTS, element
from phy.channel.path import Element
from phy.channel.scenario import path_power_gain


@dataclass(frozen=True, slots=True)
class NoiseSource:
    """A source beside the white background: its kind and parameters.

    over: None, or the level that its level follows (carrier_band, full_band, signal), sir_db that level over it, level the name
    of the parameter that takes it.
    """

    kind: str
    parameters: tuple[tuple[str, Any], ...]
    over: str | None
    sir_db: float
    level: str


@dataclass(frozen=True, slots=True)
class PathElement:
    """An element of the path: its kind and parameters."""

    kind: str
    parameters: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class LineSetup:
    """A composite scenario by name, or a path, white noise of a density (V/sqrt(Hz)) and further sources."""

    scenario: str | None
    background_density_v: float
    sources: tuple[NoiseSource, ...]
    path: tuple[PathElement, ...] = ()


class WhiteLine:
    """A path, then white noise and further sources."""

    def __init__(self, path: list[Element], noise: LineNoise) -> None:
        self.path, self.noise = path, noise
        self.latency_samples = sum(item.latency_samples for item in path)

    def process(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) V of the packets as sent -> (N,) V as received, a stream."""
        for item in self.path:
            x = item.process(x)
        return x + self.noise.generate(x.size)


class ScenarioLine:
    """A composite scenario."""

    def __init__(self, made: Scenario) -> None:
        self.made = made
        self.latency_samples = sum(element.latency_samples for element in made.path)

    def process(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) V as transmitted -> about N samples as received."""
        return self.made.process(x)


def make_path(setup: LineSetup, carrier_hz: float, sample_rate: float) -> list[Element]:
    """The path's elements in order; those that are placed by a carrier, and say none, get this one."""
    made = []
    for item in setup.path:
        maker: Any = ELEMENTS[item.kind]
        parameters = dict(item.parameters)
        known = inspect.signature(maker.preset if "preset" in parameters and hasattr(maker, "preset") else maker).parameters
        if "carrier_hz" in known:
            parameters.setdefault("carrier_hz", carrier_hz)
        made.append(element(item.kind, sample_rate, **parameters))
    return made


def signal_power(setup: LineSetup, profile: Profile, carrier: Carrier, sample_rate: float, esn0_db: float) -> float:
    """Mean power (V^2) that every packet must have when it is sent into `make_line`.

    White noise: Es/N0 * N0 * bit_rate, over the mean power gain of the path at the carrier. A scenario sets its own loss: there
    it is the power of the profile's transmitter.
    """
    if setup.scenario is not None:
        return (profile.transmit_vpp / 2) ** 2 / 2
    carrier_hz = profile.carrier_hz(carrier)
    path = make_path(setup, carrier_hz, sample_rate)
    gain = path_power_gain(path, sample_rate, carrier_hz, profile.bit_rate) if path else 1.0
    return _received_power(setup, profile, esn0_db) / gain


def _received_power(setup: LineSetup, profile: Profile, esn0_db: float) -> float:
    """Mean power (V^2) of a packet behind the path: Es/N0 * N0 * bit_rate."""
    return float(10 ** (esn0_db / 10) * setup.background_density_v**2 * profile.bit_rate)


def make_line(
    setup: LineSetup, profile: Profile, carrier: Carrier, sample_rate: float, esn0_db: float, power: float, seed: int
) -> WhiteLine | ScenarioLine:
    """The line for packets of mean power `power` (V^2, see `signal_power`); the seed sets every random number."""
    carrier_hz = profile.carrier_hz(carrier)
    if setup.scenario is not None:
        made = scenario(
            setup.scenario, sample_rate, seed, carrier_hz=carrier_hz, bit_rate=profile.bit_rate, transmit_rms_v=math.sqrt(power),
            esn0_db=esn0_db,
        )  # fmt: skip
        return ScenarioLine(made)
    density = setup.background_density_v
    levels = {
        "carrier_band": density * math.sqrt(profile.bit_rate),
        "full_band": density * math.sqrt(sample_rate / 2),
        "signal": math.sqrt(_received_power(setup, profile, esn0_db)),
    }
    sources: list[Source] = [WhiteNoise(sample_rate, density=density, seed=seed)]
    for stream, item in enumerate(setup.sources, start=1):
        parameters = dict(item.parameters)
        if item.over is not None:
            rms = levels[item.over] * 10 ** (-item.sir_db / 20)
            parameters[item.level] = math.sqrt(2) * rms if item.level == "amplitude_v" else rms
        sources.append(source(item.kind, sample_rate, seed, **{"stream": stream, **parameters}))
    return WhiteLine(make_path(setup, carrier_hz, sample_rate), LineNoise(sample_rate, sources))
