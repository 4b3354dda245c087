"""Finish: write the report, draw the preview, write the folder."""

from __future__ import annotations

from pathlib import Path

from synth import provenance, report
from synth.case import folder as case_folder
from synth.case import lesion_weights, library
from synth.case.draft import Draft
from synth.case.plan import InsertPlan
from synth.case.preview import render
from synth.case.weights_folder import insertion_files


def finish(folder: Path, draft: Draft, command: str, preview: bool = True) -> Path:
    """Everything of a case that follows from its volume and masks, written as one folder, with its picture or not."""
    plan, case = draft.plan, draft.case
    written = report.write(draft.measured or report.measure(case), draft.prior, plan.style)
    text = written.text()
    own = plan.lesion_weights_sha256 if isinstance(plan, InsertPlan) else None
    trained = lesion_weights.of_plan(own, draft.inputs)
    manifest = provenance.manifest(
        command=command,
        seeds=plan.seeds(),
        weights=_weights(draft, trained),
        device=str(library.device()),
        attempts=len(draft.rejections) + 1,
        checks=draft.checks,
        inputs={role: file for role, file in draft.inputs.items() if role != lesion_weights.ROLE},
    )
    if plan.reading:
        manifest["reading"] = plan.reading
    manifest |= draft.more
    return case_folder.write_case(
        folder,
        case,
        plan_json=plan.to_json(),
        report_json=written.model_dump_json(indent=1) + "\n",
        report_text=text,
        preview_png=render(case, text.splitlines(), plan.door, written.model_dump()) if preview else None,
        manifest=manifest,
    )


def _weights(draft: Draft, trained: Path | None) -> dict[str, Path]:
    """Role -> file of what drew the voxels."""
    if draft.drawn_by is not None:
        return {**draft.drawn_by, **(insertion_files() if draft.plan.lesions else {})}
    return draft.weights.files() if draft.weights else insertion_files(trained)
