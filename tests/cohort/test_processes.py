"""Which process this is, what its share is, and who may work on a folder at once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from synth.cohort import engine, locks
from synth.cohort.processes import Process, this_process
from synth.errors import InputError
from tests.cohort.conftest import write_hosts, write_recipe

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "3", "MASTER_ADDR": "node1", "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "x"}


@pytest.mark.parametrize(
    ("environment", "rank", "world"),
    [
        ({}, 0, 1),
        (TORCHRUN, 1, 3),
        ({"ACCELERATE_MIXED_PRECISION": "no"}, 0, 1),  # accelerate launch --cpu --num_processes 2
        ({"SLURM_PROCID": "4", "SLURM_STEP_NUM_TASKS": "8"}, 4, 8),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, 0, 1),  # a batch script: one process runs
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, 1, 2),
    ],
)
def test_rank_and_size_are_the_environment_s(environment: dict[str, str], rank: int, world: int) -> None:
    process = this_process(environment)
    assert (process.rank, process.world) == (rank, world)


@pytest.mark.parametrize("change", [{"RANK": "3"}, {"WORLD_SIZE": "two"}, {"RANK": "-1"}])
def test_an_environment_that_contradicts_itself(change: dict[str, str]) -> None:
    with pytest.raises(InputError, match="unset (both|it) or launch again"):
        this_process(TORCHRUN | change)


def test_processes_of_one_run_share_its_name_and_lone_ones_do_not() -> None:
    one, other = this_process(TORCHRUN), this_process(TORCHRUN | {"RANK": "2"})
    assert one.run == other.run != this_process(TORCHRUN | {"MASTER_PORT": "29501"}).run
    assert this_process({}).run != this_process({}).run


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_shares_are_everything_once(world: int) -> None:
    shares = [list(Process(rank, world, "").share(20)) for rank in range(world)]
    assert sorted(index for share in shares for index in share) == list(range(20))


def test_one_run_s_processes_share_a_folder_and_another_run_is_refused(tmp_path: Path) -> None:
    with locks.held(tmp_path, Process(0, 2, "a")), locks.held(tmp_path, Process(1, 2, "a")):
        for other in (Process(0, 1, "b"), Process(1, 2, "a")):  # another run; the same process twice
            with pytest.raises(InputError, match="another run is at work there"), locks.held(tmp_path, other):
                pass
    with locks.held(tmp_path, Process(0, 1, "b")):
        pass


@pytest.mark.parametrize("rank", [0, 1])
def test_every_process_of_a_run_holds_the_folder(rank: int, tmp_path: Path) -> None:
    write_hosts(tmp_path / "hosts", 1)
    plan, out = engine.plan_of(write_recipe(tmp_path)), tmp_path / "out"
    refused = pytest.raises(InputError, match="another run is at work there")
    with engine.taken(plan, out, Process(rank, 2, "a")), refused, locks.held(out, Process(0, 1, "b")):
        pass


def test_a_lock_goes_with_the_process_that_held_it(tmp_path: Path) -> None:
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with locks.held(tmp_path, Process(0, 1, "a")):
            os.write(tell, b"held")
            time.sleep(60)
        os._exit(0)
    assert os.read(told, 4) == b"held"
    with pytest.raises(InputError, match="another run is at work there"), locks.held(tmp_path, Process(0, 1, "b")):
        pass
    os.kill(child, 9)
    os.waitpid(child, 0)
    with locks.held(tmp_path, Process(0, 1, "b")):
        pass
