"""What a campaign has found: one row for each point and receiver, with bounds and theory beside it; as Parquet."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from scipy.stats import binomtest

from phy.measure import ErrorCount, loss_db

from ..errors import CampaignError
from .plan import Plan, mean_airtime
from .runner import PointState

PARQUET: Final = "results.parquet"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a result comes from: text of the specification, seed, version of the code, command line.

    stages: file -> text of stages of one's own, as JSON; empty without any.
    """

    title: str
    spec: str
    seed: int
    version: str
    command: str
    stages: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One point of one receiver.

    Attributes:
        point: its number. coordinates: axis -> value. receiver: name. esn0_db, octets, code, copies: of the point.
        packets, errors, packet_error_ratio, low, high: with the bounds of the confidence interval (Clopper and Pearson) of
            probability confidence.
        ideal: packet error ratio of ideal soft decoding of this word code in white noise at this Es/N0, the words' bits taken at
            their own power, words_above_mean_db over the packet's mean; several copies as one packet of their energy together.
        loss_db, loss_low_db, loss_high_db: Es/N0 less that at which the ideal has this ratio; infinite where it is not bounded.
        missed, residual, false: see Tally. stopped_by: errors, confidence, trials, or "" while the point is not done.
        only_first, only_this: packets that only the first receiver, or only this one, delivered of the same noise; without a
            waveform None, as packets are not told apart there.
        same_p: probability of a split as uneven as that between equal receivers (exact McNemar test); None without a waveform.
        words, word_errors, channel_bits, channel_bit_errors: without a waveform. line_s: seconds of line.
    """

    point: int
    coordinates: dict[str, Any]
    receiver: str
    esn0_db: float
    octets: int
    code: str
    copies: int
    packets: int
    errors: int
    packet_error_ratio: float
    low: float
    high: float
    confidence: float
    ideal: float
    words_above_mean_db: float
    loss_db: float
    loss_low_db: float
    loss_high_db: float
    missed: int
    residual: int
    false: int
    only_first: int | None
    only_this: int | None
    same_p: float | None
    words: int
    word_errors: int
    channel_bits: int
    channel_bit_errors: int
    line_s: float
    stopped_by: str

    def flat(self) -> dict[str, Any]:
        """The row with a column for each axis; coordinates that are lists or tables as JSON."""
        values = asdict(self)
        values.pop("coordinates")
        axes = {f"axis.{name}": v if isinstance(v, (int, float, str)) else json.dumps(v) for name, v in self.coordinates.items()}
        return {"point": values.pop("point"), **axes, **values}


def rows(plan: Plan, states: Sequence[PointState]) -> Iterator[Row]:
    """Rows of every point that has at least one counted unit, in order."""
    confidence = plan.rule.confidence
    for point, state in zip(plan.campaign.points, states, strict=True):
        setup = state.setup
        for k, tally in enumerate(state.totals):
            count = ErrorCount(tally.errors, state.packets)
            low, high = count.interval(confidence)
            loss = loss_db(count, setup.esn0_db, setup.ideal, confidence=confidence)
            only_first, only_this = state.paired[k]
            split = only_first + only_this
            same_p = float(binomtest(only_this, split).pvalue) if split else 1.0
            told = (only_first, only_this, same_p) if setup.kind == "waveform" else (None, None, None)
            yield Row(
                point=point.index,
                coordinates=point.coordinates,
                receiver=setup.receivers[k].name,
                esn0_db=setup.esn0_db,
                octets=setup.octets,
                code=setup.code.name,
                copies=setup.copies,
                packets=state.packets,
                errors=tally.errors,
                packet_error_ratio=count.ratio,
                low=low,
                high=high,
                confidence=confidence,
                ideal=setup.ideal(setup.esn0_db),
                words_above_mean_db=setup.words_above_mean_db,
                loss_db=loss.value_db,
                loss_low_db=loss.low_db,
                loss_high_db=loss.high_db,
                missed=tally.missed,
                residual=tally.residual,
                false=tally.false,
                only_first=told[0],
                only_this=told[1],
                same_p=told[2],
                words=tally.words,
                word_errors=tally.word_errors,
                channel_bits=tally.channel_bits,
                channel_bit_errors=tally.channel_bit_errors,
                line_s=state.packets * mean_airtime(setup),
                stopped_by=state.reason or "",
            )


def json_line(row: Row) -> str:
    """A row as one JSON object; what is infinite or unknown is null."""
    values = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(row).items()}
    return json.dumps(values)


def write_parquet(path: Path, found: Sequence[Row], provenance: Provenance) -> None:
    """Write the rows; the provenance is in the schema's metadata. A reader never sees half a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list[Any]] = {}
    for row in found:
        for name, value in row.flat().items():
            columns.setdefault(name, []).append(value)
    for name, values in columns.items():  # an axis may mix numbers, words, lists and truth values; unknown counts are empty
        kinds = {type(v) for v in values} - {type(None)}
        if len(kinds) > 1 and not kinds <= {int, float}:
            columns[name] = [str(v) for v in values]
    unknown = {name: pa.float64() if name == "same_p" else pa.int64() for name in columns}  # where a column has no value at all
    arrays = {
        name: pa.array(values, None if any(v is not None for v in values) else unknown[name]) for name, values in columns.items()
    }
    metadata = {f"osgp_sdr.{key}": str(value) for key, value in asdict(provenance).items()}
    partial = path.with_name(path.name + ".partial")
    try:
        pq.write_table(pa.table(arrays).replace_schema_metadata(metadata), partial)
        partial.replace(path)
    except OSError as error:
        raise CampaignError(f"{path}: cannot write: {error.strerror or error}; what was computed is kept") from None
