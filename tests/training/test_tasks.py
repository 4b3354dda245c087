"""Training: batches are drawn from their seed alone, mirrors swap sides, a killed run repeats itself."""

import dataclasses
import json

import numpy as np
import pytest
import torch
import yaml

from synth.data import dataset
from synth.data.dataset import Jitter, fractions, jittered, jittered_alike, parts_of, swap_sides
from synth.data.store import PatientEntry, write_entries
from synth.errors import InputError
from synth.models.denoiser import Denoiser
from synth.regions.region import read
from synth.shape.model import ShapeModel
from synth.shape.register import Round
from synth.training.config import TrainConfig, load_config
from synth.training.main import Trainer, learning_rate, train
from synth.training.placed import PlacedScaffolds
from synth.training.requests import draw_facts
from synth.training.shape import fit_shape
from synth.training.shape_config import ShapeConfig, load_shape_config
from synth.training.shards import Shard
from synth.training.tasks import BaseTask, RefineTask, batch_loss, build_model
from tests.regions import CLASSES, HEAD_NECK, ORGANS, REGION

ROOT = dataset.Path(__file__).parents[2]


class NoText:
    """Stands for the bank of wordings where the text encoder is not the matter."""

    def draw(self, subject, mirror, rng):
        return "said"


def make_subject(number=0):
    """A neck of soft tissue with a mandible in front and parotids of unequal size."""
    rng = np.random.default_rng(number)
    shape = HEAD_NECK.shape_at(4.0)
    hu = np.full(shape, -1000, np.int16)
    hu[48:80, 20:60, 10:80] = rng.integers(20, 60, (32, 40, 70))
    organs, dose = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    organs[50:58, 40:48, 55:65] = 1 + ORGANS.index("parotid_gland_left")
    organs[70:74, 40:48, 55:65] = 1 + ORGANS.index("parotid_gland_right")
    dose[50:60, 30:50, 30:60] = 70
    facts = {"target_70_side": 1.0, "target_70_ml": 100.0, "top_mm": 80.0, "bottom_mm": 150.0, "neck_area_cm2": 150.0}
    flags = torch.tensor([1.0, 0, 1, 1, 0, 0, 0])
    return dataset.PreparedPatient(REGION, f"s{number}", hu, organs, dose, flags, facts)


def config(**changes):
    model = {"widths": (4, 6, 8), "blocks": (1, 1, 1), "embedding_dim": 8}
    return TrainConfig(**{"network": "base", "batch": 2, "model": model, **changes})


def placed(subjects):
    """A mean patient that fills its frame, carried to every subject by a small shift."""
    model = ShapeModel(rank=2)
    model.mean_ct[0, 32:96, 16:64, 16:80] = 1.0
    return PlacedScaffolds(model, {s.name: torch.full((3, *HEAD_NECK.shape), 2.0) for s in subjects})


def task(network="base"):
    subjects = [make_subject(0), make_subject(1)]
    if network == "base":
        return BaseTask(subjects, NoText(), placed(subjects), config())
    native = [(torch.zeros(1, 40, 40, 40).half(), torch.tensor([1.0, 1.0, 2.5]))]
    return RefineTask(subjects, NoText(), placed(subjects), config(network="refine", batch=4), native)


@pytest.mark.parametrize("network", ["base", "refine"])
def test_a_batch_follows_from_its_seed(network):
    t = task(network)
    a, b, c = (t.draw(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert torch.equal(a.x0, b.x0) and torch.equal(a.condition.maps, b.condition.maps)
    assert a.x0.shape != c.x0.shape or not torch.equal(a.x0, c.x0)


@pytest.mark.parametrize("network", ["base", "refine"])
def test_labels_are_fractions_and_the_loss_has_gradients_everywhere(network):
    t = task(network)
    model = build_model(t.config, t)
    for seed in range(4):
        batch = t.draw(np.random.default_rng(seed))
        torch.testing.assert_close(batch.labels.sum(dim=1), torch.ones_like(batch.labels[:, 0]), atol=2e-3, rtol=0)
        loss, numbers = batch_loss(model, batch, t.config)
        loss.backward()
        assert np.isfinite(numbers["loss"])
    dead = [n for n, p in model.named_parameters() if p.grad is None]
    assert dead == []


def test_the_mirror_image_swaps_right_and_left():
    parts = parts_of(make_subject())
    frame = parts.whole().float()
    assert torch.allclose(jittered(parts, Jitter.none(HEAD_NECK)), frame, atol=2e-3)
    mirrored = jittered(parts, Jitter.none(HEAD_NECK, mirror=True))
    torch.testing.assert_close(mirrored, swap_sides(frame.flip(1), REGION), atol=2e-3, rtol=0)
    left, right = 2 + ORGANS.index("parotid_gland_left"), 2 + ORGANS.index("parotid_gland_right")
    assert frame[left].sum() > frame[right].sum()
    assert mirrored[left].sum() < mirrored[right].sum()


def test_a_jitter_moves_by_its_shift_and_grows_by_its_scale():
    parts = parts_of(make_subject())
    frame = parts.whole().float()
    shifted = jittered(parts, Jitter(HEAD_NECK, np.ones(3), np.zeros(3), np.array([8.0, 0.0, 16.0]), False))
    torch.testing.assert_close(shifted[1:, 1:, :, 2:], frame[1:, :-1, :, :-2], atol=2e-3, rtol=0)
    torch.testing.assert_close(shifted[:1, 1:, :, 2:], frame[:1, :-1, :, :-2], atol=0.25, rtol=0)  # sharpened
    grown = jittered(parts, Jitter(HEAD_NECK, np.array([1.1, 1.0, 1.2]), np.zeros(3), np.zeros(3), False))
    assert float(grown[2:].sum()) == pytest.approx(1.32 * float(frame[2:].sum()), rel=0.05)


@pytest.mark.parametrize("period_mm", [16.0, 20.0, 32.0])
def test_a_jitter_keeps_the_contrast_of_vertebrae(period_mm):
    z = np.arange(HEAD_NECK.shape_at(4.0)[2]) * 4.0
    subject = make_subject()
    subject.hu[:] = np.int16(100 * np.sin(2 * np.pi * z / period_mm))
    parts = parts_of(subject)

    def contrast(shift_mm):
        moved = jittered(parts, Jitter(HEAD_NECK, np.ones(3), np.zeros(3), np.array([0.0, 0.0, shift_mm]), False))
        return float(moved[0, 16:48, 10:30, 8:40].var())

    shifts = np.linspace(0.05, 15.95, 16)
    exact = [
        float(parts_of(_moved(subject, z, period_mm, shift)).whole()[0, 16:48, 10:30, 8:40].var()) for shift in shifts
    ]
    assert np.mean([contrast(s) for s in shifts]) == pytest.approx(np.mean(exact), rel=0.08)


def _moved(subject, z, period_mm, shift_mm):
    """The same waves, drawn where they would be."""
    hu = np.zeros_like(subject.hu)
    hu[:] = np.int16(100 * np.sin(2 * np.pi * (z - shift_mm) / period_mm))
    return dataclasses.replace(subject, hu=hu)


def test_the_prior_explains_what_a_plain_network_must_learn():
    t = task()
    model = build_model(t.config, t)
    batch = t.draw(np.random.default_rng(0))
    before = batch_loss(model, batch, t.config)[1]["flow"]
    model.prior.fit(batch.x0 - model.scaffold_of(batch.condition), batch.condition.facts, 0.02)
    after = batch_loss(model, batch, t.config)[1]["flow"]
    assert after < 0.3 * before


def test_facts_are_withheld():
    rng = np.random.default_rng(0)
    known = [int(draw_facts(REGION, {"top_mm": 1.0, "body_ml": 9.0}, 0.3, rng)[-30:].sum()) for _ in range(50)]
    assert (
        draw_facts(REGION, {"top_mm": 1.0}, 1.0, np.random.default_rng(1)).shape
        == draw_facts(REGION, {}, 1.0, rng).shape
    )
    assert len(set(known)) > 1


def test_fractions_are_one_hot():
    assert fractions(torch.tensor([[[0, 7]]]), CLASSES).sum() == 2


def write_data(folder):
    for split in ("train", "val"):
        entries = []
        for number in range(2):
            s = make_subject(number)
            facts = s.facts | {"shoulder_width_mm": 400.0, "neck_vessels_hu": 60.0}
            entries.append(
                PatientEntry(s.name, "head_neck", s.hu, s.organs, s.dose, ("brainstem",), facts, source="test")
            )
        write_entries(folder / "patients" / split, entries)
    one = Round(pool=2, sigma=2.0, iterations=1)
    fit_shape(ShapeConfig(data=folder, out=folder / "shape", rank=2, rounds=(one,)))


def _run(tmp_path, name, steps, data):
    trainer = Trainer(
        config(
            data=data,
            shape=data / "shape",
            out=tmp_path / name,
            steps=steps,
            log_every=1,
            validate_every=100,
            checkpoint_minutes=1e-9,
        )
    )
    trainer.run()
    return [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    monkeypatch.setattr("synth.training.tasks._PRIOR_FRAMES", 2)
    write_data(tmp_path / "data")
    whole = _run(tmp_path, "whole", 4, tmp_path / "data")
    _run(tmp_path, "broken", 2, tmp_path / "data")
    resumed = _run(tmp_path, "broken", 4, tmp_path / "data")
    losses = [[row["train"]["loss"] for row in rows] for rows in (whole, resumed)]
    assert losses[0] == losses[1] and len(losses[0]) == 4
    assert (tmp_path / "broken" / "weights" / "config.json").is_file()


@pytest.mark.slow
def test_the_weights_of_the_best_validation_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("synth.training.tasks._PRIOR_FRAMES", 2)
    write_data(tmp_path / "data")
    losses = iter([0.3, 0.1, 0.2])
    monkeypatch.setattr(Trainer, "validate", lambda self: {"flow": next(losses)})
    data, out = tmp_path / "data", tmp_path / "run"
    trainer = Trainer(config(data=data, shape=data / "shape", out=out, steps=3, validate_every=1))
    kept = []
    monkeypatch.setattr(trainer, "_save_weights", lambda name: kept.append((name, trainer.progress.step)))
    trainer.run()
    assert kept == [("best", 1), ("best", 2), ("weights", 3)]
    assert json.loads((out / "checkpoint" / "progress.json").read_text())["best"] == 0.1


@pytest.mark.slow
@pytest.mark.parametrize("refit", [False, True])
def test_a_run_from_weights_keeps_their_prior_or_fits_it_anew(tmp_path, monkeypatch, refit):
    monkeypatch.setattr("synth.training.tasks._PRIOR_FRAMES", 2)
    write_data(tmp_path / "data")
    given = build_model(config(), task())
    given.save_pretrained(tmp_path / "given")
    data, out = tmp_path / "data", tmp_path / "run"
    trainer = Trainer(config(data=data, shape=data / "shape", out=out, init=tmp_path / "given", refit_prior=refit))
    assert torch.equal(trainer.model.prior.mean, given.prior.mean) is not refit


def test_every_training_configuration_loads():
    files = sorted((ROOT / "configs" / "train").rglob("*.yaml"))
    assert len(files) >= 2
    for file in files:
        if file.stem == "chest":
            assert len(read(file).facts) > 18
        elif file.stem in ("shape", "patchwork"):
            assert load_shape_config(file, {}).rounds
        else:
            assert load_config(file).network in yaml.safe_load(file.read_text())["network"]


@pytest.mark.slow
def test_the_recipe_for_a_gpu_trains_what_it_says(tmp_path):
    write_data(tmp_path / "data")
    few = {"steps": 1, "batch": 4, "validate_every": 1, "log_every": 1, "times": {"clean": 1.0}}
    places = {"data": tmp_path / "data", "shape": tmp_path / "data" / "shape", "out": tmp_path / "run"}
    weights = train("refine", ROOT / "configs" / "train" / "refine_gpu.yaml", few | places)
    model = Denoiser.from_pretrained(weights)
    assert model.config.refine and model.config.widths[0] == 64
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "named"),
    [("network: base\nlearning_rte: 1", "learning_rte"), ("network: base\nbatch: -1", "batch"), ("a: [", "not YAML")],
)
def test_a_bad_configuration_is_named(tmp_path, text, named):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=named):
        load_config(path)
    with pytest.raises(InputError, match="no such file"):
        load_config(tmp_path / "absent.yaml")


def test_a_bend_moves_tissue_by_its_displacement_and_slices_stay_flat():
    patient = make_subject()
    parts, steady = (
        parts_of(patient),
        dict(frame=HEAD_NECK, scale=np.ones(3), rotation=np.zeros(3), shift_mm=np.zeros(3), mirror=False),
    )
    nodes = Jitter.draw(REGION, np.random.default_rng(0), bend=4.0).bend_mm
    assert nodes.std() == pytest.approx(4.0, rel=0.4) and np.ptp(nodes[2], axis=(0, 1)).max() == 0

    up = np.zeros_like(nodes)
    up[2] = -12.0  # what is shown at a place comes from 12 mm below it
    lifted = Jitter(**steady, bend_mm=up)
    assert REGION.jittered({"top_mm": 80.0, "bottom_mm": 150.0}, lifted) == pytest.approx(
        {"top_mm": 92.0, "bottom_mm": 138.0}
    )
    shifted = Jitter(**{**steady, "shift_mm": np.array([0.0, 0.0, 12.0])})
    torch.testing.assert_close(jittered(parts, lifted), jittered(parts, shifted), atol=1e-3, rtol=0)

    bent = jittered(parts, Jitter(**steady, bend_mm=nodes))[0] > 0.5
    tops = torch.where(bent, torch.arange(bent.shape[2]), 0).amax(dim=2)[26:38, 14:26]
    assert tops.min() == tops.max()  # the scan still ends in a plane
    assert not torch.equal(bent, jittered(parts, Jitter.none(HEAD_NECK))[0] > 0.5)


def test_without_a_bend_the_draws_are_those_before_it():
    plain, bent = (Jitter.draw(REGION, np.random.default_rng(3), bend) for bend in (0.0, 4.0))
    assert plain.bend_mm is None and plain.mirror == bent.mirror and np.array_equal(plain.scale, bent.scale)


@pytest.mark.parametrize("bend", [0.0, 4.0])
def test_frames_jittered_together_are_those_jittered_alone(bend):
    jitter = Jitter.draw(REGION, np.random.default_rng(2), bend)
    many = [parts_of(make_subject(0)), parts_of(make_subject(1))]
    for together, parts in zip(jittered_alike(many, jitter), many, strict=True):
        assert torch.equal(together, jittered(parts, jitter))


@pytest.mark.parametrize("network", ["base", "refine"])
def test_two_shards_draw_together_what_one_draws(network):
    whole, *halves = task(network), task(network), task(network)
    size = 2 if network == "base" else 8  # of a refine batch, a quarter is frames
    whole.config = whole.config.model_copy(update={"batch": 2 * size, "volumes_a_frame": 1})
    for rank, half in enumerate(halves):
        half.config = half.config.model_copy(update={"batch": size, "volumes_a_frame": 1})
        half.shard = Shard(rank, 2)
    together = whole.draw(np.random.default_rng([3, 4]))
    first, second = (half.draw(np.random.default_rng([3, 4])) for half in halves)
    assert torch.equal(torch.cat([first.x0, second.x0]), together.x0)
    assert torch.equal(torch.cat([first.condition.facts, second.condition.facts]), together.condition.facts)
    assert first.seeds + second.seeds == together.seeds and len(set(together.seeds)) == len(together.seeds)


def test_volumes_that_share_a_frame_differ_in_what_is_asked_only():
    subjects = [make_subject(0), make_subject(1)]
    pairs = BaseTask(subjects, NoText(), placed(subjects), config(batch=4, volumes_a_frame=2))
    batch = pairs.draw(np.random.default_rng(0))
    assert torch.equal(batch.x0[0], batch.x0[1]) and not torch.equal(batch.x0[1], batch.x0[2])
    assert not torch.equal(batch.condition.facts[0], batch.condition.facts[1])
    alone = pairs.draw(np.random.default_rng(0), train=False)
    assert len(alone.x0) == 4


def test_the_learning_rate_rises_stays_and_falls():
    run = config(steps=1000, warmup=100, cooldown=200, learning_rate=1.0)
    rates = [learning_rate(run, step) for step in (0, 49, 99, 500, 800, 900, 999)]
    assert rates == pytest.approx([0.01, 0.5, 1.0, 1.0, 1.0, 0.5, 0.005])
    assert learning_rate(config(steps=1000, learning_rate=1.0), 999) == 1.0
