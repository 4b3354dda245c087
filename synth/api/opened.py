"""A case in memory, as Python code looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.case import folder as case_folder
from synth.report import Report
from synth.report.measurements import Measurements
from synth.volumes.types import Case, LabelMap, Volume


class Picture(bytes):
    """A PNG, which notebooks show."""

    def _repr_png_(self) -> bytes:
        return bytes(self)

    def save(self, path: str | Path) -> Path:
        """Write it to a file and return the file."""
        file = Path(path)
        file.write_bytes(self)
        return file


@dataclass(frozen=True)
class OpenCase:
    """A finished case.

    case: CT, organs, lesions and trees on one grid; report: sentences, each with the masks that it speaks of; plan:
    every random choice; manifest: versions, seeds, hashes, checks; folder: where it lies, None where it was not kept.
    """

    case: Case
    report: Report
    plan: Mapping[str, Any]
    manifest: Mapping[str, Any]
    folder: Path | None = None

    def __repr__(self) -> str:
        found = ", ".join(self.lesions.present()) or "no findings"
        return f"<OpenCase {self.folder or 'in memory'}: {self.ct!r}, {len(self.organs.present())} organs, {found}>"

    @property
    def ct(self) -> Volume:
        """`hu` (X, Y, Z) int16 Hounsfield units and `affine` (4, 4), RAS mm."""
        return self.case.ct

    @property
    def organs(self) -> LabelMap:
        """`ids` (X, Y, Z), `names` of the ids, and `mask(name)` as a boolean (X, Y, Z)."""
        return self.case.organs

    @property
    def lesions(self) -> LabelMap:
        """The same of findings and planning targets, one id each."""
        return self.case.lesions

    @property
    def trees(self) -> LabelMap | None:
        """The same of airways and vessels; None where none were grown."""
        return self.case.trees

    @property
    def words(self) -> Mapping[str, Any] | None:
        """What the prompt was read as: findings drawn, ruled out, or noted with the reason (`synthct read --json`)."""
        reading: Mapping[str, Any] | None = self.plan.get("reading")
        return reading

    def measure(self) -> Measurements:
        """Everything that a report may speak of, measured now: mm, mL, HU."""
        from synth.report import measure

        return measure(self.case)

    def show(self) -> Picture:
        """Three planes with outlines, the findings and the report, as a PNG."""
        from synth.case.preview import render

        report = self.report
        return Picture(render(self.case, report.text().splitlines(), str(self.plan.get("door")), report.model_dump()))


def load_case(folder: str | Path) -> OpenCase:
    """The case in a folder that synthct wrote. Raises InputError where it is none."""
    path = Path(folder)
    case, plan, report, manifest = case_folder.read_case(path)
    return OpenCase(case, case_folder.valid(Report, report, path / case_folder.REPORT), plan, manifest, path)
