"""Checkpoints: what is written comes back bit for bit, nothing in them runs, and damage is one line with its remedy."""

import json
import os
import pickle

import pytest
import torch
from safetensors import SafetensorError

from synth.errors import InputError, OutputError
from synth.training import checkpoint, log
from synth.training.checkpoint import State, TrainingProgress

NONE = torch.zeros(0)


def state(seed=0, width=3, steps=2):
    """A small network after some steps; one of its layers was never used."""
    torch.manual_seed(seed)
    model = torch.nn.ModuleList([torch.nn.Conv3d(1, width, 3), torch.nn.Linear(2, 2)])
    model.register_buffer("mean", torch.randn(2))
    model = model.to(memory_format=torch.channels_last_3d)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(steps):
        model[0](torch.randn(2, 1, 4, 4, 4)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return State(model, optimizer, [p.detach() + 1 for p in model.parameters()])


def tensors(found):
    return {part: checkpoint.whole(found.named(part)) for part in ("model", "ema", "optimizer")}


def same(one, other):
    return all(
        one[p].keys() == other[p].keys() and all(torch.equal(one[p][k], other[p][k]) for k in one[p]) for p in one
    )


def test_what_is_written_comes_back(tmp_path):
    written, progress = state(0), TrainingProgress(step=7, best=0.1, seconds=12.5, summed=2, sums={"loss": 1 / 3})
    checkpoint.write(tmp_path, written, progress)
    read = state(1, steps=0)
    assert not same(tensors(written), tensors(read))
    assert checkpoint.read(tmp_path, read) == progress and same(tensors(written), tensors(read))
    assert read.model[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
    for run in (written, read):
        run.model[0](torch.ones(1, 1, 4, 4, 4)).sum().backward()
        run.optimizer.step()
    assert same(tensors(written), tensors(read))


def test_where_nothing_was_written_nothing_is_read(tmp_path):
    assert checkpoint.read(tmp_path, state()) is None and not checkpoint.exists(tmp_path)


class Evil:
    """What a pickle may do."""

    def __reduce__(self):
        return (os.mkdir, ("ran",))


def test_a_checkpoint_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoint.write(tmp_path, state(), TrainingProgress(step=1))
    folder = tmp_path / "checkpoint"
    names = ["ema.safetensors", "model.safetensors", "optimizer.safetensors", "progress.json"]
    assert sorted(p.name for p in folder.iterdir()) == names
    for name in (*names, "custom_checkpoint_0.pkl", "random_states_0.pkl", "optimizer.bin"):
        (folder / name).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputError, match="damaged checkpoint"):
        checkpoint.read(tmp_path, state())
    assert not (tmp_path / "ran").exists()


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def empty(path):
    path.write_bytes(b"")


def folder_instead(path):
    path.unlink()
    path.mkdir()


def listed(path):
    path.write_text("[]")


@pytest.mark.parametrize("name", ["model.safetensors", "ema.safetensors", "optimizer.safetensors", "progress.json"])
@pytest.mark.parametrize("damage", [cut, empty, os.unlink, folder_instead, listed])
def test_damage_is_told_and_the_checkpoint_before_is_taken(tmp_path, caplog, name, damage):
    first = state(0)
    checkpoint.write(tmp_path, first, TrainingProgress(step=1))
    checkpoint.write(tmp_path, state(1), TrainingProgress(step=2))
    damage(tmp_path / "checkpoint" / name)
    read = state(2, steps=0)
    assert checkpoint.read(tmp_path, read) == TrainingProgress(step=1) and same(tensors(first), tensors(read))
    assert len(caplog.messages) == 1 and "training goes on from" in caplog.text
    damage(tmp_path / "checkpoint.old" / name)
    with pytest.raises(InputError, match="remove it to begin again, or give another `out`") as error:
        checkpoint.read(tmp_path, read)
    assert "\n" not in str(error.value) and str(tmp_path / "checkpoint") in str(error.value)


@pytest.mark.parametrize("about", [{"format": 0}, {"step": -1}, {"step": "2"}, {"best": "x"}, {"sums": 3}, {"odd": 1}])
def test_odd_progress_is_damage(tmp_path, about):
    checkpoint.write(tmp_path, state(), TrainingProgress(step=1))
    file = tmp_path / "checkpoint" / "progress.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | about))
    with pytest.raises(InputError, match="damaged checkpoint"):
        checkpoint.read(tmp_path, state())


def test_a_checkpoint_of_another_network_is_named(tmp_path):
    checkpoint.write(tmp_path, state(), TrainingProgress(step=1))
    with pytest.raises(InputError, match="of another network than the configuration's"):
        checkpoint.read(tmp_path, state(width=4))


def test_a_full_disk_is_one_line_and_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    checkpoint.write(tmp_path, state(), TrainingProgress(step=1))

    def full(_, file):
        file.write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OutputError, match="checkpoint: no space left on the disk; free some space"):
        checkpoint.write(tmp_path, state(1), TrainingProgress(step=2))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
    assert checkpoint.read(tmp_path, state(2)) == TrainingProgress(step=1)


def test_a_damaged_file_is_named(tmp_path):
    checkpoint.write(tmp_path, state(), TrainingProgress(step=1))
    cut(tmp_path / "checkpoint/ema.safetensors")
    with pytest.raises(InputError, match=r"checkpoint: ema.safetensors: "):
        checkpoint.read(tmp_path, state())


def test_one_run_at_a_time_trains_in_a_folder(tmp_path, capsys):
    with log.telling(tmp_path / "run") as tell:
        tell("first")
        with pytest.raises(InputError, match="another run is at work there"), log.telling(tmp_path / "run"):
            pass
    with log.run_folder(tmp_path / "run"):  # free again, and nothing but the log is left
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["log.jsonl"]
    assert json.loads((tmp_path / "run/log.jsonl").read_text())["text"] == "first" == capsys.readouterr().out.strip()
    with pytest.raises(InputError, match="is a file, or below one"), log.run_folder(tmp_path / "run/log.jsonl"):
        pass


def test_a_kill_between_two_renames_leaves_a_checkpoint(tmp_path):
    checkpoint.write(tmp_path, state(), TrainingProgress(step=3))
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")
    assert checkpoint.exists(tmp_path) and checkpoint.read(tmp_path, state(1)) == TrainingProgress(step=3)
