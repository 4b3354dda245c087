"""The engine: the same set for any number of processes, any order and any interruption; and what goes wrong."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from synth import cli
from synth.case import folder as case_folder
from synth.cohort import dry_run, engine, layout, worker
from synth.cohort.draw import Attempt, DrawnCase
from synth.cohort.engine import Outcome
from synth.cohort.planning import PlannedCase
from synth.cohort.progress import Tally
from synth.draw import findings as inserting
from synth.errors import InputError, OutputError
from synth.volumes import nifti
from synth.volumes.types import LabelMap
from tests.cohort.conftest import RECIPE, files_of, write_hosts, write_recipe

pytestmark = pytest.mark.usefixtures("quick")
DESCRIBING = {layout.TABLE, layout.COHORT, layout.CARD, layout.CHECKSUMS}


def run(recipe: Path, out: Path, **options: Any) -> Outcome:
    return engine.run(recipe, out, quiet=True, **options)


def as_process(monkeypatch: pytest.MonkeyPatch, rank: int, world: int) -> None:
    for name, value in {"RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "here", "MASTER_PORT": 1}.items():
        monkeypatch.setenv(name, str(value))


def test_a_finished_cohort_holds_what_was_asked(finished: Path) -> None:
    cohort = json.loads((finished / "cohort.json").read_text())
    assert cohort["cases"] == {"asked": 6, "complete": 6, "twins": 0, "quarantined": 0, "draws": 6}
    assert all(row["asked"] == row["made"] for row in cohort["quotas"])
    sides = {row["value"]: row["measured"] for row in cohort["quotas"] if row["quota"] == "lung nodule: side"}
    assert sides == {"left": 2, "right": 2}
    assert sum(cohort["split"].values()) == 6 and all(cohort["split"].values())
    card = (finished / "README.md").read_text()
    assert "6 cases of 6 asked for" in card and "/preview.png)" in card
    assert "| lung nodule: side | left | 2 | 2 | 2 |" in card


def test_the_table_has_a_row_a_case_with_what_was_measured(finished: Path) -> None:
    rows = pq.read_table(finished / "cases.parquet").to_pylist()
    assert [row["case"] for row in rows] == [f"case_{i:05d}" for i in range(6)]
    for row in rows:
        case = case_folder.read_case(finished / "cases" / row["case"])[0]
        assert row["number_of_lesions"] == len(case.lesions.present()) == len(row["lesions"]) == (not row["healthy"])
        liver = next(organ for organ in row["organs"] if organ["name"] == "liver")
        assert liver["volume_ml"] == pytest.approx(case.organs.mask("liver").sum() * case.ct.voxel_ml, rel=1e-3)
    assert {row["host"] for row in rows} == {"host0", "host1", "host2"}


def test_no_host_stands_in_two_parts(finished: Path) -> None:
    parts: dict[str, set[str]] = {}
    for row in pq.read_table(finished / "cases.parquet").to_pylist():
        parts.setdefault(row["host"], set()).add(row["split"])
    assert all(len(found) == 1 for found in parts.values()) and len(set.union(*parts.values())) == 2


def test_a_healthy_case_is_its_host(finished: Path, place: Path) -> None:
    rows = [row for row in pq.read_table(finished / "cases.parquet").to_pylist() if row["healthy"]]
    assert len(rows) == 2
    for row in rows:
        host = nifti.read_volume(place / "hosts" / row["host"] / "ct.nii.gz")
        np.testing.assert_array_equal(case_folder.read_case(finished / "cases" / row["case"])[0].ct.hu, host.hu)


def test_two_processes_in_any_order_make_the_same_set(
    finished: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_process(monkeypatch, 1, 2)
    outcome = run(place / "recipe.yaml", tmp_path / "out")
    assert (outcome.complete, outcome.missing, outcome.finished) == (3, 3, False)
    assert not (tmp_path / "out/checksums.sha256").exists()
    as_process(monkeypatch, 0, 2)
    assert run(place / "recipe.yaml", tmp_path / "out").finished
    assert files_of(tmp_path / "out") == files_of(finished)


def forked(recipe: Path, out: Path, rank: int = 0, world: int = 1) -> int:
    """The engine in a process of its own, which is the one that a test may kill."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        torch.set_num_threads(1)  # the threads of the parent's OpenMP are not there in a fork
        os.environ.update({"RANK": str(rank), "WORLD_SIZE": str(world), "MASTER_PORT": str(world)})
        run(recipe, out)
        code = 0
    finally:
        os._exit(code)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_killed_at_any_moment_and_resumed_by_any_number(
    finished: Path, place: Path, tmp_path: Path, world: int
) -> None:
    out, moments = tmp_path / "out", np.random.default_rng(world)
    for _ in range(4):
        children = [forked(place / "recipe.yaml", out, rank, world) for rank in range(world)]
        time.sleep(float(moments.uniform(0.05, 0.8)))
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)
    children = [forked(place / "recipe.yaml", out, rank, world) for rank in range(world)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * world
    assert files_of(out) == files_of(finished)


def test_two_runs_at_once_are_one_and_a_line(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = forked(place / "recipe.yaml", tmp_path / "out")
    while not (tmp_path / "out/recipe.json").exists():
        time.sleep(0.01)
    os.kill(first, signal.SIGSTOP)
    try:
        assert cli.main(["cohort", str(place / "recipe.yaml"), "--out", str(tmp_path / "out")]) == 2
        assert "another run is at work there; wait for it" in capsys.readouterr().err
    finally:
        os.kill(first, signal.SIGCONT)
    assert os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) == 0


def copy_of(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def test_the_same_command_again_changes_nothing(
    finished: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = copy_of(finished, tmp_path)
    monkeypatch.setattr(worker, "draw", None)  # drawing anything would fail
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if path.is_file() and ".run" not in path.parts}
    assert run(place / "recipe.yaml", out).finished
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.parametrize("damage", ["missing", "cut", "folder"])
def test_a_damaged_case_is_made_again(finished: Path, place: Path, tmp_path: Path, damage: str) -> None:
    out = copy_of(finished, tmp_path)
    ct = out / "cases/case_00003/ct.nii.gz"
    if damage == "missing":
        ct.unlink()
    elif damage == "cut":
        ct.write_bytes(ct.read_bytes()[:-9])
    else:
        shutil.rmtree(ct.parent)
    (out / "checksums.sha256").unlink(missing_ok=True)
    assert run(place / "recipe.yaml", out).finished
    assert files_of(out) == files_of(finished)


def test_one_case_alone_is_that_of_the_set(finished: Path, place: Path, tmp_path: Path) -> None:
    outcome = run(place / "recipe.yaml", tmp_path / "out", only=4)
    assert (outcome.complete, outcome.missing) == (1, 5)
    name = "cases/case_00004"
    assert files_of(tmp_path / "out" / name) == files_of(finished / name)
    with pytest.raises(InputError, match="--only 6: the recipe has cases 0 to 5"):
        run(place / "recipe.yaml", tmp_path / "out", only=6)


def test_a_folder_of_another_recipe_or_of_something_else_is_refused(
    finished: Path, place: Path, tmp_path: Path
) -> None:
    other = write_recipe(place / "other", seed=9, hosts={"folder": "../hosts"})
    with pytest.raises(InputError, match=r"made otherwise \(recipe: seed differ\)"):
        run(other, finished)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"is not empty \(notes.txt\) and no cohort"):
        run(place / "recipe.yaml", tmp_path)
    with pytest.raises(InputError, match="is a file"):
        run(place / "recipe.yaml", tmp_path / "notes.txt")


def with_bad_hosts(folder: Path, **changes: Any) -> Path:
    """Three good hosts, one cut short, one with NaN."""
    write_hosts(folder / "hosts")
    shutil.copytree(folder / "hosts/host0", folder / "hosts/torn")
    torn = folder / "hosts/torn/ct.nii.gz"
    torn.write_bytes(torn.read_bytes()[:3000])
    shutil.copytree(folder / "hosts/host0", folder / "hosts/nan")
    import nibabel as nib

    image = nib.load(folder / "hosts/host0/ct.nii.gz")
    values = image.get_fdata(dtype=np.float32)
    values[2, 2, 2] = np.nan
    nib.save(nib.Nifti1Image(values, image.affine), folder / "hosts/nan/ct.nii.gz")
    return write_recipe(folder, number=5, **changes)


def test_bad_hosts_cost_an_attempt_and_no_case_and_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = with_bad_hosts(tmp_path, attempts=3)
    assert cli.main(["cohort", str(recipe), "--out", str(tmp_path / "out"), "-q"]) == 0
    said = capsys.readouterr()
    assert "5 cases complete, 0 in quarantine, finished" in said.out
    assert said.err.count("note: host nan is passed over, it cannot be read: ct.nii.gz: 1 voxels are NaN") == 1
    assert said.err.count("note: host torn is passed over, it cannot be read: ct.nii.gz: damaged gzip") == 1
    assert not {row["host"] for row in pq.read_table(tmp_path / "out/cases.parquet").to_pylist()} & {"torn", "nan"}


def test_a_case_that_fails_is_in_quarantine_and_tried_again_when_asked(tmp_path: Path) -> None:
    recipe = with_bad_hosts(tmp_path, attempts=1, max_failures=0.5)
    outcome = run(recipe, tmp_path / "out")
    assert outcome.finished and (outcome.complete, outcome.given_up) == (3, 2)
    names = layout.given_up(tmp_path / "out")
    kept = {
        r["attempts"][0]["host"]: r
        for r in (json.loads((tmp_path / f"out/quarantine/{n}.json").read_text()) for n in names)
    }
    assert "damaged gzip" in kept["torn"]["attempts"][0]["reason"] and "NaN" in kept["nan"]["attempts"][0]["reason"]
    assert all("prompt" in record["request"] for record in kept.values())
    assert run(recipe, tmp_path / "out").given_up == 2  # left alone
    for name in ("torn", "nan"):
        shutil.copy(tmp_path / "hosts/host1/ct.nii.gz", tmp_path / "hosts" / name / "ct.nii.gz")
    outcome = run(recipe, tmp_path / "out", retry=True)
    assert outcome.finished and (outcome.complete, outcome.given_up) == (5, 0)
    assert cli.main(["verify", str(tmp_path / "out")]) == 0


def test_too_many_failures_stop_with_a_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write_recipe(
        tmp_path,
        number=40,
        healthy=0,
        attempts=1,
        max_failures=0.2,
        findings=[
            {"organ": "lung", "kind": "nodule", "size_mm": "140-150"},
        ],
    )
    write_hosts(tmp_path / "hosts", 1)
    assert cli.main(["cohort", str(recipe), "--out", str(tmp_path / "out"), "-q"]) == 1
    err = capsys.readouterr().err
    assert "synthct: stopped: " in err and "the largest that fits" in err and "max_failures 0.2" in err
    assert 3 <= len(layout.given_up(tmp_path / "out")) <= 8  # long before 40 have failed
    assert not (tmp_path / "out/checksums.sha256").exists()


def test_a_cohort_without_a_host_that_can_be_read_counts_what_it_gave_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = with_bad_hosts(tmp_path, attempts=2)
    for good in ("host0", "host1", "host2"):
        shutil.rmtree(tmp_path / "hosts" / good, ignore_errors=True)
    assert cli.main(["cohort", str(recipe), "--out", str(tmp_path / "out"), "-q"]) == 1
    failed = len(layout.given_up(tmp_path / "out"))
    assert f"stopped: {tmp_path / 'out'}: {failed} of {failed} cases failed" in capsys.readouterr().err


def test_reasons_keep_the_numbers_that_they_have_in_common() -> None:
    def failed(*reasons: str) -> Tally:
        tally = Tally(1)
        tally.reject(DrawnCase(cast(PlannedCase, None), None, tuple(Attempt(reason) for reason in reasons)))
        return tally

    tally = failed("12 mm of 3 mm; dcm2niix", "-7.5 mm of 3 mm; dcm2niix", "no room")
    assert tally.reasons() == "2 x # mm of 3 mm; dcm2niix; 1 x no room"
    tally.add(failed("0 mm of 4 mm; dcm2niix"))
    assert tally.reasons(width=11) == "3 x # mm of # …; 1 x no room"


def test_a_defect_of_one_case_stops_no_other(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = inserting.draft_inserted

    def broken(plan: Any, *arguments: Any, **options: Any) -> Any:
        if plan.case == "case_00002":
            raise ZeroDivisionError("ours")
        return whole(plan, *arguments, **options)

    monkeypatch.setattr(inserting, "draft_inserted", broken)
    recipe = write_recipe(place / "lenient", hosts={"folder": "../hosts"}, max_failures=0.5)
    outcome = run(recipe, tmp_path / "out")
    assert (outcome.complete, outcome.given_up) == (5, 1)
    record = json.loads((tmp_path / "out/quarantine/case_00002.json").read_text())
    assert (
        record["attempts"][0]["defect"]
        and "ZeroDivisionError: ours (test_engine.py:" in record["attempts"][0]["reason"]
    )
    assert record["attempts"][0]["plan"]["lesions"] is not None


def test_a_full_disk_stops_the_run_and_loses_nothing(
    finished: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = nifti.write_labels

    def full(path: Path, labels: LabelMap) -> None:
        if "case_00002" in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        written(path, labels)

    with monkeypatch.context() as patch:
        patch.setattr(nifti, "write_labels", full)
        assert cli.main(["cohort", str(place / "recipe.yaml"), "--out", str(tmp_path / "out"), "-q"]) == 2
    assert "case_00002: no space left on the disk; free some space" in capsys.readouterr().err
    assert "case_00002" not in layout.complete(tmp_path / "out") and not layout.given_up(tmp_path / "out")
    assert run(place / "recipe.yaml", tmp_path / "out").finished
    assert files_of(tmp_path / "out") == files_of(finished)


def test_a_disk_that_is_full_at_the_tables_leaves_no_half_a_table(
    finished: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, rows: Any) -> None:
        path.write_bytes(b"PAR1")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    shutil.copytree(finished, tmp_path / "out", ignore=lambda _, names: {n for n in names if n in DESCRIBING})
    with monkeypatch.context() as patch:
        patch.setattr("synth.cohort.finalise.write_table", full)
        assert cli.main(["cohort", str(place / "recipe.yaml"), "--out", str(tmp_path / "out"), "-q"]) == 2
    err = capsys.readouterr().err
    assert "cases.parquet: no space left on the disk" in err and err.count("\n") == 1
    assert "6 cases are complete and stay; run the same command again to go on" in err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"cases", "recipe.json", ".run"}
    assert run(place / "recipe.yaml", tmp_path / "out").finished
    assert files_of(tmp_path / "out") == files_of(finished)


def test_a_folder_that_cannot_be_written_is_a_line(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def read_only(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return opened(path, flags, *rest, **named)

    monkeypatch.setattr("synth.cohort.locks.os.open", read_only)
    with pytest.raises(OutputError, match="out: cannot be written .Read-only file system.; choose another --out"):
        run(place / "recipe.yaml", tmp_path / "out")


def test_dry_run_counts_the_cases_that_are_given_up(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = engine.plan_of(place / "recipe.yaml")
    real = dry_run.draw

    def slow_and_failing(of: Any, case: Any, progress: Any) -> Any:
        if case.index == 0:
            time.sleep(0.5)
            return DrawnCase(case, None, (Attempt("no room"),) * 2)
        return real(of, case, progress)

    monkeypatch.setattr(dry_run, "draw", slow_and_failing)
    cost = dry_run.measure(plan)
    assert cost.name == plan[1].name and len(cost.wasted) == 1 and cost.wasted[0] >= 0.5
    assert cost.seconds_a_case == pytest.approx((cost.seconds + cost.wasted[0]) / 2)
    assert "and 1 before it were given up after 0.5 s" in cost.told()


def test_dry_run_says_what_it_would_make_and_makes_nothing(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["cohort", str(place / "recipe.yaml"), "--out", str(tmp_path / "out")]
    assert cli.main([*arguments, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert (
        "small: 6 cases, into 3 hosts" in out
        and "lung nodule: side: " in out
        and "disk: about" in out
        and "time:" in out
    )
    assert cli.main([*arguments, "--list"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["case"] for row in rows] == [f"case_{i:05d}" for i in range(RECIPE["number"])]
    assert not (tmp_path / "out").exists()
