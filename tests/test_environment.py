"""A user without a passwd entry and without a home, and a file system without locks: everyday on clusters."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
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


_COMMANDS = """
import contextlib, io, json, sys
from synth import cli
for words in json.load(sys.stdin):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = cli.main(words)
    print(json.dumps([code, said.getvalue()]), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="becomes another user, as root alone can")
@pytest.mark.parametrize("home", [None, "/usr"])  # which is there, and cannot be written into
def test_a_user_without_a_name_or_a_home(open_to_all: Path, home: str | None) -> None:
    ct, labels = write_chest(open_to_all / "host")
    sets = [word for role in ("real", "synthetic") for word in (f"--{role}", write_set(open_to_all / role, range(6)))]
    compare = ["evaluate", "fidelity", *sets, "--metrics", "hu", "--resamples", 20]
    commands = [
        ["insert", ct, PROMPT, "--organs", labels, "--trust-labels", "--out", "out"],
        ["generate", "CT of the chest", "--spacing", 8, "--out", "drawn"],
        ["cohort", write_inputs(open_to_all / "small", 1), "--out", "cohort"],
        [*compare, "--cache", "cache", "--out", "kept"],
        [*compare, "--out", "not_kept"],
    ]
    inserted, *others, not_kept = _as_nobody(open_to_all, home, commands)
    for code, said in (inserted, *others):
        assert code == 0 and "Matplotlib" not in said, said
    for made in ("out/chest_00000/manifest.json", "drawn/case_00000/manifest.json", "cohort/checksums.sha256"):
        assert (open_to_all / made).stat().st_uid == 54321
    assert (open_to_all / "kept/fidelity.json").is_file()
    code, said = not_kept
    if home is not None:
        assert code == 0 and "features are not kept" in said
    else:
        assert code == 2 and said.count("error:") == 1
        assert "no home folder to keep features in; set $SYNTHCT_CACHE or give --cache" in said


def _as_nobody(folder: Path, home: str | None, commands: Sequence[Sequence[object]]) -> list[tuple[int, str]]:
    """Exit code and stderr of each command, run by a user without a name."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"HOME": home} if home else {}
    words = json.dumps([[*map(str, command), "-q"] for command in commands])
    program = [*NOBODY, *READS, sys.executable, "-c", _COMMANDS]
    done = subprocess.run(program, env=environment, cwd=folder, input=words, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr and "Matplotlib" not in done.stderr, done.stderr
    return [(code, said) for code, said in map(json.loads, done.stdout.splitlines())]


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
