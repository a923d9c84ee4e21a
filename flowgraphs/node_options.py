"""From the words of a command line to the configuration of a node; every error names the option."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import mac
from mac import cnip, lonip
from mac.management import Capability
from mac.variable_entry import NO_ADDRESS_ROW

from .errors import NodeOptionError
from .lonip_node import CAPABILITIES, NODE_PRIORITY, RECEIVE_CODE
from .state_file import load_state

_OWN_ID_PREFIX: Final = bytes.fromhex("024C")  # locally administered, then the IPv4 address (choice, D)
_VARIABLE: Final = re.compile(r"(?P<direction>in|out):(?P<length>\d+)(?::(?P<selector>[0-9a-fA-F]{1,4})(?::(?P<row>\d+))?)?")
_FIRMWARE: Final = re.compile(r"(\d+)(?:\.(\d+)\.(\d+))?")


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """Options as they were given, empty where they were not.

    Args:
        lonip: IPv4 address; on a virtual line that of the interface.    line: GROUP[:PORT] of a virtual line.
        unique_id, program_id, domain: hexadecimal.    address: subnet/node.
        key: hexadecimal, or @FILE.    unconfigured: start without domain and address.
        variables: descriptions of network variables.    self_identification: hexadecimal.
        firmware: VERSION or VERSION.MINOR.BUILD.    model, receive_code: numbers.    silence_s: after start, s.
        state_file: what survives a restart.
    """

    lonip: str
    unique_id: str = ""
    program_id: str = ""
    domain: str | None = None
    address: str = ""
    key: str = ""
    unconfigured: bool = False
    variables: tuple[str, ...] = ()
    self_identification: str = ""
    firmware: str = "1"
    model: int = 0x80
    receive_code: int = RECEIVE_CODE
    silence_s: float = mac.RESET_SILENCE
    state_file: Path | None = None
    line: str = ""

    def place(self) -> tuple[str, int]:
        """Multicast address and port of the virtual line."""
        group, _, port = self.line.partition(":")
        try:
            is_group = 224 <= socket.inet_pton(socket.AF_INET, group)[0] <= 239
        except OSError:
            is_group = False
        if not is_group or not (port or "1").isdecimal() or not 1 <= int(port or 1) <= 65535:
            raise NodeOptionError(f"--line: {self.line!r} is no multicast address and port such as 239.1.2.3:1628")
        return group, int(port or cnip.PORT)

    def ip(self) -> bytes:
        """Octets of the IPv4 address."""
        try:
            octets = socket.inet_pton(socket.AF_INET, self.lonip)
        except OSError:
            raise NodeOptionError(f"--lonip: {self.lonip!r} is no IPv4 address such as 10.81.35.12") from None
        if octets[0] >= 224 or octets == bytes(4):
            raise NodeOptionError(f"--lonip: {self.lonip} is no address of a single machine")
        return octets

    def config(self) -> mac.NodeConfig:
        """What makes the node; raises `NodeOptionError` or `StateFileError`."""
        ip = self.ip()
        unique_id = _octets("--unique-id", self.unique_id, 6) if self.unique_id else self._own_id(ip)
        version, minor, build = self._firmware()
        try:
            config = mac.NodeConfig(
                unique_node_id=unique_id,
                program_id=_octets("--program-id", self.program_id, 8) if self.program_id else bytes(8),
                domains=() if self.unconfigured else (self._domain_row(ip),),
                state=mac.NodeState.UNCONFIGURED if self.unconfigured else mac.NodeState.CONFIGURED,
                firmware_version=version,
                firmware_minor=minor,
                firmware_build=build,
                model=self.model,
                node_priority=NODE_PRIORITY,
                receive_code=self.receive_code,
                reset_silence=self.silence_s,
                variables=tuple(map(parse_variable, self.variables)),
                self_identification=_octets("--self-identification", self.self_identification),
                capabilities=CAPABILITIES | Capability.PROXY if self.line else CAPABILITIES,
            )
        except mac.ConfigurationError as error:
            raise NodeOptionError(f"node: {error}") from None
        return config if self.state_file is None else self._with_saved(config, self.state_file)

    def _own_id(self, ip: bytes) -> bytes:
        if self.line:
            raise NodeOptionError("--unique-id is needed on a virtual line: nothing else tells the stations apart")
        return _OWN_ID_PREFIX + ip

    def _with_saved(self, config: mac.NodeConfig, path: Path) -> mac.NodeConfig:
        saved = load_state(path)
        if saved is None:
            return config
        if saved.unique_node_id != config.unique_node_id:
            raise NodeOptionError(
                f"--state: {path} belongs to node {saved.unique_node_id.hex()}, this one is {config.unique_node_id.hex()}"
            )
        return replace(config, saved=saved)

    def _domain_row(self, ip: bytes) -> mac.DomainEntry:
        """Of the options, or of the IPv4 address where they are silent; then the address came "by DHCP", as a flag says."""
        if self.line and self.domain is None:
            raise NodeOptionError("--domain is needed on a virtual line")
        domain, address = lonip.domain_of(ip), lonip.subnet_node_of(ip)
        if self.domain is not None:
            try:
                domain = mac.DomainId(_octets("--domain", self.domain))
            except mac.ConfigurationError as error:
                raise NodeOptionError(f"--domain: {error}") from None
        if self.address:
            match = re.fullmatch(r"(\d+)/(\d+)", self.address)
            if match is None or not 1 <= int(match[1]) <= 255 or not 1 <= int(match[2]) <= 127:
                raise NodeOptionError(f"--address: {self.address!r} is no subnet 1..255 and node 1..127, such as 35/12")
            address = mac.SubnetNode(int(match[1]), int(match[2]))
        elif self.line or address.subnet == 0 or address.node == 0:
            raise NodeOptionError(f"--address is needed: {self.line or self.lonip} stands for no subnet and node")
        from_ip = not (self.domain is not None or self.address)
        return mac.DomainEntry(domain, address.subnet, address.node, self._key(), dhcp=from_ip)

    def _key(self) -> bytes:
        if not self.key:
            return bytes(mac.DomainEntry.KEY_LENGTH)
        text = self.key
        if text.startswith("@"):
            try:
                text = Path(text[1:]).read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not a text of hex digits"
                raise NodeOptionError(f"--key: {self.key[1:]}: {reason}") from None
        try:
            octets = bytes.fromhex(text)
        except ValueError:
            octets = b""
        if len(octets) != mac.DomainEntry.KEY_LENGTH:
            raise NodeOptionError("--key: 12 hex digits, or @FILE with them, expected")  # never show what was given
        return octets

    def _firmware(self) -> tuple[int, int, int]:
        match = _FIRMWARE.fullmatch(self.firmware)
        if match is None or any(int(part or 0) > 255 for part in match.groups()):
            raise NodeOptionError(f"--firmware: {self.firmware!r} is no VERSION or VERSION.MINOR.BUILD of numbers 0..255")
        return int(match[1]), int(match[2] or 0), int(match[3] or 0)


def parse_variable(text: str) -> mac.NetworkVariable:
    """From "in:2" or "out:2:0001" (selector) or "out:2:0001:3" (address row too); raises `NodeOptionError`."""
    match = _VARIABLE.fullmatch(text)
    if match is None:
        raise NodeOptionError(f"--variable: {text!r} is no in|out:LENGTH[:SELECTOR[:ADDRESS ROW]], such as in:2:0001")
    direction = mac.Direction.INPUT if match["direction"] == "in" else mac.Direction.OUTPUT
    try:
        config = None
        if match["selector"]:
            row = int(match["row"]) if match["row"] else NO_ADDRESS_ROW
            config = mac.VariableConfig(int(match["selector"], 16), direction, row)
        return mac.NetworkVariable(direction, int(match["length"]), config=config)
    except mac.ConfigurationError as error:
        raise NodeOptionError(f"--variable: {text!r}: {error}") from None


def _octets(option: str, text: str, length: int | None = None) -> bytes:
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        raise NodeOptionError(f"{option}: {text!r} is not hexadecimal") from None
    if length is not None and len(octets) != length:
        raise NodeOptionError(f"{option}: {2 * length} hex digits expected, got {len(text)}")
    return octets
