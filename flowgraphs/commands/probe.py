"""`osgp-sdr probe`: what a live ZeroMQ stream carries."""

from typing import TYPE_CHECKING

import click

from ..cli import ANSWER_IS_NO, DONE, INTERRUPTED, debug_option

if TYPE_CHECKING:
    from ..frontends.probing import ProbeReport


@click.command(
    epilog="Example: osgp-sdr probe tcp://127.0.0.1:5555 --seconds 2",
    help="""Listen to a stream for some seconds from its first message on, and tell its framing, item type, rate, level and gaps.

    ENDPOINT is zmq+sub://HOST:PORT, zmq+pull://HOST:PORT (with the options of such a source: key, bind, curve_secret ...), or a
    plain tcp://HOST:PORT, which is taken for the endpoint of a PUB. A PULL takes its messages away from other receivers.
    Exit code 1: nothing came, or it is nothing that this program takes; what to check is told.""",
)
@click.argument("endpoint")
@click.option("-t", "--seconds", type=click.FloatRange(0.1, 86400), default=3.0, show_default=True, help="How long to listen.")
@click.option("--wait", type=click.FloatRange(0.1, 86400), default=3.0, show_default=True, metavar="S",
              help="Longest wait for the first message.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@debug_option
def command(endpoint: str, seconds: float, wait: float, as_json: bool) -> int:
    import json
    import time
    from dataclasses import asdict

    import zmq

    from ..frontends.contract import Address
    from ..frontends.endpoints import SOCKET_OPTIONS, Link
    from ..frontends.probing import Probe, remarks
    from ..frontends.zeromq_source import OPTIONS, advice
    from ..lifetime import Lifetime

    url = endpoint if endpoint.startswith("zmq+") else f"zmq+sub:{endpoint}"
    address = Address.parse(url)
    if address.scheme not in ("zmq+sub", "zmq+pull"):
        raise address.error("can be probed as zmq+sub or zmq+pull")
    address.check_options({*OPTIONS, *SOCKET_OPTIONS})
    key = address.options.get("key", "").encode()

    def prepare(socket: "zmq.Socket[bytes]") -> None:
        if address.scheme == "zmq+sub":
            socket.setsockopt(zmq.SUBSCRIBE, key)

    probe = Probe()
    with Lifetime() as lifetime:
        link = Link(address, False, prepare)
        try:
            deadline = time.monotonic() + wait
            while (left := deadline - time.monotonic()) > 0 and not lifetime.stopped():
                if link.socket.poll(max(1, min(100, round(1000 * left)))):
                    parts, now = link.socket.recv_multipart(copy=False), time.monotonic()
                    if probe.messages == 0:
                        deadline = now + seconds
                    probe.put([part.buffer for part in parts], now)
            if probe.messages == 0:
                text = f"nothing came within {wait:g} s: {advice(link)}"
                click.echo(json.dumps({"messages": 0, "problem": text}) if as_json else text, err=not as_json)
                return INTERRUPTED if lifetime.interrupted else ANSWER_IS_NO
        finally:
            link.close()
        report = probe.report(time.monotonic())
        notes = remarks(report)
        if as_json:
            click.echo(json.dumps({**asdict(report), "remarks": notes}))
        else:
            _show(report, notes)
        return INTERRUPTED if lifetime.interrupted else ANSWER_IS_NO if report.problem else DONE


def _show(report: "ProbeReport", notes: list[str]) -> None:
    def hertz(rate: float | None) -> str:
        return "unknown" if rate is None else f"{rate:.6g} Hz"

    sizes = ", ".join(f"{count} of {size}" for size, count in report.sizes.items())
    rows = [
        ("framing", f"{report.framing or 'unknown'}{', with a filter key' if report.keyed else ''}"),
        ("items", f"{report.item_type} ({report.item_reason})"),
        ("rate", f"told {hertz(report.rate_told)}, measured {hertz(report.rate_measured)} over {report.seconds:.2f} s"),
        ("messages", f"{report.messages}; octets: {sizes}"),
        ("lost", f"{report.missing} samples in {report.gaps} gaps; {report.restarts} restarts"),
        ("order", f"{report.reordered} reordered, {report.late} late, {report.duplicated} twice, {report.malformed} malformed"),
    ]
    if report.rms_v is not None and report.peak_v is not None and report.mean_v is not None:
        rows.append(("level", f"{report.rms_v:.4g} V rms, {report.peak_v:.4g} V peak, mean {report.mean_v:.3g} V"))
    if report.tags:
        rows.append(("tags", ", ".join(report.tags)))
    for name, text in rows:
        click.echo(f"{name:<10} {text}")
    for note in notes:
        click.echo(f"{'note':<10} {note}")
