"""InsertLesiond: lesions drawn anew each time a training sample is loaded. A MONAI dictionary transform."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable

from prompts import parse
from prompts.request import FindingRequest
from synth import labels
from synth.errors import InputError
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.insertion import Redraw, insert, keep_painted
from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.planning import plan_quickly
from synth.report.location import Box
from synth.report.noise import measure_noise
from synth.types import HU_MAX, HU_MIN, Case, LabelMap, Volume

_CONTEXT = 10  # voxels
_NOISE_PATCHES = 32  # fewer than a case gets: the noise's SD is known to about 1%


class InsertLesiond(Randomizable, MapTransform):
    """Put lesions into a CT, given its organs; with probability `prob`, one of the findings drawn for each sample.

    Reads `data[keys]`, (1, X, Y, Z) in HU, and `data[organs_key]`, (1, X, Y, Z) ids; writes the CT with its lesions,
    the organs where they were pushed, and `data[lesion_key]`, (1, X, Y, Z) uint8, ids from 1. A sample without room
    for the finding stays as it is, with an empty lesion map: tries are bounded. Chance comes from `self.R` alone
    (`set_random_state`), so workers of a DataLoader behave as with any other random transform.

    Args:
        keys: the key of the CT.
        findings: prompts ("12 mm liver cyst") or FindingRequests, one of which is drawn for each sample.
        organs_key: key of the organ labels.
        lesion_key: key that the lesion map is written to.
        names: label id -> TotalSegmentator name; the project's own table when left out.
        prob: probability of a lesion.
        tries: plans drawn before a sample is left as it is.
        redraw: redraws the detail (`synth.redraw.RefineRedraw`); painted lesions when left out.
        allow_missing_keys: see MapTransform.
    """

    def __init__(
        self,
        keys: KeysCollection,
        findings: Sequence[str | FindingRequest],
        organs_key: Hashable = "organs",
        lesion_key: Hashable = "lesion",
        names: Mapping[int, str] | None = None,
        prob: float = 1.0,
        tries: int = 3,
        redraw: Redraw = keep_painted,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        if len(self.keys) != 1:
            raise InputError(f"InsertLesiond: keys {self.keys}: give one, the CT's")
        if not findings or not 0 <= prob <= 1 or tries < 1:
            raise InputError("InsertLesiond: give findings, a prob from 0 to 1 and one try or more")
        self.findings = tuple(f for one in findings for f in _requests(one))
        self.organs_key, self.lesion_key = organs_key, lesion_key
        self.names = dict(names or labels.names())
        self.prob, self.tries, self.redraw = prob, tries, redraw
        self._chosen: tuple[FindingRequest, int] | None = None

    def randomize(self, data: Any = None) -> None:
        """Draw whether there is a lesion, which, and the seed of its plan."""
        happens = self.R.random_sample() < self.prob
        index, seed = int(self.R.randint(len(self.findings))), int(self.R.randint(2**31 - 1))
        self._chosen = (self.findings[index], seed) if happens else None

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The sample with its lesion."""
        out = dict(data)
        self.randomize()
        key = next(iter(self.key_iterator(out)), None)
        if key is None:
            return out
        image, ids = out[key], out[self.organs_key]
        case = self._insert(image, ids)
        if case is None:
            lesions = np.zeros(tuple(image.shape), np.uint8)
        else:
            out[key] = _like(image, case.ct.hu[None])
            out[self.organs_key] = _like(ids, case.organs.ids[None])
            lesions = case.lesions.ids[None]
        as_tensor = torch.from_numpy(lesions)
        out[self.lesion_key] = (
            MetaTensor(as_tensor, affine=image.affine) if isinstance(image, MetaTensor) else as_tensor
        )
        return out

    def _insert(self, image: Any, ids: Any) -> Case | None:
        """The case, or None where no lesion was drawn or none fits."""
        if self._chosen is None:
            return None
        finding, seed = self._chosen
        affine = image.affine.numpy().astype(float) if isinstance(image, MetaTensor) else np.eye(4)
        hu = np.rint(np.asarray(image)[0]).clip(HU_MIN, HU_MAX).astype(np.int16)
        host = Volume(hu, affine)
        organs = LabelMap(np.asarray(ids)[0].astype(np.uint8), affine, self.names)
        for attempt in range(self.tries):
            try:
                plan = plan_quickly(finding, host, organs, np.random.default_rng([seed, attempt]))
                if isinstance(plan, ExtentPlan):
                    return insert(host, organs, [plan], self.redraw)
                if plan is not None:
                    return _insert_on_crop(host, organs, plan, self.redraw)
            except InputError:
                continue
        return None


def _insert_on_crop(host: Volume, organs: LabelMap, plan: LesionPlan, redraw: Redraw) -> Case:
    """`insert` on the part of the sample that the lesion reaches and some tissue round it, where noise is measured."""
    box = _crop_of(plan, host)
    affine = host.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [s.start for s in box]
    centre = tuple(c - s.start for c, s in zip(plan.centre, box, strict=True))
    part, ids = Volume(host.hu[box], affine), LabelMap(organs.ids[box], affine, organs.names)
    try:
        noise = measure_noise(part, ids, _NOISE_PATCHES)
    except InputError:
        noise = measure_noise(host, organs, _NOISE_PATCHES)
    case = insert(part, ids, [plan.model_copy(update={"centre": centre})], redraw, noise)
    whole = [host.hu.copy(), organs.ids.copy(), np.zeros(host.hu.shape, np.uint8)]
    for array, new in zip(whole, (case.ct.hu, case.organs.ids, case.lesions.ids), strict=True):
        array[box] = new
    hu, moved, lesions = whole
    return Case(
        Volume(hu, host.affine),
        LabelMap(moved, host.affine, organs.names),
        LabelMap(lesions, host.affine, case.lesions.names),
    )


def _crop_of(plan: LesionPlan, host: Volume) -> Box:
    """The lesion's ball with `_CONTEXT` voxels round it, from an even start as the Haar transform wants."""
    reach = np.ceil(plan.ball_mm / host.spacing).astype(int) + _CONTEXT
    low = np.maximum(np.array(plan.centre) - reach, 0) // 2 * 2
    high = np.minimum(np.array(plan.centre) + reach + 1, host.hu.shape)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return i, j, k


def _requests(finding: str | FindingRequest) -> Sequence[FindingRequest]:
    if isinstance(finding, FindingRequest):
        return (finding,)
    found = parse(finding).findings
    if not found:
        raise InputError(f"InsertLesiond: '{finding}' names no lesion; say one, such as '12 mm liver cyst'")
    return found


def _like(old: Any, new: np.ndarray) -> Any:
    """The new values as the old ones' type and dtype, with their affine."""
    if not isinstance(old, torch.Tensor):
        return new.astype(np.asarray(old).dtype)
    tensor = torch.from_numpy(np.ascontiguousarray(new)).to(old.dtype)
    return MetaTensor(tensor, affine=old.affine) if isinstance(old, MetaTensor) else tensor
