"""What commands that take recordings have in common: the options that describe a file which does not describe itself."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from ..recording import Recording

Command = TypeVar("Command", bound=Callable[..., Any])

FILES_HELP: Final = (
    "FILE is SigMF (.sigmf-meta), WAV, or raw samples with --rate and --dtype; real samples of the line, or IQ around a "
    "frequency of it (core:frequency, or --frequency)."
)


def recording_options(command: Command) -> Command:
    """--rate, --dtype, --channel, --frequency, --iq, in this order in --help."""
    for option in (
        click.option("--iq", is_flag=True, help="The two channels of a sound file are I and Q."),
        click.option("--frequency", type=float, metavar="HZ", help="Line frequency of the centre of IQ samples."),
        click.option("--channel", type=int, default=0, show_default=True, help="Channel of a file with several."),
        click.option("--dtype", metavar="TYPE", help="Sample type of a raw file: int16, float32, ri16_le, cf32, cu8 ..."),
        click.option("--rate", type=float, metavar="HZ", help="Sample rate of a raw file."),
    ):
        command = option(command)
    return command


def open_with_options(name: str, options: dict[str, Any]) -> "Recording":
    """The recording that these options describe, read once for what is no sample.

    Raises:
        RecordingError: one line that begins with the file's name.
    """
    from ..recording import open_recording

    recording = open_recording(
        name, options["rate"], options["dtype"], options["channel"], options["frequency"], options["iq"]
    )
    recording.check()
    return recording
