"""From the plan of a case to the plans of its siblings, and from a sibling back to the case before it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prompts import CaseRequest
from synth.case import folder as case_folder
from synth.case.plan import CasePlan, InsertPlan
from synth.errors import InputError
from synth.files.names import require_name
from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.placement import PlacementHost
from synth.lesions.sibling import Change, FollowUp, SiblingOf, Twin
from synth.lesions.variation import changed, later
from synth.provenance import sha256
from synth.report import PriorStudy, measure
from synth.seeding import derive, numpy_rng
from synth.volumes.types import LabelMap, Volume

_logger = logging.getLogger(__name__)


def sibling_plan(
    plan: CasePlan, how: Twin | FollowUp | Change, host: Volume, organs: LabelMap, attempt: int = 0
) -> CasePlan:
    """The plan of a sibling, named after the case and what differs; `plan` has its lesions.

    A change leaves open how far ("hyperdense"), which `attempt` draws anew; twin and follow-up leave nothing open.
    Raises InputError where a lesion cannot be changed so.
    """
    sibling = SiblingOf(case=plan.case, plan_sha256=sha256(plan.to_json().encode()), how=how)
    update: dict[str, Any] = {"case": f"{plan.case}_{how.suffix}", "sibling": sibling}
    if isinstance(how, Twin):
        update |= {"lesions": ()}
        if isinstance(plan, InsertPlan):  # a drawn anatomy follows from the words of its request
            update |= {"request": CaseRequest(phase=plan.request.phase)}
    elif isinstance(how, FollowUp):
        update |= {"lesions": tuple(later(lesion, how.growth, host.spacing) for lesion in plan.lesions)}
    else:
        rng = numpy_rng(derive(plan.lesion_seed, "change", how.attribute, how.value, attempt))
        asked = [lesion.asked for lesion in plan.lesions if lesion.asked]
        looked_up = PlacementHost.of(host, organs, asked)
        update |= {
            "lesions": tuple(
                changed(lesion, how, looked_up.median_hu(lesion.structures[0]), host.spacing, rng)
                if isinstance(lesion, LesionPlan)
                else lesion
                for lesion in plan.lesions
            )
        }
    return plan.model_copy(update=update)


def prior_of(folder: Path, plan: Mapping[str, Any]) -> PriorStudy | None:
    """What the report of the case in `folder` compares with, measured again on the case beside it.

    None where the case compares with nothing, and, with a note, where the earlier case is not beside it. Raises
    InputError where another case is.
    """
    told = plan.get("sibling")
    sibling = case_folder.valid(SiblingOf, told, folder / case_folder.PLAN) if told else None
    if sibling is None or not isinstance(sibling.how, FollowUp):
        return None
    earlier = folder.resolve().parent / require_name(sibling.case, f"{folder / case_folder.PLAN}: sibling")
    if not case_folder.is_whole(earlier):
        _logger.warning("%s: %s is not beside it; its sizes are taken as the report states them", folder, earlier.name)
        return None
    if sha256((earlier / case_folder.PLAN).read_bytes()) != sibling.plan_sha256:
        raise InputError(
            f"{earlier}: is not the case that {folder.name} follows up (its plan differs); make both again"
        )
    return PriorStudy.of(earlier.name, sibling.how.days, measure(case_folder.read_case(earlier)[0]))
