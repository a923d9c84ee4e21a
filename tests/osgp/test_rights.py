"""Who may read and write which table: the sentences of the guides about keys, and every table of every firmware in a meter."""

import pytest

from osgp import AccessLevel, Meter, MeterConfig, Port, ResultCode, Session, table, tables
from osgp.rights import allowed
from osgp.services import FullRead, PartialWrite

ALL = [entry.id for entry in tables()]
MBK, MAK, RK, PK, MK, OMAK, OPEN = (
    AccessLevel(name) for name in ("MBK", "MAK", "RK", "PK", "MK", "OMAK", "open")
)


def test_the_basic_key_writes_five_tables():
    """MEP guide: BT07, ET50, ET51, ET52, ET71."""
    assert [name for name in ALL if allowed(name, "write", MBK)] == ["BT07", "ET50", "ET51", "ET52", "ET71"]


def test_the_mep_keys_read_every_published_table():
    """MEP guide: both read all; ET27 and ET28 are the concentrator's (grade D), ET02 and ET17 hold calibration and downloads."""
    for level in (MBK, MAK):
        assert [name for name in ALL if not allowed(name, "read", level)] == ["ET02", "ET17", "ET27", "ET28"]


def test_without_a_key_only_three_tables_are_read_and_none_is_written():
    """Optical guide: BT00, BT01 and ET03."""
    assert [name for name in ALL if allowed(name, "read", OPEN)] == ["BT00", "BT01", "ET03"]
    assert not [name for name in ALL if allowed(name, "write", OPEN)]


def test_the_read_only_key_writes_nothing_and_the_master_key_reads_everything():
    assert not [name for name in ALL if allowed(name, "write", RK)]
    assert [name for name in ALL if not allowed(name, "read", MK)] == ["ET27", "ET28"]
    assert not allowed("BT04", "read", RK) and allowed("BT04", "read", PK)  # as printed


def test_nobody_writes_what_the_meter_alone_controls():
    for name in ("BT00", "BT01", "BT03", "BT08", "BT20", "BT21", "BT28", "BT52", "BT64", "BT74", "ET11", "ET14", "ET36", "ET59"):
        assert not any(allowed(name, "write", level) for level in AccessLevel), name


def test_previous_season_becomes_read_only():
    """Optical and MEP guide: BT24 is read only on firmware 3.7x and 4.10+."""
    for firmware, writable in (((3, 60), True), ((3, 72), False), ((4, 0), True), ((4, 10), False)):
        assert allowed("BT24", "write", MAK, firmware) is writable


def test_the_concentrator_has_the_rights_of_the_advanced_key_but_for_its_own_tables():
    for direction, others in (("read", {"ET27", "ET28", "ET02", "ET17"}), ("write", {"ET27"})):
        assert {name for name in ALL if allowed(name, direction, OMAK) != allowed(name, direction, MAK)} == others


def test_pending_copies_have_the_rights_of_their_table():
    for level in AccessLevel:
        assert allowed("BT54+4096", "write", level) == allowed("BT54", "write", level)


SESSIONS = [
    Session(MBK, Port.MEP1), Session(MAK, Port.MEP2), Session(RK, Port.OPTICAL), Session(PK, Port.OPTICAL),
    Session(MK, Port.OPTICAL), Session(OMAK, Port.PLC), Session(OPEN, Port.OPTICAL),
]  # fmt: skip


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.level)
def test_a_meter_serves_exactly_these_rights(session):
    meter = Meter(MeterConfig(firmware=(4, 30, 1), locked=frozenset(("ET03",))))
    for name in meter.store.known():
        number = table(name).number
        read = meter.serve(FullRead(number).encode(), session, 1.0).result
        assert read is (ResultCode.OK if allowed(name, "read", session.level) else ResultCode.INSUFFICIENT_SECURITY), name
        wrote = meter.serve(PartialWrite(number, 0xFFFFFF, b"\0" * 6).encode(), session, 1.0).result
        may = allowed(name, "write", session.level, (4, 30)) and name != "ET03"
        if name == "BT07":
            continue
        assert (wrote is ResultCode.INSUFFICIENT_SECURITY) != may, name
    assert "ET03" in meter.store


@pytest.mark.parametrize("firmware", [(2, 0, 0), (2, 12, 0), (3, 10, 2), (3, 60, 1), (3, 82, 0), (4, 0, 0), (4, 60, 0)])
def test_every_table_of_every_generation_decodes_has_its_size_and_survives_json(firmware):
    meter = Meter(MeterConfig(firmware=firmware))
    meter.advance(4000.0)
    context = meter.store.context
    assert context.firmware == firmware[:2] and len(meter.store.known()) > 20
    for name in meter.store.known():
        octets, spec = meter.table_octets(name, 4000.0), table(name)
        value = spec.decode(octets, context)
        assert len(octets) == spec.size(context) or not spec.documented, name
        assert spec.from_json(value.to_json(), context) == octets, name
