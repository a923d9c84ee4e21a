"""`osgp-sdr encode`: octets to a recording."""

import click

from ..cli import debug_option


@click.command(
    epilog="Example: osgp-sdr encode 01090a8b0c4d -o packet.wav",
    help="""Write packets to a recording: SigMF (.sigmf-meta, float32 in V) or WAV (32-bit float) by its suffix.

    LPDU is a frame in hex without its CRC, which is added.""",
)
@click.argument("lpdus", metavar="LPDU...", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="FILE", help="Recording to write.")
@click.option("--profile", default="pl20a", show_default=True, metavar="NAME|FILE", help="Channel.")
@click.option("--carrier", type=click.Choice(["primary", "secondary"]), default="primary", show_default=True)
@click.option("--sample-rate", type=click.FloatRange(0, 1e9, min_open=True, max_open=True), default=400_000.0, show_default=True,
              metavar="HZ")  # fmt: skip
@click.option("--level", type=float, metavar="V", help="Peak amplitude; default: the profile's.")
@click.option("--gap", type=click.FloatRange(0, 60), default=0.03, show_default=True, metavar="S",
              help="Silence before, between and after the packets.")  # fmt: skip
@click.option("--clock-ppm", type=float, default=0.0, show_default=True, help="Error of the sender's clock.")
@debug_option
def command(
    lpdus: tuple[str, ...],
    output: str,
    profile: str,
    carrier: str,
    sample_rate: float,
    level: float | None,
    gap: float,
    clock_ppm: float,
) -> None:
    from pathlib import Path

    import numpy as np

    from phy import Profile, Transmitter, append_crc

    from ..airtime import carrier_edges
    from ..recorder import Annotation, write_recording

    loaded = Profile.load(profile)
    transmitter = Transmitter(loaded, sample_rate, level_v=level, clock_ppm=clock_ppm)
    silence = np.zeros(round(gap * sample_rate), np.float32)
    pieces, annotations, position = [silence], [], silence.size
    short: list[str] = []
    for text in lpdus:
        try:
            frame = append_crc(bytes.fromhex(text))
        except ValueError:
            raise click.BadParameter(f"{text!r} is not hex", param_hint="LPDU") from None
        if len(frame) < loaded.min_octets:
            short.append(text)
        x = transmitter.modulate(frame, alternate=carrier == "secondary")
        lower, upper = carrier_edges(loaded, carrier)
        annotations.append(
            Annotation(
                position, x.size, lower, upper, "LPDU", frame.hex(), carrier, position + transmitter.lead_samples
            )
        )
        pieces += [x, silence]
        position += x.size + silence.size
    path = Path(output)
    write_recording(path, np.concatenate(pieces), sample_rate, "made by osgp-sdr encode", annotations)
    click.echo(f"wrote {output}: {len(lpdus)} packet{'s' * (len(lpdus) != 1)}, {position / sample_rate:.3f} s", err=True)
    if short:
        least = f"less than {loaded.min_octets} octets with the CRC, which receivers drop"
        click.echo(f"osgp-sdr encode: {', '.join(repr(text) for text in short[:5])}: {least}", err=True)
