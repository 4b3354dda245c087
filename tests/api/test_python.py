"""Python as a notebook uses it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import synth
from synth import cli
from synth.errors import InputError
from synth.volumes import nifti

PROMPT = "CT of the head and neck with a 70 Gy target on the left side"


@pytest.fixture(scope="module")
def case() -> Any:
    return synth.generate(PROMPT, seed=1, spacing=8, quiet=True)


def test_a_case_has_what_a_notebook_looks_at(case: Any) -> None:
    assert case.ct.hu.dtype == np.int16
    assert case.organs.mask("mandible").any()
    assert list(case.lesions.names.values()) == ["planning_target_70gy"]
    assert "IMPRESSION" in case.report.text()
    assert case.words["region"] == "head_neck"
    assert case.measure().targets[0].side == "left"
    assert case.show()._repr_png_().startswith(b"\x89PNG")
    assert case.folder is None


def test_a_kept_case_is_the_same_and_can_be_loaded(case: Any, tmp_path: Path) -> None:
    kept = synth.generate(PROMPT, seed=1, spacing=8, out=tmp_path, quiet=True)
    assert kept.folder == tmp_path / "case_00000"
    assert (kept.ct.hu == case.ct.hu).all()
    again = synth.load_case(kept.folder)
    assert (again.lesions.ids == case.lesions.ids).all()
    assert again.report == case.report


def test_help_names_units_errors_and_types() -> None:
    functions = [
        synth.generate,
        synth.insert,
        synth.adopt,
        synth.generate_with,
        synth.read,
        synth.scan,
        synth.radiograph,
        synth.load_case,
        synth.load_cohort,
    ]
    functions += [getattr(synth.evaluate, name) for name in ("fidelity", "memorization", "agreement")]
    functions += [synth.SynthCTPipeline.from_pretrained, synth.SynthCTPipeline.push_to_hub]
    for function in functions:
        said = " ".join(inspect.getdoc(function).split())
        assert "Raises" in said, function
        assert inspect.signature(function).return_annotation != inspect.Signature.empty
        for name, parameter in inspect.signature(function).parameters.items():
            assert parameter.annotation != inspect.Parameter.empty or name == "self", (function, name)
    for function in (synth.generate, synth.radiograph):
        assert " mm" in inspect.getdoc(function)
    for function in (
        *(synth.generate, synth.insert, synth.scan, synth.radiograph),
        *(synth.adopt, synth.generate_with),
    ):
        said = inspect.getdoc(function).split("Args:")[1]
        assert [name for name in inspect.signature(function).parameters if name not in said] == []
    assert {"generate", "insert", "read", "evaluate"} <= set(dir(synth))


def test_import_is_quick_and_without_torch() -> None:
    code = (
        "import sys, time; start = time.process_time(); import synth; taken = time.process_time() - start;"
        "sys.exit(f'took {taken:.2f} s' if taken > 0.2 else 'torch' in sys.modules and 'imports torch')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_scans_and_films_are_those_of_the_commands(case: Any, tmp_path: Path) -> None:
    low = synth.scan(case, dose=0.25, seed=3)
    assert low.ct.hu.shape == case.ct.hu.shape and (low.ct.hu != case.ct.hu).any() and low.clean is case.ct
    kept = synth.generate(PROMPT, seed=1, spacing=8, out=tmp_path, quiet=True)
    assert (
        cli.main(["scan", str(kept.folder), "--dose", "0.25", "--seed", "3", "--out", str(tmp_path / "o"), "-q"]) == 0
    )
    written = nifti.read_volume(tmp_path / "o/case_00000/scan.nii.gz", plausible=False)
    assert (written.hu == low.ct.hu).all()
    assert (synth.scan(kept.folder, dose=0.25, seed=3).ct.hu == low.ct.hu).all()
    with pytest.raises(InputError, match="scan: dose: Input should be less than or equal to 1"):
        synth.scan(case, dose=2)
    pytest.importorskip("nanodrr", reason="the extra xray is not installed")
    film = synth.radiograph(case, "lateral", detector=64)
    assert film.film.pixels.shape == (64, 64) and film.paths["mandible"].max() > 5
    assert (
        cli.main(["xray", str(kept.folder), "--view", "lateral", "--detector", "64", "--out", str(tmp_path / "x")]) == 0
    )
    with Image.open(tmp_path / "x/case_00000/lateral.png") as picture:
        assert (np.asarray(picture) == film.film.pixels).all()


def test_reading_says_what_is_drawn_and_what_not() -> None:
    reading = synth.read("chest CT with a 9 mm nodule in the left upper lobe and a hiatal hernia")
    assert [finding.kind for finding in reading.drawn] == ["nodule"]
    assert [finding.kind for finding in reading.noted] == ["hiatal hernia"]


def test_bad_input_is_the_error_of_the_command() -> None:
    with pytest.raises(InputError, match="choose one of 8, 4, 2, 1 mm"):
        synth.generate(PROMPT, spacing=3)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: synth.generate(""), "the prompt is empty"),
        (lambda: synth.generate("blue bicycle"), "is understood: describe a CT"),
        (lambda: synth.generate(5), "a prompt is a text, not int"),
        (lambda: synth.generate(PROMPT, seed="a"), "seed 'a': is no whole number"),
        (lambda: synth.generate(PROMPT, index=1.5), "index 1.5: is no whole number"),
        (lambda: synth.insert("ct.nii.gz", "organs.nii.gz", None), "a prompt is a text, not NoneType"),
        (lambda: synth.read(" "), "the prompt is empty"),
        (lambda: synth.read("chest CT", door="window"), "door 'window': is none; say generate or insert"),
    ],
)
def test_what_cannot_be_asked_is_one_kind_of_error(call: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        call()
    assert "\n" not in str(error.value)


def test_a_case_is_shown_in_a_line_and_its_report_as_text(case: Any) -> None:
    assert repr(case).startswith("<OpenCase in memory: <Volume: ") and len(repr(case)) < 250
    assert "planning_target_70gy" in repr(case) and "of 8 x 8 x 8 mm" in repr(case.ct)
    assert "mandible" in repr(case.organs) and str(case.report) == case.report.text()


def test_a_saved_pipeline_draws_the_same_bits(case: Any, tmp_path: Path) -> None:
    folder = synth.SynthCTPipeline.from_pretrained("head_neck").save_pretrained(tmp_path / "weights")
    names = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert {"region.yaml", "prior.json", "README.md", "refine/diffusion_pytorch_model.safetensors"} <= names
    drawn = synth.SynthCTPipeline.from_pretrained(folder)(PROMPT, seed=1, spacing=8, quiet=True)
    assert (drawn.ct.hu == case.ct.hu).all()
    assert (drawn.organs.ids == case.organs.ids).all()
    with pytest.raises(InputError, match="is there already"):
        synth.SynthCTPipeline.from_pretrained(folder).save_pretrained(folder)


def test_what_is_pushed_can_be_pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local folder stands in for the hub."""
    hub = _Hub(tmp_path / "hub")
    monkeypatch.setattr("huggingface_hub.HfApi", lambda token=None: hub)
    monkeypatch.setattr("huggingface_hub.snapshot_download", hub.snapshot_download)
    synth.SynthCTPipeline.from_pretrained("torso").push_to_hub("lab/torso")
    pulled = synth.SynthCTPipeline.from_pretrained("lab/torso")
    assert pulled.weights.region.name == "torso"
    assert pulled.weights.hashes()["shape"] == synth.SynthCTPipeline.from_pretrained("torso").weights.hashes()["shape"]
    assert (hub.root / "lab/torso/README.md").read_text().startswith("---\n")


def test_a_repository_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> str:
        raise OSError("no such repository\nmore lines")

    monkeypatch.setattr("huggingface_hub.snapshot_download", missing)
    with pytest.raises(InputError, match=r"nobody/nothing.*no such repository\); give a folder") as error:
        synth.SynthCTPipeline.from_pretrained("nobody/nothing")
    assert "\n" not in str(error.value)


class _Hub:
    def __init__(self, root: Path) -> None:
        self.root = root

    def create_repo(self, name: str, private: bool, exist_ok: bool) -> None:
        (self.root / name).mkdir(parents=True, exist_ok=exist_ok)

    def upload_folder(self, repo_id: str, folder_path: Path) -> str:
        import shutil

        shutil.copytree(folder_path, self.root / repo_id, dirs_exist_ok=True)
        return repo_id

    def snapshot_download(self, name: str, allow_patterns: list[str]) -> str:
        return str(self.root / name)
