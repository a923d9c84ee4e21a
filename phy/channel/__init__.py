"""The power line as streaming objects: noise sources, and the elements of the path between two stations.

    signal of station A --> [Attenuation, Echoes, Resonance, SlowGain] --+
    signal of station B --> [...] ---------------------------------------+--> (+) --> [Coupler, ClockError, Quantiser] --> C
    LineNoise: WhiteNoise + MainsImpulses + Tone + ... ---------------------> /

A source gives volts on demand (`generate(n)`), an element turns volts into volts (`process(x)`); neither depends on how
the stream is cut. Every voltage is float32, every random number a function of (seed, stream, sample index).
`scenario` puts both together under one name and sets Es/N0.
"""

import numpy as np

from .access import Feed, access_impedance, artificial_mains_ohm, maker_load_ohm, receiver_ohm
from .bursts import BandBursts, GilbertElliottNoise, MarkovImpulses
from .clock import ClockError, Resampler
from .coloured import (
    BackgroundNoise,
    BroadbandFloor,
    ColouredNoise,
    CyclostationaryNoise,
    background_density,
    broadband_density,
    katayama_power,
    place_sigma,
)
from .converter import Quantiser
from .coupler import Coupler
from .impulses import MainsImpulses, RandomImpulses
from .line_noise import ELEMENTS, SOURCES, LineNoise, Spec, element, source
from .loss import LossRange, LossSpread, PacketLoss
from .mixture import AlphaStableNoise, BernoulliGaussianNoise, ClassANoise
from .path import Attenuation, Echoes, Element, Flat, Resonance, SlowGain, StopBand, Tilt, echo_paths
from .scenario import Scenario, esn0_db, loss_for_esn0, path_power_gain, scenario, scenario_names
from .source import Source
from .switched import SwitchedNoise
from .switching import PeriodicImpulses
from .tones import MainsHum, Tone, ToneSet, mask_dbuv
from .white import WhiteNoise

__all__ = [
    "ELEMENTS",
    "SOURCES",
    "AlphaStableNoise",
    "Attenuation",
    "BackgroundNoise",
    "BandBursts",
    "BernoulliGaussianNoise",
    "BroadbandFloor",
    "ClassANoise",
    "ClockError",
    "ColouredNoise",
    "Coupler",
    "CyclostationaryNoise",
    "Echoes",
    "Element",
    "Feed",
    "Flat",
    "GilbertElliottNoise",
    "LineNoise",
    "LossRange",
    "LossSpread",
    "MainsHum",
    "MainsImpulses",
    "MarkovImpulses",
    "PacketLoss",
    "PeriodicImpulses",
    "Quantiser",
    "RandomImpulses",
    "Resampler",
    "Resonance",
    "Scenario",
    "SlowGain",
    "Source",
    "Spec",
    "StopBand",
    "SwitchedNoise",
    "Tilt",
    "Tone",
    "ToneSet",
    "WhiteNoise",
    "access_impedance",
    "artificial_mains_ohm",
    "background_density",
    "broadband_density",
    "echo_paths",
    "element",
    "esn0_db",
    "katayama_power",
    "loss_for_esn0",
    "maker_load_ohm",
    "mask_dbuv",
    "path_power_gain",
    "place_sigma",
    "receiver_ohm",
    "scenario",
    "scenario_names",
    "source",
    "warmup",
]


def warmup() -> None:
    """Compile every kernel of the channel (or load it from the disk cache), so that no later call waits for it."""
    rate = 400_000.0
    sources = (
        CyclostationaryNoise(rate, rms_v=1.0),  # gaussian, convolve, periodic
        MainsImpulses(rate, amplitude_v=1.0, tau_s=50e-6, ring_hz=90e3),
        RandomImpulses(rate, mean_interval_s=1e-3, mean_width_s=1e-4, lowest_v=1.0, highest_v=1.0),
        Tone(rate, 77.5e3, 1.0),
        GilbertElliottNoise.preset("bursty", rate, 1.0),  # two_states
        ClassANoise.preset("A.1_G.01", rate, 1.0, centre_hz=86e3, bandwidth_hz=80e3),  # uniforms, polynomial, upconvert
        SwitchedNoise.preset("lv3", rate),  # regions
    )
    LineNoise(rate, sources).generate(8)
    ClockError(rate, 100.0).process(np.zeros(100, np.float32))  # interpolate
    Resonance(rate, 80e3, 20.0, 0.7).process(np.zeros(8, np.float32))
