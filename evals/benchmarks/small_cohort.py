"""Small cohorts to try the engine on: tumours in made-up abdomens, and the processes of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from evals.benchmarks.path import made_up_host
from synth import nifti
from synth.types import Volume

SIZE = 32  # voxels a side
_HOSTS = 3


def write_inputs(folder: Path, cases: int, size: int = SIZE, previews: float = 0.0) -> Path:
    """Hosts of `size` voxels a side and a recipe; returns the recipe."""
    for i in range(_HOSTS):
        host, organs = made_up_host(size)
        (folder / "hosts" / f"host{i}").mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(i).integers(-3, 4, host.hu.shape).astype(np.int16)
        nifti.write_volume(folder / "hosts" / f"host{i}" / "ct.nii.gz", Volume(host.hu + noise, host.affine))
        nifti.write_labels(folder / "hosts" / f"host{i}" / "organs.nii.gz", organs)
    recipe = folder / "recipe.yaml"
    findings = [{"organ": "liver", "kind": "tumour", "size_mm": {"9-12": 1, "12-16": 1}}]
    table = {"name": "small", "number": cases, "seed": 5, "hosts": {"folder": "hosts"}, "healthy": 0.1,
             "findings": findings, "previews": previews}  # fmt: skip
    recipe.write_text(json.dumps(table))  # JSON is YAML
    return recipe


def start(recipe: Path, out: Path, engine: str, world: int) -> list[subprocess.Popen[bytes]]:
    """The processes of one run, each the leader of a group of its own."""
    verb = ["-m", "synth.cli", "cohort", str(recipe), "--out", str(out), "-q"]
    if engine == "torchrun":
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={world}"]
        return [_started([*launcher, *verb], {})]
    if engine == "ray":
        return [_started([sys.executable, *verb, "--engine", "ray", "--workers", str(world)], {})]
    port = str(20000 + os.getpid() % 20000)
    shared = {"WORLD_SIZE": str(world), "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    return [_started([sys.executable, *verb], shared | {"RANK": str(rank)}) for rank in range(world)]


def _started(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
