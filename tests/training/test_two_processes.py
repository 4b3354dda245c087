"""Two processes over gloo train as one with twice the batch; sharded parameters train as whole ones, and resume."""

import json
import os
import subprocess
import sys

import pytest
import torch

from synth.models.denoiser import Denoiser
from synth.training.config import TrainConfig
from synth.training.main import Trainer
from tests.training.test_resume import settings, write_tumours
from tests.training.test_tasks import ROOT


def run(folder, name, steps, batch=2, **changes):
    """A run in folder/name."""
    few = dict(steps=steps, batch=batch, log_every=1, validate_every=2, ema=0.5)
    Trainer(TrainConfig(**settings(folder / "data", folder / name, **few, **changes))).run()


def worker(folder):
    """What each of two processes does."""
    run(folder, "two", 3)
    run(folder, "sharded", 2, fsdp=True)
    run(folder, "sharded", 3, fsdp=True)
    torch.distributed.destroy_process_group()


def losses(folder):
    """Everything that a run logged but times."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [[row["step"], *next(row[kind] for kind in ("train", "validation") if kind in row).values()] for row in rows]


def weights(folder):
    """All of a run's weights in one vector."""
    return torch.cat([p.flatten() for p in Denoiser.from_pretrained(folder / "weights").parameters()]).detach()


@pytest.mark.slow
def test_two_processes_and_two_shards_train_as_one_with_twice_the_batch(tmp_path):
    write_tumours(tmp_path / "data")
    code = (
        f"import pathlib; from tests.training.test_two_processes import worker; worker(pathlib.Path({str(tmp_path)!r}))"
    )
    (tmp_path / "worker.py").write_text(code + "\n")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--rdzv_backend", "c10d"]
    command += ["--rdzv_endpoint", "localhost:0", str(tmp_path / "worker.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    run(tmp_path, "one", 3, batch=4)
    run(tmp_path, "half", 3, batch=2)
    expected = torch.tensor(losses(tmp_path / "one"))
    assert len(expected) == 4
    for name in ("two", "sharded"):
        torch.testing.assert_close(torch.tensor(losses(tmp_path / name)), expected, rtol=2e-3, atol=1e-4)
    moved = weights(tmp_path / "one") - weights(tmp_path / "half")
    for name in ("two", "sharded"):
        apart = weights(tmp_path / "one") - weights(tmp_path / name)
        assert float(apart.norm()) < 0.05 * float(moved.norm())  # one process's batch is another's answer
