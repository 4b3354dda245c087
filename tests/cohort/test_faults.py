"""Real faults of a real file system: a disk that is full, one that is read-only. Skipped where none may be mounted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from synth import cli
from synth.cohort import engine, layout
from tests.cohort.conftest import files_of, write_recipe

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def two(quick: None, place: Path) -> Path:
    """A cohort of two cases without previews, and its recipe beside it."""
    recipe = write_recipe(place / "two", number=2, healthy=0, previews=False, hosts={"folder": "../hosts"})
    assert engine.run(recipe, place / "two/whole", quiet=True).finished
    return place / "two"


@pytest.fixture
def disk(tmp_path: Path, two: Path) -> Iterator[Path]:
    """A file system with room for one and a half of the two cases."""
    first, second = (
        sum(f.stat().st_size // 4096 * 4096 + 4096 for f in layout.case_folder(two / "whole", name).iterdir())
        for name in layout.complete(two / "whole")
    )
    mounted = mount(tmp_path, "-t", "tmpfs", "-o", f"size={first + second // 2}", "tmpfs")
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def mount(folder: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False)


def test_a_full_disk_is_a_line_and_with_more_room_the_set_is_whole(
    two: Path, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["cohort", str(two / "recipe.yaml"), "--out", str(disk / "out"), "-q"]
    assert cli.main(command) == 2
    err = capsys.readouterr().err
    assert "no space left on the disk; free some space or choose another --out" in err and err.count("\n") == 1
    assert layout.complete(disk / "out") == ["case_00000"] and not layout.given_up(disk / "out")
    assert not list((disk / "out").rglob("*.partial")) and not (disk / "out" / layout.CHECKSUMS).exists()
    assert mount(disk, "-o", "remount,size=50m").returncode == 0
    assert cli.main(command) == 0
    assert files_of(disk / "out") == files_of(two / "whole")


def test_a_read_only_disk_is_a_line_and_changes_nothing(
    two: Path, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["cohort", str(two / "recipe.yaml"), "--out", str(disk / "out"), "-q", "--only", "0"]
    assert cli.main(command) == 0
    before = files_of(disk / "out")
    assert mount(disk, "-o", "remount,ro").returncode == 0
    capsys.readouterr()
    assert cli.main([*command[:-2]]) == 2
    err = capsys.readouterr().err
    assert "Read-only file system" in err and "choose another --out" in err and err.count("\n") == 1
    assert files_of(disk / "out") == before
