"""What [line] of a specification says, for one point: a scenario, or a path, the background and further sources."""

import inspect
from collections.abc import Iterable
from typing import Any, Final

from phy.channel import SOURCES, scenario_names
from phy.channel.line_noise import ELEMENTS

from .line import LineSetup, NoiseSource, PathElement
from .spec import Campaign, KeyPath, Point

LEVELS: Final = ("reference_v", "amplitude_v", "rms_v")  # parameters that `over` may set, the first one that a source has
_NOT_THEIRS: Final = frozenset({"sample_rate", "seed", "stream", "first_sample", "name", "changes"})  # of a source


def line_setup(campaign: Campaign, point: Point) -> LineSetup:
    """The scenario, or the path and the sources. Raises CampaignError with file, line and key."""
    line = point.values.line
    if line.scenario is None:
        sources = []
        for k, item in enumerate(line.noise):
            kind = _kind(campaign, point, ("line", "noise", k), item, SOURCES)
            for key in _NOT_THEIRS & item.keys():
                raise campaign.error(("line", "noise", k, key), "is set by the campaign for every source and unit", point)
            sources.append(_noise(campaign, point, k, kind, item))
        path = tuple(_path_element(campaign, point, k, item) for k, item in enumerate(line.path))
        return LineSetup(None, line.background_density_v, tuple(sources), path)
    if line.scenario not in scenario_names():
        problem = f"must be one of {', '.join(scenario_names())}, got {line.scenario!r}"
        raise campaign.error(("line", "scenario"), problem, point)
    for key in ("noise", "path", "background_density_v"):
        if ("line", key) in campaign.source.lines or ("line", key) in point.sources:
            brought = "path" if key == "path" else "noise"
            raise campaign.error(("line", key), f"the scenario {line.scenario} brings its own {brought}", point)
    return LineSetup(line.scenario, 0.0, ())


def _kind(campaign: Campaign, point: Point, where: KeyPath, item: dict[str, Any], known: Iterable[str]) -> str:
    """The kind of a source or an element, one of those that are known."""
    kind, names = item.get("kind"), sorted(known)
    if not isinstance(kind, str) or kind not in names:
        problem = f"kind must be one of {', '.join(names)}, got {kind!r}"
        raise campaign.error((*where, "kind") if "kind" in item else where, problem, point)
    return kind


def _path_element(campaign: Campaign, point: Point, k: int, item: dict[str, Any]) -> PathElement:
    where = ("line", "path", k)
    kind = _kind(campaign, point, where, item, ELEMENTS)
    for key in {"sample_rate", "name"} & item.keys():
        raise campaign.error((*where, key), "is set by the campaign", point)
    return PathElement(kind, tuple((key, value) for key, value in item.items() if key != "kind"))


def _noise(campaign: Campaign, point: Point, k: int, kind: str, item: dict[str, Any]) -> NoiseSource:
    parameters = {key: value for key, value in item.items() if key not in ("kind", "over", "sir_db")}
    over, sir_db = item.get("over"), item.get("sir_db", 0.0)
    where: KeyPath = ("line", "noise", k)
    if over not in (None, "carrier_band", "full_band", "signal"):
        raise campaign.error((*where, "over"), f"must be carrier_band, full_band or signal, got {over!r}", point)
    if isinstance(sir_db, bool) or not isinstance(sir_db, (int, float)) or not -200 <= sir_db <= 200:
        raise campaign.error((*where, "sir_db"), f"must be a number in -200..200 dB, got {sir_db!r}", point)
    if over is None and "sir_db" in item:
        raise campaign.error((*where, "sir_db"), "counts from a level: over is missing", point)
    if over is not None:
        makers = {*inspect.signature(SOURCES[kind]).parameters, *_preset_parameters(kind)}
        level = next((name for name in LEVELS if name in makers), None)
        if level is None:
            raise campaign.error((*where, "over"), f"{kind} has no level that could follow another one", point)
        if level in parameters:
            raise campaign.error((*where, level), "is what over sets; give one of both", point)
        return NoiseSource(kind, tuple(parameters.items()), over, float(sir_db), level)
    return NoiseSource(kind, tuple(parameters.items()), None, 0.0, "")


def _preset_parameters(kind: str) -> tuple[str, ...]:
    preset = getattr(SOURCES[kind], "preset", None)
    return tuple(inspect.signature(preset).parameters) if preset else ()
