"""TLS 1.2 with a pre-shared key, both ends, without I/O: what the MEP port speaks. RFC 5246, RFC 4279, RFC 5487 (grade A).

One cipher suite, TLS_PSK_WITH_AES_256_GCM_SHA384 (0x00A9); no resumption, no renegotiation, no extension but an empty
renegotiation_info. The guide's example (mbed TLS 2.16 in the meter) comes out octet for octet.

    client   ClientHello                                               58
    server   ServerHello, ServerHelloDone                              00   (codes of the MEP frames, the port's business)
    client   ClientKeyExchange (identity), ChangeCipherSpec, Finished  59
    server   ChangeCipherSpec, Finished                                00

The key schedule is HMAC and AES-GCM of the library `cryptography` and the standard library; nothing of a cipher is written here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import Final

from ..errors import ConfigurationError, LocalProtocolError
from .keys import Key
from .tls_record import MAX_PLAIN, VERSION, Alert, ContentType, Protection, RecordReader, Schedule, TlsError, record

CIPHER_SUITE: Final = b"\x00\xa9"
RENEGOTIATION_SCSV: Final = b"\x00\xff"  # RFC 5746
RENEGOTIATION_INFO: Final = 0xFF01
RANDOM_OCTETS: Final = 32
MAX_HANDSHAKE: Final = 1 << 14  # octets of one handshake message; a ClientHello is the longest, and never that long
MAX_IDENTITY: Final = 128  # octets; RFC 4279, 5.3 asks for at least that
MAX_EMPTY: Final = 32  # records in a row that carry nothing
CLIENT_HELLO, SERVER_HELLO, SERVER_KEY_EXCHANGE, SERVER_HELLO_DONE, CLIENT_KEY_EXCHANGE, FINISHED = 1, 2, 12, 14, 16, 20
HELLO_REQUEST: Final = 0
CHANGE: Final = b"\x01"
MEP_KEY_IDS: Final = {0: "MBK", 1: "MAK"}  # grade A

Entropy = Callable[[int], bytes]
State = Enum("State", "HELLO HELLO_DONE KEY CHANGE FINISHED OPEN CLOSED FAILED")


def mep_identity(client_id: int, kind: str) -> bytes:
    """PSK identity on the MEP port, 3 octets: client id (little endian; logged, not checked), 0 MBK or 1 MAK. Grade A."""
    numbers = {name: number for number, name in MEP_KEY_IDS.items()}
    if not 0 <= client_id <= 0xFFFF or kind not in numbers:
        raise ConfigurationError(f"client id is 0..65535 and the key MAK or MBK, got {client_id} and {kind}")
    return client_id.to_bytes(2, "little") + bytes((numbers[kind],))


def parse_mep_identity(identity: bytes) -> tuple[int, str] | None:
    """Client id and kind of key; None when it is no identity of that form."""
    if len(identity) != 3 or identity[2] not in MEP_KEY_IDS:
        return None
    return int.from_bytes(identity[:2], "little"), MEP_KEY_IDS[identity[2]]


class _Fields:
    """Takes a handshake message apart; TlsError when it ends early."""

    def __init__(self, octets: bytes) -> None:
        self._octets, self._at = octets, 0

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._octets):
            raise TlsError(Alert.DECODE_ERROR, "a handshake message ends early")
        self._at += count
        return self._octets[self._at - count : self._at]

    def vector(self, length_octets: int) -> bytes:
        return self.take(int.from_bytes(self.take(length_octets), "big"))

    @property
    def rest(self) -> int:
        return len(self._octets) - self._at

    def end(self) -> None:
        if self.rest:
            raise TlsError(Alert.DECODE_ERROR, f"a handshake message is followed by {self.rest} octets")

    def extensions(self) -> dict[int, bytes]:
        """The extensions at the end of a hello, which may be missing altogether."""
        found: dict[int, bytes] = {}
        if self.rest:
            inner = _Fields(self.vector(2))
            while inner.rest:
                kind = int.from_bytes(inner.take(2), "big")
                if kind in found:
                    raise TlsError(Alert.DECODE_ERROR, "an extension comes twice")
                found[kind] = inner.vector(2)
        self.end()
        return found


class TlsPsk(ABC):
    """What both ends have in common."""

    _own_label: bytes
    _peer_label: bytes

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._reader = RecordReader()
        self._output = bytearray()
        self._messages = bytearray()  # handshake octets that are not a whole message yet
        self._hash = hashlib.sha384()
        self._random = b""
        self._schedule: Schedule | None = None
        self._reads: Protection | None = None
        self._writes: Protection | None = None
        self._state = State.HELLO
        self._empty = 0

    @property
    def established(self) -> bool:
        """Whether application data may flow."""
        return self._state is State.OPEN

    @property
    def closed(self) -> bool:
        """Whether one of the two said goodbye."""
        return self._state is State.CLOSED

    @property
    def failed(self) -> bool:
        """Whether the connection broke."""
        return self._state is State.FAILED

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._state.name})"

    def octets_to_send(self) -> bytes:
        """Records that go to the other side now."""
        octets = bytes(self._output)
        self._output.clear()
        return octets

    def receive(self, octets: bytes) -> bytes:
        """Take octets from the other side, cut anywhere; returns the application data in them.

        Raises TlsError when the connection failed; the alert for the other side is then among the octets to send. Afterwards
        nothing more is taken.
        """
        if self._state in (State.FAILED, State.CLOSED):
            raise LocalProtocolError(f"the TLS connection is {self._state.name.lower()}")
        data = bytearray()
        try:
            for kind, fragment in self._reader.push(octets):
                data += self._on_record(kind, fragment)
                if self.closed:
                    break
        except TlsError as error:
            if not error.received:
                self._send(ContentType.ALERT, bytes((2, error.alert)))
            self._state = State.FAILED
            raise
        return bytes(data)

    def send(self, data: bytes) -> None:
        """Application data for the other side."""
        if self._state is not State.OPEN:
            raise LocalProtocolError("there is no TLS session")
        for start in range(0, len(data), MAX_PLAIN):
            self._send(ContentType.APPLICATION_DATA, data[start : start + MAX_PLAIN])

    def close(self) -> None:
        """Say goodbye."""
        if self._state not in (State.CLOSED, State.FAILED):
            self._send(ContentType.ALERT, bytes((1, Alert.CLOSE_NOTIFY)))
            self._state = State.CLOSED

    # records

    def _send(self, kind: int, plain: bytes) -> None:
        self._output += record(kind, plain if self._writes is None else self._writes.seal(kind, plain))

    def _send_handshake(self, kind: int, body: bytes) -> None:
        message = bytes((kind,)) + len(body).to_bytes(3, "big") + body
        self._hash.update(message)
        self._send(ContentType.HANDSHAKE, message)

    def _on_record(self, kind: ContentType, fragment: bytes) -> bytes:
        plain = fragment if self._reads is None else self._reads.open(kind, fragment)
        if len(plain) > MAX_PLAIN:
            raise TlsError(Alert.RECORD_OVERFLOW, f"a record of {len(plain)} octets")
        self._empty = 0 if plain else self._empty + 1
        if self._empty > MAX_EMPTY or (not plain and kind is not ContentType.APPLICATION_DATA):
            raise TlsError(Alert.UNEXPECTED_MESSAGE, "records that carry nothing")
        if self._messages and kind is not ContentType.HANDSHAKE:
            raise TlsError(Alert.UNEXPECTED_MESSAGE, "another record inside a handshake message")
        match kind:
            case ContentType.APPLICATION_DATA:
                if self._state is not State.OPEN:
                    raise TlsError(Alert.UNEXPECTED_MESSAGE, "application data before the handshake is over")
                return plain
            case ContentType.ALERT:
                self._on_alert(plain)
            case ContentType.CHANGE_CIPHER_SPEC:
                if self._state is not State.CHANGE or plain != CHANGE:
                    raise TlsError(Alert.UNEXPECTED_MESSAGE, "a change of ciphers out of turn")
                self._change()
            case ContentType.HANDSHAKE:
                self._on_handshake_octets(plain)
        return b""

    def _on_alert(self, plain: bytes) -> None:
        if len(plain) != 2:
            raise TlsError(Alert.DECODE_ERROR, "an alert has 2 octets")
        level, description = plain
        if description == Alert.CLOSE_NOTIFY:
            self._state = State.CLOSED
        elif level == 2 or self._state is not State.OPEN:
            name = Alert(description).name.lower() if description in Alert.__members__.values() else str(description)
            raise TlsError(description, f"the other side says: {name}", received=True)

    def _on_handshake_octets(self, plain: bytes) -> None:
        self._messages += plain
        while len(self._messages) >= 4:
            size = int.from_bytes(self._messages[1:4], "big")
            if size > MAX_HANDSHAKE:
                raise TlsError(Alert.DECODE_ERROR, f"a handshake message of {size} octets")
            if len(self._messages) < 4 + size:
                return
            message = bytes(self._messages[: 4 + size])
            del self._messages[: 4 + size]
            kind, body = message[0], message[4:]
            if kind == FINISHED:
                self._check_finished(body)
                self._hash.update(message)
                self._after_finished()
                continue
            self._hash.update(message)
            self._on_handshake(kind, _Fields(body))
            if self._messages and self._state is State.CHANGE:
                raise TlsError(Alert.UNEXPECTED_MESSAGE, "a handshake message where the ciphers must change")

    # handshake

    @abstractmethod
    def _on_handshake(self, kind: int, fields: _Fields) -> None: ...

    @abstractmethod
    def _change(self) -> None: ...

    @abstractmethod
    def _after_finished(self) -> None: ...

    def _derive(self, psk: Key, client_random: bytes, server_random: bytes) -> Schedule:
        self._schedule = Schedule(psk, client_random, server_random)
        return self._schedule

    def _send_finished(self, protection: Protection) -> None:
        assert self._schedule is not None
        self._send(ContentType.CHANGE_CIPHER_SPEC, CHANGE)
        self._writes = protection
        self._send_handshake(FINISHED, self._schedule.verify_data(self._own_label, self._hash.digest()))

    def _check_finished(self, body: bytes) -> None:
        if self._state is not State.FINISHED or self._schedule is None:
            raise TlsError(Alert.UNEXPECTED_MESSAGE, "a Finished message out of turn")
        if not hmac.compare_digest(body, self._schedule.verify_data(self._peer_label, self._hash.digest())):
            raise TlsError(Alert.DECRYPT_ERROR, "the other side saw another handshake")

    @staticmethod
    def _out_of_turn(kind: int) -> TlsError:
        return TlsError(Alert.UNEXPECTED_MESSAGE, f"a handshake message {kind} out of turn")


class TlsPskServer(TlsPsk):
    """The meter's end.

    Args:
        psk_of: the key for an identity (octets), None: there is none; the connection then fails with unknown_psk_identity.
        entropy: n -> n unpredictable octets.

    Attributes:
        identity: what the client called itself, b"" before; proven once `established`.
    """

    _own_label, _peer_label = b"server finished", b"client finished"

    def __init__(self, psk_of: Callable[[bytes], Key | None], entropy: Entropy = secrets.token_bytes) -> None:
        super().__init__(entropy)
        self._psk_of = psk_of
        self._client_random = b""
        self.identity = b""

    def _on_handshake(self, kind: int, fields: _Fields) -> None:
        if kind == CLIENT_HELLO and self._state is State.HELLO:
            self._on_hello(fields)
        elif kind == CLIENT_KEY_EXCHANGE and self._state is State.KEY:
            self._on_key_exchange(fields)
        else:
            raise self._out_of_turn(kind)

    def _on_hello(self, fields: _Fields) -> None:
        version = fields.take(2)
        if version < VERSION:
            raise TlsError(Alert.PROTOCOL_VERSION, f"the client speaks version {version[0]}.{version[1]} at most")
        self._client_random = fields.take(RANDOM_OCTETS)
        fields.vector(1)  # a session id: nothing is resumed
        suites = fields.vector(2)
        offered = {suites[k : k + 2] for k in range(0, len(suites), 2)}
        if 0 not in fields.vector(1):
            raise TlsError(Alert.ILLEGAL_PARAMETER, "the client insists on compression")
        extensions = fields.extensions()
        if CIPHER_SUITE not in offered:
            raise TlsError(Alert.HANDSHAKE_FAILURE, "the client does not offer TLS_PSK_WITH_AES_256_GCM_SHA384")
        if extensions.get(RENEGOTIATION_INFO, b"\0") != b"\0":
            raise TlsError(Alert.HANDSHAKE_FAILURE, "the client renegotiates something we never had")
        self._random = self._entropy(RANDOM_OCTETS)
        session_id = self._entropy(RANDOM_OCTETS)
        body = VERSION + self._random + bytes((len(session_id),)) + session_id + CIPHER_SUITE + b"\0"
        if RENEGOTIATION_SCSV in offered or RENEGOTIATION_INFO in extensions:
            info = RENEGOTIATION_INFO.to_bytes(2, "big") + b"\0\x01\0"
            body += len(info).to_bytes(2, "big") + info
        self._send_handshake(SERVER_HELLO, body)
        self._send_handshake(SERVER_HELLO_DONE, b"")
        self._state = State.KEY

    def _on_key_exchange(self, fields: _Fields) -> None:
        self.identity = fields.vector(2)
        fields.end()
        psk = self._psk_of(self.identity) if len(self.identity) <= MAX_IDENTITY else None
        if psk is None:
            raise TlsError(Alert.UNKNOWN_PSK_IDENTITY, "no key for that identity")
        self._derive(psk, self._client_random, self._random)
        self._state = State.CHANGE

    def _change(self) -> None:
        assert self._schedule is not None
        self._reads, self._state = self._schedule.client, State.FINISHED

    def _after_finished(self) -> None:
        assert self._schedule is not None
        self._send_finished(self._schedule.server)
        self._state = State.OPEN


class TlsPskClient(TlsPsk):
    """The client's end; its hello is among the octets to send from the start.

    Args:
        identity: at most 128 octets, see `mep_identity`.    psk: the key.    entropy: n -> n unpredictable octets.
    """

    _own_label, _peer_label = b"client finished", b"server finished"

    def __init__(self, identity: bytes, psk: Key, entropy: Entropy = secrets.token_bytes) -> None:
        super().__init__(entropy)
        if not len(identity) <= MAX_IDENTITY:
            raise ConfigurationError(f"a PSK identity has at most {MAX_IDENTITY} octets, got {len(identity)}")
        self._identity, self._psk = identity, psk
        self._server_random = b""
        self._random = entropy(RANDOM_OCTETS)
        suites = CIPHER_SUITE + RENEGOTIATION_SCSV
        hello = VERSION + self._random + b"\0" + len(suites).to_bytes(2, "big") + suites + b"\x01\0"
        self._send_handshake(CLIENT_HELLO, hello)

    def _on_handshake(self, kind: int, fields: _Fields) -> None:
        if kind == HELLO_REQUEST and self._state is State.OPEN:
            return  # we do not renegotiate; RFC 5246, 7.4.1.1 lets a client ignore it
        if kind == SERVER_HELLO and self._state is State.HELLO:
            self._on_hello(fields)
        elif kind == SERVER_KEY_EXCHANGE and self._state is State.HELLO_DONE:
            fields.vector(2)  # a hint, which we do not need
            fields.end()
        elif kind == SERVER_HELLO_DONE and self._state is State.HELLO_DONE:
            fields.end()
            self._send_handshake(CLIENT_KEY_EXCHANGE, len(self._identity).to_bytes(2, "big") + self._identity)
            schedule = self._derive(self._psk, self._random, self._server_random)
            self._send_finished(schedule.client)
            self._state = State.CHANGE
        else:
            raise self._out_of_turn(kind)

    def _on_hello(self, fields: _Fields) -> None:
        version = fields.take(2)
        if version != VERSION:
            raise TlsError(Alert.PROTOCOL_VERSION, f"the server chose version {version[0]}.{version[1]}")
        self._server_random = fields.take(RANDOM_OCTETS)
        fields.vector(1)
        if fields.take(2) != CIPHER_SUITE or fields.take(1) != b"\0":
            raise TlsError(Alert.ILLEGAL_PARAMETER, "the server chose what was not offered")
        extensions = fields.extensions()
        if set(extensions) - {RENEGOTIATION_INFO}:
            raise TlsError(Alert.UNSUPPORTED_EXTENSION, "the server answered an extension that was not offered")
        if extensions.get(RENEGOTIATION_INFO, b"\0") != b"\0":
            raise TlsError(Alert.HANDSHAKE_FAILURE, "the server renegotiates something we never had")
        self._state = State.HELLO_DONE

    def _change(self) -> None:
        assert self._schedule is not None
        self._reads, self._state = self._schedule.server, State.FINISHED

    def _after_finished(self) -> None:
        self._state = State.OPEN
