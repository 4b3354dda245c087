"""The lesion task: only a tumour's inside is hidden and counts, on every grid, and a run starts from refine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evals.benchmarks.made_up import REGION_YAML
from synth.case import library
from synth.case.weights_folder import WEIGHTS_ENV
from synth.data.tumours import Tumour
from synth.models.denoiser import Denoiser
from synth.models.scaling import detail_from_network
from synth.regions.region import parse
from synth.training.config import TrainConfig
from synth.training.lesion_task import LEVELS, LesionTask, lesion_sample
from synth.training.main import Trainer, make_task, train
from synth.training.tasks import batch_loss
from tests import networks
from tests.regions import REGION

CONFIG = TrainConfig(network="lesion", batch=6, label_weight=0.0)


def tumour(seed: int = 0) -> Tumour:
    """Noise of 0.05 intensity units about 0.1, and 0.2 in a tumour."""
    shape = (40, 30, 20)
    mask = torch.zeros(1, *shape, dtype=torch.bool)
    mask[:, 10:24, 8:22, 5:15] = True
    ct = 0.1 + 0.1 * mask + 0.05 * torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed))
    return Tumour("t", ct.half(), mask, torch.tensor([2.0, 2.0, 3.0]))


def write_data(data: Path) -> None:
    for split in ("train", "val"):
        folder = data / "lesion" / split
        folder.mkdir(parents=True)
        one = tumour()
        hu = np.rint(200 * one.ct[0].float().numpy()).astype(np.int16)
        np.savez(folder / "t.npz", hu=hu, lesion=one.mask[0].numpy(), spacing=one.spacing.numpy())


def test_a_batch_follows_from_its_seed_and_shows_every_grid() -> None:
    task = LesionTask([tumour(0), tumour(1)], CONFIG)
    one, again, other = (task.draw(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert torch.equal(one.x0, again.x0) and torch.equal(one.condition.maps, again.condition.maps)
    assert not torch.equal(one.x0, other.x0)
    batches = [task.draw(np.random.default_rng(seed)) for seed in range(8)]
    told = {round(float(v), 3) for b in batches for v in b.condition.grid[:, 0]}
    assert told == {round(float(np.log2(2.0 * 2**level / 4.0)), 3) for level in range(LEVELS)}


def test_every_sample_hides_some_of_a_tumour_and_what_is_known_is_true() -> None:
    task = LesionTask([tumour()], CONFIG)
    for seed in range(5):
        batch = task.draw(np.random.default_rng(seed))
        known, mask = batch.condition.maps[:, :7], batch.condition.maps[:, 7:8]
        assert ((mask == 0).flatten(1).sum(dim=1) > 0).all() and ((mask == 1).flatten(1).sum(dim=1) > 0).all()
        torch.testing.assert_close(known, batch.x0 * mask)


def test_the_coarse_ct_is_noised_inside_alone_and_the_bands_make_the_crop() -> None:
    ct, hidden = tumour().ct[:, :32, :16, :16].float(), tumour().mask[:, :32, :16, :16].float()
    for seed in range(20):
        sample = lesion_sample(ct, hidden, torch.tensor([2.0, 2.0, 3.0]), REGION, np.random.default_rng(seed))
        assert sample.coarse is not None
        exact = torch.nn.functional.avg_pool3d(ct, 2)
        differs = (sample.coarse - exact).abs() > 1e-4
        assert not (differs & (sample.known_mask > 0)).any()
        assert bool(differs.any()) is (sample.coarse_noise > 0)
        assert detail_from_network(sample.x0).std() == pytest.approx(0.05 / np.sqrt(8), rel=0.3)


def test_a_network_of_another_region_is_fine_tuned_as_one(tmp_path: Path) -> None:
    region = parse(REGION_YAML)
    model = Denoiser(channels=7, refine=True, widths=(8, 8, 16), blocks=(1, 1, 1), embedding_dim=16, region=region.text)
    model.save_pretrained(tmp_path / "refine")
    write_data(tmp_path / "data")
    config = CONFIG.model_copy(update={"init": tmp_path / "refine", "data": tmp_path / "data"})
    task = make_task(config, "train", torch.device("cpu"))
    assert task.region == region
    assert torch.isfinite(batch_loss(model, task.draw(np.random.default_rng(0)), CONFIG)[0])


def test_only_what_is_hidden_counts() -> None:
    task = LesionTask([tumour()], CONFIG)
    batch, model = task.draw(np.random.default_rng(0)), networks.refine()
    loss = batch_loss(model, batch, CONFIG)[0]
    known = batch.condition.maps[:, 7:8] > 0
    altered = batch.x0.clone()
    altered[(~known).expand_as(altered)] += 1.0
    changed = replace(batch, x0=altered)
    assert batch_loss(model, changed, CONFIG)[0] != loss
    altered = torch.where(known, batch.x0 + 1.0, batch.x0)

    class Blind(torch.nn.Module):
        """The same network, whose input outside is put back."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: torch.Tensor, t: torch.Tensor, condition: object) -> object:
            return self.inner(torch.where(known, batch.x0, x), t, condition)

    outside = replace(batch, x0=altered)
    assert batch_loss(Blind(), outside, CONFIG)[0] == loss


def test_a_run_starts_from_refine_and_its_weights_can_be_published(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # noqa: E501
    monkeypatch.setenv(WEIGHTS_ENV, str(tiny_weights))
    write_data(tmp_path / "data")
    config = tmp_path / "lesion.yaml"
    config.write_text(
        f"network: lesion\ndata: {tmp_path / 'data'}\nout: {tmp_path / 'run'}\nbatch: 2\nsteps: 2\nlog_every: 1\n"
    )
    monkeypatch.setattr(Trainer, "validate", lambda self: {"flow": 1.0 - 0.1 * self.progress.step})
    weights = train("lesion", config)
    rows = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert rows[0] == {"step": 0, "validation": {"flow": 1.0}}  # the mark to beat
    assert [row["step"] for row in rows[1:]] == [1, 2]
    started = networks.refine().state_dict()
    drift = [
        float((value - started[name]).abs().max())
        for name, value in library.load_from(weights, "float32").state_dict().items()
    ]
    assert 0 < max(drift) < 0.01
    assert (library.export(weights, "lesion", tmp_path / "mine") / "config.json").is_file()
