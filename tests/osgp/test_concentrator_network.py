"""Concentrator and meters face to face in virtual time: loss, silence, restarts, noise."""

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp import (
    Commission,
    CommissionFailed,
    Concentrator,
    ConcentratorConfig,
    ConfigurationError,
    ConstantLoad,
    Discover,
    Key,
    LocalProtocolError,
    Meter,
    MeterBack,
    MeterCommissioned,
    MeterConfig,
    MeterFound,
    MeterSilent,
    PassDone,
    ReadingDone,
    Request,
    RequestRefused,
    TableRead,
    table,
)


def unique_id(n):
    return bytes((2, 0, 0, 0, 0, n))


class Street:
    """The network below: nodes with an address or none, delays, loss, and meters that can be switched off."""

    def __init__(self, concentrator, meters, *, loss=0.0, seed=1, delay=0.5):
        self.concentrator, self.meters = concentrator, meters
        self.loss, self.rng, self.delay = loss, Random(seed), delay
        self.addresses, self.off, self.now = {}, set(), 0.0
        self.events, self.actions, self.deaf = [], [], False

    def lost(self):
        return self.rng.random() < self.loss

    def collect(self):
        while (event := self.concentrator.next_event()) is not None:
            self.events.append(event)

    def run(self, until=10_000.0, stop=None):
        """Carry out actions until the time is over, the concentrator is done, or `stop()` says so."""
        while self.now < until and not self.concentrator.done:
            action = self.concentrator.next_action()
            if action is not None:
                self.actions.append(action)
                self.carry_out(action)
            else:
                timer = self.concentrator.next_timer()
                if timer is None or timer > until:
                    self.now = until
                    break
                self.now = max(self.now, timer)
                self.concentrator.on_timer(self.now)
            self.collect()
            if stop is not None and stop():
                return self
        self.collect()
        return self

    def carry_out(self, action):
        if self.deaf:  # the network below never says anything again
            return
        self.now += self.delay
        concentrator = self.concentrator
        match action:
            case Discover():
                for uid, meter in self.meters.items():
                    if uid not in self.addresses and uid not in self.off and not self.lost():
                        concentrator.on_discovered(uid, meter.config.program_id, self.now)
                concentrator.on_discovery_done(self.now)
            case Commission(unique_node_id=uid, subnet=subnet, node=node):
                heard = uid in self.meters and uid not in self.off and not self.lost()
                if heard:
                    self.addresses[uid] = (subnet, node)
                concentrator.on_commissioned(uid, heard and not self.lost(), self.now)
            case Request():
                concentrator.on_response(action.request_id, self.answer(action), self.now)

    def answer(self, action):
        for uid, address in self.addresses.items():
            if address == (action.subnet, action.node) and uid not in self.off and not self.lost():
                answer = self.meters[uid].receive_request(action.apdu, action.subnet, action.node, self.now)
                return None if self.lost() else answer
        return None

    def restart(self, n, **arguments):
        """Switch a meter on again: it forgot its address and its sequence number."""
        uid = unique_id(n)
        self.meters[uid] = make(n, **arguments)
        self.addresses.pop(uid, None)
        self.off.discard(uid)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def readings(self):
        return {event.reading.unique_node_id: event.reading for event in self.of(ReadingDone)}


def make(n, **arguments):
    settings_ = {
        "unique_node_id": unique_id(n), "serial": str(1000 + n), "utility_serial": f"U{n}", "seed": n, "sequence": 17 * n,
        "entropy": Random(n).randbytes,
        "initial_registers": {"forward_active_wh": 1_000_000 * n},
    }  # fmt: skip
    return Meter(MeterConfig(**settings_ | arguments))


def street(count=3, *, config=None, loss=0.0, seed=1, **arguments):
    concentrator = Concentrator(config or ConcentratorConfig(entropy=Random(seed).randbytes), Random(seed))
    built = Street(concentrator, {unique_id(n): make(n) for n in range(1, count + 1)}, loss=loss, seed=seed, **arguments)
    concentrator.start(0.0)
    return built


def test_three_unknown_meters_are_found_addressed_and_read():
    line = street().run()
    assert line.concentrator.done
    assert [event.unique_node_id for event in line.of(MeterFound)] == [unique_id(n) for n in (1, 2, 3)]
    assert [(e.subnet, e.node) for e in line.of(MeterCommissioned)] == [(1, 2), (1, 3), (1, 4)]
    readings = line.readings()
    for n in (1, 2, 3):
        reading = readings[unique_id(n)]
        assert (reading.serial, reading.utility_serial, reading.missing) == (str(1000 + n), f"U{n}", ())
        assert 0 <= reading.registers["forward_active_wh"].value - 1_000_000 * n < 50
        assert reading.registers["forward_active_wh"].unit == "Wh"
        tiers = sum(tier["forward_active_wh"].value for tier in reading.tiers)  # read a little later than the total
        assert 0 <= tiers - reading.registers["forward_active_wh"].value <= 2
        assert 220_000 < reading.present["voltage_l1_mv"].value < 240_000 and reading.present["voltage_l1_mv"].unit == "mV"
        assert len(reading.tiers) == 4 and len(reading.present) == 41 and len(reading.registers) == 11
        expected = line.meters[unique_id(n)].config.utc(reading.at)
        assert 0 <= (expected - reading.clock).total_seconds() < 2
        assert len(reading.tables["BT23"]) == 220
        json.dumps(reading.to_json())
    assert line.of(PassDone)[0].read == tuple(unique_id(n) for n in (1, 2, 3))
    assert not line.of(RequestRefused) and not line.of(MeterSilent)


def test_readings_are_what_the_meters_measure():
    """A constant load: registers at the instant of the reading follow from the clock, without the meter's own arithmetic."""
    concentrator = Concentrator(ConcentratorConfig(period=3600.0), Random(1))
    meter = make(1, load=ConstantLoad((3600.0,)), initial_registers={})
    line = Street(concentrator, {unique_id(1): meter})
    concentrator.start(0.0)
    line.run(until=3 * 3600.0 - 1)
    for event in line.of(TableRead):
        if event.table == "BT23":  # read in three pieces of half a second; the totals come first: 3600 W is a Wh per second
            assert int(event.at) - 2 <= event.value["summations"][0] <= event.at
    assert [event.number for event in line.of(PassDone)] == [1, 2, 3]


def test_node_that_answers_a_discovery_twice_is_found_once():
    concentrator = Concentrator(ConcentratorConfig(), Random(1))
    concentrator.start(0.0)
    assert isinstance(concentrator.next_action(), Discover)
    for _ in range(3):
        concentrator.on_discovered(unique_id(1), bytes(8), 1.0)
    concentrator.on_discovery_done(2.0)
    assert isinstance(concentrator.next_event(), MeterFound) and concentrator.next_event() is None
    assert isinstance(concentrator.next_action(), Commission)
    concentrator.on_commissioned(unique_id(1), True, 3.0)
    assert isinstance(concentrator.next_action(), Discover)


def test_discovery_ends_with_an_empty_round_and_one_action_is_out_at_a_time():
    line = street().run()
    rounds = [action.round for action in line.actions if isinstance(action, Discover)]
    assert rounds == [1, 2]
    kinds = [type(action).__name__ for action in line.actions]
    assert kinds[:6] == ["Discover", "Commission", "Commission", "Commission", "Discover", "Request"]
    assert line.concentrator.next_action() is None


def test_same_seed_same_actions_and_readings():
    one, other = (street(loss=0.15, seed=6).run() for _ in range(2))
    assert one.actions == other.actions and one.events == other.events
    assert one.actions != street(loss=0.15, seed=7).run().actions


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), loss=st.floats(0.0, 0.12))
def test_loss_is_survived(seed, loss):
    """Every reading that is reported is right, whatever was lost; with periods every meter is read sooner or later."""
    config = ConcentratorConfig(period=60.0, tries=4, empty_rounds=2)
    line = street(config=config, loss=loss, seed=seed)
    line.run(until=2000.0, stop=lambda: len(line.readings()) == 3)
    assert len(line.readings()) == 3
    for uid, reading in line.readings().items():
        assert reading.serial == line.meters[uid].config.serial.lstrip("0") and not reading.missing
        meter = line.meters[uid]
        assert reading.tables["BT01"] == meter.store.octets("BT01")
        assert reading.registers["forward_active_wh"].value <= meter.registers.total()[0]
    addresses = list(line.addresses.values())
    assert len(addresses) == len(set(addresses))


def test_silent_meter_is_reported_and_the_others_are_read():
    line = street()
    line.run(stop=lambda: len(line.of(MeterCommissioned)) == 3)
    line.off.add(unique_id(2))
    line.run()
    (silent,) = line.of(MeterSilent)
    assert silent.unique_node_id == unique_id(2) and (silent.subnet, silent.node) == (1, 3)
    assert set(line.readings()) == {unique_id(1), unique_id(3)}
    assert line.of(PassDone)[0].silent == (unique_id(2),) and line.concentrator.done


def test_meter_killed_in_the_middle_of_its_reading_and_restarted_gets_its_old_address_back():
    line = street(config=ConcentratorConfig(period=120.0))
    line.run(stop=lambda: any(e.table == "BT23" and e.unique_node_id == unique_id(2) for e in line.of(TableRead)))
    line.off.add(unique_id(2))
    line.run(until=100.0)
    assert [event.unique_node_id for event in line.of(MeterSilent)] == [unique_id(2)]
    assert set(line.readings()) == {unique_id(1), unique_id(3)}
    line.restart(2, sequence=0xFFFFFFFE, initial_registers={"forward_active_wh": 5_000_000})
    done = len(line.actions)
    line.run(until=240.0)
    assert isinstance(line.actions[done], Discover)  # a pass with a silent meter begins by looking for it
    assert [event.unique_node_id for event in line.of(MeterBack)] == [unique_id(2)]
    assert [event.known for event in line.of(MeterFound)] == [False] * 3 + [True]
    assert line.addresses[unique_id(2)] == (1, 3)
    assert line.readings()[unique_id(2)].registers["forward_active_wh"].value // 1000 == 5000


def test_meter_restarted_before_the_end_of_the_only_pass_is_read_in_it():
    line = street()
    line.run(stop=lambda: any(e.unique_node_id == unique_id(2) for e in line.of(TableRead)))
    line.off.add(unique_id(2))
    line.run(stop=lambda: unique_id(3) in line.readings())
    line.restart(2)
    line.run()
    assert line.concentrator.done and set(line.readings()) == {unique_id(n) for n in (1, 2, 3)}
    assert line.of(PassDone)[0].silent == ()


def test_meter_that_only_lost_its_sequence_number_is_resynchronised():
    line = street(config=ConcentratorConfig(period=100.0))
    line.run(until=99.0)
    line.meters[unique_id(1)] = make(1, sequence=900_000)
    line.run(until=190.0)
    assert len([e for e in line.of(ReadingDone) if e.reading.unique_node_id == unique_id(1)]) == 2
    assert not line.of(MeterSilent)


def test_restarted_meter_with_other_firmware_is_read_afresh():
    line = street(1, config=ConcentratorConfig(period=100.0))
    line.run(until=90.0)
    line.restart(1, serial="4321", firmware=(4, 10, 2))
    line.addresses.pop(unique_id(1), None)
    line.run(until=390.0)
    assert (line.readings()[unique_id(1)].serial, line.readings()[unique_id(1)].firmware) == ("4321", "4.10.02")


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000))
def test_no_sequence_number_serves_two_requests(seed):
    line = street(1, config=ConcentratorConfig(period=30.0, tries=2), loss=0.25, seed=seed)
    line.run(until=300.0)
    sent = {}
    for action in line.actions:
        if isinstance(action, Request):
            sent.setdefault(int.from_bytes(action.apdu[-12:-8], "big"), set()).add(action.apdu)
    assert all(len(apdus) == 1 for apdus in sent.values())


def test_register_unit_scales_energies():
    """ET55.energy_register_unit says how many Wh a count is worth."""
    meter = make(1, initial_registers={"forward_active_wh": 1234}, load=ConstantLoad((0.0,)))
    meter.store.put("ET55", table("ET55").encode({"energy_register_unit": 10}, meter.store.context))
    read_set = ("BT01", "BT22", "BT23", "BT20", "ET55")
    line = Street(Concentrator(ConcentratorConfig(read_set=read_set), Random(1)), {unique_id(1): meter})
    line.concentrator.start(0.0)
    line.run()
    registers = line.readings()[unique_id(1)].registers
    assert registers["forward_active_wh"].value == 12340 and registers["outage_count"].value == 0


def test_own_address_of_the_concentrator_is_not_given_away():
    line = street(2, config=ConcentratorConfig(first_node=1)).run()
    assert [(e.subnet, e.node) for e in line.of(MeterCommissioned)] == [(1, 2), (1, 3)]


def test_new_meter_is_found_by_rediscovery():
    line = street(config=ConcentratorConfig(period=100.0, rediscover=150.0))
    line.run(until=90.0)
    line.meters[unique_id(9)] = make(9)
    line.run(until=190.0)
    assert unique_id(9) not in line.readings()
    line.run(until=390.0)
    assert line.readings()[unique_id(9)].node == 5


@pytest.mark.parametrize("mode", ["aes", "oma", "rc4"])
@pytest.mark.filterwarnings("ignore::osgp.WeakSecurityWarning")
def test_meter_with_its_own_key_is_read_with_it_and_not_without(mode):
    name, key = ("psk", Key.psk(bytes(16))) if mode == "aes" else ("key", Key.omak(bytes(range(12))))
    for keys, readable in (({unique_id(1): key}, True), ({}, False)):
        concentrator = Concentrator(ConcentratorConfig(security=mode, **{f"{name}s": keys}), Random(1))
        meters = {unique_id(1): make(1, security=mode, **{name: key}), unique_id(2): make(2, security=mode)}
        line = Street(concentrator, meters)
        concentrator.start(0.0)
        line.run()
        assert (unique_id(1) in line.readings()) is readable and unique_id(2) in line.readings()
        assert line.of(PassDone)[0].failed == (() if readable else (unique_id(1),))
        assert len(line.of(RequestRefused)) == (0 if readable else 1)


def test_known_meters_are_read_without_being_found():
    config = ConcentratorConfig(known={unique_id(1): (7, 8)})
    line = street(1, config=config)
    line.addresses[unique_id(1)] = (7, 8)
    line.run()
    assert (line.readings()[unique_id(1)].subnet, line.readings()[unique_id(1)].node) == (7, 8)
    assert not line.of(MeterFound)


def test_commissioning_that_never_succeeds_ends_and_is_reported():
    line = street(2)
    line.carry_out_ = line.carry_out
    line.carry_out = lambda action: (
        line.concentrator.on_commissioned(action.unique_node_id, False, line.now)
        if isinstance(action, Commission) and action.unique_node_id == unique_id(1)
        else line.carry_out_(action)
    )
    line.run()
    assert [event.unique_node_id for event in line.of(CommissionFailed)] == [unique_id(1)]
    assert set(line.readings()) == {unique_id(2)} and line.concentrator.done


def test_network_that_never_answers_is_left_by_the_timers():
    line = street(2)
    line.run(stop=lambda: len(line.of(MeterCommissioned)) == 2)
    line.deaf = True
    line.run()
    assert line.concentrator.done and len(line.of(MeterSilent)) == 2 and not line.readings()


def test_feedback_that_fits_nothing_is_counted_and_ignored():
    line = street(1)
    concentrator = line.concentrator
    concentrator.on_response(99, b"", 0.0)
    concentrator.on_commissioned(unique_id(5), True, 0.0)
    line.run()
    concentrator.on_discovered(unique_id(6), bytes(8), 1.0)
    concentrator.on_discovery_done(1.0)
    concentrator.on_timer(1.0)
    assert concentrator.ignored == {"response": 1, "commissioned": 1, "discovered": 1, "discovery done": 1}
    assert unique_id(6) not in concentrator.stations


@settings(max_examples=30, deadline=None)
@given(noise=st.lists(st.binary(max_size=120), min_size=1, max_size=40))
def test_noise_for_answers_never_raises_and_never_becomes_a_reading(noise):
    line = street(1)
    answers = iter(noise * 100)
    line.answer = lambda action: next(answers)
    line.run(until=5000.0)
    assert line.concentrator.done and not line.readings() and not line.of(TableRead)


def test_flipped_bits_in_answers_only_cost_time():
    """A third of the answers has a wrong bit; what is read is right all the same."""
    line = street(2, config=ConcentratorConfig(tries=12, period=100.0))
    clean, rng = line.answer, Random(4)

    def spoiled(action):
        octets = bytearray(clean(action) or b"")
        if octets and rng.random() < 0.33:
            octets[rng.randrange(len(octets))] ^= 1 << rng.randrange(8)
        return bytes(octets)

    line.answer = spoiled
    line.run(until=3000.0, stop=lambda: len(line.readings()) == 2)
    for uid, reading in line.readings().items():
        meter = line.meters[uid]
        assert reading.serial == meter.config.serial
        for name in ("BT00", "BT01", "BT21", "BT22", "BT27"):
            assert reading.tables[name] == meter.store.octets(name)
    assert len(line.readings()) == 2


def test_addresses_skip_what_is_reserved_and_go_on_in_the_next_subnet():
    config = ConcentratorConfig(subnet=3, first_node=125, reserved=frozenset({(3, 126), (4, 1)}))
    line = street(4, config=config).run()
    assert [(e.subnet, e.node) for e in line.of(MeterCommissioned)] == [(3, 125), (3, 127), (4, 2), (4, 3)]


def test_no_address_left_is_reported():
    config = ConcentratorConfig(subnet=255, first_node=127)
    line = street(2, config=config).run()
    assert len(line.of(MeterCommissioned)) == 1 and "no address" in line.of(CommissionFailed)[0].reason


def test_other_read_sets_bring_what_they_name_and_need():
    line = street(1, config=ConcentratorConfig(read_set=("BT23", "BT52"))).run()
    reading = line.readings()[unique_id(1)]
    assert set(reading.tables) == {"BT00", "BT21", "BT23", "BT52"} and reading.serial == "" and reading.registers == {}
    assert table("BT23").decode(reading.tables["BT23"], line.concentrator.stations[unique_id(1)].session.context)


def test_starting_twice_is_our_own_mistake():
    line = street(1)
    with pytest.raises(LocalProtocolError):
        line.concentrator.start(0.0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"subnet": 0}, {"first_node": 128}, {"tries": 0}, {"period": 0.0}, {"answer_time": -1.0}, {"read_set": ("BT98",)},
        {"prefixes": {"ET03": 0}},
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(arguments):
    with pytest.raises((ConfigurationError, ValueError)):
        ConcentratorConfig(**arguments)
