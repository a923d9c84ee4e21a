"""The whole recipe: bursts -> carriers -> bits -> header -> words -> octets -> a profile, with what remains open."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..profile import Profile
from ..receiver import Receiver
from .bursts import Burst
from .carrierfindings import carrier_findings
from .carriers import CarrierGroup, group_carriers, tune
from .checksearch import FEWEST as FEWEST_FOR_CHECK
from .checksearch import mirror_image
from .codenames import REVERSED, simplicity, write_code
from .demodulate import BurstBits, demodulate
from .framing import (
    Framing,
    PacketRows,
    WordAlignment,
    independent_packets,
    solve_check,
    solve_framing,
    word_alignments,
)
from .header import AlignedPackets, align
from .numerology import Numerology, channels, find_numerology
from .octetmap import missing_packets
from .packetfindings import ENOUGH, Solved, code_gaps, packet_findings
from .pulse import Start, Transition, fit_start, fit_transition
from .report import Finding, Gap, Identification, profile_text
from .tail import read_tail
from .wordcode import EQUATIONS, WORD_BITS, equation_text

BASE: Final = "pl20a"  # profile from which the constants are taken that recordings do not show
_CONFIRMED: Final = 32  # packets at most that the ordinary receiver is tried on
_ALPHA_WANTED: Final = 0.15  # bit times; the receiver does not notice less
_OTHER_PULSE: Final = 0.5  # confidence at most of a transition time when the pulse is of another kind
_FEWEST: Final = 4  # packets below which not even their beginnings can be compared
_CHANNELS: Final = 3  # bit rates tried, in case the line carries other modems
_CODE_HOLDS: Final = 0.6  # share of words without error from which an unknown check sequence is looked for
# Probability that the higher carrier is the primary one, by what the octets say: the alternate-path bit of an LPDU's first
# octet (EN 14908-1 reference code, clause unverified) is that of the carrier, does not change, or contradicts itself.
_ALTERNATE_BIT: Final = 6
_ORDER_TOLD: Final = 0.98
_ROLES: Final = {"told": 0.999, "told by one": 0.98, "not told": 0.97, "contradictory": 0.9}
# The same where no known clock speaks for the frequencies.
_ROLES_OF_OTHERS: Final = {"told": 0.999, "told by one": 0.85, "not told": 0.8, "contradictory": 0.6}


def identify(bursts: list[Burst], seed: int = 1) -> Identification:
    """Learn a line's constants.

    Args:
        bursts: of one line, in any order, from recordings of any sample rates. seed: of the random choice of packets to begin
            with; the result does not depend on it unless the recordings are very poor.
    """
    base = Profile.load(BASE)
    tuned = [t for t in map(tune, bursts) if t is not None]
    found = channels(group_carriers(tuned))
    if not found:
        reason = "no burst of energy" if not bursts else f"none of {len(bursts)} bursts is BPSK with a steady bit rate"
        return Identification(len(bursts), 0, 0, 0, 0, (), (Gap("carriers", reason, ENOUGH),), None)
    results = []
    for channel in found[:_CHANNELS]:
        strangers = len(tuned) - sum(len(g.bursts) for g in channel)
        results.append(_identify_channel(bursts, channel, strangers, base, np.random.default_rng(seed)))
        if results[-1].profile is not None:
            return results[-1]
    return results[0]


def _identify_channel(
    bursts: list[Burst], channel: list[CarrierGroup], strangers: int, base: Profile, rng: np.random.Generator
) -> Identification:
    numerology = find_numerology(channel, strangers, base)
    demodulated = [
        bits
        for name, members in numerology.bursts.items()
        for bits in (demodulate(t, numerology.cycles[name]) for t in members)
        if bits is not None
    ]
    if len(demodulated) < _FEWEST:
        findings, gaps = carrier_findings(numerology, base, _ROLES["not told"], ENOUGH)
        missing = missing_packets(0) - len(demodulated)
        gaps.append(Gap("packet", f"too few packets to compare: {len(demodulated)}", missing))
        measured = tuple(f for f in findings if f.confidence > 0)
        return Identification(len(bursts), len(demodulated), 0, 0, 0, measured, tuple(gaps), None)
    return _Learner(bursts, channel, numerology, demodulated, base, rng).result()


@dataclass(frozen=True, eq=False, slots=True)
class _Reading:
    """The packets' bits, differentially decoded or not, and how they may be cut into words."""

    differential: bool
    rows: PacketRows
    alignments: list[WordAlignment]


class _Learner:
    """From demodulated bursts to the result."""

    def __init__(
        self, bursts: list[Burst], channel: list[CarrierGroup], numerology: Numerology, demodulated: list[BurstBits],
        base: Profile, rng: np.random.Generator,
    ) -> None:  # fmt: skip
        self._bursts, self._channel, self._numerology, self._base, self._rng = bursts, channel, numerology, base, rng
        self._aligned: AlignedPackets = align(demodulated)
        self._packets = len(self._aligned.packets)
        self._transition: Transition = fit_transition(self._aligned.packets)
        self._start: Start = fit_start(self._aligned, self._transition)
        self._common = self._aligned.common_end(self._start.column) - self._start.column
        self._readings = []
        for differential in (False, True):
            rows = PacketRows(self._aligned, self._start.column, self._start.ramp_bits, differential)
            self._readings.append(_Reading(differential, rows, word_alignments(rows, self._common)))

    def result(self) -> Identification:
        """See `identify`."""
        gaps = self._pulse_gaps()
        for reading, framing in self._framings():
            if framing is not None:
                return self._finish(self._solved(reading.rows, framing), gaps)
        findings, carrier_gaps = carrier_findings(self._numerology, self._base, _ROLES["not told"], ENOUGH)
        best = self._readings[0].alignments[0]
        gaps = [*carrier_gaps, *gaps, self._why_unsolved(best)]
        bits = self._aligned.mean[self._start.column : self._start.column + self._common] > 0
        common = "".join(str(int(b)) for b in bits)
        notes = [f"bits common to all packets, or their inverse: {common}", self._quality()]
        if best.code.equations == EQUATIONS:
            text = ", ".join(equation_text(best.code))
            notes.append(f"equations of a word's bits b1..b{WORD_BITS}, up to inversion of all: {text}")
        measured = tuple(f for f in [*findings, *self._pulse_findings()] if f.confidence > 0)
        return Identification(len(self._bursts), self._packets, 0, 0, 0, measured, tuple(gaps), None, tuple(notes))

    def _framings(self) -> "list[tuple[_Reading, Framing | None]]":
        """The first way that fits: the known check sequence, then those of the catalogue, then any other."""
        for reading in self._readings:
            rows, alignments, differential = reading.rows, reading.alignments, reading.differential
            framing = solve_framing(rows, alignments, self._common, differential, self._base.crc, self._rng)
            if framing is not None:
                return [(reading, framing)]
        if self._packets < FEWEST_FOR_CHECK:
            return []
        for listed in (True, False):
            for reading in self._readings:
                alignments = [a for a in reading.alignments if a.code.holds >= _CODE_HOLDS]
                framing = solve_check(reading.rows, alignments, self._common, reading.differential, listed, self._rng)
                if framing is not None:
                    return [(reading, framing)]
        return []

    def _quality(self) -> str:
        ratio = float(np.median([p.esn0_db for p in self._aligned.packets]))
        return f"median Es/N0 of the packets: {ratio:.0f} dB"

    def _why_unsolved(self, best: WordAlignment) -> Gap:
        code = best.code
        if code.equations > EQUATIONS:
            # Two check octets of a packet bring two words that nobody chose; five more than dimensions miss 3 % of the time.
            more = -(-(code.equations - EQUATIONS + 5) // 2)
            reason = f"the {code.distinct} different words seen obey {code.equations} equations instead of {EQUATIONS}"
            return Gap("word code", f"{reason}: more different octets are needed", more)
        if code.equations < EQUATIONS:
            reason = f"words of {WORD_BITS} bits obey only {code.equations} equations instead of {EQUATIONS}"
            return Gap("word code", f"{reason}: too many bit errors, or another kind of code ({self._quality()})", ENOUGH)
        independent = independent_packets(self._readings[0].rows, best, self._common)
        missing = missing_packets(independent)
        if missing:
            reason = f"each packet gives 16 equations for 72 unknowns and for the proof, and of {self._packets} packets only "
            more = max(missing, -(-missing * self._packets // max(independent, 1)))
            return Gap("octets", reason + f"{independent} are no sums of others", more)
        reason = f"the words of the code are known ({100 * code.holds:.0f} % without error), but no linear map to octets makes "
        reason += "check sequences fit: "
        if independent < FEWEST_FOR_CHECK:
            reason += f"not {self._base.crc.name}, and for others to be tried, {FEWEST_FOR_CHECK} packets must be no sums of "
            reason += f"others, where {independent} are"
            return Gap("octets", reason, -(-(FEWEST_FOR_CHECK - independent) * self._packets // independent))
        reason += f"neither {self._base.crc.name} nor any other of 16 bits ({self._quality()})"
        return Gap("octets", reason, None if code.holds > 0.98 else ENOUGH)

    def _solved(self, rows: PacketRows, framing: Framing) -> Solved:
        head = np.array([row[: framing.header_bits] for row in rows.rows])
        header = (head.mean(axis=0) > 0).astype(np.uint8)
        header_agreement = float(((head > 0) == header).mean(axis=0).min())
        # Of several maps that fit, the one of fewest terms; a code with a name has few.
        table = min(framing.maps.tables, key=simplicity)
        written = write_code(table, not framing.differential, bool(header[0] == 0))
        lpdus = self._lpdus(rows, framing, table)
        tail = read_tail(rows, lpdus, framing, self._base.end_word)
        if written.inverted:
            header, tail = header ^ 1, tail.inverted()
        if framing.differential:
            header = header.copy()
            header[0] = 1
        return Solved(self._packets, framing, written, table, header, header_agreement, tail, lpdus)

    def _lpdus(self, rows: PacketRows, framing: Framing, table: NDArray[np.uint8]) -> dict[int, bytes]:
        """Packet -> its octets, of those that pass their check sequence."""
        octet_of = {word.tobytes(): octet for octet, word in enumerate(table)}
        octets = bytes(octet_of[word.tobytes()] for word in framing.code.words)
        lpdus = {}
        for index in range(self._packets):
            soft = rows.words(index, framing.header_bits, framing.end_words)
            lpdu = bytes(octets[word] for word in framing.code.nearest(soft))
            if framing.crc.ok(lpdu):
                lpdus[index] = lpdu
        return lpdus

    def _alternate(self, lpdus: dict[int, bytes], bit: int) -> float | None:
        """Share of the packets whose first octet has `bit` set just on the secondary carrier; None where nothing changes."""
        secondary = {id(t) for t in self._numerology.bursts.get("secondary", [])}
        carrier = np.array([id(self._aligned.packets[index].tuned) in secondary for index in lpdus], bool)
        flag = np.array([lpdu[0] >> bit & 1 for lpdu in lpdus.values()], bool)
        if carrier.size == 0 or carrier.all() or not carrier.any() or flag.all() or not flag.any():
            return None
        return float((flag == carrier).mean())

    def _octet_order(self, solved: Solved) -> Solved:
        """Of an unknown check sequence and its mirror image, the one under which the alternate-path bit is where it belongs."""
        if solved.framing.crc == self._base.crc:
            return solved
        as_is, turned = (self._alternate(solved.lpdus, bit) for bit in (_ALTERNATE_BIT, 7 - _ALTERNATE_BIT))
        told = [share is not None and min(share, 1 - share) < 0.1 for share in (as_is, turned)]
        if told[0] == told[1]:
            return replace(solved, order_sure=0.5)
        if told[0]:
            return replace(solved, order_sure=_ORDER_TOLD)
        table = solved.table[REVERSED]
        written = write_code(table, not solved.framing.differential, solved.written.inverted)
        flip = np.uint8(written.inverted != solved.written.inverted)
        return replace(
            solved, framing=replace(solved.framing, crc=mirror_image(solved.framing.crc)), table=table, written=written,
            header=solved.header ^ flip, tail=solved.tail.inverted() if flip else solved.tail, order_sure=_ORDER_TOLD,
            lpdus={index: bytes(int(REVERSED[octet]) for octet in lpdu) for index, lpdu in solved.lpdus.items()},
        )  # fmt: skip

    def _roles(self, solved: Solved) -> float:
        """Probability that primary and secondary are not exchanged; exchanges them where the octets say so."""
        known = self._numerology.clock.known
        roles = _ROLES if known else _ROLES_OF_OTHERS
        one = len(self._numerology.bursts) == 1
        agreement = self._one_sided(solved) if one else self._alternate(solved.lpdus, _ALTERNATE_BIT)
        if agreement is None:
            return roles["not told"]
        if min(agreement, 1 - agreement) > 0.1 or (one and known and agreement < 0.5):
            return roles["contradictory"]
        if agreement < 0.5:
            exchanged = one or self._numerology.cycles["primary"] > self._numerology.cycles["secondary"]
            self._numerology = find_numerology(self._channel, self._numerology.strangers, self._base, exchanged)
        return roles["told by one" if one else "told"]

    def _one_sided(self, solved: Solved) -> float | None:
        """With one carrier: share of the packets whose alternate-path bit is that of its name; None where it is not known."""
        if solved.framing.crc != self._base.crc or not solved.lpdus:
            return None  # the octets could be turned end for end
        flag = np.array([lpdu[0] >> _ALTERNATE_BIT & 1 for lpdu in solved.lpdus.values()], bool)
        return float((flag == ("secondary" in self._numerology.bursts)).mean())

    def _pulse_gaps(self) -> list[Gap]:
        t, gaps = self._transition, []
        if not t.modelled:
            reason = f"{100 * (1 - t.explained):.2g} % of the response to a bit fits no transition time: it is another pulse, "
            gaps.append(Gap("pulse.alpha", reason + f"to which {t.alpha:g} comes nearest"))
        elif t.uncertainty > _ALPHA_WANTED:
            more = round(self._packets * (t.uncertainty / _ALPHA_WANTED) ** 2) - self._packets
            gaps.append(Gap("pulse.alpha", f"{t.alpha:g} is known to {t.uncertainty:g} bit times only", max(more, 1)))
        if self._aligned.rejected:
            gaps.append(Gap("bursts", f"{self._aligned.rejected} bursts begin unlike the others and were left out"))
        return gaps

    def _pulse_findings(self) -> list[Finding]:
        t, s = self._transition, self._start
        evidence = f"mean response of {self._packets} packets to a bit, +-{t.uncertainty:g} bit times"
        sure = t.explained if t.modelled else min(t.explained, _OTHER_PULSE)
        return [
            Finding.measured("pulse.alpha", t.alpha, min(sure, 1.0 - t.uncertainty / 2), evidence),
            Finding.measured("pulse.ramp_bits", s.ramp_bits, s.explained, f"mean beginning of {self._packets} packets"),
        ]

    def _finish(self, solved: Solved, gaps: list[Gap]) -> Identification:
        solved = self._octet_order(solved)
        roles_sure = self._roles(solved)
        carriers, carrier_gaps = carrier_findings(self._numerology, self._base, roles_sure, ENOUGH)
        differential, packet = packet_findings(solved, self._base)
        level = Finding.assumed("level.transmit_vpp", self._base.constants["level.transmit_vpp"])
        findings = [*carriers, *self._pulse_findings(), differential, *packet, level]
        gaps = [*carrier_gaps, *gaps, *code_gaps(solved)]
        words = "Bits of a word in the order they are sent: " + ", ".join(solved.written.equations)
        notes = ["Learnt from recordings. Grades: C measured, D doubtful or our own choice; others as their source says.",
                 words, self._quality().capitalize()]  # fmt: skip
        notes += [f"Open: {gap.subject}: {gap.reason}" for gap in gaps]
        n, passed = self._packets, solved.framing.maps.packets
        content = profile_text("learnt", f"learnt from {n} packets, {passed} of them with a good CRC", findings, notes)
        tried, received = self._received(content)
        if received < 0.9 * tried * solved.share:
            reason = f"it decodes only {received} of {tried} packets with this profile; an end word that is a word of the code, "
            gaps.append(Gap("receiver", reason + "or a header that resembles itself when shifted, can be the cause"))
        return Identification(
            len(self._bursts), n, passed, tried, received, tuple(findings), tuple(gaps), content, (words, self._quality())
        )

    def _received(self, content: str) -> tuple[int, int]:
        """How many bursts were given to the ordinary receiver with the new profile, and how many it decodes."""
        profile = Profile.from_text(content, "learnt")
        receivers: dict[float, Receiver] = {}
        packets = self._aligned.packets[:: -(-self._packets // _CONFIRMED)]
        good = 0
        for packet in packets:
            burst = packet.tuned.burst
            if burst.sample_rate not in receivers:
                receivers[burst.sample_rate] = Receiver(profile, burst.sample_rate)
            receiver = receivers[burst.sample_rate]
            receiver.reset()
            good += any(p.crc_ok for p in [*receiver.push(burst.x), *receiver.flush()])
        return len(packets), good
