"""Element indices of ANSI C12.18: which octets of a table an index path selects.

Elements of a record are numbered from 0 in the order of the specification, absent ones too; the bit fields of one container are
one element. The next level numbers the elements of an array. The guides do not use indices; this numbering is grade D.
"""

from __future__ import annotations

from .fields import FieldSpec, Kind
from .layout import Block, Item, Layout, Slot
from .table import TableSpec


def element_range(spec: TableSpec, layout: Layout, indices: tuple[int, ...], count: int) -> tuple[int, int] | None:
    """(offset, octets) of `count` elements from an index path on, cut off at the last element; None: there is no such element."""
    return _in_block(layout.block, spec.fields, 0, indices, count)


def elements(fields: tuple[FieldSpec, ...]) -> list[tuple[FieldSpec, ...]]:
    """The elements of a record: single fields, and the bit fields of one container together."""
    groups: list[list[FieldSpec]] = []
    for field in fields:
        if groups and field.kind is Kind.BITS and _same_container(groups[-1][-1], field):
            groups[-1].append(field)
        else:
            groups.append([field])
    return [tuple(group) for group in groups]


def _same_container(one: FieldSpec, other: FieldSpec) -> bool:
    return one.kind is Kind.BITS and one.container == other.container and one.at == other.at and one.placed


def _in_block(
    block: Block, fields: tuple[FieldSpec, ...], base: int, indices: tuple[int, ...], count: int
) -> tuple[int, int] | None:
    groups = elements(fields)
    if count < 1 or indices[0] >= len(groups):
        return None
    if len(indices) > 1:
        items = [block.items[field.name] for field in groups[indices[0]] if field.name in block.items]
        return _in_item(items[0], base, indices[1:], count) if len(items) == 1 else None
    wanted = [
        [block.items[field.name] for field in group if field.name in block.items]
        for group in groups[indices[0] : indices[0] + count]
    ]
    if not wanted[0]:
        return None
    places = [(item.at, item.end) for items in wanted for item in items]
    start, end = min(at for at, _ in places), max(end for _, end in places)
    return (base + start, end - start) if end > start else None


def _in_item(item: Item, base: int, indices: tuple[int, ...], count: int) -> tuple[int, int] | None:
    first = indices[0]
    if isinstance(item, Slot):
        element = item.leaf.element
        if len(indices) > 1 or not element or first >= item.leaf.size // element:
            return None
        taken = min(count, item.leaf.size // element - first)
        return base + item.at + first * element, taken * element
    if first >= item.count:
        return None
    at, below = item.element_at(first) or (0, item)
    if len(indices) > 1:
        return _in_block(below, item.spec.fields, base + at, indices[1:], count) if isinstance(below, Block) else None
    if first + count >= item.count:
        return base + at, item.end - at
    after = item.element_at(first + count)
    return (base + at, after[0] - at) if after is not None else None
