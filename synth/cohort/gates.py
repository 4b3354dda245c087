"""Quality gates of a cohort, beside the checks of every case: a number each, and the range that it must lie in.

What fails is drawn again, as with any check. `synth.cohort.recipe.Gates` says which there are and their limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from scipy import ndimage

from prompts.vocabulary import Density
from synth.case.draft import Gate
from synth.case.plan import CasePlan, GeneratePlan
from synth.cohort import novelty
from synth.cohort.recipe import Gates, Recipe
from synth.cohort.visibility import contrast_to_noise
from synth.lesions import LesionPlan
from synth.lesions.extent_plan import ExtentPlan
from synth.provenance import Check
from synth.report import location
from synth.report.measurements import Measurements
from synth.volumes import anatomy, labels
from synth.volumes.types import Case, LabelMap

_INF = 1e9  # JSON has no infinity
_IN_PIECES = 200  # voxels: a smaller structure may fall apart on a coarse grid
_RIBS = "rib_"  # drawn in pieces in nearly every torso (docs/limits.md): a gate that none passes tells nothing
_TOUCHING = np.ones((3, 3, 3), bool)


def gate_of(recipe: Recipe) -> Gate:
    """The gates of a recipe, as the path takes them. Raises InputError where its reference cannot be read."""
    if recipe.gates.reference is not None:
        novelty.load(recipe.gates.reference)
    return partial(checks, recipe.gates)


def checks(gates: Gates, plan: CasePlan, case: Case, measured: Measurements) -> list[Check]:
    """Every gate's numbers on a drawn case. Hosts are as they are: their organs are not judged."""
    found = list(_lesion_checks(gates, plan, case, measured))
    if isinstance(plan, GeneratePlan):
        found += _organ_checks(gates, case, measured)
        if gates.reference is not None:
            reference = novelty.load(gates.reference)
            found.append(Check("novelty", reference.ratio(case.ct), reference.limit, _INF))
    return [Check(c.name, round(c.value, 3), round(c.low, 3), c.high) for c in found]


def _lesion_checks(gates: Gates, plan: CasePlan, case: Case, measured: Measurements) -> Iterator[Check]:
    """Visible, in one piece, and in its structure; where invasion or an isodense lesion is asked for, that is left."""
    boxes = location.boxes(case.lesions.ids) if measured.lesions else {}
    plans = {lesion.id: lesion for lesion in plan.lesions}
    for lesion in measured.lesions:
        planned = plans[lesion.id]
        if isinstance(planned, ExtentPlan):
            continue  # in as many pieces and as pale as its kind is
        seen = contrast_to_noise(case, lesion, boxes[lesion.id])
        if gates.visibility is not None and seen is not None and not _isodense(planned):
            yield Check(f"{lesion.name}_contrast_to_noise", seen, gates.visibility, _INF)
        mask = case.lesions.ids[boxes[lesion.id]] == lesion.id
        if gates.one_piece is not None:
            share = largest_piece(mask)
            yield Check(f"{lesion.name}_largest_piece", share, gates.one_piece, 1.0)
        if gates.elsewhere is not None and not planned.invades:
            share = elsewhere(case.organs, mask, boxes[lesion.id], planned.structures)
            yield Check(f"{lesion.name}_elsewhere", share, 0.0, gates.elsewhere)


def _isodense(planned: LesionPlan) -> bool:
    return planned.asked is not None and planned.asked.density is Density.ISODENSE


def elsewhere(organs: LabelMap, mask: np.ndarray, box: location.Box, structures: Sequence[str]) -> float:
    """Share of a lesion's mask (cut to its box) in labelled structures that it was not planned in."""
    own = [number for number, name in organs.names.items() if name in structures]
    ids = organs.ids[box][mask]
    return float(((ids != 0) & ~np.isin(ids, own)).mean())


def _organ_checks(gates: Gates, case: Case, measured: Measurements) -> Iterator[Check]:
    """Attenuation and topology of each drawn organ."""
    boxes = location.boxes(case.organs.ids)
    for organ in measured.organs:
        if gates.organ_hu is not None and organ.median_hu is not None:
            low, high = _hu_range(organ.name)
            yield Check(f"{organ.name}_hu", organ.median_hu, low - gates.organ_hu, high + gates.organ_hu)
        box = boxes[organ.id]
        mask = _mask(case.organs, organ.id, box)
        judged = mask.sum() >= _IN_PIECES and not organ.name.startswith(_RIBS)
        if gates.one_piece is not None and judged and not _cut(box, case.organs.ids.shape):
            share = largest_piece(mask)
            yield Check(f"{organ.name}_largest_piece", share, gates.one_piece, 1.0)


def _mask(organs: LabelMap, number: int, box: location.Box) -> np.ndarray:
    return np.asarray(organs.ids[box] == number)


def _cut(box: location.Box, shape: tuple[int, ...]) -> bool:
    """Whether the field of view may cut a structure."""
    return any(side.start == 0 or side.stop == n for side, n in zip(box, shape, strict=True))


def _hu_range(organ: str) -> tuple[float, float]:
    """What is known of an organ in any phase and at any spacing: the label table, and what anatomy believes."""
    row = next(s for s in labels.structures() if s.name == organ)
    believed = anatomy.table()[organ].hu if organ in anatomy.table() else row.hu_native
    return min(row.hu_native[0], row.hu_venous[0], believed[0]), max(row.hu_native[1], row.hu_venous[1], believed[1])


def largest_piece(mask: np.ndarray) -> float:
    """Share of a mask (X, Y, Z) that its largest piece holds; voxels that share a corner hang together."""
    pieces, number = ndimage.label(mask, _TOUCHING)
    if number == 0:
        return 0.0
    return float(np.bincount(pieces.ravel())[1:].max() / mask.sum())
