"""The specification of a campaign: TOML, checked as a whole before anything runs.

Every problem is one line with file, line number and key: `awgn.toml:12: packet.octets: Expected int <= 4096`.
"""

import copy
import itertools
import math
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from phy.toml_source import TomlSource, dotted

from ..errors import CampaignError

CAMPAIGNS: Final = Path(__file__).parent.parent / "campaigns"
MOST_POINTS: Final = 10_000
LARGEST: Final = 1e12  # end of an axis

Ppm = Annotated[float, Meta(ge=-5000, le=5000)]
Decibel = Annotated[float, Meta(ge=-60, le=100)]
KeyPath = tuple[str | int, ...]
T = TypeVar("T")


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of everything in a specification: unknown keys are errors."""


class PacketPart(Part, frozen=True):
    """What is sent.

    profile: name, or file as seen from the working directory or from the specification's. code: word code by name instead of the
    profile's ("symbols" only). octets: of an LPDU with its CRC. carrier: primary or secondary. sample_rate: Hz. clock_ppm: error
    of the sender's clock, a number or [low, high], uniform for each packet. esn0_db: mean energy of a bit of the packet over the
    noise density. gap_bits: noise alone between packets. copies: how often each packet is sent, one after the other; a good one
    is enough. carrier alternate: every other copy on the secondary carrier, with the flag that says so in its first octet.
    """

    profile: str = "pl20a"
    code: str | None = None
    octets: Annotated[int, Meta(ge=3, le=4096)] = 20
    carrier: Literal["primary", "secondary", "alternate"] = "primary"
    sample_rate: Annotated[float, Meta(ge=1000, le=100e6)] = 400_000.0
    clock_ppm: Ppm | Annotated[list[Ppm], Meta(min_length=2, max_length=2)] = 0.0
    esn0_db: Decibel | None = None
    gap_bits: Annotated[float, Meta(ge=24, le=10_000)] = 40.0
    copies: Annotated[int, Meta(ge=1, le=16)] = 1


class LinePart(Part, frozen=True):
    """What it goes through: a composite scenario by name, or a path, white noise and further sources.

    path: `{kind = ..., parameters}` of `phy.channel.element`, in order; Es/N0 is that behind it, by the mean gain over the
    carrier's band (the primary's when they alternate). What is placed by a carrier gets the packet's when it says none.
    background_density_v: V/sqrt(Hz), the N0 of Es/N0. noise: `{kind = ..., parameters}` of `phy.channel.source`; `over` gives
    the level that decibels count from (carrier_band, full_band or signal, as in scenarios), `sir_db` that level over the source.
    """

    scenario: str | None = None
    background_density_v: Annotated[float, Meta(gt=0, le=1)] = 1e-6
    noise: list[dict[str, Any]] = []
    path: list[dict[str, Any]] = []


class StopPart(Part, frozen=True):
    """When a point ends: at `errors` errors, at `packets` packets, or when the confidence interval is narrow enough.

    With several receivers, when this holds for each of them.
    """

    errors: Annotated[int, Meta(ge=1, le=10**9)] = 100
    packets: Annotated[int, Meta(ge=1, le=10**12)] = 100_000
    relative_width: Annotated[float, Meta(ge=0, le=10)] = 0.0
    confidence: Annotated[float, Meta(gt=0, lt=1)] = 0.95


class AxisPart(Part, frozen=True):
    """A parameter and its values: a list, or start, stop and step."""

    name: str
    values: list[Any] | None = None
    start: float | int | None = None
    stop: float | int | None = None
    step: float | int | None = None


# [receivers.NAME]: options of phy.ReceiverOptions, and stages = "FILE.py:FUNCTION": a function that is called with each new
# receiver and puts stages of one's own into it, see `own_stages`. With kind = "symbols" only word_decoder.


class Values(Part, frozen=True):
    """Everything one point needs, after the axes have set their parameters."""

    packet: PacketPart
    line: LinePart
    receivers: dict[str, dict[str, Any]]


class Document(Part, frozen=True):
    """A whole specification."""

    title: str
    kind: Literal["waveform", "symbols"]
    axis: Annotated[list[AxisPart], Meta(min_length=1, max_length=8)]
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1
    packet: PacketPart = PacketPart()
    line: LinePart = LinePart()
    stop: StopPart = StopPart()
    receivers: dict[str, dict[str, Any]] = msgspec.field(default_factory=lambda: {"default": {}})


@dataclass(frozen=True, slots=True)
class Point:
    """One combination of the axes' values.

    Attributes:
        index: its number, from 0. coordinates: axis name -> value. values: all parameters. sources: path of a parameter -> path
            of the axis value in the file that has set it.
    """

    index: int
    coordinates: dict[str, Any]
    values: Values
    sources: dict[KeyPath, KeyPath]


@dataclass(frozen=True, slots=True)
class Campaign:
    """A checked specification.

    Attributes:
        source: the text with its lines. document: as written. axes: names in order. points: all combinations, the last axis
            fastest.
    """

    source: TomlSource
    text: str
    document: Document
    axes: tuple[str, ...]
    points: tuple[Point, ...]

    def error(self, path: KeyPath, problem: str, point: Point | None = None) -> CampaignError:
        """A problem with the value at `path`, told at the axis that has set it, if one has."""
        return _error(self.source, path, problem, point.sources if point else {})


def load_campaign(spec: str) -> Campaign:
    """The specification in a file, or one that comes with the package by its bare name.

    Raises:
        CampaignError: no such file, or a fault in it, with file and line.
    """
    path = Path(spec)
    ready = CAMPAIGNS / f"{spec}.toml"
    if not path.is_file() and re.fullmatch(r"[\w-]+", spec):  # a directory may have the name: of the results of `-o awgn`
        if not ready.exists() and not path.exists():
            known = ", ".join(sorted(p.stem for p in CAMPAIGNS.glob("*.toml")))
            raise CampaignError(f"{spec}: no such file; campaigns that come with the package: {known}")
        path = ready if ready.exists() else path
    return parse_campaign(read_text(path, spec), spec)


def read_text(path: Path, name: str) -> str:
    """The UTF-8 text of a file. Raises CampaignError, which calls it `name`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CampaignError(f"{name}: {error.strerror if isinstance(error, OSError) else 'not UTF-8 text'}") from None


def named_in(spec: str, name: str) -> Path:
    """The file that a specification names: as seen from the working directory, or else from the specification's."""
    beside = Path(spec).parent / name
    return beside if not Path(name).exists() and beside.exists() else Path(name)


def parse_campaign(text: str, name: str = "campaign") -> Campaign:
    """A specification from its text; `name` stands for the file in messages. What the points mean is checked by `plan`."""
    try:
        source = TomlSource(name, text)
    except ValueError as error:
        raise CampaignError(str(error)) from None
    document = _convert(source, source.tree, Document, {})
    if not document.receivers:
        raise _error(source, ("receivers",), "at least one receiver is needed")
    axes = tuple(axis.name for axis in document.axis)
    values = [_axis_values(source, k, axis) for k, axis in enumerate(document.axis)]
    targets = [_target(source, k, axis.name, document) for k, axis in enumerate(document.axis)]
    _check_targets(source, axes, targets)
    count = math.prod(len(v) for v in values)
    if count > MOST_POINTS:
        raise _error(source, ("axis",), f"{count} points; at most {MOST_POINTS} are possible")
    return Campaign(source, text, document, axes, tuple(_points(source, axes, values, targets)))


def _points(
    source: TomlSource, axes: tuple[str, ...], values: list[list[Any]], targets: list[list[KeyPath]]
) -> Iterator[Point]:
    plain = {key: source.tree.get(key, {}) for key in ("packet", "line", "receivers")}
    plain["receivers"] = plain["receivers"] or {"default": {}}
    for index, places in enumerate(itertools.product(*(range(len(v)) for v in values))):
        tree = copy.deepcopy(plain)
        sources: dict[KeyPath, KeyPath] = {}
        for axis, place in enumerate(places):
            for path in targets[axis]:
                _set(tree, path, values[axis][place])
                sources[path] = ("axis", axis, "values", place)
        chosen = _convert(source, tree, Values, sources)
        yield Point(index, {axis: values[k][places[k]] for k, axis in enumerate(axes)}, chosen, sources)


def _axis_values(source: TomlSource, k: int, axis: AxisPart) -> list[Any]:
    """The values of an axis; a range includes its stop where it is met."""
    where: KeyPath = ("axis", k)
    span = (axis.start, axis.stop, axis.step)
    if (axis.values is None) == all(part is None for part in span):
        raise _error(source, where, "give either values, or start, stop and step")
    if axis.values is not None:
        if not axis.values:
            raise _error(source, (*where, "values"), "must have at least one value")
        for place, value in enumerate(axis.values):
            if value in axis.values[:place]:
                raise _error(source, (*where, "values", place), f"{value!r} is there twice")
        return axis.values
    start, stop, step = span
    if start is None or stop is None or step is None:
        missing = next(name for name, part in zip(("start", "stop", "step"), span, strict=True) if part is None)
        raise _error(source, where, f"the key {missing!r} is missing")
    for name, part in zip(("start", "stop", "step"), span, strict=True):
        if not abs(part or 0) <= LARGEST:
            raise _error(source, (*where, name), f"must be a number of at most {LARGEST:g}")
    if step == 0 or (stop - start) / step < 0:
        raise _error(source, (*where, "step"), f"does not lead from {start:g} to {stop:g}: {step:g}")
    steps = (stop - start) / step + 1e-9
    if steps >= MOST_POINTS:
        raise _error(source, (*where, "step"), f"makes {steps + 1:.6g} values; at most {MOST_POINTS} are possible")
    count = math.floor(steps) + 1
    whole = all(isinstance(part, int) for part in (start, stop, step))
    return [start + i * step if whole else round(start + i * step, 12) for i in range(count)]


def _target(source: TomlSource, k: int, name: str, document: Document) -> list[KeyPath]:
    """Which parameters the axis `name` sets.

    A bare name is one of [packet]; `line.x`, `line.noise[0].x` and `receivers.NAME.x` are themselves; `receiver.x` is the option
    x of every receiver.
    """
    where: KeyPath = ("axis", k, "name")
    parts: list[str | int] = []
    for piece in name.split("."):
        match = re.fullmatch(r"([\w-]+)(?:\[(\d+)\])?", piece)
        if match is None:
            raise _error(source, where, f"cannot read {name!r}")
        parts += [match[1]] if match[2] is None else [match[1], int(match[2])]
    if len(parts) == 1:
        parts.insert(0, "packet")
    fields = {"packet": PacketPart.__struct_fields__, "line": LinePart.__struct_fields__}
    head, key = parts[0], parts[1] if len(parts) > 1 else ""
    if head in fields and key in fields[str(head)] and len(parts) == 2 and key not in ("noise", "path"):
        return [tuple(parts)]
    if parts[0] == "line" and key in ("noise", "path") and len(parts) == 4 and isinstance(parts[2], int):
        there, what = (document.line.noise, "sources") if key == "noise" else (document.line.path, "elements of its path")
        if parts[2] >= len(there):
            raise _error(source, where, f"{name}: the line has {len(there)} {what}, counted from 0")
        return [tuple(parts)]
    if head == "receiver" and len(parts) == 2:
        return [("receivers", receiver, key) for receiver in document.receivers]
    if head == "receivers" and len(parts) == 3:
        if key not in document.receivers:
            raise _error(source, where, f"{name}: no receiver {key!r}; there are {', '.join(document.receivers)}")
        return [tuple(parts)]
    others = ("line.scenario", "line.noise[0].PARAMETER", "line.path[0].PARAMETER", "receiver.OPTION", "receivers.NAME.OPTION")
    known = ", ".join([*fields["packet"], *others])
    raise _error(source, where, f"no parameter {name!r}; expected {known}")


def _check_targets(source: TomlSource, axes: tuple[str, ...], targets: list[list[KeyPath]]) -> None:
    """A parameter is set once: by an axis, by another axis, or where it stands."""
    seen: dict[KeyPath, str] = {}
    for k, paths in enumerate(targets):
        for path in paths:
            if path in seen:
                raise _error(source, ("axis", k, "name"), f"{dotted(path)} is already set by the axis {seen[path]!r}")
            seen[path] = axes[k]
            if path in source.lines:
                problem = f"{dotted(path)} is set here and by the axis {axes[k]!r} (line {source.line(('axis', k, 'name'))})"
                raise _error(source, path, problem)


def _set(tree: dict[str, Any], path: KeyPath, value: Any) -> None:
    place: Any = tree
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value


def _convert(source: TomlSource, tree: Any, kind: type[T], sources: dict[KeyPath, KeyPath]) -> T:
    """msgspec says `problem - at `$.path``; the line is where that path stands, or the axis value that has set it."""
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        match = re.match(r"(?P<problem>.*?)(?: - at `(?P<path>\$[^`]*)`)?$", str(error), re.DOTALL)
        assert match is not None
        problem, text = match["problem"].replace("`", ""), match["path"] or "$"
        path: list[str | int] = []
        place = tree
        for word, number in re.findall(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]", text):
            if number == "...":  # a value of [receivers]: the only ones with free names, and all are tables
                path.append(next(key for key, value in place.items() if not isinstance(value, dict)))
            else:
                path.append(word or int(number))
            place = place[path[-1]]
        unknown = re.match(r"Object contains unknown field (.+)", problem, re.DOTALL)
        if unknown:
            path.append(unknown[1])
            problem = f"unknown key; expected {_known(tuple(path))}"
        missing = re.match(r"Object missing required field (\S+)", problem)
        if missing:
            problem = f"the key {missing[1]!r} is missing"
        if problem.startswith("Invalid enum value"):
            problem = f"must be one of {', '.join(_choices(kind, path))}, got {place!r}"
        problem = re.sub(r"\bobject\b", "table", re.sub(r"\barray\b", "list", problem))
        if problem == "Expected list, got table":
            problem += f"; a table of a list is written [[{dotted(tuple(path))}]]"
        raise _error(source, tuple(path), problem, sources) from None


def _choices(kind: type[Any], path: list[str | int]) -> tuple[str, ...]:
    """The words that a key of a specification may be."""
    for key in path:
        kind = typing.get_type_hints(kind)[str(key)]
    return typing.get_args(kind)


def _known(path: KeyPath) -> str:
    """The keys that may stand beside an unknown one."""
    parts: dict[str | int, type[msgspec.Struct]] = {
        "packet": PacketPart, "line": LinePart, "stop": StopPart, "axis": AxisPart,
    }  # fmt: skip
    return ", ".join((Document if len(path) == 1 else parts.get(path[0], Document)).__struct_fields__)


def _error(source: TomlSource, path: KeyPath, problem: str, sources: dict[KeyPath, KeyPath] | None = None) -> CampaignError:
    named = dotted(path)
    place = (sources or {}).get(path, path)
    return CampaignError(source.at(place, f"{named}: {problem}" if named else problem))
