"""Which sound cards there are, which rates they take, and which band each can carry and why not."""

import math
from dataclasses import dataclass
from typing import Any, Final

from phy import Profile
from phy.profile import CARRIERS

from .portaudio import one_line

RATES: Final = (44_100, 48_000, 88_200, 96_000, 176_400, 192_000, 352_800, 384_000, 768_000)
BANDS: Final = {"A": "pl20a", "C": "pl20c"}
# Devices that stand for a sound server or a plug-in: they take every rate and convert it to what the card behind them has.
CONVERTING: Final = ("pulse", "default", "pipewire", "sysdefault", "dmix", "samplerate", "plug", "jack", "microsoft sound mapper")


@dataclass(frozen=True, slots=True)
class BandVerdict:
    """carries: both frequencies can be heard.    why: the reason, in either case."""

    band: str
    carries: bool
    why: str


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """A device. rates: Hz, as it says itself.    converts: a sound server that resamples may be behind it."""

    index: int
    name: str
    host_api: str
    inputs: int
    outputs: int
    default_rate: float
    rates_in: tuple[int, ...]
    rates_out: tuple[int, ...]
    converts: bool
    is_default: bool
    bands: tuple[BandVerdict, ...]


def devices(audio: Any) -> list[DeviceReport]:
    """Every device that `audio` (the module sounddevice) knows."""
    with one_line("sound cards"):
        hosts = audio.query_hostapis()
        found = list(audio.query_devices())
    reports = []
    for index, device in enumerate(found):
        host = hosts[device["hostapi"]]
        inputs, outputs = int(device["max_input_channels"]), int(device["max_output_channels"])
        rates_in = _rates(audio.check_input_settings, index) if inputs else ()
        rates_out = _rates(audio.check_output_settings, index) if outputs else ()
        name = str(device["name"])
        reports.append(
            DeviceReport(
                index, name, str(host["name"]), inputs, outputs, float(device["default_samplerate"]), rates_in, rates_out,
                any(word in name.lower() for word in CONVERTING),
                index in (host.get("default_input_device"), host.get("default_output_device")),
                tuple(band_verdict(band, rates_in, inputs) for band in BANDS),
            )
        )  # fmt: skip
    return reports


def needed_rate(profile: Profile) -> dict[str, float]:
    """Sample rate above which each carrier of a channel fits, Hz: twice the upper edge of its main lobe."""
    return {name: 2 * (profile.carrier_hz(name) + profile.bit_rate) for name in CARRIERS}


def band_verdict(band: str, rates: tuple[int, ...], inputs: int) -> BandVerdict:
    """What an input with these rates can carry of a band."""
    profile = Profile.load(BANDS[band])
    needed = needed_rate(profile)
    least = max(needed.values())
    if not inputs:
        return BandVerdict(band, False, "has no input")
    if not rates:
        return BandVerdict(band, False, "takes none of the rates that were tried")
    fitting = [rate for rate in rates if rate > least]
    top = max(profile.carrier_hz(name) for name in CARRIERS)
    if fitting:
        room = 100 * (fitting[0] / 2 - top) / top
        why = f"at {fitting[0]} Hz, {room:.0f} % below half of it"
        if room < 25:
            why += "; most cards lose level there: measure with hil-check"
        return BandVerdict(band, True, why)
    best = max(rates)
    some = [name for name, rate in needed.items() if best > rate]
    why = f"needs more than {math.ceil(least)} Hz, its highest rate is {best} Hz"
    if some:
        why += f"; the {some[0]} frequency ({profile.carrier_hz(some[0]):.0f} Hz) fits"  # type: ignore[arg-type]
    elif band == "C" and best < 384_000:
        why += ": take a card for 384 kS/s or another converter (zmq+sub:)"
    return BandVerdict(band, False, why)


def _rates(check: Any, index: int) -> tuple[int, ...]:
    found = []
    for rate in RATES:
        try:
            check(device=index, channels=1, dtype="float32", samplerate=rate)
        except Exception:  # PortAudio's way to say no
            continue
        found.append(rate)
    return tuple(found)
