"""Labelled volumes for a segmenter, and the patches that it is trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from monai.transforms import RandAffine

from evals.utility.config import INSERTING, Arm, UtilityConfig
from evals.utility.tissue import resampled, with_lung, with_tissue
from evals.volumes import LESION, ReadVolume, UsableVolume, read
from synth.errors import InputError
from synth.volumes import labels
from synth.volumes.types import LabelMap

IGNORED = 255  # the class of voxels that are left out of the loss
_FOREGROUND = 0.67  # share of patches centred on a labelled voxel
_MARGIN = 0.2  # of a patch's size
_TURN_RAD, _SCALE, _NOISE = 0.15, 0.12, 0.04  # noise: of the window


@dataclass(frozen=True)
class Labelled:
    """A volume in RAS order: `image` (X, Y, Z) float32, 0..1 in the window; `classes` uint8, 1 + place in the organs.

    `annotated` (organs,): whether an organ was drawn in this volume; where not, it is left out of loss and score.
    `host`: CT and organs as they were read, kept where lesions are to be put into them.
    """

    name: str
    sha256: str
    image: np.ndarray
    classes: np.ndarray
    annotated: np.ndarray
    spacing: np.ndarray
    host: TrainingHost | None = None


@dataclass(frozen=True)
class TrainingHost:
    """HU (X, Y, Z) int16 and the organs; lesions that are there already are one more label, `lesion`, over them."""

    hu: np.ndarray
    organs: LabelMap


def load(entries: Sequence[UsableVolume], config: UtilityConfig) -> list[Labelled]:
    """All volumes of a set; InputError where one has no labels, or none of the organs."""
    wanted = LESION in config.organs
    return [
        labelled(read(entry.source, config.organ_ids, lesions=wanted, trust_hu=config.trust_hu), config)
        for entry in entries
    ]


def labelled(subject: ReadVolume, config: UtilityConfig) -> Labelled:
    """Window and classes of one volume, resampled and with its tissue labelled where the study asks for that."""
    if subject.organs is None:
        raise InputError(f"{subject.name}: has no organ labels; put organs.nii.gz beside its ct.nii.gz")
    subject = subject if config.spacing is None else resampled(subject, config.spacing)
    if config.tissue:
        subject = with_lung(subject) if config.tissue == "lung" else with_tissue(subject)
    assert subject.organs is not None
    annotated = np.array([organ in _drawn(subject) for organ in config.organs])
    if not annotated.any():
        raise InputError(
            f"{subject.name}: none of {', '.join(config.organs)} is labelled in it; remove it from the set"
        )
    lesions = subject.lesions if subject.lesions is not None else subject.organs.mask(LESION)
    inserts = any(arm in INSERTING for arm in config.arms)
    host = TrainingHost(subject.hu, _with_lesions(subject.organs, lesions)) if inserts else None
    return Labelled(
        subject.name,
        subject.sha256,
        windowed(subject.hu, config),
        classes_of(subject.organs, lesions, config),
        annotated,
        subject.spacing,
        host,
    )


def _with_lesions(organs: LabelMap, lesions: np.ndarray) -> LabelMap:
    """Lesions as a label of their own, so that nothing grows into them and what pushes tissue aside moves them too."""
    number = next(n for n in range(255, 0, -1) if n not in organs.names and not (organs.ids == n).any())
    names = {i: name for i, name in organs.names.items() if name != LESION}
    return LabelMap(
        np.where(lesions, number, organs.ids).astype(organs.ids.dtype), organs.affine, {**names, number: LESION}
    )


def _drawn(subject: ReadVolume) -> set[str]:
    """Organs that were drawn, and lesions where somebody looked for them, be it in vain."""
    assert subject.organs is not None
    drawn = set(subject.annotated if subject.annotated is not None else subject.organs.present())
    return drawn | ({LESION} if subject.lesions is not None or LESION in subject.organs.names.values() else set())


def classes_of(organs: LabelMap, lesions: np.ndarray, config: UtilityConfig) -> np.ndarray:
    """(X, Y, Z) uint8: 1 + place in the organs of the study; a lesion lies over its organ."""
    classes = np.zeros(organs.ids.shape, np.uint8)
    for number, organ in enumerate(config.organs, start=1):
        if organ != LESION:
            classes[organs.mask(organ)] = number
    if LESION in config.organs:
        classes[lesions] = 1 + config.organs.index(LESION)
    return classes


def unlearned(volume: Labelled, config: UtilityConfig) -> Labelled:
    """The volume with its own lesions left out of the loss."""
    known = volume.classes == 1 + config.organs.index(LESION)
    return replace(volume, classes=np.where(known, IGNORED, volume.classes).astype(np.uint8))


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
class PatchBatch:
    """Patches (B, 1, x, y, z), one-hot classes (B, K, x, y, z) and annotated organs (B, K - 1), float32.

    A voxel that is ignored is of no class.
    """

    image: np.ndarray
    onehot: np.ndarray
    annotated: np.ndarray


def draw(
    pools: Sequence[Sequence[Labelled]],
    config: UtilityConfig,
    rng: np.random.Generator,
    change: Callable[[Labelled, np.random.Generator], Labelled] = lambda volume, _: volume,
) -> PatchBatch:
    """One batch; each patch comes from a pool at random, then from a volume of it, after `change`."""
    patches = []
    for _ in range(config.batch):
        pool = pools[int(rng.integers(len(pools)))]
        patches.append(_patch(change(pool[int(rng.integers(len(pool)))], rng), config, rng))
    image, classes, annotated = (np.stack(part) for part in zip(*patches, strict=True))
    onehot = np.arange(len(config.organs) + 1).reshape(1, -1, 1, 1, 1) == classes[:, None]
    return PatchBatch(image[:, None], onehot.astype(np.float32), annotated.astype(np.float32))


def _patch(
    volume: Labelled, config: UtilityConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A patch about a random voxel, often of a labelled organ, augmented."""
    size = np.array(config.patch)
    margin = (size * _MARGIN).astype(int)  # what a turned or larger patch sees beyond its own edges
    centre = np.array([rng.integers(n) for n in volume.image.shape])
    present = [c for c in np.unique(volume.classes) if c not in (0, IGNORED)]
    if len(present) and rng.random() < _FOREGROUND:
        voxels = np.argwhere(volume.classes == rng.choice(present))  # every organ alike, however small
        centre = voxels[rng.integers(len(voxels))]
    start = np.clip(centre - rng.integers(size // 4, 3 * size // 4 + 1), 0, np.maximum(0, volume.image.shape - size))
    low, high = np.maximum(start - margin, 0), start + size + margin
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    before = [(int(max(0, m - s)), 0) for m, s in zip(margin, start, strict=True)]
    wide = (size + 2 * margin).tolist()
    image, classes = (_padded(np.pad(a[box], before), wide) for a in (volume.image, volume.classes))
    image, classes = augmented(image, classes, config, rng)
    return image, classes, volume.annotated


def augmented(
    image: np.ndarray, classes: np.ndarray, config: UtilityConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Turned, scaled, mirrored (paired organs change sides), brightened and noised a little; the middle `patch` of it.

    Every arm is trained so: what synthetic volumes add is to be more than what mirror images of real ones give.
    """
    turn = RandAffine(
        prob=1.0, rotate_range=[_TURN_RAD] * 3, scale_range=[_SCALE] * 3, spatial_size=config.patch, cache_grid=False,
        padding_mode="border",
    ).set_random_state(seed=int(rng.integers(2**31)))  # fmt: skip
    image = turn(torch.from_numpy(image)[None], mode="bilinear")[0].numpy()
    classes = turn(torch.from_numpy(classes)[None], mode="nearest", randomize=False)[0].numpy().astype(np.uint8)
    if rng.random() < 0.5 and (other := _other_side(config.organs)) is not None:
        image, classes = image[::-1], other[classes[::-1]]
    image = image * np.float32(rng.uniform(0.9, 1.1)) + np.float32(rng.uniform(-0.05, 0.05))
    return image + rng.normal(0, rng.uniform(0, _NOISE), image.shape).astype(np.float32), classes


def _other_side(organs: Sequence[str]) -> np.ndarray | None:
    """(256,) class -> class in the mirror image; None where the other side of an organ is no class."""
    if any(labels.mirror(organ) not in organs for organ in organs):
        return None
    table = np.arange(256, dtype=np.uint8)
    table[1 : 1 + len(organs)] = [1 + list(organs).index(labels.mirror(organ)) for organ in organs]
    return table


def _padded(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    return np.pad(array, [(0, want - have) for have, want in zip(array.shape, shape, strict=True)])
