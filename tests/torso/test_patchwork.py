"""The patchwork: a function of the plan, on the field of its region, with the contrast that was asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from prompts import parse
from synth.case.order import Order
from synth.case.plan import GeneratePlan
from synth.case.weights_folder import Weights
from synth.draw.patchwork import draw_coefficients, draw_patchwork, shares
from synth.models import intensity
from synth.regions import shipped
from synth.regions.frame import BASE_SPACING_MM, LOOK_MM
from synth.torso.model import TorsoModel
from synth.volumes import labels
from tests.regions import TORSO
from tests.torso import phantom


def plan(prompt: str, seed: int = 0) -> GeneratePlan:
    return Order(parse(prompt), Weights.shipped("torso"), seed, 8.0).plan(0)


def test_the_same_plan_gives_the_same_volume_and_another_seed_another(torso: TorsoModel) -> None:
    first, again, other = (draw_patchwork(plan("CT of the chest", seed), shipped("torso"), torso) for seed in (1, 1, 2))
    assert torch.equal(first.ct, again.ct)
    assert first.ct.shape != other.ct.shape or not torch.equal(first.ct, other.ct)


def test_a_patchwork_is_composed_at_the_spacing_of_its_case(torso: TorsoModel) -> None:
    """Down to that of its scans; coarser ones are means of finer voxels, and what is finer is left to `refine`."""
    of = {mm: Order(parse("CT of the chest"), Weights.shipped("torso"), 1, mm).plan(0) for mm in (1.0, 2.0, 4.0, 8.0)}
    cts = {mm: draw_patchwork(plan, shipped("torso"), torso) for mm, plan in of.items()}
    assert [drawn.spacing for drawn in cts.values()] == [2.0, 2.0, 4.0, 8.0]
    assert torch.equal(cts[1.0].ct, cts[2.0].ct)
    assert torch.equal(torch.nn.functional.avg_pool3d(cts[4.0].ct, 2), cts[8.0].ct)
    assert [plan.refine_evaluations() for plan in of.values()] == [of[1.0].sampling.refine_steps, 0, 0, 0]


@pytest.mark.parametrize(
    ("region", "shows", "lacks"),
    [
        ("chest", ("lung_upper_lobe_left", "heart"), ("kidney_left",)),
        ("abdomen", ("liver", "kidney_left", "spleen"), ("heart",)),
        ("chest and abdomen", ("lung_upper_lobe_left", "heart", "liver", "kidney_left"), ()),
    ],
)
def test_the_field_holds_the_organs_of_the_region(
    torso: TorsoModel, region: str, shows: tuple[str, ...], lacks: tuple[str, ...]
) -> None:
    drawn = draw_patchwork(plan(f"CT of the {region}"), shipped("torso"), torso)
    assert drawn.atlas is not None
    ids = drawn.atlas.at(LOOK_MM)
    assert ids.shape == tuple(drawn.ct.shape[2:]) == drawn.frame.shape_at(LOOK_MM)
    assert not any(n % 4 for n in ids.shape)  # `refine` halves its grid twice
    _, whole = phantom.volume(False, LOOK_MM)
    share = {n: (ids == labels.ids()[n]).sum() / (whole == labels.ids()[n]).sum() for n in (*shows, *lacks)}
    assert all(share[name] > 0.9 for name in shows), share
    assert all(share[name] < 0.7 for name in lacks), share


def test_what_is_inside_has_the_contrast_that_was_asked_for(torso: TorsoModel) -> None:
    for prompt, heart in (("non-contrast CT of the chest", 40), ("contrast-enhanced CT of the chest", 250)):
        drawn = draw_patchwork(plan(prompt, seed=3), shipped("torso"), torso)
        assert drawn.atlas is not None
        hu = intensity.to_hu(drawn.ct[0, 0].numpy())
        inside = drawn.atlas.at(LOOK_MM) == labels.ids()["heart"]
        assert abs(float(np.median(hu[inside])) - heart) < 25


def test_shares_add_up_to_one_where_scans_have_data(torso: TorsoModel) -> None:
    total = np.sum(list(shares(plan("CT of the chest and abdomen"), torso).values()), axis=0)
    assert total[..., 4:-4].min() > 0.99
    assert total.max() < 1 + 1e-5


def test_the_anchor_of_the_drawn_torso_is_the_origin(torso: TorsoModel) -> None:
    drawn = draw_patchwork(plan("CT of the abdomen"), shipped("torso"), torso)
    assert drawn.atlas is not None
    ids, affine = drawn.atlas.at(LOOK_MM), drawn.frame.affine_at(LOOK_MM)
    spine = np.argwhere(np.isin(ids, [labels.ids()[n] for n in ("vertebrae_T8", "vertebrae_L1")])).mean(axis=0)
    middle = spine @ affine[:3, :3].T + affine[:3, 3]
    assert np.abs(middle[:2]).max() < LOOK_MM  # the phantom's spine is an upright column through the anchor
    border = np.argwhere(ids == labels.ids()["vertebrae_L1"])[:, 2].max()
    assert abs(affine[2, 3] + LOOK_MM * (border + 0.5)) < 1.5 * LOOK_MM


def test_habitus_moves_along_the_bodys_size(torso: TorsoModel) -> None:
    slim, large = (
        np.mean([draw_coefficients(plan(f"CT of the chest of a {word} patient", s), torso)[0] for s in range(8)])
        for word in ("slim", "obese")
    )
    assert large - slim > 1.5


def test_the_field_lies_within_the_frame(torso: TorsoModel) -> None:
    for seed in range(5):
        drawn = draw_patchwork(plan("CT of the chest and abdomen", seed), shipped("torso"), torso)
        assert drawn.atlas is not None
        assert 0 <= drawn.atlas.low < drawn.atlas.high <= TORSO.shape[2]
        assert drawn.frame.shape[2] * BASE_SPACING_MM / LOOK_MM == drawn.ct.shape[-1]
