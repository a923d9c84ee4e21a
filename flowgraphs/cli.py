"""The command `osgp-sdr`: subcommands by name, errors in one line, exit codes 0, 1, 2 and 130.

Nothing heavy is imported before a subcommand runs, so that `--help` answers at once.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click

from . import interrupts
from .errors import FlowgraphError
from .interrupts import INTERRUPTED as INTERRUPTED

DONE: Final = 0
ANSWER_IS_NO: Final = 1
USAGE: Final = 2

# name -> one line of help; the command itself is `command` in commands/<name>.py, with _ for -
COMMANDS: Final[dict[str, str]] = {
    "demo": "A concentrator finds and reads three meters over a noisy line.",
    "encode": "Octets to a recording.",
    "decode": "Recordings to packets.",
    "capture": "A running line or recordings to Wireshark.",
    "identify": "Recordings of an unknown line to a profile.",
    "emission": "A transmitter's spectrum against the limits of EN 50065-1.",
    "sweep": "Error rates against any parameter, with theory: campaigns that resume.",
    "run": "Run any graph.",
    "frontend": "One front end of a graph, as a process.",
    "station": "One station of a graph, as a process.",
    "meter": "A simulated meter at optical and MEP ports.",
    "read": "Read tables of a meter: on a running line, at its optical port or its MEP port.",
    "node": "A LON node over IP, to be queried, commissioned and messaged.",
    "tables": "Tables and procedures explained; octets decoded.",
    "probe": "What a live ZeroMQ stream carries: framing, item type, rate, level, gaps.",
    "keys": "CURVE keys for streams that leave this machine.",
    "audit": "What an eavesdropper learns from a capture.",
    "view": "A live page: spectrum, constellation, packets with their fields.",
    "listen": "A live source to packets, and to recordings.",
    "devices": "Sound cards, their rates, and which band each can carry.",
    "hil-check": "Measure a loop of hardware: level, response, clock, latency, packets.",
    "bridge": "Samples from any source to any sink.",
    "doctor": "Versions, caches and what is missing for which feature.",
}


class _NobodyReads(Exception):
    """Whoever read our output has seen enough; of a BrokenPipeError click would make exit code 1, the answer is no."""


class _Commands(click.Group):
    """Loads the module of a command when that command is asked for."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _NobodyReads from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"flowgraphs.commands.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _show_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"osgp-sdr {version('osgp-sdr')}")
        context.exit()


Command = TypeVar("Command", bound=Callable[..., Any])


def debug_option(command: Command) -> Command:
    """`--debug`, allowed before and after the name of the subcommand."""

    def switch_on(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value:
            context.find_root().meta["flowgraphs.debug"] = True
            global _debug
            _debug = True

    return click.option(
        "--debug", is_flag=True, expose_value=False, callback=switch_on, help="Show the traceback of an error."
    )(command)


_debug = False


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: osgp-sdr demo --out demo-out",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show it.")
@debug_option
def cli() -> None:
    """A software power-line modem and protocol stack for smart metering."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with 0 done, 1 the answer is no, 2 wrong usage or input, 130 interrupted."""
    interrupts.in_good_order()
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """The same, returning the exit code."""
    global _debug
    _debug = False
    # Our matrices are small: the threads that BLAS would start for them cost more than they do, and a process is one core's work.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        result = cli.main(args=None if arguments is None else list(arguments), prog_name="osgp-sdr", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else DONE
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return USAGE
    except click.ClickException as error:
        place = getattr(error, "ctx", None)
        return _fail(place.command_path if place else "osgp-sdr", error.format_message(), USAGE)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (BrokenPipeError, _NobodyReads):
        # Keep the interpreter from complaining when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except FlowgraphError as error:
        return _fail("osgp-sdr", str(error), USAGE)
    except Exception as error:
        if interrupts.pressed():  # an import that was cut short
            return INTERRUPTED
        if type(error).__module__.split(".")[0] in ("phy", "mac", "osgp"):
            return _fail("osgp-sdr", str(error), USAGE)
        if isinstance(error, OSError) and error.filename is not None:
            return _fail("osgp-sdr", f"{error.filename}: {error.strerror}", USAGE)
        return _fail("osgp-sdr", f"internal error: {type(error).__name__}: {error} (--debug shows where)", ANSWER_IS_NO)


def _fail(place: str, text: str, code: int) -> int:
    if _debug:
        import traceback

        traceback.print_exc()
    click.echo(f"{place}: {' '.join(text.split())}", err=True)
    return code


if __name__ == "__main__":
    # As a script this file is a second copy of itself; the commands know the one that can be imported.
    importlib.import_module("flowgraphs.cli").main()
