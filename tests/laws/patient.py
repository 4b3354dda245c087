"""A made-up head-and-neck patient with every fact, unlike its mirror image; and that mirror image, measured anew."""

from __future__ import annotations

import numpy as np
import torch

from synth.data.dataset import PreparedPatient
from synth.volumes import labels
from tests.regions import HEAD_NECK, ORGANS, REGION

SPACING = 4.0
# organ: middle and radii in mm
_ORGANS = {
    "brainstem": ((0, -35, 20), (14, 14, 24)),
    "spinal_cord": ((0, -60, -60), (10, 10, 80)),
    "parotid_gland_right": ((52, 0, 0), (14, 20, 24)),
    "parotid_gland_left": ((-52, 0, 0), (18, 22, 28)),
    "esophagus": ((0, -30, -130), (10, 8, 36)),
    "larynx": ((0, 20, -80), (18, 18, 24)),
    "mandible": ((10, 60, -20), (30, 16, 16)),
}
_TARGETS = {56: ((-40, 0, -60), (36, 30, 40)), 63: ((-40, 0, -60), (26, 22, 30)), 70: ((-44, 0, -60), (16, 14, 20))}


def inside(middle: tuple[int, ...], radii: tuple[int, ...]) -> np.ndarray:
    """(X, Y, Z) bool on the frame at 4 mm."""
    affine = HEAD_NECK.affine_at(SPACING)
    axes = [affine[i, 3] + SPACING * np.arange(n) for i, n in enumerate(HEAD_NECK.shape_at(SPACING))]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    return ((x - middle[0]) / radii[0]) ** 2 + ((y - middle[1]) / radii[1]) ** 2 + ((z - middle[2]) / radii[2]) ** 2 < 1


def patient() -> PreparedPatient:
    """Head, neck and shoulders in air; all organs annotated but the right parotid."""
    body = (
        inside((0, 0, 20), (80, 105, 60)) | inside((0, -10, -60), (65, 60, 300)) | inside((6, -20, -180), (190, 80, 50))
    )
    z = HEAD_NECK.affine_at(SPACING)[2, 3] + SPACING * np.arange(body.shape[2])
    body &= (z > -190) & (z < 70)
    noise = np.random.default_rng(0).normal(40, 10, body.shape)
    hu = np.where(body, noise, -1000)
    organs, dose = np.zeros(body.shape, np.uint8), np.zeros(body.shape, np.uint8)
    for name, where in _ORGANS.items():
        organs[inside(*where)] = 1 + ORGANS.index(name)
    hu[organs == 1 + ORGANS.index("mandible")] = 700
    for level, where in _TARGETS.items():
        dose[inside(*where)] = level
    return _subject(hu.astype(np.int16), organs, dose, tuple(n for n in ORGANS if n != "parotid_gland_right"))


def mirror_image(subject: PreparedPatient) -> PreparedPatient:
    """The patient with right and left exchanged, by names."""
    other = np.array(
        [
            0,
            *(
                1 + ORGANS.index(labels.mirror(n)) if labels.mirror(n) in ORGANS else 1 + i
                for i, n in enumerate(ORGANS)
            ),
        ],
        np.uint8,
    )
    annotated = [name for name, flag in zip(ORGANS, subject.annotated, strict=True) if flag]
    names = tuple(labels.mirror(n) if labels.mirror(n) in ORGANS else n for n in annotated)
    flipped = (np.ascontiguousarray(a[::-1]) for a in (subject.hu, other[subject.organs], subject.dose))
    return _subject(*flipped, names)


def _subject(hu: np.ndarray, organs: np.ndarray, dose: np.ndarray, annotated: tuple[str, ...]) -> PreparedPatient:
    facts = REGION.measure(REGION.placed(hu, HEAD_NECK.affine_at(SPACING), organs, dose, annotated))
    return PreparedPatient(
        REGION, "made_up", hu, organs, dose, torch.tensor([float(n in annotated) for n in ORGANS]), facts
    )
