"""Inserting: lesions planned in a host, drawn, measured and checked; those that fail are planned and drawn again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from synth.attempts import MAX_ATTEMPTS, first_that_passes
from synth.checks import check_inserted
from synth.draft import Draft, Gate, no_gate
from synth.lesions import insert as insert_lesions
from synth.lesions.insertion import Redraw
from synth.lesions.planning import one_by_one, plan_each
from synth.lesions.plans import AnyPlan
from synth.models import lesion_weights
from synth.models.weights_folder import Weights
from synth.plan import InsertPlan
from synth.provenance import Check
from synth.report import Measurements, Prior, measure
from synth.scanner.scan import scan
from synth.seeding import derive, numpy_rng
from synth.sibling import Change, FollowUp, Twin
from synth.sibling_plans import sibling_plan
from synth.types import Case, LabelMap, Volume


@dataclass(frozen=True)
class Host:
    """The CT that lesions go into, its organs, and the files that they are from by role."""

    ct: Volume
    organs: LabelMap
    inputs: Mapping[str, Path]


def host_files(ct: Path, organs: Path, lesion_network: Path | None = None) -> dict[str, Path]:
    """Role -> file of what an insertion is made from."""
    return {"ct": ct, "organs": organs} | ({lesion_weights.ROLE: lesion_network} if lesion_network else {})


def with_lesions(plan: InsertPlan, host: Host, attempt: int = 0) -> InsertPlan:
    """An insert plan with its lesions drawn; those that it has already are kept.

    Raises InputError where the host has no room for them.
    """
    singles = one_by_one(plan.request.findings, numpy_rng(plan.lesion_seed))
    rng = numpy_rng(derive(plan.lesion_seed, "attempt", attempt))
    kept = {lesion.id: lesion for lesion in plan.lesions}
    drawn = plan_each(singles, host.ct, host.organs, rng, plan.request.phase, kept)
    return plan.model_copy(update={"lesions": drawn})


def draft_inserted(plan: InsertPlan, host: Host, attempts: int = MAX_ATTEMPTS, gate: Gate = no_gate) -> Draft:
    """The host with the lesions of a request, measured and checked.

    Raises:
        InputError: the host has no place for what is asked.
        RejectedError: after `attempts`, with the reason of each.
    """

    def attempt(number: int, before: Draft | None) -> Draft:
        start = plan if before is None else _without_failed(before)
        return _drafted(with_lesions(start, host, number), host, gate)

    return first_that_passes(attempt, attempts, plan.case, "ask for less, or try another --seed")


def draft_sibling(
    plan: InsertPlan,
    how: Twin | FollowUp | Change,
    host: Host,
    measured: Measurements | None = None,
    attempts: int = MAX_ATTEMPTS,
    gate: Gate = no_gate,
) -> Draft:
    """A sibling of the case of `plan`, measured and checked; what a change leaves open is drawn again where it fails.

    `measured` is the case itself, which the report of a follow-up compares with.

    Raises:
        InputError: a lesion of the case cannot be changed so, or does not fit.
        RejectedError: it does not show what it is to show.
    """

    def attempt(number: int, _: Draft | None) -> Draft:
        return _drafted(sibling_plan(plan, how, host.ct, host.organs, number), host, gate)

    tries = attempts if isinstance(how, Change) else 1  # nothing else leaves anything open
    remedy = "ask for less of a difference, or try another --seed"
    draft = first_that_passes(attempt, tries, f"{plan.case}_{how.suffix}", remedy)
    prior = Prior.of(plan.case, how.days, measured) if isinstance(how, FollowUp) and measured else None
    return replace(draft, prior=prior)


def _drafted(plan: InsertPlan, host: Host, gate: Gate) -> Draft:
    """The host with the lesions of a plan and its scanner, measured and checked."""
    case = inserted(plan, host)
    if plan.scanner:
        case = scan(case, plan.scanner, plan.scanner_seed)
    measured = measure(case)
    checks = (*check_inserted(measured, plan), *gate(plan, case, measured))
    return Draft(plan, case, checks, host.inputs, measured=measured)


def inserted(plan: InsertPlan, host: Host) -> Case:
    """The host with the lesions of a plan."""
    from synth.models import library
    from synth.redraw import LesionRedraw, RefineRedraw

    trained = lesion_weights.of_plan(plan.lesion_weights_sha256, host.inputs)
    redraw: Redraw
    if trained is None:
        redraw = RefineRedraw(Weights.covering(None).refine(plan.sampling.precision), plan.sampling)
    else:
        redraw = LesionRedraw(library.load_from(trained.parent, plan.sampling.precision), plan.sampling)
    return insert_lesions(host.ct, host.organs, plan.lesions, redraw)


def _without_failed(draft: Draft) -> InsertPlan:
    """The plan of a draft with the lesions that no failed check speaks of."""
    assert isinstance(draft.plan, InsertPlan)
    return draft.plan.model_copy(update={"lesions": _without(draft.plan.lesions, draft.failed)})


def _without(lesions: Sequence[AnyPlan], failed: Sequence[Check]) -> tuple[AnyPlan, ...]:
    return tuple(p for p in lesions if not any(check.name.startswith(f"{p.name}_") for check in failed))
