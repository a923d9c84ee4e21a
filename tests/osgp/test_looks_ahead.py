"""Looks over the load ahead in columns, against the same question asked piece by piece and millisecond by millisecond."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp import AccessLevel, Meter, MeterConfig, PartialWrite, Port, Session
from osgp.meter.draw import DAY_MS, Columns, Draw
from osgp.meter.gated import GatedDraw
from osgp.meter.load import Household
from osgp.meter.measuring import Measuring
from osgp.meter.watch import LoadWatch

HOME = Draw(Household(7, phases=3, pv_peak=4000.0))
ORIGIN_MS = 20 * 3_600_000
INSTANTS = st.integers(0, 3 * DAY_MS)


SWITCHED = st.lists(st.tuples(INSTANTS, st.integers(0, 7)), max_size=4)


@given(start=INSTANTS, length=st.integers(1, 30 * 3_600_000), switched=SWITCHED)
def test_columns_hold_the_pieces(start, length, switched):
    gated = GatedDraw(HOME, ORIGIN_MS)
    for instant, mask in sorted(switched):
        gated.switch(instant, mask)
    pieces = [
        (piece.start_ms, piece.end_ms, piece.power.active, piece.power.reactive, mask)
        for piece, mask in gated.pieces(start, start + length)
    ]
    rows = []
    for one in gated.columns(start, start + length):
        powers = zip(zip(*one.active, strict=True), zip(*one.reactive, strict=True), strict=True)
        bounds = zip(one.bounds, one.bounds[1:], strict=False)
        rows += [(*pair, active, reactive, one.mask) for pair, (active, reactive) in zip(bounds, powers, strict=True)]
    assert rows == pieces


@pytest.mark.parametrize("mask", range(8))
def test_quantities_are_those_of_the_phases_that_are_on(mask):
    active = (array("i", (100, -40)), array("i", (5, -3)), array("i", (0, 2300)))
    columns = Columns([0, 10, 30], active, 3 * (array("i", (0, 30)),), mask)
    on = [bool(mask >> phase & 1) for phase in range(3)]
    totals = [sum(watts for watts, there in zip(row, on, strict=True) if there) for row in zip(*active, strict=True)]
    assert list(columns.watts()) == totals
    assert list(columns.drawn(2, 0)) == [2 * max(one, 0) for one in totals]
    assert list(columns.drawn(1, -1)) == totals
    assert list(columns.current_ma(0, 230.0)) == pytest.approx([1e5 / 230, 5e4 / 230] if on[0] else [0, 0])
    assert list(columns.fed_in_ma(0, 230.0)) == pytest.approx([-1e5 / 230, 4e4 / 230] if on[0] else [0, 0])


@given(
    pieces=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=12), limit=st.integers(0, 3),
    hold=st.integers(0, 15), now=st.integers(0, 40), active=st.booleans(), cut=st.integers(0, 12),
)  # fmt: skip
def test_a_watch_finds_the_millisecond(pieces, limit, hold, now, active, cut):
    values = [value for length, value in pieces for _ in range(length)]
    now = min(now, len(values) - 1)
    bounds = [0]
    for length, _ in pieces:
        bounds.append(bounds[-1] + length)
    cut = min(cut, len(pieces))
    parts = [(bounds[: cut + 1], pieces[:cut]), (bounds[cut:], pieces[cut:])]
    columns = [Columns(edges, (array("i", [value for _, value in some]),), (), 1) for edges, some in parts if some]
    watch = LoadWatch(Columns.watts, hold, active)
    watch.scan(columns, limit, now)
    due = end = None
    if active:  # until it is below again, now or later
        end = next((at for at in range(now, len(values)) if values[at] <= limit), None)
    else:  # the last `hold` milliseconds were above, and at the instant it still is or has just ceased to be
        due = next((at for at in range(now, len(values) + 1) if _lasted(values, at, limit, hold, now)), None)
    assert (watch.due_ms, watch.end_ms) == (due, end)


def _lasted(values, at, limit, hold, now):
    goes_on = at < len(values) and values[at] > limit
    if at < hold or not (goes_on or (hold and at > now)):
        return False
    return all(value > limit for value in values[at - hold : at])


def test_writing_a_limit_costs_no_walk_through_the_pieces(monkeypatch):
    meter = Meter(MeterConfig(pv_peak=3000.0))
    meter.advance(1000.0)
    gated = meter.find(Measuring).gated
    monkeypatch.setattr(gated, "pieces", lambda *_: pytest.fail("piece by piece"))
    octets = (1).to_bytes(4, "little") + bytes(21) + b"\x03"
    assert meter.serve(PartialWrite(2053, 0, octets).encode(), Session(AccessLevel.MK, Port.OPTICAL), 1000.0).result == 0
    assert meter.store["ET05.power_limits"] and meter.next_timer() is not None
