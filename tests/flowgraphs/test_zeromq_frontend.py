"""Samples over real ZeroMQ sockets: both directions, each framing, keys, peers that die, and errors that say what is wrong."""

import contextlib
import itertools
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import zmq
import zmq.auth

from flowgraphs.cli import run
from flowgraphs.errors import FrontEndError
from flowgraphs.frontends.contract import SampleSink, SampleSource, open_sink, open_source
from flowgraphs.frontends.curve import is_local, read_key
from flowgraphs.frontends.gnuradio_messages import StreamTag, encode_tagged
from flowgraphs.messages import encode_samples

RATE = 400_000.0
X = np.random.default_rng(5).normal(size=50_000).astype(np.float32)


@pytest.fixture
def place(tmp_path_factory):
    return f"{tmp_path_factory.mktemp('z')}/s"  # short: a socket path has at most 107 octets


@pytest.fixture
def opened():
    """Opens and remembers to close."""
    ends = []

    def build(function, url, **options):
        ends.append(function(url, **options))
        return ends[-1]

    yield build
    for end in ends:
        end.close()


@pytest.fixture
def socket():
    """Raw sockets: somebody else's program."""
    context = zmq.Context()
    made = []

    def build(kind, endpoint, bind=True):
        new = context.socket(kind)
        made.append(new)
        new.setsockopt(zmq.LINGER, 0)
        (new.bind if bind else new.connect)(endpoint)
        return new

    yield build
    for one in made:
        one.close()
    context.term()


def take(source, count, timeout_s=5.0):
    """Blocks until so many samples have come."""
    blocks, until = [], time.monotonic() + timeout_s
    while sum(block.samples.size for block in blocks) < count and time.monotonic() < until:
        block = source.read(0.2)
        if block is not None:
            blocks.append(block)
    return blocks


def feed(sink, x=X, first=0, size=3000):
    for at in range(0, x.size, size):
        sink.write(first + at, x[at : at + size])


def joined(blocks):
    return np.concatenate([block.samples for block in blocks])


@pytest.mark.parametrize("kinds", [("pub", "sub"), ("push", "pull")])
@pytest.mark.parametrize("sink_binds", [True, False])
@pytest.mark.parametrize("how", ["format=framed", "format=gnuradio", "format=gnuradio&tags=yes"])
def test_every_sample_arrives(kinds, sink_binds, how, place, opened):
    sender, receiver = kinds
    sink = opened(open_sink, f"zmq+{sender}:{place}?{how}&wait_s=2&wait_peer_s=5&bind={'yes' if sink_binds else 'no'}", rate=RATE)
    # A stream that tells its rate need not be told it.
    rate = RATE if how == "format=gnuradio" else None
    writer = threading.Thread(target=feed, args=(sink,), kwargs={"first": 1000})
    writer.start()
    source = opened(open_source, f"zmq+{receiver}:{place}", rate=rate, bind="no" if sink_binds else "yes")
    blocks = take(source, X.size)
    writer.join()
    assert isinstance(source, SampleSource) and isinstance(sink, SampleSink)
    np.testing.assert_array_equal(joined(blocks), X)
    assert source.sample_rate == RATE and blocks[0].first_sample == (1000 if how == "format=framed" else 0)
    assert source.statistics.missing == source.statistics.malformed == sink.statistics.dropped == 0


@pytest.mark.parametrize("how", ["framed", "gnuradio"])
def test_what_is_not_written_is_silence(how, place, opened):
    sink = opened(open_sink, f"zmq+push:{place}?format={how}", rate=RATE)
    source = opened(open_source, f"zmq+pull:{place}", rate=RATE)
    sink.write(500, X[:1000])
    sink.write(101_500, X[1000:2000])
    y = joined(take(source, 102_000))
    np.testing.assert_array_equal(y, np.concatenate([X[:1000], np.zeros(100_000, np.float32), X[1000:2000]]))
    assert source.statistics.missing == 0 and sink.statistics.padded == 100_000


def test_volts_are_scaled_at_both_ends(place, opened):
    sink = opened(open_sink, f"zmq+push:{place}?volts_per_unit=10", rate=RATE)
    raw = opened(open_source, f"zmq+pull:{place}?volts_per_unit=2", rate=RATE)
    sink.write(0, X[:1000])
    np.testing.assert_allclose(joined(take(raw, 1000)), X[:1000] / 5, rtol=1e-6)


def test_a_filter_key_chooses_the_stream(place, opened):
    sinks = {}
    for key in ("left", "right"):
        sinks[key] = opened(open_sink, f"zmq+pub:{place}{key}?format=gnuradio&key={key}&wait_peer_s=5", rate=RATE)
    source = opened(open_source, f"zmq+sub:{place}right?key=right", rate=RATE)
    feed(sinks["right"])
    np.testing.assert_array_equal(joined(take(source, X.size)), X)
    assert source.stream.reader.keyed


def test_a_sender_that_is_killed_and_comes_back(place, opened):
    source = opened(open_source, f"zmq+sub:{place}", rate=RATE)
    sink = open_sink(f"zmq+pub:{place}?wait_peer_s=5", rate=RATE)
    feed(sink, first=10**6)
    before = take(source, X.size)
    sink.close()
    again = opened(open_sink, f"zmq+pub:{place}?wait_peer_s=5", rate=RATE)
    writer = threading.Thread(target=feed, args=(again,))  # a SUB subscribes again only while somebody reads
    writer.start()
    after = take(source, X.size)
    writer.join()
    np.testing.assert_array_equal(joined(after), X)
    assert after[0].missing_before >= 1 and after[0].first_sample == before[-1].end + after[0].missing_before
    assert source.statistics.restarts == 1


def test_a_sender_of_bare_items_that_comes_back_is_a_gap_in_time(place, opened, socket):
    source = opened(open_source, f"zmq+pull:{place}", rate=RATE)
    first = socket(zmq.PUSH, f"ipc://{place}")
    first.send(X.tobytes())
    assert len(take(source, X.size)) == 1
    first.close()
    time.sleep(0.05)
    second = socket(zmq.PUSH, f"ipc://{place}")
    second.send(X.tobytes())
    (block,) = take(source, X.size)
    assert block.missing_before >= 1 and source.statistics.restarts == 1 and source.statistics.gaps == 1


def test_a_sender_that_comes_back_with_another_framing_is_understood(place, opened, socket):
    source = opened(open_source, f"zmq+pull:{place}", rate=RATE)
    sender = socket(zmq.PUSH, f"ipc://{place}")
    sender.send(X[:5000].tobytes())
    sender.send_multipart(encode_samples(77, RATE, X[:5000], 5000))
    sender.send_multipart(encode_samples(5077, RATE, X[:5000], 5000))
    for k in range(4):
        sender.send(encode_tagged(12 + 5000 * k, X[:5000].tobytes()))
    blocks = take(source, 35_000)
    for before, after in itertools.pairwise(blocks):
        assert after.first_sample == before.end + after.missing_before
    assert [block.missing_before > 0 for block in blocks] == [False, True, False, True, False, False, False]


def test_a_slow_reader_is_told_what_it_lost(place, opened):
    source = opened(open_source, f"zmq+sub:{place}?hwm=20", rate=RATE)
    sink = opened(open_sink, f"zmq+pub:{place}?hwm=20&wait_peer_s=5", rate=RATE)
    x = np.ones(200, np.float32)
    for k in range(5000):
        sink.write(k * 200, x)
    blocks = take(source, 10**9, 0.3)
    for k in range(5000, 5010):
        sink.write(k * 200, x)
        time.sleep(1e-3)
    blocks += take(source, 10 * 200)
    lost = source.statistics.missing
    assert lost > 0 and source.statistics.gaps >= 1 and source.statistics.overruns >= 1
    assert blocks[-1].end == 5010 * 200 == sum(block.samples.size for block in blocks) + lost


def test_a_publisher_that_waits_loses_nothing_to_a_slow_reader(place, opened):
    source = opened(open_source, f"zmq+sub:{place}?hwm=5", rate=RATE)
    sink = opened(open_sink, f"zmq+pub:{place}?hwm=5&wait_peer_s=5&wait_s=10", rate=RATE)
    writer = threading.Thread(target=feed, args=(sink,), kwargs={"size": 100})
    writer.start()
    time.sleep(0.05)
    np.testing.assert_array_equal(joined(take(source, X.size)), X)
    writer.join()
    assert sink.statistics.dropped == source.statistics.missing == 0


SLOW_READER = """
import os, sys, time
import numpy as np, zmq
from flowgraphs.frontends.contract import open_source
endpoint = sys.argv[1]
if os.fork() == 0:
    sender = zmq.Context().socket(zmq.PUSH)
    sender.setsockopt(zmq.SNDHWM, 5)
    sender.bind(endpoint)
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        if sender.poll(50, zmq.POLLOUT):
            sender.send(np.ones(50_000, "<f4").tobytes())
    os.kill(os.getpid(), 9)
source = open_source(f"zmq+pull:{endpoint}?hwm=5", rate=4e5)
os.wait()
time.sleep(1.2)
print(source.read(1.0).samples.size)
"""


def test_a_sender_that_dies_while_the_queue_is_full_takes_nobody_along(place):
    """libzmq aborts the process then when its heartbeats are on."""
    command = [sys.executable, "-c", SLOW_READER, f"ipc://{place}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "50000\n"), done.stderr


def test_nobody_takes_it(place, opened):
    sink = opened(open_sink, f"zmq+push:{place}?hwm=1&wait_s=0.02", rate=RATE)
    sink.write(0, X[:100])
    assert sink.statistics.dropped == 100 and sink.peers == 0


# ---------------------------------------------------------------- what does not fit


def refused(source, count=20):
    with pytest.raises(FrontEndError) as caught:
        for _ in range(count):
            source.read(0.1)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_wrong_item_type_is_an_error_that_says_so(place, opened, socket):
    source = opened(open_source, f"zmq+pull:{place}", rate=RATE)
    sender = socket(zmq.PUSH, f"ipc://{place}")
    for _ in range(5):
        sender.send((1000 * X[:4096]).astype("<i2").tobytes())
    text = refused(source)
    assert text.startswith(f"zmq+pull:{place}: ") and "int16" in text and "short" in text


def test_the_wrong_rate_is_an_error_that_names_both(place, opened, socket):
    source = opened(open_source, f"zmq+pull:{place}", rate=RATE)
    sender = socket(zmq.PUSH, f"ipc://{place}")
    for k in range(5):
        sender.send_multipart(encode_samples(k * 100, 250_000.0, X[:100], 100))
    text = refused(source)
    assert "250000 Hz" in text and "400000 Hz" in text and source.statistics.wrong_rate >= 3
    assert source.statistics.malformed == 0


def test_a_single_wrong_message_is_counted_and_skipped(place, opened, socket):
    source = opened(open_source, f"zmq+pull:{place}", rate=RATE)
    sender = socket(zmq.PUSH, f"ipc://{place}")
    for k in range(20):
        sender.send_multipart(encode_samples(k * 100, RATE, X[:100], 100))
        if k == 10:
            sender.send(b"abc")
            sender.send_multipart([b"OSDR" + bytes(28), b""])
            sender.send_multipart([b"a", b"b", b"c"])
    assert sum(block.samples.size for block in take(source, 2000)) == 2000
    assert source.statistics.malformed == 3 and source.statistics.gaps == 0


@pytest.mark.parametrize(
    ("form", "octets", "words"),
    [
        ("framed", X[:100].tobytes(), "bare items.*format=gnuradio"),
        ("framed", encode_tagged(0, X[:100].tobytes()), "tag header.*format=gnuradio"),
        ("gnuradio", None, "own header.*format=framed"),
    ],
)
def test_the_other_framing_is_named(form, octets, words, place, opened, socket):
    source = opened(open_source, f"zmq+pull:{place}?format={form}", rate=RATE)
    sender = socket(zmq.PUSH, f"ipc://{place}")
    for _ in range(5):
        sender.send_multipart([octets] if octets else encode_samples(0, RATE, X[:100], 100))
    assert re.search(words, refused(source))


@contextlib.contextmanager
def sending(sender, octets, count):
    """Sends from another thread, as far as somebody takes it."""
    sender.setsockopt(zmq.SNDTIMEO, 500)

    def send():
        with contextlib.suppress(zmq.Again):
            for _ in range(count):
                sender.send(octets)

    thread = threading.Thread(target=send)
    thread.start()
    yield
    thread.join()


def test_bare_items_without_a_rate(place, socket):
    sender = socket(zmq.PUSH, f"ipc://{place}")
    with sending(sender, X[:1000].tobytes(), 5), pytest.raises(FrontEndError, match=r"add \?rate=HZ"):
        open_source(f"zmq+pull:{place}", wait_s=3)


def test_the_rate_is_learned_from_a_tag(place, opened, socket):
    octets = encode_tagged(0, X[:1000].tobytes(), [StreamTag(0, "rx_rate", 192e3)])
    with sending(socket(zmq.PUSH, f"ipc://{place}"), octets, 1):
        assert opened(open_source, f"zmq+pull:{place}", wait_s=3).sample_rate == 192_000.0


@pytest.mark.parametrize("bind", [False, True])
def test_nothing_comes(place, bind):
    with pytest.raises(FrontEndError, match=r"has connected to .*bind=no" if bind else r"no PUB answers.*bind=yes"):
        open_source(f"zmq+sub:{place}", wait_s=0.1, bind=bind)


def test_the_wrong_kind_of_socket_is_named(place, socket):
    socket(zmq.PUSH, f"ipc://{place}")
    with pytest.raises(FrontEndError, match="no ZeroMQ PUB socket"):
        open_source(f"zmq+sub:{place}", wait_s=0.5)


def test_connected_and_silent(place, socket):
    socket(zmq.PUB, f"ipc://{place}")
    with pytest.raises(FrontEndError, match="connected and sends nothing"):
        open_source(f"zmq+sub:{place}", wait_s=0.3)


@pytest.mark.parametrize(
    ("function", "url", "words"),
    [
        (open_source, "zmq+sub://192.0.2.1:5555?rate=4e5", "curve_secret, curve_server"),
        (open_source, "zmq+sub://*:5555?rate=4e5&bind=yes", "curve_secret, curve_clients"),
        (open_sink, "zmq+pub://0.0.0.0:5555?rate=4e5", "insecure=yes"),
        (open_sink, "zmq+pub://127.0.0.1:5555", r"add \?rate=HZ"),
        (open_source, "zmq+sub://127.0.0.1", "HOST:PORT"),
        (open_source, "zmq+sub:", "needs a place"),
        (open_source, "zmq+sub:udp://127.0.0.1:1", "transport 'udp'"),
        (open_source, "zmq+sub://127.0.0.1:5555?colour=red", "no option 'colour'"),
        (open_source, "zmq+sub://127.0.0.1:5555?format=wav", "format must be one of auto, framed, gnuradio"),
        (open_source, "zmq+pull://127.0.0.1:5555?rate=1e5&key=a", "filter key"),
        (open_sink, "zmq+pub://127.0.0.1:5555?rate=1e5&tags=yes", "format=gnuradio"),
        (open_source, "zmq+sub://127.0.0.1:5555?curve_server=x", "curve_secret is missing"),
        (open_source, "zmq+sub://127.0.0.1:5555?curve_secret=/nowhere", "/nowhere: No such file"),
        (open_sink, "zmq+pub://192.0.2.1:5555?rate=1e5&insecure=yes", "cannot bind"),
        (open_sink, "zmq+sub://127.0.0.1:5555?rate=1e5", "no sink of kind"),
    ],
)
def test_errors_are_one_line_that_names_the_url(function, url, words):
    with pytest.raises(FrontEndError, match=words) as caught:
        function(url)
    assert str(caught.value).startswith(url) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "local"),
    [
        ("tcp://127.0.0.1:1", True), ("tcp://127.9.9.9:1", True), ("tcp://[::1]:1", True), ("tcp://localhost:1", True),
        ("ipc:///tmp/x", True), ("tcp://*:1", False), ("tcp://0.0.0.0:1", False), ("tcp://[::]:1", False),
        ("tcp://eth0:1", False),
        ("tcp://192.168.1.1:1", False), ("tcp://example.org:1", False), ("tcp://127.0.0.1.example.org:1", False),
        ("tcp://0.0.0.0:0;127.0.0.1:1", True), ("tcp://localhost.example:1", False),
    ],
)  # fmt: skip
def test_what_is_local(endpoint, local):
    assert is_local(endpoint) == local


# ---------------------------------------------------------------- keys


@pytest.fixture
def keys(tmp_path):
    for name in ("server", "client", "stranger"):
        assert run(["keys", str(tmp_path / name)]) == 0
    return tmp_path


def test_keys_are_files_of_zeromqs_own_tools(keys, capsys):
    public, none = zmq.auth.load_certificate(keys / "server.key")
    again, secret = zmq.auth.load_certificate(keys / "server.key_secret")
    assert public == again == read_key(str(keys / "server.key_secret"), "public") and none is None
    assert zmq.curve_public(secret) == public and secret == read_key(str(keys / "server.key_secret"), "secret")
    assert (keys / "server.key_secret").stat().st_mode & 0o077 == 0
    capsys.readouterr()
    assert run(["keys", str(keys / "server")]) == 2
    error = capsys.readouterr().err
    assert "exists already" in error and error.count("\n") == 1 and secret.decode() not in error
    zmq.auth.create_certificates(keys, "theirs")
    assert len(read_key(str(keys / "theirs.key_secret"), "secret")) == 40


@pytest.mark.parametrize("who", ["client", "stranger", "nobody"])
def test_only_those_who_are_let_in_hear_anything(keys, place, opened, who):
    sink = opened(
        open_sink, f"zmq+pub:{place}?wait_peer_s=0.5", rate=RATE,
        curve_secret=f"{keys}/server.key_secret", curve_clients=f"{keys}/client.key",
    )  # fmt: skip
    mine = f"&curve_secret={keys}/{who}.key_secret&curve_server={keys}/server.key" if who != "nobody" else ""
    source = opened(open_source, f"zmq+sub:{place}?rate=4e5{mine}")
    feed(sink)
    blocks = take(source, X.size, 5.0 if who == "client" else 0.3)
    if who == "client":
        np.testing.assert_array_equal(joined(blocks), X)
    else:
        assert not blocks and "keys" in source.advice()


def test_a_public_file_is_no_secret_file(keys):
    with pytest.raises(FrontEndError, match=r"holds no secret CURVE key; give the file server.key_secret"):
        open_sink(f"zmq+pub://127.0.0.1:*?rate=4e5&curve_secret={keys}/server.key")
