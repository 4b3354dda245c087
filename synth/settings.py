"""Settings in YAML: one way to read a table of them into a pydantic model, and to say what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from synth.errors import InputError
from synth.files.documents import parse_yaml, read_yaml

_SHOWN = 80  # letters of a value in a message

M = TypeVar("M", bound=BaseModel)


def read_settings(kind: type[M], path: Path, *, see: str, overrides: Mapping[str, Any] | None = None) -> M:
    """The model that a YAML file describes, `overrides` put over it.

    Args:
        see: where the keys are explained, for messages.

    Raises InputError naming the file, and the key with its value where one is unknown or out of range.
    """
    table = read_yaml(path)
    if not isinstance({} if table is None else table, dict):
        raise InputError(f"{path}: not a table of keys and values; see {see}")
    try:
        return kind.model_validate({**(table or {}), **(overrides or {})})
    except ValidationError as error:
        raise InputError(f"{path}: {_first(error, see)}") from error


def key_values(pairs: Sequence[str], what: str) -> dict[str, Any]:
    """KEY=VALUE with YAML values, as a command takes them. Raises InputError, which names `what` they are of."""
    table: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise InputError(f"{what}: '{pair[:_SHOWN]}' is not KEY=VALUE; write steps=1000")
        if key in table:
            raise InputError(f"{what}: {key} is given twice; keep one")
        table[key] = parse_yaml(value, f"{what}: {key}={value[:_SHOWN]}")
    return table


def _first(error: ValidationError, see: str) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors()[0]
    where = ".".join(str(part)[:_SHOWN] for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown key; remove it, or see {see} for the keys"
    shown = "" if isinstance(first["input"], (dict, list)) else f" '{str(first['input'])[:_SHOWN]}'"
    message = first["msg"].removeprefix("Value error, ")
    told = f"{message[0].lower()}{message[1:]}; see {see}"
    return f"{where}{shown}: {told}" if where else told  # of the whole, a message names its field itself
