"""Who may see the page: the Host and Origin that a request names, and the token when the page is served beyond this machine."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Collection
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

COOKIE: Final = "osgp_sdr_view"
TOKEN_OCTETS: Final = 24
LOCAL_NAMES: Final = frozenset(("localhost", "localhost.localdomain", "ip6-localhost"))


def is_loopback(host: str) -> bool:
    """Whether an address or name stays on this machine."""
    if host.lower() in LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_of(authority: str) -> str:
    """The host of `host`, `host:port` or `[v6]:port`, "" when it is none of these."""
    try:
        parts = urlsplit(f"//{authority}")
        if parts.username is not None or parts.path or parts.query or parts.fragment or parts.port == 0:
            return ""
        return (parts.hostname or "").lower()
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class Access:
    """The rules.

    Args:
        host: where the page is bound.    token: what a visitor must know, None: nothing.    names: further host names.

    A name that somebody else's DNS points to this machine is refused; an address in figures cannot be pointed anywhere, so it
    is accepted when the page is bound beyond this machine.
    """

    host: str
    token: str | None = field(default=None, repr=False)
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, host: str, names: Collection[str] = ()) -> Access:
        """Rules for a page bound to `host`: a new token unless it is loopback and goes by no further name."""
        local = is_loopback(host) and not names
        own = set() if local else {socket.gethostname().lower(), host.lower()}
        token = None if local else secrets.token_urlsafe(TOKEN_OCTETS)
        return cls(host, token, frozenset(own | {name.lower() for name in names}))

    def allows_host(self, authority: str | None) -> bool:
        """Whether the Host header names this page."""
        host = _host_of(authority or "")
        if is_loopback(host) or host in self.names:
            return True
        if self.token is None or not host:
            return False
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True

    def allows_origin(self, origin: str | None, authority: str | None) -> bool:
        """Whether a WebSocket comes from this page itself. Programs that are no browsers send no Origin."""
        if origin is None:
            return True
        scheme, _, place = origin.partition("://")
        return scheme in ("http", "https") and bool(place) and place.lower() == (authority or "").lower()

    def knows(self, given: str | None) -> bool:
        """Whether this is the token; every comparison takes as long."""
        if self.token is None:
            return True
        return hmac.compare_digest(self.token.encode(), (given or "").encode("utf-8", "replace"))

    def cookie_of(self, header: str | None) -> str | None:
        """The token in a Cookie header."""
        try:
            morsel = SimpleCookie(header or "").get(COOKIE)
        except CookieError:
            return None
        return None if morsel is None else morsel.value
