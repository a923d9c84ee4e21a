"""Answers to memory messages: the address spaces of a node, their protection, and the checksum of its configuration.

    absolute 0x0000             firmware version, one octet
    absolute 0xF000             read-only data, configuration data, domain table, address table, network variable and
                                alias tables (extended rows), checksum: the image as the stack read for this lays it out
    read-only, configuration, statistics: relative to the start of each

With read/write protection only the read-only and configuration data and the firmware octet can be read, and only the
configuration data written (grade B). Read-only data and statistics are never written (our choice, grade D).
"""

from __future__ import annotations

from typing import Final

from ..configuration import ConfigurationData
from ..entries import DomainEntry
from ..errors import DecodeError
from ..management.memory import MemoryMode, ReadMemory, RecalculateChecksum, RefreshMemory, WriteMemory
from ..network import Arrival
from ..read_only_data import ReadOnlyData
from .command import Command
from .managed_node import ADDRESS_ROW_LENGTH, ManagedNode
from .reply import Reply, Reset, refusal, success

IMAGE_BASE: Final = 0xF000
_CONFIGURATION_BASE: Final = IMAGE_BASE + ReadOnlyData.LENGTH
_DOMAIN_BASE: Final = _CONFIGURATION_BASE + ConfigurationData.LENGTH
_NONVOLATILE_OCTETS: Final = 4096  # cells that Memory Refresh may name, counted in pages of 16 (grade B)
_REFRESH_PAGE: Final = 16


def read(node: ManagedNode, mode: MemoryMode, offset: int, count: int, identity_only: bool = False) -> bytes | None:
    """Octets of a memory space, None where there are none to be read.

    `identity_only` leaves what a Query ID may compare: read-only and configuration data.
    """
    protected = node.config.read_write_protect or identity_only
    match mode:
        case MemoryMode.ABSOLUTE if offset < IMAGE_BASE:
            firmware = bytes([node.config.firmware_version])
            return None if identity_only else _part(firmware, offset, count)
        case MemoryMode.ABSOLUTE:
            memory, offset = _image(node), offset - IMAGE_BASE
            if protected:
                memory = memory[: _DOMAIN_BASE - IMAGE_BASE]
        case MemoryMode.READ_ONLY:
            memory = ReadOnlyData.of(node.config, node.state).encode()
        case MemoryMode.CONFIGURATION:
            memory = node.configuration.octets
        case MemoryMode.STATISTICS:
            if protected:
                return None
            memory = node.statistics.words()
    return _part(memory, offset, count)


def _part(memory: bytes, offset: int, count: int) -> bytes | None:
    return memory[offset : offset + count] if offset + count <= len(memory) else None


def _image(node: ManagedNode) -> bytes:
    return ReadOnlyData.of(node.config, node.state).encode() + node.image() + bytes([node.checksum])


def _read_memory(node: ManagedNode, request: ReadMemory, arrival: Arrival) -> Reply:
    octets = read(node, request.mode, request.offset, request.count)
    return refusal(request.CODE) if octets is None else success(request.CODE, octets)


def _write_memory(node: ManagedNode, request: WriteMemory, arrival: Arrival) -> Reply:
    if not _write(node, request.mode, request.offset, request.octets):
        return refusal(request.CODE)
    if request.recalculates:
        node.recalculate_checksum()
    return success(request.CODE, reset=Reset.SOFTWARE if request.form & WriteMemory.RESET_FORM else Reset.NONE)


def _write(node: ManagedNode, mode: MemoryMode, offset: int, octets: bytes) -> bool:
    if mode is MemoryMode.ABSOLUTE:
        if offset < _CONFIGURATION_BASE:
            return False
        offset -= _CONFIGURATION_BASE
        if offset + len(octets) > ConfigurationData.LENGTH:
            return not node.config.read_write_protect and _write_image(node, offset, octets)
    elif mode is not MemoryMode.CONFIGURATION or offset + len(octets) > ConfigurationData.LENGTH:
        return False
    node.set_configuration(node.configuration.write(offset, octets))
    return True


def _write_image(node: ManagedNode, offset: int, octets: bytes) -> bool:
    """Write across configuration data and tables; refused as a whole when a row would not make sense."""
    image = node.image() + bytes([node.checksum])
    if offset + len(octets) > len(image):
        return False
    new = image[:offset] + octets + image[offset + len(octets) :]
    domains_end = ConfigurationData.LENGTH + DomainEntry.LENGTH * len(node.network.domains)
    addresses_end = domains_end + ADDRESS_ROW_LENGTH * len(node.address_rows)
    try:
        rows = _rows(new[ConfigurationData.LENGTH : domains_end], DomainEntry.LENGTH)
        entries = [DomainEntry.decode(row) for row in rows]
        node.variables.set_rows(new[addresses_end:-1])
    except DecodeError:
        return False
    if new[: ConfigurationData.LENGTH] != node.configuration.octets:
        node.set_configuration(ConfigurationData(new[: ConfigurationData.LENGTH]))
    for index, (row, entry) in enumerate(zip(rows, entries, strict=True)):
        if row != node.domain_row(index):
            node.network.spare_keys[index] = row[-DomainEntry.KEY_LENGTH :]
            node.set_domain(index, entry)
    for index, row in enumerate(_rows(new[domains_end:addresses_end], ADDRESS_ROW_LENGTH)):
        if row != node.address_rows[index]:
            node.set_address_row(index, row)
    node.revision += 1
    node.checksum = new[-1]
    return True


def _rows(octets: bytes, length: int) -> list[bytes]:
    return [octets[at : at + length] for at in range(0, len(octets), length)]


def _recalculate(node: ManagedNode, request: RecalculateChecksum, arrival: Arrival) -> Reply:
    node.recalculate_checksum()
    return success(request.CODE)


def _refresh(node: ManagedNode, request: RefreshMemory, arrival: Arrival) -> Reply:
    """Nothing to do where the memory is a file; answered as the stack read for this does (grade B)."""
    inside = not request.off_chip and request.offset * _REFRESH_PAGE < _NONVOLATILE_OCTETS
    return success(request.CODE) if inside else refusal(request.CODE)


COMMANDS: Final = (
    Command(ReadMemory, _read_memory),
    Command(WriteMemory, _write_memory, by_message=True),
    Command(RecalculateChecksum, _recalculate, by_message=True),
    Command(RefreshMemory, _refresh, by_message=True),
)
