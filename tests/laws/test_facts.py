"""Law: facts of a jittered patient are the jittered facts; those of the mirror image the mirrored ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth.data.dataset import Jitter, PreparedPatient, jittered, parts_of
from synth.models import intensity
from tests.regions import HEAD_NECK, NAMES, ORGANS, REGION, encode, mirrored

MM, SHARE = 9.0, 0.09  # about one voxel of 8 mm, and what it is of an organ's volume


def measured(subject: PreparedPatient, jitter: Jitter) -> dict[str, float]:
    """Facts at 8 mm of a jittered patient."""
    frame = jittered(parts_of(subject), jitter).float().numpy()
    organs = np.concatenate([1 - frame[2:].sum(axis=0, keepdims=True), frame[2:]]).argmax(axis=0).astype(np.uint8)
    dose = np.array((0, *REGION.doses_gy))[np.rint(frame[1]).astype(int)]
    hu = intensity.to_hu(frame[0] - 1.0)
    annotated = tuple(n for n, flag in zip(ORGANS, subject.annotated, strict=True) if flag)
    return REGION.measure(REGION.placed(hu, HEAD_NECK.affine_at(8.0), organs, dose, annotated))


@pytest.mark.parametrize(
    ("scale", "shift"),
    [((1.0, 1.0, 1.0), (0, 16, 24)), ((0.85, 1.12, 1.0), (0, -8, -24)), ((1.1, 0.85, 1.12), (0, 0, 8))],
)
def test_jittered(subject: PreparedPatient, scale: tuple[float, ...], shift: tuple[float, ...]) -> None:
    jitter = Jitter(HEAD_NECK, np.array(scale), np.zeros(3), np.array(shift, float), False)
    said = REGION.jittered(measured(subject, Jitter.none(HEAD_NECK)), jitter)
    found = measured(subject, jitter)
    assert said.keys() == found.keys() and len(said) >= len(NAMES) - 2
    for name, value in found.items():
        near = MM if name.endswith("_mm") else 0.1 if name.endswith("_side") else SHARE * value + 2.0
        assert said[name] == pytest.approx(value, abs=near), name


@pytest.mark.parametrize("ends", [(24.0, -20.0), (-20.0, 16.0)])
def test_bent(subject: PreparedPatient, ends: tuple[float, float]) -> None:
    """A bend that shifts the slices of the feet by one amount and those of the head by another moves where both end."""
    jitter = Jitter.draw(REGION, np.random.default_rng(0), bend=1.0)
    assert jitter.bend_mm is not None
    bend = np.zeros_like(jitter.bend_mm)
    bend[2] = np.linspace(*ends, bend.shape[3])
    jitter = replace(Jitter.none(HEAD_NECK), bend_mm=bend)
    before = measured(subject, Jitter.none(HEAD_NECK))
    said, found = REGION.jittered(before, jitter), measured(subject, jitter)
    for name in ("top_mm", "bottom_mm"):
        assert said[name] == pytest.approx(found[name], abs=MM), name
        assert abs(found[name] - before[name]) > 4.0, name


def test_mirrored(subject: PreparedPatient, image: PreparedPatient) -> None:
    said = mirrored(subject.facts)
    assert said.keys() == image.facts.keys() and said != subject.facts
    for name, value in image.facts.items():
        near = 10.0 if name.endswith("_hu") else 1e-6
        assert said[name] == pytest.approx(value, abs=near), name
    assert not np.array_equal(encode(said), encode(subject.facts))
