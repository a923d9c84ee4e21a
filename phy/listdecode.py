"""List decoding: the likeliest packets in order, until one passes its check."""

import itertools
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

# How many of the cheapest single changes may take part in combinations of 1, 2, 3 and 4 of them.
_REACH: Final = (256, 64, 24, 12)


def list_decode(
    scores: NDArray[np.float32], is_lpdu: Callable[[bytes], bool], syndrome: Callable[[bytes], int], size: int
) -> bytes | None:
    """The likeliest octets that pass the check, among the `size` likeliest sequences besides the first.

    Changes of single words are taken as independent, so that a sequence costs the sum of what its changes cost. The check is
    linear: the syndrome of several changes is the XOR of each one's, so a try is one XOR.

    Args:
        scores: (W, 256) float32 log-likelihood of every octet at every position.
        is_lpdu: whether octets are a packet with a good check. syndrome: 16 bits, 0 when the check holds; affine in the octets.
        size: sequences tried; each accepts a wrong packet with probability 2^-16.
    Returns:
        The octets, or None.
    """
    best = scores.argmax(axis=1)
    line = bytes(best.astype(np.uint8))
    wanted = syndrome(line)
    cost = scores.max(axis=1, keepdims=True) - scores
    cost[np.arange(best.size), best] = np.inf
    order = np.argsort(cost, axis=None)[: _REACH[0]]
    places, octets = np.unravel_index(order, cost.shape)
    costs = cost.ravel()[order].astype(np.float64)
    changes = np.empty(order.size, np.int64)
    for i, (place, octet) in enumerate(zip(places.tolist(), octets.tolist(), strict=True)):
        changed = bytearray(line)
        changed[place] = octet
        changes[i] = wanted ^ syndrome(bytes(changed))
    sums, syndromes, members = [], [], []
    for number, reach in enumerate(_REACH, start=1):
        chosen = np.array(list(itertools.combinations(range(min(reach, order.size)), number)), np.int64).reshape(-1, number)
        where = np.sort(places[chosen], axis=1)
        chosen = chosen[(np.diff(where, axis=1) > 0).all(axis=1)]  # a word changes once
        sums.append(costs[chosen].sum(axis=1))
        syndromes.append(np.bitwise_xor.reduce(changes[chosen], axis=1))
        members.append(np.pad(chosen, ((0, 0), (0, len(_REACH) - number)), constant_values=-1))
    total, joint, who = np.concatenate(sums), np.concatenate(syndromes), np.concatenate(members)
    tried = np.argsort(total, kind="stable")[:size]
    for i in tried[joint[tried] == wanted]:
        changed = bytearray(line)
        for k in who[i]:
            if k >= 0:
                changed[places[k]] = octets[k]
        if is_lpdu(bytes(changed)):
            return bytes(changed)
    return None
