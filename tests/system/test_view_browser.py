"""The page in a real, headless Chromium: packets arrive, one is read, the slider moves, a figure is saved; wide and phone."""

import contextlib
import csv
import json
import shutil
import struct
import threading
import time
import urllib.request
import zlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowgraphs.cli import cli
from phy import ReceiverOptions

RECORDING = str(Path(__file__).parents[1] / "recordings" / "quiet.sigmf-meta")
FAULTY = str(Path(__file__).parents[1] / "recordings" / "faults.sigmf-meta")
CHROMIUM = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra 'test')")
pytest.importorskip("uvicorn", reason="the extra 'web' is not installed")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]
SIZES = {"desktop": (1366, 900), "phone": (390, 844)}
WAIT_S = 60.0


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        yield (opened := started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]))
        opened.close()


@contextlib.contextmanager
def served(recording):
    """The address of a page of a recording."""
    from flowgraphs.view.access import Access
    from flowgraphs.view.opening import open_watch
    from flowgraphs.view.serving import address_of, bind, serve

    watch, access = open_watch(recording, "auto", ReceiverOptions(), {}), Access.of("127.0.0.1")
    listening, stop = bind("127.0.0.1", 0), threading.Event()
    thread = threading.Thread(target=serve, args=(watch, access, listening, stop.is_set))
    watch.start()
    thread.start()
    try:
        yield address_of(access, listening)
    finally:
        stop.set()
        thread.join(10)
        watch.stop()
        listening.close()


@pytest.fixture(scope="module")
def address():
    with served(RECORDING) as found:
        yield found


def until(page, expression, meanwhile=lambda: None):
    """The page's own policy forbids playwright's way of waiting."""
    deadline = time.monotonic() + WAIT_S
    while not (value := page.evaluate(expression)):
        assert time.monotonic() < deadline, f"waited in vain for {expression}: {page.evaluate('JSON.stringify(window.stats)')}"
        meanwhile()
        page.wait_for_timeout(50)
    return value


def playing(page):
    """Plays when the page stands: also again, when a busy machine has let a recording of a second end with few pictures."""
    if page.locator("#play").inner_text() == "Play":
        page.locator("#play").click()


def paused(page):
    """Steps back until the page stands still: the button may start again what has ended by itself just before the click."""
    deadline = time.monotonic() + WAIT_S
    while page.locator("#play").inner_text() != "Play":
        assert time.monotonic() < deadline, "the page does not pause"
        page.locator("#previous").click()
        page.wait_for_timeout(100)


def decoded(recording):
    """Truth: what `osgp-sdr decode` prints of the same recording."""
    result = CliRunner().invoke(cli, ["decode", "--json", "--all", recording])
    return [json.loads(line) for line in result.stdout.splitlines()]


def visit(browser, address, size):
    context = browser.new_context(viewport=dict(zip(("width", "height"), SIZES[size], strict=True)), accept_downloads=True)
    page = context.new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"{request.url} failed"))
    page.goto(address)
    return context, page, complaints


def png_size(octets):
    """Width, height and how many different octets its picture has."""
    assert octets[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed = 8, b""
    while at < len(octets):
        length, kind = struct.unpack(">I4s", octets[at : at + 8])
        packed += octets[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    return (*struct.unpack(">II", octets[16:24]), len(set(zlib.decompress(packed))))


def saved(page, figure, kind):
    with page.expect_download() as download:
        page.locator(f"#{figure} [data-save={kind}]").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


@pytest.mark.parametrize("size", SIZES)
def test_the_page_is_driven_end_to_end(browser, address, size):
    truth = decoded(RECORDING)
    context, page, complaints = visit(browser, address, size)
    until(page, f"window.stats.packets === {len(truth)} && window.stats.drawn > 2", meanwhile=lambda: playing(page))
    rows = page.locator("#rows tr")
    assert [row.split(" s")[0] for row in rows.locator("td:first-child").all_inner_texts()] == [
        f"{packet['start_s']:.4f}" for packet in truth
    ]
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0], "nothing sticks out at the side"

    # a packet, chosen and read
    rows.nth(4).click()
    until(page, "document.querySelector('#detail .facts') !== null")
    assert page.locator("#packet .octets").inner_text().replace(" ", "").replace("\n", "") == truth[4]["lpdu"]
    facts = page.locator("#packet .facts").inner_text()
    assert f"{truth[4]['esn0_db']:.1f} dB" in facts and f"{truth[4]['clock_ppm']:+.1f} ppm" in facts and "right" in facts
    names, values = (page.locator(f".layers {place}").all_inner_texts() for place in ("th", "td.value"))
    fields = dict(zip(names, values, strict=True))
    assert fields["CRC"] == truth[4]["lpdu"][-4:] and fields["source"] == "124/43"  # LPDU 01 bf 7c 2b ..: subnet 7c, node 2b
    page.locator("#packet > details summary").click()
    words = page.locator(".word b").all_inner_texts()
    assert "".join(words) == truth[4]["lpdu"]
    assert rows.nth(4).get_attribute("aria-selected") == "true"
    with urllib.request.urlopen(address + page.locator("#json").get_attribute("href")) as answer:
        assert {key: value for key, value in json.load(answer).items() if key in truth[4]} == truth[4]

    # pause, the slider, play
    paused(page)
    page.locator("#slider").fill("0.4")
    for _ in range(20):  # the last pictures may be late when the machine is busy
        before = page.evaluate("window.stats.rx")
        page.wait_for_timeout(400)
        if page.evaluate("window.stats.rx") == before:
            break
    else:
        pytest.fail("a paused page gets no pictures")
    assert page.evaluate("document.querySelector('#position').value") == "0.4000 s", "and stands where the slider was put"
    until(page, f"window.stats.rx > {before} + 3", meanwhile=lambda: playing(page))

    # figures and numbers to take along
    for figure in ("spectrum", "constellation", "waterfall"):
        name, octets = saved(page, figure, "PNG")
        width, height, values = png_size(octets)
        assert name.startswith(f"osgp-{figure}-") and name.endswith(".png")
        assert width >= 1280 and height >= 300 and values > 20, f"{figure} is drawn: {width} x {height}, {values} values"
    name, octets = saved(page, "eye", "SVG")
    assert octets.startswith(b"<svg ") and octets.count(b"<path") > 40
    table = list(csv.reader(saved(page, "spectrum", "CSV")[1].decode().splitlines()))
    assert table[0] == ["frequency_hz", "level_dbv"] and len(table) == 513
    points = list(csv.DictReader(saved(page, "constellation", "CSV")[1].decode().splitlines()))
    assert len(points) == 35 + 11 * len(truth[4]["lpdu"]) // 2 and all(0.5 < abs(float(p["in_phase"])) < 1.5 for p in points)
    assert complaints == []
    context.close()


def test_it_draws_ten_pictures_a_second_and_costs_little(browser, address):
    context, page, complaints = visit(browser, address, "desktop")
    until(page, "window.stats.packets === 8")
    page.locator("#speed").select_option("0.1")  # the recording lasts ten seconds so
    for _ in range(6):  # other tests take the processors away from the browser at times
        page.locator("#slider").fill("0.1")
        playing(page)
        page.wait_for_timeout(3500)
        stats = page.evaluate("window.stats")
        if stats["fps"] > 3 and stats["latency"] < 0.5:  # 10 on an idle machine
            break
    else:
        pytest.fail(f"few pictures, or late ones, in each of six stretches: {stats}")
    state = json.load(urllib.request.urlopen(address + "api/state"))["state"]
    assert state["cpu"]["view"] < 0.2, state["cpu"]
    assert complaints == []
    context.close()


def test_the_keyboard_is_enough(browser, address):
    context, page, complaints = visit(browser, address, "desktop")
    until(page, "window.stats.packets === 8")
    page.locator("#filter").fill("secondary")
    until(page, "document.querySelectorAll('#rows tr').length === 3")
    page.locator("#filter").fill("")
    until(page, "document.querySelectorAll('#rows tr').length === 8")
    page.locator("#rows tr").first.focus()
    page.keyboard.press("ArrowDown")
    until(page, "document.querySelector('#detail-title').textContent === 'Packet 1'")
    page.keyboard.press("Escape")
    assert page.locator("#follow").is_hidden()
    page.keyboard.press("n")
    until(page, "document.querySelector('#play').textContent === 'Play'")
    page.keyboard.press("Tab")
    ask = page.get_by_role("button", name="Eye diagram: what am I looking at?")
    ask.focus()
    page.keyboard.press("Enter")
    assert page.locator("#eye-reading").is_visible() and ask.get_attribute("aria-expanded") == "true"
    page.locator("#help").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog").is_visible()
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, select, a[href]')].filter(e => !(e.ariaLabel || e.textContent.trim() ||"
        " e.labels?.length || e.title)).length"
    )
    assert unnamed == 0, "every control has a name"
    assert complaints == []
    context.close()


def test_it_freezes_at_the_packets_that_fail_their_crc(browser):
    all_bad = [packet for packet in decoded(FAULTY) if not packet["crc_ok"]]
    assert len(all_bad) >= 3, "the recording holds failed packets"
    with served(FAULTY) as address:
        context, page, complaints = visit(browser, address, "desktop")
        until(page, "window.stats.packets === 10")
        paused(page)
        page.locator("#freeze").check()
        page.locator("#slider").fill("0")
        for bad in all_bad:
            page.locator("#play").click()
            until(page, f"document.querySelector('#banner').textContent.includes('{bad['start_s']:.4f} s failed its CRC')")
            until(page, "document.querySelector('#play').textContent === 'Play'")
            until(page, f"document.querySelector('#packet .octets')?.getAttribute('aria-label') === 'octets {bad['lpdu']}'")
            assert page.locator("#packet .facts .bad").count() == 1
        page.locator("#play").click()
        until(page, "!document.querySelector('#banner').textContent.includes('Frozen')")
        assert page.locator("#follow").is_hidden(), "the newest packet is shown again"
        assert complaints == []
        context.close()
