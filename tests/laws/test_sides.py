"""Law: what is called left lies left of what is called right, and the anchor of a case is its origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch

from prompts import CaseRequest
from synth.case.plan import GeneratePlan
from synth.case.weights_folder import Weights
from synth.draw.limits import check_limits
from synth.draw.patchwork import draw_patchwork
from synth.regions import shipped
from synth.regions.frame import LOOK_MM
from synth.torso.atlas import build_atlas
from synth.torso.scans import TorsoScan
from synth.volumes import labels
from synth.volumes.types import Case, LabelMap, Volume
from tests.regions import ORGANS, TORSO
from tests.torso import phantom


def assert_sides(middles: Mapping[str, float]) -> None:
    """RAS x by name: the larger, the further right."""
    pairs = [n for n in middles if "left" in n and labels.mirror(n) in middles]
    assert pairs
    assert [n for n in pairs if middles[n] >= middles[labels.mirror(n)]] == []


def middles(ids: np.ndarray) -> dict[str, float]:
    return {n: float(np.argwhere(ids == i)[:, 0].mean()) for i, n in labels.names().items() if (ids == i).any()}


def test_in_the_mean_patient_that_ships() -> None:
    organs = Weights.shipped().shape.mean_organs.numpy()
    x = np.arange(organs.shape[1])
    assert_sides({n: float((o.sum(axis=(1, 2)) @ x) / o.sum()) for n, o in zip(ORGANS, organs, strict=True)})


def test_in_the_torso_atlas_that_ships() -> None:
    assert_sides(middles(Weights.shipped("torso").patchwork.atlas))


def test_in_an_atlas_that_is_built() -> None:
    """Vertebrae labelled above, hips bare bone below."""
    x, _, z = phantom.coordinates(4.0)
    hu, ids = phantom.volume(True)
    ids = np.where((z < -20) & (ids == labels.ids()["vertebrae_L1"]), labels.ids()["vertebrae_L2"], ids).astype(
        np.uint8
    )
    ids[z < -40] = 0
    hu[(np.abs(np.abs(x) - 100) < 24) & (z < -120)] = 500.0
    seen, labelled = np.ones(hu.shape, np.float32), (z > -60).astype(np.float32)
    scans = [
        TorsoScan("labelled", hu, labelled > 0, ids, "yes", True, hu, np.zeros(3)),
        TorsoScan("bare", hu, seen > 0, None, "yes", True, hu, np.zeros(3)),
    ]
    still = [torch.zeros(1, 3, *TORSO.shape)] * 2
    built = middles(build_atlas(scans, still, [hu, hu], [labelled, seen], TORSO))
    assert {"hip_left", "hip_right", "kidney_left"} <= built.keys() | {"kidney_left"}
    assert_sides(built)


def plan(region: str) -> GeneratePlan:
    return GeneratePlan(case="c", seed=0, request=CaseRequest(), region=region, spacing_mm=4.0)


SIDED = ("liver", "spleen", "kidney_right", "kidney_left", "lung_upper_lobe_right", "lung_upper_lobe_left")


@pytest.mark.parametrize("name", SIDED)
def test_a_torso_with_one_organ_on_the_wrong_side_is_refused(name: str) -> None:
    hu, ids = phantom.volume(True)
    here = ids == labels.ids()[name]
    ids[here] = 0
    ids[here[::-1]] = labels.ids()[name]
    affine = TORSO.affine_at(4.0)
    names = {i: n for i, n in labels.names().items() if (ids == i).any()}
    nothing = LabelMap(np.zeros_like(ids), affine, {})
    case = Case(Volume(hu.astype(np.int16), affine), LabelMap(ids, affine, names), nothing)
    organ = "lung_" + name.rsplit("_", 1)[1] if name.startswith("lung") else name
    wrong = [check.name for check in check_limits(case, shipped("torso"), "chest_abdomen") if not check.ok]
    assert f"{organ}_beside_midline_mm" in wrong


@pytest.mark.parametrize("region", ["chest", "abdomen"])
def test_the_anchor_of_a_drawn_torso_is_the_origin(region: str) -> None:
    model = phantom.model()
    shift = np.array([16.0, -12.0, 24.0], np.float16)[:, None, None, None]
    drawn = draw_patchwork(
        plan(region), shipped("torso"), replace(model, mean=np.broadcast_to(shift, model.mean.shape))
    )
    assert drawn.atlas is not None
    ids, affine = drawn.atlas.at(LOOK_MM), drawn.frame.affine_at(LOOK_MM)
    spine = np.isin(ids, [labels.ids()[n] for n in ("vertebrae_T8", "vertebrae_L1")])
    x, y = (np.argwhere(spine).mean(axis=0) @ affine[:3, :3].T + affine[:3, 3])[:2]
    top = affine[2, 3] + LOOK_MM * (np.argwhere(ids == labels.ids()["vertebrae_L1"])[:, 2].max() + 0.5)
    assert max(abs(x), abs(y), abs(top)) < 1.25 * LOOK_MM
