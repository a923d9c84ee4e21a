"""The keys of one device by port, and which of them a client has shown to know."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from ..errors import ConfigurationError
from .keys import Key

OPTICAL: Final = ("MK", "PK", "RK")
MEP: Final = ("MAK", "MBK")  # in the order in which a meter tries them; grade A


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys of a device; one that is None opens nothing. `repr` shows kinds only.

    Args:
        mk, pk, rk: optical port, 20 octets.    mak, mbk: MEP port.    omak, psk: power line.
        oma_broadcast, psk_broadcast: secure broadcasts on the power line.
    """

    mk: Key | None = None
    pk: Key | None = None
    rk: Key | None = None
    mak: Key | None = None
    mbk: Key | None = None
    omak: Key | None = None
    psk: Key | None = None
    oma_broadcast: Key | None = None
    psk_broadcast: Key | None = None

    def __post_init__(self) -> None:
        for name in self.__slots__:
            key = getattr(self, name)
            if key is not None and key.kind != name.upper().replace("_", "-"):
                raise ConfigurationError(f"{name} must be a key of kind {name.upper()}, got {key!r}")

    @classmethod
    def from_text(cls, texts: Mapping[str, str]) -> Self:
        """Keys as an owner writes them, by kind: `{"MK": "20 ASCII characters!", "OMAK": "df...df"}`; see `Key.from_text`."""
        return cls(**{kind.lower().replace("-", "_"): Key.from_text(kind, text) for kind, text in texts.items()})

    @property
    def mep_keys(self) -> tuple[Key, ...]:
        """MAK and MBK, as far as they are set, in the order in which they are tried."""
        return tuple(key for key in (self.mak, self.mbk) if key is not None)

    def password_level(self, password: bytes, pk_disabled: bool = False) -> str | None:
        """Kind of the optical key ("MK", "PK", "RK") that a 20-octet password is, None: of none.

        Every key is compared, in constant time, whichever fits: the time does not tell. `pk_disabled`: ET04.52 is 1.
        """
        found: str | None = None
        for key in (self.mk, self.pk, self.rk):
            if key is None:
                continue
            if hmac.compare_digest(key.reveal(), password) and found is None and not (pk_disabled and key.kind == "PK"):
                found = key.kind
        return found
