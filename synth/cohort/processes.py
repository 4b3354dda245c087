"""Which process of how many this is, as the launcher's environment has it, and which cases are its share.

Nothing is asked of the launcher's own options: `accelerate launch --cpu --num_processes 2` starts one process, and
one process that believed in two would leave half of the cases undone. Processes do not talk to each other.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from synth.errors import InputError

# (rank, world size): torchrun and accelerate; srun (SLURM_NTASKS is set in a batch script too, where one process
# runs, so the size of the step is read); mpirun.
_LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
)
# What all processes of one run have in common, and no other run.
_RUN_NAMES = (
    "TORCHELASTIC_RUN_ID",
    "MASTER_ADDR",
    "MASTER_PORT",
    "SLURM_JOB_ID",
    "SLURM_STEP_ID",
    "OMPI_MCA_ess_base_jobid",
)


class Engine(StrEnum):
    """Who starts the processes: the launcher that started this one, Ray, or Slurm through submitit."""

    here = "here"
    ray = "ray"
    slurm = "slurm"


@dataclass(frozen=True)
class Process:
    """Process `rank` of `world`; all processes of one run have the same `run`."""

    rank: int
    world: int
    run: str

    def share(self, number: int) -> range:
        """The indices that are this process's."""
        return range(self.rank, number, self.world)


def this_process(environment: Mapping[str, str] | None = None) -> Process:
    """Read the environment (os.environ unless given). Raises InputError where it contradicts itself."""
    found = os.environ if environment is None else environment
    for rank_name, world_name in _LAUNCHERS:
        if rank_name in found and world_name in found:
            rank, world = _whole(rank_name, found), _whole(world_name, found)
            if not 0 <= rank < world:
                raise InputError(
                    f"{rank_name}={rank}, {world_name}={world}: no such process; unset both or launch again"
                )
            run = ":".join(found.get(name, "") for name in _RUN_NAMES)
            return Process(rank, world, run if world > 1 else uuid.uuid4().hex)
    return Process(0, 1, uuid.uuid4().hex)


def _whole(name: str, environment: Mapping[str, str]) -> int:
    value = environment[name]
    if not value.isdecimal():
        raise InputError(f"{name}={value}: no whole number; unset it or launch again")
    return int(value)


def use_own_gpu() -> None:
    """Where the launcher numbers the processes of a machine, draw on the GPU of that number."""
    local = os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID")
    if local is None:
        return
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(int(local) % torch.cuda.device_count())
