"""What becomes of a frame, read from the modem's own measured error curves (`error_table.toml`).

The table is written by `benchmarks/error_table.py` with the complete receiver. It holds counts, not rates: of each point
how many packets were sent, how many failed their CRC and how many went unnoticed. Between points the logarithm of the
loss is interpolated, in Es/N0 or signal-to-other-signal ratio (dB) and in the logarithm of the length.
"""

import hashlib
import math
import tomllib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final

from .errors import FlowgraphError

FORMAT: Final = 1
SHIPPED: Final = Path(__file__).with_name("error_table.toml")
_HALF: Final = 0.5  # what a point without a single loss, or with nothing but losses, is taken to have had
_MARK: Final = "# of everything below this line\n"


@dataclass(frozen=True, slots=True)
class Loss:
    """How a frame fails.

    Attributes:
        failed: probability that it ends with a bad CRC.    missed: that nobody notices it.
    """

    failed: float
    missed: float

    @property
    def total(self) -> float:
        """Packet error rate."""
        return self.failed + self.missed


@dataclass(frozen=True, slots=True)
class Curve:
    """Losses against dB, increasing in dB; below the first point all is lost, above the last as there."""

    at_db: tuple[float, ...]
    log_loss: tuple[float, ...]
    missed_share: tuple[float, ...]
    lossless_from: float  # dB from which no point lost anything

    @classmethod
    def of(cls, at_db: Sequence[float], sent: Sequence[int], failed: Sequence[int], missed: Sequence[int]) -> "Curve":
        """From counts."""
        losses, shares = [], []
        lossless_from = math.inf
        for at, n, bad, lost in zip(at_db, sent, failed, missed, strict=True):
            losses.append(math.log(min(max(bad + lost, _HALF), n) / n))
            shares.append(lost / (bad + lost) if bad + lost else 0.0)
            lossless_from = math.inf if bad + lost else min(lossless_from, at)
        return cls(tuple(at_db), tuple(losses), tuple(shares), lossless_from)

    def at(self, db: float) -> tuple[float, float]:
        """(log of the loss, share of it that is not even noticed)."""
        points = self.at_db
        if db >= self.lossless_from:
            return -math.inf, 0.0
        if db <= points[0]:
            return self.log_loss[0], self.missed_share[0]
        if db >= points[-1]:
            return self.log_loss[-1], self.missed_share[-1]
        k = bisect_right(points, db)
        w = (db - points[k - 1]) / (points[k] - points[k - 1])
        return (
            (1 - w) * self.log_loss[k - 1] + w * self.log_loss[k],
            (1 - w) * self.missed_share[k - 1] + w * self.missed_share[k],
        )

    def loss(self, db: float) -> Loss:
        """Losses at `db`."""
        log_loss, share = self.at(db)
        loss = math.exp(log_loss)
        return Loss(loss * (1 - share), loss * share)


@dataclass(frozen=True, eq=False)
class ErrorTable:
    """The curves of one profile.

    Attributes:
        profile: its name.    version, seed: of the measurement.
        octets: lengths (LPDU with CRC) of the curves in white noise.    white: one curve for each.
        together, first, second: curves against wanted over other signal, dB, of two frames that start together, of the
            first and of the second of two that do not.
        sense_esn0_db: Es/N0 from which at least half of all packets are sensed within `sense_limit_bits`.
        sense_bits: bit times from the start of a strong packet until it is sensed.
        release_bits: bit times from the end of a strong packet until the line is taken for free.
    """

    profile: str
    version: str
    seed: int
    octets: tuple[int, ...]
    white: tuple[Curve, ...]
    together: Curve
    first: Curve
    second: Curve
    sense_esn0_db: float
    sense_bits: float
    release_bits: float

    SENSE_LIMIT_BITS: ClassVar[float] = 10.0

    @lru_cache(maxsize=4096)  # noqa: B019 -- tables are few and live as long as the program
    def loss(self, esn0_db: float, octets: int) -> Loss:
        """Losses in white noise.

        Args:
            esn0_db: of the mean packet power, dB.    octets: of the LPDU with its CRC.
        """
        lengths = self.octets
        if octets <= lengths[0]:
            return self.white[0].loss(esn0_db)
        k = min(bisect_right(lengths, octets), len(lengths) - 1)
        low, high = self.white[k - 1], self.white[k]
        w = math.log(octets / lengths[k - 1]) / math.log(lengths[k] / lengths[k - 1])
        (a, share_a), (b, share_b) = low.at(esn0_db), high.at(esn0_db)
        if math.isinf(a) or math.isinf(b):
            # Lossless at one of the two lengths: the longer one's loss, shared out over the octets.
            log_loss = b if math.isinf(a) else a
            share = share_b if math.isinf(a) else share_a
            loss = math.exp(log_loss) * min(1.0, octets / lengths[k])
        else:
            loss, share = math.exp(min(0.0, (1 - w) * a + w * b)), min(1.0, max(0.0, (1 - w) * share_a + w * share_b))
        return Loss(loss * (1 - share), loss * share)

    def esn0_for(self, per: float, octets: int) -> float:
        """Es/N0 at which a packet is lost with probability `per`, dB."""
        low, high = self.white[0].at_db[0] - 1.0, self.white[0].at_db[-1] + 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.loss(middle, octets).total > per else (low, middle)
        return low


def digest(body: str) -> str:
    """What the head of the file says about the rest of it."""
    return hashlib.sha256(body.encode()).hexdigest()[:16]


@cache
def load_table(profile: str, path: Path = SHIPPED) -> ErrorTable:
    """The curves of a profile.

    Raises:
        FlowgraphError: the file cannot be read, was changed after it was measured, has another format, or lacks the profile.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FlowgraphError(f"{path}: no error table: {error}") from None
    if document.get("format") != FORMAT:
        raise FlowgraphError(f"{path}: error table of format {document.get('format')}, expected {FORMAT}")
    if digest(text.partition(_MARK)[2]) != document.get("sha256"):
        raise FlowgraphError(f"{path}: the numbers do not fit their sha256; measure again: python benchmarks/error_table.py")
    if not isinstance(document.get(profile), dict):
        known = ", ".join(name for name, value in document.items() if isinstance(value, dict))
        raise FlowgraphError(f"{path}: has no profile {profile!r}, only {known}")
    try:
        return _table(profile, document)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise FlowgraphError(f"{path}: {profile}: {type(error).__name__}: {error}") from None


def _table(profile: str, document: Mapping[str, Any]) -> ErrorTable:
    part = document[profile]
    white, sense = part["white"], part["sense"]
    curves = [
        Curve.of(white["esn0_db"], sent, failed, missed)
        for sent, failed, missed in zip(white["sent"], white["failed"], white["missed"], strict=True)
    ]
    if len(curves) != len(white["octets"]) or sorted(white["esn0_db"]) != white["esn0_db"]:
        raise ValueError("one row for each number of octets, and rising Es/N0, expected")

    def collision(kind: str, name: str) -> Curve:
        row = part[kind][name]
        return Curve.of(row["sir_db"], row["sent"], row["failed"], row["missed"])

    return ErrorTable(
        profile=profile,
        version=str(document["version"]),
        seed=int(document["seed"]),
        octets=tuple(white["octets"]),
        white=tuple(curves),
        together=_merged(collision("together", "first"), collision("together", "second")),
        first=collision("apart", "first"),
        second=collision("apart", "second"),
        sense_esn0_db=_sense_threshold(sense),
        sense_bits=float(sense["late_bits"][-1]),
        release_bits=float(sense["release_bits"][-1]),
    )


def _merged(a: Curve, b: Curve) -> Curve:
    """Mean of two curves on the same points: of two that start together, either may be the wanted one."""
    losses = [math.log((math.exp(x) + math.exp(y)) / 2) for x, y in zip(a.log_loss, b.log_loss, strict=True)]
    shares = [(x + y) / 2 for x, y in zip(a.missed_share, b.missed_share, strict=True)]
    return Curve(a.at_db, tuple(losses), tuple(shares), max(a.lossless_from, b.lossless_from))


def _sense_threshold(sense: Mapping[str, Any]) -> float:
    """Lowest measured Es/N0 from which on half of the packets are sensed in time to matter."""
    threshold = math.inf
    for at, median, never in reversed(list(zip(sense["esn0_db"], sense["median_bits"], sense["never"], strict=True))):
        if never * 2 > sense["sent"] or not 0 <= median <= ErrorTable.SENSE_LIMIT_BITS:
            break
        threshold = float(at)
    return threshold
