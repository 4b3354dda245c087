"""A bladder tumour in a made-up pelvis, and in the one real scan whose bladder HU can tell."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from evals.pelvis import read_pelvis
from prompts import parse
from synth.errors import InputError
from synth.lesions import insert, keep_painted, plan_lesions
from synth.lesions.acceptance import attribute_checks
from synth.report import check, measure, write
from synth.volumes import labels, nifti
from synth.volumes.types import LabelMap, Volume

DATA = Path(os.environ.get("SYNTHCT_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
REAL = DATA / "torso" / "totalseg_example_ct" / "ct.nii.gz"
SHAPE, SPACING = (72, 72, 32), (1.5, 1.5, 3.0)
URINE_HU, MUSCLE_HU, FAT_HU = 6.0, 55.0, -95.0


@pytest.fixture(scope="module")
def pelvis() -> tuple[Volume, LabelMap]:
    """A full bladder of 66 x 60 x 54 mm in fat between gluteal muscles, with noise of 10 HU."""
    table = labels.ids()
    grid = (np.indices(SHAPE).transpose(1, 2, 3, 0) - (np.array(SHAPE) - 1) / 2) * SPACING
    bladder = ((grid / [33.0, 30.0, 27.0]) ** 2).sum(axis=-1) <= 1
    ids, hu = np.zeros(SHAPE, np.uint8), np.full(SHAPE, FAT_HU)
    for side, x in (("left", slice(0, 8)), ("right", slice(64, 72))):
        ids[x] = table[f"gluteus_maximus_{side}"]
        hu[x] = MUSCLE_HU
    ids[bladder], hu[bladder] = table["urinary_bladder"], URINE_HU
    noise = gaussian_filter(np.random.default_rng(0).standard_normal(SHAPE), (0.7, 0.7, 0))
    affine = np.diag([-SPACING[0], SPACING[1], SPACING[2], 1.0])
    names = {int(i): labels.names()[int(i)] for i in np.unique(ids) if i}
    return Volume(np.rint(hu + 10 * noise / noise.std()).astype(np.int16), affine), LabelMap(ids, affine, names)


@pytest.mark.parametrize("words", ["20 mm bladder tumour", "24 mm bladder tumour with wall thickening"])
def test_a_bladder_tumour_grows_from_the_wall_and_is_measured_so(pelvis: tuple[Volume, LabelMap], words: str) -> None:
    host, organs = pelvis
    (finding,) = parse(words).findings
    (plan,) = plan_lesions([finding], host, organs, np.random.default_rng(2))
    case = insert(host, organs, [plan], keep_painted)
    (found,) = measure(case).lesions
    assert (plan.kind, found.structure, found.organ) == ("bladder_tumour", "urinary_bladder", "urinary bladder")
    assert found.long_axis_mm == pytest.approx(finding.size_mm, abs=max(1.5, 0.05 * finding.size_mm))
    assert found.mean_hu > URINE_HU + 15  # tissue, not urine
    assert all(c.low <= c.value <= c.high for c in attribute_checks(finding, found))
    mask = case.lesions.ids > 0
    border = organs.mask("urinary_bladder") & ~_inner(organs.mask("urinary_bladder"))
    assert (mask & border).any()  # it sits on the wall
    assert (organs.ids[mask] == labels.ids()["urinary_bladder"]).all()
    assert check(case, write(measure(case))) == []


@pytest.mark.skipif(not REAL.is_file(), reason=f"no real pelvis: {REAL} is not there")
def test_a_real_bladder_is_told_by_its_urine_and_takes_a_tumour() -> None:
    host, organs = read_pelvis(REAL)
    bladder = organs.mask("urinary_bladder")
    assert 300 < bladder.sum() * np.prod(host.spacing) / 1000 < 450
    inside = host.hu[_inner(bladder)]
    assert 0 < np.median(inside) < 20 and np.mean(inside > 100) < 0.001  # neither bone nor fat
    assert np.mean(inside < -60) < 0.01
    (finding,) = parse("30 mm bladder tumour").findings
    (plan,) = plan_lesions([finding], host, organs, np.random.default_rng(2))
    case = insert(host, organs, [plan], keep_painted)
    (found,) = measure(case).lesions
    assert found.structure == "urinary_bladder" and found.mean_hu > URINE_HU + 10
    assert found.long_axis_mm == pytest.approx(30, abs=3)


def test_another_scan_is_no_pelvis(tmp_path: Path) -> None:
    path = tmp_path / "ct.nii.gz"
    hu = np.full((122, 101, 112), -1000, np.int16)
    hu[20:100, 20:80] = np.random.default_rng(0).normal(-90, 12, (80, 60, 112)).round()
    nifti.write_volume(path, Volume(hu, np.diag([3.0, 3.0, 3.0, 1.0])))
    with pytest.raises(InputError, match="no urine"):
        read_pelvis(path)


def _inner(mask: np.ndarray) -> np.ndarray:
    """Without the voxels on the border within each slice."""
    inner = mask.copy()
    for axis in (0, 1):
        for shift in (-1, 1):
            inner &= np.roll(mask, shift, axis)
    return inner
