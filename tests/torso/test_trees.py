"""Trees of a drawn torso: within its organs, the same for the same plan, and enhanced as the heart is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from prompts import parse
from synth.case.order import Order
from synth.case.plan import GeneratePlan
from synth.case.weights_folder import Weights
from synth.draw.drawn import Drawn
from synth.draw.organs import assemble
from synth.draw.patchwork import draw_patchwork
from synth.draw.trees import with_trees
from synth.models import intensity
from synth.regions import shipped
from synth.shape.trees.lungs import LungGrowth
from synth.torso.model import TorsoModel
from synth.volumes import labels

FEW = LungGrowth(pitch=16.0, leaf_mm=0.6)


def plan(prompt: str = "contrast-enhanced CT of the chest") -> GeneratePlan:
    return Order(parse(prompt), Weights.shipped("torso"), 3, 4.0).plan(0)


@pytest.fixture(scope="module")
def drawn(torso: TorsoModel) -> Drawn:
    return draw_patchwork(plan(), shipped("torso"), torso)


@pytest.fixture(scope="module")
def grown(drawn: Drawn) -> Drawn:
    return with_trees(plan(), drawn, FEW)


def test_vessels_lie_in_their_organs_on_their_side(grown: Drawn) -> None:
    case = assemble(plan(), grown, None)
    assert case.trees is not None
    assert {"lung_arteries", "lung_veins", "lung_airways"} <= set(case.trees.present())
    lungs = case.organs.mask("lung_upper_lobe_left", "lung_upper_lobe_right")
    vessels = case.trees.mask("lung_arteries", "lung_veins")
    assert (lungs & vessels).sum() > 0.8 * vessels.sum()
    assert vessels[: len(vessels) // 2].any() and vessels[len(vessels) // 2 :].any()


def test_they_are_enhanced_as_the_heart_is_and_nothing_else_changes(drawn: Drawn, grown: Drawn) -> None:
    before, after = (intensity.to_hu(d.ct[0, 0].numpy()) for d in (drawn, grown))
    assert grown.trees is not None
    arteries = grown.trees == labels.ids()["lung_arteries"]
    assert 100 < after[arteries].max() < 300  # the heart has 250
    muscle = (before > 0) & (before < 80)
    assert (np.abs(after - before)[muscle] > 1.0).mean() < 1e-3  # the edge of the liver, which has vessels


def test_the_plan_decides_about_them(drawn: Drawn, grown: Drawn) -> None:
    again = with_trees(plan(), drawn, FEW)
    assert torch.equal(again.ct, grown.ct) and np.array_equal(again.trees, grown.trees)  # type: ignore[arg-type]


def test_a_torso_without_lungs_has_none_there(drawn: Drawn) -> None:
    assert drawn.atlas is not None
    nothing = replace(drawn.atlas, ids=np.zeros_like(drawn.atlas.ids))
    bare = with_trees(plan(), replace(drawn, atlas=nothing), FEW)
    assert bare.trees is not None and not bare.trees.any()
    torch.testing.assert_close(bare.ct, drawn.ct, atol=1e-3, rtol=0)
