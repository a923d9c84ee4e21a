"""All the noise of a line: the sum of its sources, and sources made from their names."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError
from .bursts import BandBursts, GilbertElliottNoise, MarkovImpulses
from .coloured import BackgroundNoise, BroadbandFloor, ColouredNoise, CyclostationaryNoise
from .converter import Quantiser
from .coupler import Coupler
from .impulses import MainsImpulses, RandomImpulses
from .limits import positive
from .mixture import AlphaStableNoise, BernoulliGaussianNoise, ClassANoise
from .path import Attenuation, Echoes, Element, Flat, Resonance, SlowGain, StopBand, Tilt
from .source import Source
from .switched import SwitchedNoise
from .switching import PeriodicImpulses
from .tones import MainsHum, Tone, ToneSet
from .white import WhiteNoise

SOURCES: Final[Mapping[str, type[Source]]] = {
    "white": WhiteNoise,
    "coloured": ColouredNoise,
    "background": BackgroundNoise,
    "broadband_floor": BroadbandFloor,
    "cyclostationary": CyclostationaryNoise,
    "mains_impulses": MainsImpulses,
    "random_impulses": RandomImpulses,
    "tone": Tone,
    "tone_set": ToneSet,
    "mains_hum": MainsHum,
    "switched": SwitchedNoise,
    "band_bursts": BandBursts,
    "periodic_impulses": PeriodicImpulses,
    "markov_impulses": MarkovImpulses,
    "gilbert_elliott": GilbertElliottNoise,
    "bernoulli_gaussian": BernoulliGaussianNoise,
    "class_a": ClassANoise,
    "alpha_stable": AlphaStableNoise,
}

ELEMENTS: Final[Mapping[str, type[Element]]] = {
    "attenuation": Attenuation,
    "flat": Flat,
    "echoes": Echoes,
    "resonance": Resonance,
    "tilt": Tilt,
    "stop_band": StopBand,
    "slow_gain": SlowGain,
    "coupler": Coupler,
    "quantiser": Quantiser,
}

_WITHOUT_RATE = {"attenuation", "flat", "quantiser"}  # elements that have no use for the sample rate


@dataclass(frozen=True, slots=True)
class Spec:
    """A source or an element by name, as a graph file gives it.

    kind: a key of `SOURCES` or `ELEMENTS`.  parameters: arguments of that class; `preset` takes a published set.
    """

    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def source(kind: str, sample_rate: float, seed: int = 0, **parameters: Any) -> Source:
    """Make a noise source by the name of its kind (a key of `SOURCES`).

    >>> source("tone", 400_000, freq_hz=77_500, amplitude_v=0.01).generate(2).shape
    (2,)

    Raises:
        ConfigurationError: unknown kind, preset or parameter, a parameter missing, or one out of its range.
    """
    return _source(kind, {"sample_rate": sample_rate, "seed": seed, **parameters})


def element(kind: str, sample_rate: float, **parameters: Any) -> Element:
    """Make a path element by the name of its kind (a key of `ELEMENTS`); errors as of `source`."""
    arguments = dict(parameters)
    if kind not in _WITHOUT_RATE:
        arguments["sample_rate"] = sample_rate
    made: Element = _make(ELEMENTS, "path element", kind, arguments)
    return made


def _source(kind: str, parameters: Mapping[str, Any]) -> Source:
    made: Source = _make(SOURCES, "noise source", kind, parameters)
    return made


def _make(registry: Mapping[str, type[Any]], what: str, kind: str, parameters: Mapping[str, Any]) -> Any:
    if kind not in registry:
        raise ConfigurationError(f"unknown {what} {kind!r}; there are: {', '.join(sorted(registry))}")
    maker: Any = registry[kind]
    arguments = dict(parameters)
    allowed = set(inspect.signature(maker).parameters)
    if "preset" in arguments:
        if not hasattr(maker, "preset"):
            raise ConfigurationError(f"{kind} has no presets")
        maker = maker.preset
        arguments["name"] = arguments.pop("preset")
        own = set(inspect.signature(maker).parameters)
        allowed = own if "changes" not in own else (allowed | own) - {"changes"}
    unknown = sorted(set(arguments) - allowed)
    if unknown:
        raise ConfigurationError(f"{kind} has no parameter {unknown[0]!r}; it has: {', '.join(sorted(allowed))}")
    try:
        inspect.signature(maker).bind(**arguments)
    except TypeError as error:
        raise ConfigurationError(f"{kind}: {error}") from None
    return maker(**arguments)


class LineNoise(Source):
    """The sum of noise sources; a source itself.

    Args:
        sources: any number of them, all at the same sample rate; their own places in the stream do not matter.
        first_sample: absolute index of the first sample that `generate` returns.
    """

    def __init__(self, sample_rate: float, sources: Sequence[Source] = (), first_sample: int = 0) -> None:
        super().__init__(positive("sample_rate", sample_rate), first_sample=first_sample)
        for member in sources:
            if member.sample_rate != self.sample_rate:
                text = f"every source must run at {self.sample_rate:g} Hz, got one at {member.sample_rate:g} Hz"
                raise ConfigurationError(text)
        self.sources = tuple(sources)

    @classmethod
    def from_specs(cls, specs: Sequence[Spec], sample_rate: float, seed: int = 0, first_sample: int = 0) -> Self:
        """Make every source of a list; each gets the seed and, as its stream, its place in the list."""
        members = [
            _source(spec.kind, {"sample_rate": sample_rate, "seed": seed, "stream": place, **spec.parameters})
            for place, spec in enumerate(specs)
        ]
        return cls(sample_rate, members, first_sample)

    def samples(self, first_sample: int, n: int) -> NDArray[np.float32]:
        y = np.zeros(n, np.float32)
        for member in self.sources:
            y += member.samples(first_sample, n)
        return y
