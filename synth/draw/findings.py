"""Inserting: findings planned in a host, drawn, measured and checked; those that fail are planned and drawn again.

The host is a CT of the user's own, or one that was drawn: findings do not know which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from synth.case import lesion_weights
from synth.case.attempts import MAX_ATTEMPTS, first_that_passes
from synth.case.draft import Draft, Gate, no_gate
from synth.case.plan import CasePlan, GeneratePlan, InsertPlan, PeerPlan
from synth.case.sibling_plans import sibling_plan
from synth.case.weights_folder import Weights
from synth.draw.checks import check_inserted
from synth.lesions import insert as insert_lesions
from synth.lesions.insertion import Redraw
from synth.lesions.planning import one_by_one, plan_each
from synth.lesions.plans import AnyPlan
from synth.lesions.sibling import Change, FollowUp, Twin
from synth.provenance import Check
from synth.report import PriorStudy, measure
from synth.report.measurements import Measurements
from synth.scanner.scan import scan
from synth.seeding import derive, numpy_rng
from synth.volumes.types import Case, LabelMap, Volume

_IN_ONE_HOST = 4  # draws of findings in one drawn anatomy, before another is drawn
_P = TypeVar("_P", GeneratePlan, InsertPlan, PeerPlan)


@dataclass(frozen=True)
class Host:
    """The CT that findings go into, and its organs.

    inputs: the files that they are from, by role. Of one that was drawn: its trees and planning targets, the checks
    that it passed, and the weights that drew it.
    """

    ct: Volume
    organs: LabelMap
    inputs: Mapping[str, Path] = field(default_factory=dict)
    trees: LabelMap | None = None
    targets: LabelMap | None = None
    checks: tuple[Check, ...] = ()
    weights: Weights | None = None

    @classmethod
    def drawn(cls, anatomy: Draft) -> Host:
        """A drawn case without findings, as the host of some."""
        case = anatomy.case
        return cls(
            case.ct, case.organs, anatomy.inputs, case.trees, case.lesions, anatomy.checks, weights=anatomy.weights
        )


def host_files(ct: Path, organs: Path, lesion_network: Path | None = None) -> dict[str, Path]:
    """Role -> file of what an insertion is made from."""
    return {"ct": ct, "organs": organs} | ({lesion_weights.ROLE: lesion_network} if lesion_network else {})


def with_lesions(plan: _P, host: Host, attempt: int = 0) -> _P:
    """A plan with its lesions drawn; those that it has already are kept.

    Raises InputError where the host has no room for them.
    """
    singles = one_by_one(plan.request.findings, numpy_rng(plan.lesion_seed))
    rng = numpy_rng(derive(plan.lesion_seed, "attempt", attempt))
    kept = {lesion.id: lesion for lesion in plan.lesions}
    trees = None if host.trees is None else host.trees.ids
    drawn = plan_each(singles, host.ct, host.organs, rng, plan.request.phase, kept, trees)
    return plan.model_copy(update={"lesions": drawn})


def draft_inserted(plan: InsertPlan, host: Host, attempts: int = MAX_ATTEMPTS, gate: Gate = no_gate) -> Draft:
    """The host with the lesions of a request, measured and checked.

    Raises:
        InputError: the host has no place for what is asked.
        RejectedError: after `attempts`, with the reason of each.
    """
    return _first_with_lesions(plan, host, attempts, gate)


def draft_with_findings(plan: _P, anatomy: Draft, gate: Gate = no_gate) -> Draft:
    """A drawn case with the findings of its request; as `draft_inserted`, after fewer attempts, for another anatomy can
    be drawn."""
    return _first_with_lesions(plan, Host.drawn(anatomy), _IN_ONE_HOST, gate)


def _first_with_lesions(plan: _P, host: Host, attempts: int, gate: Gate) -> Draft:
    def attempt(number: int, before: Draft | None) -> Draft:
        kept = () if before is None else _without(before.plan.lesions, before.failed)
        start = plan.model_copy(update={"lesions": kept})
        return _drafted(with_lesions(start, host, number), host, gate)

    return first_that_passes(attempt, attempts, plan.case, "ask for less, or try another --seed")


def draft_sibling(
    plan: CasePlan,
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
    prior = PriorStudy.of(plan.case, how.days, measured) if isinstance(how, FollowUp) and measured else None
    return replace(draft, prior=prior)


def _drafted(plan: CasePlan, host: Host, gate: Gate) -> Draft:
    """The host with the lesions of a plan, measured and checked. A real host is scanned before, a drawn one later."""
    case = inserted(plan, host)
    if plan.scanner and host.weights is None:
        case = scan(case, plan.scanner, plan.scanner_seed)
    measured = measure(case)
    checks = (*host.checks, *check_inserted(measured, plan), *gate(plan, case, measured))
    return Draft(plan, case, checks, host.inputs, measured=measured, weights=host.weights)


def scanned(draft: Draft) -> Draft:
    """The draft as the scanner of its plan shows it."""
    if draft.plan.scanner is None:
        return draft
    case = scan(draft.case, draft.plan.scanner, draft.plan.scanner_seed)
    return replace(draft, case=case, measured=measure(case))


def inserted(plan: CasePlan, host: Host) -> Case:
    """The host with the lesions of a plan."""
    if not plan.lesions and host.weights is not None:
        return _with_targets(Case(host.ct, host.organs, _nothing(host.ct), host.trees), host.targets)
    case = insert_lesions(host.ct, host.organs, plan.lesions, _redraw(plan, host), trees=host.trees)
    return _with_targets(case, host.targets)


def _redraw(plan: CasePlan, host: Host) -> Redraw:
    """What draws the inside of lesions: a network that learned it, or `refine`, of the weights that drew the host."""
    from synth.case import library
    from synth.draw.redraw import LesionRedraw, RefineRedraw

    own = plan.lesion_weights_sha256 if isinstance(plan, InsertPlan) else None
    trained = lesion_weights.of_plan(own, host.inputs)
    if trained is not None:
        return LesionRedraw(library.load_from(trained.parent, plan.sampling.precision), plan.sampling)
    weights = host.weights or Weights.covering(None)
    return RefineRedraw(weights.refine(plan.sampling.precision), plan.sampling)


def _nothing(ct: Volume) -> LabelMap:
    return LabelMap(np.zeros(ct.hu.shape, np.uint8), ct.affine, {})


def _with_targets(case: Case, targets: LabelMap | None) -> Case:
    """The case with planning targets in its map of lesions, behind the ids of its findings, which lie above them."""
    if targets is None or not targets.names:
        return case
    first = max(case.lesions.names, default=0)
    ids = np.where(targets.ids > 0, targets.ids + first, 0).astype(case.lesions.ids.dtype)
    ids = np.where(case.lesions.ids > 0, case.lesions.ids, ids)
    names = {**case.lesions.names, **{number + first: name for number, name in targets.names.items()}}
    return replace(case, lesions=LabelMap(ids, case.lesions.affine, names))


def _without(lesions: Sequence[AnyPlan], failed: Sequence[Check]) -> tuple[AnyPlan, ...]:
    """The lesions that no failed check speaks of."""
    return tuple(p for p in lesions if not any(check.name.startswith(f"{p.name}_") for check in failed))
