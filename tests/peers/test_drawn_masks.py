"""`generate --masks drawn`: from words to a case whose organs MAISI's mask model draws.

The networks are those of its architecture with random weights; a decoder that says a trunk stands in for what no random
weights draw, in the channels of the released table.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import synth
from synth import cli
from synth.case.doors import read_prompt
from synth.case.folder import read_case
from synth.case.plan import PeerPlan, read_plan
from synth.errors import InputError
from synth.peers import drawn_masks, mask_model, path, sampling
from synth.peers.maisi import Maisi
from synth.peers.sizes import TABLES
from synth.progress import Progress
from synth.volumes.labels import MAISI_BODY, maisi_channels, maisi_ids
from tests.peers import chest, maisi_files

PROMPT = "chest CT of a 60-year-old man with a 32 mm solid nodule in the right upper lobe"
GRID = ["--size", "64,64,64", "--spacing", "4", "--steps", "1", "--seed", "3", "-q"]
DRAWN = ["--masks", "drawn", "--mask-steps", "2"]
CODER, UNET = (maisi_files.OF_MASKS[role] for role in ("mask_autoencoder", "mask_unet"))


@pytest.fixture(scope="module", params=["rflow", "ddpm"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return maisi_files.save_masks(maisi_files.save(tmp_path_factory.mktemp(request.param), request.param))


@pytest.fixture(scope="module")
def rflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return maisi_files.save_masks(maisi_files.save(tmp_path_factory.mktemp("rflow"), "rflow"))


@pytest.fixture
def folder(rflow: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(rflow, tmp_path / "weights"))


@pytest.fixture
def masks(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What the mask model is to say, one after the other, as ids; a field of 64^3 voxels of 4 mm. CT follows labels."""
    said: list[np.ndarray] = []
    monkeypatch.setattr(mask_model, "SIDE", 16)
    monkeypatch.setattr(mask_model, "MM", chest.MM)
    monkeypatch.setattr(
        mask_model, "decode", lambda *_: np.searchsorted(maisi_channels(), said.pop(0)).astype(np.uint8)
    )
    monkeypatch.setattr(sampling, "draw", lambda peer, told, *_: chest.like_the_labels(told))
    return said


def made(model: Path, out: Path, *more: str, prompt: str = PROMPT) -> int:
    return cli.main(["generate", prompt, "--model", str(model), *DRAWN, *more, *GRID, "--out", str(out)])


def without_heart() -> np.ndarray:
    ids = chest.trunk()
    ids[ids == maisi_ids()["heart"]] = MAISI_BODY
    return ids


def wide() -> np.ndarray:
    ids = chest.trunk()
    ids[:, 20:44] = np.where(ids[:, 20:44] == 0, MAISI_BODY, ids[:, 20:44])
    return ids


def test_words_become_a_case_with_organs_of_the_mask_model(
    model: Path, tmp_path: Path, masks: list[np.ndarray]
) -> None:
    """With the first mask refused; from the command, and from Python."""
    masks += [without_heart(), chest.trunk()]
    masks[1][40:43, 30:33, 4:6] = 26  # a tumour that nobody asked for
    if Maisi.open(model).variant == "rflow":
        assert made(model, tmp_path / "out", "--slow") == 0
    else:
        asked = {"size": (64, 64, 64), "spacing": 4, "steps": 1, "masks": "drawn", "mask_steps": 2, "slow": True}
        synth.generate_with(model, PROMPT, seed=3, out=tmp_path / "out", quiet=True, **asked)  # type: ignore[arg-type]
    case, plan, report, manifest = read_case(tmp_path / "out/case_00000")
    assert plan["attempt"] == 1 and manifest["attempts"] == 2 and not masks
    assert np.array_equal(case.organs.mask("liver"), chest.trunk() == maisi_ids()["liver"])
    assert np.array_equal(case.organs.ids > 0, (chest.trunk() > 0) & (chest.trunk() != MAISI_BODY))
    lobe, where = case.organs.mask("lung_upper_lobe_left"), chest.trunk() == maisi_ids()["lung_upper_lobe_left"]
    assert np.array_equal(lobe, where) and np.argwhere(lobe)[:, 0].max() < 32  # RAS
    told = next(s for s in report["sentences"] if s["section"] == "findings")["facts"]
    assert (told["side"], told["segment"]) == ("right", "upper") and abs(told["long_axis_mm"] - 32) <= 4
    names = {check["name"] for check in manifest["checks"]}
    assert names >= {"masks_body_at_sides", "masks_out_of_place", "masks_heart_ml", "liver_median_hu"}
    assert {"maisi_mask_unet", "maisi_mask_autoencoder", "maisi_controlnet"} <= set(manifest["weights"])
    peer = manifest["peer"]
    assert peer["masks"] == "drawn" and peer["mask_model"]["steps"] == 2 and peer["mask_model"]["table"] is None
    assert list(peer["mask_model"]["sizes"]) == ["gallbladder", "liver", "stomach", "pancreas", "colon"]
    assert peer["words"]["organs"] == ["region: chest"] and peer["words"]["not read"] == ["sex: male", "age: 60"]
    assert "--masks drawn --mask-steps 2 --slow" in (tmp_path / "out/case_00000/manifest.json").read_text()
    assert cli.main(["check", str(tmp_path / "out/case_00000")]) == 0
    read = read_plan(json.dumps(plan))
    assert isinstance(read, PeerPlan) and read.weights == Maisi.open(model).hashes(masks=True)
    assert len(read.mask_sizes) == 10 and read.seeds()["masks"] == read.mask_seed != read.noise_seed
    before = (tmp_path / "out/case_00000/manifest.json").stat().st_mtime_ns
    assert made(model, tmp_path / "out", "--slow") == 0  # made already: nothing more is said
    assert (tmp_path / "out/case_00000/manifest.json").stat().st_mtime_ns == before


def test_masks_that_fail_are_refused_before_a_ct_is_drawn(
    rflow: Path, masks: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"heart_ml": without_heart(), "body_at_sides": wide(), "out_of_place": chest.trunk()[::-1]}
    masks += [*bad.values(), chest.trunk()]
    request = read_prompt("chest CT", path.DOOR).request
    peer = Maisi.open(rflow)
    order = path.PeerOrder(peer, request, 1, (64, 64, 64), (4.0, 4.0, 4.0), 1, "drawn", mask_steps=1, slow=True)
    drawn, real = [], sampling.draw
    monkeypatch.setattr(sampling, "draw", lambda *told: drawn.append(1) or real(*told))
    for attempt, fails in enumerate(bad):
        draft = path.draft_peer(order, 0, attempt, Progress(quiet=True))
        assert f"its organs, as MAISI's mask model drew them: masks_{fails}" in draft.why_not() and not drawn
    assert path.draft_peer(order, 0, 3, Progress(quiet=True)).passed and drawn == [1]
    plans = [order.plan(index, attempt) for index, attempt in ((0, 0), (0, 1), (1, 0))]
    assert len({plan.mask_seed for plan in plans}) == len({plan.mask_sizes for plan in plans}) == 3


def test_masks_that_never_pass_are_refused_in_one_line(
    rflow: Path,
    tmp_path: Path,
    masks: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(path, "ATTEMPTS", 1)
    masks += [without_heart()]
    assert made(rflow, tmp_path / "out", "--slow") == 2 and not (tmp_path / "out").exists()
    line = capsys.readouterr().err.strip()
    assert "masks_heart_ml = 0 is not within 1 to 100000" in line and "\n" not in line


def test_what_random_weights_draw_is_no_mask(
    rflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decode = mask_model.decode
    monkeypatch.setattr(mask_model, "SIDE", 16)
    monkeypatch.setattr(mask_model, "MM", chest.MM)
    monkeypatch.setattr(mask_model, "decode", lambda peer, z, *more: decode(peer, z[:, :, :8, :8, :8], *more))
    monkeypatch.setattr(path, "ATTEMPTS", 1)
    assert made(rflow, tmp_path / "out", "--slow") == 2
    assert "its organs, as MAISI's mask model drew them: masks_" in capsys.readouterr().err


def test_a_short_field_shows_what_is_asked_and_stays_within_the_mask(
    rflow: Path, tmp_path: Path, masks: list[np.ndarray]
) -> None:
    """128 mm of 256: about the lungs, which are said; about the middle of the body where nothing is."""
    masks.append(chest.trunk())
    ids, order = masks[0], [*GRID]
    order[1] = "64,64,32"
    typed = ["generate", "chest CT", "--model", str(rflow), *DRAWN, "--slow", *order, "--out", str(tmp_path / "out")]
    assert cli.main(typed) == 0
    case = read_case(tmp_path / "out/case_00000")[0]
    lungs = np.isin(ids, [n for name, n in maisi_ids().items() if name.startswith("lung_") or name == "heart"])
    planes = np.flatnonzero(lungs.any(axis=(0, 1)))
    low = round((planes[0] + planes[-1]) / 2 - 15.5)
    wanted = (ids[:, :, low : low + 32] > 0) & (ids[:, :, low : low + 32] != MAISI_BODY)
    assert np.array_equal(case.organs.ids > 0, wanted) and 0 < low < 32
    field = np.diag([4.0, 4.0, 4.0, 1.0])
    field[:3, 3] = -126
    plan = read_plan((tmp_path / "out/case_00000/plan.json").read_text())
    assert isinstance(plan, PeerPlan)
    top = np.zeros_like(ids)
    top[20:30, 10:20, 60:64] = maisi_ids()["heart"]
    assert np.allclose(drawn_masks._middle(top, field, plan), [4 * (24.5 - 31.5), 4 * (14.5 - 31.5), 64])


def test_what_cannot_be_asked_of_the_mask_model(
    rflow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path.library, "device", lambda: torch.device("cpu"))

    def said(*more: str, prompt: str = "chest CT", code: int = 2) -> str:
        assert made(rflow, tmp_path / "out", *more, prompt=prompt) == code and not (tmp_path / "out").exists()
        line = capsys.readouterr().err.strip()
        assert "\n" not in line
        return line

    assert "--masks drawn on a CPU: a mask takes about" in said()
    assert "wait for it with --slow, run on a GPU, or say --masks ours" in said()
    assert "about 490 minutes of a core (31 with --mask-steps 50); wait" in said_of_all_steps(rflow, tmp_path, capsys)
    for elsewhere in ("CT of the neck", "CT head", "CT of the pelvis"):
        line = said("--slow", prompt=elsewhere)
        assert f"'{elsewhere}' with --masks drawn: MAISI's mask model" in line and "chest, abdomen, chest and" in line
    assert "field of 512 mm from feet to head with --masks drawn" in said("--slow", "--slice-mm", "8")
    assert "--mask-steps: is of MAISI's mask model; say --masks drawn" in said("--masks", "ours")
    (rflow / TABLES[1]).parent.mkdir()
    (rflow / TABLES[1]).write_text("[1, 2")
    try:
        assert "all_anatomy_size_conditions.json: not JSON" in said("--slow")
    finally:
        shutil.rmtree((rflow / TABLES[1]).parent)
    typed = ["generate", PROMPT, *GRID, "--out", str(tmp_path / "out")]
    assert cli.main([*typed, "--slow"]) == 2 and "--size: is for other people's weights" in capsys.readouterr().err
    assert cli.main(["generate", PROMPT, "--mask-steps", "3", "--out", str(tmp_path / "out")]) == 2
    assert "--mask-steps: is for other people's weights" in capsys.readouterr().err


def said_of_all_steps(model: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["generate", "chest CT", "--model", str(model), *DRAWN[:2], *GRID, "--out", str(folder / "o")]) == 2
    return capsys.readouterr().err


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def one_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def changed(key: str, change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def spoil(file: Path) -> None:
        content = torch.load(file, weights_only=True)
        change(content[key] if key else content)
        torch.save(content, file)

    return spoil


def later(file: Path) -> None:
    tensors = {**maisi_files.mask_unet(19).state_dict(), "spacing_layer.0.weight": torch.ones(4, 3)}
    torch.save({"unet_state_dict": tensors}, file)


SPOILT: list[tuple[str, Callable[[Path], None], str]] = [
    (CODER, Path.unlink, "no autoencoder of masks of MAISI among"),
    (UNET, Path.unlink, "no diffusion U-Net of masks of MAISI among"),
    (UNET, later, "mask_generation_diffusion_unet.pt (diffusion U-Net of masks of a later release"),
    (UNET, cut, "mask_generation_diffusion_unet.pt: no whole file of torch"),
    (CODER, cut, "mask_generation_autoencoder.pt: no whole file of torch"),
    (UNET, one_bit, "is not what its checksum says); copy it again"),
    (UNET, lambda file: file.write_bytes(pickle.dumps({"a": 1})), "no file of torch"),
    (UNET, lambda file: torch.save({"unet_state_dict": {"a": Path}}, file), "holds more than tensors"),
    (UNET, changed("", lambda c: c.pop("scale_factor")), "no scale_factor beside the U-Net"),
    (UNET, changed("unet_state_dict", lambda t: t.pop("out.0.bias")), "is no diffusion U-Net of masks of MAISI"),
    (UNET, changed("unet_state_dict", lambda t: t["out.0.bias"].fill_(torch.inf)), "holds NaN or infinite weights"),
    (CODER, changed("", lambda t: t.update(more=torch.ones(1))), "is no autoencoder of masks of MAISI"),
    (UNET, lambda file: shutil.copy(file, file.with_name("more.pt")), "are both its diffusion U-Net of masks"),
    (UNET, lambda file: shutil.copy(file, file.parent / Path(CODER).name), "is called autoencoder of masks and holds"),
]  # type: ignore[list-item]


@pytest.mark.parametrize(("name", "spoil", "said"), SPOILT, ids=[f"{n[23:27]} {said[:40]}" for n, _, said in SPOILT])
def test_files_of_masks_that_are_not_right_are_refused_in_one_line(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    masks: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    spoil: Callable[[Path], None],
    said: str,
) -> None:
    spoil(folder / name)
    monkeypatch.undo()
    monkeypatch.setattr(mask_model, "SIDE", 16)
    monkeypatch.setattr(mask_model, "MM", chest.MM)
    assert made(folder, tmp_path / "out", "--slow") == 2 and not (tmp_path / "out").exists()
    line = capsys.readouterr().err.strip()
    assert said in line and "\n" not in line


def test_names_that_say_no_network_are_taken_and_exchanged_ones_are_not(folder: Path) -> None:
    (folder / CODER).rename(folder / "aside")
    (folder / UNET).rename(folder / "models/one.pt")
    (folder / "aside").rename(folder / "models/another.pt")
    peer = Maisi.open(folder)
    peer.require_masks()
    assert peer.files["mask_unet"].path.name == "one.pt" and peer.mask_scale() == maisi_files.MASK_SCALE
    (folder / "models/one.pt").rename(folder / CODER)
    with pytest.raises(InputError, match="is called autoencoder of masks and holds diffusion U-Net of masks"):
        Maisi.open(folder)


def test_imported_weights_are_the_same_with_scale_and_sizes(folder: Path, tmp_path: Path) -> None:
    (folder / "configs").mkdir()
    patients = [{"organ_size": [0.1, 0.2, 0.3, 0.4, 0.5, *[-1] * 5]}]
    (folder / TABLES[4]).write_text(json.dumps(patients))
    assert cli.main(["weights", "import", str(folder), str(tmp_path / "in"), "--licence", "Some Licence 1.0"]) == 0
    before, after = Maisi.open(folder), Maisi.open(tmp_path / "in")
    assert after.mask_scale() == before.mask_scale() == maisi_files.MASK_SCALE
    recorded = json.loads((tmp_path / "in/peer.json").read_text())["files"]
    for role in ("mask_unet", "mask_autoencoder"):
        assert recorded[role]["source"]["sha256"] == before.files[role].sha256()  # type: ignore[index]
        tensors, wanted = after.files[role].tensors(), before.files[role].tensors()  # type: ignore[index]
        assert all(torch.equal(tensors[name], tensor) for name, tensor in wanted.items())
    assert json.loads((tmp_path / "in" / TABLES[0]).read_text()) == patients


def test_plans_of_before_are_read_and_written_as_they_were(rflow: Path, tmp_path: Path) -> None:
    """A plan without a mask model speaks of none."""
    from prompts import CaseRequest

    plan = PeerPlan(
        **{"case": "case_00000", "seed": 1, "request": CaseRequest(prompt="CT"), "peer": "maisi", "variant": "rflow"},
        **{"weights": {}, "size": (64, 64, 64), "spacing_mm": (4.0, 4.0, 4.0), "steps": 1, "masks": "ours"},
    )
    assert "mask_" not in plan.to_json() and read_plan(plan.to_json()) == plan and "masks" not in plan.seeds()
