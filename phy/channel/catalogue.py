"""The published parameters of the channel models, read from `spec/*.toml`: each value once, with source and grade."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from ..errors import ConfigurationError


@cache
def load(file: str) -> Mapping[str, Any]:
    """The tables of `spec/<file>.toml`. Callers must not change what they get."""
    return tomllib.loads(resources.files(__package__).joinpath("spec", f"{file}.toml").read_text(encoding="utf-8"))


def entry(file: str, model: str, name: str | None = None) -> Mapping[str, Any]:
    """One model of a file, or one named preset of it.

    Raises:
        ConfigurationError: there is no preset of that name; the text lists those there are.
    """
    table: Mapping[str, Any] = load(file)[model]
    if name is None:
        return table
    if name not in table or not isinstance(table[name], dict):
        known = ", ".join(sorted(key for key, value in table.items() if isinstance(value, dict)))
        raise ConfigurationError(f"{model} has no preset {name!r}; it has: {known}")
    preset: Mapping[str, Any] = table[name]
    return preset
