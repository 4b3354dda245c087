"""Law: a training sample of a patient mirrored is that of the mirror image. Right and left are exchanged everywhere."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

from synth.data.dataset import Jitter, PreparedPatient
from synth.training.tasks import BaseTask, Posed, RefineTask, Sample
from tests.laws.conftest import base_task, refine_task


def frame(task: BaseTask | RefineTask, mirror: bool) -> Posed:
    return task.posed(0, Jitter.none(task.region.frame, mirror))


def assert_same(one: Sample, other: Sample) -> None:
    for field in fields(Sample):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, torch.Tensor):
            torch.testing.assert_close(a.float(), b.float(), atol=2e-3, rtol=1e-3, equal_nan=True, msg=field.name)
        else:
            assert a == b, field.name


@pytest.mark.parametrize("seed", [1, 2])
def test_whole_frames(subject: PreparedPatient, image: PreparedPatient, seed: int) -> None:
    for make, draw in ((base_task, "_sample"), (refine_task, "_whole")):
        ours, theirs = make(subject), make(image)
        mirrored = getattr(ours, draw)(frame(ours, True), np.random.default_rng(seed))
        assert_same(mirrored, getattr(theirs, draw)(frame(theirs, False), np.random.default_rng(seed)))
        plain = getattr(ours, draw)(frame(ours, False), np.random.default_rng(seed))
        assert not torch.equal(plain.x0, mirrored.x0) and not torch.equal(plain.facts, mirrored.facts)


@pytest.mark.parametrize("seed", [1, 2])
def test_crops(subject: PreparedPatient, image: PreparedPatient, seed: int) -> None:
    ours, theirs = refine_task(subject), refine_task(image)
    size, start = 2 * ours.crop, (36, 30, 44)
    there = (subject.hu.shape[0] - size - start[0], *start[1:])
    mirrored = ours.crop_at(subject, start, True, True, np.random.default_rng(seed))
    assert_same(mirrored, theirs.crop_at(image, there, False, True, np.random.default_rng(seed)))
    assert mirrored.labels[1:].sum() > 0


def test_mirrored_twice_is_the_patient(subject: PreparedPatient, image: PreparedPatient) -> None:
    from tests.laws.patient import mirror_image

    again = mirror_image(image)
    np.testing.assert_array_equal(again.organs, subject.organs)
    assert torch.equal(again.annotated, subject.annotated) and not torch.equal(image.annotated, subject.annotated)
