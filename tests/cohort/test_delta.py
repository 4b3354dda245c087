"""A cohort kept as deltas is the cohort kept whole: small, provable, and restored to the same bytes."""

from __future__ import annotations

import shutil
from itertools import combinations, islice
from pathlib import Path

import numpy as np
import pytest
import torch

import synth
from synth import cli
from synth.case import folder as case_folder
from synth.case.folder import DELTA
from synth.cohort import StoreKind, delta, engine, layout
from synth.errors import InputError
from tests.cohort.conftest import files_of, write_recipe

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def kept(quick: None, place: Path) -> Path:
    """The cohort of `finished`, with --store delta. Not to be changed."""
    arguments = ["cohort", str(place / "recipe.yaml"), "--out", str(place / "kept"), "--store", "delta", "--quiet"]
    assert cli.main(arguments) == 0
    return place / "kept"


@pytest.fixture
def copy(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept, tmp_path / "copy"))


@pytest.fixture
def few(place: Path, tmp_path: Path) -> Path:
    """A recipe of two cases, each with a lesion, from the same hosts."""
    return write_recipe(tmp_path / "few", number=2, healthy=0.0, hosts={"folder": str(place / "hosts")})


@pytest.fixture
def renamed_hosts(place: Path, tmp_path: Path) -> Path:
    """The hosts elsewhere under other names, one behind a link, beside a file that is none and a link in a ring."""
    for number, host in enumerate(sorted((place / "hosts").iterdir())):
        for file in ("ct.nii.gz", "organs.nii.gz"):
            target = tmp_path / "elsewhere" / f"{number}" / f"{number}_{file}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(host / file, target)
    (tmp_path / "elsewhere" / "odd.nii.gz").write_bytes(b"nothing")
    (tmp_path / "elsewhere" / "0").rename(tmp_path / "behind")
    (tmp_path / "elsewhere" / "0").symlink_to(tmp_path / "behind")
    (tmp_path / "elsewhere" / "ring").symlink_to(tmp_path / "elsewhere")
    return tmp_path / "elsewhere"


def test_deltas_stand_for_the_volumes_and_everything_else_is_the_same(kept: Path, finished: Path) -> None:
    small, large = files_of(kept), files_of(finished)
    volumes = {name for name in large if name.endswith(delta.RESTORED)}
    deltas = {name for name in small if name.endswith(DELTA)}
    assert len(volumes) == 3 * len(deltas) > 0
    assert set(large) - volumes == set(small) - deltas
    assert all(small[name] == large[name] for name in set(small) - deltas - {layout.CHECKSUMS})
    assert list((kept / "cases").glob(".*")) == []
    patches, full = sum(len(small[name]) for name in deltas), sum(len(large[name]) for name in volumes)
    assert patches < 0.1 * full  # a tenth even of these tiny hosts


def test_materialize_gives_the_same_bytes_as_keeping_cases_whole(
    kept: Path, finished: Path, renamed_hosts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "full"
    arguments = ["materialize", str(kept), "--hosts", str(renamed_hosts), "--out", str(out), "--quiet"]
    assert cli.main(arguments) == 0 and capsys.readouterr().out.strip() == str(out)
    assert files_of(out) == files_of(finished)
    assert cli.main(["verify", str(out)]) == 0


def test_verify_restores_deltas_to_prove_them(
    kept: Path, renamed_hosts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", str(kept), "--hosts", str(renamed_hosts)]) == 0
    assert "holds" in capsys.readouterr().out
    assert cli.main(["verify", str(kept), "--quick"]) == 0
    assert cli.main(["verify", str(kept)]) == 2
    assert "keeps deltas; give --hosts" in capsys.readouterr().err


def test_a_delta_that_is_not_the_manifest_s_is_found(
    copy: Path, renamed_hosts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from synth.cohort.finalise import checksums

    one, other = (copy / "cases" / f"case_0000{i}" / DELTA for i in (0, 1))
    shutil.copyfile(other, one)
    assert cli.main(["verify", str(copy), "--quick"]) == 1
    assert f"case_00000/{DELTA}: changed" in capsys.readouterr().out
    (copy / layout.CHECKSUMS).write_text(checksums(copy))
    assert cli.main(["verify", str(copy), "--hosts", str(renamed_hosts)]) == 1
    assert "cannot be restored to the byte" in capsys.readouterr().out


def test_a_missing_host_is_one_line_and_leaves_nothing(
    kept: Path, renamed_hosts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in renamed_hosts.glob("*/*_ct.nii.gz"):
        file.write_bytes(b"another")
    arguments = ["materialize", str(kept), "--hosts", str(renamed_hosts), "--out", str(tmp_path / "full"), "--quiet"]
    assert cli.main(arguments) == 2
    assert "its host's ct.nii.gz (sha256" in capsys.readouterr().err
    assert not (tmp_path / "full").exists() and list(tmp_path.glob(".full*")) == []


def test_a_run_goes_on_as_it_was_begun(copy: Path, kept: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(place / "recipe.yaml")
    shutil.rmtree(copy / "cases" / "case_00003")
    (copy / "cases" / "case_00004" / DELTA).unlink()
    assert cli.main(["cohort", recipe, "--out", str(copy), "--store", "full", "--quiet"]) == 2
    assert "its cases are kept as delta; leave --store out" in capsys.readouterr().err
    assert engine.run(Path(recipe), copy, quiet=True).finished
    assert files_of(copy) == files_of(kept)


def test_a_case_that_is_cut_short_while_it_shrinks_is_drawn_again(
    copy: Path, kept: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(copy / "cases" / "case_00002")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("synth.cohort.patch.packed", killed)
        with pytest.raises(KeyboardInterrupt):
            engine.run(place / "recipe.yaml", copy, quiet=True)
    assert not (copy / "cases" / "case_00002").exists()
    assert engine.run(place / "recipe.yaml", copy, quiet=True).finished
    assert files_of(copy) == files_of(kept)


def test_deltas_are_loaded_as_whole_cases_are(kept: Path, finished: Path, renamed_hosts: Path) -> None:
    whole, small = synth.CohortDataset(finished), synth.CohortDataset(kept, hosts=renamed_hosts)
    assert len(whole) == len(small)
    for a, b in zip(whole, small, strict=True):
        assert a["case"] == b["case"] and a["split"] == b["split"]
        for name in ("image", "label", "organs", "affine"):
            assert torch.equal(a[name], b[name])
    with pytest.raises(InputError, match="give hosts="):
        synth.CohortDataset(kept)[0]


def test_what_reads_whole_cases_refuses_deltas(kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="run `synthct materialize`"):
        case_folder.read_case(kept / "cases" / "case_00000")
    assert cli.main(["export", str(kept), "--to", "nnunet", "--out", str(tmp_path)]) == 2
    assert "run `synthct materialize` and export its result" in capsys.readouterr().err


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    delta.choose(tmp_path, StoreKind.delta)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_stream_goes_on_for_ever_and_no_epoch_is_like_another(few: Path) -> None:
    """That the first epoch is the cohort: tests/cohort/test_verify_load.py."""
    drawn = list(islice(synth.CohortStream(few, epochs=None), 5))
    assert [item["epoch"] for item in drawn] == [0, 0, 1, 1, 2]
    assert [item["case"] for item in drawn[:2]] == [item["case"] for item in drawn[2:4]]
    labels = [item["label"].numpy() for item in drawn]
    assert all(label.any() for label in labels)
    assert not any(np.array_equal(a, b) for a, b in combinations(labels, 2))


def test_workers_share_a_stream_without_drawing_anything_twice_or_otherwise(few: Path) -> None:
    from torch.utils.data import DataLoader

    stream = synth.CohortStream(few, epochs=2)
    alone = {(item["epoch"], item["case"]): item["label"] for item in stream}
    loader = DataLoader(stream, batch_size=None, num_workers=2)
    together = [((item["epoch"], item["case"]), item["label"]) for item in loader]
    assert len(together) == len(alone) == len(dict(together))
    assert all(torch.equal(alone[key], label) for key, label in together)
