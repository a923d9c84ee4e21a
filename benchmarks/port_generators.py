"""Octets for the ports of a meter: noise, grammar and damage, by clients with and without keys; for port_fuzz.py."""

import random
import warnings
from collections import deque

from meter_fuzz import Requests

import osgp
from osgp.errors import DecodeError
from osgp.optical import Packet
from osgp.optical.services import Logon, Negotiate, add_checksum
from osgp.security import Key, KeyRing, Link, MepExchange, MepSuite, WeakSecurityWarning
from osgp.security.aes import AesSuite
from osgp.security.broadcast import BroadcastSuite
from osgp.security.modes import DirectClient, SecurityMode, client_security
from osgp.security.oma import OmaSuite
from osgp.security.rc4 import Rc4Suite
from osgp.security.tls_psk import TlsPskClient, mep_identity
from osgp.security.tls_record import TlsError

warnings.simplefilter("ignore", WeakSecurityWarning)  # the weak suites are attacked here, too
KEYS = KeyRing.from_text(
    {"MK": "MASTERKEY00000000001", "PK": "PROVISION00000000001", "RK": "READONLY000000000001", "MAK": "hex:" + 16 * "01",
     "MBK": "BASICKEY000000000001"}
)  # fmt: skip
OMAK, PSK, BROADCAST_KEY = Key(b"\x5a" * 12, "OMAK"), Key(b"\xa5" * 16, "PSK"), Key(b"\x3c" * 16, "PSK-BROADCAST")
NUMBERS = [entry.number for entry in osgp.tables()] + [4119, 4150, 6191, 2047, 4095, 65535]
KEPT = 50  # sealed requests kept for replays


class Generator:
    """Makes octets for one port."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.said = b""
        self._requests = Requests(self.rng, NUMBERS)

    def pdu(self) -> bytes:
        """A table request, more or less."""
        rng = self.rng
        if rng.random() < 0.5:
            return self._requests.next()
        code = rng.choice((0x30, 0x3F, 0x3F, 0x40, 0x4F, 0x4F, 0x31, 0x3E, 0x49, rng.randrange(256)))
        table = rng.choice(NUMBERS) if rng.random() < 0.9 else rng.randrange(65536)
        pdu = bytes((code,)) + table.to_bytes(2, "big")
        if code in (0x3F, 0x4F):
            pdu += rng.choice((0, 1, rng.randrange(300), rng.randrange(1 << 24))).to_bytes(3, "big")
        if code != 0x30 or rng.random() < 0.1:
            size = rng.choice((0, 1, 4, rng.randrange(64), rng.randrange(65536)))
            pdu += size.to_bytes(2, "big")
            if code in (0x40, 0x4F):
                pdu += rng.randbytes(min(size, 300) if rng.random() < 0.9 else rng.randrange(40))
        return self.damaged(pdu) if rng.random() < 0.2 else pdu

    def keep(self, served: list[bytes]) -> None:
        """PDUs that were served just now."""

    def damaged(self, octets: bytes) -> bytes:
        """The octets with a fault."""
        rng, changed = self.rng, bytearray(octets)
        kind = rng.randrange(5)
        if kind == 0 and changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del changed[rng.randrange(len(changed) + 1) :]
        elif kind == 2:
            place = rng.randrange(len(changed) + 1)
            changed[place:place] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 3:
            changed *= 2
        elif changed:
            start = rng.randrange(len(changed))
            del changed[start : start + rng.randrange(1, 9)]
        return bytes(changed)

    def noise(self) -> bytes:
        """Octets without sense, some with marks that mean something."""
        rng = self.rng
        if rng.random() < 0.3:
            return bytes(rng.choices((0xEE, 0x06, 0x15, 0x00, 0x55, 0x80, 0x58, 0xFF), k=rng.randrange(1, 40)))
        return rng.randbytes(rng.choice((1, 2, 9, 40, 500)))


class OpticalFuzz(Generator):
    """Octets for the optical port."""

    def __init__(self, seed: int, keys: bool) -> None:
        super().__init__(seed)
        self._keys, self._toggle = keys, False
        self._stage = 0  # how far the session is: 3 when it is open
        self._passwords = [b"\x51" + key.reveal() for key in (KEYS.mk, KEYS.pk, KEYS.rk)]

    def heard(self, octets: bytes) -> None:
        """What the meter said."""
        self.said = octets
        if len(octets) > 7 and octets[1] == 0xEE:
            code = octets[7]
            self._stage = min(3, self._stage + 1) if code == 0 else 0 if code == 0x0A else self._stage

    def message(self) -> bytes:
        """A service, more or less."""
        rng = self.rng
        password = rng.choice(self._passwords) if self._keys else b"\x51" + rng.randbytes(20)
        if self._stage < 3 and rng.random() < 0.8:
            return (b"\x20", Logon(rng.randrange(65536), rng.randbytes(10)).encode(), password)[self._stage]
        kind = rng.randrange(100)
        if kind < 3:
            return b"\x20"
        if kind < 6:
            size, packets = rng.choice((64, 512, rng.randrange(65536))), rng.randrange(256)
            return Negotiate(size, packets, tuple(rng.randbytes(rng.randrange(4)))).encode()
        if kind < 8:
            return Logon(rng.randrange(65536), rng.randbytes(10)).encode()
        if kind < 10:
            return password
        if kind < 12:
            return rng.choice((b"\x52", b"\x21", b"\x70\x05", b"", rng.randbytes(rng.randrange(30))))
        pdu = self.pdu()
        return add_checksum(pdu) if pdu and 0x40 <= pdu[0] <= 0x4F and rng.random() < 0.9 else pdu

    def octets(self) -> bytes:
        """What goes over the line next."""
        rng, draw = self.rng, self.rng.random()
        if draw < 0.1:
            return self.noise()
        if draw < 0.15:
            return self.said  # what the meter said, back to it
        message = self.message()
        if rng.random() < 0.95:
            self._toggle = not self._toggle
        several = rng.random() < 0.05
        packet = Packet(
            message, self._toggle, rng.randrange(256) if several else 0, several, several and rng.random() < 0.5,
            rng.randrange(256) if rng.random() < 0.01 else 0,
        ).encode()  # fmt: skip
        return self.damaged(packet) if rng.random() < 0.15 else packet


class MepFuzz(Generator):
    """Octets for the MEP port, in RC4 mode (with `rc4` half of them encrypted) and in TLS mode."""

    def __init__(self, seed: int, keys: bool, *, rc4: bool = False) -> None:
        super().__init__(seed)
        known = [KEYS.mak, KEYS.mbk] if keys else [Key(b"\x07" * 16, "MAK"), Key(b"\x09" * 16, "MBK")]
        ways = (False, True) if rc4 else (False,)
        self._keys, self._suites = known, [MepSuite((key,), encrypts) for key in known for encrypts in ways]
        self.number = 0
        self._tls: TlsPskClient | None = None
        self._kept: deque[bytes] = deque(maxlen=KEPT)  # accepted ones
        self._asked: MepExchange | None = None  # the request on its way
        self.replays = False  # whether the octets were accepted before: they must not be served

    def body(self) -> bytes:
        """A frame's content, more or less."""
        rng, draw = self.rng, self.rng.random()
        if draw < 0.1:
            return self._tls_body()
        if draw < 0.15:
            return rng.randbytes(rng.choice((1, 12, 13, 40, 476)))
        if draw < 0.2 and self._kept:
            self.replays = True
            return rng.choice(self._kept)
        number = (self.number + (1 if rng.random() < 0.9 else rng.choice((0, 2, 8, 9, -1, rng.randrange(1 << 32))))) % (1 << 32)
        self._asked = rng.choice(self._suites).seal_request(self.pdu(), number)
        return self._asked.octets

    def _tls_body(self) -> bytes:
        rng = self.rng
        if self._tls is None or rng.random() < 0.1:
            key = rng.choice(self._keys)
            self._tls = TlsPskClient(mep_identity(rng.randrange(65536), key.kind), key, rng.randbytes)
            return b"\x58" + self._tls.octets_to_send()
        if self._tls.established and rng.random() < 0.9:
            self._tls.send(self.pdu() or b"\0")
            return b"\x80" + self._tls.octets_to_send()
        return rng.choice((b"\x57\0", b"\x57", b"\x59" + self._tls.octets_to_send(), b"\x80" + rng.randbytes(40), b"\x59"))

    def heard(self, octets: bytes) -> None:
        """What the meter said."""
        self.said = octets
        if self._asked is not None and len(octets) > 8:
            pdu = octets[2:]
            if self._asked.encrypted:
                try:
                    pdu = self._asked.open_response(pdu)
                except DecodeError:
                    return
            if pdu[0] == 0x0C:
                self.number = int.from_bytes(pdu[1:5], "big")
            elif pdu[0] not in (0x0A, 0x0B):
                self.number = self._asked.sequence
        if self._tls is not None and len(octets) > 8 and octets[2] == 0 and octets[4:6] == b"\x03\x03":
            try:
                self._tls.receive(octets[3:])
            except (TlsError, osgp.LocalProtocolError):
                self._tls = None

    def keep(self, served: list[bytes]) -> None:
        """These PDUs were served: a request that was must never be again."""
        if self._asked is not None and self._asked.pdu in served:
            self._kept.append(self._asked.octets)

    def octets(self) -> bytes:
        """What goes over the line next."""
        rng, draw = self.rng, self.rng.random()
        self._asked, self.replays = None, False
        if draw < 0.08:
            return self.noise()
        if draw < 0.1:
            return self.said
        body = self.body()[:476] or b"\0"
        framed = len(body).to_bytes(2, "big") + body
        if rng.random() < 0.1:
            self._asked = None
            return self.damaged(framed)
        return framed


class PlcFuzz(Generator):
    """Application PDUs for the power-line port: commissioning, sealed requests, broadcasts.

    Attributes:
        link: where the next octets go.    broadcast: whether they go to everybody.    delta: see `BroadcastWindow`.
    """

    def __init__(self, seed: int, keys: bool, mode: SecurityMode, node: bytes, domain: bytes) -> None:
        super().__init__(seed)
        rng = self.rng
        omak, psk = (OMAK, PSK) if keys else (Key(rng.randbytes(12), "OMAK"), Key(rng.randbytes(16), "PSK"))
        modes = {SecurityMode.RC4: (SecurityMode.OMA, SecurityMode.RC4), SecurityMode.AUTO: (SecurityMode.OMA, SecurityMode.AES)}
        self._clients = [client_security(one, omak, psk, node, rng.randbytes) for one in modes.get(mode, (SecurityMode.AES,))]
        if not keys:  # most strangers do not ask first
            forged = AesSuite(psk, node, Link(1, 2, domain))
            self._clients += [DirectClient(suite) for suite in (*(forged,) * 8, OmaSuite(omak), Rc4Suite(omak))]
        self._broadcasts = BroadcastSuite(BROADCAST_KEY if keys else Key(rng.randbytes(16), "PSK-BROADCAST"), domain)
        self._domain, self._home = domain, Link(1, 2, domain)
        self.link, self.broadcast, self.replays = self._home, False, False
        self.number, self.base = 0, 0
        self._kept: deque[bytes] = deque(maxlen=KEPT)
        self._asked: tuple[object, int, object] | None = None  # client, number, exchange
        self._hello: object = None

    def octets(self) -> bytes:
        """What goes over the line next."""
        rng, draw = self.rng, self.rng.random()
        self._asked, self._hello, self.replays = None, None, False
        self.broadcast, self.link = draw < 0.06, self._home
        if rng.random() < 0.02:
            self.link = Link(rng.randrange(256), rng.randrange(128), rng.choice((self._domain, b"", b"\1")))
        if draw < 0.05:
            value = self.base + rng.randrange(-2, 1200)
            octets = self._broadcasts.seal(self.pdu()[:95], max(1, value))
        elif draw < 0.1:
            octets = rng.choice((self.noise(), b"\1" + rng.randbytes(rng.choice((1, 17, 33))), b"\1\3" + rng.randbytes(16)))
            if octets[:2] == b"\1\1" or rng.random() < 0.001:  # a meter answers a hundred of these a day
                octets = b"\1\1" + rng.randbytes(16) if rng.random() < 0.1 else b"\1\2" + octets[2:]
        elif draw < 0.12:
            octets = self.said
        elif draw < 0.17 and self._kept:
            self.replays = True
            return rng.choice(self._kept)
        else:
            octets = self._sealed()
        if rng.random() < 0.1:
            self._asked = self._hello = None
            return self.damaged(octets)
        return octets

    def _sealed(self) -> bytes:
        rng = self.rng
        client = rng.choice(self._clients)
        if rng.random() < 0.00002:
            client.forget()
        hello = client.prepare(self._home)
        if hello is not None:
            self._hello = client
            return hello
        number = (self.number + (1 if rng.random() < 0.9 else rng.choice((0, 2, 8, 9, -1, rng.randrange(1 << 32))))) % (1 << 32)
        exchange = client.seal_request(self.pdu()[:101], number, self._home)
        self._asked = client, number, exchange
        return exchange.octets

    def keep(self, served: list[bytes]) -> None:
        """See `MepFuzz.keep`."""
        if self._asked is not None and self._asked[2].pdu in served:
            self._kept.append(self._asked[2].octets)

    def heard(self, octets: bytes) -> None:
        """What the meter said, b"" nothing."""
        self.said = octets
        if self.link != self._home:
            return  # elsewhere nobody knows our keys
        try:
            if self._hello is not None and octets:
                self.number = self._hello.receive(octets) or self.number
            elif self._asked is not None and octets:
                client, number, exchange = self._asked
                response = exchange.open_response(octets)
                if response[0] == 0x0C:
                    self.number = int.from_bytes(response[1:5], "big")
                elif response[0] == 0x0B:
                    if not client.forget() and len(self._clients) > 1 and self.rng.random() < 0.01:
                        self._clients.remove(client)  # the meter has left the old suites behind
                else:
                    self.number = number
        except (DecodeError, osgp.LocalProtocolError):
            if self._hello is not None:
                self._hello.forget()
