"""What a meter is told before it starts."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..errors import ConfigurationError
from ..firmware_image import ImageKey
from ..mbus.devices import MbusDevice
from ..plc import Limits
from ..security import SEQUENCE_WINDOW, Key, SecurityMode
from ..security.modes import FRESH
from ..table import table
from .control_settings import ControlSettings
from .fault_kinds import Faults
from .load import LoadModel
from .mains import Mains
from .quirks import Quirks
from .registers import Tariff
from .settings import MeteringSettings

UTC = datetime.UTC


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """Identity, clock, load and security of one meter. Every value has a default, so that `MeterConfig()` runs.

    Args:
        unique_node_id: 6 octets of the transceiver.    program_id: 8 octets, ET04.
        manufacturer, model: BT01, at most 4 and 8 characters.    serial: BT01, up to 16 digits.
        utility_serial: ET03, at most 30 characters.    hardware: (version, revision).
        firmware: (x, yy, zz). It decides on tables and quirks, not on the suite: the fields that name the suite
            (ET04.security_mode, ET54.supported_security) came with 3.13/3.80 (grade A), so the default meter speaks AES and has
            none that says so; one of 3.80 and later has (grade D).
        security: what protects messages on the power line, see `SecurityMode`; the project's AES profile.
        key: the OMAK, unicast key of the power line for the OMA digest.    psk: the same for AES.
        broadcast_key: for secure broadcasts, None: the meter takes none.
        entropy: n -> n unpredictable octets, for nonces; a simulation gives its own generator to be repeatable.
        requires_authentication: refuse senders that the network layer (EN 14908-1) did not authenticate.
        digests_refusals: see `OmaSuite`; for the study of an attack only.
        sequence: last sequence number used; a client learns it through 0x0C.
        sequence_window: how far ahead a number may be (grade D on the power line).
        repeat_time: s in which a byte-identical repeat of the last request gets the stored response again (grade D).
        limits: octets per message (grade D).
        start: UTC instant of `now` = 0; naive means UTC.    utc_offset: minutes of local time without daylight saving.
        seed, phases, pv_peak, size: the built-in Household; or give a `load` of your own.
        initial_registers: see Registers.    tariff: (hour of the local day, tariff 0..3) of every switch, ascending.
        image_keys: up to two public keys that may sign firmware.    mbus: sub-meters on its M-Bus.
        control: contactor, limits, relays, prepayment.
        metering: registers, calendar, load profile, demand, logs.
        alarms: names of BT03 bits that are set.    idt_version: ET04.
        quirks: habits in which meters differ; None: those of the firmware.    groups: transaction groups it belongs to (0xYYZZ).
        faults: what it does wrong.
        pending_tables: tables with a pending copy.    mep_identifications: strings of its MEP clients, at most 30 octets each.
        locked_procedures: numbers of procedures that the hardware lock refuses.
        locked: tables that refuse writes whatever the key: the registers.
    """

    unique_node_id: bytes = b"\x02\x00\x00\x00\x00\x01"
    program_id: bytes = b"\x9f\xff\xff\x05\x00\x00\x00\x01"
    manufacturer: str = "SIM"
    model: str = "1PH-SIM"
    serial: str = "1"
    utility_serial: str = "SIM-0001"
    hardware: tuple[int, int] = (1, 0)
    firmware: tuple[int, int, int] = (3, 60, 1)
    security: SecurityMode = SecurityMode.AES
    key: Key = field(default_factory=Key.omak)
    psk: Key = field(default_factory=Key.psk)
    broadcast_key: Key | None = None
    entropy: Callable[[int], bytes] = FRESH
    requires_authentication: bool = False
    digests_refusals: bool = False
    sequence: int = 0
    sequence_window: int = SEQUENCE_WINDOW
    repeat_time: float = 30.0
    limits: Limits = field(default_factory=Limits)
    start: datetime.datetime = datetime.datetime(2024, 3, 4, 17, 0, 0, tzinfo=UTC)
    utc_offset: int = 60
    seed: int = 1
    phases: int = 1
    pv_peak: float = 0.0
    size: float = 1.0
    load: LoadModel | None = None
    mains: Mains = field(default_factory=Mains)
    initial_registers: Mapping[str, int | tuple[int, ...]] = field(default_factory=dict)
    tariff: Tariff = ((7.0, 0), (23.0, 1))
    metering: MeteringSettings = field(default_factory=MeteringSettings)
    image_keys: tuple[ImageKey, ...] = ()
    mbus: tuple[MbusDevice, ...] = ()
    control: ControlSettings = field(default_factory=ControlSettings)
    alarms: frozenset[str] = frozenset()
    idt_version: int = 1
    locked: frozenset[str] = frozenset(("BT23",))
    locked_procedures: frozenset[int] = frozenset()
    pending_tables: tuple[str, ...] = ("BT54", "ET47")
    groups: frozenset[int] = frozenset()
    mep_identifications: tuple[bytes, ...] = ()
    quirks: Quirks | None = None
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        object.__setattr__(self, "security", SecurityMode(self.security))
        for name, limit in (("unique_node_id", 6), ("program_id", 8)):
            if len(getattr(self, name)) != limit:
                raise ConfigurationError(f"{name} must have {limit} octets, got {len(getattr(self, name))}")
        for name, limit in (("manufacturer", 4), ("model", 8), ("utility_serial", 30)):
            text = getattr(self, name)
            if len(text) > limit or not text.isascii():
                raise ConfigurationError(f"{name} must be at most {limit} ASCII characters, got {text!r}")
        if not (self.serial.isdecimal() and self.serial.isascii() and len(self.serial) <= 16):
            raise ConfigurationError(f"serial must be 1..16 digits, got {self.serial!r}")
        if not -12 * 60 <= self.utc_offset <= 14 * 60:
            raise ConfigurationError(f"utc_offset must be -720..840 minutes, got {self.utc_offset}")
        if not self.repeat_time >= 0.0:
            raise ConfigurationError(f"repeat_time must be at least 0 s, got {self.repeat_time}")
        if any(not 0 < group <= 0xFFFF for group in self.groups):
            raise ConfigurationError(f"groups are 1..65535, got {sorted(self.groups)}")
        if len(self.image_keys) > 2:
            raise ConfigurationError(f"a meter has two slots for image keys, got {len(self.image_keys)}")
        if any(len(text) > 30 for text in self.mep_identifications):
            raise ConfigurationError("a MEP identification has at most 30 octets")
        names = {spec.name for spec in table("BT03").fields if not spec.filler}
        if unknown := self.alarms - names:
            raise ConfigurationError(f"BT03 has no bits {sorted(unknown)}")

    @property
    def habits(self) -> Quirks:
        """The quirks given, else those of the firmware."""
        return self.quirks if self.quirks is not None else Quirks.of(self.firmware)

    def utc(self, now: float) -> datetime.datetime:
        """UTC of an instant (s since the meter started)."""
        start = self.start if self.start.tzinfo is None else self.start.astimezone(UTC).replace(tzinfo=None)
        return start + datetime.timedelta(seconds=now)

    def local(self, now: float) -> datetime.datetime:
        """Local time of an instant."""
        return self.utc(now) + datetime.timedelta(minutes=self.utc_offset)

    def instant(self, utc: datetime.datetime) -> float:
        """The `now` of a naive UTC instant."""
        return (utc - self.utc(0.0)).total_seconds()

    def second_of_day(self) -> float:
        """Seconds from local midnight to `now` = 0: where the load model begins."""
        local = self.local(0.0)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        return (local - midnight).total_seconds()
