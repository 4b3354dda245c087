"""Nodules drawn with the ratings of real ones, where another patient's nodule was.

For each real nodule a host: the crop of another patient of the same fold whose nodule is smaller, without spicules, and
taken out: lung of the same crop takes its place. What is drawn covers that place, so that nothing of it shows, and
lies where nodules do. Requests are what the ratings say; the size is the real one's own at half contrast; drawings that
miss what was asked are drawn again, as `synthct insert` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from prompts.request import FindingRequest
from prompts.vocabulary import Surface, Texture
from studies.nodules.crops import LUNG, Nodule
from synth.errors import InputError
from synth.lesions import LesionPlan, insert, keep_painted
from synth.lesions.acceptance import attribute_checks
from synth.lesions.planning import plan_quickly
from synth.report import location
from synth.report.diameters import axial_diameters
from synth.report.half_contrast import half_contrast_body
from synth.report.lesions import measure_lesion
from synth.report.measure import measure
from synth.report.noise import NoiseModel, measure_noise
from synth.report.scene import Scene
from synth.volumes import labels
from synth.volumes.types import Case, LabelMap, Volume

FOLDS = 5
WINDOW = 32  # voxels of 1 mm
HU = (-1024, 400)  # the real crops are cut off there
_SPACING = np.ones(3)
_ROOM = 71  # voxels a side of the lung in which a nodule is planned
_SHIFTS, _FARTHEST = 400, 22  # places that may stand for a nodule's, voxels away
_HOSTS, _TRIES = 8, 4
_PLAIN_HOST = 12.0  # mm: hosts whose nodule is no larger


@dataclass(frozen=True)
class Sample:
    """A window about a nodule. hu: (32, 32, 32) float32; body: boolean, at half contrast. of: whose ratings it has."""

    hu: np.ndarray
    body: np.ndarray
    of: Nodule
    host: Nodule
    drawn: bool


def fold_of(nodules: Sequence[Nodule]) -> dict[str, int]:
    """Patient -> fold: as many large and small nodules in each."""
    order = sorted(nodules, key=lambda n: n.diameter_mm)
    rng = np.random.default_rng(0)
    folds: dict[str, int] = {}
    for start in range(0, len(order), FOLDS):
        some = order[start : start + FOLDS]
        folds |= {n.patient: int(f) for n, f in zip(some, rng.permutation(FOLDS), strict=False)}
    return folds


def long_mm(nodule: Nodule) -> float:
    """Longest diameter in a slice of the nodule at half contrast."""
    body = half_contrast_body(nodule.hu, nodule.mask, nodule.lung & ~nodule.mask, _SPACING)
    return axial_diameters(nodule.mask if body is None else body.mask, _SPACING, 2).long_mm


def request_of(nodule: Nodule) -> FindingRequest:
    """What its ratings say, in the words of a request."""
    rated = nodule.ratings
    texture = Texture.GROUND_GLASS if rated["texture"] == 1 else Texture.PART_SOLID
    surface = {1: Surface.ILL_DEFINED, 2: Surface.ILL_DEFINED, 4: Surface.WELL_DEFINED, 5: Surface.WELL_DEFINED}
    size = max(long_mm(nodule), 4.0)
    return FindingRequest(
        kind="nodule",
        organ="lung",
        size_mm=round(size, 1),
        texture=Texture.SOLID if rated["texture"] >= 4 else texture,
        spiculated=rated["spiculation"] >= 3 if size >= 8 else None,
        lobulated=True if rated["lobulation"] >= 3 else None,
        surface=surface.get(rated["margin"]) if size >= 14 and rated["texture"] >= 4 else None,
    )


def without_nodule(nodule: Nodule, seed: int = 0) -> np.ndarray | None:
    """The crop's HU (X, Y, Z) with lung of the same crop in the place of the nodule; None where none is as large."""
    zone = ndimage.binary_dilation(nodule.mask, iterations=1) & nodule.lung
    ring = ndimage.binary_dilation(zone) & ~zone & nodule.lung
    inside, around = np.argwhere(zone), np.argwhere(ring)
    taken = nodule.lung & ~zone
    rng = np.random.default_rng(seed)
    best, least = None, np.inf
    shape = np.array(zone.shape)
    for shift in rng.integers(-_FARTHEST, _FARTHEST + 1, (_SHIFTS, 3)):
        there, beside = inside + shift, around + shift
        if (there < 1).any() or (there >= shape - 1).any() or not taken[tuple(there.T)].all():
            continue
        known = ((beside >= 0) & (beside < shape)).all(axis=1)
        apart = nodule.hu[tuple(around[known].T)].astype(float) - nodule.hu[tuple(beside[known].T)]
        if (miss := float(np.median(np.abs(apart)))) < least:
            best, least = there, miss
    if best is None:
        return None
    out = nodule.hu.astype(np.float32)
    weight = (ndimage.distance_transform_edt(zone)[zone] / 1.5).clip(0, 1)
    out[zone] += weight * (nodule.hu[tuple(best.T)] - out[zone])
    return np.rint(out).astype(np.int16)


@dataclass(frozen=True)
class Host:
    """A crop without its nodule. centre: voxel where that was."""

    nodule: Nodule
    hu: np.ndarray
    centre: tuple[int, int, int]
    size_mm: float
    noise: NoiseModel
    scene: Scene


def hosts_of(nodules: Sequence[Nodule]) -> list[Host]:
    """The crops that can take another nodule: theirs is small and plain, lung can replace it, noise be measured."""
    return [host for nodule in nodules if (host := _host(nodule)) is not None]


def _host(nodule: Nodule) -> Host | None:
    size = long_mm(nodule)
    if size > _PLAIN_HOST or nodule.ratings["spiculation"] >= 3 or (hu := without_nodule(nodule)) is None:
        return None
    try:
        noise = measure_noise(Volume(nodule.hu, nodule.affine), nodule.organs())
    except InputError:
        return None
    points = np.argwhere(nodule.mask)
    i, j, k = points[int(np.linalg.norm(points - points.mean(axis=0), axis=1).argmin())]
    empty = Case(Volume(hu, nodule.affine), nodule.organs(), LabelMap(np.zeros(hu.shape, np.uint8), nodule.affine, {}))
    organs = {organ.name: organ for organ in measure(empty).organs}
    scene = Scene(empty, location.present_boxes(empty.organs), organs, 0.0, noise)
    return Host(nodule, hu, (int(i), int(j), int(k)), size, noise, scene)


def real_sample(nodule: Nodule) -> Sample:
    """The window about a real nodule."""
    return _window(nodule.hu, nodule.mask, nodule.lung, nodule, nodule, drawn=False)


def drawn_samples(nodules: Sequence[Nodule], hosts: Sequence[Host], times: int, seed: int = 0) -> Iterator[Sample]:
    """So many drawings of each nodule's ratings, each in another host of its fold; fewer where hosts are too small."""
    folds = fold_of(nodules)
    for number, nodule in enumerate(nodules):
        rng = np.random.default_rng([seed, number])
        request = request_of(nodule)
        fits = [h for h in hosts if folds[h.nodule.patient] == folds[nodule.patient] and h.nodule is not nodule]
        fits = [h for h in fits if h.size_mm <= (request.size_mm or 0.0) + 1.0]
        made = 0
        for index in rng.permutation(len(fits))[:_HOSTS]:
            sample = _drawn(nodule, request, fits[index], rng)
            if sample is not None:
                made += 1
                yield sample
            if made == times:
                break


def _drawn(nodule: Nodule, request: FindingRequest, host: Host, rng: np.random.Generator) -> Sample | None:
    """The first drawing that shows what was asked, else the last; None where the host has no room."""
    organs = host.nodule.organs()
    sample = None
    for _ in range(_TRIES):
        plan = planned(request, host.centre, rng)
        try:
            case = insert(Volume(host.hu, host.nodule.affine), organs, [plan], keep_painted, host.noise)
        except InputError:
            continue
        mask = case.lesions.ids > 0
        sample = _window(case.ct.hu, mask, host.nodule.lung, nodule, host.nodule, drawn=True)
        found = measure_lesion(replace(host.scene, case=case), plan.id, location.boxes(case.lesions.ids)[plan.id])
        if all(check.ok for check in attribute_checks(request, found)):
            break
    return sample


def planned(request: FindingRequest, centre: tuple[int, int, int], rng: np.random.Generator) -> LesionPlan:
    """A nodule planned in plain lung, to be drawn about a voxel of a crop."""
    air = np.rint(rng.normal(-850, 20, (_ROOM,) * 3)).astype(np.int16)
    ids = np.full(air.shape, labels.ids()[LUNG], np.uint8)
    plan = plan_quickly(request, Volume(air, np.eye(4)), LabelMap(ids, np.eye(4), labels.names()), rng)
    if not isinstance(plan, LesionPlan):
        raise TypeError(f"a nodule of {request.size_mm} mm does not fit into {_ROOM} mm of lung")
    return plan.model_copy(update={"centre": centre, "structures": (LUNG,)})


def _window(hu: np.ndarray, mask: np.ndarray, lung: np.ndarray, nodule: Nodule, host: Nodule, *, drawn: bool) -> Sample:
    """About the middle of the nodule at half contrast, shifted where the crop ends."""
    found = half_contrast_body(hu, mask, lung & ~mask, _SPACING)
    body = mask if found is None else found.mask
    middle = np.rint(np.argwhere(body).mean(axis=0)).astype(int)
    low = np.clip(middle - WINDOW // 2, 0, np.array(hu.shape) - WINDOW)
    box = tuple(slice(int(a), int(a) + WINDOW) for a in low)
    return Sample(hu[box].clip(*HU).astype(np.float32), body[box], nodule, host, drawn)
