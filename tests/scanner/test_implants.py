"""Implants lie where surgeons put them, on the side of their bone, and streak along themselves."""

from __future__ import annotations

import numpy as np
from nibabel.affines import apply_affine

from synth.scanner.implants import place
from synth.scanner.scan import scan_in_place
from synth.scanner.settings import Metal, ScannerSettings
from synth.volumes.types import Case, LabelMap, Volume

# voxels run to the left, to the front and up, 3 mm each
AFFINE = np.array([[-3.0, 0, 0, 150.0], [0, 3.0, 0, -90.0], [0, 0, 3.0, -180.0], [0, 0, 0, 1.0]])
SHAPE = (100, 60, 70)
AT = apply_affine(AFFINE, np.moveaxis(np.indices(SHAPE), 0, -1))
HEADS = {"femur_left": (-85.0, 0.0, 0.0), "femur_right": (85.0, 0.0, 0.0)}  # RAS mm


def ball(centre: tuple[float, float, float], radius: float) -> np.ndarray:
    return np.linalg.norm(AT - np.array(centre), axis=-1) <= radius


def case_of(bones: dict[str, np.ndarray]) -> Case:
    ids = np.zeros(SHAPE, np.uint8)
    for number, mask in enumerate(bones.values(), start=1):
        ids[mask] = number
    body = (AT[..., 0] / 145) ** 2 + (AT[..., 1] / 80) ** 2 <= 1
    hu = np.where(body, 20, -1000).astype(np.int16)
    hu[ids > 0] = 500
    names = dict(enumerate(bones, start=1))
    return Case(Volume(hu, AFFINE), LabelMap(ids, AFFINE, names), LabelMap(np.zeros_like(ids), AFFINE, {}))


def pelvis() -> Case:
    """Two femora: a head, a trochanter 45 mm beside and below it, and a shaft from there down."""
    bones = {}
    for name, (x, y, z) in HEADS.items():
        outward = np.sign(x)
        trochanter = ball((x + outward * 45, y, z - 15), 20)
        neck = np.any([ball((x + outward * d, y, z - d / 3), 12) for d in range(0, 46, 5)], axis=0)
        shaft = (np.hypot(AT[..., 0] - x - outward * 40, AT[..., 1] - y) <= 14) & (AT[..., 2] < z - 15)
        bones[name] = ball((x, y, z), 23) | trochanter | neck | shaft
    return case_of(bones)


def test_a_hip_s_head_is_in_the_femur_s_and_its_stem_in_the_shaft() -> None:
    case = pelvis()
    heads, stem = place(Metal.hip, case)
    assert (heads.material, stem.material) == ("cobalt_chrome", "titanium")
    of_head = heads.within(SHAPE) > 0.5
    for name, centre in HEADS.items():
        own = of_head & (AT[..., 0] * centre[0] > 0)
        assert np.linalg.norm(AT[own].mean(axis=0) - centre) < 15  # of a head of 46 mm
        assert case.organs.mask(name)[own].mean() > 0.9
    of_stem = stem.within(SHAPE) > 0.5
    assert (case.organs.ids[of_stem] > 0).mean() > 0.8
    assert AT[of_stem][:, 2].min() < -90 and np.abs(AT[of_stem][:, 0]).max() > 110


def test_between_two_hips_it_is_dark() -> None:
    case = pelvis()
    level = int(np.argmin(np.abs(AT[0, 0, :, 2])))
    near = slice(level - 20, level + 8)
    ct = Volume(case.ct.hu[..., near], AFFINE)
    affine = AFFINE.copy()
    affine[:3, 3] += AFFINE[:3, 2] * near.start
    ct = Volume(np.ascontiguousarray(case.ct.hu[..., near]), affine)
    organs = LabelMap(np.ascontiguousarray(case.organs.ids[..., near]), affine, case.organs.names)
    scanned = scan_in_place(ct, ScannerSettings(metal=Metal.hip), 1, organs)
    assert scanned.metal is not None
    k = int(scanned.metal.sum(axis=(0, 1)).argmax())
    artefact = scanned.ct.hu[..., k].astype(float) - scanned.clean.hu[..., k]
    middle = np.abs(AT[:, 0, 0, 0]) < 35
    between = artefact[middle][:, np.abs(AT[0, :, 0, 1]) < 8]
    before = artefact[middle][:, (AT[0, :, 0, 1] > 35) & (AT[0, :, 0, 1] < 60)]
    assert between.mean() < before.mean() - 100 and between.mean() < -100


def jaw() -> Case:
    """A lower jaw: half an ellipse open to the back, 30 mm high, whose middle is in front."""
    ring = np.hypot(AT[..., 0] / 45, (AT[..., 1] + 20) / 70)
    return case_of({"mandible": (ring > 0.8) & (ring < 1.05) & (AT[..., 1] > -20) & (np.abs(AT[..., 2] + 60) < 15)})


def test_fillings_lie_on_the_jaw_on_both_sides() -> None:
    case = jaw()
    (fillings,) = place(Metal.dental, case)
    assert fillings.material == "amalgam"
    at = AT[fillings.within(SHAPE) > 0.3]
    assert at[:, 0].min() < -20 and at[:, 0].max() > 20  # on both sides
    assert (np.abs(at[:, 2] + 41) < 9).all()  # about the upper border
    bone = AT[case.organs.ids > 0]
    assert max(np.linalg.norm(bone - point, axis=1).min() for point in at) < 9
    scanned = scan_in_place(case.ct, ScannerSettings(metal=Metal.dental), 1, case.organs)
    assert scanned.metal is not None
    level = int(scanned.metal.sum(axis=(0, 1)).argmax())
    artefact = scanned.ct.hu[..., level].astype(float) - scanned.clean.hu[..., level]
    rows = np.unique(np.argwhere(scanned.metal[..., level] > 0.5)[:, 1])
    aside = np.abs(AT[0, :, 0, 1][:, None] - AT[0, rows, 0, 1]).min(axis=1) > 25
    inside = np.abs(AT[:, 0, 0, 0]) < 25
    assert np.abs(artefact[inside][:, rows]).mean() > 1.5 * np.abs(artefact[inside][:, aside]).mean()
