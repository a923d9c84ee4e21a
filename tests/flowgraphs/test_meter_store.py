"""The store of a simulated meter: what it keeps, what it refuses, and that a kill at any instant loses nothing acknowledged."""

import sqlite3
import stat

import pytest
import store_kill
from hypothesis import given, settings
from hypothesis import strategies as st

from flowgraphs.ports.meter_store import FILE_NAME, MeterStore, StoreError
from flowgraphs.ports.simulated import make_meter
from osgp.meter import Saved

IDENTITY = {"serial": "42"}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state"


def put(folder, at=1.0, wall=100.0, tables=None, states=None):
    store = MeterStore(folder, IDENTITY)
    store.save(Saved(at, tables or {}, states or {}), wall)
    store.close()


def edit(folder, *statements):
    database = sqlite3.connect(folder / FILE_NAME)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


@settings(max_examples=20)
@given(st.lists(st.dictionaries(st.sampled_from(["BT54", "ET13", "BT54+4096"]), st.binary(max_size=50)), max_size=5))
def test_what_is_saved_is_there_again(tmp_path_factory, changes):
    folder, expected = tmp_path_factory.mktemp("store"), {}
    for number, tables in enumerate(changes):
        put(folder, at=float(number), tables=tables, states={"meter": bytes((number,))})
        expected |= tables
    store = MeterStore(folder, IDENTITY)
    saved = store.saved()
    store.close()
    if not changes:
        assert saved is None
    else:
        assert saved == Saved(float(len(changes) - 1), expected, {"meter": bytes((len(changes) - 1,))})


def test_what_is_as_it_was_is_not_written_again(folder):
    store = MeterStore(folder, IDENTITY)
    assert store.save(Saved(1.0, {"ET13": b"a"}, {}), 100.0)
    assert not store.save(Saved(2.0, {"ET13": b"a"}, {}), 101.0)
    assert store.moment().at == 1.0
    store.stamp(Saved(2.0, {"ET13": b"a"}, {}), 101.0)
    assert store.moment().at == 2.0
    store.close()


def test_the_file_is_its_owners_alone(folder):
    put(folder)
    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600


def test_a_second_process_and_another_meter_are_refused(folder):
    store = MeterStore(folder, IDENTITY)
    with pytest.raises(StoreError, match="in use by another process"):
        MeterStore(folder, IDENTITY)
    store.close()
    with pytest.raises(StoreError, match="belongs to the meter with serial 42, not 43"):
        MeterStore(folder, {"serial": "43"})
    again = MeterStore(folder, {}, {"seed": "9"})
    assert again.identity == {"seed": "9", "serial": "42"}
    again.close()


@pytest.mark.parametrize(
    "statements, text",
    [
        (["PRAGMA user_version = 2"], "store version 2, this program reads version 1"),
        (["PRAGMA application_id = 7"], "no meter's store"),
        (["UPDATE record SET octets = X'00' WHERE name = 'ET13'"], "damaged (the checksum of table ET13 is wrong)"),
        (["UPDATE record SET name = 'ET14' WHERE name = 'ET13'"], "damaged (the checksum of table ET14 is wrong)"),
        (["DROP TABLE record"], "no such table"),
    ],
)
def test_a_store_that_is_not_ours_is_named(folder, statements, text):
    put(folder, tables={"ET13": b"octets"})
    edit(folder, *statements)
    with pytest.raises(StoreError) as caught:
        MeterStore(folder, IDENTITY)
    assert text in str(caught.value) and str(folder / FILE_NAME) in str(caught.value)


def test_a_damaged_or_foreign_file_is_named(folder):
    put(folder, tables={f"ET{number}": bytes(200) for number in range(10, 90)})
    path = folder / FILE_NAME
    octets = bytearray(path.read_bytes())
    octets[4096:8192] = bytes(4096)
    path.write_bytes(bytes(octets))
    with pytest.raises(StoreError, match="move it away to start afresh"):
        MeterStore(folder, IDENTITY)
    path.write_bytes(b"not a database at all" * 300)
    with pytest.raises(StoreError, match="damaged"):
        MeterStore(folder, IDENTITY)
    with pytest.raises(StoreError, match=r"meter.sqlite"):
        MeterStore(path, IDENTITY)  # a file where the directory should be


def test_a_meter_goes_on_as_if_it_had_never_been_away(folder):
    meter, store = make_meter({"serial": "7", "seed": "3"}, folder, wall=1_700_000_000.0)
    store.save(meter.saved(), 1_700_000_000.0)
    store.close()
    meter, store = make_meter({}, folder, wall=1_700_007_200.5)
    assert meter.now == pytest.approx(7200.5) and meter.config.serial == "7" and meter.config.seed == 3
    energy = int.from_bytes(meter.table_octets("BT23", meter.now)[:4], "little")
    store.close()
    meter, _ = make_meter({"serial": "7", "seed": "3"}, None, wall=1_700_000_000.0)
    meter.advance(7200.5)
    assert abs(int.from_bytes(meter.table_octets("BT23", 7200.5)[:4], "little") - energy) <= 1
    assert energy > 0


def test_a_meter_killed_before_its_first_save_still_has_the_right_time(folder):
    _, store = make_meter({"serial": "7"}, folder, wall=1_700_000_000.0)
    store.close()
    meter, store = make_meter({}, folder, wall=1_700_000_100.0)
    assert meter.now == 100.0
    store.close()


def test_fifty_kills_lose_nothing(tmp_path):
    counts = store_kill.run(50, 7, tmp_path)
    assert counts["kills"] == 50 and counts["acknowledged"] >= 40
