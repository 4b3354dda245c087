"""Weights: a whole folder loads; every damaged one is one line, and nothing in it is run."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from synth.case import library
from synth.case.weights_folder import LOOKS, Weights
from synth.errors import InputError
from synth.models.denoiser import Denoiser
from synth.models.parts import Part
from synth.models.tone import Tone
from synth.models.weights import load_model, load_tensors
from synth.torso.model import TorsoModel
from tests.networks import refine
from tests.regions import TORSO

FILE = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    refine().save_pretrained(folder)
    return folder


def changed(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / FILE)
    change(tensors)
    save_file(tensors, folder / FILE)


def configured(folder: Path, **values: object) -> None:
    (folder / "config.json").write_text(json.dumps(json.loads((folder / "config.json").read_text()) | values))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return print, ("EVIL",)


def pickled(folder: Path) -> None:
    (folder / FILE).unlink()
    (folder / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Evil()))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pickle in place of it": (pickled, "no such file"),
    "cut": (lambda f: (f / FILE).write_bytes((f / FILE).read_bytes()[:1000]), "damaged"),
    "empty": (lambda f: (f / FILE).write_bytes(b""), "damaged"),
    "junk": (lambda f: (f / FILE).write_bytes(b"\xff" * 64), "damaged"),
    "nan": (lambda f: changed(f, lambda t: next(iter(t.values())).fill_(torch.nan)), "NaN or infinite"),
    "missing": (lambda f: changed(f, lambda t: t.popitem()), "missing keys"),
    "left over": (lambda f: changed(f, lambda t: t.update(more=torch.zeros(1))), "unexpected keys"),
    "no config": (lambda f: (f / "config.json").unlink(), "no such file"),
    "config of text": (lambda f: (f / "config.json").write_text("[]"), "not a table"),
    "config that is cut": (lambda f: (f / "config.json").write_text("{"), "not JSON"),
    "other widths": (lambda f: configured(f, widths=[8, 16, 64]), "no weights of a Denoiser"),
    "huge widths": (lambda f: configured(f, widths=[10**9, 10**9, 10**9]), "more than the weights have"),
    "endless blocks": (lambda f: configured(f, blocks=[10**9, 1, 1]), "more than the weights have"),
    "widths of text": (lambda f: configured(f, widths="wide"), "widths is 'wide', no tuple"),
    "a spread of text": (lambda f: configured(f, data_sd="[31m"), "data_sd is .* no float"),
}


def test_what_was_saved_is_loaded(saved: Path) -> None:
    assert isinstance(load_model(Denoiser, saved), Denoiser)
    assert load_tensors(saved / FILE).keys() == load_file(saved / FILE).keys()


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_are_one_line(
    saved: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], damage: str
) -> None:
    for file in saved.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    change, said = DAMAGES[damage]
    change(tmp_path)
    with pytest.raises(InputError, match=said) as caught:
        load_model(Denoiser, tmp_path)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("part", ["shape", "base", "refine"])
def test_tensors_without_their_config_are_no_part_that_is_not_there(tmp_path: Path, part: Part) -> None:
    """Refine would be drawn by the one that ships, base and shape by none, and anatomy be blamed for it."""
    for name in ("shape", "base", "refine"):
        shutil.copytree(Weights.shipped().part(name), tmp_path / name)
    (tmp_path / part / "config.json").unlink()
    with pytest.raises(InputError, match=f"{part}/config.json: is missing beside {FILE}"):
        Weights.open(tmp_path).files()


def test_weights_that_changed_on_disk_are_read_again(saved: Path, tmp_path: Path) -> None:
    """A manifest names the hash of the file: what draws must be that file."""
    folder = Path(shutil.copytree(saved, tmp_path / "refine"))
    before = library.load_from(folder)
    assert library.load_from(folder) is before
    changed(folder, lambda t: next(iter(t.values())).add_(1))
    first = next(iter(load_file(folder / FILE)))
    assert torch.equal(library.load_from(folder).state_dict()[first].float(), load_file(folder / FILE)[first].float())
    (tmp_path / "tone.json").write_text("{}")
    library.load_tone(tmp_path / "tone.json")
    (tmp_path / "tone.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        library.load_tone(tmp_path / "tone.json")


@pytest.mark.parametrize("text", ["[]", "{", '{"4": [1]}', '{"x": [1]}', '{"4": null}', '{"4": [NaN]}'])
def test_damaged_tone_curves_are_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "tone.json").write_text(text)
    with pytest.raises(InputError, match="tone.json"):
        Tone.read(tmp_path / "tone.json")


@pytest.mark.parametrize("content", [b"", b"junk", b"\xfd7zXZ\0" + bytes(20)])
def test_a_damaged_torso_model_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LOOKS).write_bytes(content)
    with pytest.raises(InputError, match=LOOKS):
        TorsoModel.read(tmp_path / LOOKS, TORSO)
