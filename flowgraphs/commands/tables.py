"""`osgp-sdr tables`: tables and procedures explained, octets decoded, JSON encoded. No meter is asked."""

import click

from ..cli import ANSWER_IS_NO, DONE, debug_option


@click.command(
    epilog="Example: osgp-sdr tables BT52 0402100f3b37 --json",
    help="""List the tables, explain one, or read octets with it.

    WHAT is a table (BT23, 23, 0x17), its pending copy (4150), a field (BT23.summations, BT21.0.2), a procedure (EP17) or a word
    to look for in names and meanings. OCTETS are table data in hexadecimal; they may end early. Dimensions that are not given
    with --given are those of the simulated meter. Exit code 1: nothing found.""",
)
@click.argument("what", required=False)
@click.argument("octets", required=False)
@click.option("--firmware", metavar="X.YY", help="Firmware of the device, e.g. 4.30; default: 3.60.")
@click.option("--given", multiple=True, metavar="TABLE=HEX", help="Octets of another table that says how big this one is.")
@click.option("--offset", type=click.IntRange(0, 0xFFFFFF), default=0, metavar="N", help="OCTETS begin at this offset.")
@click.option("--encode", "document", metavar="JSON", help="The other way round: octets of a JSON object, - for standard input.")
@click.option("--all", "fillers", is_flag=True, help="Reserved octets and bits too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each table, field or value.")
@debug_option
def command(
    what: str | None,
    octets: str | None,
    firmware: str | None,
    given: tuple[str, ...],
    offset: int,
    document: str | None,
    fillers: bool,
    as_json: bool,
) -> int:
    import sys

    from .. import tables

    if what is None:
        lines = tables.listing(as_json)
    elif tables.is_procedure(what):
        lines = tables.explain_procedure(what, octets, as_json)
    elif not tables.is_table(what):
        lines = tables.search(what, as_json)
    else:
        context = tables.device(firmware, given)
        if document is not None:
            text = sys.stdin.read() if document == "-" else document
            lines = tables.encode(what, text, context, as_json)
        else:
            lines = tables.explain_table(what, octets, offset, context, fillers, as_json)
    for line in lines:
        click.echo(line)
    return DONE if lines else ANSWER_IS_NO
