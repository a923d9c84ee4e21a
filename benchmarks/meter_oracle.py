"""What a meter must show after a year, worked out without the meter: standard time zones, plain dates, and the load's pieces.

Shares no code with the clock, calendar, registers, profile and logs of osgp.meter; takes from it only the load model (what flows
is the same) and the names by which a meter is told its configuration. All octets are read by hand-written offsets here.
"""

from __future__ import annotations

import datetime as dt
import random
import struct
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from osgp import Disturbance, Household, LoadModel, Mains, Meter, MeterConfig, MeteringSettings, ProfileSettings
from osgp.meter.settings import EUROPEAN_DST, calendar_values, every_days, rdate
from osgp.types import AnsiDate

ZONE = ZoneInfo("Europe/Copenhagen")
HOUR_MS, DAY_MS, WH = 3_600_000, 86_400_000, 3_600_000
MEASURED = 4  # forward Wh, reverse Wh, import varh, export varh
POWER_FAIL, SKIPPED, PARTIAL = 2, 4, 2

# (month, day) of each season's first day, and its schedules for Saturday, Sunday, weekday and the two special days.
SEASONS = (((3, 1), (1, 1, 0, 2, 3)), ((6, 1), (3, 3, 2, 1, 0)), ((9, 1), (1, 2, 0, 2, 3)), ((12, 1), (3, 1, 2, 0, 3)))
# (minute of the day, tariff)
SCHEDULES = (
    ((0, 1), (360, 0), (1020, 2), (1200, 0), (1380, 1)),
    ((0, 1), (480, 0), (1320, 1)),
    ((0, 3), (150, 1), (420, 2), (1260, 3)),
    ((0, 0), (720, 3)),
)
ONE_OFF = ((12, 25), (7, 14))  # special 0, of the first year
RECURRING = (5, 1)  # special 1


@dataclass(frozen=True)
class Scenario:
    """A stretch of a meter's life.    start: UTC.    outages, sags: (start ms, duration ms) since the start."""

    start: dt.datetime
    days: int
    load: LoadModel
    outages: tuple[tuple[int, int], ...]
    sags: tuple[tuple[int, int, int], ...] = ()

    @property
    def end_ms(self) -> int:
        return self.days * DAY_MS


@dataclass
class Truth:
    """What can be read from the meter at the end."""

    total: list[int] = field(default_factory=list)
    tiers: list[list[int]] = field(default_factory=list)
    outage_s: int = 0
    outages: int = 0
    profile: dict[dt.datetime, tuple[int, int, tuple[int, ...]]] = field(default_factory=dict)  # end: common, code, values
    self_reads: list[tuple] = field(default_factory=list)
    season: tuple = ()
    events: Counter = field(default_factory=Counter)


def scenario(seed: int, start: dt.datetime, days: int, outages: int, load: LoadModel | None = None) -> Scenario:
    """A stretch with outages of all lengths; some lie across midnights, changes of the hour, and interval ends."""
    rng = random.Random(seed)
    spans: list[tuple[int, int]] = []

    def free(begin: int, length: int) -> bool:
        inside = begin > 60_000 and begin + length < days * DAY_MS - 60_000
        return inside and all(begin > s + d + 5000 or begin + length < s - 5000 for s, d in spans)

    def at(utc: dt.datetime, before_ms: int, length: int) -> None:
        begin = round((utc - start).total_seconds() * 1000) - before_ms
        if free(begin, length):
            spans.append((begin, length))

    year = start.year if start.month < 12 else start.year + 1
    at(dt.datetime(year, 3, 31, 1), 1_800_000, 5_400_000)  # daylight saving begins meanwhile
    at(dt.datetime(year, 10, 27, 1), 600_000, 1_200_500)  # and ends
    at(dt.datetime(year, 5, 31, 22), 7_200_000, 9_000_250)  # a season begins
    at(dt.datetime(year, 2, 28, 23), 300_000, 25 * HOUR_MS)  # 29 February without power
    at(dt.datetime(year, 7, 1, 10), 0, 1_800_000)  # begins with an interval
    at(dt.datetime(year, 7, 2, 10), 1_800_000, 1_800_000)  # ends with an interval
    for _ in range(100 * outages):
        if len(spans) >= outages:
            break
        length = round(10 ** rng.uniform(2.42, 7.6))  # 0.26 s to 11 h
        begin = rng.randrange(days * DAY_MS)
        if free(begin, length):
            spans.append((begin, length))
    sags: list[tuple[int, int, int]] = []
    for percent in (80, 85, 116):
        begin = rng.randrange(days * DAY_MS)
        if free(begin, 90_000):
            spans.append((begin, 90_000))
            sags.append((begin, 90_000, percent))
    kept = tuple(sorted(span for span in spans if span not in {(s, d) for s, d, _ in sags}))
    return Scenario(start, days, load or Household(seed, pv_peak=3500.0, first_day=1), kept, tuple(sorted(sags)))


def meter_of(case: Scenario) -> Meter:
    """A meter that is told what the oracle assumes."""
    dates = [
        *EUROPEAN_DST,
        {"date": every_days(1), "self_read": True},
        *({"date": rdate(*day), "action": 3 + number} for number, (day, _) in enumerate(SEASONS)),
        {"date": rdate(*RECURRING), "action": 20},
    ]
    year = case.start.year if case.start.month < 12 else case.start.year + 1
    single = [{"date": AnsiDate(year - 2000, *day), "action": 19} for day in ONE_OFF]
    calendar = calendar_values(dates, [list(one) for one in SCHEDULES], [row for _, row in SEASONS], single)
    disturbances = tuple(Disturbance(begin, begin + length, (0, 0, 0)) for begin, length in case.outages)
    disturbances += tuple(Disturbance(begin, begin + length, (percent,) * 3) for begin, length, percent in case.sags)
    return Meter(
        MeterConfig(
            start=case.start, utc_offset=60, load=case.load, mains=Mains(disturbances=disturbances),
            metering=MeteringSettings(
                calendar=calendar, generation=True, self_reads=253, history_entries=4000, outage_log=50,
                profile=(ProfileSettings(channels=(0, 1, 2, 3), blocks=400),),
            ),
        )
    )  # fmt: skip


class _Integral:
    """W ms of the four measured quantities up to any ms, by adding the pieces of the load outside the outages."""

    def __init__(self, case: Scenario) -> None:
        local = case.start + dt.timedelta(hours=1)  # day 0 of the load begins at 00:00 without daylight saving
        origin = (local.hour * 3600 + local.minute * 60 + local.second) * 1000
        self.instants, self.sums, self.rates = [0], [(0,) * MEASURED], []
        for day in range(case.days + 2):
            pieces = case.load.day(day)
            for place, (second, power) in enumerate(pieces):
                begin = day * DAY_MS + second * 1000 - origin
                end = day * DAY_MS + (pieces[place + 1][0] * 1000 if place + 1 < len(pieces) else DAY_MS) - origin
                p, q = round(sum(power.active)), round(sum(power.reactive))
                self._add(max(begin, 0), end, (max(p, 0), max(-p, 0), max(q, 0), max(-q, 0)), case.outages)

    def _add(self, begin: int, end: int, rate: tuple[int, ...], outages: tuple[tuple[int, int], ...]) -> None:
        while begin < end:
            off = next(((s, s + d) for s, d in outages if s < end and s + d > begin), None)
            if off is None:
                self._step(end, rate)
                return
            if off[0] > begin:
                self._step(off[0], rate)
            begin = min(end, off[1])
            if begin > self.instants[-1]:
                self._step(begin, (0,) * MEASURED)

    def _step(self, end: int, rate: tuple[int, ...]) -> None:
        length = end - self.instants[-1]
        self.rates.append(rate)
        self.sums.append(tuple(have + one * length for have, one in zip(self.sums[-1], rate, strict=True)))
        self.instants.append(end)

    def counts(self, ms: int) -> tuple[int, ...]:
        """Whole Wh and varh at an instant."""
        place = bisect_right(self.instants, ms) - 1
        over = ms - self.instants[place]
        rate = self.rates[place] if over else (0,) * MEASURED
        return tuple((have + one * over) // WH for have, one in zip(self.sums[place], rate, strict=True))


def _local(case: Scenario, ms: int) -> dt.datetime:
    return (case.start + dt.timedelta(milliseconds=ms)).replace(tzinfo=dt.UTC).astimezone(ZONE)


def _season(day: dt.date) -> int:
    found = len(SEASONS) - 1
    for number, (first, _) in enumerate(SEASONS):
        if (day.month, day.day) >= first:
            found = number
    return found


def _special(day: dt.date, year: int) -> int | None:
    if day.year == year and (day.month, day.day) in ONE_OFF:
        return 0
    return 1 if (day.month, day.day) == RECURRING else None


def _tier(local: dt.datetime, year: int) -> int:
    row = SEASONS[_season(local.date())][1]
    special = _special(local.date(), year)
    number = row[3 + special] if special is not None else row[{5: 0, 6: 1}.get(local.weekday(), 2)]
    minute = local.hour * 60 + local.minute
    return [tier for start, tier in SCHEDULES[number] if start <= minute][-1]


def expected(case: Scenario) -> Truth:
    """The whole life, instant by instant that matters."""
    truth, integral = Truth(), _Integral(case)
    year = case.start.year if case.start.month < 12 else case.start.year + 1
    start_ms = round((case.start - dt.datetime(2000, 1, 1)).total_seconds() * 1000)
    quarter = 900_000
    first = -start_ms % quarter
    instants = sorted({0, case.end_ms, *range(first, case.end_ms + 1, quarter), *(s + d for s, d in case.outages)})
    off = sorted(case.outages)
    first_local = _local(case, 0)
    tier, season = _tier(first_local, year), _season(first_local.date())
    dst, special, date = bool(first_local.dst()), None, first_local.date()
    tiers = [[0] * MEASURED for _ in range(4)]
    counted = (0,) * MEASURED
    outage_ms = outages = 0
    logged_first = False

    def utc(ms: int) -> dt.datetime:
        return case.start + dt.timedelta(milliseconds=ms)

    def event(ms: int, number: int, argument: int = 0) -> None:
        truth.events[(utc(ms).replace(microsecond=0), number, argument)] += 1

    def registers() -> tuple:
        total = _full(counted, outage_ms // 1000, outages)
        return tuple(total), tuple(tuple(_full(one, 0, 0)) for one in tiers)

    for begin, length, percent in case.sags:
        event(begin + length, 98 if percent < 100 else 99)
    for ms in instants:
        if any(s <= ms < s + d for s, d in off):
            continue
        ended = next((span for span in off if sum(span) == ms), None)
        now = integral.counts(ms)
        for place in range(MEASURED):
            tiers[tier][place] += now[place] - counted[place]
        counted = now
        if ended is not None:
            outage_ms, outages = outage_ms + ended[1], outages + 1
            event(ended[0], 1)
            event(ms, 2)
            if not logged_first:
                event(ms, 87)
                logged_first = True
        local = _local(case, ms)
        if bool(local.dst()) != dst:
            dst = not dst
            event(ms, 22 if dst else 23)
        if local.date() > date:
            date = local.date()
            truth.self_reads.append((local.year, local.month, local.day, local.hour, local.minute, season, *registers()))
            event(ms, 21)
            if _season(date) != season:
                truth.season = truth.self_reads[-1]
                season = _season(date)
                event(ms, 24, season)
            found = _special(date, year)
            if found is not None and found != special:
                event(ms, 26, found)
            special = found
        if _tier(local, year) != tier:
            tier = _tier(local, year)
            event(ms, 27, tier)
    truth.total, truth.tiers = list(_full(counted, outage_ms // 1000, outages)), [_full(one, 0, 0) for one in tiers]
    truth.outage_s, truth.outages = outage_ms // 1000, outages
    _profile(case, integral, start_ms, truth)
    return truth


def _full(measured: tuple[int, ...] | list[int], seconds: int, count: int) -> list[int]:
    """The eleven registers of BT23 from the measured four."""
    return [*measured, seconds, count, measured[0] + measured[1], max(0, measured[0] - measured[1]), 0, 0, 0]


def _profile(case: Scenario, integral: _Integral, start_ms: int, truth: Truth) -> None:
    end = HOUR_MS - start_ms % HOUR_MS
    while end <= case.end_ms:
        begin = end - HOUR_MS
        overlap = [span for span in case.outages if span[0] < end and sum(span) > begin]
        common = POWER_FAIL if overlap else 0
        common |= bool(_local(case, end - 1).dst())
        whole = any(s <= begin and s + d >= end and begin >= 0 for s, d in overlap)
        code = SKIPPED if whole else PARTIAL if begin < 0 else 0
        values = (0,) * MEASURED if whole else integral.counts(end)
        truth.profile[case.start + dt.timedelta(milliseconds=end)] = (common, code, values)
        end += HOUR_MS


def observed(meter: Meter, now: float) -> Truth:
    """The same, read from the meter's tables octet by octet."""
    truth = Truth()
    blocks = _registers(meter.table_octets("BT23", now))
    truth.total, truth.tiers = list(blocks[0]), [list(one) for one in blocks[1]]
    truth.outage_s, truth.outages = truth.total[4], truth.total[5]
    reads = meter.table_octets("BT26", now)
    valid, last = reads[1], reads[2]
    size = (len(reads) - 6) // 253
    for back in range(valid):
        place = 6 + (last - back) % 253 * size
        truth.self_reads.insert(0, _snapshot(reads[place : place + size]))
    truth.season = _snapshot(meter.table_octets("BT24", now))
    log = meter.table_octets("BT74", now)
    valid, last, sequence = struct.unpack_from("<HHI", log, 1)
    capacity = (len(log) - 11) // 14
    for back in range(valid):
        place = 11 + (last - back) % capacity * 14
        year, month, day, hour, minute, second, low, _, number, argument = struct.unpack_from("<6BHHHH", log, place)
        assert low == (sequence - back) & 0xFFFF, "sequence numbers have a gap"
        when = dt.datetime(2000 + year, month, day, hour, minute, second)
        truth.events[(when, number & 0xFFF, 0 if number & 0xFFF in (98, 99) else argument)] += 1
    truth.profile = profile_of(meter, now)
    return truth


def _registers(octets: bytes) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    words = struct.unpack("<55i", octets)
    return words[:11], tuple(words[11 * k : 11 * k + 11] for k in range(1, 5))


def _snapshot(octets: bytes) -> tuple:
    year, *rest = octets[:6]
    return (2000 + year, *rest, *_registers(octets[6:]))


def profile_of(meter: Meter, now: float, number: int = 0) -> dict[dt.datetime, tuple[int, int, tuple[int, ...]]]:
    """Intervals of a data set by their end, by the geometry of ET21; the code is that of channel 0."""
    live = meter.table_octets("ET21", now)[131 * number :]
    block_size, header, valid = struct.unpack_from("<IHH", live, 8)
    intervals, last = struct.unpack_from("<HH", live, 16)
    interval_size, channels, minutes = live[25], live[28], live[29]
    octets = meter.table_octets(f"BT{64 + number}", now)
    blocks = len(octets) // block_size
    per_block = (block_size - header) // interval_size
    found = {}
    for back in range(valid):
        block = (last - back) % blocks
        base = block * block_size
        newest = dt.datetime(2000 + octets[base], *octets[base + 1 : base + 5])
        bits = int.from_bytes(octets[base + 5 : base + header], "little")
        top = bits.bit_length() - 1
        assert back or top + 1 == intervals
        for place in range(per_block):
            if bits >> place & 1:
                at = base + header + place * interval_size
                status = octets[at : at + channels // 2 + 1]
                values = struct.unpack_from(f"<{channels}i", octets, at + channels // 2 + 1)
                end = newest - dt.timedelta(minutes=minutes) * (top - place)
                found[end] = (status[0] >> 4, status[0] & 15, values)
    return found
