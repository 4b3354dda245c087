"""Damage: bytes, JSON values, numbers and text as they should never be, drawn from a generator."""

from __future__ import annotations

import copy
import gzip
import io
import json
import lzma
from pathlib import Path
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
            return _value(rng)
        kind = int(rng.integers(5))
        if kind == 0 and isinstance(place, dict):
            del place[key]
        elif kind == 1 and isinstance(place, dict):
            place[pick(rng, TEXTS[:14])] = place.pop(key)
        elif kind == 2 and isinstance(place, list):
            place.append(_value(rng))
        else:
            place[key] = _value(rng)
    return content


def _value(rng: np.random.Generator) -> Any:
    """A value of its own: lists and tables are changed further."""
    return copy.deepcopy(pick(rng, VALUES))


def break_one(rng: np.random.Generator, files: list[Path]) -> None:
    """Damage one of some files, take it away, put a folder in its place, or change what it holds."""
    file = pick(rng, files)
    kind = rng.random()
    if kind < 0.15:
        file.unlink()
        if kind < 0.05:
            file.mkdir()
        return
    content = file.read_bytes()
    file.write_bytes(damaged(rng, content) if kind < 0.4 else within(rng, content, file.suffix))


def within(rng: np.random.Generator, content: bytes, suffix: str) -> bytes:
    """The content of a sound file of a kind, with damage beneath its checksums: to what is packed, or to a value."""
    if suffix == ".json":
        return json.dumps(changed(rng, json.loads(content), int(rng.integers(1, 3)))).encode(errors="replace")
    if suffix == ".gz":
        inner = gzip.decompress(content)
        head = 400 if rng.random() < 0.8 else len(inner)
        return gzip.compress(damaged(rng, inner[:head]) + inner[head:], 1)
    if suffix == ".npz":
        return _odd_arrays(rng, content)
    if suffix == ".safetensors":
        return _odd_tensors(rng, content)
    if suffix == ".xz":
        return lzma.compress(damaged(rng, lzma.decompress(content)))
    return damaged(rng, content)


def _odd_arrays(rng: np.random.Generator, content: bytes) -> bytes:
    """One array of a .npz gone, or of another type, shape or values."""
    with np.load(io.BytesIO(content)) as kept:
        arrays = dict(kept)
    name = pick(rng, sorted(arrays))
    array = arrays.pop(name)
    if array.dtype.kind == "U" and rng.random() < 0.6:
        arrays[name] = np.array(json.dumps(changed(rng, json.loads(str(array)), int(rng.integers(1, 3)))))
    elif rng.random() < 0.9:
        odd: tuple[np.ndarray, ...] = (
            array[..., None],
            array[:0] if array.ndim else array,
            np.array("x"),
            np.array(0),
            np.zeros(3, bool),
        )
        numbers = array if array.dtype.kind in "iuf" else np.zeros(4)
        odd += (numbers * np.nan, numbers.astype(float) * 1e300, -numbers.astype(float) - 1, numbers.astype(complex))
        arrays[name] = pick(rng, odd)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _odd_tensors(rng: np.random.Generator, content: bytes) -> bytes:
    """A safetensors file whose header says other things, or whose numbers are not finite."""
    length = int.from_bytes(content[:8], "little")
    header, numbers = json.loads(content[8 : 8 + length]), content[8 + length :]
    if rng.random() < 0.3:
        return content[: 8 + length] + b"\xff\xff\xff\x7f" * (len(numbers) // 4) + numbers[len(numbers) // 4 * 4 :]
    text = json.dumps(changed(rng, header, int(rng.integers(1, 3)))).encode(errors="replace")
    return len(text).to_bytes(8, "little") + text + numbers


def _place(rng: np.random.Generator, content: Any) -> tuple[Any, Any]:
    """A table or list somewhere in the content, and a key or position in it."""
    place, key = None, None
    while isinstance(content, (dict, list)) and content and (place is None or rng.random() < 0.75):
        place = content
        key = pick(rng, list(content)) if isinstance(content, dict) else int(rng.integers(len(content)))
        content = content[key]
    return place, key
