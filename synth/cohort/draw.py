"""Draw one planned case: attempt after attempt, until a draft passes or the case is given up."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path

from synth.case import finished, lesion_weights
from synth.case.draft import Draft, RejectedError
from synth.case.order import Order
from synth.case.plan import CasePlan, draw_insert
from synth.cohort.hosts import HostFiles, read_host
from synth.cohort.planning import CohortPlan, PlannedCase
from synth.draw import findings as inserting
from synth.draw import generated as drawing
from synth.errors import InputError
from synth.lesions.sibling import Twin
from synth.progress import Progress
from synth.scanner.scan import slicing
from synth.volumes.types import LabelMap, Volume


@dataclass(frozen=True)
class Attempt:
    """A draw that failed: why, in which host, and its plan as far as there was one. `unread`: the host has no use."""

    reason: str
    host: str | None = None
    plan: CasePlan | None = None
    defect: bool = False
    unread: bool = False


@dataclass(frozen=True)
class DrawnCase:
    """What became of a planned case: a draft, or None; the attempts that failed before; the draft of its twin."""

    case: PlannedCase
    draft: Draft | None
    failed: tuple[Attempt, ...] = ()
    twin: Draft | None = None


@dataclass
class _Attempts:
    """The failed attempts so far, and the plan of the one that is under way."""

    failed: list[Attempt] = field(default_factory=list)
    plan: CasePlan | None = None

    def note(self, error: Exception, host: HostFiles | None, *, unread: bool = False) -> None:
        """Keep an error as the reason; one that no check foresaw is a defect, and says where it arose."""
        reason, defect = " ".join(str(error).split()), not isinstance(error, (InputError, OSError))
        if defect:
            where = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__}: {reason} ({Path(where.filename).name}:{where.lineno})"
        if host is not None:
            reason = reason.replace(f"{host.ct.parent}/", "").replace(f"{host.organs.parent}/", "")
        self.failed.append(Attempt(reason, host.name if host else None, self.plan, defect, unread))


def draw(plan: CohortPlan, case: PlannedCase, progress: Progress) -> DrawnCase:
    """The draft of a case, or why there is none. Raises nothing: no case stops a cohort."""
    attempts = _Attempts()
    if not case.hosts:
        draft, twin = _generated(plan, case, attempts, progress)
    else:
        draft, twin = _inserted(plan, case, attempts)
    return DrawnCase(case, draft, tuple(attempts.failed), twin)


def _generated(
    plan: CohortPlan, case: PlannedCase, attempts: _Attempts, progress: Progress
) -> tuple[Draft | None, Draft | None]:
    """The draft of the case and that of its twin, where it has one."""
    recipe = plan.recipe
    try:
        order = Order(
            case.request, plan.weights_for(case.request), recipe.seed, recipe.spacing_mm, scanner=case.scanner
        )
        draft = drawing.draft_generated(order, case.index, progress, recipe.attempts, plan.gate)
        twin = drawing.draft_twin(draft, order, progress) if case.twin else None
    except RejectedError as error:
        attempts.failed += [Attempt(r.reason, plan=r.plan) for r in error.rejections]
    except Exception as error:
        attempts.note(error, None)
    else:
        attempts.failed += [Attempt(r.reason, plan=r.plan) for r in draft.rejections]
        return draft, twin
    return None, None


def _inserted(plan: CohortPlan, case: PlannedCase, attempts: _Attempts) -> tuple[Draft | None, Draft | None]:
    """The draft of the case and that of its twin, where it has one."""
    for number, name in enumerate(case.hosts):
        host = plan.hosts[name]
        attempts.plan = None
        try:
            folder = plan.recipe.hosts
            assert folder is not None  # a case has hosts where its recipe has them
            volume, organs = read_host(host, folder.organ_ids, trust_labels=folder.trust_labels)
        except Exception as error:
            attempts.note(error, host, unread=True)
            continue
        try:
            return _attempt(plan, case, host, volume, organs, number, attempts)
        except RejectedError as error:
            attempts.failed += [Attempt(r.reason, name, r.plan) for r in error.rejections]
        except Exception as error:
            attempts.note(error, host)
    return None, None


def _attempt(
    plan: CohortPlan,
    case: PlannedCase,
    host: HostFiles,
    volume: Volume,
    organs: LabelMap,
    number: int,
    attempts: _Attempts,
) -> tuple[Draft, Draft | None]:
    """Lesions into one host, and the host itself as the twin; the plan is noted as soon as it is there."""
    attempts.plan = draw_insert(
        case.request,
        seed=plan.recipe.seed,
        ct=host.ct,
        organs=host.organs,
        case=case.name,
        attempt=number,
        healthy=not case.request.findings,
        scanner=case.scanner,
        lesion_weights=lesion_weights.find(None),
    )
    if case.scanner:
        slicing(volume, case.scanner)  # a host whose slices are too thick is refused before anything is drawn
    into = inserting.Host(volume, organs, inserting.host_files(host.ct, host.organs))
    attempts.plan = planned = inserting.with_lesions(attempts.plan, into)
    draft = inserting.draft_inserted(planned, into, gate=plan.gate)
    return draft, inserting.draft_sibling(finished.of_insert(draft.plan), Twin(), into) if case.twin else None
