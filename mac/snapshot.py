"""What of a node survives a restart, as one frozen value and as octets; whoever drives the node keeps them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from .address import PROGRAM_ID_LENGTH, UNIQUE_NODE_ID_LENGTH, check_length, check_range
from .authentication import BLANK_KEY
from .entries import BLANK_DOMAIN, DomainEntry, GroupEntry
from .errors import DecodeError, MalformedPdu, TruncatedPdu
from .events import NodeState
from .message_codes import SETTABLE_STATES, STATE_BY_OCTET, STATE_OCTETS
from .network import DOMAIN_TABLE_SIZE
from .variable_entry import AliasConfig, VariableConfig

_MAGIC: Final = b"14908-1 node\0"
_VERSION: Final = 1
_CHECK_LENGTH: Final = 4
_CONFIGURATION_LENGTH: Final = 25


@dataclass(frozen=True, slots=True)
class NodeSnapshot:
    """Non-volatile data of a node. Counters, the reset cause, off-line and Respond to Query are volatile (grade B, L).

    Layout of the octets, our own: magic[13] version(8) length(32) body[length] CRC-32(32), big-endian; the body is

        unique id[6] program id[8] state(8) last error(8) checksum(8) configuration[25]
        rows(8) domain row[15]..   rows(8) address row[5]..   rows(16) alias row[6]..
        variables(16), each: row[4] length(8) value[length]

    Args:
        unique_node_id, program_id: whose data it is.
        state: node state; soft off-line is kept as configured.
        domains: rows of the domain table.    spare_keys: keys of its blank rows; keys are never shown by `repr`.
        address_rows: 5 octets each.    configuration: 25 octets.
        variable_configs, values: of the network variables; a value is empty for a variable that is not persistent.
        aliases: rows of the alias table.
        last_error: error log.    checksum: of the configuration, as it stood; a wrong one takes effect at restart.
    """

    FORMAT_VERSION: ClassVar[int] = _VERSION

    unique_node_id: bytes
    program_id: bytes
    state: NodeState
    domains: tuple[DomainEntry | None, ...]
    spare_keys: tuple[bytes, ...] = field(repr=False)
    address_rows: tuple[bytes, ...]
    configuration: bytes
    variable_configs: tuple[VariableConfig, ...] = ()
    values: tuple[bytes, ...] = ()
    aliases: tuple[AliasConfig, ...] = ()
    last_error: int = 0
    checksum: int = 0

    def __post_init__(self) -> None:
        check_length("unique_node_id", self.unique_node_id, UNIQUE_NODE_ID_LENGTH)
        check_length("program_id", self.program_id, PROGRAM_ID_LENGTH)
        check_length("configuration", self.configuration, _CONFIGURATION_LENGTH)
        check_range("number of domain rows", len(self.domains), DOMAIN_TABLE_SIZE, DOMAIN_TABLE_SIZE)
        check_range("number of spare keys", len(self.spare_keys), DOMAIN_TABLE_SIZE, DOMAIN_TABLE_SIZE)
        check_range("number of address rows", len(self.address_rows), 0, 255)
        check_range("number of values", len(self.values), len(self.variable_configs), len(self.variable_configs))
        for row in self.address_rows:
            check_length("address row", row, GroupEntry.LENGTH)

    @property
    def intact(self) -> bool:
        """Whether the checksum is that of the configuration; where it is not, the node shall start unconfigured."""
        rows = b"".join(config.encode(extended=True) for config in self.variable_configs)
        rows += b"".join(alias.encode(extended=True) for alias in self.aliases)
        image = self.configuration + b"".join(self.domain_rows()) + b"".join(self.address_rows) + rows
        return exclusive_or(image) == self.checksum

    def domain_rows(self) -> list[bytes]:
        """Rows of the domain table, blank ones with their keys."""
        return [
            BLANK_DOMAIN[: -len(key)] + key if entry is None else entry.encode()
            for entry, key in zip(self.domains, self.spare_keys, strict=True)
        ]

    def encode(self) -> bytes:
        """Octets that `decode` reads, keys in clear: whoever stores them must guard them."""
        state = NodeState.CONFIGURED if self.state is NodeState.SOFT_OFFLINE else self.state
        domain_rows = self.domain_rows()
        body = self.unique_node_id + self.program_id
        body += bytes([STATE_OCTETS[state], self.last_error, self.checksum]) + self.configuration
        body += bytes([len(domain_rows)]) + b"".join(domain_rows)
        body += bytes([len(self.address_rows)]) + b"".join(self.address_rows)
        body += len(self.aliases).to_bytes(2, "big") + b"".join(alias.encode(extended=True) for alias in self.aliases)
        body += len(self.values).to_bytes(2, "big")
        for config, value in zip(self.variable_configs, self.values, strict=True):
            body += config.encode(extended=True) + bytes([len(value)]) + value
        octets = _MAGIC + bytes([_VERSION]) + len(body).to_bytes(4, "big") + body
        return octets + zlib.crc32(octets).to_bytes(_CHECK_LENGTH, "big")

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Read what `encode` made; raises `DecodeError` for anything else, however little was changed."""
        body = _checked_body(octets)
        reader = _Reader(body)
        unique_node_id, program_id = reader.take(UNIQUE_NODE_ID_LENGTH), reader.take(PROGRAM_ID_LENGTH)
        state = STATE_BY_OCTET.get(reader.number(1))
        if state not in SETTABLE_STATES:
            raise MalformedPdu("node data with an impossible state")
        last_error, checksum = reader.number(1), reader.number(1)
        configuration = reader.take(_CONFIGURATION_LENGTH)
        domain_rows = reader.rows(1, DomainEntry.LENGTH)
        if len(domain_rows) != DOMAIN_TABLE_SIZE:
            raise MalformedPdu(f"node data with {len(domain_rows)} domain rows, {DOMAIN_TABLE_SIZE} expected")
        domains = tuple(DomainEntry.decode(row) for row in domain_rows)
        keys = tuple(
            row[-DomainEntry.KEY_LENGTH :] if entry is None else BLANK_KEY
            for row, entry in zip(domain_rows, domains, strict=True)
        )
        address_rows = tuple(reader.rows(1, GroupEntry.LENGTH))
        aliases = tuple(AliasConfig.decode_extended(row) for row in reader.rows(2, AliasConfig.EXTENDED_LENGTH))
        configs, values = [], []
        for _ in range(reader.number(2)):
            configs.append(VariableConfig.decode(reader.take(VariableConfig.EXTENDED_LENGTH)))
            values.append(reader.take(reader.number(1)))
        reader.end()
        return cls(
            unique_node_id,
            program_id,
            state,
            domains,
            keys,
            address_rows,
            configuration,
            tuple(configs),
            tuple(values),
            aliases,
            last_error,
            checksum,
        )


def exclusive_or(octets: bytes) -> int:
    """Checksum of a configuration: exclusive or of its octets (grade B)."""
    result = 0
    for octet in octets:
        result ^= octet
    return result


def _checked_body(octets: bytes) -> bytes:
    head = len(_MAGIC) + 5
    if not octets.startswith(_MAGIC):
        raise MalformedPdu("these octets are no node data: they do not start with its magic")
    if len(octets) < head + _CHECK_LENGTH:
        raise TruncatedPdu(f"node data needs at least {head + _CHECK_LENGTH} octets, got {len(octets)}")
    version, length = octets[len(_MAGIC)], int.from_bytes(octets[len(_MAGIC) + 1 : head], "big")
    if version != _VERSION:
        raise MalformedPdu(f"node data of version {version}, this program reads version {_VERSION}")
    if len(octets) != head + length + _CHECK_LENGTH:
        raise TruncatedPdu(f"node data should have {head + length + _CHECK_LENGTH} octets, has {len(octets)}")
    if zlib.crc32(octets[:-_CHECK_LENGTH]) != int.from_bytes(octets[-_CHECK_LENGTH:], "big"):
        raise MalformedPdu("node data is damaged: its checksum is wrong")
    return octets[head:-_CHECK_LENGTH]


class _Reader:
    """Takes fields off the front of octets; raises `DecodeError` where they end early or late."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def take(self, length: int) -> bytes:
        part = self._octets[self._at : self._at + length]
        if len(part) != length:
            raise TruncatedPdu("node data ends inside a field")
        self._at += length
        return part

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "big")

    def rows(self, count_length: int, row_length: int) -> list[bytes]:
        return [self.take(row_length) for _ in range(self.number(count_length))]

    def end(self) -> None:
        if self._at != len(self._octets):
            raise DecodeError(f"node data has {len(self._octets) - self._at} octets too many")
