"""Ray and Slurm (submitit on this machine) make the same set; what dies on the way costs its case alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from synth import cli
from synth.cohort import engine, layout
from synth.errors import InputError
from tests.cohort.conftest import files_of, write_hosts, write_recipe

pytestmark = [pytest.mark.usefixtures("quick"), pytest.mark.slow]


@pytest.fixture(scope="module")
def plain(quick: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with hosts, a recipe without previews (a worker would draw them), and the set that one process makes."""
    folder = tmp_path_factory.mktemp("engines")
    write_hosts(folder / "hosts")
    write_recipe(folder, previews=False)
    assert engine.run(folder / "recipe.yaml", folder / "finished", quiet=True).finished
    return folder


@pytest.fixture
def ray_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ray of this machine that is ended again, and no other one."""
    pytest.importorskip("ray", reason="Ray is not installed; pip install 'synthct[ray]'")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")  # a busy machine takes its time


def actors() -> list[int]:
    """Processes of this user's Ray that hold an actor of ours."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and (folder / "comm").read_text().startswith("ray::CaseActor"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_ray_makes_the_same_set_though_an_actor_is_killed(plain: Path, tmp_path: Path, ray_alone: None) -> None:
    from synth.cohort import on_ray

    killed: list[int] = []
    whole = on_ray._made

    def made(ray: Any, done: Any) -> Any:
        if not killed and (found := actors()):
            os.kill(found[0], signal.SIGKILL)  # while it draws the next case
            killed.append(found[0])
        return whole(ray, done)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_ray, "_made", made)
        outcome = on_ray.run(plain / "recipe.yaml", tmp_path / "out", workers=2, retry=False, quiet=True)
    assert killed and outcome.finished and (outcome.complete, outcome.given_up) == (6, 0)
    assert files_of(tmp_path / "out") == files_of(plain / "finished")


def test_a_case_that_kills_its_actor_is_given_up_and_no_other(plain: Path, tmp_path: Path, ray_alone: None) -> None:
    from synth.cohort import on_ray

    class Deadly(on_ray.CaseActor):
        def make(self, index: int) -> Any:
            if index == 2:
                os._exit(1)
            return super().make(index)

    recipe = write_recipe(plain / "lenient", previews=False, max_failures=0.5, hosts={"folder": "../hosts"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_ray, "CaseActor", Deadly)
        outcome = on_ray.run(recipe, tmp_path / "out", workers=2, retry=False, quiet=True)
    assert (outcome.complete, outcome.given_up) == (5, 1) and layout.given_up(tmp_path / "out") == ["case_00002"]
    assert "its worker died" in next(iter(outcome.tally.rejections))


@pytest.mark.parametrize(("why", "refused"), [("raised in its creation task, x\nInputError: no weights", True),
                                              ("killed", False)])  # fmt: skip
def test_an_actor_that_cannot_start_is_told_from_one_that_died(why: str, refused: bool) -> None:
    exceptions = pytest.importorskip("ray.exceptions", reason="Ray is not installed; pip install 'synthct[ray]'")
    from synth.cohort import on_ray

    class Died(exceptions.ActorDiedError):  # type: ignore[misc, name-defined]
        def __str__(self) -> str:
            return f"The actor died because of an error {why}"

    class Ray:
        def __init__(self) -> None:
            self.exceptions = exceptions

        def get(self, _done: Any) -> Any:
            raise Died()

    if refused:
        with pytest.raises(InputError, match="no worker can start: InputError: no weights"):
            on_ray._made(Ray(), None)
    else:
        assert on_ray._made(Ray(), None) is None


def test_slurm_jobs_make_the_same_set(plain: Path, tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed; pip install 'synthct[slurm]'")
    command = ["cohort", str(plain / "recipe.yaml"), "--out", str(tmp_path / "out"), "-q"]
    assert cli.main([*command, "--engine", "slurm", "--workers", "2", "--slurm", "cluster=local"]) == 0
    assert files_of(tmp_path / "out") == files_of(plain / "finished")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--engine", "slurm", "--workers", "2"], "no sbatch here"),
        (["--engine", "slurm"], "--workers"),
        (["--engine", "slurm", "--workers", "2", "--slurm", "cluster"], "is not KEY=VALUE"),
        (["--engine", "slurm", "--workers", "2", "--slurm", "cluster=local", "--slurm", "hours=2"], "hours"),
        (["--workers", "2"], "--engine"),
        (["--engine", "ray", "--only", "1"], "--only"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    plain: Path, tmp_path: Path, options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed; pip install 'synthct[slurm]'")
    assert cli.main(["cohort", str(plain / "recipe.yaml"), "--out", str(tmp_path / "out"), *options]) == 2
    assert reason in capsys.readouterr().err
