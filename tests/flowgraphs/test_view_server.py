# ruff: noqa: E402  what follows needs the extra "web"
"""The page's server as a stranger sees it: what it tells, whom it lets in, how it treats the slow and the hostile."""

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowgraphs.decoding import decode_recording
from flowgraphs.errors import CommandError, SocketError
from flowgraphs.recording import open_recording
from phy import ReceiverOptions

for needed in ("starlette", "uvicorn", "websockets"):
    pytest.importorskip(needed, reason="the extra 'web' is not installed")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from flowgraphs.cli import cli, run
from flowgraphs.view.access import COOKIE, Access
from flowgraphs.view.frame import Kind, decode
from flowgraphs.view.gallery import Gallery
from flowgraphs.view.server import FAULTS, MAX_VISITORS, PAGES
from flowgraphs.view.serving import address_of, bind, serve
from flowgraphs.view.session import BEFORE_ROWS, MOST_ROWS, ROWS, Session
from flowgraphs.view.watch import RecordingWatch

RECORDING = str(Path(__file__).parents[1] / "recordings" / "quiet.sigmf-meta")
STARTED_S = 60.0  # kernels may have to be compiled first


def open_watch():
    return RecordingWatch(open_recording(RECORDING), open_recording(RECORDING), "auto", ReceiverOptions())


class Served:
    """A watch behind a server in a thread."""

    def __init__(self, access):
        self.watch, self.access = open_watch(), access
        self.listening = bind("127.0.0.1", 0)
        self.port = self.listening.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=serve, args=(self.watch, access, self.listening, self._stop.is_set))

    def __enter__(self):
        self.watch.start()
        self._thread.start()
        deadline = time.monotonic() + STARTED_S
        while self.watch.state == "decoding" and time.monotonic() < deadline:
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        began = time.monotonic()
        self._stop.set()
        self._thread.join(5)
        self.watch.stop()
        self.listening.close()
        assert not self._thread.is_alive() and time.monotonic() - began < 2.0

    def get(self, path, headers=(), method="GET", host=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.putrequest(method, path, skip_host=True)
        for name, value in [("Host", host or self.host), *headers]:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def visit(self, path="/ws", origin=None, **options):
        return connect(f"ws://{self.host}{path}", origin=origin, compression=None, max_size=None, **options)


@pytest.fixture(scope="module")
def page():
    with Served(Access.of("127.0.0.1")) as served:
        yield served


@pytest.fixture(scope="module")
def guarded():
    """Bound to loopback here, but with the rules of a page that is served to others."""
    with Served(Access.of("192.0.2.1", ["meters.example"])) as served:
        yield served


def told(socket, wanted, most=200):
    """The first text message of a type."""
    for _ in range(most):
        message = socket.recv(timeout=10)
        if isinstance(message, str) and json.loads(message)["type"] == wanted:
            return json.loads(message)
    raise AssertionError(f"no {wanted}")


def drawn(socket, kind, most=200):
    """The first picture of a kind, and its jump."""
    for _ in range(most):
        message = socket.recv(timeout=10)
        if isinstance(message, bytes):
            picture, _, _, jump = decode(message)
            if picture.kind is kind:
                return picture, jump
    raise AssertionError(f"no {kind}")


# ---- what it tells


def test_packets_are_those_of_decode(page):
    truth = list(decode_recording(open_recording(RECORDING), "auto", ReceiverOptions()))
    items = json.loads(page.get("/api/packets")[1])["items"]
    assert [item["start_s"] for item in items] == [round(one.start_s, 6) for one in truth]
    result = CliRunner().invoke(cli, ["decode", "--json", "--all", RECORDING])
    for item, line in zip(items, result.stdout.splitlines(), strict=True):
        answer, content = page.get(f"/api/packets/{item['id']}")
        assert answer.status == 200 and answer.headers["content-type"] == "application/json"
        packet, decoded = json.loads(content), json.loads(line)
        assert {key: packet[key] for key in decoded} == decoded, "the keys of decode --json, and the same values"
        assert "".join(word["octet"] for word in packet["words"]) == decoded["lpdu"]
        assert packet["layers"][0]["name"].startswith("Link") and packet["layers"][-1]["name"] == "CRC"


def test_a_visit(page):
    with page.visit(origin=f"http://{page.host}") as socket:
        about = told(socket, "hello")
        assert about["name"] == RECORDING and not about["live"] and about["length_s"] == pytest.approx(1.0237825)
        picture, jump = drawn(socket, Kind.LINE)
        assert picture.arrays["spec"].size == about["columns"]
        for command in ({"do": "pause"}, {"do": "speed", "to": 0.5}, {"do": "seek", "to": 0.25}):
            socket.send(json.dumps(command))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            picture, latest = drawn(socket, Kind.LINE)
            if latest > jump and picture.end_s == pytest.approx(0.25):
                break
        else:
            raise AssertionError("the seek did not arrive")
        assert picture.arrays["rows"].size <= BEFORE_ROWS * about["columns"]
        packet, _ = drawn(socket, Kind.PACKET)
        assert packet.arrays["cons"].size and packet.arrays["eye"].size
        state = told(socket, "state")
        while state["position_s"] != pytest.approx(0.25):
            state = told(socket, "state")
        assert not state["playing"] and state["speed"] == 0.5 and state["counters"]["packets"] == 8
        # Packets of tests/recordings/quiet.truth.jsonl up to 0.25 s: primary from 0.03 s, secondary from 0.113 s.
        assert state["occupancy"]["primary"] == pytest.approx(0.0495 / 0.25, abs=0.01)
        assert set(state["cpu"]) <= {"view", "receiver"}


def test_what_is_not_there(page):
    for path in ("/api/packets/999", "/api/packets/999/picture"):
        answer, content = page.get(path)
        assert answer.status == 404 and "forgotten" in json.loads(content)["error"]
    for path in ("/api/packets?after=x", "/api/packets?limit=0", "/api/packets?limit=9999999", "/api/packets?after=-1"):
        assert page.get(path)[0].status == 400


# ---- whom it lets in


@pytest.mark.parametrize(
    "path",
    ["/../pyproject.toml", "/static/app.js", "/%2e%2e/%2e%2e/etc/passwd", "/..%2fserver.py", "//etc/passwd", "/app.js/..",
     "/app.js%00", "/style.css/../../server.py", "/api/packets/../../server.py", "/api/packets/-1", "/api/packets/1e9",
     "/\\..\\server.py"],
)  # fmt: skip
def test_no_path_leads_to_another_file(page, path):
    answer, content = page.get(path)
    assert answer.status in (404, 405) and b"import" not in content


def test_only_reading(page):
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        answer, _ = page.get("/api/packets", method=method)
        assert answer.status == 405


@pytest.mark.parametrize("path", [*PAGES, "/api/state", "/nothing"])
def test_every_answer_keeps_the_browser_careful(page, path):
    answer, _ = page.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["referrer-policy"] == "no-referrer"


def test_the_page_asks_for_nothing_from_elsewhere():
    folder = Path(sys.modules["flowgraphs.view.server"].__file__).with_name("static")
    assert {path.name for path in folder.iterdir()} == {name for name, _ in PAGES.values()}
    for path in folder.iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text and "//cdn" not in text, path.name


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.0.2.7", "", "localhost@evil.example", "[::1"])
def test_another_host_name_is_refused(page, host):
    """DNS rebinding: a name of somebody else that points to this machine."""
    answer, content = page.get("/", host=host or " ")
    assert answer.status in (421, 400) and b"<html" not in content
    assert answer.status == 400 or b"another name" in content


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "file://", "http://localhost:1"])
def test_another_page_cannot_look_in(page, origin):
    with pytest.raises(InvalidStatus) as refused:
        page.visit(origin=origin)
    assert refused.value.response.status_code == 403


def test_loopback_needs_no_token_and_everything_else_does():
    assert Access.of("127.0.0.1").token is Access.of("localhost").token is Access.of("::1").token is None
    tokens = {Access.of(host).token for host in ("0.0.0.0", "::", "192.0.2.1", "meters.example")}
    assert len(tokens) == 4 and all(len(token) >= 32 for token in tokens)
    assert Access.of("127.0.0.1", ["meters.example"]).token, "a name means that somebody else may come"
    access = Access.of("0.0.0.0")
    assert access.token not in repr(access)


def test_without_the_token_nothing_is_shown(guarded):
    for path in (*PAGES, "/api/state", "/api/packets", "/api/packets/1", "/nothing"):
        for headers in ((), [("Cookie", f"{COOKIE}=wrong")], [("Cookie", "\x01;;=")]):
            answer, content = guarded.get(path, headers)
            assert answer.status == 401 and b"token is needed" in content and guarded.access.token.encode() not in content
    assert guarded.get("/?token=wrong")[0].status == 401
    for path in ("/ws", "/ws?token=wrong"):
        with pytest.raises(InvalidStatus) as refused:
            guarded.visit(path)
        assert refused.value.response.status_code == 403


def test_with_the_token_the_page_opens_and_the_address_forgets_it(guarded):
    address = address_of(guarded.access, guarded.listening)
    assert address == f"http://192.0.2.1:{guarded.port}/?token={guarded.access.token}"
    answer, _ = guarded.get(f"/?token={guarded.access.token}")
    cookie = answer.headers["set-cookie"]
    assert answer.status == 303 and answer.headers["location"] == "/"
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
    held = [("Cookie", cookie.split(";")[0])]
    assert guarded.get("/", held)[0].status == 200 and guarded.get("/api/state", held)[0].status == 200
    for host in ("meters.example", f"192.0.2.1:{guarded.port}", "[2001:db8::1]:80"):
        assert guarded.get("/", held, host=host)[0].status == 200
    assert guarded.get("/", held, host="evil.example")[0].status == 421
    with guarded.visit(additional_headers=held) as visit:
        assert told(visit, "hello")
    with guarded.visit(f"/ws?token={guarded.access.token}") as script:
        assert told(script, "hello")


# ---- the slow and the hostile


def test_nonsense_is_counted_and_then_ends_the_visit(page):
    with page.visit() as socket:
        for number in range(FAULTS):
            socket.send(["{", '{"do":"format"}', '{"do":"seek","to":"x"}', "[]", '{"do":"play","x":1}'][number % 5])
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                socket.recv(timeout=10)
        assert closed.value.rcvd.code == 1008


def test_a_large_message_ends_the_visit(page):
    with page.visit() as socket:
        socket.send("x" * 100_000)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                socket.recv(timeout=10)
        assert closed.value.rcvd.code == 1009
    assert page.get("/api/state")[0].status == 200


def test_there_is_a_most_of_visitors(page):
    with contextlib.ExitStack() as stack:
        visits = [stack.enter_context(page.visit()) for _ in range(MAX_VISITORS)]
        for visit in visits:
            told(visit, "hello")
        with page.visit() as late, pytest.raises(ConnectionClosed) as closed:
            late.recv(timeout=10)
        assert closed.value.rcvd.code == 1013


def test_a_slow_page_gets_the_newest_picture_and_no_old_ones():
    """A page that takes a second for each picture, while two seconds of line pass for every picture that is due."""
    watch = open_watch()
    taken = []

    async def slow(message):
        if isinstance(message, bytes):
            taken.append(decode(message)[0])
        await asyncio.sleep(0)

    async def visit():
        session = Session(watch, Gallery(watch), slow)
        session.speed = 8.0
        await session.tick()
        await session.tick()
        session._played_from = (session._played_from[0] - 0.1, 0.0)  # 0.8 s of line have passed meanwhile
        await session.tick()
        return session

    session = asyncio.run(visit())
    lines = [picture for picture in taken if picture.kind is Kind.LINE]
    assert len(lines) <= 2 and lines[-1].end_s == pytest.approx(session.position / 400_000.0)
    assert session.position / 400_000.0 > 0.79 and session.position / 400_000.0 - lines[-1].end_s < 0.2


def test_one_who_is_far_behind_jumps():
    watch = open_watch()

    async def nowhere(message):
        pass

    async def visit():
        session = Session(watch, Gallery(watch), nowhere)
        session.speed = 0.1
        await session.tick()
        await session.tick()
        session._played_from = (session._played_from[0] - 5.0, 0.0)
        await session.tick()
        return session

    session = asyncio.run(visit())
    assert session.dropped >= 250 - MOST_ROWS - ROWS and session.position / 400_000.0 == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    "text", ["", "{}", "null", '{"do":1}', '{"do":"seek","to":1e999}', '{"do":"seek","to":null}', "x" * 600, b"\xff\xfe"]
)
def test_a_command_that_is_none(text):
    watch = open_watch()
    session = Session(watch, Gallery(watch), None)
    with pytest.raises(CommandError):
        session.command(text)
    assert session.position == 0 and session.playing


@pytest.mark.parametrize("to, expected", [(-5, 0.0), (0.5, 0.5), (1e8, 1.0237825)])
def test_a_seek_stays_within_the_recording(to, expected):
    session = Session(open_watch(), None, None)
    session.command(json.dumps({"do": "seek", "to": to}))
    assert session.position / 400_000.0 == pytest.approx(expected)


# ---- beginning and end


def test_a_port_that_is_taken_is_one_line(capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SocketError, match=rf"cannot serve at 127.0.0.1:{port}: Address already in use; --port 0"):
            bind("127.0.0.1", port)
        assert run(["view", RECORDING, "--port", str(port)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and told.startswith("osgp-sdr: cannot serve at") and str(port) in told
    with pytest.raises(SocketError, match=r"cannot serve at 192\.0\.2\.1"):
        bind("192.0.2.1", 0)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "flowgraphs.view.serving", raising=False)
    result = CliRunner().invoke(cli, ["view", RECORDING])
    assert "osgp-sdr[web]" in str(result.exception) and "uvicorn" in str(result.exception)


@pytest.mark.parametrize("source, text", [("nothing.wav", "No such file"), ("carrier:pigeon", "no source of kind 'carrier'")])
def test_a_source_that_is_none_is_one_line(source, text):
    result = CliRunner().invoke(cli, ["view", source, "--port", "0"])
    assert text in str(result.exception) and "\n" not in str(result.exception)


def test_ctrl_c_ends_it_with_a_page_open():
    command = [sys.executable, "-m", "flowgraphs", "view", RECORDING, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        try:
            line = process.stderr.readline()
            while line and "http://" not in line:
                line = process.stderr.readline()
            host = line.split("http://")[1].strip().strip("/")
            with connect(f"ws://{host}/ws", compression=None) as visit:
                told(visit, "hello")
                began = time.monotonic()
                process.send_signal(signal.SIGINT)
                assert process.wait(10) == 130
                assert time.monotonic() - began < 5.0  # 0.3 s on an idle machine, most of it the interpreter's own end
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


# ---- for everybody


def luminance(colour):
    """Relative luminance, WCAG 2.1."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(theme):
    """WCAG 2.1, 1.4.3: 4.5 to 1."""
    style = (Path(sys.modules["flowgraphs.view.server"].__file__).with_name("static") / "style.css").read_text("utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.S)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[theme]))
    pairs = [(text, behind) for text in ("ink", "soft", "good", "bad", "primary", "secondary") for behind in ("panel", "page")]
    for text, behind in [*pairs, ("ink", "grid"), ("ink", "mark"), ("on-accent", "accent")]:
        light, dark = sorted((luminance(colours[text]), luminance(colours[behind])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{text} on {behind}"
