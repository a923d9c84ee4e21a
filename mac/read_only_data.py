"""Read-only structure of a node: identity, sizes of its tables and buffers, as memory messages show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Self

from .configuration import ADDRESS_TABLE_SIZE, NodeConfig
from .events import NodeState
from .message_codes import STATE_OCTETS
from .network import DOMAIN_TABLE_SIZE

# code -> octets of a buffer, and code -> number of buffers (grade B)
BUFFER_SIZES: Final = (255, 20, 20, 21, 22, 24, 26, 30, 34, 42, 50, 66, 82, 114, 146, 210)
BUFFER_COUNTS: Final = (0, 1, 1, 2, 3, 5, 7, 11, 15, 23, 31, 47, 63, 95, 127, 191)

_NO_POINTER: Final = b"\xff\xff"  # tables that live in a host and have no address (grade L)
_MAX_RECORDS: Final = 15
_STATE_MASK: Final = 0x07
_LARGEST: Final = 0  # buffer size code 0: 255 octets, which holds all this node sends and takes
_MANY: Final = 15  # count code 15: 191; this node has no fixed number
_TWO_DOMAINS: Final = 0x40
_EXPLICIT_ADDRESSING: Final = 0x20
_MESSAGE_PROCESSING: Final = 0x08


@dataclass(frozen=True, slots=True)
class ReadOnlyData:
    """The structure of 41 octets.                             ISO/IEC 14908-1, clause unverified (grade B)

        octet 0..5   unique node id      6  model      7  minor model
              8..9   pointer to the network variable table
              10     read/write protect(1) run unconfigured(1) variables(6)      variables 0: they live in a host (L)
              11..12 pointer to the self-identification data
              13..20 program id
              21     variables off(1) two domains(1) explicit addressing(1) 0(1) message processing(1) state(3)
              22     address rows(4) 0(4)          23  receive records(4) 0(4)
              24     application buffer sizes out(4) in(4)      25  network buffer sizes out(4) in(4)
              26..28 counts of priority, application and network buffers out(4) in(4)
              29..34 0
              35     transaction numbers by address(4) 0(4)     36  aliases     37  message tags(4) 0(4)     38..40 0

    Where in octets 22, 23, 35 and 37 the numbers sit is grade C: bits of a header in the order of its compiler.
    """

    LENGTH: ClassVar[int] = 41

    config: NodeConfig
    state_octet: int

    @classmethod
    def of(cls, config: NodeConfig, state: NodeState) -> Self:
        """Of a node in this state."""
        return cls(config, STATE_OCTETS[state])

    def encode(self) -> bytes:
        """41 octets."""
        config = self.config
        protection = 0x80 if config.read_write_protect else 0
        flags = _TWO_DOMAINS if DOMAIN_TABLE_SIZE == 2 else 0
        flags |= _EXPLICIT_ADDRESSING | _MESSAGE_PROCESSING | self.state_octet & _STATE_MASK
        records = min(config.receive_records - 1, _MAX_RECORDS)
        sizes = _LARGEST << 4 | _LARGEST
        counts = _MANY << 4 | _MANY
        return (
            config.unique_node_id
            + bytes([config.model, 0])
            + _NO_POINTER
            + bytes([protection])
            + _NO_POINTER
            + config.program_id
            + bytes([flags, ADDRESS_TABLE_SIZE << 4, records << 4, sizes, sizes, counts, counts, counts])
            + bytes(7)
            + bytes([min(config.aliases, 255)])
            + bytes(4)
        )


def buffer_size(code: int) -> int:
    """Octets of a buffer by its code 0..15; what a client may send to a node that reports it."""
    return BUFFER_SIZES[code & 15]


def buffer_count(code: int) -> int:
    """Number of buffers by its code 0..15."""
    return BUFFER_COUNTS[code & 15]
