"""What stations on UDP share: one socket of their own to send from, and waiting for whatever can be read."""

import selectors
import socket
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Final, Self

from mac import lonip

MAX_BURST: Final = 64  # datagrams taken at a time, so that a flood does not keep the node from its timers


class DatagramSockets(ABC):
    """Sends from one socket, and waits for those of the selector that carry themselves as data, and for others' files.

    Args:
        own: bound socket to send from; multicast leaves by the interface of this address.    port: of the other ends.
        interface: 4 octets of an address of this machine.
    """

    def __init__(self, own: socket.socket, port: int, interface: bytes) -> None:
        self._own, self._port = own, port
        self._selector = selectors.DefaultSelector()
        own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
        own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, lonip.MULTICAST_TTL)
        own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def send(self, datagram: lonip.LonIpDatagram) -> str | None:
        """Send; returns the reason when the system refuses, which is no more than a lost packet."""
        try:
            self._own.sendto(datagram.payload, (socket.inet_ntoa(datagram.to), self._port))
        except OSError as error:
            return f"{socket.inet_ntoa(datagram.to)}: {error.strerror}"
        return None

    def register(self, file: int) -> None:
        """Wake up for another readable file descriptor too."""
        self._selector.register(file, selectors.EVENT_READ, None)

    def unregister(self, file: int) -> None:
        """Do so no longer."""
        self._selector.unregister(file)

    def wait(self, timeout_s: float | None) -> list[int]:
        """Wait for something to read; returns the registered descriptors that are ready, `receive` reads the sockets."""
        return [key.fd for key, _ in self._selector.select(timeout_s) if key.data is None]

    @abstractmethod
    def close(self) -> None:
        """Close all sockets."""
