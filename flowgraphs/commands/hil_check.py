"""`osgp-sdr hil-check`: measures a loop of hardware and says what to change."""

import click

from ..cli import ANSWER_IS_NO, DONE, INTERRUPTED, debug_option


@click.command(
    epilog="Example: osgp-sdr hil-check --loop simulated --packets 50",
    help="""Send sweeps and packets through a loop (a card's output wired to its input, or a null sink) and measure what comes
    back: level, frequency response 70-95 kHz (and 110-140 where the rate allows), noise, clock, round trip, slips, packets.

    URL is a sound card, soundcard:DEVICE?rate=192000&latency_s=0.1; see `osgp-sdr devices`. The wide sweeps are for a wire, not
    for the mains. Exit code 1: the loop does not pass.""",
)
@click.argument("url", required=False)
@click.option("--loop", type=click.Choice(["simulated"]), help="A loop inside of this program instead of a card.")
@click.option("--packets", type=click.IntRange(2, 20_000), default=200, show_default=True, help="How many to send.")
@click.option("--level", type=click.FloatRange(0, min_open=True), metavar="V", help="Peak; default: half of full scale.")
@click.option("--profile", default="pl20a", show_default=True, metavar="NAME|FILE", help="Channel.")
@click.option("--transmit", is_flag=True, help="Allow to send; needed for a real card.")
@click.option("--duty-cycle", type=click.FloatRange(0, 1, min_open=True), help="Most of the time that may be sent; default 0.64.")
@click.option("--record", metavar="FILE", help="Keep what was heard (SigMF or WAV).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@debug_option
def command(
    url: str | None,
    loop: str | None,
    packets: int,
    level: float | None,
    profile: str,
    transmit: bool,
    duty_cycle: float | None,
    record: str | None,
    as_json: bool,
) -> int:
    import dataclasses
    import json
    from pathlib import Path

    import numpy as np

    from phy import Profile

    from ..errors import FrontEndError
    from ..frontends.contract import open_duplex
    from ..frontends.soundcard import SoundCardSink, SoundCardSource
    from ..frontends.transmitting import NEEDS_TRANSMIT, GuardedSink, TransmitLimits, statement
    from ..hil import DUTY, analyse, make_plan, play
    from ..hil_verdict import judge, passes
    from ..kernels import ensure_compiled
    from ..lifetime import Lifetime
    from ..recorder import write_recording

    if (url is None) == (loop is None):
        raise click.UsageError("give a URL or --loop simulated")
    url = url or "soundcard:loopback?pace=fast"
    simulated = url.startswith("soundcard:loopback")
    if not transmit and not simulated:
        raise click.UsageError(f"{url}: {NEEDS_TRANSMIT}")
    channel = Profile.load(profile)
    limits = TransmitLimits.for_profile(channel, duty_cycle)
    ensure_compiled()

    def report(text: str) -> None:
        click.echo(f"osgp-sdr hil-check: {text}", err=True)

    with Lifetime() as lifetime:
        source, sink = open_duplex(url, queue_s=10.0 if not simulated else None)
        if not isinstance(source, SoundCardSource) or not isinstance(sink, SoundCardSink):
            raise FrontEndError(f"{url}: only a sound card is measured, it needs both directions")
        card = source.card
        try:
            volts = 0.5 * card.settings.output_v if level is None else level
            plan = make_plan(channel, source.sample_rate, packets, volts, min(DUTY, 0.9 * limits.duty_cycle))
            report(statement(source.name, channel, volts, limits))
            longest = max(last - first for first, last in plan.parts) / source.sample_rate
            guard = GuardedSink(sink, limits, volts, longest, report)
            capture = play(plan, source, guard, card, lifetime.stopped)
        finally:
            source.close()
        if lifetime.stopped():
            return INTERRUPTED
    found = analyse(plan, capture, card)
    if record is not None:
        write_recording(Path(record), np.ascontiguousarray(capture.samples), source.sample_rate, f"hil-check of {url}", ())
    findings = judge(found, card.settings.input_v)
    passed = passes(findings)
    if as_json:
        plain = {"url": url, "passed": passed, **dataclasses.asdict(found), "packet_error_rate": found.packet_error_rate,
                 "findings": [dataclasses.asdict(finding) for finding in findings]}  # fmt: skip
        click.echo(json.dumps(plain))
    else:
        for finding in findings:
            click.echo(f"{finding.status:<8} {finding.name:<11} {finding.text}")
            if finding.advice:
                click.echo(f"{'':<20} -> {finding.advice}")
        if found.response:
            bars = [(point.freq_hz, point.gain_db) for point in found.response if point.freq_hz % 5e3 == 0]
            click.echo("response             " + "  ".join(f"{hz / 1e3:.0f}k {db:+.1f}" for hz, db in bars) + "  dB")
        click.echo("pass" if passed else "does not pass")
    return DONE if passed else ANSWER_IS_NO
