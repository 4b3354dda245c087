"""InsertLesiond: the contract of a MONAI random transform, and that what does not fit changes nothing."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from scipy import ndimage

from prompts.vocabulary import Phase
from synth.errors import InputError
from synth.lesions import transform
from synth.lesions.transform import InsertLesiond
from synth.report.noise import measure_noise
from synth.volumes import labels
from synth.volumes.types import LabelMap, Volume

SIZE = 48


def sample(spacing: float = 1.0, size: int = SIZE) -> dict[str, MetaTensor]:
    """A liver in fat, as float32 and uint8 tensors with an affine."""
    rng = np.random.default_rng(0)
    ids = np.zeros((1, size, size, size), np.uint8)
    ids[:, 4:-4, 4:-4] = labels.ids()["liver"]
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


def test_what_no_lesion_reaches_keeps_its_fractions(make: Callable[..., InsertLesiond]) -> None:
    before = sample()
    before["image"] += 0.3
    after = make("10 mm liver cyst").set_random_state(0)(before)
    changed = after["image"] != before["image"]
    assert 100 < changed.sum() < 0.2 * changed.numel()


def test_numbers_that_are_no_hu_are_refused(make: Callable[..., InsertLesiond]) -> None:
    for scale in (lambda hu: (hu + 175) / 425, lambda hu: ((hu + 160) / 400 * 255).clip(0, 255) * (hu > 0)):
        scaled = sample()
        scaled["image"] = scale(scaled["image"])
        with pytest.raises(InputError, match="no HU; put InsertLesiond before ScaleIntensityRanged"):
            make().set_random_state(0)(scaled)


def test_labels_of_another_table_are_refused_unless_trusted(make: Callable[..., InsertLesiond]) -> None:
    wrong = sample()
    wrong["organs"] = (wrong["organs"] > 0).to(torch.uint8) * labels.ids()["lung_upper_lobe_left"]
    with pytest.raises(InputError, match="lung_upper_lobe_left has a median of 100 HU .* go on with trust_labels=True"):
        make().set_random_state(0)(wrong)
    make("8 mm lung nodule", trust_labels=True).set_random_state(0)(wrong)


def test_what_finds_no_room_is_told(make: Callable[..., InsertLesiond], caplog: pytest.LogCaptureFixture) -> None:
    insert = make("60 mm liver cyst").set_random_state(0)
    for _ in range(3):
        insert(sample())
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and "60 mm liver cyst left out of 2 of 2 samples so far" in told[1]


def test_ids_above_255_do_not_wrap(make: Callable[..., InsertLesiond]) -> None:
    high = sample()
    high["organs"] = high["organs"].to(torch.int32) + 256
    after = make("10 mm liver cyst", names={256 + labels.ids()["liver"]: "liver"}).set_random_state(0)(high)
    assert after["lesion"].any() and int(after["organs"].max()) == 256 + labels.ids()["liver"]


def test_the_number_and_the_phase_of_a_prompt_hold(make: Callable[..., InsertLesiond]) -> None:
    after = make("three 6 mm liver cysts").set_random_state(0)(sample())
    assert after["lesion"].unique().tolist() == [0, 1, 2, 3]
    phases = [make(f"CT in {phase} phase, 12 mm liver cyst").findings[0][1] for phase in ("arterial", "portal venous")]
    assert phases == [Phase.ARTERIAL, Phase.PORTAL_VENOUS]


def test_without_an_affine_mm_are_asked_for(make: Callable[..., InsertLesiond]) -> None:
    plain = {key: value.as_tensor() for key, value in sample().items()}
    with pytest.raises(InputError, match="no affine, so"):
        make().set_random_state(0)(plain)
    assert make(spacing=(1, 1, 1)).set_random_state(0)(plain)["lesion"].any()


def test_it_works_in_the_workers_of_a_loader(make: Callable[..., InsertLesiond]) -> None:
    data = Dataset([sample() for _ in range(4)], transform=make().set_random_state(0))
    batches = [batch["lesion"] for batch in DataLoader(data, batch_size=2, num_workers=1)]
    sizes = [int(mask.sum()) for batch in batches for mask in batch]
    assert len(sizes) == 4 and min(sizes) > 0 and len(set(sizes)) > 1


def of_lung(seed: int = 0, number: int = 0) -> dict[str, object]:
    """A patch that holds nothing but lung, with a few vessels, and a number of its own."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.standard_normal((SIZE,) * 3), 0.7)
    hu = -860 + 25 * noise / noise.std()
    for x, y in rng.integers(4, SIZE - 4, (6, 2)):
        hu[x : x + 3, y : y + 3] = 20
    affine = torch.eye(4)
    image = torch.from_numpy(np.rint(hu)[None].astype(np.float32))
    return {
        "image": MetaTensor(image, affine=affine),
        "organs": MetaTensor(torch.ones(image.shape, dtype=torch.uint8), affine=affine),
        "number": number,
    }


@pytest.mark.parametrize("name", ["lung", "lung_left", "lung_upper_lobe_right"])
def test_a_patch_that_is_all_lung_gets_its_nodules(make: Callable[..., InsertLesiond], name: str) -> None:
    insert = make("9 mm solid nodule in the lung", "12 mm ground-glass nodule in the lung", names={1: name})
    insert.set_random_state(0)
    for seed in range(6):
        before = of_lung(seed)
        after = insert(before)
        mask = after["lesion"] > 0
        assert 100 < mask.sum() < 2500
        assert after["image"][mask].mean() > before["image"][mask].mean() + 100


def test_the_noise_of_a_patch_of_lung_is_that_between_its_vessels() -> None:
    for sd in (10.0, 40.0):
        rng = np.random.default_rng(0)
        hu = -860 + sd * rng.standard_normal((SIZE,) * 3)
        hu[10:13, 20:23] = 20
        host = Volume(np.rint(hu).astype(np.int16), np.eye(4))
        found = measure_noise(host, LabelMap(np.ones(hu.shape, np.uint8), np.eye(4), {1: "lung"}))
        assert found.tissue == "lung" and 0.7 * sd < found.sd < sd  # the quietest patches


def test_what_fills_most_of_a_lung_is_not_its_noise() -> None:
    rng = np.random.default_rng(0)
    hu = -860 + 10 * rng.standard_normal((SIZE,) * 3)
    hu[10:] += 60 * np.sin(np.arange(10, SIZE))[:, None, None]  # walls of small airways, say
    host = Volume(np.rint(hu).astype(np.int16), np.eye(4))
    found = measure_noise(host, LabelMap(np.ones(hu.shape, np.uint8), np.eye(4), {1: "lung"}))
    assert found.sd < 12


def test_any_number_of_workers_draws_the_same_by_numbers_of_the_samples(make: Callable[..., InsertLesiond]) -> None:
    drawn = []
    for workers in (0, 1, 3):
        insert = make("9 mm solid nodule in the lung", names={1: "lung"}, seed_key="number")
        data = Dataset([of_lung(0, number) for number in range(5)], transform=insert)
        batches = list(DataLoader(data, batch_size=1, num_workers=workers))
        drawn.append(torch.cat([batch["image"] for batch in batches]))
    assert drawn[0].equal(drawn[1]) and drawn[0].equal(drawn[2])
    assert not drawn[0][0].equal(drawn[0][1])
    with pytest.raises(InputError, match="a whole number"):
        make(seed_key="epoch")(sample())


def test_a_scaled_image_is_one_in_hu_when_its_scale_is_said(make: Callable[..., InsertLesiond]) -> None:
    plain, scaled = sample(), sample()
    scaled["image"] = (scaled["image"] + 1000) / 1400
    expected = make().set_random_state(0)(plain)
    found = make(scaled_from=(-1000, 400)).set_random_state(0)(scaled)
    assert found["lesion"].equal(expected["lesion"]) and found["lesion"].any()
    torch.testing.assert_close(found["image"] * 1400 - 1000, expected["image"], atol=0.6, rtol=0)
    same = expected["image"] == plain["image"]
    assert found["image"][same].equal(scaled["image"][same])
    with pytest.raises(InputError, match="say scaled_from"):
        make().set_random_state(0)(scaled)


@pytest.mark.parametrize("wrong", [{"prob": 2.0}, {"tries": 0}])
def test_wrong_options_are_an_error(make: Callable[..., InsertLesiond], wrong: dict) -> None:
    with pytest.raises(InputError, match="prob from 0 to 1"):
        make(**wrong)
    with pytest.raises(InputError, match="names no lesion"):
        make("CT of the chest")


def test_a_finding_told_by_its_extent_is_drawn_in_a_sample(make: Callable[..., InsertLesiond]) -> None:
    before = sample()
    after = make("severe steatosis").set_random_state(0)(before)
    liver = before["organs"] > 0
    assert after["lesion"][liver].bool().all() and not after["lesion"][~liver].any()
    assert after["image"][liver].mean() < 40 and after["image"][~liver].equal(before["image"][~liver])
