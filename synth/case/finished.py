"""Finished cases on disk: which of them are what a plan asks for already, and how a draft becomes one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synth.case import folder as case_folder
from synth.case.draft import Draft
from synth.case.plan import CasePlan, GeneratePlan, InsertPlan, read_plan
from synth.case.weights_folder import Weights
from synth.errors import InputError
from synth.files.content import text_of
from synth.lesions.sibling import Change, FollowUp, Twin
from synth.progress import Progress
from synth.report import Measurements, measure


def like_one_of(folder: Path, plans: Sequence[GeneratePlan], weights: Weights) -> GeneratePlan | None:
    """The plan of a whole case in a folder that is one of `plans` but for its lesions, and drawn with these weights.

    Raises InputError where the folder holds something else, or was drawn with others.
    """
    done = one_of(folder, plans)
    if done is not None:
        _require_same_weights(folder, weights)
    return None if done is None else of_generate(done)


def one_of(folder: Path, plans: Sequence[CasePlan]) -> CasePlan | None:
    """The plan of a whole case in a folder that is one of `plans` but for its lesions.

    Raises InputError where the folder holds something else.
    """
    texts = [plan.to_json() for plan in plans]
    done = _plan_in(folder)
    if done is not None and done.model_copy(update={"lesions": ()}).to_json() in texts:
        if case_folder.is_complete(folder, done.to_json()):
            return done
        texts = [done.to_json()]  # whose files are not all there
    case_folder.require_free(folder, texts[0])
    return None


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
    same = isinstance(done, InsertPlan) and done.model_copy(update={"lesions": ()}) == plan
    return done if _is_whole(folder, done if same else None, plan) and isinstance(done, InsertPlan) else None


def has_sibling_like(folder: Path, first: CasePlan) -> bool:
    """Whether a folder holds a sibling of the same case, whole."""
    done = _plan_in(folder)
    return _is_whole(folder, done if done is not None and done.sibling == first.sibling else None, first)


def _is_whole(folder: Path, done: CasePlan | None, asked: CasePlan) -> bool:
    if done is not None and case_folder.is_complete(folder, done.to_json()):
        return True
    case_folder.require_free(folder, (done or asked).to_json())
    return False


def _plan_in(folder: Path) -> CasePlan | None:
    """The plan that a folder holds; None where it holds none that can be read."""
    file = folder / case_folder.PLAN
    try:
        return read_plan(text_of(file)) if file.is_file() else None
    except (ValueError, OSError):
        return None


def of_generate(plan: CasePlan) -> GeneratePlan:
    """A plan that is known to be of `generate`."""
    assert isinstance(plan, GeneratePlan)
    return plan


def of_insert(plan: CasePlan) -> InsertPlan:
    """A plan that is known to be of `insert`."""
    assert isinstance(plan, InsertPlan)
    return plan


def measured(folder: Path, how: Twin | FollowUp | Change) -> Measurements | None:
    """What a case measures, where a sibling's report compares with it."""
    return measure(case_folder.read_case(folder)[0]) if isinstance(how, FollowUp) else None


def finish_draft(folder: Path, draft: Draft, command: str, progress: Progress, preview: bool = True) -> Path:
    """Write the report of a draft and its folder; `command` makes this one case again."""
    from synth.case.finish import finish

    with progress.step(f"{draft.plan.case}: report", 1):
        return finish(folder, draft, command, preview)
