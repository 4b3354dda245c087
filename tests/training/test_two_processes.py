"""Two processes over gloo give the gradients that one gives for both their batches."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import synth.training.tasks
from synth.training.main import Trainer
from synth.training.tasks import batch_loss
from tests.training.test_tasks import ROOT, config, write_data

SEED = 3


def trainer_in(folder):
    """A run that has not begun. Its gradients are clipped at a norm that they do not reach."""
    synth.training.tasks._PRIOR_BATCHES = 2
    data = folder / "data"
    return Trainer(config(data=data, shape=data / "shape", out=folder / "run", seed=SEED, clip=1e9))


def gradients(trainer):
    """(P,) of all parameters, in order."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def worker(folder):
    """What each process does: one step of the trainer, whose gradients are kept."""
    trainer = trainer_in(folder)
    assert trainer.accelerator.num_processes == 2
    trainer.optimizer.zero_grad = lambda: None
    trainer.train_step()
    torch.save(gradients(trainer), folder / f"gradients_{trainer.accelerator.process_index}.pt")
    trainer.accelerator.end_training()


@pytest.mark.slow
def test_two_processes_give_the_gradients_of_one(tmp_path, monkeypatch):
    monkeypatch.setattr("synth.training.tasks._PRIOR_BATCHES", 2)
    write_data(tmp_path / "data")
    code = (
        f"import pathlib; from tests.training.test_two_processes import worker; worker(pathlib.Path({str(tmp_path)!r}))"
    )
    (tmp_path / "worker.py").write_text(code + "\n")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "0"]
    command += ["--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0", str(tmp_path / "worker.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    one, other = (torch.load(tmp_path / f"gradients_{rank}.pt") for rank in (0, 1))
    assert torch.equal(one, other)

    trainer = trainer_in(tmp_path)
    for rank in (0, 1):
        key = [SEED, 0, rank, 0]
        batch = trainer.task.draw(np.random.default_rng(key))
        loss, _ = batch_loss(trainer.model, batch, trainer.config, trainer._generator(key))
        (loss / 2).backward()
        if rank == 0:
            alone = gradients(trainer).clone()
    expected = gradients(trainer)
    torch.testing.assert_close(one, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    assert float((2 * alone - expected).norm() / expected.norm()) > 0.1  # one process's batch is another's answer
