"""Medium access times of a channel, computed from its parameter octets (`spec/channels.toml`)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Self

from .access_rule import AccessRuleTimes
from .address import check_range
from .errors import ConfigurationError

_ALTERNATE_PATH: Final = 0x80  # bit of the first transceiver register that chooses the secondary carrier (grade B)


@dataclass(frozen=True, slots=True)
class AccessFormulas:
    """Constants of the formulas that turn parameter octets into cycles; see the head of `spec/channels.toml`."""

    input_clocks_per_cycle: int
    beta2_slope: int
    beta2_offset: int
    pad_low_slope: int
    pad_high_slope: int
    pad_knee: int
    post_rx_offset: int
    post_tx_offset: int
    beta1_offset: int
    packet_cycle_slope: int
    w_base: int
    post_tx_head_start: int

    def pad(self, octet: int) -> int:
        """Cycles that an interpacket octet adds."""
        if octet < self.pad_knee:
            return self.pad_low_slope * octet
        return self.pad_high_slope * (octet - self.pad_knee)


@dataclass(frozen=True, slots=True)
class BacklogLimits:
    """Range of the backlog and what collisions do to a packet."""

    minimum: int
    maximum: int
    collision_limit: int
    priority_collision_limit: int


@dataclass(frozen=True, slots=True)
class ChannelTiming:
    """Everything medium access needs to know about a channel. Times in s.

    Args:
        name: name of the channel in the data file.
        xid: transceiver id of the installation tools, None for a channel of one's own.
        formulas, limits: constants common to all channels.
        input_clock_hz: input clock of the node processor the octets were made for.
        clock_code: its code in the configuration data.
        preamble, packet_cycle_octet, beta2_control, xmit_interpacket, recv_interpacket: parameter octets.
        channel_priorities: number of priority slots; 0 on the OSGP line.
        comm_type: octet of the configuration data.
        transceiver: seven configuration octets of the transceiver.
        access_rule: the band's own rule in front of every frame, None where there is none or it is switched off.
    """

    name: str
    formulas: AccessFormulas
    limits: BacklogLimits
    input_clock_hz: int
    clock_code: int
    preamble: int
    packet_cycle_octet: int
    beta2_control: int
    xmit_interpacket: int
    recv_interpacket: int
    channel_priorities: int
    comm_type: int
    transceiver: bytes
    xid: int | None = None
    access_rule: AccessRuleTimes | None = None

    def __post_init__(self) -> None:
        if self.input_clock_hz <= 0:
            raise ConfigurationError(f"input_clock_hz must be positive, got {self.input_clock_hz}")
        for name in ("preamble", "packet_cycle_octet", "beta2_control", "xmit_interpacket", "recv_interpacket"):
            check_range(name, getattr(self, name), 0, 255)
        check_range("channel_priorities", self.channel_priorities, 0, 255)

    @classmethod
    def load(cls, channel: str | int | Path) -> Self:
        """Channel by its name in the shipped data ("pl20a_nes"), by its transceiver id (222), or the single one of a TOML file.

        Raises:
            ConfigurationError: no such channel, or the file does not describe one.
        """
        if isinstance(channel, int):
            return cls._from_document(_shipped(), _name_of(channel))
        if isinstance(channel, Path) or channel.endswith(".toml"):
            try:
                document = tomllib.loads(Path(channel).read_text(encoding="utf-8"))
            except (OSError, tomllib.TOMLDecodeError) as error:
                raise ConfigurationError(f"channel file {channel}: {error}") from None
            names = list(document.get("channels", {}))
            if len(names) != 1:
                raise ConfigurationError(f"channel file {channel} must hold one channel, has {len(names)}")
            return cls._from_document(document, names[0])
        document = _shipped()
        if channel not in document["channels"]:
            raise ConfigurationError(f"channel must be one of {', '.join(document['channels'])}, got {channel!r}")
        return cls._from_document(document, channel)

    @staticmethod
    def names() -> tuple[str, ...]:
        """Channels of the shipped data."""
        return tuple(_shipped()["channels"])

    def transceiver_registers(self, alternate: bool) -> bytes:
        """The seven configuration registers as they must stand when a frame is sent on a path.

        The first is written again before each frame; its highest bit chooses the secondary carrier (grade B).
        """
        first = self.transceiver[0] & ~_ALTERNATE_PATH | (_ALTERNATE_PATH if alternate else 0)
        return bytes([first]) + self.transceiver[1:]

    @classmethod
    def _from_document(cls, document: Mapping[str, Any], name: str) -> Self:
        shipped = _shipped()
        notes = ("source", "grade", "title", "like")

        def table(key: str) -> dict[str, Any]:
            return {k: v for k, v in {**shipped[key], **document.get(key, {})}.items() if k not in notes}

        own = document["channels"][name]
        row = {k: v for k, v in {**document["channels"].get(own.get("like"), {}), **own}.items() if k not in notes}
        has_rule = row.pop("access_rule", False)
        try:
            return cls(
                name=name,
                formulas=AccessFormulas(**table("formulas")),
                limits=BacklogLimits(**table("backlog")),
                packet_cycle_octet=row.pop("packet_cycle"),
                transceiver=bytes.fromhex(row.pop("transceiver")),
                access_rule=AccessRuleTimes(**table("access_rule")) if has_rule else None,
                **row,
            )
        except (TypeError, KeyError, ValueError) as error:
            raise ConfigurationError(f"channel {name}: {error}") from None

    def _seconds(self, cycles: int) -> float:
        return cycles * self.formulas.input_clocks_per_cycle / self.input_clock_hz

    @property
    def beta2_cycles(self) -> int:
        """Width of one slot in cycles."""
        return self.formulas.beta2_slope * self.beta2_control + self.formulas.beta2_offset

    @property
    def beta2(self) -> float:
        """Width of one slot."""
        return self._seconds(self.beta2_cycles)

    @property
    def beta1_post_rx(self) -> float:
        """Idle time every node waits after a reception."""
        pad = self.formulas.pad(self.recv_interpacket)
        return self._seconds(self.formulas.post_rx_offset + self.beta2_cycles + pad + self.formulas.beta1_offset)

    @property
    def beta1_post_tx(self) -> float:
        """Idle time a node waits after its own transmission."""
        pad = self.formulas.pad(self.xmit_interpacket)
        return self._seconds(self.formulas.post_tx_offset + self.beta2_cycles + pad + self.formulas.beta1_offset)

    @property
    def packet_cycle(self) -> float:
        """Average packet cycle: this much idle time lowers the backlog by one."""
        return self._seconds(self.formulas.packet_cycle_slope * self.packet_cycle_octet)

    @property
    def w_base(self) -> int:
        """Slots in the basic randomizing window."""
        return self.formulas.w_base

    @property
    def w_base_window(self) -> float:
        """Duration of the basic randomizing window."""
        return self._seconds(self.w_base * self.beta2_cycles)

    @property
    def priority_area_post_rx(self) -> float:
        """Duration of the priority slots after a reception."""
        return self._seconds(self.channel_priorities * self.beta2_cycles)

    @property
    def priority_area_post_tx(self) -> float:
        """The same after an own transmission: with a head start for the others, unless there are no slots."""
        if self.channel_priorities == 0:
            return 0.0
        return self._seconds((self.channel_priorities + self.formulas.post_tx_head_start) * self.beta2_cycles)


def _name_of(xid: int) -> str:
    channels: dict[str, Any] = _shipped()["channels"]
    known = {row["xid"]: name for name, row in channels.items()}
    if xid not in known:
        raise ConfigurationError(f"transceiver id must be one of {', '.join(map(str, sorted(known)))}, got {xid}")
    return known[xid]


@cache
def _shipped() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("spec/channels.toml").read_text(encoding="utf-8"))
