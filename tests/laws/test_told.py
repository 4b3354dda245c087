"""Law: a network is told the same of the same patient in training and in drawing, but for noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from prompts import CaseRequest
from synth.case.plan import GeneratePlan
from synth.data.dataset import Jitter, PreparedPatient, pool, split_bands
from synth.draw import base as compose
from synth.draw import redraw, refine
from synth.draw.drawn import Drawn
from synth.draw.patchwork import draw_patchwork
from synth.models.condition import Condition, EncodedRequest
from synth.models.scaling import detail_to_network
from synth.regions import shipped
from synth.training import tasks
from synth.training.lesion_task import lesion_sample
from synth.training.tasks import BaseTask, Posed, RefineTask, Sample, collate, with_background
from tests import networks
from tests.laws.conftest import WORDS, base_task, refine_task
from tests.regions import HEAD_NECK, NAMES, REGION
from tests.torso import phantom

BASE, FINE = networks.base(), networks.refine()
LEVEL = -1  # of grid: how much noise the coarse CT is said to carry
SEEDS = range(60)


class OneEncoder:
    """Every text has the same features."""

    def __call__(self, prompts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        return WORDS[None], torch.ones(1, 3, dtype=torch.bool)

    def padded(self, texts: list[str | None]) -> tuple[torch.Tensor, torch.Tensor]:
        mask = torch.tensor([text is not None for text in texts])
        return WORDS * mask[:, None, None], mask[:, None].expand(-1, 3)


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (compose, refine, tasks):
        if hasattr(module, "text_encoder"):
            monkeypatch.setattr(module, "text_encoder", lambda *_: OneEncoder())


def plan_of(subject: PreparedPatient) -> GeneratePlan:
    request = CaseRequest(prompt="said")
    return GeneratePlan(case="c", seed=0, request=request, region="head_neck", spacing_mm=4.0, facts=subject.facts)


def annotated(subject: PreparedPatient) -> PreparedPatient:
    return replace(subject, annotated=torch.ones(7))


def frame_of(task: BaseTask | RefineTask) -> Posed:
    return task.posed(0, Jitter.none(HEAD_NECK))


def told_everything(samples: Iterator[Sample], known: int) -> Sample:
    """The first sample whose facts are all told, and, where there is a coarse CT, without noise, mask and gaps."""
    for sample in samples:
        whole = bool(sample.facts[len(NAMES) :].sum() == known)
        coarse = sample.coarse is None or (
            sample.coarse_noise == 0 and not sample.known_mask.any() and bool(sample.coarse_labels.any())  # type: ignore
        )
        if whole and coarse and not torch.isnan(sample.lower_mm).any():
            return sample
    raise AssertionError("no sample is told everything")


def assert_told_alike(training: Condition, drawing: Condition, text: bool = True) -> None:
    torch.testing.assert_close(training.maps, drawing.maps, atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(training.facts, drawing.facts)
    torch.testing.assert_close(training.grid[:, :LEVEL], drawing.grid[:, :LEVEL])
    if text:
        assert torch.equal(training.text, drawing.text) and torch.equal(training.text_mask, drawing.text_mask)


def test_base(words: None, subject: PreparedPatient) -> None:
    subject = annotated(subject)
    task = base_task(subject)
    frame = frame_of(task)
    rngs = (np.random.default_rng(s) for s in SEEDS)
    sample = told_everything((task._sample(frame, rng) for rng in rngs), len(subject.facts))
    drawing = compose._condition(plan_of(subject), frame.scaffold[None].float(), BASE)
    assert_told_alike(collate([sample]).condition, drawing)


def drawn_of(frame: Posed, spacing: float) -> Drawn:
    """A patient's own CT and organs at 8 or 16 mm as if they had been drawn."""
    volume, scaffold = frame.volume.float(), frame.scaffold.float()
    coarse = pool(volume) if spacing == 16.0 else volume
    organs = with_background(coarse[2:])
    dose = torch.zeros(1, 1, *HEAD_NECK.shape)
    return Drawn(REGION, HEAD_NECK, spacing, coarse[None, :1] - 1.0, dose, organs[None], scaffold[None])


def test_refine_of_whole_frames(words: None, subject: PreparedPatient) -> None:
    subject = annotated(subject)
    task = refine_task(subject)
    frame = frame_of(task)
    sample = told_everything((task._whole(frame, np.random.default_rng(s)) for s in SEEDS), len(subject.facts))
    drawing = refine._told(plan_of(subject), drawn_of(frame, 16.0), 8.0, FINE)
    assert_told_alike(collate([sample]).condition, drawing)


def test_refine_of_crops(words: None, subject: PreparedPatient) -> None:
    subject = annotated(subject)
    task = refine_task(subject)
    start = (36, 30, 44)
    rngs = (np.random.default_rng(s) for s in SEEDS)
    sample = told_everything((task.crop_at(subject, start, False, True, rng) for rng in rngs), len(subject.facts))
    whole = refine._told(plan_of(subject), drawn_of(frame_of(task), 8.0), 4.0, FINE)
    box = tuple(slice(s // 2, s // 2 + task.crop) for s in start)
    drawing = Condition(
        whole.facts, whole.text, whole.text_mask, whole.grid, whole.maps[(slice(None), slice(None), *box)]
    )
    assert_told_alike(collate([sample]).condition, drawing, text=False)  # crops are trained without words


def test_noise_on_the_coarse_ct_is_told_as_it_is_and_drawing_tells_no_more(subject: PreparedPatient) -> None:
    task = refine_task(subject)
    clean = task.crop_at(subject, (36, 30, 44), False, True, quiet(task))
    levels = []
    for seed in SEEDS:
        sample = task.crop_at(subject, (36, 30, 44), False, True, np.random.default_rng(seed))
        assert sample.coarse is not None and clean.coarse is not None
        told = float(collate([sample]).condition.grid[0, LEVEL])
        assert told == pytest.approx(10 * float((sample.coarse - clean.coarse).std()), rel=0.1, abs=0.01)
        levels.append(told)
    nothing = EncodedRequest.nothing(REGION, 384)
    forgiven = refine._condition(FINE, nothing, None, 4.0, torch.zeros(1, 1, 8, 8, 8), None).grid[0, LEVEL]
    assert 0 < float(forgiven) < max(levels) / 2


def quiet(task: RefineTask) -> np.random.Generator:
    """A generator whose first draw of noise is none."""
    for seed in range(200):
        sample = task.crop_at(task.subjects[0], (36, 30, 44), False, True, np.random.default_rng(seed))
        if sample.coarse_noise == 0:
            return np.random.default_rng(seed)
    raise AssertionError("no sample without noise")


def test_redraw_of_a_lesion() -> None:
    rng = np.random.default_rng(3)
    ct = torch.from_numpy(rng.random((1, 16, 16, 16), dtype=np.float32))
    hidden = torch.zeros(1, 16, 16, 16)
    hidden[:, 4:10, 4:10, 4:10] = 1
    spacing = torch.tensor([0.7, 0.7, 2.5])
    samples = (lesion_sample(ct, hidden, spacing, REGION, np.random.default_rng(s)) for s in SEEDS)
    sample = next(s for s in samples if s.coarse_noise == 0)
    coarse, details = split_bands(ct)
    drawing = redraw._condition(
        FINE, coarse[None], detail_to_network(details)[None], sample.known_mask[None], spacing.numpy(), 0.0
    )
    assert_told_alike(collate([sample]).condition, drawing)


def test_a_torso_is_told_neither_a_request_nor_a_place() -> None:
    plan = GeneratePlan(case="c", seed=0, request=CaseRequest(prompt="chest CT"), region="chest", spacing_mm=4.0)
    told = refine._told(plan, draw_patchwork(plan, shipped("torso"), phantom.model()), 4.0, FINE)
    position = told.maps[:, 8:12]
    assert not position.any() and not told.facts.any() and not told.text_mask.any()
