"""Labelled volumes for a segmenter, and the patches that it is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evals.utility.config import Arm, UtilityConfig
from evals.volumes import Entry, Subject, read
from synth.errors import InputError

_FOREGROUND = 0.67  # share of patches centred on a labelled voxel
_AIR_HU = -1000


@dataclass(frozen=True)
class Labelled:
    """A volume in RAS order: `image` (X, Y, Z) float32, 0..1 in the window; `classes` uint8, 1 + place in the organs.

    `annotated` (organs,): whether an organ was drawn in this volume; where not, it is left out of loss and score.
    """

    name: str
    sha256: str
    image: np.ndarray
    classes: np.ndarray
    annotated: np.ndarray
    spacing: np.ndarray


def load(entries: Sequence[Entry], config: UtilityConfig) -> list[Labelled]:
    """All volumes of a set; InputError where one has no labels, or none of the organs."""
    return [labelled(read(entry.source, config.organ_ids), config) for entry in entries]


def labelled(subject: Subject, config: UtilityConfig) -> Labelled:
    """Window and classes of one volume."""
    if subject.organs is None:
        raise InputError(f"{subject.name}: has no organ labels; put organs.nii.gz beside its ct.nii.gz")
    drawn = subject.annotated if subject.annotated is not None else tuple(subject.organs.present())
    annotated = np.array([organ in drawn for organ in config.organs])
    if not annotated.any():
        raise InputError(
            f"{subject.name}: none of {', '.join(config.organs)} is labelled in it; remove it from the set"
        )
    classes = np.zeros(subject.hu.shape, np.uint8)
    for number, organ in enumerate(config.organs, start=1):
        classes[subject.organs.mask(organ)] = number
    return Labelled(subject.name, subject.sha256, windowed(subject.hu, config), classes, annotated, subject.spacing)


def windowed(hu: np.ndarray, config: UtilityConfig) -> np.ndarray:
    """HU to 0..1, float32."""
    low, high = config.window_hu
    return ((hu.astype(np.float32) - low) / (high - low)).clip(0, 1)


def controlled(synthetic: Sequence[Labelled], arm: Arm, seed: int) -> list[Labelled]:
    """The synthetic volumes of an arm: as they are, or with masks or CT that fit nothing."""
    rng = np.random.default_rng([seed, 77])
    if arm is Arm.SHUFFLED:
        order = _without_fixed_points(len(synthetic), rng)
        donors = [synthetic[i] for i in order]
        return [
            replace(v, classes=_onto(d.classes, v.image.shape), annotated=d.annotated)
            for v, d in zip(synthetic, donors, strict=True)
        ]
    if arm is Arm.NOISE:
        return [replace(v, image=rng.uniform(0, 1, v.image.shape).astype(np.float32)) for v in synthetic]
    return list(synthetic)


def _without_fixed_points(count: int, rng: np.random.Generator) -> np.ndarray:
    """A random ring: no volume keeps its own masks."""
    if count < 2:
        raise InputError("arm shuffled: one synthetic volume has no other masks to take; give at least two")
    order = rng.permutation(count)
    donors = np.empty(count, int)
    donors[order] = np.roll(order, 1)
    return donors


def _onto(classes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Cropped or padded with background at the far ends."""
    out = np.zeros(shape, np.uint8)
    common = tuple(slice(0, min(a, b)) for a, b in zip(shape, classes.shape, strict=True))
    out[common] = classes[common]
    return out


@dataclass(frozen=True)
class Batch:
    """Patches (B, 1, x, y, z), one-hot classes (B, K, x, y, z) and annotated organs (B, K - 1), float32."""

    image: np.ndarray
    onehot: np.ndarray
    annotated: np.ndarray


def draw(pools: Sequence[Sequence[Labelled]], config: UtilityConfig, rng: np.random.Generator) -> Batch:
    """One batch; each patch comes from a pool at random, then from a volume of it."""
    patches = []
    for _ in range(config.batch):
        pool = pools[int(rng.integers(len(pools)))]
        patches.append(_patch(pool[int(rng.integers(len(pool)))], config, rng))
    image, classes, annotated = (np.stack(part) for part in zip(*patches, strict=True))
    onehot = np.arange(len(config.organs) + 1).reshape(1, -1, 1, 1, 1) == classes[:, None]
    return Batch(image[:, None], onehot.astype(np.float32), annotated.astype(np.float32))


def _patch(
    volume: Labelled, config: UtilityConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A patch about a random voxel, often of a labelled organ; scaled and shifted a little in attenuation."""
    size = np.array(config.patch)
    centre = np.array([rng.integers(n) for n in volume.image.shape])
    present = np.unique(volume.classes)[1:]
    if len(present) and rng.random() < _FOREGROUND:
        voxels = np.argwhere(volume.classes == rng.choice(present))  # every organ alike, however small
        centre = voxels[rng.integers(len(voxels))]
    start = np.clip(centre - rng.integers(size // 4, 3 * size // 4 + 1), 0, np.maximum(0, volume.image.shape - size))
    box = tuple(slice(int(s), int(s + n)) for s, n in zip(start, size, strict=True))
    image, classes = (_padded(array[box], config.patch) for array in (volume.image, volume.classes))
    image = image * np.float32(rng.uniform(0.9, 1.1)) + np.float32(rng.uniform(-0.05, 0.05))
    return image, classes, volume.annotated


def _padded(array: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    return np.pad(array, [(0, want - have) for have, want in zip(array.shape, shape, strict=True)])
