"""The case folder: the contract between everything that writes a case and everything that reads one.

A folder holds a whole case or is not there: it is written under a hidden name beside its place and renamed.
docs/data_format.md describes every file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from synth import provenance
from synth.errors import InputError
from synth.files.documents import read_table
from synth.files.whole import whole_folder
from synth.provenance import Check
from synth.volumes import nifti
from synth.volumes.types import Case, LabelMap, Volume

PLAN, CT, ORGANS, LESIONS, TREES = "plan.json", "ct.nii.gz", "organs.nii.gz", "lesions.nii.gz", "trees.nii.gz"
REPORT, REPORT_TEXT, PREVIEW, MANIFEST = "report.json", "report.txt", "preview.png", "manifest.json"
FILES = (PLAN, CT, ORGANS, LESIONS, REPORT, REPORT_TEXT, PREVIEW, MANIFEST)
DELTA = "delta.xz"  # in place of the volumes, where a cohort keeps what differs from the host (synth/cohort/delta.py)
_AGAIN = "make the case again"
_SHOWN = 60  # letters of a field's name in a message
M = TypeVar("M", bound=BaseModel)
_KNOWN = (*FILES, TREES)  # a torso that was drawn has trees too
_NEEDED = tuple(name for name in FILES if name != PREVIEW)  # a cohort may leave previews out


def write_case(
    folder: str | Path,
    case: Case,
    *,
    plan_json: str,
    report_json: str,
    report_text: str,
    preview_png: bytes | None,
    manifest: Mapping[str, Any],
) -> Path:
    """Write a whole case to `folder`, or nothing; without `preview_png` the folder has no preview. Returns the folder.

    `manifest` comes from `provenance.manifest`; the names of the ids and the sha256 of every file are added here.
    Raises InputError where the place is taken (see `require_free`), OutputError where it cannot be written.
    """
    folder = Path(folder)
    require_free(folder, plan_json)
    with whole_folder(folder, lambda: _stays(folder, plan_json)) as partial:
        nifti.write_volume(partial / CT, case.ct)
        nifti.write_labels(partial / ORGANS, case.organs)
        nifti.write_labels(partial / LESIONS, case.lesions)
        if case.trees is not None:
            nifti.write_labels(partial / TREES, case.trees)
        (partial / PLAN).write_text(plan_json, encoding="utf-8")
        (partial / REPORT).write_text(report_json, encoding="utf-8")
        (partial / REPORT_TEXT).write_text(report_text, encoding="utf-8")
        if preview_png is not None:
            (partial / PREVIEW).write_bytes(preview_png)
        (partial / MANIFEST).write_text(_sealed(manifest, case, partial), encoding="utf-8")
    return folder


def read_case(folder: str | Path) -> tuple[Case, dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The case in `folder`, and its plan, report and manifest. Raises InputError unless all files are there."""
    folder = Path(folder)
    if (folder / DELTA).is_file():
        raise InputError(f"{folder}: holds what differs from its host; run `synthct materialize` on the cohort first")
    if missing := [name for name in _NEEDED if not (folder / name).is_file()]:
        raise InputError(
            f"{folder}: no case folder, {', '.join(missing)} missing; hand over a folder that synthct wrote"
        )
    plan, report = (read_table(folder / name, remedy=_AGAIN) for name in (PLAN, REPORT))
    manifest = read_manifest(folder)
    ct = nifti.read_volume(folder / CT, plausible=False)
    organs = _named(folder, ORGANS, ct, manifest)
    lesions = _named(folder, LESIONS, ct, manifest)
    trees = _named(folder, TREES, ct, manifest) if TREES in recorded_files(manifest) else None
    return Case(ct, organs, lesions, trees), plan, report, manifest


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """manifest.json of a case, its fields as `provenance.manifest` and `write_case` make them. Raises InputError."""
    file = Path(folder) / MANIFEST
    content = read_table(file, remedy=_AGAIN)
    valid(_Manifest, content, file)
    return content


def valid(kind: type[M], content: Any, path: Path, *, remedy: str = _AGAIN) -> M:
    """What a file says as a pydantic model. Raises InputError, naming the first field that is not right."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part)[:_SHOWN] for part in first["loc"]) or "all of it"
        raise InputError(f"{path}: {where}: {first['msg'].lower()}; {remedy}") from error


class _File(BaseModel):
    sha256: str


class _Manifest(BaseModel):
    """The fields of a manifest that are read again."""

    labels: dict[str, dict[int, str]]
    files: dict[str, _File]
    weights: dict[str, _File] = {}
    inputs: dict[str, _File] = {}
    checks: list[Check] = []
    attempts: int = 1
    environment: dict[str, Any] = {}


def has_plan(folder: str | Path, plan_json: str) -> bool:
    """Whether `folder` holds this very plan, with or without the other files."""
    plan = Path(folder) / PLAN
    try:
        return plan.stat().st_size == len(plan_json.encode()) and plan.read_bytes() == plan_json.encode()
    except OSError:
        return False


def is_complete(folder: str | Path, plan_json: str) -> bool:
    """Whether `folder` holds this very plan and all its files at their full sizes (content is not hashed)."""
    return has_plan(folder, plan_json) and is_whole(folder)


def is_whole(folder: str | Path) -> bool:
    """Whether all files of a case are in `folder`, at the sizes that its manifest recorded.

    A preview that is missing where the manifest has one is a file that is missing. A delta stands for the volumes.
    """
    folder = Path(folder)
    replaced = (CT, ORGANS, LESIONS) if (folder / DELTA).is_file() else ()
    if not all((folder / name).is_file() for name in _NEEDED if name not in replaced):
        return False
    try:
        files = read_table(folder / MANIFEST)["files"]
        there = {name: entry["bytes"] for name, entry in files.items() if name in _KNOWN and name not in replaced}
        return all((folder / name).stat().st_size == size for name, size in there.items())
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        return False


def _stays(folder: Path, plan_json: str) -> bool:
    """Whether what came to stand in a case's place is that case, whole. Raises InputError where it is another."""
    require_free(folder, plan_json)
    return is_complete(folder, plan_json)


def require_free(folder: str | Path, plan_json: str) -> None:
    """Raise InputError if `folder` holds anything but this case, or cannot be made where it is asked for."""
    folder = Path(folder)
    if not folder.exists():
        above = next((parent for parent in folder.parents if parent.exists()), folder)
        if above.is_file():
            raise InputError(f"{above}: is a file; choose another --out")
        return
    if has_plan(folder, plan_json):
        return
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file; choose another --out")
    if (folder / PLAN).is_file():
        raise InputError(f"{folder}: holds another case (its plan differs); choose another --out or remove it")
    if any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty and no case folder; choose another --out")


def altered_files(folder: str | Path, manifest: Mapping[str, Any]) -> list[str]:
    """Names of the files whose content is not what the manifest recorded, or that it does not know."""
    folder = Path(folder)
    recorded = recorded_files(manifest)
    return [name for name in _KNOWN if name != MANIFEST and _sha256(folder / name) != recorded.get(name)]


def recorded_files(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Name -> sha256 of the files that a manifest lists; none of what it lists in another shape."""
    files = manifest.get("files")
    entries = files.items() if isinstance(files, Mapping) else ()
    return {name: str(entry.get("sha256")) for name, entry in entries if isinstance(entry, Mapping)}


def _sealed(manifest: Mapping[str, Any], case: Case, partial: Path) -> str:
    """The manifest as JSON text, with the names of the ids and size and hash of every other file."""
    names = {"organs": case.organs.names, "lesions": case.lesions.names}
    if case.trees is not None:
        names["trees"] = case.trees.names
    there = [name for name in _KNOWN if name != MANIFEST and (partial / name).is_file()]
    contents = {name: (partial / name).read_bytes() for name in there}
    sealed = dict(manifest) | {
        "labels": {what: {str(i): name for i, name in sorted(table.items())} for what, table in names.items()},
        "files": {name: {"bytes": len(c), "sha256": provenance.sha256(c)} for name, c in contents.items()},
    }
    return json.dumps(sealed, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _named(folder: Path, file: str, ct: Volume, manifest: Mapping[str, Any]) -> LabelMap:
    """A label map of the case, with the names that its manifest gives to the ids."""
    what = file.removesuffix(".nii.gz")
    try:
        names = {int(i): str(name) for i, name in manifest["labels"][what].items()}
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / MANIFEST}: no names under labels.{what}; make the case again") from error
    return LabelMap(*nifti.read_ids(folder / file, like=ct), names)


def _sha256(path: Path) -> str | None:
    return provenance.sha256_of_file(path) if path.is_file() else None
