"""The clock of the throughput benchmark, and the pieces of the kill test."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from evals.benchmarks import kills, throughput


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_step_inside_another_is_taken_off_it() -> None:
    clock = throughput.Clock()
    inner = clock.timed("inner", lambda: burn(0.05))

    def work() -> None:
        burn(0.02)
        inner()
        inner()

    clock.timed("outer", work)()
    assert clock.seconds["inner"] == pytest.approx(0.1, rel=0.2)
    assert clock.seconds["outer"] == pytest.approx(0.02, abs=0.015)


def test_every_step_that_is_timed_exists() -> None:
    for names in throughput._STEPS.values():
        for name in names:
            holder, attribute = throughput._found(name)
            assert callable(getattr(holder, attribute)), name


def test_growth_is_the_slope_after_the_first_cases() -> None:
    growth = throughput._growth([100.0, 150.0, 200.0, 200.0, 202.0, 204.0, 206.0, 208.0])
    assert growth["slope_a_case"] == pytest.approx(1.6, abs=0.2) and growth["most"] == 208


def test_files_that_differ_or_are_missing_are_found(tmp_path: Path) -> None:
    for name, files in {"a": {"x": "1", "y": "2", "z": "3"}, "b": {"x": "1", "y": "0", ".c.partial": ""}}.items():
        (tmp_path / name / ".run").mkdir(parents=True)
        (tmp_path / name / ".run/run.lock").write_text(name)
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    assert kills.differ(tmp_path / "a", tmp_path / "b") == [".c.partial", "y", "z"]


def test_killing_takes_what_was_started_too(tmp_path: Path) -> None:
    child = "import time; time.sleep(60)"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]).wait()"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    end = time.monotonic() + 30
    while len(found := kills.descendants([process])) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    assert len(found) == 2
    kills.kill([process])
    while any(Path(f"/proc/{number}/cmdline").exists() and Path(f"/proc/{number}/cmdline").read_bytes()
              for number in found) and time.monotonic() < end:  # fmt: skip
        time.sleep(0.05)
    assert not any(child.encode() in Path(p).read_bytes() for n in found if Path(p := f"/proc/{n}/cmdline").exists())


@pytest.mark.parametrize(("options", "reason"), [(["--engines", "dask"], "dask"), (["--kills", "1"], "--kills 1")])
def test_the_kill_test_refuses(
    tmp_path: Path, options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kills.main(["--out", str(tmp_path / "new"), *options]) == 2
    assert reason in capsys.readouterr().err
