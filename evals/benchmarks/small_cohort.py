"""Small cohorts to try the engine on: tumours in made-up abdomens, and the processes of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
import torch

from evals.benchmarks.path import made_up_host
from synth import cli
from synth.volumes import nifti
from synth.volumes.types import Volume

SIZE = 32  # voxels a side
_HOSTS = 3


def write_inputs(folder: Path, cases: int, size: int = SIZE, previews: float = 0.0) -> Path:
    """Hosts of `size` voxels a side and a recipe; returns the recipe."""
    for i in range(_HOSTS):
        host, organs = made_up_host(size)
        (folder / "hosts" / f"host{i}").mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(i).integers(-3, 4, host.hu.shape).astype(np.int16)
        noise[host.hu == host.hu.min()] = 0  # slices of nothing but air are padding: a box begins as no patient does
        nifti.write_volume(folder / "hosts" / f"host{i}" / "ct.nii.gz", Volume(host.hu + noise, host.affine))
        nifti.write_labels(folder / "hosts" / f"host{i}" / "organs.nii.gz", organs)
    recipe = folder / "recipe.yaml"
    findings = [{"organ": "liver", "kind": "tumour", "size_mm": {"9-12": 1, "12-16": 1}}]
    hosts = {"folder": "hosts", "trust_labels": True}  # a box of liver is no adult's
    table = {"name": "small", "number": cases, "seed": 5, "hosts": hosts, "healthy": 0.1, "findings": findings,
             "previews": previews}  # fmt: skip
    recipe.write_text(json.dumps(table))  # JSON is YAML
    return recipe


class Fork:
    """A process that runs the command without loading it again: a fork of this one, which must have run no network.

    As subprocess.Popen: `pid`, `returncode`, `poll`, `wait`. What it prints goes to `log`; it computes on `threads`.
    """

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path, threads: int) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.setsid()
                os.environ.update(environment)
                for stream in (1, 2):
                    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
                torch.set_num_threads(threads)
                code = cli.main(arguments)
            except BaseException:
                traceback.print_exc()  # os._exit below would swallow it
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        if self.returncode is None:
            number, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if number else None
        return self.returncode

    def wait(self) -> int:
        """The exit code, once it has ended."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


Running = Fork | subprocess.Popen[bytes]


def start(recipe: Path, out: Path, engine: str, world: int) -> list[Running]:
    """The processes of one run, each the leader of a session of its own; what they print is in `log_of(out)`."""
    log = log_of(out)
    verb = ["cohort", str(recipe), "--out", str(out), "-q"]
    if engine == "torchrun":
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={world}", "-m", "synth.cli"]
        return [_started([*launcher, *verb], log)]
    if engine == "ray":
        return [_started(["-m", "synth.cli", *verb, "--engine", "ray", "--workers", str(world)], log)]
    port = str(20000 + os.getpid() % 20000)
    shared = {"WORLD_SIZE": str(world), "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    # processes share the threads of one, so that the number of processes is all that differs
    threads = max(torch.get_num_threads() // world, 1)
    return [Fork(verb, shared | {"RANK": str(rank)}, log, threads) for rank in range(world)]


def log_of(out: Path) -> Path:
    """Where the processes of a run into `out` print."""
    return out.with_suffix(".log")


def _started(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen([sys.executable, *arguments], start_new_session=True, stdout=file, stderr=file)
