"""Network variables of a node: values, connections by selector, and the rules for updates and polls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from .address import check_range
from .errors import ConfigurationError, MalformedPdu
from .variable_entry import UNBOUND_LAST, AliasConfig, Direction, VariableConfig

MAX_VARIABLE_LENGTH: Final = 227  # octets: what an APDU of 229 leaves behind its selector (grade B)
MAX_VARIABLES: Final = 4096  # one unbound selector each


@dataclass(frozen=True, slots=True)
class NetworkVariable:
    """A network variable that an application registers.

    Args:
        direction: input or output.    length: octets of its value, 1..227.
        name: for people; not on the network.
        value: at power-up; empty: all zero.
        persistent: the value survives a restart.
        config: connection at first power-up; None: not connected, selector 0x3FFF minus the index.
    """

    direction: Direction
    length: int
    name: str = ""
    value: bytes = b""
    persistent: bool = False
    config: VariableConfig | None = None

    def __post_init__(self) -> None:
        check_range("variable length", self.length, 1, MAX_VARIABLE_LENGTH)
        if self.value and len(self.value) != self.length:
            raise ConfigurationError(f"variable {self.name!r} has {self.length} octets, its value {len(self.value)}")
        if self.config is not None and self.config.direction is not self.direction:
            raise ConfigurationError(f"variable {self.name!r} is an {self.direction.name}, its config is not")


class UpdateResult(Enum):
    """What became of an update."""

    DONE = auto()
    NO_SUCH_VARIABLE = auto()
    LENGTH_MISMATCH = auto()
    OUTPUT = auto()
    NOT_AUTHENTICATED = auto()


class VariableTable:
    """The variables of one node.

    Attributes:
        variables: as registered.    configs, values: one for each.    aliases: the alias table.
    """

    def __init__(self, variables: tuple[NetworkVariable, ...] = (), aliases: int = 0) -> None:
        check_range("number of network variables", len(variables), 0, MAX_VARIABLES)
        self.variables: Final = variables
        self.values = [variable.value or bytes(variable.length) for variable in variables]
        self.configs = [variable.config or _unbound(index, variable) for index, variable in enumerate(variables)]
        self.aliases = [AliasConfig(VariableConfig(UNBOUND_LAST)) for _ in range(aliases)]

    def __len__(self) -> int:
        """How many variables there are."""
        return len(self.variables)

    def set_config(self, index: int, config: VariableConfig) -> None:
        """Write a row; the direction stays as the application registered it (our choice, grade D)."""
        direction = self.variables[index].direction
        self.configs[index] = VariableConfig(
            config.selector,
            direction,
            config.address_index,
            config.service,
            config.authenticated,
            config.priority,
            config.turnaround,
        )

    def unbind(self, authenticated: Callable[[int], bool]) -> None:
        """Disconnect all variables and aliases; `authenticated(index)` says which variables want authentication."""
        for index, variable in enumerate(self.variables):
            plain = _unbound(index, variable)
            self.configs[index] = VariableConfig(plain.selector, plain.direction, authenticated=authenticated(index))
        self.aliases = [AliasConfig(VariableConfig(UNBOUND_LAST)) for _ in self.aliases]

    def connections(self, index: int) -> Iterator[VariableConfig]:
        """The bound rows of a variable: its own and those of its aliases."""
        if self.configs[index].bound:
            yield self.configs[index]
        for alias in self.aliases:
            if alias.primary == index and alias.config.bound:
                yield alias.config

    def find(self, selector: int, direction: Direction) -> list[int]:
        """Indices of the variables of this direction that a selector reaches, bound or not, each once."""
        found = [
            index
            for index, config in enumerate(self.configs)
            if config.selector == selector and config.direction is direction
        ]
        for alias in self.aliases:
            primary = alias.primary
            if (
                alias.used
                and alias.config.selector == selector
                and primary < len(self.variables)
                and self.variables[primary].direction is direction
                and primary not in found
            ):
                found.append(primary)
        return found

    def update(self, index: int, value: bytes, authenticated: bool) -> UpdateResult:
        """Write an input from the network."""
        if len(value) != self.variables[index].length:
            return UpdateResult.LENGTH_MISMATCH
        if self.configs[index].authenticated and not authenticated:
            return UpdateResult.NOT_AUTHENTICATED
        self.values[index] = value
        return UpdateResult.DONE

    def update_by_index(self, index: int, value: bytes, authenticated: bool) -> UpdateResult:
        """Write an input from the network, named by its index."""
        if index >= len(self.variables):
            return UpdateResult.NO_SUCH_VARIABLE
        if self.variables[index].direction is Direction.OUTPUT:
            return UpdateResult.OUTPUT
        return self.update(index, value, authenticated)

    def persistent_values(self) -> list[bytes]:
        """Values that survive a restart; empty for the others."""
        pairs = zip(self.variables, self.values, strict=True)
        return [value if variable.persistent else b"" for variable, value in pairs]

    def rows(self) -> bytes:
        """All rows in their extended form: variables, then aliases."""
        own = b"".join(config.encode(extended=True) for config in self.configs)
        return own + b"".join(alias.encode(extended=True) for alias in self.aliases)

    def set_rows(self, octets: bytes) -> None:
        """Write what `rows` gives; raises `DecodeError` and changes nothing when it makes no sense."""
        split = VariableConfig.EXTENDED_LENGTH * len(self.variables)
        if len(octets) != split + AliasConfig.EXTENDED_LENGTH * len(self.aliases):
            raise MalformedPdu(f"rows of {len(self.variables)} variables and {len(self.aliases)} aliases expected")
        configs = [VariableConfig.decode(row) for row in _split(octets[:split], VariableConfig.EXTENDED_LENGTH)]
        aliases = [AliasConfig.decode_extended(row) for row in _split(octets[split:], AliasConfig.EXTENDED_LENGTH)]
        for index, config in enumerate(configs):
            self.set_config(index, config)
        self.aliases = aliases


def _unbound(index: int, variable: NetworkVariable) -> VariableConfig:
    return VariableConfig(UNBOUND_LAST - index, variable.direction)


def _split(octets: bytes, length: int) -> list[bytes]:
    return [octets[at : at + length] for at in range(0, len(octets), length)]
