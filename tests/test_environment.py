"""A user without a passwd entry and without a home, and a file system without locks: everyday on clusters."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from evals.benchmarks.made_up import write_set
from evals.benchmarks.small_cohort import write_inputs
from synth import cli
from tests.hosts import write_chest

ROOT = Path(__file__).parents[1]
PROMPT = "12 mm solid nodule in the right upper lobe"
NOBODY = ["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups"]
# the interpreter may lie below another user's home: it may be read, nothing else
READS = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that any user may write into: those of pytest are their maker's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="becomes another user, as root alone can")
@pytest.mark.parametrize("home", [None, "/usr"])  # which is there, and cannot be written into
def test_a_user_without_a_name_or_a_home(open_to_all: Path, home: str | None) -> None:
    ct, labels = write_chest(open_to_all / "host")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"HOME": home} if home else {}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [*NOBODY, *READS, sys.executable, "-m", "synth.cli", *map(str, arguments)]
        return subprocess.run(words, env=environment, cwd=open_to_all, capture_output=True, text=True)

    done = run("insert", ct, PROMPT, "--organs", labels, "--trust-labels", "--out", "out", "-q")
    assert done.returncode == 0, done.stderr
    assert (open_to_all / "out/chest_00000/manifest.json").stat().st_uid == 54321
    assert "Matplotlib" not in done.stderr and "Traceback" not in done.stderr
    compared = run("evaluate", "fidelity", "--real", ct.parent, "--synthetic", ct.parent, "--out", "e", "-q")
    assert compared.returncode == 2 and compared.stderr.count("error:") == 1
    sets = [word for role in ("real", "synthetic") for word in (f"--{role}", write_set(open_to_all / role, range(6)))]
    measured = run("evaluate", "fidelity", *sets, "--metrics", "hu", "--resamples", 20, "--out", "f", "-q")
    if home is not None:
        assert measured.returncode == 0 and "features are not kept" in measured.stderr
    else:
        assert measured.returncode == 2 and "no home folder" in measured.stderr
        for verb in (
            ["generate", "CT of the chest", "--spacing", 8, "--out", "drawn"],
            ["cohort", write_inputs(open_to_all / "small", 1), "--out", "cohort"],
            ["evaluate", "fidelity", *sets, "--metrics", "hu", "--resamples", 20, "--cache", "cache", "--out", "f"],
        ):
            made = run(*verb, "-q")
            assert made.returncode == 0, made.stderr
        assert (open_to_all / "drawn/case_00000/manifest.json").stat().st_uid == 54321
        assert (open_to_all / "cohort/checksums.sha256").is_file() and (open_to_all / "f/fidelity.json").is_file()
        assert "no home folder to keep features in; set $SYNTHCT_CACHE or give --cache" in compared.stderr


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    ct, labels = write_chest(tmp_path / "host")
    given = [str(ct), PROMPT, "--organs", str(labels), "--trust-labels", "--out", str(tmp_path / "out"), "-q"]
    for _ in range(2):  # the second finds it complete
        assert cli.main(["insert", *given]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["chest_00000"]
    for _ in range(2):
        assert cli.main(["cohort", str(write_inputs(tmp_path, 1)), "--out", str(tmp_path / "set"), "-q"]) == 0
