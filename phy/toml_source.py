"""A TOML text with the line of every key, so that an error can say where."""

import re
import tomllib
from typing import Any, Final

Path = tuple[str | int, ...]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SPACE: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SCALAR: Final = re.compile(r"[^,\]}#\n]*")
# strings by their opening quotes, the longest first; basic ones know escapes
_STRINGS: Final = (
    ('"""', re.compile(r'"""(?:\\.|[^\\])*?"{3,5}', re.DOTALL)),
    ("'''", re.compile(r"'''.*?'{3,5}", re.DOTALL)),
    ('"', re.compile(r'"(?:\\.|[^"\\\n])*"')),
    ("'", re.compile(r"'[^'\n]*'")),
)


class TomlSource:
    """A TOML document: its values, and the line of every key and array element.

    Args:
        name: of the file, for messages. text: the document.
    Attributes:
        tree: the values. lines: path -> line, from 1. A path holds keys and array indexes: ("axis", 0, "name").
    Raises:
        ValueError: the text is no TOML; it reads `name:line: problem`.
    """

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        try:
            self.tree: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            problem, line = str(error), 1 + text.rstrip("\n").count("\n")
            place = re.match(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)$", problem, re.DOTALL)
            if place is not None:
                problem, line = place[1], int(place[2] or line)
            raise ValueError(f"{name}:{line}: {problem}") from None
        except RecursionError:
            raise ValueError(f"{name}:{_deepest_line(text)}: nested too deeply") from None
        except ValueError as error:  # a number with more digits than Python reads
            raise ValueError(f"{name}:{_longest_number_line(text)}: {str(error).split(';')[0]}") from None
        self.lines: dict[Path, int] = {(): 1}
        _Scanner(text, self.lines).document()

    def line(self, path: Path) -> int:
        """Line of a path, or of its nearest parent that the document has."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def at(self, path: Path, problem: str) -> str:
        """`name:line: problem` at a path."""
        return f"{self.name}:{self.line(path)}: {problem}"


def dotted(path: Path) -> str:
    """A path as a reader writes it: axis[0].name."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def _deepest_line(text: str) -> int:
    """Line with more brackets opened than closed than any other."""
    opened = [line.count("[") + line.count("{") - line.count("]") - line.count("}") for line in text.split("\n")]
    return 1 + opened.index(max(opened))


def _longest_number_line(text: str) -> int:
    """Line of the longest row of digits."""
    rows = [max(map(len, re.findall(r"[0-9_]+", line)), default=0) for line in text.split("\n")]
    return 1 + rows.index(max(rows))


class _Scanner:
    """Walks a text that `tomllib` has accepted, and notes lines; it need not recognise errors."""

    def __init__(self, text: str, lines: dict[Path, int]) -> None:
        self.text, self.lines, self.place = text, lines, 0
        self.counted, self.number = 0, 1
        self.array_sizes: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        while self._skip() < len(self.text):
            if self.text.startswith("[", self.place):
                table = self._header()
            else:
                self._pair(table)

    def _skip(self) -> int:
        found = _SPACE.match(self.text, self.place)
        self.place = found.end() if found else self.place
        return self.place

    def _note(self, path: Path) -> None:
        self.number += self.text.count("\n", self.counted, self.place)
        self.counted = self.place
        self.lines.setdefault(path, self.number)

    def _header(self) -> Path:
        start, array = self.place, self.text.startswith("[[", self.place)
        self.place += 2 if array else 1
        keys = self._key()
        self.place = self.text.index("]", self.place) + (2 if array else 1)
        end, self.place = self.place, start
        path: Path = ()
        for depth, key in enumerate(keys):
            path = (*path, key)
            self._note(path)
            if array and depth == len(keys) - 1:
                self.array_sizes[path] = self.array_sizes.get(path, 0) + 1
            if path in self.array_sizes:  # a header below an array of tables means its last element
                path = (*path, self.array_sizes[path] - 1)
                self._note(path)
        self.place = end
        return path

    def _key(self) -> list[str]:
        keys = []
        while True:
            self._skip()
            found = _BARE.match(self.text, self.place) or self._string()
            if found is None:
                return keys
            self.place = found.end()
            raw = found[0]
            keys.append(raw if _BARE.fullmatch(raw) else next(iter(tomllib.loads(f"{raw} = 0"))))
            self._skip()
            if not self.text.startswith(".", self.place):
                return keys
            self.place += 1

    def _pair(self, table: Path) -> None:
        start = self._skip()
        keys = self._key()
        after, self.place = self.place, start
        path = table
        for key in keys:
            path = (*path, key)
            self._note(path)
        self.place = self.text.index("=", after) + 1
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip()
        opening = self.text[self.place]
        string = self._string()
        if string is not None:
            self.place = string.end()
        elif opening in "[{":
            self.place += 1
            closing, count = "]" if opening == "[" else "}", 0
            while self._skip() < len(self.text) and not self.text.startswith(closing, self.place):
                if opening == "[":
                    self._note((*path, count))
                    self._value((*path, count))
                    count += 1
                else:
                    self._pair(path)
                self._skip()
                if self.text.startswith(",", self.place):
                    self.place += 1
            self.place += 1
        else:
            scalar = _SCALAR.match(self.text, self.place)
            self.place = scalar.end() if scalar else self.place

    def _string(self) -> re.Match[str] | None:
        for quotes, pattern in _STRINGS:
            if self.text.startswith(quotes, self.place):
                return pattern.match(self.text, self.place)
        return None
