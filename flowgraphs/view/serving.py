"""The web server of a view: binds, says where, runs until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn

from ..errors import SocketError
from .access import Access
from .server import Pages, make_app
from .watch import Watch

LOOK_S: Final = 0.1  # how often it looks whether it shall stop
CLOSE_S: Final = 0.5
SEND_BUFFER: Final = 1 << 17  # octets of the system's: more would hold seconds of old pictures for a slow page


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        SocketError: in one line, when the port is taken or the address belongs to another machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            listening.bind(address)
            listening.listen(64)
        except OSError:
            listening.close()
            raise
        return listening
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        advice = "; --port 0 takes a free one" if port else ""
        raise SocketError(f"cannot serve at {host}:{port}: {reason}{advice}") from None


def address_of(access: Access, listening: socket.socket) -> str:
    """What to open, with the token."""
    port = listening.getsockname()[1]
    shown = access.host if access.host not in ("0.0.0.0", "::", "") else socket.gethostname()
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{port}/" + (f"?token={access.token}" if access.token else "")


class _Server(uvicorn.Server):
    """Signals are the caller's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield


def serve(watch: Watch, access: Access, listening: socket.socket, stopped: Callable[[], bool]) -> None:
    """Serve the pages of a watch that has been started until `stopped()`; ends within a second."""
    asyncio.run(_serve(watch, access, listening, stopped))


async def _serve(watch: Watch, access: Access, listening: socket.socket, stopped: Callable[[], bool]) -> None:
    pages = Pages(watch)
    config = uvicorn.Config(
        make_app(pages, access), log_level="critical", access_log=False, lifespan="off", server_header=False, date_header=False,
        ws="websockets-sansio", ws_per_message_deflate=False, ws_max_size=4096, ws_max_queue=4, timeout_keep_alive=10,
        limit_concurrency=128, h11_max_incomplete_event_size=16384, timeout_graceful_shutdown=1, proxy_headers=False,
    )  # fmt: skip
    server = _Server(config)
    running = asyncio.create_task(server.serve([listening]))
    try:
        while not stopped() and not running.done():
            await asyncio.sleep(LOOK_S)
            watch.clocks.mark("view")
    finally:
        pages.stop()
        server.should_exit = True
        done, _ = await asyncio.wait([running], timeout=CLOSE_S)
        if not done:
            server.force_exit = True
            running.cancel()
            await asyncio.wait([running], timeout=0.2)
