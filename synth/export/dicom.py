"""A cohort as DICOM: a folder a case with CT series, segmentations and structured report, and an index."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import Any

from synth.case import folder as case_folder
from synth.dicom.study import identity_of, study
from synth.export.source import CohortSource, intact, read_source
from synth.files.whole import new_folder
from synth.progress import Progress

INDEX = "index.csv"
_COLUMNS = ("case", "split", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "prompt")


def export_dicom(cohort: Path, out: Path, progress: Progress) -> Path:
    """`out`/CASE/ct/*.dcm, organs.dcm, lesions.dcm, report.dcm, and `out`/index.csv with UIDs and the split.

    The same cohort gives the same bytes. Raises InputError, OutputError.
    """
    source = read_source(cohort)
    return new_folder(out, lambda partial: _write(source, partial, progress))


def _write(source: CohortSource, out: Path, progress: Progress) -> None:
    with (out / INDEX).open("w", newline="", encoding="utf-8") as file, progress.step("dicom", len(source.cases)) as s:
        index = csv.DictWriter(file, _COLUMNS)
        index.writeheader()
        for case in source.cases:
            with intact(source.case_folder(case)):
                index.writerow(_case(source, case, out / case["case"]))
            s.advance()


def _case(source: CohortSource, case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write one case; its row of the index."""
    content, plan, report, manifest = case_folder.read_case(source.case_folder(case))
    patient_id = _patient_id(source.cohort.name, case["patient"] or case["case"])
    identity = identity_of(plan, report, manifest, patient_id)
    made = study(content, report, identity)
    made.write(folder)
    return {
        "case": case["case"],
        "split": case["split"],
        "PatientID": identity.patient_id,
        "StudyInstanceUID": made.series[0].StudyInstanceUID,
        "SeriesInstanceUID": made.series[0].SeriesInstanceUID,
        "prompt": case["prompt"],
    }


def _patient_id(cohort: str, patient: str) -> str:
    """A pseudonym: the same for all cases of a patient, without the name that the hosts' index gives them."""
    return f"{cohort[:40]}-{hashlib.sha256(f'{cohort}/{patient}'.encode()).hexdigest()[:12]}"
