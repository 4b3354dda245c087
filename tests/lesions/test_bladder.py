"""A bladder tumour in a made-up pelvis: no real host at hand has a whole bladder with its label."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from prompts import parse
from synth import labels
from synth.lesions import insert, keep_painted, plan_lesions
from synth.lesions.acceptance import attribute_checks
from synth.report import check, measure, write
from synth.types import LabelMap, Volume

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


def _inner(mask: np.ndarray) -> np.ndarray:
    """Without the voxels on the border within each slice."""
    inner = mask.copy()
    for axis in (0, 1):
        for shift in (-1, 1):
            inner &= np.roll(mask, shift, axis)
    return inner
