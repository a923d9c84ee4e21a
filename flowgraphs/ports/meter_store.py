"""What a simulated meter must not forget, in one SQLite file: nothing acknowledged is lost, nothing half-written is read.

    Meter.changes() --> save: one transaction, on the disk when it returns --> only then does the answer leave the port

The file has one writer and says whose it is. Every record carries a checksum over its name and octets; WAL, synchronous=FULL.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from osgp.meter import Saved

from ..errors import FlowgraphError

APPLICATION_ID: Final = 0x4F534750  # "OSGP"
SCHEMA_VERSION: Final = 1
FILE_NAME: Final = "meter.sqlite"
CHECKSUM_OCTETS: Final = 16
_SCHEMA: Final = """
CREATE TABLE record (
    kind TEXT NOT NULL, name TEXT NOT NULL, octets BLOB NOT NULL, checksum BLOB NOT NULL, PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
"""
_UPSERT: Final = "INSERT INTO record VALUES (?, ?, ?, ?) ON CONFLICT (kind, name) DO UPDATE SET octets = excluded.octets, checksum = excluded.checksum"  # noqa: E501


class StoreError(FlowgraphError):
    """A store cannot be used; the text names the file and says what to do."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was saved.    at: the meter's `now`, s.    wall: s since 1970."""

    at: float
    wall: float


class MeterStore:
    """The store of one meter in a directory; made when it is not there.

    Args:
        directory: where the file is.
        identity: what makes it that meter's ("serial" ...): a store of another meter is refused.
        defaults: the rest of the identity of a new one.

    Attributes:
        identity: of the stored meter.    path: the file.

    Raises:
        StoreError: the file is damaged, of another version, of another meter, or in use.
    """

    def __init__(self, directory: Path, identity: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> None:
        self.path = directory / FILE_NAME
        try:
            directory.mkdir(parents=True, exist_ok=True)
            existed = self.path.exists()
            if not existed:
                # Keys can be among the tables: the file is its owner's alone before the first octet is in it.
                os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
        except OSError as error:
            raise StoreError(f"{self.path}: {(error.strerror or str(error)).lower()}") from None
        self._database = sqlite3.connect(self.path, timeout=0.2, isolation_level=None)
        try:
            with self._damage():
                self._open()
                self._records = self._load()
                self.identity = self._identify(identity, {**(defaults or {}), **identity})
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise StoreError(f"{self.path}: in use by another process") from None
            raise StoreError(f"{self.path}: {error}") from None
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self.path}: damaged ({error}); move it away to start afresh") from None

    def _open(self) -> None:
        run = self._database.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        run("BEGIN IMMEDIATE")  # takes the lock for good
        application, version = self._pragma("application_id"), self._pragma("user_version")
        tables = run("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if tables == 0 and application == 0 and version == 0:
            run(_SCHEMA)
            run(f"PRAGMA application_id = {APPLICATION_ID}")
            run(f"PRAGMA user_version = {SCHEMA_VERSION}")
            run("COMMIT")
            return
        run("COMMIT")
        if application != APPLICATION_ID:
            raise StoreError(f"{self.path}: an SQLite file, but no meter's store")
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: store version {version}, this program reads version {SCHEMA_VERSION}; move it away to start afresh"
            )
        problem = run("PRAGMA integrity_check").fetchone()[0]
        if problem != "ok":
            raise StoreError(f"{self.path}: damaged ({problem}); move it away to start afresh")

    def _pragma(self, name: str) -> int:
        return int(self._database.execute(f"PRAGMA {name}").fetchone()[0])

    def _load(self) -> dict[tuple[str, str], bytes]:
        records: dict[tuple[str, str], bytes] = {}
        for kind, name, octets, checksum in self._database.execute("SELECT kind, name, octets, checksum FROM record"):
            if checksum != _checksum(kind, name, octets):
                raise StoreError(f"{self.path}: damaged (the checksum of {kind} {name} is wrong); move it away to start afresh")
            records[kind, name] = octets
        return records

    def _identify(self, given: Mapping[str, str], new: dict[str, str]) -> dict[str, str]:
        octets = self._records.get(("meter", "identity"))
        if octets is None:
            self._write([("meter", "identity", json.dumps(new, sort_keys=True).encode())])
            return new
        stored: dict[str, str] = json.loads(octets)
        for name, value in given.items():
            if name in stored and stored[name] != value:
                raise StoreError(f"{self.path}: belongs to the meter with {name} {stored[name]}, not {value}")
        return {**new, **stored}

    def saved(self) -> Saved | None:
        """State to go on from; None when nothing was saved yet."""
        moment = self.moment()
        if moment is None:
            return None
        tables = {name: octets for (kind, name), octets in self._records.items() if kind == "table"}
        states = {name: octets for (kind, name), octets in self._records.items() if kind == "state"}
        return Saved(moment.at, tables, states)

    def moment(self) -> Moment | None:
        """When the state was saved last."""
        octets = self._records.get(("meter", "moment"))
        return None if octets is None else Moment(*json.loads(octets))

    def save(self, changes: Saved, wall: float) -> bool:
        """Write what changed; it is on the disk when this returns. Records that are as they were are not written again.

        Returns:
            Whether anything was written.

        Raises:
            StoreError: the disk is full or gone; nothing of it was written.
        """
        new = [("table", name, octets) for name, octets in changes.tables.items()]
        new += [("state", name, octets) for name, octets in changes.states.items()]
        rows = [(kind, name, octets) for kind, name, octets in new if self._records.get((kind, name)) != octets]
        if not rows:
            return False
        with self._damage():
            self._write([*rows, ("meter", "moment", json.dumps([changes.at, wall]).encode())])
        return True

    def stamp(self, changes: Saved, wall: float) -> None:
        """Write the moment even when nothing else changed: a restart goes on from there."""
        if not self.save(changes, wall):
            with self._damage():
                self._write([("meter", "moment", json.dumps([changes.at, wall]).encode())])

    def _write(self, rows: list[tuple[str, str, bytes]]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            for kind, name, octets in rows:
                self._database.execute(_UPSERT, (kind, name, octets, _checksum(kind, name, octets)))
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        self._records.update({(kind, name): octets for kind, name, octets in rows})

    def close(self) -> None:
        """Give the file free for others."""
        with contextlib.suppress(sqlite3.Error):
            self._database.close()


def _checksum(kind: str, name: str, octets: bytes) -> bytes:
    return hashlib.blake2b(
        b"\0".join((kind.encode(), name.encode(), octets)), digest_size=CHECKSUM_OCTETS
    ).digest()
