"""CURVE keys of ZeroMQ: who may reach an endpoint that other machines can reach.

Files are those of zmq.auth and CZMQ (`NAME.key` public, `NAME.key_secret` both halves); `osgp-sdr keys NAME` writes them.
The end that binds is the server: it needs its secret file and a file or directory with the public keys of those it lets in.
The end that connects needs its own secret file and the server's public file.
"""

import ipaddress
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import zmq
from zmq.auth.thread import ThreadAuthenticator

from ..errors import FrontEndError

KEY_LINE: Final = re.compile(r"""^\s*(public|secret)-key\s*=\s*["'](.{40})["']\s*$""", re.MULTILINE)
PUBLIC_SUFFIX: Final = ".key"
SECRET_SUFFIX: Final = ".key_secret"
ZAP_DOMAIN: Final = "osgp-sdr"


@dataclass(frozen=True, slots=True)
class CurveKeys:
    """Our own pair, and whom we talk to.

    Attributes:
        public, secret: ours, Z85.    server: public key of the end that binds, when we connect.
        allowed: public keys that may connect, when we bind; empty = everybody who knows our public key.
    """

    public: bytes
    secret: bytes = field(repr=False)
    server: bytes = b""
    allowed: frozenset[bytes] = frozenset()


def is_local(endpoint: str) -> bool:
    """Can only this machine reach it?"""
    transport, _, place = endpoint.partition("://")
    if transport in ("ipc", "inproc"):
        return True
    host = place.rpartition(":")[0].strip("[]").rpartition(";")[2].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def write_keys(name: str) -> tuple[Path, Path]:
    """Make a key pair and write NAME.key and NAME.key_secret, the latter for its owner only.

    Raises:
        FrontEndError: a file exists already, or cannot be written.
    """
    public, secret = zmq.curve_keypair()
    paths = Path(name + PUBLIC_SUFFIX), Path(name + SECRET_SUFFIX)
    for path in paths:
        if path.exists():
            raise FrontEndError(f"{path}: exists already; a key is never overwritten")
    lines = ["#   CURVE certificate for ZeroMQ: {}", "curve", f'    public-key = "{public.decode()}"']
    try:
        paths[0].write_text("\n".join([lines[0].format("public, give it to the other end"), *lines[1:], ""]))
        with os.fdopen(os.open(paths[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            secret_line = f'    secret-key = "{secret.decode()}"'
            file.write("\n".join([lines[0].format("SECRET, keep it here"), *lines[1:], secret_line, ""]))
    except OSError as error:
        raise FrontEndError(f"{error.filename}: {error.strerror}") from None
    return paths


def read_key(path: str, kind: str) -> bytes:
    """The `public` or `secret` key of a file.

    Raises:
        FrontEndError: it cannot be read or holds none; the text quotes no key.
    """
    found = _keys_of(Path(path))
    if kind not in found:
        more = f"; give the file {Path(path).name}_secret" if kind == "secret" and "public" in found else ""
        raise FrontEndError(f"{path}: holds no {kind} CURVE key{more} (osgp-sdr keys NAME writes one)")
    return found[kind]


def read_allowed(path: str) -> frozenset[bytes]:
    """Public keys of a file, or of all `*.key` files of a directory."""
    place = Path(path)
    files = sorted(place.glob("*" + PUBLIC_SUFFIX)) if place.is_dir() else [place]
    if not files:
        raise FrontEndError(f"{path}: holds no {PUBLIC_SUFFIX} file")
    return frozenset(read_key(str(file), "public") for file in files)


def _keys_of(path: Path) -> dict[str, bytes]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FrontEndError(f"{path}: {getattr(error, 'strerror', None) or 'no text file'}") from None
    return {kind: key.encode() for kind, key in KEY_LINE.findall(text)}


class _Allowed:
    """Tells the authenticator which public keys are let in."""

    def __init__(self, keys: frozenset[bytes]) -> None:
        self._keys = keys

    def callback(self, domain: str, key: bytes) -> bool:
        return key in self._keys


def secure(
    socket: zmq.Socket[bytes], context: zmq.Context[zmq.Socket[bytes]], keys: CurveKeys, bind: bool
) -> ThreadAuthenticator | None:
    """Give a socket its keys before it binds or connects. The result, if any, has to be stopped when the socket is closed."""
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    if not bind:
        socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server)
        return None
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    if not keys.allowed:
        return None
    socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN.encode())
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    authenticator.configure_curve_callback(ZAP_DOMAIN, _Allowed(keys.allowed))
    return authenticator
