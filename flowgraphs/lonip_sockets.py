"""The sockets of a LON/IP node: one of its own, one for each multicast address it listens to."""

import contextlib
import selectors
import socket
from collections.abc import Iterable, Iterator
from typing import Final

from mac import lonip

from .datagram_sockets import MAX_BURST, DatagramSockets
from .errors import SocketError

_MAX_DATAGRAM: Final = 2048


class LonIpSockets(DatagramSockets):
    """Sends from its own address and hears what is for that address or for one of the multicast addresses joined.

    Peers take the sender's domain, subnet and node from its IP address, so everything leaves from the one socket that is
    bound to it. What we sent ourselves and hear again is dropped.

    Args:
        address: 4 octets of the IPv4 address, which must be one of this machine's.
        port: UDP port of both ends.
    """

    def __init__(self, address: bytes, port: int = lonip.UDP_PORT) -> None:
        self._address = address
        self._groups: dict[bytes, socket.socket] = {}
        super().__init__(self._bind(socket.inet_ntoa(address), port, shared=False), port, address)
        self._selector.register(self._own, selectors.EVENT_READ, self._own)

    @property
    def joined(self) -> frozenset[bytes]:
        """Multicast addresses listened to."""
        return frozenset(self._groups)

    def listen(self, groups: Iterable[bytes]) -> list[str]:
        """Listen to exactly these multicast addresses; returns what the system refused, which a later call tries again."""
        wanted = frozenset(groups)
        problems = []
        for group in self.joined - wanted:
            self._drop(self._groups.pop(group))
        for group in wanted - self.joined:
            try:
                self._groups[group] = self._join(group)
            except SocketError as error:
                problems.append(str(error))
        return problems

    def receive(self) -> Iterator[tuple[bytes, bytes]]:
        """Datagrams waiting, each with the 4 octets of its sender's address, our own left out."""
        for key, _ in self._selector.select(0):
            if key.data is None:
                continue
            listener: socket.socket = key.data
            for _ in range(MAX_BURST):
                try:
                    octets, sender = listener.recvfrom(_MAX_DATAGRAM)
                except (BlockingIOError, InterruptedError):
                    break
                except OSError:
                    continue  # such as the report that an earlier datagram found nobody
                address = socket.inet_aton(sender[0])
                if address != self._address:
                    yield octets, address

    def close(self) -> None:
        """Close all sockets."""
        for listener in [*self._groups.values(), self._own]:
            self._drop(listener)
        self._groups.clear()
        self._selector.close()

    def _bind(self, name: str, port: int, shared: bool = True) -> socket.socket:
        try:
            listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        except OSError as error:
            raise SocketError(f"no socket for {name}: {error.strerror}") from None
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, shared)
        try:
            listener.bind((name, port))
        except OSError as error:
            listener.close()
            hint = "; is it an address of this machine?" if name == socket.inet_ntoa(self._address) else ""
            raise SocketError(f"{name}:{port} cannot be bound: {error.strerror}{hint}") from None
        return listener

    def _join(self, group: bytes) -> socket.socket:
        name = socket.inet_ntoa(group)
        listener = self._bind(name, self._port)
        try:
            listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + self._address)
        except OSError as error:
            listener.close()
            raise SocketError(f"multicast {name} cannot be joined: {error.strerror}") from None
        self._selector.register(listener, selectors.EVENT_READ, listener)
        return listener

    def _drop(self, listener: socket.socket) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(listener)
        listener.close()
