"""Identify: profiles drawn at random are learnt from noisy recordings of them, and the learnt ones decode new packets."""

import dataclasses

import numpy as np
import pytest

from phy import Profile, Receiver, Transmitter, append_crc
from phy.crc import CRCS
from phy.identify import BurstFinder, identify
from phy.identify.checksearch import mirror_image
from phy.words import WordCode

RATE = 400_000.0


def random_code(rng):
    """Any [11,8] code: data bits openly in random places, or any eight independent rows; random constant inversions."""
    octets = (np.arange(256)[:, None] >> np.arange(7, -1, -1) & 1).astype(np.uint8)
    while True:
        rows = rng.integers(0, 2, (8, 11)).astype(np.uint8)
        if rng.integers(2):
            rows[:, rng.permutation(11)[:8]] = np.eye(8, dtype=np.uint8)
        table = (octets @ rows + rng.integers(0, 2, 11)) % 2
        if np.unique(table, axis=0).shape[0] == 256:
            return WordCode("table", table.astype(np.uint8))


def random_profile(seed, base, alpha, **changes):
    rng = np.random.default_rng(seed)
    preamble = [rng.integers(0, 2, 24), np.ones(24), np.zeros(24), np.tile([0, 1], 12)][seed % 4]
    profile = dataclasses.replace(
        Profile.load(base), code=random_code(rng), preamble=preamble.astype(np.uint8), alpha=alpha,
        sync=rng.integers(0, 2, 11).astype(np.uint8), end_word=rng.integers(0, 2, 11).astype(np.uint8),
        end_words=int(rng.integers(0, 3)), ramp_bits=float(rng.choice([0.0, 0.5, 1.0, 2.0])), lsb_first=bool(rng.integers(2)),
    )  # fmt: skip
    return dataclasses.replace(profile, **changes)


def ordinary(rng):
    """8..40 octets with their CRC: much of it alike in all packets, as on a line."""
    head = bytes([0x40 * int(rng.integers(2)), 9, 1, int(rng.integers(1, 5)), 0x7F, int(rng.integers(16))])
    values = rng.integers(0, 256, int(rng.integers(0, 33))) * rng.integers(0, 2)
    return head + bytes(values.astype(np.uint8))


def record(
    profile, packets, seed, esn0_db=20.0, carriers=("primary", "secondary"), stations=None, lpdu=ordinary, append=append_crc
):
    """(samples, LPDUs): packets of stations with clocks up to 200 ppm off, after pauses, in white noise."""
    rng = np.random.default_rng(seed)
    clocks = rng.uniform(-200, 200, 4) if stations is None else stations
    parts, sent = [], []
    for _ in range(packets):
        sent.append(append(lpdu(rng)))
        transmitter = Transmitter(profile, RATE, level_v=1.0, clock_ppm=float(rng.choice(clocks)))
        parts.append(np.zeros(int((24 * profile.bit_time + rng.exponential(0.01)) * RATE), np.float32))
        alternate = carriers[int(rng.integers(len(carriers)))] == "secondary"
        parts.append(transmitter.modulate(sent[-1], alternate=alternate, phase=float(rng.uniform(0, 6.28))))
    parts.append(np.zeros(int(0.03 * RATE), np.float32))
    x = np.concatenate(parts)
    # Es = A^2 T / 2 of full bits; noise of density N0 has the variance N0 * RATE / 2.
    sigma = np.sqrt(profile.bit_time / 2 / 10 ** (esn0_db / 10) * RATE / 2)
    return (x + rng.normal(0, sigma, x.size)).astype(np.float32), sent


def bursts_of(x, block=1 << 18):
    finder = BurstFinder(RATE)
    found = [burst for first in range(0, x.size, block) for burst in finder.push(x[first : first + block])]
    return found + finder.flush()


def learn(x, tmp_path):
    result = identify(bursts_of(x))
    assert result.profile is not None, result.gaps
    path = tmp_path / "learnt.toml"
    path.write_text(result.profile, encoding="utf-8")
    return result, Profile.load(path)


def decoded(profile, x):
    receiver = Receiver(profile, RATE)
    return [p.lpdu for p in [*receiver.push(x), *receiver.flush()] if p.crc_ok]


CASES = [
    # seed, base, transition time, packets, carriers
    (0, "pl20a", 0.0, 24, ("primary", "secondary")),
    (1, "pl20c", 1.0, 24, ("primary", "secondary")),
    (2, "pl20a-116", 0.5, 24, ("primary",)),
    (3, "pl20a", 1.0, 24, ("secondary",)),
    (4, "pl20c", 0.0, 40, ("primary", "secondary")),
    (5, "pl20a", 0.75, 24, ("primary", "secondary")),
]


@pytest.mark.parametrize(("seed", "base", "alpha", "packets", "carriers"), CASES)
def test_a_random_profile_is_learnt_from_a_recording(seed, base, alpha, packets, carriers, tmp_path):
    truth = random_profile(seed, base, alpha)
    x, _ = record(truth, packets, seed, carriers=carriers)
    result, learnt = learn(x, tmp_path)
    assert result.packets == result.crc_ok == packets
    header = truth.header_bits
    assert np.array_equal(learnt.header_bits, header) or np.array_equal(learnt.header_bits, 1 - header)
    assert learnt.end_words == truth.end_words
    assert abs(learnt.alpha - truth.alpha) <= 0.15 and abs(learnt.ramp_bits - truth.ramp_bits) <= 0.25
    # The stations' clocks are 200 ppm off, and 286 ppm lie between the two A-band clocks.
    assert abs(learnt.bit_rate / truth.bit_rate - 1) < 400e-6
    y, sent = record(truth, 6, seed + 1000, carriers=carriers)
    assert decoded(learnt, y) == sent


def test_named_code_numerology_and_pulse_are_recognised_as_such(tmp_path):
    truth = Profile.load("pl20a")
    x, _ = record(truth, 32, 7, stations=[-150.0, 140.0])
    result, learnt = learn(x, tmp_path)
    values = {f.key: f.value for f in result.findings}
    expected = {key: constant.value for key, constant in truth.constants.items()}
    assert values == expected
    measured = {f.key for f in result.findings if f.confidence > 0}
    assert {"carrier.clocks_per_cycle", "packet.sync", "packet.code", "packet.end_word", "pulse.alpha"} <= measured
    split = ("packet.preamble", "packet.sync")  # where one ends and the other begins is a guess
    assert all(0.7 <= f.confidence < 0.98 for f in result.findings if f.key in split)
    sure = [f for f in result.findings if f.key.startswith("packet.") and f.confidence > 0 and f.key not in split]
    assert len(sure) == 6 and all(0.99 <= f.confidence < 1 for f in sure)
    assert "32 packets" in learnt.constants["packet.sync"].source and learnt.constants["packet.code"].grade == "C"
    assert learnt.constants["level.transmit_vpp"].source.startswith("not measured")


def test_lsb_first_and_inverted_bits_of_a_named_code_are_recognised(tmp_path):
    inversion = np.array([0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0], np.uint8)
    base = Profile.load("pl20a")
    truth = dataclasses.replace(base, lsb_first=True, code=WordCode.named("W11_P3").inverted(inversion))
    x, _ = record(truth, 20, 8)
    _, learnt = learn(x, tmp_path)
    assert learnt.lsb_first and learnt.constants["packet.code"].value == "W11_P3"
    assert learnt.constants["packet.inversion"].value == "01000001000"


def test_differential_encoding_and_another_divider_are_learnt(tmp_path):
    cycle = 6.5536e6 / 80
    truth = random_profile(
        9, "pl20a", 1.0, differential=True, bit_rate=cycle / 20, carriers={"primary": cycle, "secondary": cycle / 20 * 17}
    )
    x, _ = record(truth, 20, 9)
    _, learnt = learn(x, tmp_path)
    assert learnt.differential
    assert learnt.carriers == pytest.approx(truth.carriers) and learnt.bit_rate == pytest.approx(truth.bit_rate)
    y, sent = record(truth, 4, 1009)
    assert decoded(learnt, y) == sent


def test_headers_of_other_lengths_are_learnt(tmp_path):
    short = random_profile(10, "pl20c", 1.0)
    short = dataclasses.replace(short, preamble=short.preamble[:14], sync=short.sync[:8])
    long = random_profile(11, "pl20c", 1.0, preamble=np.tile([1, 0], 30).astype(np.uint8))
    for truth in (short, long):
        x, _ = record(truth, 14, 10)
        _, learnt = learn(x, tmp_path)
        header = truth.header_bits
        assert np.array_equal(learnt.header_bits, header) or np.array_equal(learnt.header_bits, 1 - header)


def test_packets_with_bit_errors_and_damaged_packets_do_not_spoil_the_result(tmp_path):
    truth = random_profile(12, "pl20a", 1.0)
    x, _ = record(truth, 24, 12, esn0_db=14.0)
    rng = np.random.default_rng(12)
    damaged = bursts_of(x)[::6]
    for burst in damaged:
        first = burst.first_sample + burst.x.size // 2
        x[first : first + 2000] += rng.normal(0, 20, 2000).astype(np.float32)
    result, learnt = learn(x, tmp_path)
    assert 16 <= result.crc_ok <= 24 - len(damaged)
    y, sent = record(truth, 6, 1012)
    assert decoded(learnt, y) == sent


def test_what_recordings_cannot_tell_is_said(tmp_path):
    truth = random_profile(13, "pl20a", 1.0)
    x, _ = record(truth, 20, 13, carriers=("primary",), stations=[-100.0])
    result, _ = learn(x, tmp_path)
    open_ = {gap.subject: gap for gap in result.gaps}
    assert {"secondary carrier", "carrier.master_clock_hz", "polarity", "packet.bit_order", "packet.sync"} <= set(open_)
    # -100 ppm of one clock is +186 ppm of the other: a single station cannot tell.
    assert "10 MHz / 116" in open_["carrier.master_clock_hz"].reason
    assert open_["secondary carrier"].more_packets > 0 and open_["confidence"].more_packets == 12
    assert open_["polarity"].more_packets is None
    for gap in result.gaps:
        assert gap.reason in result.profile


def test_too_few_packets_give_no_profile_but_say_how_many_are_missing():
    x, _ = record(random_profile(14, "pl20a", 1.0), 7, 14, lpdu=lambda rng: bytes(rng.integers(0, 256, 30).astype(np.uint8)))
    bursts = bursts_of(x)
    # 72 unknowns and 32 equations that nobody needs, for the proof: 104 at 16 a packet are 7 packets.
    for packets in (2, 5):
        result = identify(bursts[:packets])
        assert result.profile is None and result.packets == packets
        assert [g.more_packets for g in result.gaps if g.subject in ("packet", "octets")] == [7 - packets]
        assert any(f.key == "carrier.primary_cycles_per_bit" and f.value == 24 for f in result.findings)
    assert identify(bursts).crc_ok == 7


def test_the_same_packet_over_and_over_proves_nothing():
    lpdu = append_crc(bytes(range(20)))[:-2]
    x, _ = record(random_profile(17, "pl20a", 1.0), 16, 17, lpdu=lambda rng: lpdu)
    result = identify(bursts_of(x))
    assert result.profile is None and result.packets == 16
    assert any(gap.more_packets for gap in result.gaps if gap.subject in ("word code", "octets"))


def test_carriers_are_exchanged_where_the_alternate_path_bit_says_so():
    truth = Profile.load("pl20a")
    swapped = dataclasses.replace(truth, carriers={"primary": 78e3, "secondary": 78e3 / 20 * 23}, bit_rate=78e3 / 20)
    rng = np.random.default_rng(18)
    parts = []
    for k in range(16):
        octets = bytes([0x40 * (k % 2), *rng.integers(0, 256, 12).astype(np.uint8)])
        parts += [np.zeros(4000), Transmitter(swapped, RATE, level_v=1.0).modulate(append_crc(octets), alternate=k % 2 == 1)]
    x = np.concatenate([*parts, np.zeros(4000)])
    result = identify(bursts_of((x + rng.normal(0, 0.5, x.size)).astype(np.float32)))
    values = {f.key: f.value for f in result.findings}
    assert (values["carrier.primary_cycles_per_bit"], values["carrier.secondary_cycles_per_bit"]) == (20, 23)
    # 78 kHz is no known crystal's; what was measured is taken, and is not called sure.
    assert values["carrier.clocks_per_cycle"] == 1 and values["carrier.master_clock_hz"] == pytest.approx(78e3, rel=5e-5)
    assert all(f.confidence < 0.5 and f.grade == "D" for f in result.findings if f.key == "carrier.master_clock_hz")


@pytest.mark.parametrize("alternate", [False, True])
def test_the_only_carrier_of_an_unknown_clock_is_named_by_the_alternate_path_bit_and_not_called_sure(alternate):
    truth = random_profile(23, "pl20a", 1.0, carriers={"primary": 78e3, "secondary": 58.5e3}, bit_rate=78e3 / 20)
    x, _ = record(
        truth, 14, 23, carriers=("primary",),
        lpdu=lambda rng: bytes([0x40 * alternate, *rng.integers(0, 256, int(rng.integers(8, 20))).astype(np.uint8)]),
    )  # fmt: skip
    result = identify(bursts_of(x))
    key = f"carrier.{'secondary' if alternate else 'primary'}_cycles_per_bit"
    found = {f.key: f for f in result.findings}[key]
    assert found.value == 20 and 0.5 < found.confidence < 0.9
    assert any(g.subject == ("primary carrier" if alternate else "secondary carrier") for g in result.gaps)


def test_few_different_packets_are_said_to_be_too_few_for_an_unknown_check_sequence():
    crc = CRCS["CRC-16/XMODEM"]
    rng = np.random.default_rng(24)
    contents = [bytes(rng.integers(0, 256, int(rng.integers(12, 30))).astype(np.uint8)) for _ in range(8)]
    truth = random_profile(24, "pl20a", 1.0, crc=crc)
    x, _ = record(truth, 32, 24, lpdu=lambda rng: contents[int(rng.integers(8))], append=crc.append)
    result = identify(bursts_of(x))
    assert result.profile is None
    gap = next(g for g in result.gaps if g.subject == "octets")
    assert "9 packets must be no sums of others" in gap.reason and 4 <= gap.more_packets <= 10


@pytest.mark.parametrize("name", ["CRC-16/MODBUS", "CRC-16/T10-DIF"])
def test_another_check_sequence_of_the_catalogue_is_named(name, tmp_path):
    truth = random_profile(19, "pl20c", 1.0, crc=CRCS[name], sync=np.array([1, 0, 1, 1, 0, 1, 1, 0, 0, 0, 1], np.uint8))
    x, sent = record(truth, 14, 19, append=truth.crc.append)
    result, learnt = learn(x, tmp_path)
    assert learnt.crc.name in (name, mirror_image(CRCS[name]).name)
    assert any(g.subject == "packet.crc" for g in result.gaps) and result.received == 14
    order = [int(f"{o:08b}"[::-1], 2) for o in range(256)] if learnt.crc.name != name else range(256)
    assert decoded(learnt, x) == [bytes(order[o] for o in lpdu) for lpdu in sent]


def test_steady_tones_louder_than_the_packets_are_taken_out():
    truth = random_profile(21, "pl20a", 1.0)
    x, sent = record(truth, 24, 21)
    t = np.arange(x.size) / RATE
    for tone_hz, level in ((77_500.0, 1.0), (78_125.3, 2.0), (88_000.7, 1.5), (40_000.0, 10.0)):
        x = x + (level * np.cos(2 * np.pi * tone_hz * t + tone_hz)).astype(np.float32)
    assert identify(bursts_of(x)).crc_ok >= len(sent) - 1


def test_carriers_of_a_station_that_never_turns_its_phase_are_no_tones():
    truth = random_profile(22, "pl20a", 1.0, preamble=np.ones(24, np.uint8))
    rng = np.random.default_rng(22)
    x = np.zeros(0)
    carrier = truth.carriers["primary"]
    for _ in range(16):
        x = np.concatenate([x, np.zeros(4000)])
        octets = append_crc(bytes(rng.integers(0, 256, 14).astype(np.uint8)))
        # Transmitter begins one ramp before bit 0: the phase there that a carrier running through would have.
        phase = 2 * np.pi * carrier / RATE * (x.size + truth.ramp_bits * truth.bit_time * RATE)
        x = np.concatenate([x, Transmitter(truth, RATE, level_v=1.0).modulate(octets, phase=float(phase % (2 * np.pi)))])
    x = np.concatenate([x, np.zeros(4000)])
    assert identify(bursts_of((x + rng.normal(0, 0.1, x.size)).astype(np.float32))).crc_ok == 16


def test_another_modem_on_the_line_does_not_hide_the_packets():
    truth = random_profile(20, "pl20a", 1.0)
    x, sent = record(truth, 12, 20, carriers=("primary",), lpdu=lambda rng: bytes(rng.integers(0, 256, 30).astype(np.uint8)))
    rng = np.random.default_rng(20)
    parts = [x]
    for _ in range(20):  # more bursts than packets: 63 kHz, 2400 b/s, random bits
        samples = np.arange(int(0.05 * RATE)) / RATE
        bits = 2.0 * rng.integers(0, 2, 200)[(samples * 2400).astype(int)] - 1
        parts += [np.zeros(4000), bits * np.cos(2 * np.pi * 62.4e3 * samples)]
    result = identify(bursts_of(np.concatenate([*parts, np.zeros(4000)]).astype(np.float32)))
    assert result.crc_ok == len(sent)
    assert any(gap.subject == "carriers" and "20 bursts" in gap.reason for gap in result.gaps)


def test_bursts_do_not_depend_on_how_the_stream_is_cut():
    x, sent = record(random_profile(15, "pl20c", 1.0), 30, 15)
    whole, pieces = bursts_of(x, x.size), bursts_of(x, 77_777)
    assert len(whole) == len(pieces) == len(sent)
    for a, b in zip(whole, pieces, strict=True):
        assert abs(a.first_sample + a.start - b.first_sample - b.start) <= 0.003 * RATE
        assert np.array_equal(b.x, x[b.first_sample : b.first_sample + b.x.size])


def test_signals_that_are_no_packets_give_no_profile_and_no_error():
    rng = np.random.default_rng(16)
    n = int(1.2 * RATE)
    t = np.arange(n) / RATE
    noise = rng.normal(0, 0.01, n)
    gate = (t * 7) % 1 < 0.5
    bits = np.repeat(2 * rng.integers(0, 2, n // 111 + 1) - 1, 111)[:n]
    frequency = np.cumsum(np.where(bits > 0, 84e3, 88e3)) / RATE
    signals = {
        "noise": noise, "silence": np.zeros(n), "nothing": np.zeros(0), "one sample": np.ones(1), "constant": np.ones(n),
        "tone": noise + np.sin(2 * np.pi * 86e3 * t), "tone bursts": noise + gate * np.sin(2 * np.pi * 86e3 * t),
        "noise bursts": noise + gate * rng.normal(0, 1, n), "keyed frequency": noise + gate * np.sin(2 * np.pi * frequency),
        "random phase": noise + gate * bits * np.sin(2 * np.pi * 86.3e3 * t), "tiny": noise * 1e-20, "huge": noise * 1e12,
    }  # fmt: skip
    for name, x in signals.items():
        result = identify(bursts_of(x.astype(np.float32)))
        assert result.profile is None and result.gaps, name
