"""Organs that MAISI's mask model draws, on the grid of the CT that is to show them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from prompts import CaseRequest
from prompts.vocabulary import Region, structures_of
from synth.case.plan import PeerPlan
from synth.peers import mask_model, masks
from synth.peers.cleaning import cleaned
from synth.peers.conditions import from_maisi
from synth.peers.maisi import Maisi
from synth.peers.masks import Organs
from synth.progress import Progress
from synth.provenance import Check
from synth.volumes.label_check import out_of_place
from synth.volumes.labels import maisi_ids
from synth.volumes.types import LabelMap

_CHEST = (*(name for name in maisi_ids() if name.startswith("lung_")), "heart")
_ABDOMEN = ("liver", "spleen", "pancreas", "kidney_right", "kidney_left")
OF_REGION: dict[Region, tuple[str, ...]] = {
    Region.CHEST: _CHEST,
    Region.ABDOMEN: _ABDOMEN,
    Region.CHEST_ABDOMEN: (*_CHEST, *_ABDOMEN),
}  # structures that a mask of the region must have; of no other region can one be asked for
_LEAST_ML, _MOST_ML = 1.0, 1e5
_MOST_STRUCTURES = 200
_AT_SIDES = 0.01  # share of the left, right, front and back faces of its own field that may be body


def drawn_by_peer(peer: Maisi, plan: PeerPlan, device: torch.device, progress: Progress) -> Organs:
    """What the mask model draws for a plan, cleaned, cut to the plan's grid, and its checks."""
    assert plan.mask_steps is not None
    with progress.step(f"{plan.case}: masks", plan.mask_steps + mask_model.pieces()) as step:
        drawn = mask_model.draw_ids(peer, plan.mask_sizes, plan.mask_seed, plan.mask_steps, device, step.advance)
    ids = cleaned(drawn)
    count, mm = ids.shape[0], mask_model.MM
    field = masks.grid((count, count, count), (mm, mm, mm))
    affine = masks.grid(plan.size, plan.spacing_mm)
    where = masks.nearest(ids.shape, field, plan.size, affine, _middle(ids, field, plan))
    told = masks.taken(ids, where)
    labels = from_maisi(told, affine)
    nothing = LabelMap(np.zeros(plan.size, np.uint8), affine, {})
    found = (*_whole(ids, from_maisi(ids, field)), *_asked(labels, plan))
    return Organs(told, labels, nothing, checks=found)


def _middle(ids: np.ndarray, field: np.ndarray, plan: PeerPlan) -> np.ndarray:
    """Where the grid's middle lies in the field (mm): that of the body across, along it of what the region must show.

    A grid does not reach beyond the field at its ends, where the body would stop in air.
    """
    asked = [maisi_ids()[name] for name in OF_REGION.get(plan.request.region, ())] if plan.request.region else []
    shown = np.isin(ids, asked)
    body = ids > 0
    centre = [_centre(body, axis) if axis < 2 else _centre(shown if shown.any() else body, axis) for axis in range(3)]
    middle = field[:3, :3] @ np.array(centre) + field[:3, 3]
    slack = max(mask_model.field_mm() - plan.size[2] * plan.spacing_mm[2], 0) / 2
    return np.array([middle[0], middle[1], np.clip(middle[2], -slack, slack)])


def _centre(mask: np.ndarray, axis: int) -> float:
    """The middle of a mask's extent along an axis, of the volume where it is empty."""
    others = tuple(other for other in range(3) if other != axis)
    where = np.flatnonzero(mask.any(axis=others))
    return (where[0] + where[-1]) / 2 if len(where) else (mask.shape[axis] - 1) / 2


def _whole(ids: np.ndarray, labels: LabelMap) -> Iterator[Check]:
    """Checks of the mask in its own field: a body that ends in it but at top and bottom, organs where they belong."""
    sides = [np.take(ids, end, axis=axis) > 0 for axis in (0, 1) for end in (0, -1)]
    yield Check("masks_body_at_sides", round(max(float(side.mean()) for side in sides), 4), 0.0, _AT_SIDES)
    yield Check("masks_out_of_place", float(len(out_of_place(labels))), 0.0, 0.0)


def _asked(labels: LabelMap, plan: PeerPlan) -> Iterator[Check]:
    """Checks of the grid that is drawn: it shows what was asked for."""
    yield Check("masks_structures", float(len(labels.present())), 1.0, _MOST_STRUCTURES)
    ml = float(np.prod(plan.spacing_mm)) / 1000
    for what, names in wanted(plan.request).items():
        voxels = np.isin(labels.ids, [number for number, name in labels.names.items() if name in names]).sum()
        yield Check(f"masks_{what}_ml", round(float(voxels) * ml, 3), _LEAST_ML, _MOST_ML)


def wanted(request: CaseRequest) -> dict[str, tuple[str, ...]]:
    """What a mask must show of -> the structures of which one must be there: of the region each, of a finding any."""
    of_region = {name: (name,) for name in OF_REGION.get(request.region, ())} if request.region else {}
    of_findings = {
        "_".join(filter(None, (finding.organ, finding.side))).replace(" ", "_"): known
        for finding in request.findings
        if (known := tuple(n for n in structures_of(finding.organ, finding.side, finding.segment) if n in maisi_ids()))
    }
    return of_region | of_findings
