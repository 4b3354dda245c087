"""Finish: measure the report, draw the preview, write the folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from synth import case_folder, provenance, report
from synth.models import library
from synth.plan import CasePlan
from synth.preview import render
from synth.provenance import Check
from synth.types import Case


def finish(
    folder: Path,
    plan: CasePlan,
    case: Case,
    checks: Sequence[Check],
    command: str,
    inputs: Mapping[str, Path] | None = None,
) -> Path:
    """Everything of a case that follows from its volume and masks, written as one folder."""
    written = report.write(report.measure(case))
    text = written.text()
    manifest = provenance.manifest(
        command=command,
        seeds={
            "seed": plan.seed,
            "shape": plan.shape_seed,
            "base": plan.base_seed,
            "refine": plan.refine_seed,
            "lesions": plan.lesion_seed,
        },
        weights=library.weights_files(plan.door),
        device=str(library.device()),
        attempts=plan.attempt + 1,
        checks=checks,
        inputs=inputs,
    )
    return case_folder.write_case(
        folder,
        case,
        plan_json=plan.to_json(),
        report_json=written.model_dump_json(indent=1) + "\n",
        report_text=text,
        preview_png=render(case, text.splitlines()),
        manifest=manifest,
    )
