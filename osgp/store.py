"""Table octets of a device, behind access rights.

Rules of the two guides (grade A): reading beyond a table gives zeroes and no error; of a write the surplus is ignored; a table
that the device lacks is answered 0x05, a missing right 0x03.
"""

from __future__ import annotations

from typing import Final

from .access import AccessLevel
from .context import Context
from .services import FullRead, FullWrite, PartialRead, PartialWrite, Response, ResultCode, TableRequest
from .table import table, table_id

# The guides give rights per key of the MEP and the optical port only. A concentrator may do what MAK may: grade D.
RIGHTS: Final = {
    AccessLevel.MBK: ("mep", "MBK"),
    AccessLevel.MAK: ("mep", "MAK"),
    AccessLevel.OMAK: ("mep", "MAK"),
    AccessLevel.RK: ("optical", "RK"),
    AccessLevel.PK: ("optical", "PK"),
    AccessLevel.MK: ("optical", "MK"),
}
# Where the guides say nothing: these read, nobody writes. Grade D.
READ_UNSTATED: Final = frozenset((AccessLevel.MAK, AccessLevel.OMAK, AccessLevel.MK))


def allowed(identifier: str, direction: str, level: AccessLevel) -> bool:
    """Whether a level may "read" or "write" a table, by the table's own specification."""
    access = table(identifier).access
    if "open" in (access.get((direction, "mep")) or ()):
        return True
    if level is AccessLevel.OPEN:
        return "open" in (access.get((direction, "optical")) or ())
    port, key = RIGHTS[level]
    keys = access.get((direction, port))
    if keys is None:
        return direction == "read" and level in READ_UNSTATED
    return key in keys or "open" in keys


class TableStore:
    """The tables of one device.

    Args:
        locked: tables that nobody may write, whatever the key (the hardware lock of the guides).
    """

    def __init__(self, locked: frozenset[str] = frozenset()) -> None:
        self._octets: dict[str, bytearray] = {}
        self._locked = locked
        self.context = Context()
        self._changed: set[str] = set()

    def put(self, identifier: str, octets: bytes) -> None:
        """Set a table; it exists from then on."""
        new = bytearray(octets)
        if self._octets.get(identifier) == new:
            return
        self._octets[identifier] = new
        self._changed.add(identifier)
        self.context.put(identifier, octets)

    def write(self, identifier: str, offset: int, octets: bytes) -> bytes:
        """Change octets of a table from `offset`, 0 or more; what does not fit is cut off. Returns what was stored."""
        table_octets = self._octets[identifier]
        piece = octets[: max(0, len(table_octets) - offset)]
        if piece:
            table_octets[offset : offset + len(piece)] = piece
            self._changed.add(identifier)
            self.context.put(identifier, bytes(table_octets))
        return piece

    def take_changed(self) -> frozenset[str]:
        """Ids of the tables put or written since this was asked last."""
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def octets(self, identifier: str) -> bytes:
        """Octets of a table; KeyError when the device lacks it."""
        return bytes(self._octets[identifier])

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._octets

    def known(self) -> tuple[str, ...]:
        """Ids of the tables that exist."""
        return tuple(self._octets)

    def writable(self, identifier: str, level: AccessLevel) -> bool:
        """Whether a write of that level would be accepted."""
        return identifier in self._octets and identifier not in self._locked and allowed(identifier, "write", level)

    def serve(self, request: TableRequest, level: AccessLevel) -> Response:
        """Carry out one request."""
        identifier = table_id(request.table)
        if identifier not in self._octets:
            return Response(ResultCode.INAPPROPRIATE_ACTION)
        octets = self._octets[identifier]
        match request:
            case FullRead() | PartialRead():
                if not allowed(identifier, "read", level):
                    return Response(ResultCode.INSUFFICIENT_SECURITY)
                if isinstance(request, FullRead):
                    return Response(ResultCode.OK, bytes(octets))
                piece = bytes(octets[request.offset : request.offset + request.count])
                return Response(ResultCode.OK, piece.ljust(request.count, b"\0"))
            case FullWrite() | PartialWrite():
                if not self.writable(identifier, level):
                    return Response(ResultCode.INSUFFICIENT_SECURITY)
                offset = request.offset if isinstance(request, PartialWrite) else 0
                self.write(identifier, offset, request.data)
                return Response(ResultCode.OK)
