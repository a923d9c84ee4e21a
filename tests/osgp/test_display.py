"""The display as text: id codes, units, digits, the list a host writes, messages, the button."""

import datetime
import struct

import pytest

from osgp import AccessLevel, ConstantLoad, Meter, MeterConfig, PartialWrite, Port, ResultCode, Session
from osgp.meter import Contactor, ControlSettings, Display
from osgp.meter.contactor import Reason
from osgp.meter.display_items import id_text, item_of

MAK = Session(AccessLevel.MAK, Port.MEP1)


def home(load=1234.0, firmware=(3, 60, 1), **config):
    config.setdefault("initial_registers", {"forward_active_wh": (12_345_000, 0, 0, 0)})
    return Meter(MeterConfig(load=ConstantLoad((load,)), start=datetime.datetime(2024, 3, 4, 12, 0), utc_offset=60,
                             firmware=firmware, **config))  # fmt: skip


def show(meter, *codes, seconds=6, now=1.0):
    entry = bytes((seconds, 0x10, len(codes))) + struct.pack(f"<{len(codes)}H", *codes)
    assert meter.serve(PartialWrite(33, 0, entry).encode(), MAK, now).result is ResultCode.OK
    return [(screen.id, screen.text, screen.unit) for screen in meter.find(Display).screens(meter.now)]


def test_the_printed_defaults_scroll_every_six_seconds():
    """BT33: 0x2000, 0x2001, 0x0000, six seconds each; all segments first."""
    meter = home()
    seen = []
    for second in (0, 5, 6, 11, 12, 17, 18):
        meter.advance(float(second))
        seen.append(meter.find(Display).shown(float(second)).id)
    assert seen == ["8888", "8888", "0.9.1", "0.9.1", "1.8.0", "1.8.0", "8888"]


@pytest.mark.parametrize(("characters", "points", "text"), [
    ("P01 ", 4, "P.01"), ("180 ", 6, "1.8.0"), ("1470", 3, "14.7.0"), ("DATE", 0, "DATE"), ("0963", 6, "0.9.63"),
])  # fmt: skip
def test_points_stand_where_the_bits_say(characters, points, text):
    """ "P01" with 4 is a printed default: the list code P.01."""
    assert id_text(characters, points) == text


def test_registers_are_shown_in_kwh_with_all_their_digits_and_present_values_without_leading_zeroes():
    meter = home()
    meter.advance(3600.0)
    assert show(meter, 0, 29, 40, 1, 8, 12, 19, 255, now=3600.0)[:4] == [
        ("1.8.0", "0012346.2", "kWh"), ("1.8.1", "0012346.2", "kWh"), ("1.8.2", "0000000.0", "kWh"),
        ("2.8.0", "0000000.0", "kWh"),
    ]  # fmt: skip
    rest = show(meter, 8, 12, 19, 255, 0x2001, 0x2002, now=3600.0)
    assert rest[0] == ("1.7.0", "1.234", "kW") and rest[1][0::2] == ("31.7.0", "A") and 5.0 < float(rest[1][1]) < 5.7
    assert rest[2][0] == "14.7.0" and abs(float(rest[2][1]) - 50) < 0.1 and rest[3][1] == "------"
    assert rest[4:] == [("0.9.1", "14:00:00", ""), ("0.9.2", "04-03-24", "")]


def test_a_host_gives_ids_digits_and_zero_suppression():
    meter = home()
    show(meter, 0, 0)
    entry = b"E1  " + bytes((4, 6 << 3 | 0)) + b"E2  " + bytes((4, 0x80 | 7 << 3 | 1))
    assert meter.serve(PartialWrite(2055, 0, entry).encode(), MAK, 2.0).result is ResultCode.OK
    assert [str(one).split("[")[0].split() for one in meter.find(Display).screens(2.0)] == [
        ["E.1", "012345", "kWh"], ["E.2", "12345.0", "kWh"],
    ]  # fmt: skip


def test_the_button_goes_on_by_hand_and_a_new_list_begins_with_its_first_item():
    meter = home()
    display = meter.find(Display)
    show(meter, 0, 1, 8, seconds=0)
    assert display.shown(500.0).id == "1.8.0"
    display.press_button(500.0)
    display.press_button(501.0)
    assert display.shown(900.0).id == "1.7.0"
    again = Meter(meter.config, saved=meter.saved())
    assert again.find(Display).shown(900.0).id == "1.7.0"
    show(meter, 1, 0, seconds=0)
    assert display.shown(901.0).id == "2.8.0"
    show(meter)
    assert display.shown(902.0).text == ""


@pytest.mark.parametrize("firmware", [(3, 60, 1), (4, 30, 0)])
def test_messages_are_shown_in_their_time_until_the_button(firmware):
    meter = home(firmware=firmware)
    display, place = meter.find(Display), meter.store.place
    text = place("ET55.message_text").offset
    begin, end = bytes((24, 3, 4, 12, 10, 0)), bytes((24, 3, 4, 12, 30, 0))

    def send(words, now):
        octets = words.ljust(8).encode() + begin + end
        assert meter.serve(PartialWrite(2103, text, octets).encode(), MAK, now).result is ResultCode.OK

    send("PAY NOW", 1.0)
    assert display.shown(599.0).text != "PAY NOW"
    meter.advance(601.0)
    assert display.shown(601.0).text.strip() == "PAY NOW"
    display.press_button(602.0)
    assert display.shown(603.0).text.strip() != "PAY NOW" and meter.store["ET55.overridden"]
    send("AGAIN", 700.0)
    meter.store["ET55.disable_override"] = True
    display.press_button(701.0)
    assert display.shown(701.0).text.strip() == "AGAIN" and display.shown(1801.0).text.strip() != "AGAIN"


def test_icons_tell_direction_tariff_contactor_and_alarms():
    meter = home(load=-500.0, control=ControlSettings(prepay=True, credit=3, warning=10), alarms=frozenset(("clock_error",)))
    meter.advance(2.0)
    assert meter.find(Display).shown(2.0).icons == ("L1", "<-", "T1", "CREDIT", "!")
    meter.find(Contactor).operate(False, Reason.COMMAND, 3.0, lock=True)
    meter.advance(4.0)
    assert meter.find(Display).shown(4.0).icons == ("L1", "T1", "LOCKED", "CREDIT", "!")
    shown = show(meter, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, now=5.0)
    assert [text for _, text, _ in shown] == ["1", "3.60.01", "OPEN", "0.00", "40000400"]


@pytest.mark.parametrize("code", range(256))
def test_every_source_has_an_id_of_four_characters(code):
    item = item_of(code)
    assert len(item.id) == 4 and item.dp < 8 and id_text(item.id, item.dp)


def test_ids_of_sources_are_unlike():
    names = [id_text(item_of(code).id, item_of(code).dp) for code in range(256)]
    assert len(set(names)) == 256
