"""YAML and JSON, bounded: no key twice, no number that reads two ways, no alias that multiplies, all numbers finite."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from synth.errors import InputError
from synth.files.content import MOST_BYTES, decoded, require_text, text_of

DEPTH = 64  # tables and lists within each other
YAML_BYTES = 2**22
_NODES = 200_000  # of a YAML document, each alias counted with all that it stands for
_DIGITS = 20  # of an integer: as many as 64 bits need
_MERGE = "tag:yaml.org,2002:merge"  # the key <<
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is 10 times as fast, where it is built in


class _RefusedError(ValueError):
    """What is wrong with a document, without its name."""


def read_yaml(path: Path, what: str = "") -> Any:
    """What a YAML file says, None for an empty one. Raises InputError."""
    what = what or str(path)
    return parse_yaml(text_of(path, what, kind="a YAML file", most=YAML_BYTES), what)


def parse_yaml(text: str, what: str) -> Any:
    """What YAML text says: tables, lists, text, finite numbers, booleans and None.

    Dates are text. Explicit types (`!!int`), aliases that stand for more than 200,000 values in all, keys that are
    given twice and numbers such as 012 and 1:30, which YAML reads to base 8 and 60, are refused. Raises InputError.
    """
    try:
        _require_bounded(yaml.parse(text, Loader=_PARSER))
        content = _Loader(text).get_single_data()
        _require_plain(content, controls=False)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{what}: not YAML ({_one_line(error)})") from error
    return content


def read_json(path: Path, what: str = "", *, remedy: str = "copy it again", most: int = MOST_BYTES) -> Any:
    """What a JSON file says. Raises InputError, which ends with `remedy`."""
    what = what or str(path)
    return parse_json(text_of(path, what, kind="a JSON file", most=most), what, remedy=remedy)


def parse_json(text: str | bytes, what: str, *, remedy: str = "copy it again") -> Any:
    """What JSON text says; keys given twice, numbers that are not finite and what no file can hold are refused."""
    try:
        content = json.loads(
            decoded(text, what) if isinstance(text, bytes) else text,
            object_pairs_hook=_table_of,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_finite,
        )
        _require_plain(content)
    except RecursionError as error:
        raise InputError(f"{what}: not JSON (nested more than {DEPTH} deep); {remedy}") from error
    except ValueError as error:
        raise InputError(f"{what}: not JSON ({_one_line(error)}); {remedy}") from error
    return content


def read_table(path: Path, what: str = "", *, remedy: str = "copy it again") -> dict[str, Any]:
    """The fields of a JSON file. Raises InputError where it holds anything else."""
    content = read_json(path, what, remedy=remedy)
    if not isinstance(content, dict):
        raise InputError(f"{what or path}: holds a {type(content).__name__}, not a table of fields; {remedy}")
    return content


def _require_bounded(events: Iterable[yaml.Event]) -> None:
    """Count values as they come, before any is built. Raises _RefusedError."""
    sizes: dict[str, int] = {}  # of what an anchor names
    still_open: list[tuple[str | None, int]] = []
    count = 0
    for event in events:
        if (tag := getattr(event, "tag", None)) is not None:
            raise _RefusedError(f"type {tag} is not used here; write the value alone")
        if isinstance(event, yaml.AliasEvent):
            if str(event.anchor) not in sizes:
                raise _RefusedError(f"alias *{event.anchor} stands in itself, or for nothing")
            count += sizes[str(event.anchor)]
        elif isinstance(event, yaml.NodeEvent):
            count += 1
        if isinstance(event, yaml.CollectionStartEvent):
            still_open.append((event.anchor, count))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = still_open.pop()
            _note_size(sizes, anchor, count - before + 1)
        elif isinstance(event, yaml.ScalarEvent):
            _note_size(sizes, event.anchor, 1)
        if count > _NODES:
            raise _RefusedError(f"more than {_NODES} values, aliases counted in full; write less")
        if len(still_open) > DEPTH:
            raise _RefusedError(f"nested more than {DEPTH} deep")


def _note_size(sizes: dict[str, int], anchor: str | None, size: int) -> None:
    if anchor is not None:
        sizes[anchor] = size


class _Loader(_PARSER):
    """YAML's safe loader, which refuses what it would read in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A table whose keys are each given once."""
        seen: set[Hashable] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _RefusedError("a key is a word or a number")
            same: set[Hashable] = {key.value}
            if key.tag != _MERGE:
                same.add(self.construct_object(key))  # 3, "3" and 3.0 are one key of a table of ids
            if seen & same:
                raise _RefusedError(f"key '{key.value}' is given twice; keep one")
            seen |= same
        return super().construct_mapping(node, deep=deep)

    def _whole(self, node: yaml.ScalarNode) -> int:
        if not _DECIMAL.fullmatch(node.value):
            raise _RefusedError(f"{node.value}: reads as a number to another base; write it in decimal, or in quotes")
        return _integer(node.value)

    def _decimal(self, node: yaml.ScalarNode) -> float:
        if ":" in node.value:
            raise _RefusedError(f"{node.value}: reads as a number to base 60; write it in quotes")
        return _finite(node.value.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader._whole)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader._decimal)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))


def _table_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _RefusedError(f"key '{next(key for key in keys if keys.count(key) > 1)}' is given twice; keep one")
    return table


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS + 1:
        raise _RefusedError(f"a number of {len(digits)} digits; at most {_DIGITS} are read")
    return int(digits)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _RefusedError(f"{text[:20]} is no finite number")
    return number


def _require_plain(content: Any, *, controls: bool = True) -> None:
    """Raise _RefusedError for depth, for text that no file can hold and, unless `controls`, control characters."""
    for text, depth in _texts(content):
        if depth > DEPTH:
            raise _RefusedError(f"nested more than {DEPTH} deep")
        require_text(text, "text")
        if not controls and (found := _CONTROL.search(text)):
            raise _RefusedError(f"text {ascii(text[:40])} holds the control character {ascii(found[0])}; leave it out")


def _texts(content: Any) -> Iterator[tuple[str, int]]:
    """Every text in it, and of what is too deep an empty one, with its depth."""
    todo = [(content, 0)]
    while todo:
        value, depth = todo.pop()
        if isinstance(value, str):
            yield value, depth
        elif isinstance(value, (dict, list)):
            if depth >= DEPTH:
                yield "", DEPTH + 1
            todo += [(one, depth + 1) for one in value]
            todo += [(one, depth + 1) for one in (value.values() if isinstance(value, dict) else ())]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
