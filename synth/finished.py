"""Finished cases on disk: which of them are what a plan asks for already, and how a draft becomes one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synth import case_folder
from synth.draft import Draft
from synth.errors import InputError
from synth.models.weights_folder import Weights
from synth.plan import GeneratePlan, InsertPlan, read_plan
from synth.progress import Progress
from synth.report import Measurements, measure
from synth.sibling import Change, FollowUp, Twin


def has_one_of(folder: Path, plans: Sequence[GeneratePlan], weights: Weights) -> bool:
    """Whether a folder holds the case of one of these plans, whole and drawn with these weights.

    Raises InputError where it holds something else, or was drawn with others.
    """
    texts = [plan.to_json() for plan in plans]
    if any(case_folder.is_complete(folder, text) for text in texts):
        _require_same_weights(folder, weights)
        return True
    ours = [text for text in texts if case_folder.has_plan(folder, text)]  # whose files are not all there
    case_folder.require_free(folder, (ours or texts)[0])
    return False


def _require_same_weights(folder: Path, weights: Weights) -> None:
    drawn_with = case_folder.read_manifest(folder).get("weights", {})
    for role, digest in weights.hashes().items():
        if role in drawn_with and drawn_with[role]["sha256"] != digest:
            raise InputError(
                f"{folder}: was drawn with other weights ('{role}' of {weights.folder} has changed); "
                "remove it, or choose another --out"
            )


def plan_like(folder: Path, plan: InsertPlan) -> InsertPlan | None:
    """The plan of a whole case in a folder that differs from `plan` in nothing but its lesions, which follow from the
    rest; None where there is no such case. Raises InputError where the folder holds something else."""
    done = _plan_in(folder)
    same = done is not None and done.model_copy(update={"lesions": ()}) == plan
    return _whole(folder, done if same else None, plan)


def sibling_like(folder: Path, first: InsertPlan) -> InsertPlan | None:
    """The same of a sibling of the same case."""
    done = _plan_in(folder)
    return _whole(folder, done if done is not None and done.sibling == first.sibling else None, first)


def _whole(folder: Path, done: InsertPlan | None, asked: InsertPlan) -> InsertPlan | None:
    if done is not None and case_folder.is_complete(folder, done.to_json()):
        return done
    case_folder.require_free(folder, (done or asked).to_json())
    return None


def _plan_in(folder: Path) -> InsertPlan | None:
    """The insert plan that a folder holds; None where it holds none that can be read."""
    file = folder / case_folder.PLAN
    try:
        plan = read_plan(file.read_text(encoding="utf-8")) if file.is_file() else None
    except (ValueError, OSError):
        return None
    return plan if isinstance(plan, InsertPlan) else None


def of_insert(plan: GeneratePlan | InsertPlan) -> InsertPlan:
    """A plan that is known to be of `insert`."""
    assert isinstance(plan, InsertPlan)
    return plan


def measured(folder: Path, how: Twin | FollowUp | Change) -> Measurements | None:
    """What a case measures, where a sibling's report compares with it."""
    return measure(case_folder.read_case(folder)[0]) if isinstance(how, FollowUp) else None


def finish_draft(folder: Path, draft: Draft, command: str, progress: Progress, preview: bool = True) -> Path:
    """Write the report of a draft and its folder; `command` makes this one case again."""
    from synth.finish import finish

    with progress.step(f"{draft.plan.case}: report", 1):
        return finish(folder, draft, command, preview)
