"""`osgp-sdr audit`: what somebody who listens to a line learns."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ..cli import ANSWER_IS_NO, DONE, debug_option
from .recordings import recording_options

if TYPE_CHECKING:
    from ..audit import Eavesdropper, MeterAudit
    from ..overheard import Heard


@click.command(
    epilog="Example: osgp-sdr audit out/capture.pcap, after osgp-sdr demo --security oma --out out",
    help="""Show what an eavesdropper learns from CAPTURE: which tables are read in clear, which constructions do not hold, which
    key streams serve twice, and what encryption cannot hide.

    CAPTURE is pcap or pcapng (CN/IP, or raw frames as link type 147), or a recording of the line (SigMF, WAV, raw samples).
    No key is used but the published test keys. Exit code 1: no OSGP message was found.""",
)
@click.argument("capture", metavar="CAPTURE")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each meter.")
@recording_options
@debug_option
def command(capture: str, as_json: bool, **file_options: Any) -> int:
    from ..audit import eavesdrop

    listener = eavesdrop(_frames(capture, file_options))
    audits = listener.audits()
    for audit in audits:
        click.echo(json.dumps(_plain(audit)) if as_json else _text(audit))
    click.echo(_summary(listener, len(audits)), err=True)
    return DONE if audits else ANSWER_IS_NO


def _frames(name: str, file_options: dict[str, Any]) -> "Iterator[Heard]":
    from ..overheard import Heard, is_capture, read_capture

    if is_capture(name):
        yield from read_capture(name)
        return
    from phy import ReceiverOptions

    from ..decoding import AUTO, decode_recording
    from ..kernels import ensure_compiled
    from .recordings import open_with_options

    recording = open_with_options(name, file_options)
    ensure_compiled()
    for decoded in decode_recording(recording, AUTO, ReceiverOptions()):
        if decoded.packet.crc_ok:
            yield Heard(decoded.start_s, decoded.packet.lpdu[:-2])


def _plain(audit: "MeterAudit") -> dict[str, Any]:
    return {
        "address": audit.address,
        "unique_node_id": audit.unique_node_id or None,
        "protection": audit.protection.value,
        "requests": audit.requests,
        "answers": audit.answers,
        "tables": audit.tables,
        "writes": list(audit.writes),
        "reading": None if audit.reading is None else audit.reading.to_json(),
        "findings": [{"severity": finding.severity.value, "text": finding.text} for finding in audit.findings],
    }


def _text(audit: "MeterAudit") -> str:
    names = {"oma": "OMA digest, nothing encrypted", "rc4": "OMA digest and RC4", "aes": "AES profile", "unknown": "cannot tell"}
    who = f" (unique node id {audit.unique_node_id})" if audit.unique_node_id else ""
    lines = [f"meter {audit.address}{who}: {names[audit.protection.value]}, {audit.requests} requests, {audit.answers} answers"]
    lines += [f"  {finding.severity.value}: {finding.text}" for finding in audit.findings]
    reading = audit.reading
    if reading is not None:
        if reading.serial or reading.utility_serial:
            lines.append(f"  learnt: {reading.manufacturer} {reading.model}, serial {reading.serial}, {reading.utility_serial}")
        for group in (reading.registers, reading.present):
            shown = [f"{name} {quantity.value} {quantity.unit}" for name, quantity in list(group.items())[:4]]
            if shown:
                lines.append(f"  learnt: {', '.join(shown)}{' ...' if len(group) > len(shown) else ''}")
    return "\n".join(lines)


def _summary(listener: "Eavesdropper", meters: int) -> str:
    unreadable = f", {listener.unreadable} unreadable" if listener.unreadable else ""
    found = f"{meters} meters" if meters else "no OSGP message"
    return (
        f"{listener.frames} frames{unreadable} in {listener.duration_s:.1f} s, "
        f"{listener.management} of network management in clear: {found}"
    )
