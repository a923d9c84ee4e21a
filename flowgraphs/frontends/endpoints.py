"""A ZeroMQ socket for samples: where, at which end, with which keys and limits, and who is at the other end.

Options of every `zmq+...` URL: bind (yes at sinks, no at sources, as in GNU Radio's blocks), hwm (1000 messages), curve_secret,
curve_server, curve_clients (files, see curve.py), insecure (no). The place is HOST:PORT, a path (Unix domain socket) or a ZeroMQ
endpoint. An endpoint that other machines can reach needs keys, or insecure=yes.
"""

from collections.abc import Callable
from typing import Final

import zmq
from zmq.utils.monitor import recv_monitor_message

from ..errors import FrontEndError
from ..sockets import HIGH_WATER_MARK, configure
from .contract import Address
from .curve import CurveKeys, is_local, read_allowed, read_key, secure

SOCKET_OPTIONS: Final = ("bind", "hwm", "curve_secret", "curve_server", "curve_clients", "insecure")
REFUSED: Final = "the other end refuses the connection: its keys and ours do not fit, or only one end has some"
LARGEST_MESSAGE: Final = 1 << 20  # octets of a message that is taken: with the high-water mark it bounds memory
KINDS: Final = {
    "zmq+sub": (zmq.SUB, "SUB"),
    "zmq+pull": (zmq.PULL, "PULL"),
    "zmq+pub": (zmq.XPUB, "PUB"),
    "zmq+push": (zmq.PUSH, "PUSH"),
}
PARTNER: Final = {"SUB": "PUB", "PULL": "PUSH", "PUB": "SUB", "PUSH": "PULL"}
EVENTS: Final = (
    zmq.EVENT_CONNECTED | zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)  # fmt: skip


class Link:
    """An open socket and what is known of its peers.

    Args:
        address: a `zmq+...` URL taken apart.    bind: what the option says when it is not given.
        prepare: called with the socket before it binds or connects.
    Raises:
        FrontEndError: one line.

    Attributes:
        peers: connections that stand.    lost: connections that were lost.    problem: why a connection failed, for people.
    """

    def __init__(
        self, address: Address, bind: bool, prepare: Callable[[zmq.Socket[bytes]], object] = lambda socket: None
    ) -> None:
        kind, self.kind_name = KINDS[address.scheme]
        self.address, self.endpoint = address, _endpoint(address)
        self.bind = address.flag("bind", bind)
        self.peers = self.lost = 0
        self.problem, self._greeting = "", False
        keys = _keys(address, self.endpoint, self.bind)
        self.secure = keys is not None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket: zmq.Socket[bytes] = self._context.socket(kind)
        configure(self.socket)
        self.high_water_mark = hwm = address.integer("hwm", HIGH_WATER_MARK, 1, 100_000)
        for option, value in (
            (zmq.SNDHWM, hwm), (zmq.RCVHWM, hwm), (zmq.MAXMSGSIZE, LARGEST_MESSAGE),
            (zmq.IPV6, "[" in self.endpoint),
        ):  # fmt: skip
            self.socket.setsockopt(option, int(value))
        self._authenticator = None if keys is None else secure(self.socket, self._context, keys, self.bind)
        prepare(self.socket)
        self._monitor = self.socket.get_monitor_socket(EVENTS)
        try:
            (self.socket.bind if self.bind else self.socket.connect)(self.endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise address.error(f"cannot {'bind' if self.bind else 'connect to'} {self.endpoint}: {error}") from None
        if self.bind:
            self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def look(self) -> None:
        """Take note of connections that came and went."""
        while not self._monitor.closed and self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            if event in (zmq.EVENT_CONNECTED, zmq.EVENT_ACCEPTED):
                self._greeting = True
            elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.peers += 1
                self.problem, self._greeting = "", False
            elif event == zmq.EVENT_DISCONNECTED and self._greeting:
                self._greeting = False  # libzmq drops a socket of the wrong kind without another word
                self.problem = self.problem or self._stranger()
            elif event == zmq.EVENT_DISCONNECTED:
                self.lost += self.peers > 0
                self.peers = max(0, self.peers - 1)
            elif event in (zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_HANDSHAKE_FAILED_AUTH):
                # Also a socket of the wrong kind may be reported so, when it hangs up early.
                self.problem = REFUSED if self.secure else self._stranger()
            elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                self.problem = self._stranger()

    def _stranger(self) -> str:
        return f"the other end is no ZeroMQ {PARTNER[self.kind_name]} socket, or only one end has CURVE keys"

    def close(self) -> None:
        """Close the socket; what is on its way gets the linger time."""
        if self.socket.closed:
            return
        self.socket.disable_monitor()
        self._monitor.close(0)
        self.socket.close()
        if self._authenticator is not None:
            self._authenticator.stop()
        self._context.term()


def _endpoint(address: Address) -> str:
    place = address.place
    if not place:
        raise address.error(f"needs a place: {address.scheme}://HOST:PORT or {address.scheme}:/PATH")
    if "://" in place:
        transport = place.partition("://")[0]
        if transport not in ("tcp", "ipc"):
            raise address.error(f"transport {transport!r} is not known; there are tcp and ipc")
        return place
    if place.startswith("/"):
        return f"ipc://{place}"
    host, _, port = place.rpartition(":")
    if not host or not (port == "*" or (port.isascii() and port.isdecimal() and int(port) < 65536)):
        raise address.error(f"expected HOST:PORT, got {place!r}")
    return f"tcp://{place}"


def _keys(address: Address, endpoint: str, bind: bool) -> CurveKeys | None:
    options = address.options
    try:
        if "curve_secret" in options:
            secret_file = options["curve_secret"]
            public, secret = read_key(secret_file, "public"), read_key(secret_file, "secret")
            if not bind:
                if "curve_server" not in options:
                    raise FrontEndError("curve_server is missing: the file with the public key of the end that binds")
                return CurveKeys(public, secret, server=read_key(options["curve_server"], "public"))
            allowed = read_allowed(options["curve_clients"]) if "curve_clients" in options else frozenset()
            return CurveKeys(public, secret, allowed=allowed)
    except FrontEndError as error:
        raise address.error(str(error)) from None
    if "curve_server" in options or "curve_clients" in options:
        raise address.error("curve_secret is missing: the file with our own key pair (osgp-sdr keys NAME writes one)")
    if not is_local(endpoint) and not address.flag("insecure"):
        more = "curve_clients" if bind else "curve_server"
        raise address.error(
            f"{endpoint} is not on this machine only: give keys (curve_secret, {more}; osgp-sdr keys NAME) or insecure=yes"
        )
    return None
