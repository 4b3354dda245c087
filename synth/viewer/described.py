"""What the page is told of a case: its report, the names and colours of its masks, its checks, its siblings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from synth import __version__
from synth.case import folder as case_folder
from synth.errors import InputError
from synth.files.documents import read_table
from synth.volumes import labels

VOLUMES = {
    "ct": case_folder.CT,
    "organs": case_folder.ORGANS,
    "lesions": case_folder.LESIONS,
    "trees": case_folder.TREES,
}
_TREES = {"airways": "#7fd4ff", "arteries": "#ff5a4f", "veins": "#6f7dff"}
_OTHERS = ("#8fb8de", "#d9b38c", "#a3d9a5", "#d9a3c7", "#c7c7a3", "#a3c7d9")  # of names that the table does not have


def described(name: str, folder: Path, family: Iterable[Mapping[str, str]] = ()) -> dict[str, Any]:
    """A case in JSON values. Raises InputError where a file of it is missing or damaged."""
    if (folder / case_folder.DELTA).is_file():
        raise InputError(
            f"{name}: keeps what differs from its host; run `synthct materialize` on the cohort, view that"
        )
    manifest = case_folder.read_manifest(folder)
    report, plan = (read_table(folder / file) for file in (case_folder.REPORT, case_folder.PLAN))
    volumes = [what for what, file in VOLUMES.items() if (folder / file).is_file()]
    request = plan.get("request")
    return {
        "name": name,
        "version": __version__,
        "door": plan.get("door"),
        "prompt": request.get("prompt") if isinstance(request, dict) else None,
        "seed": plan.get("seed"),
        "attempts": manifest.get("attempts", 1),
        "sentences": _sentences(report),
        "labels": {what: _labels(what, manifest["labels"].get(what) or {}) for what in volumes if what != "ct"},
        "checks": [_check(check) for check in manifest.get("checks", [])],
        "family": list(family),
        "volumes": volumes,
    }


def failed(check: Mapping[str, Any]) -> bool:
    """Whether a check's value lies outside its limits."""
    return not _least(check) <= check["value"] <= _most(check)


def room(check: Mapping[str, Any]) -> float | None:
    """How far a value lies within its limits, as a share of their range; below 0 outside, None without an end."""
    low, high = _least(check), _most(check)
    width = high - low
    if not 0 < width < float("inf"):
        return None
    return float(min(check["value"] - low, high - check["value"]) / width)


def _least(check: Mapping[str, Any]) -> float:
    return float("-inf") if check.get("low") is None else float(check["low"])


def _most(check: Mapping[str, Any]) -> float:
    return float("inf") if check.get("high") is None else float(check["high"])


def _check(check: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": check["name"], "value": check["value"], "low": check["low"], "high": check["high"],
            "ok": not failed(check)}  # fmt: skip


def _sentences(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The sentences in their order, each with what it stands under and the masks that it speaks of."""
    found = report.get("sentences")
    kept = [s for s in found if isinstance(s, dict)] if isinstance(found, list) else []
    return [{key: s.get(key) for key in ("id", "section", "system", "text", "masks", "facts")} for s in kept]


def _labels(what: str, names: Mapping[Any, str]) -> dict[str, dict[str, str]]:
    """id -> name and colour."""
    table = {s.name: s.colour for s in labels.structures()}
    return {
        str(i): {"name": str(name), "colour": _colour(what, number, str(name), table)}
        for number, (i, name) in enumerate(names.items())
    }


def _colour(what: str, number: int, name: str, table: Mapping[str, str]) -> str:
    if what == "lesions":
        return labels.LESION_COLOURS[number % len(labels.LESION_COLOURS)]
    if what == "trees":
        return next((colour for part, colour in _TREES.items() if part in name), _TREES["veins"])
    return table.get(name) or _OTHERS[number % len(_OTHERS)]
