"""Keys, message authentication and replay protection of OSGP.

The OMA digest is WEAK: its key can be recovered from a handful of chosen messages (eprint 2015/428). It is here only because
installed meters speak it.
"""

from .keys import Key
from .oma import OmaSuite, mep_request_digest, mep_response_digest, oma_digest
from .sequence import SEQUENCE_MODULUS, SEQUENCE_WINDOW, SequenceWindow, next_number

__all__ = [
    "SEQUENCE_MODULUS",
    "SEQUENCE_WINDOW",
    "Key",
    "OmaSuite",
    "SequenceWindow",
    "mep_request_digest",
    "mep_response_digest",
    "next_number",
    "oma_digest",
]
