"""Volumes with a tumour's outline and nothing else: resampled, and with muscle and bone told by their HU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evals import volumes
from evals.utility.tissue import BONE, MUSCLE, resampled, with_lung, with_tissue
from evals.volumes import LESION, ReadVolume
from synth.errors import InputError
from synth.volumes import nifti
from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap, Volume

AFFINE = np.array([[-2.0, 0, 0, 70], [0, 2.0, 0, -60], [0, 0, 3.0, 15], [0, 0, 0, 1]])
SHAPE = (60, 60, 40)


def leg() -> tuple[np.ndarray, np.ndarray]:
    """HU and tumour of a made-up leg: skin, fat, muscle, a bone with marrow, a tumour of muscle's HU in the muscle."""
    x, y, _ = np.indices(SHAPE)
    from_axis = np.hypot(x - 30, y - 30)
    hu = np.full(SHAPE, -1000.0)
    for radius, value in ((27, 40), (26, -100), (20, 55), (6, 900), (3, -60)):
        hu[from_axis < radius] = value
    tumour = np.linalg.norm((np.indices(SHAPE).T - [30, 42, 20]) * [2, 2, 3], axis=-1).T < 11
    hu += np.random.default_rng(0).normal(0, 8, SHAPE)
    return np.rint(hu).clip(-1024, 3071).astype(np.int16), tumour.astype(np.uint8)


def subject() -> ReadVolume:
    hu, tumour = leg()
    return ReadVolume("leg", "leg", hu, AFFINE, LabelMap(tumour, AFFINE, {1: LESION}), lesions=tumour > 0)


def test_resampling_keeps_place_volume_and_attenuation() -> None:
    before, after = subject(), resampled(subject(), 4.0)
    assert after.hu.shape == (30, 30, 30) and np.allclose(after.spacing, 4) and after.hu.dtype == np.int16
    assert before.organs is not None and after.organs is not None and after.lesions is not None
    where = [world_of(np.argwhere(s.organs.mask(LESION)), s.affine).mean(axis=0) for s in (before, after)]  # type: ignore[union-attr]
    assert where[0] == pytest.approx(where[1], abs=0.6)
    ml = [s.organs.mask(LESION).sum() * np.prod(s.spacing) for s in (before, after)]  # type: ignore[union-attr]
    assert ml[1] == pytest.approx(ml[0], rel=0.1) and (after.lesions == after.organs.mask(LESION)).all()
    assert after.hu[15, 22, 15] == pytest.approx(55, abs=8) and after.hu[1, 1, 1] == pytest.approx(-1000, abs=5)
    assert after.hu[after.organs.mask(LESION)].std() < before.hu[before.lesions].std() / 1.5  # a mean has less noise


def test_resampling_to_the_same_spacing_changes_nothing() -> None:
    hu = leg()[0]
    same = ReadVolume("a", "a", hu, np.diag([4.0, 4, 4, 1]), None)
    assert (resampled(same, 4.0).hu == hu).all() and np.allclose(resampled(same, 4.0).affine, same.affine)


def test_muscle_and_bone_are_told_by_hu_and_a_tumour_is_neither() -> None:
    found = with_tissue(subject()).organs
    assert found is not None
    from_axis = np.hypot(*(np.indices(SHAPE)[:2] - 30))
    tumour = leg()[1] > 0
    muscle, bone = found.mask(MUSCLE), found.mask(BONE)
    assert (found.mask(LESION) == tumour).all()
    assert muscle[(from_axis > 8) & (from_axis < 18) & ~tumour].mean() > 0.97
    assert not muscle[from_axis > 21].any(), "skin is a thin sheet"
    assert bone[from_axis < 5].all() and not bone[from_axis > 8].any(), "marrow is bone too"


def test_ids_of_lesions_are_named_beside_organs(tmp_path: Path) -> None:
    hu, tumour = leg()
    ids = tumour * 3
    ids[:4] = 7
    (tmp_path / "a").mkdir()
    nifti.write_volume(tmp_path / "a/ct.nii.gz", Volume(hu, AFFINE))
    nifti.write_labels(tmp_path / "a/labels.nii.gz", LabelMap(ids, AFFINE, {}))
    (source,) = volumes.find(tmp_path)
    for names in ({3: LESION}, {3: LESION, 7: "liver"}):
        organs = volumes.read(source, names).organs
        assert organs is not None and organs.mask(LESION).sum() == tumour.sum() and dict(organs.names) == names


def test_lung_is_told_by_its_attenuation_and_a_lesion_in_it_is_none() -> None:
    hu = np.full((40, 40, 40), -850, np.int16)
    hu[:8] = 40  # a chest wall
    hu[30:33, 5:8] = 30  # a vessel
    lesion = np.zeros(hu.shape, np.uint8)
    lesion[20:24, 20:24, 20:24] = 1
    found = with_lung(ReadVolume("crop", "crop", hu, np.eye(4), LabelMap(lesion, np.eye(4), {1: LESION}))).organs
    assert found is not None
    assert (found.mask("lung") == ((hu < -500) & (lesion == 0))).all() and (found.mask(LESION) == (lesion > 0)).all()


def test_a_volume_that_is_cut_off_is_read_where_that_is_trusted(tmp_path: Path) -> None:
    hu = np.random.default_rng(0).normal(0, 900, (20, 20, 20)).clip(-1000, 400)
    (tmp_path / "a").mkdir()
    nifti.write_volume(tmp_path / "a/ct.nii.gz", Volume(np.rint(hu).astype(np.int16), np.eye(4)))
    with pytest.raises(InputError, match="cut off at 400"):
        volumes.survey(tmp_path)
    ((one, *rest), bad) = volumes.survey(tmp_path, trust_hu=True)
    assert one.shape == (20, 20, 20) and not rest and not bad
