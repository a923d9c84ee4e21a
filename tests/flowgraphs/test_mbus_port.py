"""The M-Bus of a simulated meter, read over a pseudo terminal by pyMeterBus' own client functions, and through the CLI."""

import json
import signal
import subprocess
import sys
import threading

import meterbus
import pytest
import serial

from flowgraphs.errors import FlowgraphError
from flowgraphs.ports.lines import PtyLine
from flowgraphs.ports.serving import PortServer, ServedPort
from flowgraphs.ports.simulated import check_mbus, make_meter
from osgp.mbus import MbusPort
from osgp.meter import MbusDevices


def test_pymeterbus_reads_the_bus_over_a_pseudo_terminal():
    meter, _ = make_meter({"mbus": "water:12345678,heat:87654321"}, None)
    meter.advance(meter.now + 10.0)  # both have got their addresses
    line, stop = PtyLine(), threading.Event()
    server = PortServer(meter, [ServedPort("mbus", line, MbusPort(meter.find(MbusDevices).bus))])

    def serve():
        while not stop.is_set():
            server.step(0.05)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with serial.Serial(line.place, 2400, 8, "N", 1, timeout=1.0) as port:
            found = []
            for address in (1, 2):
                meterbus.send_ping_frame(port, address)
                assert isinstance(meterbus.load(meterbus.recv_frame(port, 1)), meterbus.TelegramACK)
                meterbus.send_request_frame(port, address)
                found.append(json.loads(meterbus.load(meterbus.recv_frame(port, meterbus.FRAME_DATA_LENGTH)).to_JSON())["body"])
    finally:
        stop.set()
        thread.join()
        line.close()
    serials = [body["header"]["identification"].replace("0x", "").replace(", ", "") for body in found]
    assert serials == ["12345678", "87654321"]
    assert [body["records"][0]["unit"] for body in found] == ["MeasureUnit.M3", "MeasureUnit.WH"]


@pytest.mark.parametrize("text", ["gas:1", "water:", "water:123456789", "heat"])
def test_wrong_sub_meters_are_named(text):
    with pytest.raises(FlowgraphError, match="water:SERIAL or heat:SERIAL"):
        check_mbus([text])
    command = [sys.executable, "-m", "flowgraphs", "meter", "--mbus", "pty", "--mbus-device", text]
    if text == "gas:1":
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert result.returncode == 2 and "gas:1" in result.stderr and "Traceback" not in result.stderr


def test_the_command_serves_the_bus_and_prints_the_display():
    command = [sys.executable, "-m", "flowgraphs", "meter", "--mbus", "pty", "--mbus-device", "water:7", "--display", "--json",
               "--fault", "late-answers"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert lines[0]["port"] == "mbus" and lines[0]["place"].startswith("/dev/") and lines[1]["display"].startswith("8888")
