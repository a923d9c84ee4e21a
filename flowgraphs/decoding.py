"""Recordings to packets: blocks through the receiver, packets out in order of time."""

import heapq
import typing
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

from phy import Packet, Profile, Receiver, ReceiverOptions

from .errors import FlowgraphError
from .recording import Recording

BLOCK: Final = 1 << 16  # samples per push: small enough for Ctrl-C, large enough to be fast
AUTO: Final = "auto"
AUTO_PROFILES: Final = ("pl20a", "pl20c")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A packet of a recording and the profile that it was received with."""

    packet: Packet
    profile: Profile
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
        return kind(text)
    except (KeyError, ValueError):
        raise FlowgraphError(f"--set {key}: expected {kind.__name__}, got {text!r}") from None


def packets_of(recording: Recording, profile: Profile, options: ReceiverOptions) -> Iterator[Packet]:
    """All packets of a recording, good and bad, ordered by their start."""
    receiver = Receiver(profile, recording.sample_rate, options=options)
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


def decode_recording(recording: Recording, profile_name: str, options: ReceiverOptions) -> Iterator[Decoded]:
    """Packets of a recording with a profile by name, file, or `auto`.

    `auto` takes the A band; when that gives no good packet and the rate suffices for it, the C band.
    """
    if profile_name != AUTO:
        yield from _with_profile(recording, Profile.load(profile_name), options)
        return
    held: list[Decoded] = []
    for name in AUTO_PROFILES:
        profile = Profile.load(name)
        if recording.sample_rate <= 2 * (profile.carrier_hz("secondary") + profile.bit_rate):
            continue
        good = False
        failed: list[Decoded] = []
        for decoded in _with_profile(recording, profile, options):
            good = good or decoded.packet.crc_ok
            if not good:
                failed.append(decoded)
                continue
            yield from failed
            failed.clear()
            yield decoded
        if good:
            return
        held = held or failed
    yield from held


def _with_profile(recording: Recording, profile: Profile, options: ReceiverOptions) -> Iterator[Decoded]:
    for packet in packets_of(recording, profile, options):
        yield Decoded(packet, profile, packet.start_sample / recording.sample_rate)
