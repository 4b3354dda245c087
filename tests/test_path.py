"""The whole path with tiny random networks: the same words and seed give the same files, or one line and nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from synth import cli, pipeline
from synth.case import attempts
from synth.case import folder as case_folder
from synth.case.folder import FILES, read_case
from synth.case.lesion_weights import ROLE, of_plan
from synth.case.plan import CasePlan, read_plan
from synth.case.weights_folder import WEIGHTS_ENV, Weights
from synth.draw import findings as inserting
from synth.draw import generated as drawing
from synth.errors import InputError
from synth.models.text import text_encoder
from synth.progress import Progress
from synth.provenance import Check, sha256_of_file
from synth.volumes import nifti
from synth.volumes.types import Case, LabelMap
from tests import hosts, networks

pytestmark = pytest.mark.usefixtures("tiny_path")

PROMPT = "CT of the head and neck, non-contrast, with a 70 Gy target on the left side"
NODULE = "14 mm solid nodule in the right upper lobe"
BAD = Check("larynx_ml", 0.0, 1.0, 2.0)


def generate(out: Path, **options: int) -> list[Path]:
    return pipeline.generate(PROMPT, out=out, seed=1, spacing=8.0, **options)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of change of every file: what writing the same bytes again would alter."""
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in folder.iterdir()}


@pytest.fixture(scope="module")
def pair(tiny_path: None, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Cases 0 and 1 of a set."""
    return generate(tmp_path_factory.mktemp("set"), count=2)


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return hosts.write_chest(tmp_path_factory.mktemp("host"))


@pytest.fixture(scope="module")
def inserted(tiny_path: None, chest: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pipeline.insert(*chest, NODULE, seed=2, out=tmp_path_factory.mktemp("inserted"))


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_generated_cases_are_complete_and_differ(pair: list[Path]) -> None:
    assert [folder.name for folder in pair] == ["case_00000", "case_00001"]
    cases = []
    for folder in pair:
        assert sorted(content(folder)) == sorted(FILES)
        case, plan, report, manifest = read_case(folder)
        assert case.ct.hu.shape == (64, 40, 48) and case.ct.hu.std() > 0
        assert plan["request"]["prompt"] == PROMPT and report["sentences"]
        assert manifest["checks"] and set(manifest["weights"]) == {"shape", "base", "refine", "prior", "region"}
        cases.append(case)
    assert not np.array_equal(cases[0].ct.hu, cases[1].ct.hu)
    assert sorted(pair[0].parent.iterdir()) == pair  # and nothing beside them


def test_the_same_command_again_leaves_the_files_alone(pair: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    before = [state(folder) for folder in pair]
    monkeypatch.setattr(drawing, "draw_case", None)  # drawing anything would fail
    assert generate(pair[0].parent, count=2) == pair
    assert [state(folder) for folder in pair] == before


@pytest.mark.slow
def test_another_folder_gets_the_same_bytes_and_so_does_a_case_alone(pair: list[Path], tmp_path: Path) -> None:
    for folder, again in zip(pair, generate(tmp_path / "again", count=2), strict=True):
        assert content(again) == content(folder)
    (alone,) = generate(tmp_path / "alone", start=1)
    assert content(alone) == content(pair[1])


def test_thick_slices_are_means_of_those_that_were_drawn(pair: list[Path], tmp_path: Path) -> None:
    (folder,) = pipeline.generate(PROMPT, out=tmp_path, seed=1, spacing=8.0, slice_mm=16.0)
    (thick, plan, _, manifest), thin = read_case(folder), read_case(pair[0])[0]
    assert thick.ct.hu.shape == (64, 40, 24) and tuple(thick.ct.spacing) == (8, 8, 16)
    means = thin.ct.hu.astype(float).reshape(64, 40, 24, 2).mean(axis=3)
    assert np.abs(thick.ct.hu - means).max() <= 0.5
    assert plan["scanner"]["slice_mm"] == 16 and manifest["command"].endswith("--slice-mm 16")
    before = state(folder)
    assert pipeline.generate(PROMPT, out=tmp_path, seed=1, spacing=8.0, slice_mm=16.0) == [folder]
    assert state(folder) == before


def test_slices_thinner_than_the_voxels_are_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="slice_mm 3: the volume has 48 slices of 8 mm"):
        pipeline.generate(PROMPT, out=tmp_path / "none", spacing=8.0, slice_mm=3.0)
    assert not (tmp_path / "none").exists()


def test_another_seed_is_another_case_and_only_its_folder_is_printed(
    pair: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text_encoder.cache_clear()  # a fresh process loads it, without a word
    assert cli.main(["generate", PROMPT, "--seed", "2", "--spacing", "8", "--out", str(tmp_path)]) == 0
    said = capfd.readouterr()
    assert said.out == f"{tmp_path / 'case_00000'}\n" and said.err.count("\n") == 1  # how it was read
    other = content(tmp_path / "case_00000")
    assert all(other[name] != content(pair[0])[name] for name in ("plan.json", "ct.nii.gz", "preview.png"))


@pytest.mark.parametrize("count", [1, 2])
def test_a_plan_replays_bit_for_bit_on_any_number_of_threads(
    pair: list[Path], threads: Callable[[int], None], count: int
) -> None:
    plan = read_plan((pair[0] / "plan.json").read_text())
    threads(count)
    case, stored = drawing.draw_case(plan, Weights.covering(None), Progress(quiet=True)), read_case(pair[0])[0]
    np.testing.assert_array_equal(case.ct.hu, stored.ct.hu)
    np.testing.assert_array_equal(case.organs.ids, stored.organs.ids)
    np.testing.assert_array_equal(case.lesions.ids, stored.lesions.ids)


def test_a_set_with_a_case_missing_is_completed(pair: list[Path], tmp_path: Path) -> None:
    (first,) = generate(tmp_path)
    before = state(first)
    folders = generate(tmp_path, count=2)
    assert state(first) == before and content(folders[1]) == content(pair[1])


def rejecting(times: int) -> Callable[[Case, CasePlan], list[Check]]:
    seen: list[int] = []

    def check(case: Case, plan: CasePlan, *_: object) -> list[Check]:
        seen.append(plan.attempt)
        return [BAD] if len(seen) <= times else [Check("larynx_ml", 1.5, 1.0, 2.0)]

    return check


def test_a_rejected_draw_is_drawn_again_and_says_so(
    pair: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "check_generated", rejecting(1))
    (folder,) = generate(tmp_path)
    case, plan, _, manifest = read_case(folder)
    assert (plan["attempt"], manifest["attempts"]) == (1, 2)
    assert [check["ok"] for check in manifest["checks"]] == [True]
    assert not np.array_equal(case.ct.hu, read_case(pair[0])[0].ct.hu)  # another draw, not the same one again
    monkeypatch.setattr(drawing, "draw_case", None)
    assert generate(tmp_path) == [folder]  # complete: a second attempt is this case as well as a first one


def test_a_second_attempt_with_a_file_missing_is_repaired(
    pair: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = read_case(pair[0])[0]
    monkeypatch.setattr(drawing, "draw_case", lambda plan, weights, progress: stored)
    monkeypatch.setattr(drawing, "check_generated", rejecting(1))
    (folder,) = generate(tmp_path)
    whole = content(folder)
    (folder / "ct.nii.gz").unlink()
    monkeypatch.setattr(drawing, "check_generated", rejecting(1))
    assert content(generate(tmp_path)[0]) == whole
    assert json.loads(whole["plan.json"])["attempt"] == 1


def test_a_case_that_is_always_rejected_is_one_error_and_no_folder(
    pair: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    stored = read_case(pair[0])[0]
    monkeypatch.setattr(drawing, "draw_case", lambda plan, *_: (drawn.append(plan.base_seed), stored)[1])
    monkeypatch.setattr(drawing, "check_generated", rejecting(99))
    with pytest.raises(InputError, match=r"case_00000: drawn 10 times .* larynx_ml = 0 is not within 1 to 2; ask for"):
        generate(tmp_path / "out")
    assert len(set(drawn)) == attempts.MAX_ATTEMPTS == 10
    assert not (tmp_path / "out").exists()


def test_a_rejected_case_does_not_keep_the_next_from_being_drawn(
    pair: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = read_case(pair[0])[0]
    monkeypatch.setattr(drawing, "draw_case", lambda plan, weights, progress: stored)
    monkeypatch.setattr(drawing, "check_generated", rejecting(attempts.MAX_ATTEMPTS))
    with pytest.raises(InputError, match=r"case_00000: drawn 10 times .* \(1 of 2 cases are in "):
        pipeline.generate(PROMPT, count=2, seed=3, spacing=8.0, out=tmp_path)
    assert [folder.name for folder in tmp_path.iterdir()] == ["case_00001"]


def no_space(path: Path, volume: LabelMap) -> None:
    path.write_bytes(b"half of it")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "where", ["synth.case.finish.render", "synth.volumes.nifti.write_labels", "synth.report.write"]
)
def test_an_interrupt_leaves_nothing_behind(
    pair: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    stored = read_case(pair[0])[0]
    monkeypatch.setattr(drawing, "draw_case", lambda plan, weights, progress: stored)
    with monkeypatch.context() as patch:
        patch.setattr(where, interrupted)
        with pytest.raises(KeyboardInterrupt):
            generate(tmp_path)
        assert list(tmp_path.iterdir()) == []
    assert content(generate(tmp_path)[0]) == content(pair[0])


def test_what_a_killed_process_left_is_gone_after_the_next_run(
    pair: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL lets nothing clean up: the hidden folder stays, and the case is not there."""
    stored = read_case(pair[0])[0]
    monkeypatch.setattr(drawing, "draw_case", lambda plan, weights, progress: stored)
    child = os.fork()
    if child == 0:
        try:
            monkeypatch.setattr(case_folder.provenance, "sha256", lambda content: os._exit(9))
            generate(tmp_path)
        finally:
            os._exit(1)  # whatever happens, the copy of pytest ends here
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    (left,) = tmp_path.iterdir()
    assert left.match(".case_00000.*.partial")
    (folder,) = generate(tmp_path)
    assert list(tmp_path.iterdir()) == [folder] and content(folder) == content(pair[0])


def test_a_full_disk_is_one_line_and_nothing_is_left(
    pair: list[Path],
    chest: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stored = read_case(pair[0])[0]
    monkeypatch.setattr(drawing, "draw_case", lambda plan, weights, progress: stored)
    monkeypatch.setattr(nifti, "write_labels", no_space)
    host, organs = map(str, chest)
    for arguments in (["generate", PROMPT, "--spacing", "8"], ["insert", host, NODULE, "--organs", organs]):
        assert cli.main([*arguments, "--out", str(tmp_path)]) == 2
        err = capsys.readouterr().err
        assert (
            "no space left on the disk; free some space or choose another --out (nothing is left half-written)" in err
        )
        assert err.count("\n") == 1 and list(tmp_path.iterdir()) == []


def test_an_inserted_case_is_complete_and_on_the_hosts_grid(inserted: Path, chest: tuple[Path, Path]) -> None:
    assert inserted.name == "chest_00002" and sorted(content(inserted)) == sorted(FILES)
    case, plan, _, manifest = read_case(inserted)
    host, organs = hosts.chest()
    np.testing.assert_allclose(case.ct.affine, hosts.AFFINE)
    np.testing.assert_array_equal(case.organs.ids, organs.ids)
    assert set(manifest["weights"]) == {"refine"} and set(manifest["inputs"]) == {"ct", "organs"}
    assert all(check["ok"] for check in manifest["checks"]) and len(manifest["checks"]) == 4
    assert case.lesions.names == {1: "lung_nodule_1"} and plan["lesions"][0]["size_mm"] == 14.0


def test_outside_the_ball_the_host_is_bit_equal(inserted: Path) -> None:
    case, host = read_case(inserted)[0], hosts.chest()[0]
    (lesion,) = read_plan((inserted / "plan.json").read_text()).lesions
    offset = np.indices(host.hu.shape).transpose(1, 2, 3, 0) - lesion.centre
    inside = np.linalg.norm(offset * host.spacing, axis=-1) <= lesion.ball_mm
    np.testing.assert_array_equal(case.ct.hu[~inside], host.hu[~inside])
    assert (case.ct.hu != host.hu).sum() > 60 and not (case.lesions.ids[~inside]).any()
    assert (case.organs.names[int(case.organs.ids[lesion.centre])]) == "lung_upper_lobe_right"


def test_inserting_again_gives_the_same_bytes(inserted: Path, chest: tuple[Path, Path], tmp_path: Path) -> None:
    again = pipeline.insert(*chest, NODULE, seed=2, out=tmp_path)
    assert content(again) == content(inserted)
    before = state(again)
    assert pipeline.insert(*chest, NODULE, seed=2, out=tmp_path) == again and state(again) == before


def test_the_report_names_what_was_measured(inserted: Path) -> None:
    case, _, report, _ = read_case(inserted)
    (sentence,) = [s for s in report["sentences"] if s["id"] == "lung_nodule_1"]
    facts = sentence["facts"]
    assert facts["long_axis_mm"] == pytest.approx(14.0, abs=2.5)  # a voxel
    assert (facts["organ"], facts["side"], facts["segment"]) == ("lung", "right", "upper")
    voxel_ml = float(np.prod([2.0, 2.5, 3.0])) / 1000
    assert facts["volume_ml"] == pytest.approx((case.lesions.ids == 1).sum() * voxel_ml, rel=0.02)
    text = (inserted / "report.txt").read_text()
    assert f"{round(facts['long_axis_mm'])} x " in text and "right upper lobe" in text.lower()


def test_check_holds_until_a_voxel_changes(
    inserted: Path, chest: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pipeline.insert(*chest, NODULE, seed=2, out=tmp_path)
    assert cli.main(["check", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder}: holds\n"
    lesions = read_case(folder)[0].lesions
    ids = lesions.ids.copy()
    ids[tuple(np.argwhere(ids)[0])] = 0
    nifti.write_labels(folder / "lesions.nii.gz", LabelMap(ids, lesions.affine, lesions.names))
    assert cli.main(["check", str(folder)]) == 1
    text = json.loads((folder / "report.json").read_text())["sentences"]
    sentence = next(s["text"] for s in text if s["id"] == "lung_nodule_1")
    out = capsys.readouterr().out
    assert f"{folder}: lung_nodule_1: '{sentence}' does not hold: " in out and "voxels is stated" in out
    assert f"{folder}: lesions.nii.gz changed since the case was written" in out
    (folder / "plan.json").write_text('{"door": "insert"}')
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["plan.json"]["sha256"] = sha256_of_file(folder / "plan.json")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert cli.main(["check", str(folder)]) == 1
    assert f"{folder}: plan.json: " in capsys.readouterr().out


def test_an_insertion_that_was_drawn_again_says_so(
    chest: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inserting, "check_inserted", rejecting(1))
    manifest = read_case(pipeline.insert(*chest, NODULE, seed=2, out=tmp_path))[3]
    assert manifest["attempts"] == 2


def test_a_lesion_that_came_out_too_long_is_not_written(
    chest: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inserting, "check_inserted", lambda *_: [Check("lung_nodule_1_long_axis_mm", 20, 12, 16)])
    said = "long_axis_mm = 20 is not within 12 to 16; ask for less, or try another --seed"
    with pytest.raises(InputError, match=said):
        pipeline.insert(*chest, NODULE, seed=2, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_organ_ids_of_another_table(chest: tuple[Path, Path], tmp_path: Path) -> None:
    host, organs = hosts.chest()
    own = LabelMap((organs.ids > 0).astype(np.uint8) * 3, organs.affine, {3: "lung_upper_lobe_right"})
    only = organs.mask("lung_upper_lobe_right")
    nifti.write_labels(tmp_path / "own.nii.gz", LabelMap(np.where(only, own.ids, 0), own.affine, own.names))
    folder = pipeline.insert(
        chest[0], tmp_path / "own.nii.gz", NODULE, seed=2, out=tmp_path, organ_ids={3: "lung_upper_lobe_right"}
    )
    case, *_, manifest = read_case(folder)
    assert (
        case.organs.names == {3: "lung_upper_lobe_right"}
        and "--organ-ids 3=lung_upper_lobe_right" in manifest["command"]
    )
    assert only[case.lesions.ids > 0].all()


@pytest.fixture
def lesion_weights(tmp_path: Path) -> Path:
    """Weights as `synthct train lesion` leaves them."""
    folder = tmp_path / "mine" / "lesion"
    networks.refine(seed=7).save_pretrained(folder)
    return folder


def test_lesion_weights_draw_the_inside_and_are_on_record(
    inserted: Path, chest: tuple[Path, Path], tmp_path: Path, lesion_weights: Path
) -> None:
    arguments = ["insert", str(chest[0]), NODULE, "--organs", str(chest[1]), "--seed", "2", "--twin"]
    given = ["--lesion-weights", str(lesion_weights)]
    assert cli.main([*arguments, *given, "--out", str(tmp_path / "out")]) == 0
    folder = tmp_path / "out" / inserted.name
    case, plan, _, manifest = read_case(folder)
    digest = sha256_of_file(lesion_weights / "diffusion_pytorch_model.safetensors")
    assert plan["lesion_weights_sha256"] == manifest["weights"]["lesion"]["sha256"] == digest
    assert set(manifest["weights"]) == {"lesion"} and set(manifest["inputs"]) == {"ct", "organs"}
    assert "--lesion-weights lesion" in manifest["command"]
    plain = read_case(inserted)
    assert "lesion_weights_sha256" not in plain[1] and set(plain[3]["weights"]) == {"refine"}
    differs = case.ct.hu != plain[0].ct.hu
    assert differs.any() and not differs[~_near(case.lesions.ids > 0)].any()


def _near(mask: np.ndarray) -> np.ndarray:
    """A lesion and the soft edge round it."""
    near: np.ndarray = ndimage.binary_dilation(mask, iterations=6)
    return near


def test_lesion_weights_are_found_beside_the_others(
    chest: tuple[Path, Path], tmp_path: Path, lesion_weights: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = pipeline.insert(*chest, NODULE, seed=2, out=tmp_path / "a", lesion_weights=lesion_weights)
    shutil.copytree(tiny_weights / "refine", lesion_weights.parent / "refine")
    monkeypatch.setenv(WEIGHTS_ENV, str(lesion_weights.parent))
    found = pipeline.insert(*chest, NODULE, seed=2, out=tmp_path / "b")
    assert content(found)["ct.nii.gz"] == content(given)["ct.nii.gz"]
    assert content(found)["plan.json"] == content(given)["plan.json"]


def test_lesion_weights_that_are_not_there_are_one_line(
    chest: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["insert", str(chest[0]), NODULE, "--organs", str(chest[1]), "--out", str(tmp_path / "out")]
    assert cli.main([*arguments, "--lesion-weights", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--lesion-weights" in line and "synthct train lesion" in line
    assert not (tmp_path / "out").exists()


def test_a_plan_replays_with_its_own_lesion_weights_alone(lesion_weights: Path, tiny_weights: Path) -> None:
    file = lesion_weights / "diffusion_pytorch_model.safetensors"
    digest = sha256_of_file(file)
    assert of_plan(None, {ROLE: file}) is None and of_plan(digest, {ROLE: file}) == file
    with pytest.raises(InputError, match="give --lesion-weights"):
        of_plan(digest, {})
    with pytest.raises(InputError, match="not the lesion weights of the plan"):
        of_plan(digest, {ROLE: tiny_weights / "refine" / file.name})
