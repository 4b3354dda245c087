"""The denoiser: shapes, round trip through its files, what a condition can and cannot change."""

import pytest
import torch

from synth.flow.guidance import asked, away_from
from synth.models.attention import attend
from synth.models.condition import Condition, EncodedRequest, Known, _position_map, map_channels, told_refine
from synth.models.denoiser import Denoiser
from tests.regions import CLASSES, FACTS, FACTS_DIM, GRID_DIM, ORGANS, REGION, encode, mirrored

SHAPE = (8, 4, 8)


def small(refine=False):
    torch.manual_seed(0)
    model = Denoiser(
        channels=7 if refine else 2, refine=refine, widths=(8, 12, 16), blocks=(1, 1, 1), embedding_dim=16, heads=2
    ).eval()
    for p in model.parameters():  # the zero-initialised layers would hide what reaches the output
        torch.nn.init.normal_(p, std=0.05)
    return model


def condition(refine=False, batch=1, channels=None):
    channels = channels or (7 if refine else 2)
    g = torch.Generator().manual_seed(1)
    return Condition(
        facts=torch.randn(batch, FACTS_DIM, generator=g),
        text=torch.randn(batch, 5, 384, generator=g),
        text_mask=torch.ones(batch, 5, dtype=torch.bool),
        grid=torch.randn(batch, GRID_DIM, generator=g),
        maps=torch.randn(batch, map_channels(channels, refine, REGION), *SHAPE, generator=g),
    )


@pytest.mark.parametrize("refine", [False, True])
def test_shapes(refine):
    model = small(refine)
    x = torch.randn(2, model.config.channels, *SHAPE)
    out = model(x, torch.rand(2), condition(refine, batch=2))
    assert out.velocity.shape == x.shape
    scale = 2 if refine else 1
    assert out.labels.shape == (2, CLASSES, *(scale * n for n in SHAPE))


def test_batch_equals_singles():
    model, c = small(), condition(batch=2)
    x, t = torch.randn(2, 2, *SHAPE), torch.rand(2)
    both = model(x, t, c).velocity
    for i in range(2):
        one = Condition(*(getattr(c, f)[i : i + 1] for f in ("facts", "text", "text_mask", "grid", "maps")))
        torch.testing.assert_close(model(x[i : i + 1], t[i : i + 1], one).velocity, both[i : i + 1])


def test_save_and_load_give_the_same_numbers(tmp_path):
    model, c = small(True), condition(True)
    x, t = torch.randn(1, 7, *SHAPE), torch.rand(1)
    model.save_pretrained(tmp_path)
    again = Denoiser.from_pretrained(tmp_path).eval()
    assert again.config.widths == (8, 12, 16) or list(again.config.widths) == [8, 12, 16]
    torch.testing.assert_close(again(x, t, c).velocity, model(x, t, c).velocity)


def test_facts_and_text_matter_and_null_text_does_not():
    model, c = small(), condition()
    x, t = torch.randn(1, 2, *SHAPE), torch.rand(1)
    null = c.without_request()
    assert not torch.allclose(model(x, t, c).velocity, model(x, t, null).velocity)
    other = Condition(null.facts, null.text + 1, null.text_mask, null.grid, null.maps)
    torch.testing.assert_close(model(x, t, other).velocity, model(x, t, null).velocity)


def test_guidance_goes_beyond_what_is_asked_away_from_nothing_asked():
    model, c = small(), condition()
    x, t = torch.randn(1, 2, *SHAPE), torch.rand(1)
    known, null = model(x, t, c).velocity, model(x, t, c.without_request()).velocity
    torch.testing.assert_close(asked(model, c)(x, t), known)
    torch.testing.assert_close(away_from(asked(model, c), model, c.without_request(), 1.0)(x, t), 2 * known - null)


def test_gradient_checkpointing_changes_nothing():
    model, c = small().train(), condition()
    x, t = torch.randn(1, 2, *SHAPE), torch.rand(1)
    gradients = []
    for flag in (False, True):
        model.gradient_checkpointing = flag
        model.zero_grad()
        model(x, t, c).velocity.square().sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


def test_masked_keys_are_not_seen():
    q, k, v = (torch.randn(1, 2, 3, 4) for _ in range(3))
    mask = torch.tensor([[True, True, False]])
    torch.testing.assert_close(attend(q, k, v, mask), attend(q, k[:, :, :2], v[:, :, :2]))


def test_position_map_is_mm_from_the_anchor_and_empty_without_a_frame():
    lower = torch.tensor([[-200.0, 0.0, 0.0], [torch.nan] * 3])
    maps = _position_map(lower, torch.full((2, 3), 10.0), (2, 3, 4))
    assert maps[0, 0, 0, 0, 0] == pytest.approx(-195 / 200)
    assert maps[0, 2, 0, 0, 3] == pytest.approx(35 / 200)
    assert (maps[0, 3] == 1).all() and (maps[1] == 0).all()


def test_stacked_maps_have_the_channels_that_the_network_expects():
    known, annotated = Known(torch.ones(1, 7, *SHAPE), torch.zeros(1, 1, *SHAPE)), torch.ones(1, len(ORGANS))
    asked, nowhere = EncodedRequest.nothing(REGION, 384), torch.full((1, 3), torch.nan)
    coarse, labels = torch.zeros(1, 1, *SHAPE), torch.zeros(1, CLASSES, *SHAPE)
    maps = told_refine(asked, torch.ones(1, 3), nowhere, annotated, known, coarse, labels, [0.0]).maps
    assert maps.shape[1] == map_channels(7, True, REGION)
    assert (maps[:, :7] == 0).all()  # values outside the mask are hidden


def test_facts_encode_unknown_as_zero_and_mirror_swaps_sides():
    vector = encode({"target_70_side": 0.5})
    assert vector.shape == (2 * len(FACTS),) and vector[len(FACTS) :].sum() == 1
    swapped = mirrored({"target_70_side": 0.5, "parotid_gland_left_ml": 1.0, "parotid_gland_right_ml": 2.0})
    assert swapped == {"target_70_side": -0.5, "parotid_gland_right_ml": 1.0, "parotid_gland_left_ml": 2.0}
    with pytest.raises(KeyError, match="no_such_fact"):
        encode({"no_such_fact": 1.0})
