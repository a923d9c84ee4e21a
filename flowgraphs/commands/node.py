"""`osgp-sdr node`: a node of ISO/IEC 14908-1 on LON/IP, or on a line of UDP multicast."""

import json
from pathlib import Path
from typing import Literal

import click

from ..cli import DONE, INTERRUPTED, debug_option


@click.command(
    epilog="Example: osgp-sdr node --lonip 127.0.35.12 --app echo",
    help="""Run a node on LON/IP (UDP port 2541) that peers can query, commission and message.

    With --line it is on a virtual power line instead, where every station hears whole link frames: CN/IP on 239.1.2.3:1628.

    Domain, subnet and node follow from the address unless they are given: 10.81.35.12 is node 35/12 of domain 51,
    127.0.35.12 is node 35/12 of domain 7f0000. Ctrl-C or SIGTERM ends it.

    With --commands it takes one JSON object a line from standard input, such as
    {"do": "request", "to": "35/15", "apdu": "51"}; "do" is one of request, acknowledged, repeated, unacknowledged, respond,
    service_message, write, poll, status, quit.""",
)
@click.option("--lonip", "address", default="", metavar="ADDRESS", help="IPv4 address of this machine to be a node on.")
@click.option("--line", default="", metavar="GROUP[:PORT]",
              help="Virtual power line, such as 239.1.2.3; with --lonip: on the interface of that address.")  # fmt: skip
@click.option("--encapsulation", type=click.Choice(["cnip", "raw"]), default="cnip", show_default=True,
              help="Of frames on the line; raw: the frame and its CRC alone.")  # fmt: skip
@click.option("--unique-id", default="", metavar="HEX", help="48-bit unique node id; default: 024c and the address.")
@click.option("--program-id", default="", metavar="HEX", help="64-bit program id; default: zero.")
@click.option("--domain", metavar="HEX", help="Domain id of 0, 1, 3 or 6 octets; default: from the address.")
@click.option("--address", "subnet_node", default="", metavar="SUBNET/NODE", help="Default: from the IPv4 address.")
@click.option("--key", default="", envvar="OSGP_SDR_NODE_KEY", metavar="HEX|@FILE",
              help="48-bit authentication key; on the command line others can see it.")  # fmt: skip
@click.option("--unconfigured", is_flag=True, help="Start without domain and address, to be commissioned.")
@click.option("--state", "state_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Keep what survives a restart here, keys included; goes before the options above.")  # fmt: skip
@click.option("--app", type=click.Choice(["none", "echo"]), default="none", show_default=True,
              help="echo: answer requests with their payload reversed.")  # fmt: skip
@click.option("--variable", "variables", multiple=True, metavar="DIR:LENGTH[:SELECTOR[:ROW]]",
              help="A network variable, such as in:2:0001; repeatable, in the order of their indices.")  # fmt: skip
@click.option("--self-identification", default="", metavar="HEX", help="Octets for Query SI Data.")
@click.option("--firmware", default="1", show_default=True, metavar="V[.MINOR.BUILD]", help="Version the node reports.")
@click.option("--model", type=click.IntRange(0, 255), default=0x80, show_default=True, help="Model the node reports.")
@click.option("--receive-timer", type=click.IntRange(0, 15), default=8, show_default=True, metavar="CODE",
              help="How long duplicates are recognised; code 8 is 2048 ms.")  # fmt: skip
@click.option("--silence", type=click.FloatRange(0, 60), default=2.0, show_default=True, metavar="S",
              help="Originate nothing so long after the start.")  # fmt: skip
@click.option("--commands", is_flag=True, help="Take commands from standard input.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each event.")
@debug_option
def command(
    address: str,
    line: str,
    encapsulation: Literal["cnip", "raw"],
    unique_id: str,
    program_id: str,
    domain: str | None,
    subnet_node: str,
    key: str,
    unconfigured: bool,
    state_file: Path | None,
    app: str,
    variables: tuple[str, ...],
    self_identification: str,
    firmware: str,
    model: int,
    receive_timer: int,
    silence: float,
    commands: bool,
    as_json: bool,
) -> int:
    import mac

    from ..lifetime import Lifetime
    from ..lonip_node import APPLICATIONS, LonIpNode, NodeOutput
    from ..lonip_sockets import LonIpSockets
    from ..node_events import event_line, event_object
    from ..node_options import NodeOptions
    from ..virtual_line import VirtualLine

    if not (address or line):
        raise click.UsageError("--lonip or --line is needed: where to be a node")
    options = NodeOptions(
        address or "127.0.0.1",
        unique_id,
        program_id,
        domain,
        subnet_node,
        key,
        unconfigured,
        variables,
        self_identification,
        firmware,
        model,
        receive_timer,
        silence,
        state_file,
        line,
    )
    config = options.config()

    def say(record: dict[str, object]) -> None:
        click.echo(json.dumps(record))

    def on_event(event: mac.Event) -> None:
        if as_json:
            say({**event_object(event)})
        else:
            click.echo(event_line(event))

    def on_note(name: str, values: dict[str, object]) -> None:
        if as_json:
            say({"event": name, **values})
        else:
            click.echo(f"{name}: {', '.join(f'{key} {value}' for key, value in values.items())}", err=name != "listening")

    def opened() -> LonIpSockets | VirtualLine:
        return VirtualLine(*options.place(), options.ip(), encapsulation) if line else LonIpSockets(options.ip())

    with Lifetime() as lifetime, opened() as sockets:
        output = NodeOutput(on_event, on_note)
        node = LonIpNode(config, options.ip(), sockets, APPLICATIONS[app], output, state_file, 0 if commands else None)
        node.run(lifetime)
        return INTERRUPTED if lifetime.interrupted else DONE
