"""The line of one unit: what a packet of known power passes, and the power it needs for the wanted Es/N0."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phy import Carrier, Profile
from phy.channel import LineNoise, Scenario, Source, WhiteNoise, scenario, source


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
class LineSetup:
    """A composite scenario by name, or white noise of a density (V/sqrt(Hz)) and further sources."""

    scenario: str | None
    background_density_v: float
    sources: tuple[NoiseSource, ...]


class WhiteLine:
    """White noise and further sources, no path."""

    def __init__(self, noise: LineNoise) -> None:
        self.noise = noise
        self.latency_samples = 0

    def process(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) V of the packets -> (N,) V with the noise, a stream."""
        return x + self.noise.generate(x.size)


class ScenarioLine:
    """A composite scenario."""

    def __init__(self, made: Scenario) -> None:
        self.made = made
        self.latency_samples = sum(element.latency_samples for element in made.path)

    def process(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) V as transmitted -> about N samples as received."""
        return self.made.process(x)


def signal_power(setup: LineSetup, profile: Profile, esn0_db: float) -> float:
    """Mean power (V^2) that every packet must have when it is sent into `make_line`.

    White noise: Es/N0 * N0 * bit_rate. A scenario sets its own loss: there it is the power of the profile's transmitter.
    """
    if setup.scenario is not None:
        return (profile.transmit_vpp / 2) ** 2 / 2
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
        "signal": math.sqrt(power),
    }
    sources: list[Source] = [WhiteNoise(sample_rate, density=density, seed=seed)]
    for stream, item in enumerate(setup.sources, start=1):
        parameters = dict(item.parameters)
        if item.over is not None:
            rms = levels[item.over] * 10 ** (-item.sir_db / 20)
            parameters[item.level] = math.sqrt(2) * rms if item.level == "amplitude_v" else rms
        sources.append(source(item.kind, sample_rate, seed, **{"stream": stream, **parameters}))
    return WhiteLine(LineNoise(sample_rate, sources))
