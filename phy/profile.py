"""The profile: every constant of one power-line channel, as data with source and grade."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from .crc import CRCS, Crc
from .errors import ConfigurationError, ProfileError
from .toml_source import TomlSource
from .words import WordCode

Carrier = Literal["primary", "secondary"]
CARRIERS: Final[tuple[Carrier, Carrier]] = ("primary", "secondary")


@dataclass(frozen=True, slots=True)
class Constant:
    """One constant of a profile: its value, confidence grade (A normative ... D our own choice) and source."""

    value: Any
    grade: str
    source: str


# section -> key -> (types accepted, smallest, largest)
_NUMBER: Final = (int, float)
_SCHEMA: Final[dict[str, dict[str, tuple[Any, float, float]]]] = {
    "carrier": {
        "master_clock_hz": (_NUMBER, 1e3, 1e9),
        "clocks_per_cycle": (_NUMBER, 1, 1e6),
        "primary_cycles_per_bit": (_NUMBER, 1, 1000),
        "secondary_cycles_per_bit": (_NUMBER, 1, 1000),
        "tolerance_ppm": (_NUMBER, 0, 5000),
        "search_ppm": (_NUMBER, 0, 5000),
    },
    "pulse": {"alpha": (_NUMBER, 0, 1), "ramp_bits": (_NUMBER, 0, 16), "differential": (bool, 0, 1)},
    "packet": {
        "preamble": (str, 4, 256),
        "sync": (str, 4, 64),
        "bit_order": (str, 3, 3),
        "code": ((str, list), 1, 256),
        "inversion": (str, 8, 16),
        "end_word": (str, 8, 16),
        "end_words": (int, 0, 8),
        "crc": (str, 1, 64),
        "min_octets": (int, 3, 4096),
        "max_octets": (int, 3, 4096),
    },
    "level": {"transmit_vpp": (_NUMBER, 0, 1000)},
}
_GRADES: Final = ("A", "B", "C", "D")
_TYPE_NAMES: Final = {int: "integer", float: "float", str: "string", bool: "true or false", list: "array"}
_BIT_STRINGS: Final = ("packet.preamble", "packet.sync", "packet.inversion", "packet.end_word")
_CHOICES: Final[dict[str, Collection[str]]] = {"packet.bit_order": ("msb", "lsb"), "packet.crc": CRCS}


@dataclass(frozen=True, eq=False)
class Profile:
    """One power-line channel as data. Load it with `Profile.load`; the fields mirror the sections of the file.

    Attributes:
        name, title: what it is.
        bit_rate: coded bits per second, Hz.
        carriers: carrier name -> Hz.
        tolerance_ppm, search_ppm: clock tolerance of a station; range over which the receiver searches.
        alpha: transition time in bit times, 0 (rectangular) .. 1. ramp_bits: length of the envelope ramps in bit times.
        differential: bits are differentially encoded.
        preamble, sync: (24,), (11,) uint8, sent first. lsb_first: octets are sent least significant bit first.
        code: the word code. end_word: (n,) uint8, sent `end_words` times after the last word.
        crc: check sequence of the LPDU. min_octets, max_octets: length of an LPDU with its check sequence.
        transmit_vpp: level of a transmitter, V peak to peak.
        constants: "section.key" -> Constant, with grade and source for a report.
    """

    name: str
    title: str
    bit_rate: float
    carriers: dict[Carrier, float]
    tolerance_ppm: float
    search_ppm: float
    alpha: float
    ramp_bits: float
    differential: bool
    preamble: NDArray[np.uint8]
    sync: NDArray[np.uint8]
    lsb_first: bool
    code: WordCode
    end_word: NDArray[np.uint8]
    end_words: int
    crc: Crc
    min_octets: int
    max_octets: int
    transmit_vpp: float
    constants: dict[str, Constant] = field(repr=False)

    @property
    def bit_time(self) -> float:
        """Duration of one coded bit, s."""
        return 1.0 / self.bit_rate

    @property
    def header_bits(self) -> NDArray[np.uint8]:
        """Preamble and word sync: the bits that open every packet."""
        return np.concatenate([self.preamble, self.sync])

    def carrier_hz(self, carrier: Carrier) -> float:
        """Frequency of "primary" or "secondary", Hz."""
        if carrier not in self.carriers:
            raise ConfigurationError(f"carrier must be primary or secondary, got {carrier!r}")
        return self.carriers[carrier]

    def packet_bits(self, octets: int) -> int:
        """Bits on the line of an LPDU of `octets` octets with its CRC, from the first preamble bit through the end word."""
        return len(self.header_bits) + self.code.length * (octets + self.end_words)

    def airtime(self, octets: int) -> float:
        """Duration in s of an LPDU of `octets` octets with its CRC, without the ramps."""
        return self.packet_bits(octets) * self.bit_time

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the profiles that come with the package."""
        found = (f.name for f in (files(__package__) / "profiles").iterdir())
        return tuple(sorted(n[:-5] for n in found if n.endswith(".toml") and n != "codes.toml"))

    @classmethod
    def load(cls, name_or_path: str | Path) -> Self:
        """The profile of that name, or of a TOML file.

        Raises:
            ProfileError: no such profile or file, TOML that does not parse, an unknown or missing key, a value of the wrong type,
                out of range or in contradiction to another; the text begins with file and line.
        """
        name = str(name_or_path)
        return cls._from_layers(_Layers(_read(name))) if name.endswith(".toml") else cls._packaged(name)

    @classmethod
    @cache
    def _packaged(cls, name: str) -> Self:
        return cls._from_layers(_Layers(_read(name)))

    @classmethod
    def from_text(cls, text: str, name: str = "profile") -> Self:
        """The profile of a TOML text; `name` stands for the file in messages. Raises ProfileError as `load` does."""
        return cls._from_layers(_Layers(_parse(name, text)))

    @classmethod
    def _from_layers(cls, layers: "_Layers") -> Self:
        constants = _check(layers)
        c = {key: constant.value for key, constant in constants.items()}
        code = _code(layers, c["packet.code"])
        _check_together(layers, c, code)

        def bits(key: str) -> NDArray[np.uint8]:
            return np.array([int(b) for b in c[key]], np.uint8)

        cycle_hz = c["carrier.master_clock_hz"] / c["carrier.clocks_per_cycle"]
        bit_rate = cycle_hz / c["carrier.primary_cycles_per_bit"]
        if bits("packet.inversion").any():
            code = code.inverted(bits("packet.inversion"))
        return cls(
            name=layers.tree["name"],
            title=layers.tree["title"],
            bit_rate=bit_rate,
            carriers={"primary": cycle_hz, "secondary": bit_rate * c["carrier.secondary_cycles_per_bit"]},
            tolerance_ppm=float(c["carrier.tolerance_ppm"]),
            search_ppm=float(c["carrier.search_ppm"]),
            alpha=float(c["pulse.alpha"]),
            ramp_bits=float(c["pulse.ramp_bits"]),
            differential=c["pulse.differential"],
            preamble=bits("packet.preamble"),
            sync=bits("packet.sync"),
            lsb_first=c["packet.bit_order"] == "lsb",
            code=code,
            end_word=bits("packet.end_word"),
            end_words=c["packet.end_words"],
            crc=CRCS[c["packet.crc"]],
            min_octets=c["packet.min_octets"],
            max_octets=c["packet.max_octets"],
            transmit_vpp=float(c["level.transmit_vpp"]),
            constants=constants,
        )


class _Layers:
    """A profile and those it extends, one over the other, with the place of every value.

    Attributes:
        tree: what holds after each layer has covered the one below. sources: the file itself first, then what it extends.
    """

    def __init__(self, source: TomlSource) -> None:
        self.sources = [source]
        while "extends" in self.sources[-1].tree:
            last = self.sources[-1]
            if len(self.sources) > 8:
                raise ProfileError(last.at(("extends",), "profiles extend each other in a circle"))
            try:
                self.sources.append(_read(str(last.tree["extends"])))
            except ProfileError as error:
                raise ProfileError(last.at(("extends",), f"extends: {error}")) from None
        self.tree: dict[str, Any] = {}
        for layer in reversed(self.sources):
            for key, value in layer.tree.items():
                below = self.tree.get(key)
                if key != "extends":
                    self.tree[key] = {**below, **value} if isinstance(value, dict) and isinstance(below, dict) else value

    def error(self, problem: str, *paths: str) -> ProfileError:
        """The problem with file and line. paths: the values to blame, "section.key"; of several, that of the topmost layer."""
        wanted: list[tuple[str | int, ...]] = [tuple(path.split(".")) for path in paths]
        for source in self.sources:
            for path in wanted:
                if path in source.lines:
                    return ProfileError(source.at(path, problem))
        return ProfileError(self.sources[0].at(wanted[0] if wanted else (), problem))


def _read(name_or_path: str | Path) -> TomlSource:
    """The text of a profile by name, or of a file."""
    name = str(name_or_path)
    try:
        if name.endswith(".toml"):
            text = Path(name).read_text("utf-8")
        elif name in Profile.names():
            text = (files(__package__) / "profiles" / f"{name}.toml").read_text("utf-8")
        else:
            raise ProfileError(f"no profile {name!r}; known: {', '.join(Profile.names())}, or a path that ends in .toml")
    except OSError as error:
        raise ProfileError(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ProfileError(f"{name}: {error}") from None
    return _parse(name, text)


def _parse(name: str, text: str) -> TomlSource:
    try:
        return TomlSource(name, text)
    except ValueError as error:
        raise ProfileError(str(error)) from None


def _check(layers: _Layers) -> dict[str, Constant]:
    """Every constant of the tree, each checked by itself against the schema."""
    for key in ("name", "title"):
        if not isinstance(layers.tree.get(key), str):
            raise layers.error(f"{key} must be a string, got {layers.tree.get(key)!r}", key)
    for section in layers.tree:
        if section not in _SCHEMA and section not in ("name", "title"):
            raise layers.error(f"unknown section {section!r}; known: {', '.join(_SCHEMA)}", section)
    constants: dict[str, Constant] = {}
    for section, keys in _SCHEMA.items():
        entries = layers.tree.get(section)
        if not isinstance(entries, dict):
            raise layers.error(f"section [{section}] is missing", section)
        for key in entries:
            if key not in keys:
                raise layers.error(f"unknown key {section}.{key}; known: {', '.join(keys)}", f"{section}.{key}")
        for key, (types, low, high) in keys.items():
            if key not in entries:
                raise layers.error(f"the key {section}.{key} is missing", section)
            constants[f"{section}.{key}"] = _constant(layers, f"{section}.{key}", entries[key], types, low, high)
    return constants


def _constant(layers: _Layers, path: str, entry: Any, types: Any, low: float, high: float) -> Constant:
    if not isinstance(entry, dict) or not {"value", "grade", "source"} >= set(entry) >= {"value", "grade"}:
        raise layers.error(f"{path} must be a table of value, grade and source", path)
    value, grade, source = entry["value"], entry["grade"], entry.get("source", "")
    if grade not in _GRADES:
        raise layers.error(f"{path}: grade must be one of {', '.join(_GRADES)}, got {grade!r}", f"{path}.grade")
    if not isinstance(source, str):
        raise layers.error(f"{path}: source must be a string, got {source!r}", f"{path}.source")
    if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
        expected = " or ".join(_TYPE_NAMES[t] for t in (types if isinstance(types, tuple) else (types,)))
        raise layers.error(f"{path} has the wrong type: expected {expected}, got {value!r}", f"{path}.value")
    size = len(value) if isinstance(value, (str, list)) else value
    if not low <= size <= high:
        unit = " characters" if isinstance(value, str) else " entries" if isinstance(value, list) else ""
        raise layers.error(f"{path} must be in {low:g}..{high:g}{unit}, got {size!r}", f"{path}.value")
    if path in _BIT_STRINGS and set(value) - {"0", "1"}:
        raise layers.error(f"{path} must hold only 0 and 1, got {value!r}", f"{path}.value")
    choices = _CHOICES.get(path)
    if choices is not None and value not in choices:
        raise layers.error(f"{path} must be one of {', '.join(choices)}, got {value!r}", f"{path}.value")
    return Constant(value, grade, source)


def _check_together(layers: _Layers, c: Mapping[str, Any], code: WordCode) -> None:
    """What no constant can say alone."""
    for key in ("packet.inversion", "packet.end_word"):
        if len(c[key]) != code.length:
            problem = f"{key} must have {code.length} bits as the code has, got {len(c[key])}"
            raise layers.error(problem, f"{key}.value", "packet.code.value")
    if c["packet.min_octets"] > c["packet.max_octets"]:
        problem = f"packet.min_octets is above packet.max_octets: {c['packet.min_octets']} and {c['packet.max_octets']}"
        raise layers.error(problem, "packet.min_octets.value", "packet.max_octets.value")
    primary, secondary = "carrier.primary_cycles_per_bit", "carrier.secondary_cycles_per_bit"
    if c[primary] == c[secondary]:
        problem = f"{secondary} must differ from {primary}, both are {c[primary]:g}: the carriers would be one"
        raise layers.error(problem, f"{secondary}.value", f"{primary}.value")
    search, tolerance = "carrier.search_ppm", "carrier.tolerance_ppm"
    if c[search] < c[tolerance]:
        problem = f"{search} must be at least {tolerance}, got {c[search]:g} and {c[tolerance]:g}: stations would not be found"
        raise layers.error(problem, f"{search}.value", f"{tolerance}.value")


def _code(layers: _Layers, value: str | list[int]) -> WordCode:
    """A code by its name in codes.toml, or a table of 256 integers, first bit sent = most significant of eleven."""
    try:
        if isinstance(value, str):
            return WordCode.named(value)
        if len(value) != 256 or not all(isinstance(w, int) and not isinstance(w, bool) and 0 <= w < 2048 for w in value):
            raise ConfigurationError("a table must hold 256 integers of 11 bits")
        words = np.array(value, np.int64)
        return WordCode("table", (words[:, None] >> np.arange(10, -1, -1) & 1).astype(np.uint8))
    except (ConfigurationError, ProfileError) as error:
        raise layers.error(f"packet.code: {error}", "packet.code.value") from None
