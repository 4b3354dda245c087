"""Work is shared without being done twice, and what a killed process had claimed is done by another."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

from evals.utility import claims

FORK = multiprocessing.get_context("fork")
NAMES = [f"piece_{i}" for i in range(6)]


def left_in(folder: Path) -> list[str]:
    return [name for name in NAMES if not (folder / name).exists()]


def worker(folder: Path, forever: bool = False) -> None:
    claims._PAUSE_S = 0.02

    def do(name: str) -> None:
        with (folder / "log").open("a") as log:
            log.write(f"{name} {os.getpid()}\n")
        time.sleep(1000 if forever else 0.05)
        (folder / name).touch()

    claims.share(lambda: left_in(folder), do, folder / "locks")


def test_two_processes_share_and_repeat_nothing(tmp_path: Path) -> None:
    processes = [FORK.Process(target=worker, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert sorted(name for name, _ in lines) == NAMES and len({pid for _, pid in lines}) == 2


def test_the_piece_of_a_killed_process_is_left_to_others(tmp_path: Path) -> None:
    stuck = FORK.Process(target=worker, args=(tmp_path, True))
    stuck.start()
    while not (tmp_path / "log").exists():
        time.sleep(0.01)
    with claims.claimed(tmp_path / "locks", NAMES[0]) as mine:
        assert not mine
    other = FORK.Process(target=worker, args=(tmp_path,))
    other.start()
    while left_in(tmp_path) != NAMES[:1]:
        time.sleep(0.01)
    assert other.is_alive()  # waits for the one that is claimed
    assert stuck.pid is not None
    os.kill(stuck.pid, signal.SIGKILL)
    other.join(30)
    stuck.join(5)
    assert other.exitcode == 0 and left_in(tmp_path) == []
