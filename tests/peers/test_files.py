"""MAISI's files: recognised by their tensors under any name, imported, refused in one line where they are not right."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from synth import cli
from synth.errors import InputError
from synth.peers import networks
from synth.peers.maisi import Maisi
from tests.peers import maisi_files

CPU = torch.device("cpu")
UNET, CONTROL, CODER = (maisi_files.NV_RFLOW[role] for role in ("unet", "controlnet", "autoencoder"))


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return maisi_files.save(tmp_path_factory.mktemp("nv"), "rflow")


@pytest.fixture
def folder(released: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(released, tmp_path / "weights"))


@pytest.mark.parametrize("naming", maisi_files.NAMINGS)
def test_it_is_known_under_each_of_its_namings(tmp_path: Path, naming: str) -> None:
    peer = Maisi.open(maisi_files.save(tmp_path, naming))
    variant = maisi_files.VARIANTS[naming]
    assert (peer.variant, peer.scale_factor) == (variant, 1.25)
    assert {role: held.path.name for role, held in peer.files.items()} == {
        role: Path(name).name for role, name in maisi_files.NAMINGS[naming].items()
    }
    for role, model in (("unet", maisi_files.unet(variant)), ("controlnet", maisi_files.controlnet(variant))):
        loaded = peer.network(role, CPU).state_dict()  # type: ignore[arg-type]
        assert all(torch.equal(loaded[name], tensor) for name, tensor in model.state_dict().items())


def test_names_that_say_no_network_are_taken(folder: Path) -> None:
    for name, other in ((CODER, "b.pt"), (UNET, "c.pt"), (CONTROL, "a.pt")):
        (folder / name).rename(folder / "models" / other)
    peer = Maisi.open(folder)
    assert peer.files["unet"].path.name == "c.pt" and peer.takes_masks
    peer.network("unet", CPU)


def exchanged(folder: Path, one: str, other: str) -> Path:
    """The file that has the other's name now."""
    (folder / one).rename(folder / "aside"), (folder / other).rename(folder / one)
    return (folder / "aside").rename(folder / other)


@pytest.mark.parametrize(
    ("one", "other"), [(CODER, UNET), (UNET, CONTROL), (CONTROL, CODER)], ids=lambda name: Path(name).stem
)
def test_exchanged_files_are_refused_in_one_line(folder: Path, one: str, other: str) -> None:
    exchanged(folder, one, other)
    with pytest.raises(InputError, match="exchanged or renamed: name each as it was released") as error:
        Maisi.open(folder)
    assert "\n" not in str(error.value) and str(folder / "models") in str(error.value)


@pytest.mark.parametrize(
    ("name", "renamed", "said"),
    [
        (UNET, "controlnet_3d_rflow-ct.pt", "is called ControlNet and holds diffusion U-Net;"),
        (UNET, "diff_unet_3d_ddpm-ct.pt", "is called of variant ddpm and holds one of rflow;"),
        (UNET, "mask_generation_diffusion_unet.pt", "is called diffusion U-Net of masks and holds diffusion U-Net;"),
        (CODER, "mask_generation_autoencoder.pt", "is called autoencoder of masks and holds autoencoder of CT;"),
        (CONTROL, "diff_unet_ckpt_epoch19350.pt", "is called diffusion U-Net and holds ControlNet;"),
    ],
)
def test_a_file_called_another_network_is_refused(folder: Path, name: str, renamed: str, said: str) -> None:
    (folder / CONTROL).unlink() if name != CONTROL else None
    (folder / name).rename(folder / "models" / renamed)
    with pytest.raises(InputError, match=said):
        Maisi.open(folder)


def test_numbers_of_the_released_networks_are_read_off_their_tensors() -> None:
    """Of full size, without memory: what NVIDIA's configuration says is what the shapes of the tensors say."""
    from monai.apps.generation.maisi.networks.autoencoderkl_maisi import AutoencoderKlMaisi
    from monai.apps.generation.maisi.networks.diffusion_model_unet_maisi import DiffusionModelUNetMaisi

    from evals.benchmarks import maisi
    from synth.peers.files import Held

    with torch.device("meta"):
        unet, coder = DiffusionModelUNetMaisi(**maisi.UNET), AutoencoderKlMaisi(**maisi.AUTOENCODER)
    shapes = {name: tuple(tensor.shape) for name, tensor in unet.state_dict().items()}
    read = networks.unet_numbers(Held(Path("unet.pt"), "unet", "rflow", shapes), CPU)
    assert {name: read[name] for name in maisi.UNET} == maisi.UNET and len(shapes) == 435
    shapes = {name: tuple(tensor.shape) for name, tensor in coder.state_dict().items()}
    read = networks.autoencoder_numbers(shapes, CPU)
    same = set(maisi.AUTOENCODER) - {"dim_split"}  # of memory alone
    assert {name: read[name] for name in same} == {name: maisi.AUTOENCODER[name] for name in same} and len(
        shapes
    ) == 130


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut(folder: Path) -> None:
    content = (folder / UNET).read_bytes()
    (folder / UNET).write_bytes(content[: len(content) // 2])


def pickled(folder: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.mkdir, (folder / "ran",))  # type: ignore[return-value]

    torch.save({"unet_state_dict": Bomb()}, folder / UNET)


def bare_pickle(folder: Path) -> None:
    (folder / UNET).write_bytes(pickle.dumps({"unet_state_dict": {}}))


def changed(name: str, key: str, change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        content = torch.load(folder / name, weights_only=True)
        change(content[key] if key else content)
        torch.save(content, folder / name)

    return spoil


def no_scale(folder: Path) -> None:
    content = torch.load(folder / UNET, weights_only=True)
    torch.save(content["unet_state_dict"], folder / UNET)


def another_variant(folder: Path) -> None:
    (folder / CONTROL).unlink()
    torch.save({"controlnet_state_dict": maisi_files.controlnet("ddpm").state_dict()}, folder / "models/control.pt")


def twice(folder: Path) -> None:
    shutil.copy(folder / UNET, folder / "models/unet_again.pt")


def pointer(folder: Path) -> None:
    (folder / UNET).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def a_page(folder: Path) -> None:
    (folder / UNET).write_text("<html>404 not found</html>")


def no_bytes(folder: Path) -> None:
    (folder / UNET).write_bytes(b"")


def link_to_nothing(folder: Path) -> None:
    (folder / UNET).unlink()
    (folder / UNET).symlink_to(folder / "blobs/fetched_never")


def one_bit(folder: Path) -> None:
    content = bytearray((folder / UNET).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / UNET).write_bytes(content)


def of_complex_numbers(tensors: dict[str, torch.Tensor]) -> None:
    tensors["out.0.bias"] = tensors["out.0.bias"].to(torch.complex64)


SPOILT: list[tuple[Callable[[Path], None], str]] = [
    (without(UNET), "no diffusion U-Net of MAISI among autoencoder_v1.pt (autoencoder of CT)"),
    (without(CODER), "no autoencoder of CT of MAISI among"),
    (cut, "no whole file of torch"),
    (pickled, "holds more than tensors"),
    (bare_pickle, "no file of torch"),
    (pointer, "is the pointer of a large file, not the file; fetch it (git lfs pull)"),
    (a_page, "diff_unet_3d_rflow-ct.pt: no file of torch; copy it again"),
    (no_bytes, "diff_unet_3d_rflow-ct.pt: is empty; copy it again"),
    (link_to_nothing, "diff_unet_3d_rflow-ct.pt: no such file"),
    (one_bit, "is not what its checksum says); copy it again"),
    (no_scale, "no scale_factor beside the U-Net"),
    (another_variant, "the U-Net is of variant rflow, the ControlNet control.pt of ddpm"),
    (twice, "are both its diffusion U-Net; keep one"),
    (changed(UNET, "unet_state_dict", of_complex_numbers), "'out.0.bias' is of complex64, no weights"),
    (changed(UNET, "unet_state_dict", lambda t: t.pop("out.0.bias")), "is no diffusion U-Net of MAISI"),
    (changed(UNET, "unet_state_dict", lambda t: t.update(more=torch.ones(1))), "is no diffusion U-Net of MAISI"),
    (changed(UNET, "unet_state_dict", lambda t: t["out.0.bias"].fill_(torch.nan)), "holds NaN or infinite weights"),
    (
        changed(CODER, "", lambda t: t.update({"decoder.blocks.1.norm1.weight": torch.ones(7)})),
        "is no autoencoder of CT of MAISI",
    ),
    (changed(UNET, "", lambda t: t.update(scale_factor=torch.tensor(-1.0))), "scale_factor is -1"),
]


@pytest.mark.parametrize(("spoil", "said"), SPOILT, ids=[said for _, said in SPOILT])
def test_files_that_are_not_right_are_refused_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], said: str
) -> None:
    spoil(folder)
    typed = ["generate", "chest CT", "--model", str(folder), "--masks", "none", "--size", "64,64,64", "--spacing", "4"]
    assert cli.main([*typed, "--steps", "1", "--out", str(tmp_path / "out"), "-q"]) == 2
    line = capsys.readouterr().err.strip()
    assert said in line and line.count("\n") == 0
    typed = ["weights", "import", str(folder), str(tmp_path / "out"), "--licence", "Some Licence 1.0"]
    assert cli.main(typed) == 2 and said in capsys.readouterr().err
    assert not (tmp_path / "out").exists() and not (folder / "ran").exists()


def test_a_file_of_before_zips_is_read(folder: Path) -> None:
    content = torch.load(folder / UNET, weights_only=True)
    torch.save(content, folder / UNET, _use_new_zipfile_serialization=False)
    loaded = Maisi.open(folder).network("unet", CPU).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in content["unet_state_dict"].items())


def test_no_folder_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        Maisi.open(tmp_path / "none")
    with pytest.raises(InputError, match="among 0 files of weights"):
        Maisi.open(tmp_path)


def test_weights_of_something_else_are_told_from_its(tmp_path: Path) -> None:
    torch.save({f"layer{n}.weight": torch.ones(2) for n in range(20)}, tmp_path / "autoencoder_v1.pt")
    with pytest.raises(InputError, match="no autoencoder of CT of MAISI among 1 files"):
        Maisi.open(tmp_path)


@pytest.mark.parametrize("naming", ["rflow", "ddpm"])
def test_imported_weights_are_the_same_with_their_licence_and_hashes(tmp_path: Path, naming: str) -> None:
    source, out = maisi_files.save(tmp_path / "nv", naming), tmp_path / "imported"
    typed = ["weights", "import", str(source), str(out)]
    for said in ([], ["--licence", " "]):  # nothing says the licence
        assert cli.main([*typed, *said]) == 2 and not out.exists()
    assert cli.main([*typed, "--licence", "Some Licence 1.0"]) == 0
    before, after = Maisi.open(source), Maisi.open(out)
    assert (after.variant, after.scale_factor, after.licence) == (before.variant, 1.25, "Some Licence 1.0")
    for role, held in before.files.items():
        tensors = load_file(after.files[role].path)
        assert all(torch.equal(tensors[name], tensor) for name, tensor in held.tensors().items())
        assert held.sha256() in (out / "peer.json").read_text()
        after.network(role, CPU)


def test_an_imported_file_that_is_another_is_refused(released: Path, tmp_path: Path) -> None:
    out = tmp_path / "imported"
    (licensed := tmp_path / "licensed").mkdir()
    shutil.copytree(released / "models", licensed / "models")
    (licensed / "LICENSE").write_text("\nA Licence\nand its terms\n")
    assert cli.main(["weights", "import", str(licensed), str(out)]) == 0
    assert Maisi.open(out).licence == "A Licence" and (out / "LICENSE").is_file()
    unet = (out / "unet.safetensors").rename(out / "other.safetensors")
    assert Maisi.open(out).files["unet"].path == unet
    tensors = load_file(unet)
    tensors["out.0.bias"] += 1
    from safetensors.torch import save_file

    save_file(tensors, unet)
    with pytest.raises(InputError, match="is not the diffusion U-Net that peer.json recorded"):
        Maisi.open(out)
