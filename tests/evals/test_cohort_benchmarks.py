"""The clock of the throughput benchmark, and the pieces of the kill test."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.benchmarks import kill_verbs, kills, throughput
from synth.failure import ended


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


def test_logs_are_compared_without_the_time_that_they_tell(tmp_path: Path) -> None:
    for name, seconds, loss in (("a", 1.5, 2.0), ("b", 7.25, 2.0), ("c", 1.5, 2.1)):
        (tmp_path / name / ".run").mkdir(parents=True)
        (tmp_path / name / "log.jsonl").write_text(json.dumps({"step": 1, "seconds": seconds, "loss": loss}) + "\n")
        (tmp_path / name / ".run/lock").write_text(name)
    a, b, c = (kill_verbs.files_of(tmp_path / name) for name in "abc")
    assert kill_verbs.differ(a, b) == [] and kill_verbs.differ(a, c) == ["log.jsonl differs"]
    assert kill_verbs.differ(a, {}) == ["log.jsonl differs"]


@pytest.mark.parametrize(("grows", "said"), [(False, "x.json half-visible"), (True, "damaged")])
def test_what_is_half_visible_after_a_kill_is_seen(tmp_path: Path, grows: bool, said: str) -> None:
    """A verb that writes a file bit by bit under its own name is caught."""
    code = (
        "import pathlib, sys, time\n"
        "out = pathlib.Path(sys.argv[1]); (out / 'weights').mkdir(parents=True, exist_ok=True)\n"
        "(out / 'weights/a.safetensors').write_text('half'); (out / 'x.json').write_text('half')\n"
        "time.sleep(60)"
    )

    class Slow(kill_verbs.VerbTrial):
        def start(self, out: Path) -> Any:
            started = subprocess.Popen([sys.executable, "-c", code, str(out)], start_new_session=True)
            while not (out / "x.json").is_file():
                time.sleep(0.01)
            if self.kills:  # the run that is to finish
                kills.kill([started])
                started = subprocess.Popen([sys.executable, "-c", ""])
            return started

    rng = np.random.default_rng(2)  # one kill in a row
    trial = Slow("slow", kill_verbs.Verb(lambda *_: [], grows), tmp_path, tmp_path, rng, seconds=0.1)
    trial.one({"x.json": b"whole"}, 0)
    assert trial.kills >= 1 and any(said in line for line in trial.wrong)


@pytest.mark.parametrize(("options", "reason"), [(["--engines", "dask"], "dask"), (["--kills", "1"], "--kills 1")])
def test_the_kill_test_refuses(
    tmp_path: Path, options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(kills.main, "kills", ["--out", str(tmp_path / "new"), *options]) == 2
    assert reason in capsys.readouterr().err


def test_the_kill_test_of_verbs_refuses_one_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(kill_verbs.main, "kill_verbs", ["--out", str(tmp_path / "new"), "--verbs", "insert,paint"]) == 2
    assert "--verbs paint: say some of generate,insert," in capsys.readouterr().err
