"""Channel times against figures computed elsewhere from the same parameter octets; timer code tables."""

import pytest

from mac import ChannelTiming, ConfigurationError, receive_time, transmit_time

# Origin: computed from the same octets and formulas by a separate program, not by this package.
# channel: beta2, beta1 after tx, beta1 after rx, packet cycle, window, priority area after rx, after tx; in ms
FIGURES = {
    "pl20a": (2.784, 6.7254, 6.0972, 96.876, 44.544, 22.272, 66.816),
    "pl20a_alternate_clock": (2.7832, 6.7328, 6.1121, 96.9049, 44.5312, 22.2656, 66.7969),
    "pl20a_nes": (2.7832, 6.7328, 6.1121, 96.9049, 44.5312, 0.0, 0.0),
    "pl20c": (2.016, 5.3178, 4.911, 67.8132, 32.256, 16.128, 48.384),
    "pl20n": (2.016, 5.3178, 4.911, 67.8132, 32.256, 16.128, 48.384),
}


@pytest.mark.parametrize("channel", FIGURES)
def test_times_of_channel(channel):
    timing = ChannelTiming.load(channel)
    times = (
        timing.beta2,
        timing.beta1_post_tx,
        timing.beta1_post_rx,
        timing.packet_cycle,
        timing.w_base_window,
        timing.priority_area_post_rx,
        timing.priority_area_post_tx,
    )
    assert [1000 * t for t in times] == pytest.approx(FIGURES[channel], abs=6e-5)


# Origin: the same separate program; in cycles of the input clock / 6.
CYCLES = {
    "pl20a": (4640, 11209, 10162, 161460, 74240, 37120, 111360),
    "pl20a_alternate_clock": (3040, 7354, 6676, 105846, 48640, 24320, 72960),
    "pl20a_nes": (3040, 7354, 6676, 105846, 48640, 0, 0),
    "pl20n": (3360, 8863, 8185, 113022, 53760, 26880, 80640),
}


@pytest.mark.parametrize("channel", CYCLES)
def test_times_are_whole_cycles(channel):
    timing = ChannelTiming.load(channel)
    cycle = 6 / timing.input_clock_hz
    times = (
        timing.beta2,
        timing.beta1_post_tx,
        timing.beta1_post_rx,
        timing.packet_cycle,
        timing.w_base_window,
        timing.priority_area_post_rx,
        timing.priority_area_post_tx,
    )
    assert [t / cycle for t in times] == pytest.approx(CYCLES[channel], abs=1e-6)


# Transceiver table of an MIT C++ stack: id, channel, octets of the configuration structure from clock to transceiver.
TRANSCEIVERS = {
    14: ("pl20a_low", 5, "5e 00 5a e6 a9 78", 8, "0e 01 00 12 00 01 00"),
    15: ("pl20a", 5, "5e 00 5a e6 a9 78", 8, "0e 01 00 10 00 01 00"),
    16: ("pl20c", 5, "5e 00 3f a6 77 67", 8, "4a 00 00 10 00 00 00"),
    17: ("pl20n", 5, "5e 00 3f a6 77 67", 8, "0e 01 00 10 00 00 00"),
    19: ("pl20c_low", 5, "5e 00 3f a6 77 67", 8, "4a 00 00 12 00 00 00"),
    20: ("pl20n_low", 5, "5e 00 3f a6 77 67", 8, "0e 01 00 12 00 00 00"),
    207: ("pl20a_alternate_clock", 4, "5f 00 3b 96 5a 4a", 8, "0e 01 00 10 00 01 00"),
    222: ("pl20a_nes", 4, "5b 00 3b 96 5a 4a", 0, "0e 01 00 12 00 01 00"),
    223: ("pl20a_nes_internal", 4, "5b 00 3b 96 5a 4a", 0, "1e 01 00 12 00 01 00"),
}


@pytest.mark.parametrize("xid", TRANSCEIVERS)
def test_channels_by_transceiver_id(xid):
    timing = ChannelTiming.load(xid)
    octets = bytes(
        (
            timing.comm_type,
            timing.preamble,
            timing.packet_cycle_octet,
            timing.beta2_control,
            timing.xmit_interpacket,
            timing.recv_interpacket,
        )
    )
    found = (timing.name, timing.clock_code, octets.hex(" "), timing.channel_priorities, timing.transceiver.hex(" "))
    assert found == TRANSCEIVERS[xid]
    assert timing == ChannelTiming.load(timing.name)


def test_all_channels_have_a_transceiver_id():
    assert sorted(ChannelTiming.load(name).xid for name in ChannelTiming.names()) == sorted(TRANSCEIVERS)


def test_unknown_transceiver_id_names_the_known_ones():
    with pytest.raises(ConfigurationError, match="14, 15, 16, 17, 19, 20, 207, 222, 223, got 5"):
        ChannelTiming.load(5)


def test_alternate_path_is_the_highest_bit_of_the_first_register():
    timing = ChannelTiming.load("pl20a_nes")
    assert timing.transceiver_registers(True).hex() == "8e010012000100"
    assert timing.transceiver_registers(False).hex() == "0e010012000100"


def test_two_unrelated_octet_sets_give_the_same_a_band():
    a, b = ChannelTiming.load("pl20a"), ChannelTiming.load("pl20a_alternate_clock")
    for name in ("beta2", "beta1_post_rx", "beta1_post_tx", "packet_cycle", "w_base_window"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=0.003)


def test_unknown_channel_names_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"pl20a_nes.*got 'pl30'"):
        ChannelTiming.load("pl30")


def test_own_channel_file(tmp_path):
    path = tmp_path / "slow.toml"
    path.write_text(
        "[formulas]\nw_base = 8\n[channels.slow]\ninput_clock_hz = 1_000_000\nclock_code = 1\npreamble = 0\n"
        "packet_cycle = 1\nbeta2_control = 2\nxmit_interpacket = 0\nrecv_interpacket = 130\nchannel_priorities = 0\n"
        'comm_type = 0\ntransceiver = "00 00 00 00 00 00 00"\n'
    )
    timing = ChannelTiming.load(path)
    assert timing.w_base == 8
    assert timing.beta2 == pytest.approx((20 * 2 + 40) * 6e-6)
    assert timing.beta1_post_rx == pytest.approx((285 + 80 + 145 * 2 + 317) * 6e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[channels]", "must hold one channel, has 0"),
        ("[channels.a]\ninput_clock_hz = 1", "channel a"),
        ("][", "channel file"),
    ],
)
def test_broken_channel_file_is_one_error(tmp_path, text, message):
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        ChannelTiming.load(path)


# Origin: tables of an independent stack, codes 3, 5, 7, 8 (transmit) and 8 (receive) measured on it.
TRANSMIT_MS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072)
RECEIVE_MS = (128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576)
LONG_MS = (4096, 6144, 8192, 12288, 16384)


def test_timer_code_tables():
    assert tuple(round(1000 * transmit_time(code)) for code in range(16)) == TRANSMIT_MS
    assert tuple(round(1000 * receive_time(code)) for code in range(16)) == RECEIVE_MS
    assert tuple(round(1000 * transmit_time(code + 16)) for code in range(5)) == LONG_MS


@pytest.mark.parametrize("code", [-1, 32])
def test_timer_code_outside_table_is_refused(code):
    with pytest.raises(ConfigurationError):
        transmit_time(code)
