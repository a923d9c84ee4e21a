"""The profile: every constant of one power-line channel, as data with source and grade."""

import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from .crc import CRCS, Crc
from .errors import ConfigurationError, ProfileError
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
            ProfileError: no such profile or file, TOML that does not parse, an unknown or missing key, a value out of range.
        """
        return cls._from_tree(*_load_tree(name_or_path))

    @classmethod
    def from_text(cls, text: str, name: str = "profile") -> Self:
        """The profile of a TOML text; `name` stands for the file in messages. Raises ProfileError as `load` does."""
        return cls._from_tree(name, _parse(name, text))

    @classmethod
    def _from_tree(cls, where: str, tree: dict[str, Any]) -> Self:
        constants = _check(where, tree)
        c = {key: constant.value for key, constant in constants.items()}

        def bits(key: str) -> NDArray[np.uint8]:
            if set(c[key]) - {"0", "1"}:
                raise ProfileError(f"{where}: {key} must hold only 0 and 1, got {c[key]!r}")
            return np.array([int(b) for b in c[key]], np.uint8)

        cycle_hz = c["carrier.master_clock_hz"] / c["carrier.clocks_per_cycle"]
        bit_rate = cycle_hz / c["carrier.primary_cycles_per_bit"]
        order = c["packet.bit_order"]
        if order not in ("msb", "lsb"):
            raise ProfileError(f"{where}: packet.bit_order must be msb or lsb, got {order!r}")
        if c["packet.crc"] not in CRCS:
            raise ProfileError(f"{where}: packet.crc must be one of {', '.join(CRCS)}, got {c['packet.crc']!r}")
        code = _code(where, c["packet.code"])
        for key in ("packet.inversion", "packet.end_word"):
            if len(c[key]) != code.length:
                raise ProfileError(f"{where}: {key} must have {code.length} bits as the code has, got {len(c[key])}")
        if bits("packet.inversion").any():
            code = code.inverted(bits("packet.inversion"))
        if c["packet.min_octets"] > c["packet.max_octets"]:
            raise ProfileError(f"{where}: packet.min_octets is above packet.max_octets")
        return cls(
            name=tree["name"],
            title=tree["title"],
            bit_rate=bit_rate,
            carriers={"primary": cycle_hz, "secondary": bit_rate * c["carrier.secondary_cycles_per_bit"]},
            tolerance_ppm=float(c["carrier.tolerance_ppm"]),
            search_ppm=float(c["carrier.search_ppm"]),
            alpha=float(c["pulse.alpha"]),
            ramp_bits=float(c["pulse.ramp_bits"]),
            differential=c["pulse.differential"],
            preamble=bits("packet.preamble"),
            sync=bits("packet.sync"),
            lsb_first=order == "lsb",
            code=code,
            end_word=bits("packet.end_word"),
            end_words=c["packet.end_words"],
            crc=CRCS[c["packet.crc"]],
            min_octets=c["packet.min_octets"],
            max_octets=c["packet.max_octets"],
            transmit_vpp=float(c["level.transmit_vpp"]),
            constants=constants,
        )


def _code(where: str, value: str | list[int]) -> WordCode:
    """A code by its name in codes.toml, or a table of 256 integers, first bit sent = most significant of eleven."""
    if isinstance(value, str):
        return WordCode.named(value)
    if len(value) != 256 or not all(isinstance(w, int) and 0 <= w < 2048 for w in value):
        raise ProfileError(f"{where}: packet.code as a table must hold 256 integers of 11 bits")
    words = np.array(value, np.int64)
    try:
        return WordCode("table", (words[:, None] >> np.arange(10, -1, -1) & 1).astype(np.uint8))
    except ConfigurationError as error:
        raise ProfileError(f"{where}: packet.code: {error}") from None


def _load_tree(name_or_path: str | Path, depth: int = 0) -> tuple[str, dict[str, Any]]:
    """(name of the file for messages, its tree merged over the one it extends)."""
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
    return name, _parse(name, text, depth)


def _parse(name: str, text: str, depth: int = 0) -> dict[str, Any]:
    """The tree of a TOML text, merged over the profile that it extends."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{name}: {error}") from None
    if "extends" not in tree:
        return tree
    if depth > 8:
        raise ProfileError(f"{name}: profiles extend each other in a circle")
    _, base = _load_tree(str(tree.pop("extends")), depth + 1)
    for key, value in tree.items():
        base[key] = {**base[key], **value} if isinstance(value, dict) and isinstance(base.get(key), dict) else value
    return base


def _check(where: str, tree: dict[str, Any]) -> dict[str, Constant]:
    """Every constant of the tree, checked against the schema."""
    for key in ("name", "title"):
        if not isinstance(tree.get(key), str):
            raise ProfileError(f"{where}: {key} must be a string")
    unknown = set(tree) - set(_SCHEMA) - {"name", "title"}
    if unknown:
        raise ProfileError(f"{where}: unknown section {sorted(unknown)[0]!r}; known: {', '.join(_SCHEMA)}")
    constants: dict[str, Constant] = {}
    for section, keys in _SCHEMA.items():
        entries = tree.get(section)
        if not isinstance(entries, dict):
            raise ProfileError(f"{where}: section [{section}] is missing")
        for key in entries:
            if key not in keys:
                raise ProfileError(f"{where}: unknown key {section}.{key}; known: {', '.join(keys)}")
        for key, (types, low, high) in keys.items():
            entry = entries.get(key)
            if not isinstance(entry, dict) or not {"value", "grade", "source"} >= set(entry) >= {"value", "grade"}:
                raise ProfileError(f"{where}: {section}.{key} must be a table of value, grade and source")
            value = entry["value"]
            if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
                raise ProfileError(f"{where}: {section}.{key} has the wrong type: {value!r}")
            size = len(value) if isinstance(value, (str, list)) else value
            if not low <= size <= high:
                raise ProfileError(f"{where}: {section}.{key} must be in {low:g}..{high:g}, got {size!r}")
            constants[f"{section}.{key}"] = Constant(value, str(entry["grade"]), str(entry.get("source", "")))
    return constants
