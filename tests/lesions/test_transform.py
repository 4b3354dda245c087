"""InsertLesiond: the contract of a MONAI random transform, and that what does not fit changes nothing."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor

from synth import labels
from synth.errors import InputError
from synth.lesions import transform
from synth.lesions.transform import InsertLesiond

SIZE = 48


def sample(spacing: float = 1.0, size: int = SIZE) -> dict[str, MetaTensor]:
    """A liver in fat, as float32 and uint8 tensors with an affine."""
    rng = np.random.default_rng(0)
    ids = np.zeros((1, size, size, size), np.uint8)
    ids[:, 4:-4, 4:-4, 4:-4] = labels.ids()["liver"]
    hu = np.where(ids > 0, 100.0, -90.0) + 10 * rng.standard_normal(ids.shape)
    affine = torch.diag(torch.tensor([spacing, spacing, spacing, 1.0]))
    return {
        "image": MetaTensor(torch.from_numpy(np.rint(hu).astype(np.float32)), affine=affine),
        "organs": MetaTensor(torch.from_numpy(ids), affine=affine),
    }


@pytest.fixture
def make() -> Callable[..., InsertLesiond]:
    def build(*findings: str, **options: object) -> InsertLesiond:
        return InsertLesiond(["image"], findings or ("10 mm liver tumour", "8 mm liver cyst"), **options)

    return build


def test_a_lesion_and_its_mask_are_there(make: Callable[..., InsertLesiond]) -> None:
    before = sample()
    after = make().set_random_state(0)(before)
    inside = after["lesion"] == 1
    assert inside.sum() > 100
    assert after["lesion"].shape == after["image"].shape
    assert after["image"].dtype == torch.float32 and after["lesion"].dtype == torch.uint8
    assert (after["image"][inside] != before["image"][inside]).float().mean() > 0.9
    assert after["image"][inside].mean() < before["image"][inside].mean() - 15
    torch.testing.assert_close(after["image"].affine, before["image"].affine)
    assert "lesion" not in before and before["image"].equal(sample()["image"])  # the input is left alone


def test_the_same_state_draws_the_same_lesion_and_the_next_another(make: Callable[..., InsertLesiond]) -> None:
    one, two = (make().set_random_state(3) for _ in range(2))
    first, again, following = one(sample()), two(sample()), one(sample())
    assert first["image"].equal(again["image"]) and first["lesion"].equal(again["lesion"])
    assert not first["lesion"].equal(following["lesion"])


def test_the_work_is_the_lesions_not_the_samples(
    make: Callable[..., InsertLesiond], monkeypatch: pytest.MonkeyPatch
) -> None:
    worked_on: dict[str, list[int]] = {"insert": [], "measure_noise": []}
    for name, sizes in worked_on.items():
        whole = getattr(transform, name)
        monkeypatch.setattr(transform, name, lambda ct, *rest, w=whole, s=sizes: s.append(ct.hu.size) or w(ct, *rest))
    for size in (64, 112):
        assert make("8 mm liver cyst").set_random_state(0)(sample(size=size))["lesion"].any()
    assert max(worked_on["insert"] + worked_on["measure_noise"]) < 60**3  # its ball and the tissue round it
    assert len(worked_on["insert"]) == len(worked_on["measure_noise"]) == 2


def test_spacing_is_the_samples(make: Callable[..., InsertLesiond]) -> None:
    fine = make("10 mm liver cyst").set_random_state(1)(sample(1.0))["lesion"].sum()
    coarse = make("10 mm liver cyst").set_random_state(1)(sample(2.0))["lesion"].sum()
    assert 4 < fine / coarse < 20  # about eight times as many voxels, the shape drawn anew


@pytest.mark.parametrize("options", [{"prob": 0.0}, {"findings": "60 mm liver cyst"}, {"findings": "9 mm kidney cyst"}])
def test_without_a_lesion_the_sample_is_as_it_was(make: Callable[..., InsertLesiond], options: dict) -> None:
    options = dict(options)
    findings = [options.pop("findings")] if "findings" in options else []
    after = make(*findings, **options).set_random_state(0)(sample())
    assert after["image"].equal(sample()["image"])
    assert after["lesion"].sum() == 0


def test_it_works_in_the_workers_of_a_loader(make: Callable[..., InsertLesiond]) -> None:
    data = Dataset([sample() for _ in range(4)], transform=make().set_random_state(0))
    batches = [batch["lesion"] for batch in DataLoader(data, batch_size=2, num_workers=1)]
    sizes = [int(mask.sum()) for batch in batches for mask in batch]
    assert len(sizes) == 4 and min(sizes) > 0 and len(set(sizes)) > 1


@pytest.mark.parametrize("wrong", [{"prob": 2.0}, {"tries": 0}])
def test_wrong_options_are_an_error(make: Callable[..., InsertLesiond], wrong: dict) -> None:
    with pytest.raises(InputError, match="prob from 0 to 1"):
        make(**wrong)
    with pytest.raises(InputError, match="names no lesion"):
        make("CT of the chest")
