"""Drawing a generated case: scaffold, base, refine, organs, findings, checks; again while a check fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from synth.case.attempts import MAX_ATTEMPTS, first_that_passes
from synth.case.draft import Draft, Gate, RejectedError, no_gate
from synth.case.order import Order
from synth.case.plan import GeneratePlan, PeerPlan, case_name
from synth.case.weights_folder import Weights
from synth.draw.checks import check_generated, check_given
from synth.draw.findings import Host, draft_sibling, draft_with_findings, scanned
from synth.errors import InputError
from synth.lesions.sibling import Twin
from synth.progress import Progress
from synth.provenance import Check
from synth.regions.given import Given
from synth.report import measure
from synth.volumes.types import Case

if TYPE_CHECKING:
    from synth.draw.drawn import Drawn

_HOMELESS = 3  # drawn anatomies without a place for a finding: the next has none either


def draft_generated(
    order: Order, index: int, progress: Progress, attempts: int = MAX_ATTEMPTS, gate: Gate = no_gate
) -> Draft:
    """Draw and check a generated case, put its findings in, and draw again while a check or the gate fails.

    All is checked as it was drawn, before a scanner's thick slices. Raises RejectedError after `attempts`, and
    InputError where no drawn anatomy has a place for a finding.
    """
    draft = drawn_until(
        lambda number: draft_anatomy(order.plan(index, number), order, progress), index, progress, attempts, gate
    )
    return scanned(draft)


def drawn_until(
    anatomy_of: Callable[[int], Draft], index: int, progress: Progress, attempts: int, gate: Gate = no_gate
) -> Draft:
    """The first anatomy, by number of the attempt, that passes its checks and takes the findings of its request.

    Raises as `draft_generated`.
    """
    homeless: list[InputError] = []

    def attempt(number: int, _: Draft | None) -> Draft:
        anatomy = anatomy_of(number)
        gated = _gated(anatomy, gate)
        if not gated.passed or not anatomy.plan.request.findings:
            return gated
        try:
            with progress.step(f"{anatomy.plan.case}: findings", 1):
                return _with_findings(anatomy, gate)
        except RejectedError as error:
            return replace(anatomy, refusal=error.rejections[-1].reason)
        except InputError as error:
            homeless.append(error)
            if len(homeless) == _HOMELESS:
                raise
            return replace(anatomy, refusal=str(error))

    remedy = "ask for less unusual anatomy or findings, or try another --seed"
    return first_that_passes(attempt, attempts, case_name(index), remedy)


def draft_anatomy(plan: GeneratePlan, order: Order, progress: Progress) -> Draft:
    """What a plan draws without findings, and its checks."""
    given = order.given.organs if order.given else None
    case, checks = drawn_and_checked(plan, order.weights, progress, given)
    inputs = {"organs": order.given.path} if order.given else {}
    return Draft(plan, case, tuple(checks), inputs, weights=order.weights)


def _gated(anatomy: Draft, gate: Gate) -> Draft:
    measured = measure(anatomy.case)
    checks = (*anatomy.checks, *gate(anatomy.plan, anatomy.case, measured))
    return replace(anatomy, checks=checks, measured=measured)


def _with_findings(anatomy: Draft, gate: Gate) -> Draft:
    plan = anatomy.plan
    if isinstance(plan, GeneratePlan):
        drawn = draft_with_findings(plan, anatomy, gate)
    else:
        assert isinstance(plan, PeerPlan)
        drawn = draft_with_findings(plan, anatomy, gate)
    return replace(drawn, anatomy=anatomy, more=anatomy.more, drawn_by=anatomy.drawn_by)


def draft_twin(draft: Draft, order: Order, progress: Progress) -> Draft:
    """The anatomy of a case without its findings."""
    assert isinstance(draft.plan, GeneratePlan)
    host = drawn_host(draft.plan, draft, order, progress)
    return scanned(draft_sibling(draft.plan, Twin(), host))


def drawn_host(plan: GeneratePlan, draft: Draft | None, order: Order, progress: Progress) -> Host:
    """What the findings of a case are in: the anatomy of its draft, or drawn again where there is none."""
    bare = plan.model_copy(update={"lesions": ()})
    anatomy = draft_anatomy(bare, order, progress) if draft is None or draft.anatomy is None else draft.anatomy
    return Host.drawn(anatomy)


def drawn_and_checked(
    plan: GeneratePlan, weights: Weights, progress: Progress, given: Given | None = None
) -> tuple[Case, list[Check]]:
    """A case and its checks; with organs that are given, also how far its CT shows them to who is not told."""
    if given is None:
        case = draw_case(plan, weights, progress)
        return case, check_generated(case, plan, weights.region, weights.prior)
    case, shown = draw_given_case(plan, weights, given, progress)
    return case, [*check_generated(case, plan, weights.region, weights.prior, given), *shown]


def draw_case(plan: GeneratePlan, weights: Weights, progress: Progress) -> Case:
    """The volume and masks of a plan."""
    from synth.draw.organs import assemble

    return assemble(plan, draw(plan, weights, progress), weights.prior)


def draw_given_case(plan: GeneratePlan, weights: Weights, given: Given, progress: Progress) -> tuple[Case, list[Check]]:
    """The same with organs that are given, and how far its CT shows them."""
    from synth.draw.organs import assemble
    from synth.draw.refine import read_organs

    drawn = draw(plan, weights, progress, given)
    seen = read_organs(drawn.ct, drawn.spacing, weights.refine())
    return assemble(plan, drawn, weights.prior), check_given(given, seen[0].argmax(dim=0).numpy())


def draw(plan: GeneratePlan, weights: Weights, progress: Progress, given: Given | None = None) -> Drawn:
    """Compose a coarse volume as the weights do, refine it down to the plan's spacing, and grow trees in an atlas."""
    from synth.draw.refine import refine
    from synth.draw.trees import with_trees

    with progress.step(f"{plan.case}: compose", plan.sampling.base_steps) as step:
        drawn = _composed(plan, weights, step.advance, given)
    fine = weights.refine(plan.sampling.precision)
    with progress.step(f"{plan.case}: refine", plan.refine_evaluations()) as step:
        drawn = refine(plan, drawn, fine, plan.spacing_mm, step.advance, weights.tone)
    return drawn if drawn.atlas is None else with_trees(plan, drawn)


def _composed(plan: GeneratePlan, weights: Weights, on_step: Callable[[], None], given: Given | None) -> Drawn:
    """A patchwork of scans; or a scaffold, and what base draws on it; or, without base, the scaffold as it is."""
    from synth.draw.base import compose, of_scaffold
    from synth.draw.patchwork import draw_patchwork
    from synth.draw.scaffold import draw_scaffold

    if scans := weights.patchwork:
        return draw_patchwork(plan, weights.region, scans, on_step)
    shape, base = weights.shape, weights.base(plan.sampling.precision)
    scaffold = draw_scaffold(plan, shape, given) if shape else None
    if base is not None:
        return compose(plan, scaffold, base, on_step, given)
    assert scaffold is not None  # Weights has one of them at least
    return of_scaffold(weights.region, scaffold, given)
