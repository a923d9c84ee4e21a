"""A power line of UDP multicast: every station hears every frame, link header, backlog and path included.

    239.1.2.3:1628  <--  CN/IP data packet with the LPDU, or the LPDU and its CRC as they are ("raw")

No medium access is simulated: frames follow each other as they are sent. A convention of independent test stations (grade L).
"""

import secrets
import selectors
import socket
import time
from collections.abc import Iterable, Iterator
from typing import Final, Literal

import mac
from mac import cnip, lonip

from .datagram_sockets import MAX_BURST, DatagramSockets
from .errors import SocketError

GROUP: Final = "239.1.2.3"
Encapsulation = Literal["cnip", "raw"]
_MAX_DATAGRAM: Final = 65535


class VirtualLine(DatagramSockets):
    """One station's end of the line: socket and encapsulation, in the place of those of LON/IP.

    Args:
        group: multicast address, dotted.    port: UDP port of all stations.
        interface: 4 octets of the address of the interface to use.    encapsulation: "cnip" or "raw".

    Attributes:
        receiver: order and drops of CN/IP packets.
    """

    def __init__(
        self, group: str = GROUP, port: int = cnip.PORT, interface: bytes = b"\x7f\0\0\1", encapsulation: Encapsulation = "cnip"
    ) -> None:
        self.own, self.domain = mac.SubnetNode(0, 0), mac.DomainId()  # the frames carry them, nothing is derived from them
        self.mapping = None
        self.receiver = cnip.CnipReceiver()
        self._encapsulation = encapsulation
        self._sender = cnip.CnipSender(secrets.randbits(32))
        self._to = socket.inet_aton(group)
        name = f"{group}:{port}"
        self._listener = self._open(name, (group, port))
        super().__init__(self._open(name, (socket.inet_ntoa(interface), 0)), port, interface)
        try:
            self._listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, self._to + interface)
        except OSError as error:
            self.close()
            raise SocketError(f"{name} cannot be joined on {socket.inet_ntoa(interface)}: {error.strerror}") from None
        self._selector.register(self._listener, selectors.EVENT_READ, self._listener)

    # --- as the link of a node -------------------------------------------------------------------------------------------

    def encode(self, lpdu: bytes) -> lonip.LonIpDatagram:
        """The datagram of a frame without CRC."""
        if self._encapsulation == "raw":
            return lonip.LonIpDatagram(lpdu + cnip.crc16(lpdu), self._to)
        return lonip.LonIpDatagram(self._sender.packet(lpdu, 0.0).encode(), self._to)

    def decode(self, payload: bytes, source: bytes, now: float) -> bytes:
        """The frame in what `receive` gave; raises `TruncatedPdu` where it has no right CRC."""
        if self._encapsulation == "raw":
            lpdu, crc = payload[: -cnip.CRC_LENGTH], payload[-cnip.CRC_LENGTH :]
            if cnip.crc16(lpdu) != crc:
                raise mac.TruncatedPdu("the frame has no right CRC")
            return lpdu
        return payload

    def next_timer(self) -> float | None:
        """Nothing is announced here."""
        return None

    def on_timer(self, now: float) -> list[lonip.LonIpDatagram]:
        """Nothing is announced here."""
        return []

    # --- as its sockets ---------------------------------------------------------------------------------------------------

    @property
    def joined(self) -> frozenset[bytes]:
        """The line."""
        return frozenset((self._to,))

    def listen(self, groups: Iterable[bytes]) -> list[str]:
        """Everybody hears everything."""
        return []

    def wait(self, timeout_s: float | None) -> list[int]:
        """See `DatagramSockets`; no longer than until a packet that is waited for counts as lost."""
        held = self.receiver.next_timer()
        if held is not None:
            left = max(0.0, held - time.monotonic())
            timeout_s = left if timeout_s is None else min(timeout_s, left)
        return super().wait(timeout_s)

    def receive(self) -> Iterator[tuple[bytes, bytes]]:
        """What other stations sent, each with the 4 octets of the sender's address: frames in order, or raw datagrams."""
        for _ in range(MAX_BURST):
            try:
                octets, sender = self._listener.recvfrom(_MAX_DATAGRAM)
            except OSError:
                break
            if sender == self._own.getsockname():
                continue
            address = socket.inet_aton(sender[0])
            if self._encapsulation == "raw":
                yield octets, address
                continue
            for lpdu in self.receiver.receive(octets, sender, time.monotonic()):
                yield lpdu, address
        for lpdu in self.receiver.on_timer(time.monotonic()):
            yield lpdu, bytes(4)

    def close(self) -> None:
        """Close the sockets."""
        self._listener.close()
        self._own.close()
        self._selector.close()

    @staticmethod
    def _open(name: str, at: tuple[str, int]) -> socket.socket:
        new = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        new.setblocking(False)
        new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            new.bind(at)
        except OSError as error:
            new.close()
            raise SocketError(f"{name}: {at[0]} cannot be bound: {error.strerror}") from None
        return new
