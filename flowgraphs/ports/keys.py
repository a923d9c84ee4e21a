"""Keys on the command line and in files, and the keys of a simulated meter that was given none."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from osgp import OsgpError
from osgp.security import KeyRing

from ..errors import FlowgraphError

# No secrets: every simulated meter has them until it is given others. MAK is that of the MEP guide's examples (grade A), RK is
# what clients send when nobody has told them a password, the rest is our own (grade D).
TEST_KEYS: Final = {
    "MK": "MASTERKEY00000000001",
    "PK": "PROVISION00000000001",
    "RK": "hex:" + 20 * "00",
    "MAK": "hex:" + 16 * "01",
    "MBK": "BASICKEY000000000001",
}
HELP: Final = "A key: MK, PK, RK (optical port), MAK, MBK (MEP port); 20 ASCII characters, or hex: and digits. Repeat it."


class KeyTextError(FlowgraphError, ValueError):
    """A key is not written as keys are; the text never quotes it."""


def read_keys(options: Sequence[str], file: Path | None, *, defaults: bool) -> KeyRing:
    """Keys from a file (TOML: `RK = "..."`), then from options `KIND=TEXT`, which win.

    Args:
        defaults: test keys for kinds that nobody gave, as long as no key at all was given.

    Raises:
        KeyTextError: a kind is unknown or a key has the wrong length; the text says what is expected and quotes no key.
    """
    texts: dict[str, str] = {}
    if file is not None:
        try:
            content: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no TOML file"
            raise KeyTextError(f"{file}: {reason}; a line of it looks like RK = \"...\"") from None
        for kind, text in content.get("keys", content).items():
            if not isinstance(text, str):
                raise KeyTextError(f"{file}: {kind} must be a text in quotes")
            texts[kind.upper()] = text
    for option in options:
        kind, mark, text = option.partition("=")
        if not mark:
            raise KeyTextError("--key: expected KIND=TEXT, such as RK=20-ASCII-characters!!")
        texts[kind.upper()] = text
    if not texts and defaults:
        texts = dict(TEST_KEYS)
    try:
        return KeyRing.from_text(texts)
    except OsgpError as error:
        raise KeyTextError(str(error)) from None
    except TypeError:
        unknown = ", ".join(sorted(set(texts) - set(TEST_KEYS)))
        raise KeyTextError(f"--key: {unknown}: a key is one of {', '.join(TEST_KEYS)}") from None
