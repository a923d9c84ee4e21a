"""What `identify` found out, with confidences, and the profile file that says so."""

from dataclasses import dataclass
from typing import Any, Final

from ..profile import Constant

_SURE: Final = 0.9  # confidence from which a measured value is grade C; below it is D


@dataclass(frozen=True, slots=True)
class Finding:
    """One value.

    Attributes:
        key: "section.key" of the profile. value: as in the profile. confidence: 0..1, 0 for an assumption.
        grade: C measured with confidence, D measured without; an assumption keeps the grade of where it is from.
        source: how it was found, one line.
    """

    key: str
    value: Any
    confidence: float
    grade: str
    source: str

    @classmethod
    def measured(cls, key: str, value: Any, confidence: float, evidence: str) -> "Finding":
        """A value from the recordings."""
        confidence = round(min(max(confidence, 0.0), 0.999), 3)
        grade = "C" if confidence >= _SURE else "D"
        return cls(key, value, confidence, grade, f"measured: {evidence}, confidence {confidence:g}")

    @classmethod
    def assumed(cls, key: str, constant: Constant, value: Any = None) -> "Finding":
        """A value that recordings do not show, taken from another profile; or another `value`, which is then a guess."""
        if value is None or value == constant.value:
            return cls(key, constant.value, 0.0, constant.grade, f"not measured: {constant.source}")
        return cls(key, value, 0.0, "D", "not measured: guessed from what was")


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be determined.

    Attributes:
        subject: what. reason: why, and what was chosen instead. more_packets: about how many more packets would tell;
            None where no recording can.
    """

    subject: str
    reason: str
    more_packets: int | None = None


@dataclass(frozen=True, slots=True)
class Identification:
    """The result.

    Attributes:
        bursts: bursts of energy seen. packets: of these, BPSK packets that begin alike. crc_ok: packets whose check sequence
            fits the map found.
        tried, received: packets given to the ordinary receiver with the new profile, and those that it gets right.
        findings, gaps: what was found and what not.
        profile: text of a profile file, or None where too little was found for one.
        notes: lines about the word code, for people.
    """

    bursts: int
    packets: int
    crc_ok: int
    tried: int
    received: int
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    profile: str | None
    notes: tuple[str, ...] = ()


def profile_text(name: str, title: str, findings: list[Finding], notes: list[str]) -> str:
    """A profile file. Sections in the order of the findings."""
    lines = [f"# {note}" for note in notes]
    lines += ["", f"name = {_quoted(name)}", f"title = {_quoted(title)}"]
    section = ""
    for finding in findings:
        head, _, key = finding.key.partition(".")
        if head != section:
            lines += ["", f"[{head}]"]
            section = head
        entry = f"value = {_toml(finding.value)}, grade = {_quoted(finding.grade)}, source = {_quoted(finding.source)}"
        lines.append(f"{key} = {{ {entry} }}")
    return "\n".join(lines).lstrip("\n") + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return "[" + ", ".join(str(int(v)) for v in value) + "]"
    return repr(value)


def _quoted(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
