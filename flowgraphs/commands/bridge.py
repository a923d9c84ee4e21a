"""`osgp-sdr bridge`: samples from any source to any sink."""

from typing import TYPE_CHECKING

import click

from ..cli import ANSWER_IS_NO, DONE, INTERRUPTED, debug_option

if TYPE_CHECKING:
    from ..frontends.contract import SampleSink
    from ..frontends.transmitting import GuardedSink


@click.command(
    epilog="Example: osgp-sdr bridge night.sigmf-meta pipe:- | aplay -f FLOAT_LE -r 400000",
    help="""Carry samples from SOURCE to SINK until the source ends: play a recording into a sound card or a stream, record a
    pipe, turn one format into another. Gaps stay gaps: what is missing is sent as silence.

    SOURCE and SINK are URLs: file:PATH, pipe:-, soundcard:DEVICE, zmq+...://HOST:PORT, line:ENDPOINT (source only).""",
)
@click.argument("source")
@click.argument("sink")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Stop after so many seconds of samples.")
@click.option("--transmit", is_flag=True, help="Allow to send through a sound card.")
@click.option("--duty-cycle", type=click.FloatRange(0, 1, min_open=True),
              help="Most of the time that may be sent there; default 0.64, 1 plays without limits.")  # fmt: skip
@debug_option
def command(source: str, sink: str, seconds: float | None, transmit: bool, duty_cycle: float | None) -> int:
    from ..frontends.contract import Address, open_sink, open_source
    from ..frontends.transmitting import NEEDS_TRANSMIT
    from ..lifetime import Lifetime

    to = Address.parse(sink)
    real = to.scheme == "soundcard" and to.place != "loopback"
    if real and not transmit:
        raise click.UsageError(f"{sink}: {NEEDS_TRANSMIT}")
    with Lifetime() as lifetime:
        incoming = open_source(source)
        try:
            # A file takes whatever rate comes; everything else runs at its own unless it is told one.
            outgoing: SampleSink = open_sink(sink, rate=None if "rate" in to.options else incoming.sample_rate)
            try:
                if outgoing.sample_rate != incoming.sample_rate:
                    raise click.UsageError(
                        f"{source} has {incoming.sample_rate:g} samples a second, {sink} takes {outgoing.sample_rate:g}"
                    )
                if real:
                    outgoing = _guarded(outgoing, incoming.name, duty_cycle)
                first = None
                while not incoming.ended and not lifetime.stopped():
                    block = incoming.read(0.1)
                    if block is None:
                        continue
                    first = block.first_sample if first is None else first
                    outgoing.write(block.first_sample, block.samples)
                    if seconds is not None and block.end - first >= seconds * incoming.sample_rate:
                        break
            finally:
                outgoing.close()
        finally:
            incoming.close()
        got, gave = incoming.statistics, outgoing.statistics
        click.echo(
            f"osgp-sdr bridge: {got.samples} samples in, {got.gaps} gaps, {got.missing} missing, {got.malformed} malformed; "
            f"{gave.samples} out, {gave.padded} filled in, {gave.clipped} clipped, {gave.late} late",
            err=True,
        )
        if lifetime.interrupted:
            return INTERRUPTED
    return DONE if got.samples else ANSWER_IS_NO


def _guarded(sink: "SampleSink", what: str, duty_cycle: float | None) -> "GuardedSink":
    """The limits in front of a card; it is said what they are before anything is sent."""
    import math

    from ..frontends.soundcard import SoundCardSink
    from ..frontends.transmitting import GuardedSink, TransmitLimits, transmission

    assert isinstance(sink, SoundCardSink)
    spec = transmission()
    duty = spec["duty_cycle"]["most"] if duty_cycle is None else duty_cycle
    window, longest = spec["window"]["seconds"], spec["longest"]["longest_s"]
    limits = TransmitLimits(duty, window, math.inf if duty == 1 else longest, 0.0)
    level = sink.card.settings.output_v

    def report(text: str) -> None:
        click.echo(f"osgp-sdr bridge: {text}", err=True)

    limit = "without limits" if duty == 1 else f"at most {100 * duty:.0f} % of any {window:g} s and {longest:g} s at a time"
    report(f"{sink.name} will transmit {what} as it is, its level and band, at most {level:.3g} V peak, {limit}")
    return GuardedSink(sink, limits, level, 0.0, report)
