"""The whole recipe: bursts -> carriers -> bits -> header -> words -> octets -> a profile, with what remains open."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..profile import Profile
from ..receiver import Receiver
from .bursts import Burst
from .carriers import group_carriers, tune
from .codenames import WrittenCode, simplicity, write_code
from .demodulate import BurstBits, demodulate
from .framing import Framing, PacketRows, WordAlignment, solve_framing, word_alignments
from .header import AlignedPackets, align
from .numerology import Numerology, find_numerology
from .octetmap import SEED_PACKETS
from .pulse import Start, Transition, fit_start, fit_transition
from .report import Finding, Gap, Identification, profile_text
from .wordcode import EQUATIONS, WORD_BITS

BASE: Final = "pl20a"  # profile from which the constants are taken that recordings do not show
ENOUGH: Final = 32  # packets from which nothing is left to chance
_CONFIRMED: Final = 40  # packets at most that the ordinary receiver is tried on
_ALPHA_WANTED: Final = 0.15  # bit times; the receiver does not notice less
_FEWEST: Final = 4  # packets below which not even their beginnings can be compared


def identify(bursts: list[Burst], seed: int = 1) -> Identification:
    """Learn a line's constants.

    Args:
        bursts: of one line, in any order, from recordings of any sample rates. seed: of the random choice of packets to begin
            with; the result does not depend on it unless the recordings are very poor.
    """
    base = Profile.load(BASE)
    tuned = [t for t in map(tune, bursts) if t is not None]
    groups = group_carriers(tuned)
    if not groups:
        reason = "no burst of energy" if not bursts else f"none of {len(bursts)} bursts is BPSK with a steady bit rate"
        return Identification(len(bursts), 0, 0, 0, 0, (), (Gap("carriers", reason, ENOUGH),), None)
    numerology = find_numerology(groups, base)
    demodulated = [
        bits
        for name, members in numerology.bursts.items()
        for bits in (demodulate(t, numerology.cycles[name]) for t in members)
        if bits is not None
    ]
    if len(demodulated) < _FEWEST:
        findings, gaps = _carrier_findings(numerology, base, len(demodulated))
        gaps.append(Gap("packet", f"only {len(demodulated)} packets, too few to compare", ENOUGH - len(demodulated)))
        return Identification(len(bursts), len(demodulated), 0, 0, 0, tuple(findings), tuple(gaps), None)
    return _Learner(bursts, numerology, demodulated, base, np.random.default_rng(seed)).result()


@dataclass(frozen=True, eq=False, slots=True)
class _Solved:
    """What the packets' bits mean."""

    rows: PacketRows
    framing: Framing
    written: WrittenCode
    table: NDArray[np.uint8]
    header: NDArray[np.uint8]
    header_agreement: float
    end_word: NDArray[np.uint8]
    end_agreement: float


class _Learner:
    """From demodulated bursts to the result."""

    def __init__(
        self, bursts: list[Burst], numerology: Numerology, demodulated: list[BurstBits], base: Profile, rng: np.random.Generator
    ) -> None:
        self._bursts, self._numerology, self._base, self._rng = bursts, numerology, base, rng
        self._aligned: AlignedPackets = align(demodulated)
        self._packets = len(self._aligned.packets)
        self._transition: Transition = fit_transition(self._aligned.packets)
        self._start: Start = fit_start(self._aligned, self._transition.alpha)
        self._common = self._aligned.common_end(self._start.column) - self._start.column

    def result(self) -> Identification:
        """See `identify`."""
        findings, gaps = _carrier_findings(self._numerology, self._base, self._packets)
        findings += self._pulse_findings(gaps)
        if self._aligned.rejected:
            gaps.append(Gap("bursts", f"{self._aligned.rejected} bursts begin unlike the others and were left out"))
        best: list[WordAlignment] = []
        for differential in (False, True):
            rows = PacketRows(self._aligned, self._start.column, self._start.ramp_bits, differential)
            alignments = word_alignments(rows, self._common)
            framing = solve_framing(rows, alignments, self._common, differential, self._base.crc, self._rng)
            if framing is not None:
                return self._finish(self._solved(rows, framing), findings, gaps)
            best = best or alignments
        gaps.append(self._why_unsolved(best[0]))
        bits = self._aligned.mean[self._start.column : self._start.column + self._common] > 0
        common = "".join(str(int(b)) for b in bits)
        notes = (f"bits common to all packets, or their inverse: {common}",)
        return Identification(
            len(self._bursts), self._packets, 0, 0, 0, tuple(f for f in findings if f.confidence > 0), tuple(gaps), None, notes
        )

    def _why_unsolved(self, best: WordAlignment) -> Gap:
        more = max(ENOUGH - self._packets, 8)
        if best.code.equations > EQUATIONS:
            reason = f"the {best.code.distinct} different words seen obey {best.code.equations} equations instead of {EQUATIONS}"
            return Gap("word code", f"{reason}: more different octets are needed", more)
        if best.code.equations < EQUATIONS:
            reason = f"words of {WORD_BITS} bits obey only {best.code.equations} equations instead of {EQUATIONS}"
            return Gap("word code", f"{reason}: too many bit errors, or another kind of code", more)
        if self._packets < SEED_PACKETS:
            reason = f"each packet gives 16 equations for 72 unknowns, and there are only {self._packets} packets"
            return Gap("octets", reason, SEED_PACKETS + 2 - self._packets)
        reason = "the words of the code are known, but no linear map to octets makes the check sequences fit"
        return Gap("octets", reason, more)

    def _solved(self, rows: PacketRows, framing: Framing) -> _Solved:
        aligned = self._aligned
        head = np.array([row[: framing.header_bits] for row in rows.rows])
        header = (head.mean(axis=0) > 0).astype(np.uint8)
        header_agreement = float(((head > 0) == header).mean(axis=0).min())
        tails = []
        for index in range(len(aligned.packets)):
            words = rows.words(index, framing.header_bits)
            if framing.end_words and words.shape[0] > framing.end_words:
                tails += [words[-k - 1] for k in range(framing.end_words)]
        tail = np.array(tails).reshape(-1, WORD_BITS)
        end_word = (tail.mean(axis=0) > 0).astype(np.uint8) if tails else self._base.end_word
        end_agreement = float(((tail > 0) == end_word).mean(axis=0).min()) if tails else 1.0
        # Of several maps that fit, the one of fewest terms; a code with a name has few.
        table = min(framing.maps.tables, key=simplicity)
        written = write_code(table, not framing.differential, bool(header[0] == 0))
        if written.inverted:
            header, end_word = header ^ 1, (end_word ^ 1 if tails else end_word)
        if framing.differential:
            header = header.copy()
            header[0] = 1
        return _Solved(rows, framing, written, table, header, header_agreement, end_word.astype(np.uint8), end_agreement)

    def _pulse_findings(self, gaps: list[Gap]) -> list[Finding]:
        t, s = self._transition, self._start
        if t.uncertainty > _ALPHA_WANTED:
            more = round(self._packets * (t.uncertainty / _ALPHA_WANTED) ** 2) - self._packets
            gaps.append(Gap("pulse.alpha", f"{t.alpha:g} is known to {t.uncertainty:g} bit times only", max(more, 1)))
        alpha = Finding.measured(
            "pulse.alpha", t.alpha, min(t.explained, 1.0 - t.uncertainty / 2),
            f"mean response of {self._packets} packets to a bit, +-{t.uncertainty:g} bit times",
        )  # fmt: skip
        ramp = Finding.measured("pulse.ramp_bits", s.ramp_bits, s.explained, f"mean beginning of {self._packets} packets")
        return [alpha, ramp]

    def _finish(self, solved: _Solved, findings: list[Finding], gaps: list[Gap]) -> Identification:
        framing, maps = solved.framing, solved.framing.maps
        n, known = self._packets, self._base.constants
        share = maps.packets / max(1, maps.packets + maps.refused)
        passed = f"{maps.packets} of {maps.packets + maps.refused} packets pass their check sequence"
        sync = WORD_BITS if framing.header_bits >= WORD_BITS + 4 else framing.header_bits // 2
        text = "".join(map(str, solved.header))
        header_sure = min(solved.header_agreement, 1 - 2.0 ** (1 - n))
        header_evidence = f"{n} packets, bits agree in at least {100 * solved.header_agreement:.0f} %"
        unique = share / len(maps.tables)
        lengths = self._good_lengths(solved)
        shortest, longest = min(lengths), max(lengths)
        base_min, base_max = known["packet.min_octets"], known["packet.max_octets"]
        packet = [
            Finding.measured("packet.preamble", text[:-sync], header_sure, header_evidence),
            Finding.measured("packet.sync", text[-sync:], header_sure, header_evidence + "; the last word of what is common"),
            Finding.measured("packet.bit_order", "lsb" if solved.written.lsb_first else "msb", unique,
                             "written so that the code becomes simple; see code"),
            Finding.measured("packet.code", solved.written.value, unique,
                             f"{framing.code.distinct} different words obey {framing.code.equations} equations; {passed}"),
            Finding.measured("packet.inversion", "".join(map(str, solved.written.inversion)), unique, "part of the code"),
            Finding.measured("packet.end_word", "".join(map(str, solved.end_word)), solved.end_agreement * share,
                             f"{n} packets, bits agree in at least {100 * solved.end_agreement:.0f} %")
            if framing.end_words else Finding.assumed("packet.end_word", known["packet.end_word"]),
            Finding.measured("packet.end_words", framing.end_words, share, f"words behind the check sequence; {passed}"),
            Finding.measured("packet.crc", self._base.crc.name, share, f"{passed} under it"),
            Finding.assumed("packet.min_octets", base_min) if shortest >= base_min.value
            else Finding.measured("packet.min_octets", shortest, share, "shortest packet seen"),
            Finding.assumed("packet.max_octets", base_max) if longest <= base_max.value
            else Finding.measured("packet.max_octets", longest, share, "longest packet seen"),
        ]  # fmt: skip
        differential = Finding.measured("pulse.differential", framing.differential, share, passed)
        carriers = [f for f in findings if f.key.startswith("carrier.")]
        pulse = [f for f in findings if f.key.startswith("pulse.")]
        level = Finding.assumed("level.transmit_vpp", known["level.transmit_vpp"])
        findings = [*carriers, *pulse, differential, *packet, level]
        gaps += self._code_gaps(solved)
        notes = ["Learnt from recordings. Grades: C measured, D doubtful or our own choice; others as their source says.",
                 "Bits of a word in the order they are sent: " + ", ".join(solved.written.equations)]  # fmt: skip
        notes += [f"Open: {gap.subject}: {gap.reason}" for gap in gaps]
        content = profile_text("learnt", f"learnt from {n} packets, {maps.packets} of them with a good CRC", findings, notes)
        tried, received = self._received(content)
        if received < 0.9 * tried * share:
            reason = f"it decodes only {received} of {tried} packets with this profile; an end word that is a word of the code, "
            gaps.append(Gap("receiver", reason + "or a header that resembles itself when shifted, can be the cause"))
        return Identification(
            len(self._bursts), n, maps.packets, tried, received, tuple(findings), tuple(gaps), content,
            (notes[1],),
        )  # fmt: skip

    def _good_lengths(self, solved: _Solved) -> list[int]:
        """Octets of each packet that passes its check sequence."""
        framing = solved.framing
        octet_of = {word.tobytes(): octet for octet, word in enumerate(solved.table)}
        lengths = []
        for index in range(self._packets):
            soft = solved.rows.words(index, framing.header_bits, framing.end_words)
            lpdu = bytes(octet_of[word.tobytes()] for word in framing.code.words[framing.code.nearest(soft)])
            if self._base.crc.ok(lpdu):
                lengths.append(len(lpdu))
        return lengths

    def _code_gaps(self, solved: _Solved) -> list[Gap]:
        maps, n = solved.framing.maps, self._packets
        gaps = []
        if maps.undetermined:
            reason = f"{2**maps.undetermined} maps from words to octets fit all check sequences; that of fewest terms was taken"
            gaps.append(Gap("packet.code", reason, max(2 * maps.undetermined, 4)))
        if not solved.framing.differential:
            reason = "the same packets with all bits inverted look alike; taken so that the code is simple, or the first bit 1"
            gaps.append(Gap("polarity", reason))
        reason = "turning the bit order and the code's table together changes nothing on the line; "
        if solved.written.lsb_first:
            reason += "lsb was taken, because the code is simpler then"
        else:
            reason += "msb was taken" + (", because the code is simpler then" if isinstance(solved.written.value, str) else "")
        gaps.append(Gap("packet.bit_order", reason))
        gaps.append(Gap("packet.sync", "where the preamble ends and the sync word begins does not show; both are sent alike"))
        if solved.framing.end_words == 0:
            gaps.append(Gap("packet.end_word", "no end word is sent"))
        if n < ENOUGH:
            gaps.append(Gap("confidence", f"all of this rests on {n} packets", ENOUGH - n))
        return gaps

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


def _carrier_findings(numerology: Numerology, base: Profile, packets: int) -> tuple[list[Finding], list[Gap]]:
    """Findings of the section [carrier] and what is open about them."""
    known, clock = base.constants, numerology.clock
    seen = {name: len(bursts) for name, bursts in numerology.bursts.items()}
    count = sum(seen.values())
    gaps: list[Gap] = []
    rival = min((abs(o.middle_ppm) for o in numerology.others), default=np.inf)
    sure = 0.97 if np.isinf(rival) else 0.5 + 0.45 * min(1.0, max(0.0, rival - abs(clock.middle_ppm)) / 300.0)
    few = min(1.0, count / 8)
    if numerology.fitted:
        evidence = f"{count} bursts, bit rate {numerology.bit_rate:.3f} Hz, clocks {clock.middle_ppm:+.0f} ppm"
    else:
        sure = 0.4
        evidence = f"{count} bursts, the measured carrier itself: no known crystal divides to it"
        reason = "no known crystal with a whole divider fits; the measured frequency was taken"
        gaps.append(Gap("carrier.master_clock_hz", reason, 8))
    if not numerology.coherent:
        reason = "the carrier is not a whole number of cycles per bit: another kind of line, or a poor recording"
        gaps.append(Gap("carrier cycles per bit", reason, ENOUGH))
    if numerology.others:
        others = ", ".join(str(o) for o in numerology.others)
        reason = f"{clock} was taken, but {others} fits as well within the stations' tolerance; more stations would tell"
        gaps.append(Gap("carrier.master_clock_hz", reason, ENOUGH))
    findings = [
        Finding.measured("carrier.master_clock_hz", clock.master_clock_hz, sure * few, evidence),
        Finding.measured("carrier.clocks_per_cycle", clock.clocks_per_cycle, sure * few, evidence),
    ]
    for name in ("primary", "secondary"):
        key, cycles = f"carrier.{name}_cycles_per_bit", numerology.cycles[name]
        value = int(cycles) if cycles == int(cycles) else round(cycles, 6)
        if name in seen:
            findings.append(
                Finding.measured(key, value, few * (1 - min(1.0, 4 * numerology.cycles_error)),
                                 f"{seen[name]} bursts, carrier over bit rate is whole to {numerology.cycles_error:.4f}")
            )  # fmt: skip
        else:
            findings.append(Finding.assumed(key, known[key], value))
            gaps.append(Gap(f"{name} carrier", f"no packet was seen on it; {value} cycles per bit are assumed", ENOUGH))
    if numerology.strangers:
        gaps.append(Gap("carriers", f"{numerology.strangers} bursts have another bit rate or a third carrier and were left out"))
    spread = numerology.spread_ppm
    findings.append(Finding.assumed("carrier.tolerance_ppm", known["carrier.tolerance_ppm"]))
    findings.append(Finding.assumed("carrier.search_ppm", known["carrier.search_ppm"]))
    gaps.append(Gap("carrier.tolerance_ppm", f"the packets seen differ by {2 * spread:.0f} ppm; what is allowed does not show"))
    gaps.append(Gap("level.transmit_vpp", "a recording shows what arrives, not what is sent"))
    return findings, gaps
