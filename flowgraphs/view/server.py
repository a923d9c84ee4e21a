"""The pages over HTTP: static files from memory, packets as JSON, pictures through one WebSocket. Everything is read only."""

from __future__ import annotations

import asyncio
import contextlib
import time
from importlib.resources import files
from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..errors import CommandError
from .access import COOKIE, Access
from .frame import encode
from .gallery import Gallery
from .session import RATE_HZ, Session
from .watch import Watch

# path -> file in static/, its type; nothing else of the disk can be asked for
PAGES: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/frames.js": ("frames.js", "text/javascript; charset=utf-8"),
    "/pen.js": ("pen.js", "text/javascript; charset=utf-8"),
    "/panels.js": ("panels.js", "text/javascript; charset=utf-8"),
    "/packet.js": ("packet.js", "text/javascript; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/favicon.ico": ("icon.svg", "image/svg+xml"),
}
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
MAX_VISITORS: Final = 16
SEND_S: Final = 10.0  # a page that takes nothing for so long is gone
FAULTS: Final = 10  # commands that are none, after which a page is sent away
FULL: Final = 1013  # WebSocket close codes
POLICY: Final = 1008
LIST_LIMIT: Final = 1000


class Guard:
    """In front of everything: Host, Origin and token, then the headers that keep a browser careful."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        problem = self._problem(scope)
        if scope["type"] == "websocket":
            if problem is None:
                await self._app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": POLICY, "reason": bytes(problem.body).decode()})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await (problem or self._app)(scope, receive, with_headers)

    def _problem(self, scope: Scope) -> Response | None:
        """The answer to somebody who may not see the page, None for those who may."""
        headers, access = Headers(scope=scope), self._access
        host = headers.get("host")
        if not access.allows_host(host):
            return PlainTextResponse("this page goes by another name: open it with the address that was printed", 421)
        if scope["type"] == "websocket":
            if not access.allows_origin(headers.get("origin"), host):
                return PlainTextResponse("another page's script may not look here", 403)
        elif scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("this page is read only", 405, {"allow": "GET, HEAD"})
        if access.token is None or access.knows(access.cookie_of(headers.get("cookie"))):
            return None
        given = Request({**scope, "type": "http"}).query_params.get("token")
        if given is not None and access.knows(given):
            if scope["type"] == "websocket" or scope["path"] != "/":
                return None
            answer = RedirectResponse("/", 303)  # so that the token does not stay in the address line and the history
            answer.set_cookie(COOKIE, access.token, httponly=True, samesite="strict", path="/")
            return answer
        return PlainTextResponse("a token is needed: open the page with the address that was printed when it started", 401)


class Pages:
    """The routes.    watch: what is looked at.    visitors: how many pages are open."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.gallery = Gallery(watch)
        self.visitors = 0
        self._stopping = asyncio.Event()
        folder = files(__package__) / "static"
        self._files = {path: ((folder / name).read_bytes(), kind) for path, (name, kind) in PAGES.items()}

    def stop(self) -> None:
        """Send everybody away."""
        self._stopping.set()
        self.gallery.close()

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            *(Route(path, self._page) for path in PAGES),
            Route("/api/state", self._state),
            Route("/api/packets", self._packets),
            Route("/api/packets/{number:int}", self._packet),
            Route("/api/packets/{number:int}/picture", self._picture),
            WebSocketRoute("/ws", self._visit),
        ]

    async def _page(self, request: Request) -> Response:
        content, kind = self._files[request.url.path]
        return Response(content, media_type=kind)

    async def _state(self, request: Request) -> Response:
        session = Session(self.watch, self.gallery, _nowhere)
        session.position = self.watch.history.end
        return JSONResponse({"about": session.about(), "state": session.state(), "visitors": self.visitors})

    async def _packets(self, request: Request) -> Response:
        try:
            after = int(request.query_params.get("after", "0"))
            limit = int(request.query_params.get("limit", "200"))
        except ValueError:
            return JSONResponse({"error": "after and limit are whole numbers"}, 400)
        if not 0 <= after < 2**53 or not 1 <= limit <= LIST_LIMIT:
            return JSONResponse({"error": f"after is 0 or more, limit 1..{LIST_LIMIT}"}, 400)
        entries, following = self.watch.log.after(after, limit)
        return JSONResponse({"items": [entry.row() for entry in entries], "next": following})

    async def _packet(self, request: Request) -> Response:
        entry = self.watch.log.get(request.path_params["number"])
        if entry is None:
            return JSONResponse({"error": "no such packet, or it is forgotten"}, 404)
        return JSONResponse(await self.gallery.packet(entry))

    async def _picture(self, request: Request) -> Response:
        entry = self.watch.log.get(request.path_params["number"])
        if entry is None:
            return JSONResponse({"error": "no such packet, or it is forgotten"}, 404)
        octets = encode(await self.gallery.picture(entry), 0, time.time())
        return Response(octets, media_type="application/octet-stream")

    async def _visit(self, socket: WebSocket) -> None:
        await socket.accept()
        if self.visitors >= MAX_VISITORS:
            await socket.close(FULL, f"{MAX_VISITORS} pages are open already")
            return
        self.visitors += 1

        async def send(message: str | bytes) -> None:
            # Returns when the page's connection has room again: until then no new picture is made for it.
            sending = socket.send_bytes(message) if isinstance(message, bytes) else socket.send_text(message)
            await asyncio.wait_for(sending, SEND_S)

        session = Session(self.watch, self.gallery, send)
        woken = asyncio.Event()
        work = [
            asyncio.create_task(self._serve(session, woken)),
            asyncio.create_task(self._listen(socket, session, woken)),
            asyncio.create_task(self._stopping.wait()),
        ]
        try:
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.visitors -= 1
            for task in work:
                task.cancel()
            for result in await asyncio.gather(*work, return_exceptions=True):
                if isinstance(result, Exception) and not isinstance(result, _GONE):
                    raise result
            with contextlib.suppress(*_GONE):
                await asyncio.wait_for(socket.close(1001 if self._stopping.is_set() else 1000), 0.3)

    @staticmethod
    async def _serve(session: Session, woken: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await session.tick()
            due = max(due + 1 / RATE_HZ, loop.time())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), due - loop.time())
            woken.clear()

    @staticmethod
    async def _listen(socket: WebSocket, session: Session, woken: asyncio.Event) -> None:
        faults = 0
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                session.command(message.get("text") or message.get("bytes") or b"")
                woken.set()
            except CommandError as error:
                faults += 1
                if faults >= FAULTS:
                    await socket.close(POLICY, str(error)[:100])
                    return
            # However fast a page commands, it gets no more pictures than that.
            await asyncio.sleep(0.5 / RATE_HZ)


_GONE: Final = (WebSocketDisconnect, RuntimeError, TimeoutError, ConnectionError)


async def _nowhere(message: str | bytes) -> None:
    """For a session that nobody sees."""


def make_app(pages: Pages, access: Access) -> ASGIApp:
    """The application behind its guard."""
    return Guard(Starlette(routes=pages.routes()), access)


