"""The tables and the procedure of all control outputs: ET05, ET29, ET30; EP02 for contactor and relays.

    EP02: UINT8 action, UINT8 output, UINT16 delay, and if wanted UINT32 duration, UINT16 group       project-defined, grade D
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import ClassVar, Final

from ..access import Session
from .contactor import Contactor, Reason
from .identity import put
from .relays import Action, Relays
from .subsystem import Host, Procedure, ProcedureResult, Subsystem

OPERATE: Final = 2048 + 2  # EP02
CONTACTOR_OUTPUT: Final = 0
DISCONNECT_OPTION, RELAY_OPTION, MBUS_OPTION, MEP_OPTION, SENSOR_OPTION = 5, 6, 8, 10, 11  # bits of ET29; grade A


class ControlOutputs(Subsystem):
    """ET05, ET29, ET30; EP02. In front of Contactor and Relays."""

    name: ClassVar[str] = "control_outputs"

    def attach(self, host: Host) -> None:
        self._host = host
        settings, store = host.config.control, host.store
        put(store, "ET05", {
            "primary_max_power": settings.max_power[0], "secondary_max_power": settings.max_power[1],
            "prepay_rates": settings.rates[:4], "relay_1_calendar": settings.relay_calendar[0],
            "relay_2_calendar": settings.relay_calendar[1], "power_limits": settings.power_limits,
            "prepay": settings.prepay, "prepay_warning": settings.warning,
        })  # fmt: skip
        put(store, "ET30", {
            "hold_seconds": settings.hold, "reconnect_seconds": settings.reconnect,
            "primary_max_current": settings.max_current[0], "secondary_max_current": settings.max_current[1],
        })  # fmt: skip
        options = {RELAY_OPTION + number for number in range(settings.relays)} | {MBUS_OPTION, MEP_OPTION}
        if settings.contactor:
            options |= {DISCONNECT_OPTION, SENSOR_OPTION}
        put(store, "ET29", {
            "hardware_options": frozenset(options), "single_phase": host.config.phases == 1,
            "polyphase": host.config.phases > 1, "toggle_button": settings.toggle_button, "battery_type": 1,
            "relay_1_latching": settings.relays > 0, "relay_2_latching": settings.relays > 1,
        })  # fmt: skip

    def procedures(self) -> Mapping[int, Procedure]:
        return {OPERATE: self._operate}

    def _operate(self, parameters: bytes, session: Session, now: float) -> tuple[ProcedureResult, bytes]:
        if len(parameters) < 4:
            return ProcedureResult.INVALID_PARAMETER, b""
        action, output, delay = struct.unpack_from("<BBH", parameters)
        options = parameters[4:10].ljust(6, b"\0")
        duration, group = struct.unpack("<IH", options)
        if output == CONTACTOR_OUTPUT:
            return self._operate_contactor(action, delay, session, now), b""
        relays = self._host.find(Relays)
        if relays is None:
            return ProcedureResult.CONFLICTS_WITH_SETUP, b""
        return relays.command(action, output, delay, duration, group, now), b""

    def _operate_contactor(self, action: int, delay: int, session: Session, now: float) -> ProcedureResult:
        contactor = self._host.find(Contactor)
        if contactor is None:
            return ProcedureResult.CONFLICTS_WITH_SETUP
        if action not in (Action.OPEN, Action.CLOSE, Action.LOCK_OPEN):
            return ProcedureResult.INVALID_PARAMETER
        reason = Reason.REMOTE_RECONNECT if action == Action.CLOSE else Reason.COMMAND
        return contactor.operate(
            action == Action.CLOSE, reason, now, session.user, lock=action == Action.LOCK_OPEN, delay_s=contactor.draw(delay)
        )
