"""From a specification to what a worker needs: every name resolved, every object made once to see that it can be made."""

import hashlib
import json
import math
import re
import typing
from dataclasses import dataclass, fields
from functools import cache, partial
from typing import Any, Final, Literal

import msgspec
import numpy as np

from phy import Carrier, Profile, Receiver, ReceiverOptions, Transmitter
from phy.errors import ConfigurationError, PhyError
from phy.framing import packet_bits
from phy.measure import StoppingRule
from phy.packet import WORD_DECODERS
from phy.symbol_level import DECODERS
from phy.theory import ideal_packet_error_ratio
from phy.words import WordCode

from ..errors import CampaignError
from .line import LineSetup, make_line, signal_power
from .line_keys import LEVELS, line_setup
from .own_stages import OwnStages, own_stages, with_reason
from .spec import Campaign, KeyPath, Point, named_in

UNIT_LINE_S: Final = 60.0  # line in the largest unit: about a second of work at 60 times real time
FIRST_PACKETS: Final = 64  # packets of the first units: early points must be able to stop early
FIRST_SYMBOL_PACKETS: Final = 4096
UNIT_SYMBOL_BITS: Final = 100_000_000  # coded bits in the largest unit, about half a second
_CHECK_RATE: Final = "sample_rate"
_TRIED: Final = 20_000  # samples that a receiver with stages of one's own gets before anything runs


@dataclass(frozen=True, slots=True)
class ReceiverSetup:
    """One receiver of a comparison: a waveform receiver's options and stages, or the decoder of words alone."""

    name: str
    options: ReceiverOptions
    decoder: str
    stages: OwnStages | None = None

    def make(self, profile: Profile, sample_rate: float) -> Receiver:
        """A receiver that has not received anything yet. Raises CampaignError where stages of one's own cannot be used."""
        made = Receiver(profile, sample_rate, self.options)
        if self.stages is not None:
            self.stages.install(made)
        return made


@dataclass(frozen=True, slots=True)
class PointSetup:
    """Everything a worker needs for a unit of one point; plain values, profiles and options, so that it can be sent anywhere.

    Attributes:
        kind: waveform or symbols. code: word code. octets: of an LPDU with its CRC. clock_ppm: (low, high).
        carriers: of every copy of a packet.
        first_packets, most_packets: size of the first units and of the largest ones. limit: packets of all units together.
        words_above_mean_db: see `words_above_mean_db`; 0 without a waveform.
    """

    kind: Literal["waveform", "symbols"]
    profile: Profile
    code: WordCode
    octets: int
    carriers: tuple[Carrier, ...]
    sample_rate: float
    clock_ppm: tuple[float, float]
    esn0_db: float
    gap_bits: float
    line: LineSetup
    receivers: tuple[ReceiverSetup, ...]
    first_packets: int
    most_packets: int
    words_above_mean_db: float
    limit: int

    @property
    def carrier(self) -> Carrier:
        """The carrier that the line is made for."""
        return self.carriers[0]

    @property
    def copies(self) -> int:
        """How often each packet is sent."""
        return len(self.carriers)

    def ideal(self, esn0_db: float) -> float:
        """Packet error ratio of ideal soft decoding in white noise when the packets' mean Es/N0 is this: of all copies as one."""
        together_db = 10 * math.log10(self.copies)
        return ideal_packet_error_ratio(self.code, self.octets, esn0_db + together_db + self.words_above_mean_db)

    def unit_packets(self, unit: int) -> int:
        """Packets in a unit: small ones first, twice as many after every two units, the last one cut at the limit; then 0."""
        sizes = [min(self.most_packets, self.first_packets << min(k // 2, 40)) for k in range(unit + 1)]
        return max(0, min(sizes[-1], self.limit - sum(sizes[:-1])))


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign ready to run.

    Attributes:
        noise_of: for each point the one whose packets and noise it has: points that differ in options of receivers share them.
    """

    campaign: Campaign
    setups: tuple[PointSetup, ...]
    rule: StoppingRule
    noise_of: tuple[int, ...]


def make_plan(campaign: Campaign) -> Plan:
    """Resolve and check every point.

    Raises:
        CampaignError: with file, line and key.
    """
    document = campaign.document
    stop = document.stop
    rule = StoppingRule(stop.errors, stop.packets, stop.relative_width, stop.confidence)
    if document.kind == "symbols":
        _refuse_waveform_keys(campaign)
    tried: set[str] = set()
    setups = tuple(_setup(campaign, point, tried) for point in campaign.points)
    first: dict[bytes, int] = {}
    noise_of = tuple(
        first.setdefault(msgspec.json.encode((point.values.packet, point.values.line)), point.index) for point in campaign.points
    )
    return Plan(campaign, setups, rule, noise_of)


def _refuse_waveform_keys(campaign: Campaign) -> None:
    """Keys that would have no effect without a waveform are mistakes."""
    for part, key in (
        ("packet", "carrier"), ("packet", "sample_rate"), ("packet", "clock_ppm"), ("packet", "gap_bits"),
        ("packet", "copies"),
        ("line", "scenario"), ("line", "background_density_v"), ("line", "noise"), ("line", "path"),
    ):  # fmt: skip
        named = [("axis", k, "name") for k, axis in enumerate(campaign.axes) if axis in (key, f"{part}.{key}")]
        for path in [(part, key), *named]:
            if path in campaign.source.lines and (path[0] != "axis" or named):
                raise campaign.error(path, f'{part}.{key} has no meaning with kind = "symbols", which has no waveform')


def _setup(campaign: Campaign, point: Point, tried: set[str]) -> PointSetup:
    packet, kind = point.values.packet, campaign.document.kind

    def fail(path: KeyPath, problem: str) -> typing.NoReturn:
        raise campaign.error(path, problem, point)

    if packet.esn0_db is None:
        fail(("packet",), "the key 'esn0_db' is missing: here, or as an axis")
    low, high = packet.clock_ppm if isinstance(packet.clock_ppm, list) else (packet.clock_ppm, packet.clock_ppm)
    if low > high:
        fail(("packet", "clock_ppm"), f"the first must not be above the second, got {low:g} and {high:g}")
    try:
        profile = _profile(packet.profile, campaign.source.name)
    except PhyError as error:
        fail(("packet", "profile"), str(error))
    code = profile.code
    if packet.code is not None:
        if kind == "waveform":
            fail(("packet", "code"), 'a waveform has the code of its profile; code belongs to kind = "symbols"')
        try:
            code = WordCode.named(packet.code)
        except PhyError as error:
            fail(("packet", "code"), str(error))
    receivers = tuple(_receiver(campaign, point, name, options) for name, options in point.values.receivers.items())
    if kind == "symbols":
        for receiver in receivers:
            if receiver.decoder == "weakest_flip" and code.checks.shape[0] != code.length - 8:
                fail(("receivers", receiver.name, "word_decoder"), f"weakest_flip needs a linear code, which {code.name} is not")
        most = max(FIRST_SYMBOL_PACKETS, UNIT_SYMBOL_BITS // (packet.octets * code.length))
        return PointSetup(
            "symbols", profile, code, packet.octets, ("primary",), 0.0, (0.0, 0.0), packet.esn0_db, 0.0, LineSetup(None, 1.0, ()),
            receivers, FIRST_SYMBOL_PACKETS, most, 0.0, campaign.document.stop.packets,
        )  # fmt: skip
    if not profile.min_octets <= packet.octets <= profile.max_octets:
        allowed = f"{profile.min_octets}..{profile.max_octets}"
        fail(("packet", "octets"), f"the profile {profile.name} has {allowed} octets with the CRC, got {packet.octets}")
    if packet.carrier == "alternate" and packet.copies == 1:
        fail(("packet", "carrier"), "alternate needs copies of at least 2")
    line = line_setup(campaign, point)
    duration = (profile.airtime(packet.octets) + packet.gap_bits * profile.bit_time) * packet.copies
    alternate: tuple[Carrier, Carrier] = ("primary", "secondary")
    carriers = [alternate[k % 2] if packet.carrier == "alternate" else packet.carrier for k in range(packet.copies)]
    setup = PointSetup(
        "waveform", profile, code, packet.octets, tuple(carriers), packet.sample_rate, (low, high), packet.esn0_db,
        packet.gap_bits, line, receivers, FIRST_PACKETS, max(FIRST_PACKETS, int(UNIT_LINE_S / duration)),
        words_above_mean_db(profile, packet.octets), campaign.document.stop.packets,
    )  # fmt: skip
    parts = repr((packet.profile, packet.octets, setup.carriers, setup.sample_rate, line, receivers))
    if parts not in tried:  # points that differ in levels and times are made of the same parts
        _try(campaign, point, setup)
        tried.add(parts)
    return setup


def _receiver(campaign: Campaign, point: Point, name: str, options: dict[str, Any]) -> ReceiverSetup:
    hints = typing.get_type_hints(ReceiverOptions)
    known = {field.name: hints[field.name] for field in fields(ReceiverOptions)}
    symbols = campaign.document.kind == "symbols"
    if symbols:
        known = {"word_decoder": str}
    stages = None
    if "stages" in options and not symbols:
        options = dict(options)
        try:
            stages = own_stages(options.pop("stages"), campaign.source.name)
        except CampaignError as error:
            raise campaign.error(("receivers", name, "stages"), str(error), point) from None
    for key, value in options.items():
        path: KeyPath = ("receivers", name, key)
        if key not in known:
            raise campaign.error(path, f"unknown option; expected {', '.join([*known, *([] if symbols else ['stages'])])}", point)
        try:
            msgspec.convert(value, known[key])
        except msgspec.ValidationError as error:
            raise campaign.error(path, str(error).replace("`", ""), point) from None
        choices = DECODERS if symbols else WORD_DECODERS
        if key == "word_decoder" and value not in choices:
            raise campaign.error(path, f"must be one of {', '.join(choices)}, got {value!r}", point)
    try:
        made = ReceiverOptions(**options)
    except ConfigurationError as error:
        raise campaign.error(_guilty(("receivers", name), options, str(error)), str(error), point) from None
    return ReceiverSetup(name, made, made.word_decoder, stages)


def _try(campaign: Campaign, point: Point, setup: PointSetup) -> None:
    """Make the parts once; what cannot be made is told at the key that its text names."""
    try:
        sender = Transmitter(setup.profile, setup.sample_rate)
        for carrier in set(setup.carriers):
            sender.modulate(bytes(setup.octets), carrier == "secondary")
    except ConfigurationError as error:
        raise campaign.error(("packet", _CHECK_RATE), str(error), point) from None
    for receiver in setup.receivers:
        try:
            made = receiver.make(setup.profile, setup.sample_rate)
            if receiver.stages is not None:
                with_reason([receiver.stages], partial(made.push, np.zeros(_TRIED, np.float32)))
        except CampaignError as error:
            raise campaign.error(("receivers", receiver.name, "stages"), str(error), point) from None
        except ConfigurationError as error:
            options = point.values.receivers[receiver.name]
            path = _guilty(("receivers", receiver.name), options, str(error))
            raise campaign.error(path if len(path) > 2 else ("packet", _CHECK_RATE), str(error), point) from None
        for carrier in set(setup.carriers) - made.carriers.keys():
            raise campaign.error(("packet", _CHECK_RATE), f"is too low for the {carrier} carrier", point)

    def make(line: LineSetup) -> None:
        power = signal_power(line, setup.profile, setup.carrier, setup.sample_rate, setup.esn0_db)
        made = make_line(line, setup.profile, setup.carrier, setup.sample_rate, setup.esn0_db, power, seed=0)
        made.process(np.zeros(64, np.float32))

    try:
        make(setup.line)
    except (PhyError, TypeError, ValueError, OverflowError) as error:
        path = ("line", "scenario") if setup.line.scenario else ("line", "noise")
        density, given = setup.line.background_density_v, point.values.line
        alone = [
            *((("line", "path", k), given.path[k], LineSetup(None, density, (), (e,))) for k, e in enumerate(setup.line.path)),
            *((("line", "noise", k), given.noise[k], LineSetup(None, density, (s,))) for k, s in enumerate(setup.line.sources)),
        ]
        for where, item, line in alone:
            try:
                make(line)
            except (PhyError, TypeError, ValueError, OverflowError) as problem:
                raise campaign.error(_guilty(where, item, str(problem)), _in_keys(str(problem)), point) from None
        raise campaign.error(path, str(error), point) from None


def _in_keys(text: str) -> str:
    """An error text of the channel library in words of a specification."""
    missing = re.search(r"missing a required argument: '(\w+)'", text)
    if missing is None:
        return text
    instead = "; or let it follow another level with over and sir_db" if missing[1] in LEVELS else ""
    return text.replace(missing[0], f"the key {missing[1]!r} is missing{instead}")


def _guilty(path: KeyPath, part: dict[str, Any], text: str) -> KeyPath:
    """The key of `part` that an error text names first, itself or by its value; the part when it names none."""
    said = re.findall(r"[\w.+-]+", text)
    named = {key: said.index(word) for key, value in part.items() for word in (str(value), key) if word in said}
    return (*path, min(named, key=lambda key: (key == "kind", named[key]))) if named else path


@cache
def _profile(name: str, spec: str) -> Profile:
    """By name, or a file as seen from the working directory or from the specification's."""
    return Profile.load(named_in(spec, name) if name.endswith(".toml") else name)


@cache
def words_above_mean_db(profile: Profile, octets: int) -> float:
    """Power of the words' bits over the mean of the whole packet, dB.

    Es/N0 is defined by the mean; an alternating preamble of a shaped pulse lies below it, and the words that much above.
    """
    rng, first, last = np.random.default_rng(1), len(profile.header_bits), profile.packet_bits(octets) - 1
    sender = Transmitter(profile, 1e6, level_v=1.0)
    changes = np.array([np.diff(packet_bits(rng.bytes(octets), profile)) != 0 for _ in range(200)])
    whole = np.mean([sender.packet_power(rng.bytes(octets)) for _ in range(200)])
    lost = (0.5 - whole) / np.mean(changes.sum(axis=1) / (changes.shape[1] + 1))  # of one bit time, for each change
    words = 0.5 - lost * np.mean(changes[:, first : last - profile.code.length * profile.end_words])
    return float(10 * np.log10(words / whole))


def mean_airtime(setup: PointSetup) -> float:
    """Seconds of line that a packet with its copies and gaps takes; 0 without a waveform."""
    if setup.kind == "symbols":
        return 0.0
    gap = (setup.gap_bits + 4) * setup.profile.bit_time
    return setup.copies * (setup.profile.airtime(setup.octets) + gap) if math.isfinite(gap) else 0.0


def stage_files(plan: Plan) -> dict[str, str]:
    """File -> text of all stages of users' own."""
    return {r.stages.file: r.stages.text for setup in plan.setups for r in setup.receivers if r.stages is not None}


def fingerprint(plan: Plan) -> str:
    """Text that differs when any number of the campaign may: the specification's values and the constants of its profiles."""
    document = json.loads(msgspec.json.encode(plan.campaign.document))
    document.pop("title")
    profiles = {
        setup.profile.name: {key: constant.value for key, constant in setup.profile.constants.items()} for setup in plan.setups
    }
    codes = {setup.code.name: hashlib.sha256(setup.code.table.tobytes()).hexdigest() for setup in plan.setups}
    stages = sorted(stage_files(plan).values())  # wherever they lie
    known = {"document": document, "profiles": profiles, "codes": codes, **({"stages": stages} if stages else {})}
    return json.dumps(known, sort_keys=True)
