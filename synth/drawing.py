"""Drawing a generated case: scaffold, base, refine, organs, checks; again while a check fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from synth.attempts import MAX_ATTEMPTS, first_that_passes
from synth.checks import check_generated, check_given
from synth.draft import Draft, Gate, no_gate
from synth.given import Given
from synth.models.weights_folder import Weights
from synth.order import Order
from synth.plan import GeneratePlan, case_name
from synth.progress import Progress
from synth.provenance import Check
from synth.report import measure
from synth.scanner.scan import scan
from synth.types import Case

if TYPE_CHECKING:
    from synth.compose import Drawn


def draft_generated(
    order: Order, index: int, progress: Progress, attempts: int = MAX_ATTEMPTS, gate: Gate = no_gate
) -> Draft:
    """Draw and check a generated case, and draw again while a check or the gate fails.

    Anatomy is checked as it was drawn, before a scanner's thick slices. Raises RejectedError after `attempts`.
    """
    given = order.given.organs if order.given else None
    inputs = {"organs": order.given.path} if order.given else {}

    def attempt(number: int, _: Draft | None) -> Draft:
        plan = order.plan(index, number)
        case, checks = drawn_and_checked(plan, order.weights, progress, given)
        measured = measure(case)
        checks = [*checks, *gate(plan, case, measured)]
        return Draft(plan, case, tuple(checks), inputs, measured=measured, weights=order.weights)

    remedy = "ask for less unusual anatomy, or try another --seed"
    return _scanned(first_that_passes(attempt, attempts, case_name(index), remedy))


def _scanned(draft: Draft) -> Draft:
    """The draft as the scanner of its plan shows it."""
    if draft.plan.scanner is None:
        return draft
    case = scan(draft.case, draft.plan.scanner, draft.plan.scanner_seed)
    return replace(draft, case=case, measured=measure(case))


def drawn_and_checked(
    plan: GeneratePlan, weights: Weights, progress: Progress, given: Given | None = None
) -> tuple[Case, list[Check]]:
    """A case and its checks; with organs that are given, also how far its CT shows them to who is not told."""
    if given is None:
        case = draw_case(plan, weights, progress)
        return case, check_generated(case, plan, weights.prior)
    case, shown = draw_given_case(plan, weights, given, progress)
    return case, [*check_generated(case, plan, weights.prior, given), *shown]


def draw_case(plan: GeneratePlan, weights: Weights, progress: Progress) -> Case:
    """The volume and masks of a plan."""
    from synth.assemble import assemble

    return assemble(plan, draw(plan, weights, progress), weights.prior)


def draw_given_case(plan: GeneratePlan, weights: Weights, given: Given, progress: Progress) -> tuple[Case, list[Check]]:
    """The same with organs that are given, and how far its CT shows them."""
    from synth.assemble import assemble
    from synth.refine import read_organs

    drawn = draw(plan, weights, progress, given)
    seen = read_organs(drawn.ct, drawn.spacing, weights.refine())
    return assemble(plan, drawn, weights.prior), check_given(given, seen[0].argmax(dim=0).numpy())


def draw(plan: GeneratePlan, weights: Weights, progress: Progress, given: Given | None = None) -> Drawn:
    """Compose a coarse volume as the weights do, refine it down to the plan's spacing, and grow a torso's trees."""
    from synth.refine import refine
    from synth.torso.trees import with_trees

    with progress.step(f"{plan.case}: compose", plan.sampling.base_steps) as step:
        drawn = _composed(plan, weights, step.advance, given)
    fine = weights.refine(plan.sampling.precision)
    with progress.step(f"{plan.case}: refine", plan.refine_evaluations()) as step:
        drawn = refine(plan, drawn, fine, plan.spacing_mm, step.advance, weights.tone)
    return drawn if drawn.atlas is None else with_trees(plan, drawn)


def _composed(plan: GeneratePlan, weights: Weights, on_step: Callable[[], None], given: Given | None) -> Drawn:
    """A patchwork of scans; or a scaffold, and what base draws on it; or, without base, the scaffold as it is."""
    from synth.compose import compose, of_scaffold
    from synth.shape.scaffold import draw_scaffold
    from synth.torso.patchwork import draw_patchwork

    if torso := weights.torso:
        return draw_patchwork(plan, torso, on_step)
    shape, base = weights.shape, weights.base(plan.sampling.precision)
    scaffold = draw_scaffold(plan, shape, given) if shape else None
    if base is not None:
        return compose(plan, scaffold, base, on_step, given)
    assert scaffold is not None  # Weights has one of them at least
    return of_scaffold(weights.region, scaffold, given)
