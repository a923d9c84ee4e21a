"""Keys, message protection and replay protection of OSGP.

    exchange.py   the interface of every suite: seal and open requests and the answers that belong to them
    oma.py rc4.py mep.py             the RC4 era, power line and MEP port. WEAK and BROKEN: only because installed meters speak it
    aes.py commissioning.py          the power line's default: an AES-128 profile of this project's own
    modes.py                         which of them a meter accepts and a client speaks
    keys.py keyring.py sequence.py lockout.py usage.py broadcast.py image.py en14908.py
    tls_psk.py                       TLS 1.2 with a pre-shared key for the MEP port
"""

from .aes import AES_SUITE_NAME, AesSuite
from .broadcast import BroadcastSuite, BroadcastWindow
from .commissioning import COMMISSIONING_CODE
from .exchange import NO_TAG, Exchange, Link, Suite
from .image import image_mac, image_mac_right
from .keyring import KeyRing
from .keys import Key
from .lockout import Lockout
from .mep import MepExchange, MepSuite
from .modes import MODE_NAMES, ClientSecurity, MeterSecurity, SecurityMode, client_security
from .oma import OmaSuite, mep_request_digest, mep_response_digest, oma_digest
from .rc4 import WEAKNESS as RC4_WEAKNESS
from .rc4 import Rc4Suite, WeakSecurityWarning
from .sequence import SEQUENCE_MODULUS, SEQUENCE_WINDOW, SequenceWindow, next_number
from .usage import DailyLimit, KeyUse

__all__ = [
    "AES_SUITE_NAME",
    "COMMISSIONING_CODE",
    "MODE_NAMES",
    "NO_TAG",
    "RC4_WEAKNESS",
    "SEQUENCE_MODULUS",
    "SEQUENCE_WINDOW",
    "AesSuite",
    "BroadcastSuite",
    "BroadcastWindow",
    "ClientSecurity",
    "DailyLimit",
    "Exchange",
    "Key",
    "KeyRing",
    "KeyUse",
    "Link",
    "Lockout",
    "MepExchange",
    "MepSuite",
    "MeterSecurity",
    "OmaSuite",
    "Rc4Suite",
    "SecurityMode",
    "SequenceWindow",
    "Suite",
    "WeakSecurityWarning",
    "client_security",
    "image_mac",
    "image_mac_right",
    "mep_request_digest",
    "mep_response_digest",
    "next_number",
    "oma_digest",
]
