"""The directory of a campaign: every finished unit is on the disk before the next is counted."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import msgspec

from ..errors import CampaignError
from .unit import UnitResult

DATABASE: Final = "campaign.sqlite"
_SCHEMA: Final = """
create table if not exists about (key text primary key, value text not null) strict;
create table if not exists unit (
    point integer not null, unit integer not null, result text not null, primary key (point, unit)
) strict, without rowid;
"""


class Store:
    """Finished units in a SQLite database (WAL): each is one transaction, synced to the disk.

    Args:
        directory: of the campaign; made when it does not exist.
        spec: text of the specification and of all that it refers to. version: of the code.
    Raises:
        CampaignError: the directory holds something else, the campaign of another specification or version, or is in use.
    """

    def __init__(self, directory: Path, spec: str, version: str) -> None:
        self.directory = directory
        path = directory / DATABASE
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if not path.exists() and any(directory.iterdir()):
                raise CampaignError(f"{directory}: holds other files and no campaign; choose an empty or a new directory")
        except OSError as error:
            raise CampaignError(f"{directory}: {error.strerror}") from None
        try:
            self._database = sqlite3.connect(path, isolation_level=None, timeout=0.5)
        except sqlite3.Error as error:
            raise CampaignError(f"{path}: {error}") from None
        try:
            # Held until the process ends, however it ends: two runs would compute every unit twice.
            self._database.execute("pragma locking_mode = exclusive")
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = full")
            self._database.execute("begin immediate")
            self._adopt({"version": version, "spec": spec})  # another version may say the same otherwise
            self._database.execute("commit")
        except sqlite3.OperationalError as error:
            self.close()
            in_use = "locked" in str(error)
            raise CampaignError(f"{directory}: {'another run is at work here' if in_use else error}") from None
        except sqlite3.DatabaseError as error:
            self.close()
            raise CampaignError(f"{path}: {error}") from None
        except CampaignError:
            self.close()
            raise

    def _adopt(self, about: dict[str, str]) -> None:
        for statement in _SCHEMA.split(";"):
            self._database.execute(statement)
        if self._database.execute("select 1 from unit limit 1").fetchone() is None:
            self._database.execute("delete from about")  # nothing has been computed: anybody may have it
        for key, value in about.items():
            row = self._database.execute("select value from about where key = ?", (key,)).fetchone()
            if row is None:
                self._database.execute("insert into about values (?, ?)", (key, value))
            elif row[0] != value:
                was = f" ({row[0]}, this is {value})" if key == "version" else ""
                what = "another version" if key == "version" else "another specification"
                raise CampaignError(f"{self.directory}: holds the campaign of {what}{was}; choose another directory")

    def units(self) -> Iterator[tuple[int, int, UnitResult]]:
        """Point, unit and result of everything that is done."""
        path = self.directory / DATABASE
        try:
            found = self._database.execute("select point, unit, result from unit order by point, unit").fetchall()
        except sqlite3.Error as error:
            raise CampaignError(f"{path}: cannot be read: {error}; choose another directory") from None
        for point, unit, text in found:
            try:
                yield point, unit, msgspec.json.decode(text, type=UnitResult)
            except msgspec.DecodeError as error:
                raise CampaignError(f"{path}: unit {unit} of point {point}: {error}") from None

    def add(self, point: int, unit: int, result: UnitResult) -> None:
        """Keep a unit; when this returns it survives a power cut."""
        text = msgspec.json.encode(result).decode()
        try:
            self._database.execute("insert into unit values (?, ?, ?)", (point, unit, text))
        except sqlite3.DatabaseError as error:
            raise CampaignError(f"{self.directory / DATABASE}: cannot write: {error}; what was done before is kept") from None

    def close(self) -> None:
        """Release the directory."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
