"""Processes on a loopback of their own: a node on LON/IP, and plain sockets as its tester."""

import contextlib
import ctypes
import fcntl
import json
import select
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mac.lonip import group_multicast, subnet_multicast

PORT = 2541
TESTER, PEER, OTHER = "10.81.35.15", "10.81.35.12", "10.81.35.13"
SILENCE_S = 0.15  # how long to wait to be sure that nothing comes
CLONE_NEWNET, SIOCSIFADDR, SIOCSIFNETMASK, SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x40000000, 0x8916, 0x891C, 0x8913, 0x8914, 1


def _interface(name, request, payload):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return fcntl.ioctl(any_socket, request, struct.pack("16s16s", name.encode(), payload))


def _fill_namespace(addresses):
    """Bring `lo` up and give it the addresses."""
    flags = struct.unpack_from("H", _interface("lo", SIOCGIFFLAGS, b""), 16)[0]
    _interface("lo", SIOCSIFFLAGS, struct.pack("H", flags | IFF_UP))
    for index, address in enumerate(addresses):
        _interface(f"lo:{index}", SIOCSIFADDR, struct.pack("HH4s", socket.AF_INET, 0, socket.inet_aton(address)))
        _interface(f"lo:{index}", SIOCSIFNETMASK, struct.pack("HH4s", socket.AF_INET, 0, b"\xff" * 4))


def _change_addresses(verb, addresses):
    """Add addresses to the machine's own `lo`, or take them away; whether that was allowed."""
    ip = shutil.which("ip") or "/usr/sbin/ip"
    with contextlib.suppress(OSError):
        commands = [[ip, "addr", verb, f"{address}/32", "dev", "lo"] for address in addresses]
        return all(subprocess.run(command, capture_output=True, check=False).returncode == 0 for command in commands)
    return False


@pytest.fixture(scope="module")
def loopback():
    """The test's addresses on a loopback; in a namespace of this thread and its children, so that nobody else is heard."""
    libc, addresses = ctypes.CDLL(None, use_errno=True), (TESTER, PEER, OTHER)
    with Path("/proc/thread-self/ns/net").open() as before:
        if libc.unshare(CLONE_NEWNET) == 0:
            try:
                _fill_namespace(addresses)
                yield
            finally:
                libc.setns(before.fileno(), CLONE_NEWNET)
        elif _change_addresses("add", addresses):
            yield
            _change_addresses("del", addresses)
        else:
            pytest.skip(f"neither a network namespace nor adding {TESTER} to lo is allowed here")


class Station:
    """Sockets of the tester: one to send from, one for each multicast address it hears."""

    def __init__(self, groups=()):
        self.own = self._bind(TESTER)
        self.own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(TESTER))
        self.listeners = [self.own]
        for group in [subnet_multicast(0), subnet_multicast(35), *groups]:
            listener = self._bind(socket.inet_ntoa(group))
            listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + socket.inet_aton(TESTER))
            self.listeners.append(listener)

    def _bind(self, address):
        new = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        new.bind((address, PORT))
        return new

    def send(self, payload, to=PEER):
        self.own.sendto(payload, (to, PORT))

    def receive(self, timeout=5.0):
        """(payload, sender) of the next datagram of somebody else, None when none comes."""
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0:
            for ready in select.select(self.listeners, [], [], left)[0]:
                payload, (sender, _) = ready.recvfrom(2048)
                if sender != TESTER:
                    return payload, sender
        return None

    def silence(self):
        assert self.receive(SILENCE_S) is None

    def ask(self, payload, to=PEER):
        self.send(payload, to)
        answer = self.receive()
        assert answer is not None, payload.hex()
        return answer[0]

    def close(self):
        for listener in self.listeners:
            listener.close()


class NodeProcess:
    """`osgp-sdr node` with a pipe for commands and one for events."""

    def __init__(self, *options, address=PEER):
        command = [sys.executable, "-m", "flowgraphs", "node", "--lonip", address, "--json", "--commands", *map(str, options)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = self.process.stdout.readline()
        assert first, self.process.stderr.read()
        assert json.loads(first)["event"] == "listening"

    def do(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def event(self, name):
        """The next event of that name."""
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == name:
                return event
        raise AssertionError(f"the node ended before it told of {name}: {self.process.stderr.read()}")

    def events_so_far(self, *names):
        """Events of these names up to now."""
        self.do(do="status")
        found = []
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "status":
                return found
            if event["event"] in names:
                found.append(event)
        raise AssertionError(self.process.stderr.read())

    def end(self):
        self.do(do="quit")
        rest = self.process.communicate(timeout=10)
        assert self.process.returncode == 0, rest[1]
        return [json.loads(line) for line in rest[0].splitlines()]


@pytest.fixture
def tester(loopback):
    new = Station([group_multicast(7)])
    yield new
    new.close()


@pytest.fixture
def start():
    """Starts node processes and ends those that still run."""
    running = []

    def build(*options, **more):
        running.append(NodeProcess(*options, **more))
        return running[-1]

    yield build
    for node in running:
        with contextlib.suppress(Exception):
            node.process.kill()
            node.process.communicate()
