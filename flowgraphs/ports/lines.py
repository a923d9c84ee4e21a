"""Lines that carry the octets of a port: pseudo terminal, TCP, serial port. Opened by text, read and written without waiting.

    pty           a new pseudo terminal; its name is in `place`         pty:PATH     the same, with a link to it
    tcp:HOST:PORT a server waits there, a client connects there         PORT 0: any free one
    /dev/ttyUSB0  a serial port                                         NAME://...   whatever pyserial opens
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import termios
import tty
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from ..errors import FlowgraphError

CHUNK: Final = 4096  # octets of one read
LOOK_AGAIN: Final = 0.02  # s between two looks at a line that cannot be waited for
DEFAULT_RATE: Final = 9600


class LineError(FlowgraphError):
    """A line cannot be opened, or is lost for good."""


class Line(Protocol):
    """One end of a line.

    Attributes:
        place: where it is, for people and for the other end.
    """

    place: str

    def fileno(self) -> int | None:
        """What to wait for; None: nothing just now, look again after LOOK_AGAIN."""
        ...

    def read(self) -> bytes | None:
        """What has arrived, b"" when nothing has, None when the other end has just gone."""
        ...

    def write(self, octets: bytes) -> None:
        """Send; what the other end does not take is lost, as on a real line."""
        ...

    def set_rate(self, rate: int) -> None:
        """Go on with another rate, Bd."""
        ...

    def close(self) -> None:
        """Give it up."""
        ...


class PtyLine:
    """A pseudo terminal of our own. Nothing is kept for an end that nobody has opened."""

    def __init__(self, link: Path | None = None) -> None:
        master, slave = os.openpty()
        try:
            tty.setraw(slave, termios.TCSANOW)
            self.place = os.ttyname(slave)
        finally:
            os.close(slave)
        os.set_blocking(master, False)
        self._master = master
        self._open = False
        self._hangup = select.poll()
        self._hangup.register(master, 0)
        self._link = link
        if link is not None:
            try:
                if link.is_symlink():
                    link.unlink()
                link.symlink_to(self.place)
            except OSError as error:
                os.close(master)
                raise LineError(f"pty:{link}: {_reason(error)}") from None

    def fileno(self) -> int | None:
        """See `Line`: an end that nobody has opened would report itself all the time."""
        return self._master if self._open else None

    def read(self) -> bytes | None:
        """See `Line`."""
        try:
            octets = os.read(self._master, CHUNK)
        except BlockingIOError:
            self._open = True
            return b""
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            was, self._open = self._open, False
            return None if was else b""
        self._open = True
        return octets

    def write(self, octets: bytes) -> None:
        """See `Line`."""
        # An end that has just been closed keeps what is written, for whoever opens it next.
        if self._open and not any(event & select.POLLHUP for _, event in self._hangup.poll(0)):
            with contextlib.suppress(OSError):
                os.write(self._master, octets)

    def set_rate(self, rate: int) -> None:
        """A pseudo terminal has none."""

    def close(self) -> None:
        """See `Line`."""
        os.close(self._master)
        if self._link is not None:
            with contextlib.suppress(OSError):
                self._link.unlink()


class TcpLine:
    """A TCP server with one client; a new client takes the place of the old one."""

    def __init__(self, host: str, port: int) -> None:
        try:
            self._server = socket.create_server((host, port))
        except (OSError, OverflowError) as error:
            raise LineError(f"tcp:{host}:{port}: {_reason(error)}") from None
        self._server.setblocking(False)
        self.place = f"tcp:{host}:{self._server.getsockname()[1]}"
        self._client: socket.socket | None = None
        self._turn = False

    def fileno(self) -> int | None:
        """See `Line`. Waiting for two at once is not possible: with a client, newcomers are looked for now and then."""
        return self._server.fileno() if self._client is None else self._client.fileno()

    def read(self) -> bytes | None:
        """See `Line`."""
        gone = self._accept()
        if self._client is None:
            return b""
        try:
            octets = self._client.recv(CHUNK)
        except BlockingIOError:
            return None if gone else b""
        except OSError:
            octets = b""
        if not octets:
            self._client.close()
            self._client = None
            return None
        return octets

    def _accept(self) -> bool:
        """Take a newcomer; whether somebody had to go for it."""
        try:
            client, _ = self._server.accept()
        except OSError:
            return False
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        old, self._client = self._client, client
        if old is not None:
            old.close()
        return old is not None

    def write(self, octets: bytes) -> None:
        """See `Line`."""
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.send(octets)

    def set_rate(self, rate: int) -> None:
        """TCP has none."""

    def close(self) -> None:
        """See `Line`."""
        if self._client is not None:
            self._client.close()
        self._server.close()


class SerialLine:
    """A serial port, or whatever pyserial opens by an address."""

    def __init__(self, place: str, rate: int = DEFAULT_RATE) -> None:
        import serial

        self.place = place
        try:
            self._port: Any = serial.serial_for_url(place, baudrate=rate, timeout=0, write_timeout=1.0)
        except (serial.SerialException, OSError, ValueError) as error:
            raise LineError(f"{place}: {_reason(error)}") from None
        self._errors: tuple[type[Exception], ...] = (serial.SerialException, OSError)

    def fileno(self) -> int | None:
        """See `Line`."""
        try:
            return int(self._port.fileno())
        except (AttributeError, OSError, ValueError):
            return None

    def read(self) -> bytes | None:
        """See `Line`."""
        try:
            return bytes(self._port.read(CHUNK))
        except self._errors as error:
            raise LineError(f"{self.place}: {_reason(error)}") from None

    def write(self, octets: bytes) -> None:
        """See `Line`."""
        try:
            self._port.write(octets)
        except self._errors as error:
            raise LineError(f"{self.place}: {_reason(error)}") from None

    def set_rate(self, rate: int) -> None:
        """See `Line`."""
        with contextlib.suppress(*self._errors):
            self._port.baudrate = rate

    def close(self) -> None:
        """See `Line`."""
        self._port.close()


class ClientTcpLine:
    """The client's end of a TCP line."""

    def __init__(self, host: str, port: int, wait_s: float) -> None:
        self.place = f"tcp:{host}:{port}"
        try:
            self._socket = socket.create_connection((host, port), timeout=wait_s)
        except (OSError, OverflowError) as error:
            raise LineError(f"{self.place}: {_reason(error)}") from None
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int | None:
        """See `Line`."""
        return self._socket.fileno()

    def read(self) -> bytes | None:
        """See `Line`."""
        try:
            octets = self._socket.recv(CHUNK)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise LineError(f"{self.place}: {_reason(error)}") from None
        if not octets:
            raise LineError(f"{self.place}: the other end closed the connection")
        return octets

    def write(self, octets: bytes) -> None:
        """See `Line`."""
        try:
            self._socket.sendall(octets)
        except OSError as error:
            raise LineError(f"{self.place}: {_reason(error)}") from None

    def set_rate(self, rate: int) -> None:
        """TCP has none."""

    def close(self) -> None:
        """See `Line`."""
        self._socket.close()


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return (os.strerror(number) if isinstance(number, int) and number > 0 else str(error)).lower().rstrip(".")


def _host_port(place: str) -> tuple[str, int]:
    host, _, port = place.removeprefix("tcp:").removeprefix("//").rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise LineError(f"{place}: expected tcp:HOST:PORT")
    return host.strip("[]"), int(port)


def open_server_line(place: str) -> Line:
    """A line for the meter's end; see the text of this module. LineError when it cannot be had."""
    if place == "pty":
        return PtyLine()
    if place.startswith("pty:"):
        return PtyLine(Path(place.removeprefix("pty:")))
    if place.startswith("tcp:"):
        return TcpLine(*_host_port(place))
    return SerialLine(place)


def open_client_line(place: str, wait_s: float) -> Line:
    """A line for the reader's end. LineError when it cannot be had within `wait_s` seconds."""
    if place.startswith("tcp:"):
        return ClientTcpLine(*_host_port(place), wait_s)
    if place == "pty" or place.startswith("pty:"):
        raise LineError(f"{place}: name the pseudo terminal that the meter printed, such as /dev/pts/3")
    return SerialLine(place)


class Closable(Protocol):
    """What can be given up."""

    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class Lines:
    """Closes lines, and what else is closed, at the end of a block."""

    def __init__(self) -> None:
        self._lines: list[Closable] = []

    def add(self, line: C) -> C:
        """Close it later."""
        self._lines.append(line)
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for line in self._lines:
            with contextlib.suppress(OSError):
                line.close()
