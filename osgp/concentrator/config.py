"""What a concentrator is told before it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..errors import ConfigurationError
from ..plc import Limits
from ..security import ClientSecurity, Key, SecurityMode, client_security
from ..security.modes import FRESH
from ..table import table
from .topology import Route

READ_SET: Final = ("BT00", "BT01", "ET03", "ET04", "BT21", "BT22", "BT23", "BT27", "BT28", "BT52", "BT03")
# Octets read of tables of which only the beginning is wanted: the serial number, and everything up to idt_version.
PREFIXES: Final = {"ET03": 30, "ET04": 117}
# Tables that stay as they are while program id and idt_version (ET04) do; grade A for the rule, D for the list.
STABLE: Final = frozenset(("BT00", "BT01", "BT20", "BT21", "BT22", "BT27", "ET03"))
LAST_SUBNET: Final = 255  # EN 14908-1
LAST_NODE: Final = 127  # EN 14908-1
MOST_REPEATERS: Final = 16  # stations that a message of proxy repeating can name (grade B)


@dataclass(frozen=True, slots=True)
class ConcentratorConfig:
    """How to find and read. Every value has a default.

    Args:
        security: what protects messages, for meters without a mode of their own in `modes` (by unique id).
        key: OMAK (OMA digest) for meters without one of their own in `keys`.    psk: PSK (AES), likewise in `psks`.
        domain: 14908 domain id of the meters; AES keys are bound to it.
        entropy: n -> n unpredictable octets, for nonces; a simulation gives its own generator to be repeatable.
        subnet, first_node: first address given; then node by node up to 127, then the next subnet.
        reserved: addresses never given, the concentrator's own among them.
        known: addresses of meters that were commissioned before; they are read without being found first.
        read_set: tables to read; the dimension tables they need are added.
        prefixes: octets to read of a table instead of all of it.
        limits: octets per message (grade D).
        empty_rounds: discovery ends after so many rounds in a row without a new node.    max_rounds: or after so many.
        tries: sendings of one request, byte for byte the same, before the meter counts as silent.
        resyncs: refusals for the sequence number (0x0C) in a row before the meter is given up for this pass.
        commission_tries: sendings of one commissioning.
        max_repeaters: most meters that repeat on the way to another one, 0..16; 0: every meter is asked directly.
        route_tries: other routes tried in one turn before a meter counts as silent, or measured for one with a weak last link.
        good_margin_db: signal margin of a last link that makes looking for a better one worth nothing (ET04's lowest class).
        routes: routes of meters in `known`, by unique id; those without are tried directly first.
        silent_tries: turns a silent meter gets in one pass; before each further one there is a discovery.
        answer_time: s after which an action without feedback counts as failed; for each repeater on the way as much again.
        period: s from the start of one pass to the next; None: one pass, then done.
        rediscover: s between discoveries; None: only at the start, and when a meter is silent.
        reread_stable: read the tables that rarely change in every pass.
    """

    security: SecurityMode = SecurityMode.AES
    modes: Mapping[bytes, SecurityMode] = field(default_factory=dict)
    key: Key = field(default_factory=Key.omak)
    keys: Mapping[bytes, Key] = field(default_factory=dict)
    psk: Key = field(default_factory=Key.psk)
    psks: Mapping[bytes, Key] = field(default_factory=dict)
    domain: bytes = b""
    entropy: Callable[[int], bytes] = FRESH
    subnet: int = 1
    first_node: int = 2
    reserved: frozenset[tuple[int, int]] = frozenset(((1, 1),))
    known: Mapping[bytes, tuple[int, int]] = field(default_factory=dict)
    read_set: tuple[str, ...] = READ_SET
    prefixes: Mapping[str, int] = field(default_factory=lambda: dict(PREFIXES))
    limits: Limits = field(default_factory=Limits)
    empty_rounds: int = 1
    max_rounds: int = 50
    tries: int = 2
    resyncs: int = 3
    commission_tries: int = 3
    max_repeaters: int = 0
    route_tries: int = 4
    good_margin_db: float = 9.0
    routes: Mapping[bytes, Route] = field(default_factory=dict)
    silent_tries: int = 2
    answer_time: float = 60.0
    period: float | None = None
    rediscover: float | None = None
    reread_stable: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "security", SecurityMode(self.security))
        if not (1 <= self.subnet <= LAST_SUBNET and 1 <= self.first_node <= LAST_NODE):
            raise ConfigurationError(f"subnet must be 1..255 and first_node 1..127, got {self.subnet}/{self.first_node}")
        for name in ("empty_rounds", "max_rounds", "tries", "resyncs", "commission_tries", "silent_tries"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.max_repeaters <= MOST_REPEATERS or self.route_tries < 0:
            raise ConfigurationError(
                f"max_repeaters must be 0..{MOST_REPEATERS} and route_tries not negative, "
                f"got {self.max_repeaters} and {self.route_tries}"
            )
        for name in ("answer_time", "period", "rediscover"):
            value = getattr(self, name)
            if value is not None and not value > 0.0:
                raise ConfigurationError(f"{name} must be more than 0 s, got {value}")
        for name in self.read_set:
            table(name)
        if any(octets < 1 for octets in self.prefixes.values()):
            raise ConfigurationError(f"prefixes must be at least 1 octet, got {dict(self.prefixes)}")

    def addresses(self) -> Iterator[tuple[int, int]]:
        """Addresses in the order they are given."""
        for subnet in range(self.subnet, LAST_SUBNET + 1):
            for node in range(self.first_node if subnet == self.subnet else 1, LAST_NODE + 1):
                if (subnet, node) not in self.reserved:
                    yield subnet, node

    def security_of(self, unique_node_id: bytes) -> ClientSecurity:
        """Our end of the protection of a meter's messages."""
        return client_security(
            self.modes.get(unique_node_id, self.security),
            self.keys.get(unique_node_id, self.key),
            self.psks.get(unique_node_id, self.psk),
            unique_node_id,
            self.entropy,
        )
