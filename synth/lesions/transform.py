"""InsertLesiond: lesions drawn anew each time a training sample is loaded. A MONAI dictionary transform."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable

from prompts import parse
from prompts.request import FindingRequest
from prompts.vocabulary import Phase, Side
from synth.errors import InputError
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.insertion import Redraw, insert, keep_painted
from synth.lesions.lesion_plan import LesionPlan
from synth.lesions.planning import plan_lesions, plan_quickly
from synth.lesions.plans import AnyPlan
from synth.report.lobes import WHOLE
from synth.report.location import Box
from synth.report.noise import measure_noise
from synth.volumes import labels
from synth.volumes.label_check import require_match
from synth.volumes.types import HU_MAX, HU_MIN, Case, LabelMap, Volume

_CONTEXT = 10  # voxels
_NOISE_PATCHES = 32  # fewer than a case gets: the noise's SD is known to about 1%
_LEAST_SPAN = 50.0  # HU between the lowest and the highest voxel of any CT
_PILED_UP = 1e-3  # share of voxels at a lowest value of 0 or above: cut off there

logger = logging.getLogger(__name__)


class InsertLesiond(Randomizable, MapTransform):
    """Put lesions into a CT, given its organs; with probability `prob`, one of the findings drawn for each sample.

    Reads `data[keys]`, (1, X, Y, Z) in HU, and `data[organs_key]`, (1, X, Y, Z) ids; writes the CT with its lesions,
    the organs where they were pushed, and `data[lesion_key]`, (1, X, Y, Z) uint8, ids from 1. Voxels that no lesion
    reaches keep their value to the last bit. A sample without room for the finding stays as it is, with an empty lesion
    map: tries are bounded, and a logged warning says in how many of how many. Chance comes from `self.R` alone
    (`set_random_state`), so workers of a DataLoader behave as with any other random transform: another number of them
    draws other lesions. With `seed_key` all chance comes from a number of the sample, and they draw the same. It stands
    before ScaleIntensityRanged and its like, or is told what they made of HU: other numbers that are no HU are an
    InputError, as are labels that do not belong to the CT. A patch of lung and nothing else will do.

    Args:
        keys: the key of the CT.
        findings: prompts ("12 mm liver cyst", "portal venous phase, two liver metastases") or FindingRequests, one of
            which is drawn for each sample. A number in it is inserted as often; what it says of contrast holds.
        organs_key: key of the organ labels.
        lesion_key: key that the lesion map is written to.
        names: label id -> TotalSegmentator name; the project's own table when left out.
        prob: probability of a lesion.
        tries: plans drawn before a sample is left as it is.
        redraw: redraws the detail (`synth.draw.redraw.RefineRedraw`); painted lesions when left out.
        spacing: (3,) mm, for samples that are no MetaTensor with an affine.
        scaled_from: HU that 0 and 1 stand for in images that were scaled; where all of one lies between, so does what
            is inserted.
        seed_key: key of a whole number, another for each sample and epoch.
        trust_labels: take labels that do not look like those of their CT.
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
        spacing: Sequence[float] | None = None,
        scaled_from: tuple[float, float] | None = None,
        seed_key: Hashable | None = None,
        trust_labels: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        if len(self.keys) != 1:
            raise InputError(f"InsertLesiond: keys {self.keys}: give one, the CT's")
        if isinstance(findings, (str, FindingRequest)):
            raise InputError(f"InsertLesiond: findings '{findings}': give a list of them")
        if not findings or not 0 <= prob <= 1 or tries < 1:
            raise InputError("InsertLesiond: give findings, a prob from 0 to 1 and one try or more")
        if scaled_from is not None and not scaled_from[1] - scaled_from[0] >= _LEAST_SPAN:
            raise InputError(
                f"InsertLesiond: scaled_from {scaled_from}: give the HU of 0 and of 1, such as (-1000, 400)"
            )
        self.findings = tuple(wanted for one in findings for wanted in _requests(one))
        self.organs_key, self.lesion_key = organs_key, lesion_key
        self.names = dict(names or labels.names())
        self.prob, self.tries, self.redraw = prob, tries, redraw
        self.spacing, self.scaled_from, self.seed_key = spacing, scaled_from, seed_key
        self.trust_labels = trust_labels
        self._chosen: tuple[int, int] | None = None
        self._asked, self._without_room = [0] * len(self.findings), [0] * len(self.findings)

    def randomize(self, data: Any = None) -> None:
        """Draw whether there is a lesion, which, and the seed of its plan."""
        if self.seed_key is not None:
            self.set_random_state(seed=_seed_of(data, self.seed_key))
        happens = self.R.random_sample() < self.prob
        index, seed = int(self.R.randint(len(self.findings))), int(self.R.randint(2**31 - 1))
        self._chosen = (index, seed) if happens else None

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The sample with its lesion."""
        out = dict(data)
        self.randomize(data)
        key = next(iter(self.key_iterator(out)), None)
        if key is None:
            return out
        image, ids = out[key], out[self.organs_key]
        case = None if self._chosen is None else self._inserted(*self._host(image, ids))
        if case is None:
            lesions = np.zeros(tuple(image.shape), np.uint8)
        else:
            stored = np.asarray(image)[0]
            changed = case.ct.hu != _as_hu(self._unscaled(stored))
            out[key] = _like(image, np.where(changed, self._scaled(case.ct.hu, stored), stored)[None])
            out[self.organs_key] = _like(ids, case.organs.ids[None])
            lesions = case.lesions.ids[None]
        as_tensor = torch.from_numpy(lesions)
        out[self.lesion_key] = (
            MetaTensor(as_tensor, affine=image.affine) if isinstance(image, MetaTensor) else as_tensor
        )
        return out

    def _host(self, image: Any, ids: Any) -> tuple[Volume, LabelMap]:
        """The sample as CT and labels; InputError where it is no CT in HU, or the labels are not its own."""
        stored = self._unscaled(np.asarray(image)[0])
        if self.scaled_from is None:
            _require_hu(stored)
        placed = isinstance(image, MetaTensor)
        if placed:
            affine = image.affine.numpy().astype(float)
        elif self.spacing is None:
            raise InputError(
                "InsertLesiond: the image has no affine, so mm are unknown; load MetaTensors or say spacing="
            )
        else:
            affine = np.diag([*self.spacing, 1.0])
        host = Volume(_as_hu(stored), affine)
        organs = LabelMap(_as_ids(np.asarray(ids)[0]), affine, self.names)
        if not self.trust_labels:
            require_match(host, organs, "InsertLesiond", remedy="trust_labels=True", placed=placed)
        return host, organs

    def _unscaled(self, stored: np.ndarray) -> np.ndarray:
        """HU of an image's numbers."""
        if self.scaled_from is None:
            return stored
        low, high = self.scaled_from
        return low + (high - low) * stored.astype(np.float64)

    def _scaled(self, hu: np.ndarray, stored: np.ndarray) -> np.ndarray:
        """An image's numbers of HU, beside those that stand there."""
        if self.scaled_from is None:
            return hu
        low, high = self.scaled_from
        numbers = (hu - low) / (high - low)
        return numbers.clip(0, 1) if stored.min() >= 0 and stored.max() <= 1 else numbers

    def _inserted(self, host: Volume, organs: LabelMap) -> Case | None:
        """The case, or None where none of some tries fits."""
        assert self._chosen is not None
        index, seed = self._chosen
        finding, phase = self.findings[index]
        self._asked[index] += 1
        why = "some trials found no room"
        for attempt in range(self.tries):
            try:
                plans = _plans(finding, phase, host, organs, np.random.default_rng([seed, attempt]))
                bodies = [plan for plan in plans if not isinstance(plan, ExtentPlan)]
                if len(bodies) < len(plans):
                    return insert(host, organs, plans, self.redraw)
                if bodies:
                    return _insert_on_crop(host, organs, bodies, self.redraw)
            except InputError as error:
                why = str(error)
        self._tell(index, why)
        return None

    def _tell(self, index: int, why: str) -> None:
        """Warn of the 1st, 2nd, 4th, .. sample that stays without this finding."""
        self._without_room[index] += 1
        if (times := self._without_room[index]).bit_count() == 1:
            finding = self.findings[index][0]
            size = "" if finding.size_mm is None else f"{finding.size_mm:g} mm "
            note = "InsertLesiond: %s%s %s left out of %d of %d samples so far (%s)"
            logger.warning(note, size, finding.organ, finding.kind, times, self._asked[index], why)


def _plans(
    finding: FindingRequest, phase: Phase | None, host: Volume, organs: LabelMap, rng: np.random.Generator
) -> Sequence[AnyPlan]:
    """A plan for each lesion that a finding asks for; none where some trials found no room."""
    if finding.count != 1 or finding.side is Side.BILATERAL:
        return plan_lesions([finding], host, organs, rng, phase)
    plan = plan_quickly(finding, host, organs, rng, phase)
    return () if plan is None else (plan,)


def _seed_of(data: Any, key: Hashable) -> int:
    """What all chance of a sample is drawn from."""
    try:
        return int(np.random.SeedSequence(int(data[key])).generate_state(1)[0])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"InsertLesiond: seed_key '{key}': give each sample a whole number from 0 there") from error


def _require_hu(stored: np.ndarray) -> None:
    """InputError for numbers that were scaled: this transform stands before what scales them."""
    low, high = float(stored.min()), float(stored.max())
    at_low = float((stored == low).mean())
    if not np.isfinite([low, high]).all() or high - low < _LEAST_SPAN or (low >= 0 and at_low > _PILED_UP):
        raise InputError(
            f"InsertLesiond: the image runs from {low:.4g} to {high:.4g}, which is no HU; put InsertLesiond before "
            "ScaleIntensityRanged and its like, or say scaled_from="
        )


def _as_hu(stored: np.ndarray) -> np.ndarray:
    return np.rint(stored).clip(HU_MIN, HU_MAX).astype(np.int16)


def _as_ids(stored: np.ndarray) -> np.ndarray:
    ids = stored if stored.dtype.kind in "iub" else np.rint(stored)
    if not np.array_equal(ids, stored) or ids.min() < 0 or ids.max() > 2**16 - 1:
        raise InputError(
            f"InsertLesiond: organ ids from {stored.min():.4g} to {stored.max():.4g} are no label ids; resample "
            "labels with nearest neighbour"
        )
    return ids.astype(np.uint8 if ids.max() < 256 else np.uint16)


def _insert_on_crop(host: Volume, organs: LabelMap, plans: Sequence[LesionPlan], redraw: Redraw) -> Case:
    """`insert` on the part of the sample that lesions reach and some tissue round it, where noise is measured."""
    box = _crop_of(plans, host)
    affine = host.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [s.start for s in box]
    part, ids = Volume(host.hu[box], affine), LabelMap(organs.ids[box], affine, organs.names)
    try:
        noise = measure_noise(part, ids, _NOISE_PATCHES)
    except InputError:
        noise = measure_noise(host, organs, _NOISE_PATCHES)
    case = insert(part, ids, [_within(plan, box, ids) for plan in plans], redraw, noise)
    whole = [host.hu.copy(), organs.ids.copy(), np.zeros(host.hu.shape, np.uint8)]
    for array, new in zip(whole, (case.ct.hu, case.organs.ids, case.lesions.ids), strict=True):
        array[box] = new
    hu, moved, lesions = whole
    return Case(
        Volume(hu, host.affine),
        LabelMap(moved, host.affine, organs.names),
        LabelMap(lesions, host.affine, case.lesions.names),
    )


def _within(plan: LesionPlan, box: Box, organs: LabelMap) -> LesionPlan:
    """The plan on the grid of a box, whose organs are these: lungs that are labelled whole have no lobes there."""
    centre = tuple(c - s.start for c, s in zip(plan.centre, box, strict=True))
    there = organs.present()
    told = {} if not {*plan.structures}.isdisjoint(there) else {"structures": tuple(n for n in WHOLE if n in there)}
    return plan.model_copy(update={"centre": centre, **told})


def _crop_of(plans: Sequence[LesionPlan], host: Volume) -> Box:
    """The lesions' balls with `_CONTEXT` voxels round them, from an even start as the Haar transform wants."""
    centres = np.array([plan.centre for plan in plans])
    reaches = np.ceil(np.array([plan.ball_mm for plan in plans])[:, None] / host.spacing).astype(int) + _CONTEXT
    low = np.maximum((centres - reaches).min(axis=0), 0) // 2 * 2
    high = np.minimum((centres + reaches).max(axis=0) + 1, host.hu.shape)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return i, j, k


def _requests(finding: str | FindingRequest) -> Sequence[tuple[FindingRequest, Phase | None]]:
    if isinstance(finding, FindingRequest):
        return ((finding, None),)
    request = parse(finding)
    if not request.findings:
        raise InputError(f"InsertLesiond: '{finding}' names no lesion; say one, such as '12 mm liver cyst'")
    return [(one, request.phase) for one in request.findings]


def _like(old: Any, new: np.ndarray) -> Any:
    """The new values as the old ones' type and dtype, with their affine."""
    if not isinstance(old, torch.Tensor):
        return new.astype(np.asarray(old).dtype)
    tensor = torch.from_numpy(np.ascontiguousarray(new)).to(old.dtype)
    return MetaTensor(tensor, affine=old.affine) if isinstance(old, MetaTensor) else tensor
