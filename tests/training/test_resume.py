"""A run that is killed goes on as if it had not been."""

import json
import multiprocessing
import os
import random
import signal
import time

import numpy as np
import pytest
import torch

from synth.errors import InputError
from synth.models.denoiser import Denoiser
from synth.training.config import TrainConfig
from synth.training.main import Trainer

STEPS = 12


def write_tumours(folder):
    """Two small tumours to train on and one to validate on."""
    for name in ("train/a", "train/b", "val/c"):
        hu = np.random.default_rng(len(name)).integers(-50, 90, (36, 34, 32)).astype(np.int16)
        mask = np.zeros(hu.shape, bool)
        mask[10:24, 8:22, 9:20] = True
        file = folder / "lesion" / f"{name}.npz"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, hu=hu, lesion=mask, spacing=np.array([2.0, 2.0, 3.0]))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patients")
    write_tumours(folder)
    return folder


def settings(data, out, **changes):
    small = {"widths": (8, 8, 8), "blocks": (1, 1, 1), "embedding_dim": 8, "data_sd": 0.5}  # attention over few voxels
    fixed = dict(network="lesion", model=small, steps=STEPS, log_every=3, validate_every=5, checkpoint_minutes=1e-9)
    return {**dict(data=data, out=out, batch=2), **fixed, **changes}


def run(values):
    torch.set_num_threads(1)
    Trainer(TrainConfig(**values)).run()


def log_of(out):
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    timed = ("seconds", "volumes_a_second", "hours_left")
    return [{k: v for k, v in row.items() if k not in timed} for row in rows]


@pytest.mark.slow
def test_a_run_killed_at_five_steps_with_one_and_two_workers_has_the_log_of_one_that_was_not(data, tmp_path):
    run(settings(data, tmp_path / "whole"))
    expected = log_of(tmp_path / "whole")
    assert [row["step"] for row in expected] == [3, 5, 6, 9, 10, 12]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.test_resume"])
    out = tmp_path / "killed"
    for i, at in enumerate(sorted(random.Random(0).sample(range(1, STEPS), 5))):
        drawn_by = settings(data, out, workers=1 + i % 2)
        process = context.Process(target=run, args=(drawn_by,))
        process.start()
        _kill_at(process, out, at)
    run(settings(data, out))
    assert log_of(out) == expected
    ours, theirs = (Denoiser.from_pretrained(at / "weights").state_dict() for at in (out, tmp_path / "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def _kill_at(process, out, step):
    """SIGKILL as soon as a checkpoint of this step, or of one after it, is there."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.is_alive():
        try:
            if json.loads((out / "checkpoint" / "progress.json").read_text())["step"] >= step:
                break
        except (OSError, ValueError):
            pass
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one_and_its_log_is_mended(data, tmp_path, caplog):
    out = tmp_path / "run"
    run(settings(data, out, steps=4, log_every=1))
    expected = log_of(out)
    (out / "checkpoint" / "ema.safetensors").write_bytes(b"")
    with (out / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "trai')
    run(settings(data, out, steps=4, log_every=1))
    assert log_of(out) == expected
    assert "training goes on from" in caplog.text and "line 5 is not whole" in caplog.text


def test_out_that_is_a_file_is_named(data, tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match="is a file"):
        run(settings(data, tmp_path / "run"))


def test_a_run_that_is_told_to_end_ends_with_a_checkpoint(data, tmp_path, monkeypatch):
    step = Trainer.train_step

    def interrupted(self, batches):
        step(self, batches)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "train_step", interrupted)
    run(settings(data, tmp_path / "run"))
    assert json.loads((tmp_path / "run" / "checkpoint" / "progress.json").read_text())["step"] == 1
