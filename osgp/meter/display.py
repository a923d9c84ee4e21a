"""The display of the meter as text: the items of BT33 one after another, messages, icons, the push button.

    BT33, ET07 --> items --> values --> Screen: id, text, unit, icons        ET55 message --> in front of everything
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from ..access import Session
from ..errors import TableError
from . import display_items as items
from .contactor import Contactor
from .display_items import WIDTH, Item, id_text, item_of
from .identity import put
from .mbus_devices import MbusDevices
from .measuring import Measuring
from .prepayment import Prepayment
from .subsystem import Host, Subsystem
from .timekeeping import to_ms
from .timing import Timing

ITEMS: Final = 30  # of the primary list; grade A
DEFAULT_LIST: Final = (items.TEST, items.CLOCK, 0)  # BT33; grade A for the ids
SECONDS: Final = range(6, 16)  # on time; grade A
STATES: Final = ("CLOSED", "CLOSING", "OPEN", "OPENING")
ITEM_OCTETS: Final = 6  # of ET07; grade D
MESSAGE_OCTETS: Final = 20  # text, start and end in ET55; grade A
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Screen:
    """What one sees.    id: code, e.g. "1.8.0".    text: at most 8 characters and points.    icons: what else is lit."""

    id: str
    text: str
    unit: str = ""
    icons: tuple[str, ...] = ()

    def __str__(self) -> str:
        icons = f"  [{' '.join(self.icons)}]" if self.icons else ""
        return f"{self.id:<8}{self.text:>10} {self.unit:<5}{icons}".rstrip()


class Display(Subsystem):
    """BT30, BT33, ET07, ET62.

    Example:
        print(meter.find(Display).shown(meter.now))
    """

    name: ClassVar[str] = "display"
    watches = frozenset(("BT33", "ET55"))

    def attach(self, host: Host) -> None:
        self._host = host
        self._since_ms = to_ms(host.now)
        self._place = 0
        store = host.store
        put(store, "BT30", {
            "on_time": True, "number_display_sources": 962, "width_display_sources": 2, "number_primary_items": ITEMS,
            "number_primary_lists": 1,
        })  # fmt: skip
        entry = {"on_time": 6, "default_list": 1, "number_items": len(DEFAULT_LIST), "sources": DEFAULT_LIST}
        put(store, "BT33", {"lists": [entry]})
        digits = host.config.metering.rollover_digits
        store.put("ET07", bytes(b"    \0\0" * ITEMS) + bytes((digits,)))
        fields = {"list_id": "P01", "list_id_dp": 4, "date_id": "DATE", "time_id": "TIME", "status_id": "STAT"}
        if "BT60" in store:
            put(store, "ET62", {**fields, "channels": [{"id": f"CH{n:02}", "digits_before": 8} for n in range(1, 17)]})

    # what is on the list

    def _list(self) -> tuple[int, tuple[int, ...]]:
        """(seconds per item, display source ids in use)."""
        entry: Any = self._host.store["BT33.lists[0]"]
        return entry["on_time"], tuple(entry["sources"][: min(ITEMS, entry["number_items"])])

    def screens(self, now: float) -> Iterator[Screen]:
        """All items, in order, as they look now."""
        icons = self._icons(now)
        for place, code in enumerate(self._list()[1]):
            yield self._screen(place, code, icons, now)

    def shown(self, now: float) -> Screen:
        """What the display shows now: a message that is due, else the item whose turn it is."""
        icons = self._icons(now)
        message = self._message(icons, now)
        if message is not None:
            return message
        seconds, codes = self._list()
        if not codes:
            return Screen("", "", icons=icons)
        place = self._place
        if seconds in SECONDS:
            place += (to_ms(now) - self._since_ms) // (1000 * seconds)
        return self._screen(place % len(codes), codes[place % len(codes)], icons, now)

    def press_button(self, now: float) -> None:
        """The display button: dismisses a message where that is allowed, else goes on to the next item."""
        store = self._host.store
        if self._message((), now) is not None and not store["ET55.disable_override"]:
            store["ET55.overridden"] = True
            return
        seconds, codes = self._list()
        if codes:
            turns = (to_ms(now) - self._since_ms) // (1000 * seconds) if seconds in SECONDS else 0
            self._place = (self._place + turns + 1) % len(codes)
        self._since_ms = to_ms(now)
        self.touch()

    def written(self, identifier: str, offset: int, octets: bytes, session: Session, now: float) -> None:
        """Another list begins with its first item. A new message is shown even when the last one was dismissed."""
        store = self._host.store
        if identifier == "BT33":
            self._place, self._since_ms = 0, to_ms(now)
            self.touch()
        elif "message_text" in (store.context.peek("ET55") or ()):
            text = store.place("ET55.message_text")
            flags = store.place("ET55.overridden").offset
            end = offset + len(octets)
            if offset < text.offset + MESSAGE_OCTETS and end > text.offset and not offset <= flags < end:
                store["ET55.overridden"] = False

    # one screen

    def _message(self, icons: tuple[str, ...], now: float) -> Screen | None:
        """The scheduled message of ET55, between its start and its end."""
        found: Any = self._host.store.context.peek("ET55")
        if found is None or "message_text" not in found or found["overridden"]:
            return None
        start, end = found["message_start"].moment(), found["message_end"].moment()
        if start is None or end is None or not start <= self._host.clock.utc(now) < end:
            return None
        return Screen(id_text(found["message_id"], found["message_id_dp"]), found["message_text"][:WIDTH].strip("\0"), "", icons)

    def _screen(self, place: int, code: int, icons: tuple[str, ...], now: float) -> Screen:
        item = item_of(code)
        octets = self._host.store.octets("ET07")[ITEM_OCTETS * place : ITEM_OCTETS * (place + 1)]
        characters, points, digits = octets[:4].decode("latin-1"), octets[4], octets[5]
        name = id_text(characters, points) if characters.strip(" \0") else id_text(item.id, item.dp)
        text, unit = self._text(code, item, digits, now)
        return Screen(name, text, unit, icons)

    def _text(self, code: int, item: Item, digits: int, now: float) -> tuple[str, str]:
        config, local = self._host.config, self._host.clock.local(now)
        match code:
            case items.TEST:
                return "8" * WIDTH, ""
            case items.CLOCK:
                return f"{local:%H:%M:%S}", ""
            case items.DATE:
                return f"{local:%d-%m-%y}", ""
            case items.SERIAL:
                return config.serial[-WIDTH:], ""
            case items.FIRMWARE:
                values: Any = self._host.store.context.peek("BT01")
                word = values["firmware_version"] << 8 | values["firmware_revision"]
                return f"{word >> 12}.{word >> 5 & 0x7F:02}.{word & 0x1F:02}", ""
            case items.CONTACTOR:
                contactor = self._host.find(Contactor)
                return (STATES[contactor.switch.state] if contactor is not None else "------"), ""
            case items.CREDIT:
                prepayment = self._host.find(Prepayment)
                credit = prepayment.credit_at(now) if prepayment is not None and prepayment.enabled else None
                return ("------" if credit is None else _number(credit, 3, 5, 2, True)), "kWh"
            case items.ALARMS:
                return self._alarm_octets(), ""
        return self._measured(code, item, digits, now)

    def _measured(self, code: int, item: Item, digits: int, now: float) -> tuple[str, str]:
        measuring = self._host.find(Measuring)
        value = None if measuring is None else measuring.values((code,), now).get(code)
        if value is None or measuring is None:
            return "------", item.unit
        energy = item.unit in ("kWh", "kvarh")
        value *= measuring.registers.unit if energy else 1
        before, after = digits >> 3 & 0xF, digits & 7
        if not before:  # the meter's own digits: as many as fit
            after = item.digits
            before = WIDTH - after
        return _number(value, item.scale, before, after, bool(digits & 0x80) or not energy), item.unit

    def _alarm_octets(self) -> str:
        """Alarm bits of BT03 octets 1, 2, 4 and 5 in hexadecimal: what service people note down; grade D."""
        octets = self._host.store.octets("BT03")
        return (octets[1:3] + octets[4:6]).hex().upper()

    def _icons(self, now: float) -> tuple[str, ...]:
        """Lit symbols: phases, direction, tariff, contactor, warning, clients, alarms."""
        measuring, contactor = self._host.find(Measuring), self._host.find(Contactor)
        timing, prepayment = self._host.find(Timing), self._host.find(Prepayment)
        icons = []
        if measuring is not None:
            present = measuring.values((8, 9, 15, 16, 17), now)
            icons += [f"L{phase + 1}" for phase in range(measuring.phases) if present.get(15 + phase, 0) > 0]
            icons += [symbol for source, symbol in ((8, "->"), (9, "<-")) if present.get(source)]
        if timing is not None:
            icons.append(f"T{timing.tier + 1}")  # the display counts tariffs from one; grade A
        if contactor is not None and not contactor.switch.closed:
            icons.append("LOCKED" if contactor.locked else "OPEN")
        if prepayment is not None and prepayment.warning:
            icons.append("CREDIT")
        mbus = self._host.find(MbusDevices)
        if mbus is not None and any(mbus.slots):
            icons.append("MBUS")
        octets = self._host.store.octets("BT03")
        if any(octets[1:3]):  # diagnostic alarms; grade A that they are shown, D which
            icons.append("!")
        return tuple(icons)

    # what must survive

    def snapshot(self) -> bytes:
        return bytes((_VERSION,)) + json.dumps((self._since_ms, self._place)).encode()

    def restore(self, octets: bytes, now: float) -> None:
        try:
            if octets[:1] != bytes((_VERSION,)):
                raise ValueError("another version")
            since, place = json.loads(octets[1:])
            self._since_ms, self._place = int(since), int(place)
        except (ValueError, TypeError) as error:
            raise TableError(f"a saved state of {self.name} is damaged: {error}") from error


def _number(value: int, scale: int, before: int, after: int, suppress: bool) -> str:
    """A whole number of 10^-scale units: cut, not rounded, to the digits; leading zeroes shown unless `suppress`."""
    shown = abs(value) * 10**after // 10**scale % 10 ** (before + after)
    text = str(shown).zfill(after + 1 if suppress else before + after)
    if after:
        text = f"{text[:-after]}.{text[-after:]}"
    return f"-{text}" if value < 0 else text
