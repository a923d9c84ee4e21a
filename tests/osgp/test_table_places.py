"""Pieces of tables by path: the notation of the guides, reading and writing, and the requests that do it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import Context, FullRead, PartialRead, PartialWrite, TableError, TableStore, place, table

h = bytes.fromhex


@pytest.fixture
def store(device):
    store = TableStore()
    for name in device.known():
        store.put(name, device.octets(name))
    for name in ("BT23", "BT54", "ET55"):
        store.put(name, bytes(table(name).size(store.context)))
    return store


@pytest.mark.parametrize(
    ("path", "offset", "size", "bit"),
    [
        ("BT21.number_summations", 3, 1, None),
        ("BT21.3", 3, 1, None),
        ("21.3", 3, 1, None),
        ("0x15.3", 3, 1, None),
        ("ST21.3", 3, 1, None),
        ("BT21.demand_reset_counter", 0, 1, (2, 1)),
        ("BT21.0.2", 0, 1, (2, 1)),
        ("BT21.1.4", 1, 1, (4, 2)),  # the field that begins at bit 4
        ("BT21.1.5", 1, 1, (5, 1)),  # no field begins there: the bare bit
        ("BT21.1.4..5", 1, 1, (4, 2)),
        ("BT21.3..7", 3, 5, None),
        ("BT23.summations[0]", 1, 4, None),
        ("BT23.summations[4]", 17, 4, None),
        ("BT23.total[0].summations", 1, 20, None),
        ("BT23.tiers[3].summations[2]", 1 + 66 * 4 + 8, 4, None),
        ("BT23.tiers[1]", 1 + 66 * 2, 66, None),
        ("BT23.tiers", 1 + 66, 66 * 4, None),
        ("BT03.1.12", 1, 2, (12, 1)),  # a flag of a container of two octets, counted from its first octet
        ("BT03.cover_removed", 1, 2, (12, 1)),
        ("BT00.basic_tables_used[12]", 20, 1, (4, 1)),
        ("BT23", 0, 331, None),
    ],
)
def test_a_path_leads_to_its_octets(store, path, offset, size, bit):
    found = place(path, store.context)
    assert (found.offset, found.size, found.bit) == (offset, size, bit)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("BT21.nmber_tiers", "did you mean 'number_tiers'"),
        ("BT99.x", "no table 'BT99'"),
        ("BT23.summations[5]", "no field"),
        ("BT21.10", "no field"),
        ("BT21.8..12", "10 octets"),
        ("BT21.5..3", "before"),
        ("BT21.0.9", "no field"),
        ("BT21..", "no field path"),
        ("furnace", "BTnn, ETnn or a number"),
        ("70000.1", "0..65535"),
    ],
)
def test_a_path_that_leads_nowhere_says_why(store, path, error):
    with pytest.raises(TableError, match=error):
        place(path, store.context)


def test_values_are_read_and_written_by_path_and_neighbours_stay(store):
    store["BT23.summations[0]"] = 12345678
    store["BT23.tiers[2].summations[1]"] = -5
    assert store["BT23.summations[0]"] == store["BT23.total[0].summations[0]"] == 12345678
    assert store["BT23.summations"] == (12345678, 0, 0, 0, 0) and store["BT23.tiers[2].summations[1]"] == -5
    before = store.octets("ET55")
    store["ET55.104.2"] = True
    assert store.octets("ET55") == before[:104] + b"\x04" + before[105:]
    assert store["ET55.104.2"] is True and store["ET55.104.1"] is False
    store["BT54.recurring[1].action"] = 19
    store["BT54.recurring[1].self_read"] = True
    assert store["BT54.recurring[1].action"] == 19 and store["BT54.recurring[1].demand_reset"] is False
    store["BT54.non_recurring[2]"] = {"action": 3, "demand_reset": True}
    assert dict(store["BT54.non_recurring[2]"])["action"] == 3
    store["BT23.8..11"] = h("01020304")
    assert store["BT23.8..11"] == h("01020304")


def test_what_does_not_fit_is_refused_and_nothing_changes(store):
    before = store.octets("BT23")
    with pytest.raises(TableError, match=r"BT23\.summations\[0\]: INT32 must be"):
        store["BT23.summations[0]"] = 1 << 31
    with pytest.raises(TableError, match=r"needs at most 4"):
        store["BT23.8..11"] = bytes(5)
    with pytest.raises(TableError, match="the device has no BT25"):
        store["BT25.season"] = 1
    assert store.octets("BT23") == before


def test_places_know_their_requests(store):
    context = store.context
    assert place("BT23", context).read_request() == FullRead(23)
    assert place("BT23.summations", context).read_request() == PartialRead(23, 1, 20)
    assert place("BT23.summations[1]", context).write_request(7) == PartialWrite(23, 5, h("07000000"))
    before = h("a5")
    assert place("BT21.0.2", context).write_request(False, before) == PartialWrite(21, 0, h("a1"))


def test_requests_of_a_pending_copy_count_the_event_description(store):
    """The guide's example: reading 4 octets at offset 3 of a pending table has count 10 and offset 3."""
    found = place("BT54+4096.9..12", store.context)
    assert found.read_request() == PartialRead(4150, 3, 10)
    size = table("BT54").size(store.context)
    found = place("BT54+4096.calendar_id", store.context)
    assert (found.offset, found.size) == (6 + size - 4, 4)
    ped = h("000402100f3b")
    assert found.write_request(258, ped=ped) == PartialWrite(4150, size - 4, ped + h("02010000"))
    with pytest.raises(TableError, match="event description"):
        found.write_request(258)
    assert place("4150.ped[0].event_code", store.context).bit == (0, 4)


@given(number=st.integers(0, 0x1FFF))
def test_ids_and_numbers_of_tables_are_each_others_inverse(number):
    from osgp import table_id, table_number

    assert table_number(table_id(number)) == number


def test_stubs_are_opaque_octets_and_partly_known_ones_show_what_is_known():
    context = Context()
    value = table("BT02").decode(h("010203"), context)
    assert value["octets"] == h("010203") and table("BT02").encode(value) == h("010203")
    demand = table("BT13").decode(h("00000000 0f 02 aabb"), context)
    assert (demand["sub_interval"], demand["interval_multiplier"], demand["rest"]) == (15, 2, h("aabb"))
    assert table("BT13").encode(demand) == h("00000000 0f 02 aabb")
    assert not table("ET124").documented and table("BT23").documented


@pytest.mark.parametrize(("firmware", "size"), [((2, 12), 24), ((3, 10), 24), ((3, 60), 32), ((4, 10), 38), ((4, 30), 39)])
def test_tables_end_where_the_firmware_ends_them(firmware, size):
    """ET11: entries up to offset 23 are old; 24..26 came with 3.30, 27 with 3.40, 28..31 with 3.50, 32..37 with 4.0, 38 later."""
    assert table("ET11").size(Context(firmware=firmware)) == size


@pytest.mark.parametrize(
    ("since", "has", "lacks"),
    [
        ("4.0", [(4, 0), (4, 30), (5, 0)], [(3, 80), (2, 13)]),
        ("2.12/3.01", [(2, 12), (2, 13), (3, 1), (4, 0)], [(2, 11), (3, 0), (1, 99)]),
        ("3.13/3.80", [(3, 13), (3, 80), (3, 90), (4, 0)], [(3, 60), (3, 12), (2, 13)]),
        ("3.82+, 4.02+, CPM 1.31+", [(3, 82), (4, 2)], [(3, 81), (4, 1)]),
    ],
)
def test_since_texts(since, has, lacks):
    from osgp import firmware

    assert all(firmware.has(since, one) for one in has) and not any(firmware.has(since, one) for one in lacks)
