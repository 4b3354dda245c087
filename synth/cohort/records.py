"""What is known of each complete case once it is written: read from its folder, in the order of the index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.case import folder as case_folder
from synth.case.plan import valid_plan
from synth.cohort import layout
from synth.cohort.hosts import HostFiles
from synth.cohort.planning import CohortPlan, PlannedCase
from synth.errors import InputError
from synth.files.documents import read_table
from synth.report import Report

_FIELDS = ("attempts", "checks", "weights", "environment")  # of a manifest, that describe the set
_AGAIN = "remove the case and run the recipe again"
_MADE_UP = "synthetic"  # the host of a generated case


@dataclass(frozen=True)
class Record:
    """A complete case: as planned, and as its folder has it."""

    planned: PlannedCase
    plan: dict[str, Any]
    manifest: dict[str, Any]
    sentences: list[dict[str, Any]]
    host: HostFiles | None

    @property
    def patient(self) -> str:
        """Who must not stand in two parts of a split: the host's patient, or the made-up one of this case."""
        return self.host.patient if self.host else f"{_MADE_UP} {self.planned.name}"

    @property
    def host_sha256(self) -> str | None:
        """Content of the host's CT."""
        reference = self.plan.get("host")
        return None if reference is None else str(reference["ct_sha256"])

    def facts(self, *fields: str) -> list[dict[str, Any]]:
        """`facts` of the sentences that have all of these fields, each with the sentence's id as `name`."""
        wanted = set(fields)
        return [{"name": s["id"], **s["facts"]} for s in self.sentences if wanted <= set(s["facts"])]

    @property
    def lesions(self) -> list[dict[str, Any]]:
        """Measurements of the lesions (synth/report/measurements.py)."""
        return self.facts("kind", "long_axis_mm")


def read_records(plan: CohortPlan, out: Path) -> Iterator[Record]:
    """The complete cases of a cohort, one at a time, each twin after the case that it belongs to."""
    names = set(layout.complete(out))
    for planned in plan:
        for case in (planned, planned.as_twin()) if planned.twin else (planned,):
            if case.name in names:
                yield _record(plan, out, case)


def _record(plan: CohortPlan, out: Path, planned: PlannedCase) -> Record:
    folder = layout.case_folder(out, planned.name)
    case_plan, report = (read_table(folder / name, remedy=_AGAIN) for name in (case_folder.PLAN, case_folder.REPORT))
    made = valid_plan(case_plan, folder / case_folder.PLAN, remedy=_AGAIN)
    case_folder.valid(Report, report, folder / case_folder.REPORT, remedy=_AGAIN)
    if planned.hosts and made.attempt >= len(planned.hosts):
        raise InputError(f"{folder / case_folder.PLAN}: attempt {made.attempt} was not planned; {_AGAIN}")
    host = plan.hosts[planned.hosts[made.attempt]] if planned.hosts else None
    manifest = case_folder.read_manifest(folder)
    if missing := [field for field in _FIELDS if field not in manifest]:
        raise InputError(f"{folder / case_folder.MANIFEST}: has no {missing[0]}; {_AGAIN}")
    return Record(planned, case_plan, manifest, report["sentences"], host)
