"""What is known of each complete case once it is written: read from its folder, in the order of the index."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.cohort import layout
from synth.cohort.hosts import HostFiles
from synth.cohort.planning import CohortPlan, PlannedCase

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
        reference = self.plan["host"]
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
    read = {name: json.loads((folder / f"{name}.json").read_text()) for name in ("plan", "manifest", "report")}
    host = plan.hosts[planned.hosts[read["plan"]["attempt"]]] if planned.hosts else None
    return Record(planned, read["plan"], read["manifest"], read["report"]["sentences"], host)
