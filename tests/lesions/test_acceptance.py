"""What was asked is held against what was measured, attribute by attribute."""

from collections.abc import Callable

import numpy as np
import pytest

from prompts.request import FindingRequest
from prompts.vocabulary import Texture
from synth.lesions import LesionPlan, insert, keep_painted, plan_lesions
from synth.lesions.acceptance import attribute_checks
from synth.report import measure
from synth.report.measurements import LesionMeasurement
from synth.volumes import labels
from synth.volumes.types import LabelMap, Volume


def held(asked: FindingRequest, found: LesionMeasurement) -> dict[str, bool]:
    return {check.name: check.ok for check in attribute_checks(asked, found)}


@pytest.fixture(scope="module")
def nodule() -> LesionMeasurement:
    """A spiculated nodule in a lobe beside muscle, with pixels finer than its strands."""
    affine = np.diag([-0.8, 0.8, 2.0, 1.0])
    ids = np.full((96, 80, 30), labels.ids()["lung_upper_lobe_right"], np.uint8)
    ids[70:] = labels.ids()["autochthon_right"]
    rng = np.random.default_rng(0)
    hu = np.where(ids == labels.ids()["autochthon_right"], 50.0, -850.0) + 15 * rng.standard_normal(ids.shape)
    organs = LabelMap(ids, affine, labels.names())
    ct = Volume(np.rint(hu).astype(np.int16), affine)
    asked = FindingRequest(kind="nodule", organ="lung", side="right", segment="upper", size_mm=18, spiculated=True)
    (plan,) = plan_lesions([asked.model_copy(update={"texture": Texture.SOLID})], ct, organs, rng)
    (found,) = measure(insert(ct, organs, [plan], keep_painted)).lesions
    return found


def test_a_spiculated_nodule_is_measured_spiculated_and_not_called_well_defined(nodule: LesionMeasurement) -> None:
    from synth.report.write import _lesion

    assert nodule.attributes.spiculated is True
    text = _lesion(nodule).text
    assert text.startswith("A spiculated, ") and " nodule of 18 x" in text and "well-defined" not in text


def test_what_is_so_holds_and_its_opposite_does_not(nodule: LesionMeasurement) -> None:
    so = FindingRequest(kind="nodule", organ="lung", side="right", segment="upper", spiculated=True, texture="solid")
    other = FindingRequest(
        kind="nodule", organ="lung", side="left", segment="lower", spiculated=False, texture="ground-glass"
    )
    assert set(held(so, nodule).values()) == {True} and len(held(so, nodule)) == 4
    assert set(held(other, nodule).values()) == {False} and len(held(other, nodule)) == 4


def test_what_was_not_asked_is_not_held(nodule: LesionMeasurement) -> None:
    assert attribute_checks(FindingRequest(kind="nodule", organ="lung"), nodule) == []


def test_what_cannot_be_measured_does_not_hold(
    host: Volume, organs: LabelMap, make_plan: Callable[..., LesionPlan]
) -> None:
    case = insert(host, organs, [make_plan(size_mm=5.0, ball_mm=6.0)], keep_painted)
    (found,) = measure(case).lesions
    asked = FindingRequest(kind="nodule", organ="lung", lobulated=False)
    assert found.attributes.lobulated is None
    assert held(asked, found) == {"concavity": False}
