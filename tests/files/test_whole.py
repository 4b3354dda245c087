"""Files and folders are whole or not there, however many write one and however they end."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import SafetensorError

from synth.errors import InputError, OutputError
from synth.files.whole import aside, known_as, new_folder, sweep, whole_file, whole_folder, write_whole

FILES = 6


def forked(work: Callable[[], object]) -> int:
    """The process id of a copy of this process that does it, and ends with 0 if it raised nothing."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def write_slowly(folder: Path, mark: str) -> None:
    with whole_folder(folder, lambda: True) as partial:
        for number in range(FILES):
            (partial / str(number)).write_text(mark)
            time.sleep(0.002)


def test_of_four_writers_one_has_the_folder_and_no_file_of_another(tmp_path: Path) -> None:
    for turn in range(10):
        folder = tmp_path / f"case_{turn}"
        children = [forked(lambda mark=mark, folder=folder: write_slowly(folder, mark)) for mark in "abcd"]  # type: ignore[misc]
        assert {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children} == {0}
        contents = [file.read_text() for file in folder.iterdir()]
        assert len(contents) == FILES and len(set(contents)) == 1
    assert len(list(tmp_path.iterdir())) == 10


def test_what_a_killed_process_left_is_swept_and_what_is_in_work_stays(tmp_path: Path) -> None:
    killed, at_work = (forked(lambda name=name: hold(tmp_path / name)) for name in ("killed", "work"))  # type: ignore[misc]
    while len(list(tmp_path.glob(".*.partial/file"))) < 2:
        time.sleep(0.002)
    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)
    (tmp_path / ".mine.partial").mkdir()
    sweep(tmp_path)
    left = sorted(path.name.split(".")[1] for path in tmp_path.iterdir())
    os.kill(at_work, signal.SIGKILL)
    os.waitpid(at_work, 0)
    assert left == ["mine", "work"]  # and nothing that is no leftover of ours


def hold(path: Path) -> None:
    with whole_folder(path, lambda: True) as partial:
        (partial / "file").touch()
        time.sleep(60)


def test_a_folder_that_is_not_to_stay_gives_way(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    with whole_folder(tmp_path / "a", lambda: False) as partial:
        (partial / "new").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["new"] and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_what_fails_leaves_nothing_and_the_file_that_was_there(tmp_path: Path, number: int) -> None:
    write_whole(tmp_path / "a.txt", "before")
    with pytest.raises(OutputError, match="a.txt: "), whole_file(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise OSError(number, os.strerror(number))
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"] and (tmp_path / "a.txt").read_text() == "before"


@pytest.mark.parametrize(
    "error",
    [
        OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    ],
)
def test_a_full_disk_is_known_by_the_words_of_libraries_too(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(OutputError, match="a.txt: no space left on the disk"), whole_file(tmp_path / "a.txt"):
        raise error
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "a.txt"):
        raise ZeroDivisionError("os error 28")
    with pytest.raises(OutputError, match=r"cannot be written \(odd\)"), whole_file(tmp_path / "a.txt"):
        raise OSError("odd")


def test_a_file_system_without_locks_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    write_whole(tmp_path / "a.txt", "all")
    young, old = (tmp_path / f".{name}.{'0' * 12}.partial" for name in ("young", "old"))
    young.touch()
    old.touch()
    os.utime(old, (0, 0))
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [young.name, "a.txt"]


def test_a_name_of_the_longest_kind_can_be_written(tmp_path: Path) -> None:
    write_whole(tmp_path / ("é" * 127), "x")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_pipe_or_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    """Root may rename a file onto /dev/null, or onto what a link such as /dev/stdout leads to."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for place in ("pipe", "link"):
        with pytest.raises(InputError, match=f"{place}: is a device or pipe; choose another --out"):
            write_whole(tmp_path / place, "x")
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_folders_that_a_failure_leaves_empty_go_with_it(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()

    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, "full")

    for out in (tmp_path / "new/deeper/case", tmp_path / "there/case"):
        with pytest.raises(OutputError, match="no space left"):
            new_folder(out, full)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    new_folder(tmp_path / "new/deeper/case", lambda partial: (partial / "a").touch())
    assert (tmp_path / "new/deeper/case/a").exists()


def test_a_folder_that_another_writer_took_with_it_is_made_again(tmp_path: Path) -> None:
    def gone(partial: Path) -> None:
        if not again:
            again.append(partial.parent.rmdir())
        partial.mkdir()

    again: list[None] = []
    (tmp_path / "out").mkdir()
    with aside(tmp_path / "out/case", gone) as partial:
        assert partial.is_dir()


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/a/.data.0123456789ab.partial/x.npy", "/a/data/x.npy"),
        (".out.0123456789ab.old.partial", "out"),
        ("/a/.hidden/x", "/a/.hidden/x"),
        ("/a/data.partial", "/a/data.partial"),
    ],
)
def test_a_place_aside_is_called_by_the_name_that_it_gets(path: str, known: str) -> None:
    assert known_as(path) == known
