"""The rows of the gallery: of each case what it can be filtered and sorted by."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from synth.case import folder as case_folder
from synth.errors import InputError
from synth.files.content import bytes_of
from synth.viewer.described import failed, room
from synth.viewer.shelf import Shelf

logger = logging.getLogger(__name__)
_COLUMNS = [
    *("case", "split", "group", "door", "sibling_of", "attempts", "host", "prompt", "region", "scanner"),
    *("lesions", "targets", "checks"),
]
_PLAIN = ("split", "group", "door", "sibling_of", "attempts", "host", "prompt", "region", "scanner")


def rows(shelf: Shelf) -> list[dict[str, Any]]:
    """A row a case, in the order of the shelf: of a finished cohort from its table, else from the cases' own files.

    A case whose files cannot be read has a row with the reason. A table that cannot be read is told and left alone.
    """
    told = {row["case"]: row for row in _table(shelf.root)} if shelf.cohort else {}
    return [_from_table(name, told[name]) if name in told else _from_files(name, shelf) for name in shelf.cases]


def _table(root: Path) -> list[dict[str, Any]]:
    from synth.cohort.verify import read_rows

    try:
        return read_rows(root, _COLUMNS)
    except InputError as error:  # of another version, or damaged
        logger.warning("%s; the gallery reads the files of the cases, without groups and splits", error)
        return []


def _from_table(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: row[key] for key in _PLAIN}
    return {
        "case": name,
        **plain,
        **_measured(row["lesions"] or [], row["targets"] or []),
        **_checked(row["checks"] or []),
    }


def _from_files(name: str, shelf: Shelf) -> dict[str, Any]:
    try:
        return _read(name, shelf.folder(name))
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # InputError is a ValueError
        reason = str(error).replace(str(shelf.cases[name]), name) if isinstance(error, InputError) else "cannot be read"
        return {"case": name, "damaged": reason}


def _fields(file: Path) -> Any:
    """What a JSON file says, read ten times as fast as by `read_table`: a folder may hold thousands of cases."""
    return from_json(bytes_of(file), allow_inf_nan=False)


def _read(name: str, folder: Path) -> dict[str, Any]:
    files = (case_folder.MANIFEST, case_folder.PLAN, case_folder.REPORT)
    manifest, plan, report = (_fields(folder / file) for file in files)
    request, sibling = plan.get("request"), plan.get("sibling")
    facts = [
        s["facts"] for s in report.get("sentences", []) if isinstance(s, dict) and isinstance(s.get("facts"), dict)
    ]
    volume: Mapping[str, Any] = next((f for f in facts if "extent_mm" in f), {})
    return {
        "case": name,
        "door": plan.get("door"),
        "prompt": request.get("prompt") if isinstance(request, dict) else None,
        "region": volume.get("region"),
        "sibling_of": sibling.get("case") if isinstance(sibling, dict) else None,
        "attempts": manifest.get("attempts", 1),
        **_measured((f for f in facts if "kind" in f and "centre_mm" in f), (f for f in facts if "dose_gy" in f)),
        **_checked(manifest.get("checks", [])),
    }


def _measured(lesions: Iterable[Mapping[str, Any]], targets: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What was found: kind, organ, side, longest diameter in a slice in mm and volume in mL of each."""
    found = [
        _finding(f["kind"], f, by_volume=f.get("extent") is not None or f.get("depth_mm") is not None) for f in lesions
    ]
    return {"findings": found + [_finding(f"target {f['dose_gy']} Gy", f, by_volume=True) for f in targets]}


def _finding(kind: str, facts: Mapping[str, Any], *, by_volume: bool) -> dict[str, Any]:
    """`by_volume`: whether its volume tells more than a diameter, as of an effusion."""
    return {"kind": kind, "organ": facts.get("organ"), "side": facts.get("side"), "mm": facts.get("long_axis_mm"),
            "ml": facts.get("volume_ml"), "by_volume": by_volume}  # fmt: skip


def _checked(checks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """How many checks there are, which fail, and the one that is nearest to a limit."""
    listed = list(checks)
    near = [(share, check["name"]) for check in listed if (share := room(check)) is not None]
    least = min(near, default=(None, None))
    return {
        "checks": len(listed),
        "failed": [c["name"] for c in listed if failed(c)],
        "room": least[0],
        "nearest": least[1],
    }
