"""Recordings to packets: blocks through the receiver, packets out in order of time."""

import heapq
import math
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from phy import Carrier, Packet, Profile, Receiver, ReceiverOptions
from phy.iq import PASS
from phy.profile import CARRIERS

from .errors import FlowgraphError, RecordingError
from .recording import Recording

BLOCK: Final = 1 << 16  # samples per push: small enough for Ctrl-C, large enough to be fast
AUTO: Final = "auto"
AUTO_PROFILES: Final = ("pl20a", "pl20c")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A packet of a recording and the profile that it was received with.

    Attributes:
        packet: its places are in line samples. start_sample: sample of the file at which bit 0 begins. start_s: its time.
    """

    packet: Packet
    profile: Profile
    start_sample: int
    start_s: float


def receiver_options(settings: dict[str, str]) -> ReceiverOptions:
    """Options from `receiver.option=value` settings, each converted to the type of its field.

    Raises:
        FlowgraphError: unknown option, or the text is no value of that type.
    """
    hints = typing.get_type_hints(ReceiverOptions)
    known = {field.name: hints[field.name] for field in fields(ReceiverOptions)}
    values: dict[str, Any] = {}
    for key, text in settings.items():
        name = key.removeprefix("receiver.")
        if not key.startswith("receiver.") or name not in known:
            raise FlowgraphError(f"--set {key}: unknown; there are {', '.join('receiver.' + k for k in known)}")
        values[name] = _convert(key, text, known[name])
    return ReceiverOptions(**values)


def _convert(key: str, text: str, kind: Any) -> Any:
    try:
        if kind is bool:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        value = kind(text)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError
        return value
    except (KeyError, ValueError):
        raise FlowgraphError(f"--set {key}: expected {kind.__name__}, got {text!r}") from None


def carriers_held(recording: Recording, profile: Profile) -> list[Carrier]:
    """Those whose main lobe lies in the band that the recording holds."""
    held: list[Carrier] = []
    for name in CARRIERS:
        low, high = profile.carrier_hz(name) - profile.bit_rate, profile.carrier_hz(name) + profile.bit_rate
        if recording.low_hz <= low and high < recording.high_hz:
            held.append(name)
    return held


def needed_rate(recording: Recording, profile: Profile, carrier: Carrier) -> float:
    """Sample rate of the file above which it holds a carrier, Hz; for IQ, around the same centre."""
    hz, bit_rate = profile.carrier_hz(carrier), profile.bit_rate
    if recording.centre_hz is None:
        return 2 * (hz + bit_rate)
    return (abs(hz - recording.centre_hz) + bit_rate) / PASS


def what_is_missing(recording: Recording, profile: Profile) -> str:
    """What a recording would need for the carriers that it does not hold, "" when it holds them all."""
    held = carriers_held(recording, profile)
    needs = [
        f"the {name} frequency at {profile.carrier_hz(name):.0f} Hz needs more than "
        f"{math.ceil(needed_rate(recording, profile, name))} Hz"
        for name in CARRIERS
        if name not in held
    ]
    return f"{profile.name}: {', '.join(needs)}" if needs else ""


def bands_not_held(recording: Recording) -> str:
    """What a recording would need for the carriers of a known band, in one line; "" when it holds both of one band."""
    missing = [what_is_missing(recording, Profile.load(name)) for name in AUTO_PROFILES]
    return f"{_rate_text(recording)} leaves out carriers of {'; and of '.join(missing)}" if all(missing) else ""


def _rate_text(recording: Recording) -> str:
    if recording.centre_hz is None:
        return f"{recording.name}: sample rate {recording.stored_rate:.12g} Hz"
    return (
        f"{recording.name}: IQ at {recording.stored_rate:.12g} Hz around {recording.centre_hz:.12g} Hz "
        f"({recording.low_hz:.0f}..{recording.high_hz:.0f} Hz of the line)"
    )


def packets_of(recording: Recording, profile: Profile, options: ReceiverOptions) -> Iterator[Packet]:
    """All packets of a recording, good and bad, ordered by their start, in line samples.

    Raises:
        RecordingError: its sample rate carries neither frequency of the profile; says which rate does.
    """
    carriers = carriers_held(recording, profile)
    if not carriers:
        raise RecordingError(f"{_rate_text(recording)} is too low for {what_is_missing(recording, profile)}")
    receiver = Receiver(profile, recording.sample_rate, options=options, carriers=carriers)
    # A packet is known when it ends. The two carriers can overlap, so hold each back until none can start before it.
    longest = round(profile.airtime(profile.max_octets) * recording.sample_rate) + BLOCK
    waiting: list[tuple[int, int, Packet]] = []
    position, serial = 0, 0
    for x in recording.blocks(BLOCK):
        for packet in receiver.push(x):
            heapq.heappush(waiting, (packet.start_sample, serial, packet))
            serial += 1
        position += x.size
        while waiting and waiting[0][0] < position - longest:
            yield heapq.heappop(waiting)[2]
    for packet in receiver.flush():
        heapq.heappush(waiting, (packet.start_sample, serial, packet))
        serial += 1
    while waiting:
        yield heapq.heappop(waiting)[2]


def decode_recording(
    recording: Recording, profile_name: str, options: ReceiverOptions, note: Callable[[str], None] = lambda text: None
) -> Iterator[Decoded]:
    """Packets of a recording with a profile by name, file, or `auto`.

    `auto` takes the A band; when that gives no good packet and the rate suffices for it, the C band.

    Args:
        note: is told, in one line, what the recording's rate leaves out.
    Raises:
        RecordingError: the rate carries no frequency of the profile, or of neither band; says which rates do.
    """
    names = AUTO_PROFILES if profile_name == AUTO else (profile_name,)
    profiles = [Profile.load(name) for name in names]
    possible = [profile for profile in profiles if carriers_held(recording, profile)]
    if not possible:
        missing = "; for ".join(what_is_missing(recording, profile) for profile in profiles)
        raise RecordingError(f"{_rate_text(recording)} is too low for {missing}")
    return _decoded(recording, profiles, possible, options, note)


def _decoded(
    recording: Recording, profiles: Sequence[Profile], possible: Sequence[Profile], options: ReceiverOptions,
    note: Callable[[str], None],
) -> Iterator[Decoded]:
    held: list[Decoded] = []
    for profile in possible:
        if missing := what_is_missing(recording, profile):
            note(f"{_rate_text(recording)} leaves out a part of {missing}")
        good = False
        failed: list[Decoded] = []
        for decoded in _with_profile(recording, profile, options):
            good = good or decoded.packet.crc_ok
            if not good and len(possible) > 1:
                failed.append(decoded)
                continue
            yield from failed
            failed.clear()
            yield decoded
        if good:
            return
        held = held or failed
    for profile in profiles:
        if profile not in possible:
            note(f"{_rate_text(recording)} is too low for {what_is_missing(recording, profile)}: not tried")
    yield from held


def _with_profile(recording: Recording, profile: Profile, options: ReceiverOptions) -> Iterator[Decoded]:
    for packet in packets_of(recording, profile, options):
        yield Decoded(
            packet, profile, recording.stored_sample(packet.start_sample), packet.start_sample / recording.sample_rate
        )
