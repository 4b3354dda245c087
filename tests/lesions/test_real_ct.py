"""One real chest CT: the nodule that the contract names, at the host's own grid."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from prompts.request import FindingRequest
from synth.lesions import insert, keep_painted, plan_lesions
from synth.lesions.shape import ball_box
from synth.report import check, measure, write
from synth.report.location import boxes
from synth.report.noise import measure_noise
from synth.volumes import labels
from synth.volumes.types import Case, LabelMap, Volume

DATA = Path(os.environ.get("SYNTHCT_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
PATIENT = DATA / "native" / "LIDC-IDRI-0001"
MARGIN = 12  # voxels kept round the right upper lobe, so that the test is quick
NODULE = FindingRequest(
    kind="nodule", organ="lung", side="right", segment="upper", size_mm=18, spiculated=True, texture="solid"
)

pytestmark = pytest.mark.skipif(
    not (PATIENT / "ct.nii.gz").is_file(), reason=f"no real chest CT: {PATIENT} is not there"
)


@pytest.fixture(scope="module")
def real() -> tuple[Volume, LabelMap]:
    """The part of the volume round the right upper lobe, with its true affine."""
    ct, ids = (nib.load(PATIENT / f"{name}.nii.gz") for name in ("ct", "labels"))
    number = np.asarray(ids.dataobj).astype(np.uint8)
    lobe = boxes(number)[labels.ids()["lung_upper_lobe_right"]]
    crop = tuple(slice(max(s.start - MARGIN, 0), s.stop + MARGIN) for s in lobe)
    affine = ct.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [s.start for s in crop]
    names = labels.names() | {118: "costal_cartilages"}
    return Volume(np.asarray(ct.dataobj)[crop].astype(np.int16), affine), LabelMap(number[crop], affine, names)


def test_an_18_mm_spiculated_solid_nodule_in_the_right_upper_lobe(real: tuple[Volume, LabelMap]) -> None:
    host, organs = real
    (plan,) = plan_lesions([NODULE], host, organs, np.random.default_rng(1))
    case = insert(host, organs, [plan], keep_painted)
    ct, lesions = case.ct, case.lesions
    mask = lesions.ids == 1

    outside = np.ones(host.hu.shape, bool)
    outside[ball_box(plan, host)] = False
    np.testing.assert_array_equal(ct.hu[outside], host.hu[outside])
    assert not mask[~organs.mask("lung_upper_lobe_right")].any()
    core = ndimage.binary_erosion(mask, iterations=2)
    assert 0 < ct.hu[core].mean() < 110
    deep = ndimage.distance_transform_edt(mask, sampling=host.spacing) > 4.0
    expected = np.hypot(measure_noise(host, organs).sd, plan.grain_hu)  # noise, and a texture as of real nodules
    assert ct.hu[deep].std() == pytest.approx(expected, rel=0.3)

    case = Case(ct, organs, lesions)
    measured = measure(case)
    (nodule,) = measured.lesions
    assert nodule.long_axis_mm == pytest.approx(18, abs=host.spacing[0])
    assert 18 <= nodule.long_axis_3d_mm <= 1.1 * 18 + host.spacing[2]  # tilted by up to 20 degrees
    assert (nodule.organ, nodule.side, nodule.segment) == ("lung", "right", "upper")
    report = write(measured)
    assert "18 x" in report.text()
    assert check(case, report) == []
