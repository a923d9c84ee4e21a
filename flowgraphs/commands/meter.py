"""`osgp-sdr meter`: a simulated meter at optical and MEP ports."""

from pathlib import Path

import click

from ..cli import DONE, INTERRUPTED, debug_option

PLACE = "pty, pty:LINK, tcp:HOST:PORT, a serial port, or an address that pyserial opens"


@click.command(
    epilog="Example: osgp-sdr meter --optical pty --mep tcp:127.0.0.1:7001 --state ./meter-1",
    help="""Serve a simulated meter in real time at its optical and MEP ports.

    Ports are """
    + PLACE
    + """. What it listens on is printed. With --state the meter goes on where it stopped, also after a power cut of this
    computer. Without keys it has test keys: MK MASTERKEY00000000001, PK PROVISION00000000001, MBK BASICKEY000000000001,
    MAK hex:0101...01 (16 octets), RK hex:0000...00 (20 octets, what a client sends that was told no password).""",
)
@click.option("--optical", metavar="PLACE", multiple=True, help="An optical port (C12.18).")
@click.option("--mep", metavar="PLACE", help="MEP port of client 1.")
@click.option("--mep2", metavar="PLACE", help="MEP port of client 2.")
@click.option("--mbus", metavar="PLACE", help="Its M-Bus, for masters that come by.")
@click.option("--mbus-device", "mbus_devices", metavar="MEDIUM:SERIAL", multiple=True,
              help="A sub-meter, such as water:12345678 or heat:1.  [default with --mbus: water:10000001, heat:10000002]")
@click.option("--serial", metavar="DIGITS", help="Manufacturer's serial number, up to 16 digits.  [default: 1]")
@click.option("--seed", type=int, help="Of the household behind it.  [default: 1]")
@click.option("--firmware", metavar="X.YY.ZZ", help="Decides on tables and quirks.  [default: 3.60.1]")
@click.option("--phases", type=click.Choice(["1", "3"]), help="[default: 1]")
@click.option("--pv-peak", type=click.FloatRange(0, 1e5), metavar="W", help="A photovoltaic plant.  [default: 0]")
@click.option("--key", "keys", metavar="KIND=TEXT", multiple=True,
              help="MK, PK, RK, MAK or MBK: 20 ASCII characters, or hex: and digits.")  # fmt: skip
@click.option("--keys", "key_file", type=click.Path(path_type=Path, dir_okay=False), help="A TOML file with keys.")
@click.option("--state", type=click.Path(path_type=Path, file_okay=False), help="Directory of what it must not forget.")
@click.option("--accept-rc4", is_flag=True, help="Take MEP requests that are encrypted with RC4, which is broken.")
@click.option("--fault", "faults", metavar="NAME", multiple=True,
              type=click.Choice(["absurd-values", "counter-jumps", "late-answers", "no-answer", "sequence-jumps"]),
              help="Do wrong what meters have been seen to do wrong: absurd-values and counter-jumps (with a valid digest), "
                   "late-answers, no-answer, sequence-jumps.")
@click.option("--lose-first", is_flag=True, help="Answer the first optical packet with NAK, as Gen 2 and 3 do.")
@click.option("--channel-timeout", type=click.FloatRange(1, 3600), default=6.0, show_default=True, metavar="S",
              help="An optical session ends after that silence.")  # fmt: skip
@click.option("--display", is_flag=True, help="Print what its display shows, whenever that changes.")
@click.option("--events", is_flag=True, help="Print requests, refusals and sessions; no keys.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each port and event.")
@debug_option
def command(
    optical: tuple[str, ...],
    mep: str | None,
    mep2: str | None,
    mbus: str | None,
    mbus_devices: tuple[str, ...],
    serial: str | None,
    seed: int | None,
    firmware: str | None,
    phases: str | None,
    pv_peak: float | None,
    keys: tuple[str, ...],
    key_file: Path | None,
    state: Path | None,
    accept_rc4: bool,
    faults: tuple[str, ...],
    lose_first: bool,
    channel_timeout: float,
    display: bool,
    events: bool,
    as_json: bool,
) -> int:
    import json
    import sys
    import warnings

    from osgp import Port, WeakSecurityWarning
    from osgp.mbus import MbusPort
    from osgp.mep import MepConfig
    from osgp.meter import Display, MbusDevices, MepPort, OpticalPort
    from osgp.optical import OpticalConfig
    from osgp.security.rc4 import WEAKNESS

    from ..lifetime import Lifetime
    from ..ports.keys import read_keys
    from ..ports.lines import Lines, open_server_line
    from ..ports.serving import LONGEST_WAIT, PortServer, ServedPort
    from ..ports.simulated import MBUS_DEFAULT, check_firmware, check_mbus, make_meter
    from ..ports.telling import describe, show

    if not optical and mep is None and mep2 is None and mbus is None:
        raise click.UsageError("name a port: --optical PLACE, --mep PLACE, --mep2 PLACE or --mbus PLACE")
    ring = read_keys(keys, key_file, defaults=True)
    check_firmware(firmware)
    given: dict[str, object] = {"serial": serial, "seed": seed, "firmware": firmware, "phases": phases, "pv_peak": pv_peak}
    identity = {name: str(value) for name, value in given.items() if value is not None}
    if faults:
        identity["faults"] = ",".join(faults)
    if mbus_devices or mbus is not None:
        identity["mbus"] = check_mbus(mbus_devices) or MBUS_DEFAULT

    if accept_rc4:
        # The warning of the engine in the manner of a command.
        warnings.simplefilter("ignore", WeakSecurityWarning)
        click.echo(f"osgp-sdr meter: {WEAKNESS}", err=True)

    def say(**values: str) -> None:
        click.echo(json.dumps(values) if as_json else " ".join(values.values()))

    def tell(name: str, event: object, at: float) -> None:
        click.echo(show(describe(name, event, at), as_json))
        sys.stdout.flush()

    with Lifetime() as lifetime, Lines() as lines:
        meter, store = make_meter(identity, state)
        if store is not None:
            lines.add(store)
        ports: list[ServedPort] = []
        for place in optical:
            line = lines.add(open_server_line(place))
            engine = OpticalPort(meter, ring).server(OpticalConfig(lose_first=lose_first, channel_timeout=channel_timeout))
            ports.append(ServedPort("optical", line, engine, gone=place.startswith("tcp:")))
        for port, where in ((Port.MEP1, mep), (Port.MEP2, mep2)):
            if where is not None:
                line = lines.add(open_server_line(where))
                mep_engine = MepPort(meter, ring, port).server(MepConfig(accepts_rc4=accept_rc4))
                ports.append(ServedPort(str(port), line, mep_engine, gone=where.startswith("tcp:")))
        sub_meters = meter.find(MbusDevices)
        if mbus is not None and sub_meters is not None:
            line = lines.add(open_server_line(mbus))
            ports.append(ServedPort("mbus", line, MbusPort(sub_meters.bus), gone=mbus.startswith("tcp:")))
        server = PortServer(meter, ports, store, tell if events else None)
        for served in ports:
            say(port=served.name, place=served.line.place)
        sys.stdout.flush()
        screen, seen = meter.find(Display), None
        while display and screen is not None and not lifetime.stopped():
            server.step(LONGEST_WAIT)
            if (shown := screen.shown(meter.now)) != seen:
                seen = shown
                say(display=str(shown))
                sys.stdout.flush()
        server.run(lifetime)
        return INTERRUPTED if lifetime.interrupted else DONE
