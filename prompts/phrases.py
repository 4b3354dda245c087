"""The tables beside this file, loaded once."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast, where there is one


@cache
def load(name: str) -> dict[str, Any]:
    """The table `name` (a path inside this package, such as "phrases.yaml") as a mapping.

    Keys become strings (`70` -> "70", `true` -> "True"), so that a table can be indexed by `str(value)`.
    """
    text = resources.files("prompts").joinpath(name).read_text(encoding="utf-8")
    return {str(k): _with_text_keys(v) for k, v in _LOADER(text).get_single_data().items()}


def _with_text_keys(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(k): _with_text_keys(v) for k, v in node.items()}
    return node
