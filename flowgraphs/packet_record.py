"""A packet as a record of plain data: the same keys in `decode --json`, `listen --json` and on the page."""

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from phy import Packet, Profile


class Found(Protocol):
    """A packet, the profile that it was received with, and where its bit 0 begins: sample of the source, s."""

    @property
    def packet(self) -> "Packet": ...

    @property
    def profile(self) -> "Profile": ...

    @property
    def start_sample(self) -> int: ...

    @property
    def start_s(self) -> float: ...


def packet_record(file: str, found: Found) -> dict[str, Any]:
    """What JSON gets of a packet; `file`: name of the recording or of the live source."""
    packet = found.packet
    return {
        "file": file,
        "start_s": round(found.start_s, 6),
        "start_sample": found.start_sample,
        "carrier": packet.carrier,
        "lpdu": packet.lpdu.hex(),
        "crc_ok": packet.crc_ok,
        "esn0_db": round(packet.esn0_db, 1),
        "clock_ppm": round(packet.clock_ppm, 1),
        "corrected_bits": packet.corrected_bits,
        "profile": found.profile.name,
        "level_v": float(f"{packet.level_v:.4g}"),
    }
