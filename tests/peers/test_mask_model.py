"""MAISI's mask model: what its networks are told and how their channels are read, cleaned and checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.inferers.inferer import DiffusionInferer
from monai.networks.schedulers.ddpm import DDPMScheduler

from synth.errors import InputError
from synth.peers import drawn_masks, mask_model, networks, sizes
from synth.peers.cleaning import cleaned
from synth.peers.conditions import from_maisi
from synth.peers.files import Held, read_file
from synth.peers.maisi import Maisi
from synth.peers.masks import grid
from synth.peers.sizes import Sizes
from synth.volumes import anatomy
from synth.volumes.labels import MAISI_BODY, maisi_channels, maisi_ids
from tests.peers import chest, maisi_files

CPU = torch.device("cpu")
TOLD = (0.1, 0.2, 0.3, 0.4, 0.5, -1.0, -1.0, -1.0, -1.0, -1.0)
# A few rows of the table of MONAI's bundle from each stretch of it: name there -> channel, id.
THEIRS = {
    "background": (0, 0),
    "liver": (1, 1),
    "spleen": (2, 3),
    "right kidney": (4, 5),
    "left kidney": (13, 14),
    "portal vein and splenic vein": (15, 17),
    "small bowel": (16, 19),
    "brain": (17, 22),
    "hepatic vessel": (20, 25),
    "colon cancer primaries": (22, 27),
    "left lung upper lobe": (23, 28),
    "vertebrae L5": (28, 33),
    "trachea": (52, 57),
    "colon": (57, 62),
    "right rib 12": (81, 86),
    "left femur": (88, 93),
    "heart": (110, 115),
    "prostate": (111, 118),
    "vertebrae S1": (120, 127),
    "bone lesion": (121, 128),
    "kidney mass": (122, 129),
    "airway": (123, 132),
    "body": (124, 200),
}


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Maisi:
    folder = maisi_files.save_masks(maisi_files.save(tmp_path_factory.mktemp("masks")))
    return Maisi.open(folder)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field of 32^3 voxels."""
    monkeypatch.setattr(mask_model, "SIDE", 8)


class Told(torch.nn.Module):
    """A U-Net that notes what it is told, and says something that depends on it."""

    def __init__(self, said: Callable[[torch.Tensor, int], torch.Tensor]) -> None:
        super().__init__()
        self.said, self.told = said, []

    def forward(self, x: torch.Tensor, timesteps: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        self.told.append((int(timesteps), context.clone()))
        return self.said(x, int(timesteps))


def told_unet(monkeypatch: pytest.MonkeyPatch, said: Callable[[torch.Tensor, int], torch.Tensor]) -> Told:
    unet = Told(said)
    monkeypatch.setattr(networks, "built", lambda *_: unet)
    return unet


def monai_ddpm(**other: float) -> Any:
    betas = {"beta_start": 0.0015, "beta_end": 0.0195} | other
    return DDPMScheduler(1000, schedule="scaled_linear_beta", clip_sample=False, **betas)


def test_channels_are_those_of_the_released_table() -> None:
    ids = maisi_channels()
    assert len(ids) == 125 == len(set(ids)) and {name: ids[c] for name, (c, _) in THEIRS.items()} == {
        name: number for name, (_, number) in THEIRS.items()
    }
    assert not {maisi_ids()["kidney_cyst_left"], maisi_ids()["kidney_cyst_right"], 2, 16, 18, 20, 21, 130, 131} & set(
        ids
    )
    assert ids[1:] != ids[:-1]  # a table shifted by one is another


def test_the_released_networks_are_told_by_their_tensors() -> None:
    """Of full size, without memory: numbers as its configuration has them."""
    from monai.apps.generation.maisi.networks.autoencoderkl_maisi import AutoencoderKlMaisi
    from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet

    coder = {"in_channels": 8, "out_channels": 125, "latent_channels": 4, "num_channels": (32, 64, 128)}
    coder |= {"num_res_blocks": (1, 2, 2), "attention_levels": (False,) * 3, "use_convtranspose": True}
    unet = {"in_channels": 4, "out_channels": 4, "channels": (64, 128, 256, 512), "num_res_blocks": 2}
    unet |= {"attention_levels": (False, False, True, True), "num_head_channels": (0, 0, 32, 32)}
    unet |= {"with_conditioning": True, "upcast_attention": True, "cross_attention_dim": 10}
    with torch.device("meta"):
        built = AutoencoderKlMaisi(spatial_dims=3, **coder), DiffusionModelUNet(spatial_dims=3, **unet)  # type: ignore[arg-type]
    shapes = [{name: tuple(t.shape) for name, t in model.state_dict().items()} for model in built]
    assert [len(s) for s in shapes] == [114, 558]
    read = networks.mask_autoencoder_numbers(shapes[0], CPU), networks.mask_unet_numbers(shapes[1], CPU)
    for numbers, wanted in zip(read, (coder, unet), strict=True):
        assert {name: numbers[name] for name in wanted} == wanted


def test_its_networks_are_known_and_have_the_weights_of_their_files(peer: Maisi) -> None:
    assert {role: held.path.name for role, held in peer.files.items() if role.startswith("mask")} == {
        role: Path(name).name for role, name in maisi_files.OF_MASKS.items()
    }
    assert peer.mask_scale() == maisi_files.MASK_SCALE and peer.scale_factor == 1.25
    assert len(peer.paths()) == 3 and len(peer.hashes(masks=True)) == 5
    for held, model in (
        (peer.files["mask_unet"], maisi_files.mask_unet()),
        (peer.files["mask_autoencoder"], maisi_files.mask_autoencoder()),
    ):
        loaded = networks.built(held, CPU).state_dict()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.usefixtures("small")
def test_it_is_drawn_as_monai_draws(peer: Maisi, monkeypatch: pytest.MonkeyPatch) -> None:
    """All 1000 steps from one seed beside MONAI's own sampler, with a U-Net that is quick; another schedule differs."""
    unet = told_unet(monkeypatch, lambda x, _: 0.9 * x + 0.3)
    drawn = mask_model.draw_latent(peer, TOLD, 11, 1000, CPU)
    assert [time for time, _ in unet.told] == list(range(999, -1, -1))
    assert all(torch.equal(context, torch.tensor([[TOLD]])) for _, context in unet.told)

    def theirs(scheduler: Any) -> torch.Tensor:
        torch.manual_seed(11)
        noise = torch.randn(1, 4, 8, 8, 8)
        sampler: Any = DiffusionInferer(scheduler)
        out: torch.Tensor = sampler.sample(noise, unet, scheduler, conditioning=torch.tensor([[TOLD]]), verbose=False)
        return out

    assert torch.equal(drawn, theirs(monai_ddpm())) and drawn.abs().max() > 1  # not clipped
    assert not torch.allclose(drawn, theirs(monai_ddpm(beta_end=0.02)), atol=1e-3)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_fewer_steps_end_where_the_noise_is_told_rightly(
    peer: Maisi, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """A U-Net that knows the clean latent is followed to it."""
    clean = torch.linspace(-3, 3, 8**3 * 4).reshape(1, 4, 8, 8, 8)
    kept = monai_ddpm().alphas_cumprod
    told_unet(monkeypatch, lambda x, t: (x - kept[t].sqrt() * clean) / (1 - kept[t]).sqrt())
    assert torch.allclose(mask_model.draw_latent(peer, TOLD, 3, steps, CPU), clean, atol=2e-3)


def test_the_same_seed_is_the_same_mask_on_one_and_two_threads(peer: Maisi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_model, "SIDE", 16)
    decode, computing = mask_model.decode, []

    def of_a_corner(peer: Maisi, latent: torch.Tensor, *more: Any) -> np.ndarray:
        computing.append((torch.get_num_threads(), torch.is_grad_enabled()))
        return decode(peer, latent[:, :, :4, :4, :4], *more)

    monkeypatch.setattr(mask_model, "decode", of_a_corner)
    before = torch.get_num_threads()
    try:
        drawn = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            drawn.append(mask_model.draw_ids(peer, TOLD, 5, 1, CPU))
    finally:
        torch.set_num_threads(before)
    assert (
        np.array_equal(*drawn) and drawn[0].shape == (16, 16, 16) and set(np.unique(drawn[0])) <= set(maisi_channels())
    )
    assert set(computing) == {(1, False)}
    swapped = (TOLD[1], TOLD[0], *TOLD[2:])
    for told, seed, steps in ((TOLD, 6, 1), (swapped, 5, 1), (TOLD, 5, 2)):
        assert not np.array_equal(mask_model.draw_ids(peer, told, seed, steps, CPU), drawn[0])


def test_a_decoded_piece_is_what_the_autoencoder_says(peer: Maisi) -> None:
    """The largest channel, although channels are made slab by slab; the latent is divided by its scale."""
    latent = torch.randn(1, 4, 6, 5, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = maisi_files.mask_autoencoder().decode_stage_2_outputs(latent / maisi_files.MASK_SCALE)[0].argmax(dim=0)
        assert np.array_equal(mask_model.decode(peer, latent, CPU), whole.numpy())
        assert not np.array_equal(mask_model.decode(peer, 0.5 * latent, CPU), whole.numpy())


def test_pieces_lie_where_they_belong() -> None:
    """A latent of its own indices comes back whole and in order from pieces with rims."""
    latent = np.arange(11 * 6 * 9).reshape(11, 6, 9)
    wanted = latent.repeat(4, 0).repeat(4, 1).repeat(4, 2)
    out = np.full(wanted.shape, -1)
    count = 0
    for whole, inner, place in mask_model.pieces_of(latent.shape, 4):
        out[place] = latent[whole].repeat(4, 0).repeat(4, 1).repeat(4, 2)[inner]
        count += 1
    assert np.array_equal(out, wanted) and count == 3 * 2 * 3


def spotted() -> np.ndarray:
    """Ids of MAISI (80, 64, 96), 5 mm: an ellipse of a body with a ball where each structure of a patient lies."""
    x, y, z = np.meshgrid(np.arange(80) - 39.5, np.arange(64) - 24.5, np.arange(96) - 47.5, indexing="ij")
    ids = np.where((x / 36) ** 2 + ((y - 7) / 27) ** 2 < 1, MAISI_BODY, 0).astype(np.uint8)
    for name, number in maisi_ids().items():
        place = anatomy.table()[name].place if name in anatomy.table() else (None,) * 3
        if None not in place:
            middle = [float(mm or 0) / 5 for mm in place]
            ids[(x - middle[0]) ** 2 + (y - middle[1]) ** 2 + (z - middle[2]) ** 2 < 6] = number
    return ids


def failures(ids: np.ndarray) -> set[str]:
    labels = from_maisi(ids, np.diag([5.0, 5.0, 5.0, 1.0]))
    return {check.name for check in drawn_masks._whole(ids, labels) if not check.ok}


def shifted(ids: np.ndarray) -> np.ndarray:
    table = np.zeros(256, np.uint8)
    channels = maisi_channels()
    table[list(channels[:-1])] = channels[1:]
    table[MAISI_BODY] = MAISI_BODY
    return table[ids]


@pytest.mark.parametrize(
    "mistake",
    [
        lambda ids: ids[::-1],
        lambda ids: ids[:, ::-1],
        lambda ids: ids[:, :, ::-1],
        lambda ids: ids.transpose(1, 0, 2),
        lambda ids: ids.transpose(0, 2, 1),
        lambda ids: ids.transpose(2, 1, 0),
        shifted,
    ],
    ids=["left for right", "front for back", "head for feet", "x and y", "y and z", "x and z", "table shifted by one"],
)
def test_planted_mistakes_of_place_are_seen(mistake: Callable[[np.ndarray], np.ndarray]) -> None:
    ids = spotted()
    assert len(np.unique(ids)) >= 40 and failures(ids) == set()
    assert "masks_out_of_place" in failures(np.ascontiguousarray(mistake(ids)))


def test_a_body_that_reaches_the_sides_is_seen() -> None:
    assert failures(spotted()[6:]) == {"masks_body_at_sides"}


def dirty() -> tuple[np.ndarray, np.ndarray]:
    """The trunk with what a mask model leaves behind, and as it is to be."""
    clean = cleaned(chest.trunk())
    ids, number = clean.copy(), maisi_ids()
    ids[0:2, 30:34, 10:50] = MAISI_BODY  # a table beside the body
    ids[40:43, 30:33, 4:6] = 26  # a tumour in the liver
    ids[44:47, 26:29, 4:6] = 25  # its vessels
    ids[43:46, 30:33, 48:51] = 23  # a tumour in the right upper lobe
    ids[18:20, 30:33, 40:43] = number["lung_upper_lobe_right"]  # a piece of it in the left
    ids[30:33, 45:47, 20:23] = 0  # a hole in the body
    ids[31:33, 50:51, 20:23] = number["aorta"]  # a speck with a larger piece elsewhere
    ids[30:35, 20:24, 20:60] = clean[30:35, 20:24, 20:60] = number["aorta"]
    return ids, clean


def test_cleaning_gives_back_what_is_no_organ() -> None:
    ids, clean = dirty()
    assert np.array_equal(cleaned(ids), clean) and not np.array_equal(ids, clean)
    assert np.array_equal(cleaned(clean), clean)


def test_a_mass_of_a_kidney_is_of_the_nearer_one_and_a_tumour_without_host_of_what_is_near() -> None:
    ids = np.full((20, 12, 12), MAISI_BODY, np.uint8)
    number = maisi_ids()
    ids[2:6, 4:8, 4:8], ids[14:18, 4:8, 4:8] = number["kidney_left"], number["kidney_right"]
    ids[6:8, 4:8, 4:8], ids[9:11, 1:3, 1:3] = 129, 24
    found = cleaned(ids)
    assert (found[6:8, 4:8, 4:8] == number["kidney_left"]).all() and (found[9:11, 1:3, 1:3] == MAISI_BODY).all()


def table(folder: Path, content: object, name: str = sizes.TABLES[1]) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))
    return folder


def test_sizes_are_of_a_patient_of_the_table_without_tumours(tmp_path: Path) -> None:
    patients = [
        {"organ_size": [0.1, 0.2, 0.3, 0.4, 0.5, -1, -1, 0.7, -1, -1]},
        {"organ_size": [-1, 0.2, 0.3, 0.4, 0.5, -1, -1, -1, -1, -1]},
        {"organ_size": [0.6, 0.2, 0.3, 0.4, 0.9, -1, -1, -1, -1, -1]},
        {"organ_size": [0.6, 0.2, 0.3, 0.4, 1.9, -1, -1, -1, -1, -1]},
    ]
    for name in sizes.TABLES:
        known = Sizes.of(table(tmp_path / name.replace("/", "_"), patients, name))
        drawn = {known.draw(np.random.default_rng(seed)) for seed in range(20)}
        assert drawn == {TOLD, (0.6, 0.2, 0.3, 0.4, 0.9, *TOLD[5:])}


def test_sizes_without_a_table_are_usual(tmp_path: Path) -> None:
    drawn = np.array([Sizes.of(tmp_path).draw(np.random.default_rng(seed)) for seed in range(300)])
    assert (drawn[:, 5:] == -1).all() and drawn[:, :5].min() >= 0 and drawn[:, :5].max() <= 1
    assert (np.abs(np.corrcoef(drawn[:, :5].T) - np.eye(5)) < 0.25).all() and (drawn[:, :5].std(axis=0) > 0.1).all()
    assert list(sizes.told(TOLD)) == ["gallbladder", "liver", "stomach", "pancreas", "colon"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"organ_size": []}, "is no list of patients"),
        ([], "no patient in it has all of gallbladder, liver"),
        ([{"organ_size": [0.1] * 9}], "patient 1 has no organ_size of ten numbers"),
        ([{"organ_size": [*TOLD]}, {"organ_size": [-0.5, *TOLD[1:]]}], "patient 2 has no organ_size"),
        ([{"organ_size": ["1"] * 10}], "patient 1 has no organ_size"),
        ([{"organ_size": [True] * 10}], "patient 1 has no organ_size"),
    ],
)
def test_a_table_of_sizes_that_is_none_is_refused(tmp_path: Path, content: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Sizes.of(table(tmp_path, content))


@pytest.mark.parametrize(
    ("model", "role", "said"),
    [
        (maisi_files.mask_autoencoder(124), "mask_autoencoder", "out_channels 124, not 125"),
        (maisi_files.mask_unet(9), "mask_unet", "cross_attention_dim 9, not 10"),
    ],
)
def test_networks_of_other_numbers_are_refused(tmp_path: Path, model: torch.nn.Module, role: str, said: str) -> None:
    torch.save(model.state_dict(), tmp_path / "file.pt")
    held = read_file(tmp_path / "file.pt")
    assert isinstance(held, Held) and held.role == role
    with pytest.raises(InputError, match=f"of masks of MAISI \\({said}\\)"):
        networks.built(held, CPU)


def test_a_field_is_a_cube_about_the_middle() -> None:
    assert mask_model.field_mm() == 384 and mask_model.pieces() == 27
    assert np.allclose(grid((256,) * 3, (1.5,) * 3)[:3, 3], -191.25)
