"""A graph: which stations hang on which line, read from YAML and checked against a schema.

Every problem is one line with file, line number and key: `demo.yaml:31: stations[1].coupler: Expected int >= 0`.
"""

import random
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import yaml
from msgspec import Meta

from .errors import GraphError

GRAPHS: Final = Path(__file__).with_name("graphs")
MAX_KEYS: Final = 100_000
MAX_BLOCK_TIME: Final = 1e-3  # s; carrier sense must act within one slot of 2.784 ms (PL-20A, mac/spec/channels.toml)

Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Decibel = Annotated[float, Meta(ge=-200, le=60)]
Coupler = Annotated[int, Meta(ge=0, le=999)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
Hex6 = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{12}$")]
Hex8 = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{16}$")]
Key16 = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{32}$")]
Key12 = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{24}$")]
DomainHex = Annotated[str, Meta(pattern=r"^([0-9A-Fa-f]{2}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{12})?$")]
Security = Literal["aes", "oma", "rc4", "auto"]  # osgp.SecurityMode
Subnet = Annotated[int, Meta(ge=1, le=255)]
NodeNumber = Annotated[int, Meta(ge=1, le=127)]

DEFAULT_ENDPOINT: Final = "tcp://127.0.0.1:5570"  # loopback only; where a line is that no graph and no option places elsewhere
# Test keys: 12 x DF, and A0 to AF. Real devices get their own; a graph may name other ones.
TEST_OMAK: Final = "df" * 12
TEST_PSK: Final = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
SECRETS: Final = frozenset(("omak", "psk", "broadcast_psk"))


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of everything in a graph: unknown keys are errors, and secrets do not show themselves."""

    def __repr__(self) -> str:
        shown = (
            f"{name}={'hidden' if name in SECRETS and value is not None else repr(value)}"
            for name in self.__struct_fields__
            for value in (getattr(self, name),)
        )
        return f"{type(self).__name__}({', '.join(shown)})"


class LinePath(Part, frozen=True):
    """The path between two couplers, the same in both directions.

    elements: what the signal passes besides the plain gain, each `{kind: ..., parameters}` of `phy.channel.element`.
    """

    between: Annotated[list[Coupler], Meta(min_length=2, max_length=2)]
    gain_db: Decibel
    elements: list[dict[str, Any]] = []


class Recorder(Part, frozen=True):
    """Records what one coupler hears."""

    coupler: Coupler = 0


class Line(Part, frozen=True):
    """The simulated line. `own_gain_db`: how a station hears itself. `gain_db`: every path that is not listed.

    noise: sources, each `{kind: ..., parameters}` of `phy.channel.source`; `couplers: [..]` limits one to
    some couplers. Every coupler hears an independent draw of each.
    """

    couplers: Annotated[int, Meta(ge=1, le=1000)]
    gain_db: Decibel = -40.0
    own_gain_db: Decibel = -20.0
    paths: list[LinePath] = []
    noise: list[dict[str, Any]] = []
    recorder: Recorder | None = None


class Station(Part, frozen=True, tag_field="kind"):
    """What every station has.

    coupler: where it hangs on the line.    unique_node_id: 6 octets, hex.    clock_ppm: error of its clock.
    level_v: transmit level, V peak; left out = the profile's.    receiver: options of phy.ReceiverOptions by name.
    """

    name: Name
    coupler: Coupler
    unique_node_id: Hex6
    program_id: Hex8 = "9fffff0501840100"
    clock_ppm: Annotated[float, Meta(ge=-1000, le=1000)] = 0.0
    level_v: NonNegative | None = None
    receiver: dict[str, Any] = {}


class MeterStation(Station, frozen=True, tag="meter"):
    """A meter.

    serial: digits.    load_seed, load_scale, phases, pv_peak_w: its household, see osgp.MeterConfig.
    initial_energy_wh: register at start.
    security, omak, psk: left out = the graph's.
    """

    serial: Annotated[str, Meta(pattern=r"^[0-9]{1,16}$")] = "1"
    load_seed: Annotated[int, Meta(ge=0)] = 1
    phases: Annotated[int, Meta(ge=1, le=3)] = 1
    pv_peak_w: NonNegative = 0.0
    initial_energy_wh: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    load_scale: Annotated[float, Meta(gt=0, le=1000)] = 1.0
    security: Security | None = None
    omak: Key12 | None = None
    psk: Key16 | None = None


class ConcentratorStation(Station, frozen=True, tag="concentrator"):
    """A data concentrator.

    period_s: from pass to pass; left out = one pass, then the graph ends.    rediscover_s: between discoveries.
    first_meter_node: first address it gives.    tables: what it reads; left out = the usual set.
    max_repeaters: most meters that repeat for another one that is out of reach; 0 = every meter is asked directly.
    """

    subnet: Subnet = 1
    node: NodeNumber = 1
    first_meter_node: NodeNumber = 10
    period_s: Positive | None = None
    rediscover_s: Positive | None = None
    tables: list[str] | None = None
    max_repeaters: Annotated[int, Meta(ge=0, le=16)] = 0


class ReaderStation(Station, frozen=True, tag="reader"):
    """A reading program that joins for some tables of one meter."""

    subnet: Subnet = 1
    node: NodeNumber = 2


AnyStation = MeterStation | ConcentratorStation | ReaderStation


class Graph(Part, frozen=True):
    """A whole graph. `block` samples per message; `latency` blocks between hearing and sending, at least 1.

    pace: "fast" runs as fast as the stations compute, "realtime" no faster than the clock on the wall.
    heartbeat_s: after this many seconds a station that answers nothing is left behind; left out = 2 s in real time, 5 s otherwise
    (a peer whose process ends is noticed at once in any case).
    channel: 14908 channel timing by name; left out = the one of the profile.
    access_rule: the band's own rule in front of every frame (EN 50065-1); left out = on where the channel has one, false = off.
    domain: 14908 domain id in hex, 0, 1, 3 or 6 octets.
    security: what protects messages, for meters that name none: aes (the project's profile), oma (weak), rc4 (broken), auto.
    omak, psk: keys for meters that name none, 12 octets (oma, rc4) and 16 (aes), hex; labelled test keys.
    broadcast_psk: key of secure broadcasts, 16 octets; left out = there are none.
    frontend: URL of a source of samples (flowgraphs.frontends) that takes the place of the simulated line; transmit_to: URL of a
    sink, where that source is none.    duty_cycle: most of the time that may be sent there; left out = the project's limit.
    """

    line: Line
    stations: Annotated[list[AnyStation], Meta(min_length=1)]
    name: Name = "graph"
    profile: str = "pl20a"
    channel: str | None = None
    access_rule: bool | None = None
    sample_rate: Annotated[float, Meta(ge=1000, le=100e6)] = 400_000.0
    block: Annotated[int, Meta(ge=8, le=100_000)] = 200
    latency: Annotated[int, Meta(ge=1, le=16)] = 1
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 1
    pace: Annotated[str, Meta(pattern="^(fast|realtime)$")] = "fast"
    heartbeat_s: NonNegative | None = None
    endpoint: str | None = None
    domain: DomainHex = ""
    security: Security = "aes"
    omak: Key12 = TEST_OMAK
    psk: Key16 = TEST_PSK
    broadcast_psk: Key16 | None = None
    frontend: str | None = None
    transmit_to: str | None = None
    duty_cycle: Annotated[float, Meta(gt=0, le=1)] | None = None

    @property
    def heartbeat(self) -> float:
        """Seconds after which a frozen station is left behind."""
        if self.heartbeat_s is not None:
            return self.heartbeat_s
        return 2.0 if self.pace == "realtime" else 5.0

    def security_of(self, meter: MeterStation) -> Security:
        """What protects the messages of a meter."""
        return meter.security or self.security

    def station(self, name: str) -> AnyStation:
        """The station of that name; GraphError with the known names when there is none."""
        for station in self.stations:
            if station.name == name:
                return station
        names = ", ".join(station.name for station in self.stations)
        raise GraphError(f"graph {self.name}: no station {name!r}; it has {names}")


class _Loader(yaml.SafeLoader):
    """PyYAML follows YAML 1.1, where 6e-6 is a word; in YAML 1.2 and in JSON it is a number."""


_FLOAT: Final = re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789"))


class _Located:
    """A YAML document as plain values, and the line of every key path."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.lines: dict[str, int] = {"$": 1}
        try:
            loader = _Loader(text)
            root = loader.get_single_node()
            if root is None:
                raise GraphError(f"{source}:1: the file is empty")
            self._walk(root, "$")
            self.value = loader.construct_document(root)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise GraphError(f"{source}:{line}: {error.problem or error.context}") from None
        except yaml.YAMLError as error:
            raise GraphError(f"{source}: {str(error).splitlines()[0]}") from None
        except (RecursionError, ValueError, OverflowError) as error:
            if isinstance(error, GraphError):
                raise
            raise GraphError(f"{source}: {str(error).splitlines()[0]}") from None

    def _walk(self, node: yaml.Node, path: str) -> None:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if len(self.lines) > MAX_KEYS:  # aliases of aliases can describe more than any machine holds
            raise GraphError(f"{self.source}: more than {MAX_KEYS} keys")
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                if name in seen:
                    raise GraphError(f"{self.source}:{key.start_mark.line + 1}: {path[2:]} has {name!r} twice")
                seen.add(name)
                self.lines[f"{path}.{name}"] = key.start_mark.line + 1
                self._walk(value, f"{path}.{name}")
        elif isinstance(node, yaml.SequenceNode):
            for k, item in enumerate(node.value):
                self._walk(item, f"{path}[{k}]")

    def error(self, path: str, problem: str) -> GraphError:
        """An error at the line of `path`, or of the nearest parent that the file has."""
        known = path
        while known not in self.lines:
            known = re.sub(r"(\.[^.\[\]]*|\[[^\]]*\])$", "", known) or "$"
        shown = path.removeprefix("$").removeprefix(".")
        return GraphError(f"{self.source}:{self.lines[known]}: {shown + ': ' if shown else ''}{problem}")


def load_graph(source: str | Path) -> Graph:
    """Read a graph from a file, or one of the ready ones by its bare name (`demo`).

    Raises:
        GraphError: with file, line and key.
    """
    path = Path(source)
    ready = GRAPHS / f"{source}.yaml"
    if not path.exists() and re.fullmatch(r"[\w-]+", str(source)) and ready.exists():
        path = ready
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise GraphError(f"{source}: {reason}") from None
    return parse_graph(text, str(source))


def parse_graph(text: str, source: str = "graph") -> Graph:
    """A graph from YAML text; `source` names the file in errors."""
    located = _Located(text, source)
    try:
        graph = msgspec.convert(located.value, Graph)
    except msgspec.ValidationError as error:
        raise _translate(located, str(error)) from None
    _check(graph, located)
    return graph


def dump_graph(graph: Graph) -> str:
    """A graph as text that `parse_graph` reads (JSON is YAML)."""
    return msgspec.json.format(msgspec.json.encode(graph), indent=1).decode()


def _translate(located: _Located, text: str) -> GraphError:
    """msgspec says `problem - at `$.path``; the file's line is where that path stands."""
    match = re.match(r"(?P<problem>.*?)(?: - at `(?P<path>\$[^`]*)`)?$", text, re.DOTALL)
    assert match is not None
    problem, path = match["problem"].replace("`", ""), match["path"] or "$"
    path = re.sub(r"\[\.\.\.\]", "", path)
    unknown = re.match(r"Object contains unknown field (\S+)", problem)
    if unknown:
        return located.error(f"{path}.{unknown[1]}", "unknown key")
    missing = re.match(r"Object missing required field (\S+)", problem)
    if missing:
        return located.error(path, f"the key {missing[1]!r} is missing")
    return located.error(path, problem)


def _check(graph: Graph, located: _Located) -> None:
    """What the schema cannot say: references and uniqueness."""
    couplers = graph.line.couplers
    if graph.block / graph.sample_rate > MAX_BLOCK_TIME:
        limit = int(MAX_BLOCK_TIME * graph.sample_rate)
        raise located.error("$.block", f"at {graph.sample_rate:g} Hz a block has at most {limit} samples (1 ms)")
    seen: dict[tuple[str, object], str] = {}
    for k, station in enumerate(graph.stations):
        if station.coupler >= couplers:
            raise located.error(f"$.stations[{k}].coupler", f"the line has couplers 0..{couplers - 1}")
        for key in ("name", "coupler", "unique_node_id"):
            value = getattr(station, key)
            value = value.lower() if isinstance(value, str) else value
            if (key, value) in seen:
                raise located.error(f"$.stations[{k}].{key}", f"{value} is already used by {seen[key, value]}")
            seen[key, value] = station.name
    for k, path in enumerate(graph.line.paths):
        if path.between[0] == path.between[1]:
            raise located.error(f"$.line.paths[{k}].between", "a path needs two different couplers")
        if max(path.between) >= couplers:
            raise located.error(f"$.line.paths[{k}].between", f"the line has couplers 0..{couplers - 1}")
    if graph.line.recorder is not None and graph.line.recorder.coupler >= couplers:
        raise located.error("$.line.recorder.coupler", f"the line has couplers 0..{couplers - 1}")
    _check_channel(graph, located)


def _check_channel(graph: Graph, located: _Located) -> None:
    """Noise sources and path elements are checked by making them once."""
    from phy import channel
    from phy.errors import PhyError

    couplers = graph.line.couplers
    for k, noise in enumerate(graph.line.noise):
        where = noise.get("couplers", [])
        if not isinstance(where, list) or any(type(c) is not int or not 0 <= c < couplers for c in where):
            raise located.error(f"$.line.noise[{k}].couplers", f"a list of couplers 0..{couplers - 1}, got {where!r}")
    parts: list[tuple[str, dict[str, Any], Any]] = [
        (f"$.line.noise[{k}]", noise, channel.source) for k, noise in enumerate(graph.line.noise)
    ]
    for k, path in enumerate(graph.line.paths):
        parts += [(f"$.line.paths[{k}].elements[{i}]", item, channel.element) for i, item in enumerate(path.elements)]
    for where, part, make in parts:
        parameters = {key: value for key, value in part.items() if key not in ("kind", "couplers")}
        if not isinstance(part.get("kind"), str):
            raise located.error(where, "the key 'kind' is missing")
        try:
            make(part["kind"], sample_rate=graph.sample_rate, **parameters)
        except (PhyError, TypeError, ValueError) as error:
            said = set(re.findall(r"\w+", str(error)))
            keys = sorted(part, key="kind".__eq__)  # the kind is to blame only when no parameter is
            guilty = next((key for key in keys if {str(key), str(part[key])} & said), None)
            raise located.error(f"{where}.{guilty}" if guilty else where, str(error)) from None


def with_meters(graph: Graph, count: int) -> Graph:
    """The same graph with `count` meters: some of its own, or copies with ids, couplers and households of their own."""
    meters = [station for station in graph.stations if isinstance(station, MeterStation)]
    others: list[AnyStation] = [station for station in graph.stations if not isinstance(station, MeterStation)]
    if not meters:
        raise GraphError(f"graph {graph.name}: has no meter to take as a pattern")
    last = max(station.coupler for station in graph.stations)
    paths = {tuple(sorted(path.between)): path for path in graph.line.paths}
    added: list[MeterStation] = []
    for k in range(len(meters), count):
        pattern = meters[k % len(meters)]
        coupler = last + 1 + k - len(meters)
        identifier = (int(pattern.unique_node_id, 16) & ~0xFFFF | k + 1) + 0x10000
        added.append(
            msgspec.structs.replace(
                pattern,
                name=f"meter-{k + 1}",
                coupler=coupler,
                unique_node_id=f"{identifier:012x}",
                serial=str(int(meters[-1].serial) + 1 + k - len(meters)),
                load_seed=pattern.load_seed + k,
            )
        )
        for other in others:
            path = paths.get((min(other.coupler, pattern.coupler), max(other.coupler, pattern.coupler)))
            if path is not None:
                paths[other.coupler, coupler] = msgspec.structs.replace(path, between=[other.coupler, coupler])
    stations = [*others, *meters[:count], *added]
    couplers = max(graph.line.couplers, max(station.coupler for station in stations) + 2)
    line = msgspec.structs.replace(graph.line, couplers=couplers, paths=list(paths.values()))
    return msgspec.structs.replace(graph, stations=stations, line=line)


def station_random(graph: Graph, name: str, purpose: str) -> random.Random:
    """A random generator of one station: the same for the same seed, different for every station and purpose."""
    return random.Random(f"{graph.seed}/{name}/{purpose}")
