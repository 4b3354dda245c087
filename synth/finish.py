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

_WEIGHTS = "diffusion_pytorch_model.safetensors"


def finish(
    folder: Path,
    plan: CasePlan,
    case: Case,
    checks: Sequence[Check],
    command: str,
    inputs: Mapping[str, Path] | None = None,
) -> Path:
    """Everything of a case that follows from its volume and masks, written as one folder."""
    networks: tuple[library.Weights, ...] = ("shape", "base", "refine") if plan.door == "generate" else ("refine",)
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
        weights={name: library.weights_folder(name) / _WEIGHTS for name in networks},
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
