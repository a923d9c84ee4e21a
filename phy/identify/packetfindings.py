"""What is said about words, octets and the check sequence."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..profile import Profile
from .checksearch import mirror_image
from .codenames import WrittenCode
from .framing import Framing
from .headersplit import split_header
from .report import Finding, Gap
from .tail import Tail

ENOUGH: Final = 32  # packets from which nothing is left to chance
_CRC_SURE: Final = (1.0, 0.95, 0.5)  # by CheckFit.rank
_ENDS_DOUBTFUL: Final = 0.5  # factor of what depends on where packets begin and end, when they are not whole words long
_EITHER_ENCODING: Final = 0.9  # that bits are not differential when both descriptions fit and the code has no name


@dataclass(frozen=True, eq=False, slots=True)
class Solved:
    """What the packets' bits mean.

    Attributes:
        packets: how many. framing: how they are built. written: the code. table: (256, 11), the word of every octet.
        header: bits. header_agreement: share of the packets that have the rarest of these bits right. tail: what comes last.
        lpdus: number of the packet -> octets of those that pass their check sequence.
        order_sure: probability that the octets are not turned end for end, with the check sequence's mirror image.
    """

    packets: int
    framing: Framing
    written: WrittenCode
    table: NDArray[np.uint8]
    header: NDArray[np.uint8]
    header_agreement: float
    tail: Tail
    lpdus: dict[int, bytes]
    order_sure: float = 1.0

    @property
    def share(self) -> float:
        """Share of the packets that pass their check sequence."""
        maps = self.framing.maps
        return maps.packets / max(1, maps.packets + maps.refused)

    @property
    def constant_edge(self) -> bool:
        """Whether a word's first or last bit is constant: the same line could be cut into words one bit away."""
        return any(bool((self.table[:, at] == self.table[0, at]).all()) for at in (0, -1))

    @property
    def either_encoding(self) -> bool:
        """Whether the same bits can be read as differentially encoded words: where all words end alike on the line."""
        last = self.table[:, -1]
        return not self.framing.differential and not isinstance(self.written.value, str) and bool((last == last[0]).all())


def packet_findings(solved: Solved, base: Profile) -> tuple[Finding, list[Finding]]:
    """The finding about differential encoding, and those of the section [packet]."""
    framing, maps, n, known = solved.framing, solved.framing.maps, solved.packets, base.constants
    total = maps.packets + maps.refused
    passed = f"{maps.packets} of {total} packets pass their check sequence"
    # What the check sequence proves does not become doubtful by packets that were damaged.
    sure = 1.0 - 2.0 ** -min(60, 16 * maps.independent - (72 - maps.undetermined)) if solved.share > 0.5 else solved.share
    check = sure * _CRC_SURE[framing.crc_rank]
    edges = 1.0 if framing.ends_fit else _ENDS_DOUBTFUL
    end_sure = check * (_ENDS_DOUBTFUL if solved.tail.behind else edges)
    octets = check * solved.order_sure / len(maps.tables) * (edges if solved.constant_edge else 1.0)
    end, split_sure = split_header(solved.header)
    text = "".join(map(str, solved.header))
    header_sure = edges * min(1.0 if solved.header_agreement > 0.9 else solved.header_agreement, 1 - 2.0 ** (1 - n))
    header_evidence = f"{n} packets, bits agree in at least {100 * solved.header_agreement:.0f} %"
    split = f"; that it ends here is a guess of probability {split_sure:.2f}"
    lengths = [len(lpdu) for lpdu in solved.lpdus.values()] or [known["packet.min_octets"].value]
    base_min, base_max = known["packet.min_octets"], known["packet.max_octets"]
    crc = f"{passed} under it" + ("" if framing.crc_rank == 0 and framing.crc == base.crc else "; the usual one does not fit")
    packet = [
        Finding.measured("packet.preamble", text[:end], header_sure * split_sure, header_evidence + split),
        Finding.measured("packet.sync", text[end:], header_sure * split_sure, header_evidence + "; see preamble"),
        Finding.measured("packet.bit_order", "lsb" if solved.written.lsb_first else "msb", octets,
                         "written so that the code becomes simple; see code"),
        Finding.measured("packet.code", solved.written.value, octets,
                         f"{framing.code.distinct} different words obey {framing.code.equations} equations; {passed}"),
        Finding.measured("packet.inversion", "".join(map(str, solved.written.inversion)), octets, "part of the code"),
        Finding.measured("packet.end_word", "".join(map(str, solved.tail.word)),
                         end_sure * min(1.0 if solved.tail.agreement > 0.9 else solved.tail.agreement, 1 - 2.0 ** (1 - n)),
                         f"{n} packets, bits agree in at least {100 * solved.tail.agreement:.0f} %")
        if solved.tail.repeats else Finding.assumed("packet.end_word", known["packet.end_word"]),
        Finding.measured("packet.end_words", solved.tail.repeats, end_sure,
                         f"words behind the check sequence; {passed}"),
        Finding.measured("packet.crc", framing.crc.name, check * solved.order_sure, crc),
        Finding.assumed("packet.min_octets", base_min) if min(lengths) >= base_min.value
        else Finding.measured("packet.min_octets", min(lengths), sure, "shortest packet seen"),
        Finding.assumed("packet.max_octets", base_max) if max(lengths) <= base_max.value
        else Finding.measured("packet.max_octets", max(lengths), sure, "longest packet seen"),
    ]  # fmt: skip
    plain_sure = sure * (_EITHER_ENCODING if solved.either_encoding else 1.0)
    return Finding.measured("pulse.differential", framing.differential, plain_sure, passed), packet


def code_gaps(solved: Solved) -> list[Gap]:
    """What is open about words and octets."""
    framing, maps, n = solved.framing, solved.framing.maps, solved.packets
    gaps = []
    if maps.undetermined:
        reason = f"{2**maps.undetermined} maps from words to octets fit all check sequences; that of fewest terms was taken"
        # Sixteen equations an independent packet; what was recorded tells how many packets one of these takes.
        more = -(-maps.undetermined // 16) * -(-maps.packets // max(maps.independent, 1))
        gaps.append(Gap("packet.code", reason, more + 1))
    if not framing.differential:
        reason = "the same packets with all bits inverted look alike; taken so that the code is simple, or the first bit 1"
        gaps.append(Gap("polarity", reason))
    if solved.either_encoding:
        reason = "all words end with the same bit, so that the same line could be differentially encoded words of another code"
        gaps.append(Gap("pulse.differential", reason + "; not differential was taken"))
    reason = "turning the bit order and the code's table together changes nothing on the line; "
    if solved.written.lsb_first:
        reason += "lsb was taken, because the code is simpler then"
    else:
        reason += "msb was taken" + (", because the code is simpler then" if isinstance(solved.written.value, str) else "")
    gaps.append(Gap("packet.bit_order", reason))
    gaps += _crc_gaps(solved)
    gaps.append(Gap("packet.sync", "where the preamble ends and the sync word begins does not show; both are sent alike"))
    if not framing.ends_fit:
        by = f"{abs(framing.left_over):.1f} bit times {'longer' if framing.left_over > 0 else 'shorter'}"
        reason = f"packets are {by} than whole words: their first bit, their ramps or what "
        gaps.append(Gap("packet.preamble", reason + "is sent behind the last word may be otherwise"))
    if not (solved.tail.repeats or solved.tail.behind):
        gaps.append(Gap("packet.end_word", "no end word is sent"))
    if solved.tail.behind:
        where = "its end word" if solved.tail.repeats else "the check sequence"
        reason = f"behind {where} a packet goes on with {solved.tail.behind}; a profile describes one word, sent over and over"
        gaps.append(Gap("packet.end_word", reason))
    if n < ENOUGH:
        gaps.append(Gap("confidence", f"all of this rests on {n} packets", ENOUGH - n))
    return gaps


def _crc_gaps(solved: Solved) -> list[Gap]:
    framing, gaps = solved.framing, []
    if solved.order_sure < 1.0:
        reason = f"with the bits of every octet in the other order, it would be {mirror_image(framing.crc).name}; "
        told = "the alternate-path bit of the first octet speaks for this one"
        gaps.append(Gap("packet.crc", reason + (told if solved.order_sure > 0.9 else "which of the two, the line does not tell")))
    if framing.crc_rank == 2:
        reason = "initial value, final XOR and constant inversions of the octets can be exchanged for one another, and with them "
        gaps.append(Gap("packet.crc", reason + "constant octets at either end; polynomial and packets' words are certain"))
    return gaps
