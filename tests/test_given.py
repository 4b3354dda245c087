"""Organs that are given: placed on the frame, imposed on what is drawn, and in the case as they were given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from synth import cli, pipeline
from synth.case import library, order
from synth.case.folder import read_case
from synth.case.plan import Sampling
from synth.case.weights_folder import WEIGHTS_ENV
from synth.draw import generated as drawing
from synth.draw.checks import check_given
from synth.errors import InputError
from synth.provenance import Check
from synth.regions.given import Given, place
from synth.shape.fitting import fit_velocity
from synth.shape.model import ShapeModel
from synth.volumes import labels, nifti
from synth.volumes.types import LabelMap
from tests import networks
from tests.regions import CLASSES, FACTS_DIM, HEAD_NECK, ORGANS, REGION, prior

LEFT, RIGHT = 1 + ORGANS.index("parotid_gland_left"), 1 + ORGANS.index("parotid_gland_right")
PROMPT = "CT of the head and neck"

REAL = prior()


def shape_with_parotids() -> ShapeModel:
    """Two boxes about the anchor, one mode that moves everything to the side."""
    model = networks.shape()
    for number, x in ((LEFT, slice(24, 28)), (RIGHT, slice(36, 40))):
        model.mean_organs[number - 1, x, 20:26, 28:34] = 1.0
    model.modes.zero_()
    model.modes[0, : 32 * 20 * 24] = (32 * 20 * 24) ** -0.5
    model.sd[0] = 8.0 * (32 * 20 * 24) ** 0.5  # 8 mm
    return model


def parotids(shift_mm: float = 0.0, spacing: float = 4.0) -> LabelMap:
    """The same boxes in a patient's own coordinates, 3 cm away, the left one half as high."""
    affine = HEAD_NECK.affine_at(spacing)
    affine[:3, 3] += (30 + shift_mm, -20, 50)
    k = round(8 / spacing)
    ids = np.zeros(HEAD_NECK.shape_at(spacing), np.uint8)
    ids[24 * k : 28 * k, 20 * k : 26 * k, 28 * k : 31 * k] = labels.ids()["parotid_gland_left"]
    ids[36 * k : 40 * k, 20 * k : 26 * k, 28 * k : 34 * k] = labels.ids()["parotid_gland_right"]
    return LabelMap(ids, affine, labels.names())


def test_a_label_map_is_placed_where_the_mean_patient_has_its_organs() -> None:
    mean = shape_with_parotids().mean_organs.numpy()
    given = place(parotids(), mean, 4.0, REGION)
    assert given.number.shape == HEAD_NECK.shape_at(4.0)
    assert list(np.flatnonzero(given.known)) == [RIGHT - 1, LEFT - 1]
    volume = 4 * 6 * 6 * 8**3 / 1000
    assert given.volumes_ml() == pytest.approx(
        {"parotid_gland_right": volume, "parotid_gland_left": volume / 2}, rel=0.1
    )
    centre = np.argwhere(given.number == RIGHT).mean(axis=0)
    # the left one is lower than the mean patient's by 12 mm, so both are laid 6 mm too high
    np.testing.assert_allclose(centre, [75.5, 45.5, 61.5 + 1.5], atol=0.6)
    again = place(parotids(spacing=8.0), mean, 4.0, REGION)
    assert (again.number != given.number).mean() < 1e-3


def test_facts_follow_the_organs() -> None:
    given = place(parotids(), shape_with_parotids().mean_organs.numpy(), 4.0, REGION)
    facts = given.facts({"top_mm": -500.0, "bottom_mm": -500.0, "larynx_ml": 3.0})
    slices = np.flatnonzero(given.number.any(axis=(0, 1)))
    assert facts["top_mm"] == -240 + 4 * (slices[-1] + 1) + 4 and facts["bottom_mm"] == 240 - 4 * slices[0] + 4
    assert facts["larynx_ml"] == 3.0 and facts["parotid_gland_left_ml"] == pytest.approx(36.9, rel=0.1)
    assert given.facts({"top_mm": 100.0, "bottom_mm": 200.0})["top_mm"] == 100.0


def test_imposed_fractions_are_those_given_and_sum_to_one() -> None:
    number = np.zeros(HEAD_NECK.shape_at(4.0), np.uint8)
    number[40:50, 40:50, 40:51] = LEFT
    given = Given(REGION, number, 4.0)
    drawn = torch.rand(1, CLASSES, *HEAD_NECK.shape_at(8.0), generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    out = given.impose(drawn, 8.0)
    assert torch.allclose(out.sum(dim=1), torch.ones(out.shape[0], *out.shape[2:]), atol=1e-5)
    assert torch.equal(out[0, LEFT], given.fractions(8.0)[LEFT - 1]) and (out >= 0).all()
    assert out[0, LEFT, 20:25, 20:25, 20:25].eq(1).all() and out[0, LEFT, 22, 22, 25] == 0.5
    outside = out[0, :, 0, 0, 0]
    assert outside[RIGHT] == pytest.approx(float(drawn[0, RIGHT, 0, 0, 0]), rel=1e-5)  # what is not given stays


def test_organs_are_imposed_on_fractions_in_16_bits_too() -> None:
    number = np.zeros(HEAD_NECK.shape_at(4.0), np.uint8)
    number[40:50, 40:50, 40:50] = LEFT
    drawn = torch.rand(1, CLASSES, *HEAD_NECK.shape_at(8.0)).softmax(dim=1)
    given = Given(REGION, number, 4.0)
    half = given.impose(drawn.half(), 8.0)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), given.impose(drawn, 8.0), atol=2e-3, rtol=0)


def test_the_shape_moves_onto_the_organs_and_stays_near_where_it_started() -> None:
    model = shape_with_parotids()
    facts, start = torch.zeros(1, FACTS_DIM), torch.tensor([[0.5, 0.0]])
    target = model.deform(model.velocity(facts, torch.tensor([[-1.5, 0.0]])))[0, 1:]
    known = torch.tensor(Given(REGION, np.array([[[LEFT, RIGHT]]]), 4.0).known)

    def misfit(velocity: torch.Tensor) -> float:
        return float((model.deform(velocity)[0, 1:] - target).square().sum())

    found = fit_velocity(model, facts, start, target, known)
    before = misfit(model.velocity(facts, start))
    assert misfit(found) < 0.05 * before
    nothing = fit_velocity(model, facts, start, target, torch.zeros(len(ORGANS), dtype=torch.bool))
    assert torch.allclose(nothing, model.velocity(facts, start), atol=2e-3)


def test_a_map_without_our_organs_or_beyond_the_frame_is_refused() -> None:
    mean = shape_with_parotids().mean_organs.numpy()
    liver = LabelMap(np.full((4, 4, 4), 5, np.uint8), np.eye(4), labels.names())
    with pytest.raises(InputError, match=r"none of brainstem.*\(liver\)"):
        place(liver, mean, 4.0, REGION)
    far = parotids()
    far.ids[:, :, 0] = labels.ids()["spinal_cord"]
    stretched = LabelMap(far.ids, far.affine @ np.diag([1, 1, 12, 1]), far.names)
    with pytest.raises(InputError, match="lies outside the frame"):
        place(stretched, mean, 4.0, REGION)


@pytest.fixture
def given_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The path with tiny networks and a mean patient that has parotids; the label map to give."""
    shape_with_parotids().save_pretrained(tmp_path / "weights" / "shape")
    networks.base().save_pretrained(tmp_path / "weights" / "base")
    networks.refine().save_pretrained(tmp_path / "weights" / "refine")
    monkeypatch.setenv(WEIGHTS_ENV, str(tmp_path / "weights"))
    monkeypatch.setattr(order, "default_sampling", lambda: Sampling(base_steps=2, refine_steps=2))
    monkeypatch.setattr(drawing, "check_generated", lambda *_: [Check("volume_ml", 1.0, 0.0, 2.0)])
    (tmp_path / "weights" / "prior.json").write_text(REAL.to_json())
    library.forget()
    nifti.write_labels(tmp_path / "organs.nii.gz", parotids())
    yield tmp_path / "organs.nii.gz"
    library.forget()


@pytest.mark.slow
def test_a_case_has_the_organs_as_given_and_says_how_far_its_ct_shows_them(given_path: Path, tmp_path: Path) -> None:
    options = {"seed": 1, "spacing": 8.0, "organs": given_path}
    (folder,) = pipeline.generate(PROMPT, out=tmp_path / "a", **options)  # type: ignore[arg-type]
    case, plan, _, manifest = read_case(folder)
    placed = place(parotids(), shape_with_parotids().mean_organs.numpy(), 8.0, REGION)
    for name in ("parotid_gland_left", "parotid_gland_right"):
        np.testing.assert_array_equal(case.organs.mask(name), placed.number == 1 + ORGANS.index(name))
    shown = {c["name"]: c["value"] for c in manifest["checks"] if c["name"].endswith("_shown_dice")}
    assert set(shown) == {"parotid_gland_left_shown_dice", "parotid_gland_right_shown_dice"}
    assert plan["organs_sha256"] == manifest["inputs"]["organs"]["sha256"]
    assert "--organs organs.nii.gz" in manifest["command"]
    (again,) = pipeline.generate(PROMPT, out=tmp_path / "b", **options)  # type: ignore[arg-type]
    assert (again / "ct.nii.gz").read_bytes() == (folder / "ct.nii.gz").read_bytes()
    (free,) = pipeline.generate(PROMPT, out=tmp_path / "c", seed=1, spacing=8.0)
    assert (free / "ct.nii.gz").read_bytes() != (folder / "ct.nii.gz").read_bytes()


def test_a_ct_that_does_not_show_the_organs_is_rejected() -> None:
    given = place(parotids(), shape_with_parotids().mean_organs.numpy(), 4.0, REGION)
    assert all(check.ok and check.value == 1 for check in check_given(given, given.number))
    nothing = check_given(given, np.zeros_like(given.number))
    assert [check.ok for check in nothing] == [False, False]
    # at 8 mm the network reads by the scaffold, which it is not told here
    coarse = Given(REGION, given.number[::2, ::2, ::2], 8.0)
    assert all(check.ok for check in check_given(coarse, np.zeros_like(coarse.number)))


def test_ids_without_a_map_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["generate", PROMPT, "--organ-ids", "1=brainstem", "--out", str(tmp_path / "out")]) == 2
    assert "--organs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
