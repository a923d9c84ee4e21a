"""A lesson: how the keys of OSGP's RC4 era are recovered, from the published mathematics, against our own simulated meter.

Nothing of the product imports this. It exists because the weakness of a cipher is best shown, and because a meter that was
hardened against a naive reading of an attack should be measured by the attack.

    digest_oracle.py   chosen messages whose digest somebody tells: 13 queries, or 4 with some work (eprint 2015/428)
    verification.py    a recorded message and somebody who says right or wrong: one bit of the key a query (eprint 2015/428)
    rc4_key.py         key streams of about 90 000 messages: the RC4 key (the setting of eprint 2016/455)

Only abstracts of the papers were at hand; the methods are worked out from the algorithms and meet the papers' numbers.
"""

from .digest_oracle import Recovery, recover_by_oracle
from .rc4_key import recover_rc4_key, second_octet_votes
from .steps import oma_digests
from .verification import recover_by_verification

__all__ = ["Recovery", "oma_digests", "recover_by_oracle", "recover_by_verification", "recover_rc4_key", "second_octet_votes"]
