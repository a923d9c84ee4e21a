"""What the concentrator reports."""

from __future__ import annotations

from dataclasses import dataclass

from ..services import ResultCode
from ..value import TableValue
from .reading import Reading
from .topology import Route


@dataclass(frozen=True, slots=True)
class MeterFound:
    """An unconfigured node answered. `known`: it had an address before (it was restarted or reset)."""

    at: float
    unique_node_id: bytes
    program_id: bytes
    known: bool


@dataclass(frozen=True, slots=True)
class MeterCommissioned:
    """A node has its address now."""

    at: float
    unique_node_id: bytes
    subnet: int
    node: int


@dataclass(frozen=True, slots=True)
class CommissionFailed:
    """A node did not take its address; it is tried again in the next pass."""

    at: float
    unique_node_id: bytes
    subnet: int
    node: int
    reason: str


@dataclass(frozen=True, slots=True)
class TableRead:
    """A table was read completely (or as far as the configuration asks)."""

    at: float
    unique_node_id: bytes
    table: str
    value: TableValue
    raw: bytes


@dataclass(frozen=True, slots=True)
class ReadingDone:
    """All tables of the read set are in."""

    at: float
    reading: Reading


@dataclass(frozen=True, slots=True)
class MeterSilent:
    """A meter that answered before, or was commissioned, does not answer."""

    at: float
    unique_node_id: bytes
    subnet: int
    node: int
    tries: int


@dataclass(frozen=True, slots=True)
class MeterBack:
    """A silent meter answers again."""

    at: float
    unique_node_id: bytes
    subnet: int
    node: int


@dataclass(frozen=True, slots=True)
class RouteChanged:
    """A meter is reached another way now."""

    at: float
    unique_node_id: bytes
    route: Route


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A table could not be read. `result` is the meter's code, None when we gave up ourselves; `reason` says it in words."""

    at: float
    unique_node_id: bytes
    table: str
    result: ResultCode | None
    reason: str


@dataclass(frozen=True, slots=True)
class PassDone:
    """Every known meter had its turn.    `number`: passes so far; `read`, `silent`, `failed`: unique ids.

    `failed` answered but could not be read: another key, or a sequence number that never fits.
    """

    at: float
    number: int
    read: tuple[bytes, ...]
    silent: tuple[bytes, ...]
    failed: tuple[bytes, ...]


Event = (
    MeterFound
    | MeterCommissioned
    | CommissionFailed
    | TableRead
    | ReadingDone
    | MeterSilent
    | MeterBack
    | RouteChanged
    | RequestRefused
    | PassDone
)
