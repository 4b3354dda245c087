"""Damage: bytes, JSON values, numbers and text as they should never be, drawn from a generator."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

TEXTS = (
    *(
        "",
        " ",
        ".",
        "..",
        "../../evil",
        "/abs",
        "a\0b",
        "a\nb",
        "\udcff",
        "é" * 200,
        "x" * 5000,
        "nan",
        "-inf",
        "1e999",
    ),
    *(
        "-1",
        "0",
        "9" * 5000,
        "\u202e",
        "\x1b[31m",
        "%s%n",
        "{}",
        "[",
        "*",
        "~",
        "{{7*7}}",
        "<script>",
        "' OR 1=1",
        "🫁",
    ),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2**31, 2**63, -(2**63), 10**30, 1e308, -1e-308, 0.5, [], {}, [[]], {"a": {}}),
    *([None], ["x"] * 3, {"x": 1}, {"": 0}, *TEXTS[:14]),
)


def pick(rng: np.random.Generator, values: Any) -> Any:
    """One of some values."""
    return values[int(rng.integers(len(values)))]


def damaged(rng: np.random.Generator, content: bytes) -> bytes:
    """The bytes with one kind of damage: bits, a cut, a hole, a double, zeros, or something else altogether."""
    if not content:
        return pick(rng, (b"\0", b"\xff" * 10, b"x"))
    at = int(rng.integers(len(content)))
    length = int(rng.integers(1, max(2, min(64, len(content)))))
    kind = int(rng.integers(8))
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + content[at + length :]
    if kind == 2:
        return content[: at + length] + content[at:]
    if kind == 3:
        return content[:at] + bytes(length) + content[at + length :]
    if kind == 4:
        return content[:at] + rng.bytes(length) + content[at + length :]
    if kind == 5:
        return pick(
            rng, (b"", b"[]", b"{}", b"null", b"\xff\xfe", b"PK\x03\x04", b"\x1f\x8b", b"\xfd7zXZ\0", b"[" * 9000)
        )
    flipped = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        flipped[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    return bytes(flipped)


def changed(rng: np.random.Generator, content: Any, times: int = 1) -> Any:
    """JSON content with some values replaced, keys removed, renamed or added."""
    content = copy.deepcopy(content)
    for _ in range(times):
        place, key = _place(rng, content)
        if place is None:
            return pick(rng, VALUES)
        kind = int(rng.integers(5))
        if kind == 0 and isinstance(place, dict):
            del place[key]
        elif kind == 1 and isinstance(place, dict):
            place[pick(rng, TEXTS[:14])] = place.pop(key)
        elif kind == 2 and isinstance(place, list):
            place.append(pick(rng, VALUES))
        else:
            place[key] = pick(rng, VALUES)
    return content


def _place(rng: np.random.Generator, content: Any) -> tuple[Any, Any]:
    """A table or list somewhere in the content, and a key or position in it."""
    place, key = None, None
    while isinstance(content, (dict, list)) and content and (place is None or rng.random() < 0.75):
        place = content
        key = pick(rng, list(content)) if isinstance(content, dict) else int(rng.integers(len(content)))
        content = content[key]
    return place, key
