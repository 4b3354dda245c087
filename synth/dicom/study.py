"""A whole case as one DICOM study: CT, organs, lesions and report, built in memory and written to a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from highdicom.seg import Segmentation
from pydicom import Dataset

from synth.dicom.ct import ct_series
from synth.dicom.identity import Identity
from synth.dicom.masks import Marked, findings, structures
from synth.dicom.seg import segmentation
from synth.dicom.sr import measurement_report
from synth.scanner import Scanner
from synth.volumes.types import Case, LabelMap

CT, ORGANS, LESIONS, REPORT = "ct", "organs.dcm", "lesions.dcm", "report.dcm"


@dataclass(frozen=True)
class Study:
    """The objects of a case. Segmentations and report are None where there is nothing to mark or measure."""

    series: list[Dataset]
    organs: Segmentation | None
    lesions: Segmentation | None
    report: Dataset | None

    def write(self, folder: Path) -> None:
        """`ct/0001.dcm` and on, `organs.dcm`, `lesions.dcm`, `report.dcm`. Raises OSError."""
        (folder / CT).mkdir(parents=True)
        for number, image in enumerate(self.series, start=1):
            image.save_as(folder / CT / f"{number:04d}.dcm", enforce_file_format=True)
        for name, made in ((ORGANS, self.organs), (LESIONS, self.lesions), (REPORT, self.report)):
            if made is not None:
                made.save_as(folder / name, enforce_file_format=True)


def identity_of(
    plan: Mapping[str, Any], report: Mapping[str, Any], manifest: Mapping[str, Any], patient_id: str
) -> Identity:
    """The identity of a case from its plan.json, report.json and manifest.json."""
    files = sorted((name, entry["sha256"]) for name, entry in manifest["files"].items())
    scanner = Scanner.model_validate(plan["scanner"]) if plan.get("scanner") else None
    weights = sorted(entry["sha256"] for entry in manifest["weights"].values())
    return Identity(
        content=_hash(files),
        patient_id=patient_id,
        case=plan["case"],
        door=plan["door"],
        prompt=plan["request"]["prompt"],
        weights=_hash(weights)[:16],
        region=next((s["facts"]["region"] for s in report["sentences"] if s["id"] == "volume"), None),
        kernel=str(scanner.kernel) if scanner else None,
        scanner=scanner.told() if scanner else None,
    )


def study(case: Case, report: Mapping[str, Any], identity: Identity) -> Study:
    """The objects of a case whose report.json is `report`."""
    series, sentences = ct_series(case.ct, identity), report["sentences"]
    parts: dict[str, tuple[Segmentation, list[Marked]]] = {}
    sources: dict[str, tuple[LabelMap, list[Marked], int]] = {
        "lesions": (case.lesions, findings(case, sentences), 2),
        "organs": (case.organs, structures(case, sentences), 3),
    }
    for role, (source, marked, number) in sources.items():
        if marked:
            parts[role] = (segmentation(source, marked, series, identity, role, number), marked)
    measured = measurement_report(list(parts.values()), series, identity, 4) if parts else None
    made = {role: part for role, (part, _) in parts.items()}
    return Study(series, made.get("organs"), made.get("lesions"), measured)


def _hash(parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
