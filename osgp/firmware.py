"""Firmware versions: the packed form of BT01 and the "since" texts of the specifications."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from .errors import TableError

_VERSION: Final = re.compile(r"(CPM\s+)?(\d+)\.(\d+)")


def unpack_firmware(version: int, revision: int) -> tuple[int, int, int]:
    """BT01 firmware_version and firmware_revision -> x, yy, zz.    bits 15..12 x, 11..5 yy, 4..0 zz: 0x3018 is 3.00.24"""
    word = version << 8 | revision
    return word >> 12, word >> 5 & 0x7F, word & 0x1F


def pack_firmware(major: int, minor: int, build: int) -> tuple[int, int]:
    """The two octets of BT01, high octet first; the other way round of unpack_firmware."""
    if not (0 <= major <= 15 and 0 <= minor <= 127 and 0 <= build <= 31):
        raise TableError(f"firmware must be 0..15, 0..127, 0..31, got {major}, {minor}, {build}")
    word = major << 12 | minor << 5 | build
    return word >> 8, word & 0xFF


@lru_cache(maxsize=4096)
def has(since: str, firmware: tuple[int, int]) -> bool:
    """Whether firmware (major, minor) has what came "since".

    The texts are those of the guides: "4.0", "2.12/3.01" (one version for each generation), "3.13/3.80" (a maintenance
    release of an old line and the release that all later ones follow; grade D), "3.82+, 4.02+, CPM 1.31+" (modules are left
    out). A generation that is not named has it when an older one is.
    """
    versions = sorted((int(m[2]), int(m[3])) for m in _VERSION.finditer(since) if not m[1])
    if not versions:
        return True
    same = [minor for major, minor in versions if major == firmware[0]]
    if same:
        return firmware[1] >= max(same) or firmware[1] in same
    return versions[0][0] < firmware[0]
