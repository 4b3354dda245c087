"""A patient, its mirror image, and tasks that withhold nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth.data.dataset import Parts, PreparedPatient
from synth.training.config import TrainConfig
from synth.training.tasks import BaseTask, RefineTask
from tests.laws.patient import mirror_image, patient
from tests.regions import HEAD_NECK, REGION

WORDS = torch.arange(3 * 384).view(3, 384) / 1000.0
ALL_SAID = {"drop_request": 0.0, "drop_text": 0.0, "drop_fact": 0.0}


class OneWording:
    """Stands for the bank of wordings."""

    def draw(self, subject: PreparedPatient, mirror: bool, rng: np.random.Generator) -> str:
        return "said"


class OneScaffold:
    """Stands for the placed patients: a scaffold like no other place, and symmetric."""

    def parts(self, subject: PreparedPatient) -> Parts:
        rng = np.random.default_rng(1)
        ct = rng.random((1, *HEAD_NECK.shape_at(4.0)), dtype=np.float32)
        rest = rng.random((7, *HEAD_NECK.shape_at(8.0)), dtype=np.float32)
        rest[3] = rest[2]
        return Parts(REGION, *(torch.from_numpy(np.maximum(a, a[:, ::-1])).half() for a in (ct, rest)))


@pytest.fixture(scope="session")
def subject() -> PreparedPatient:
    return patient()


@pytest.fixture(scope="session")
def image(subject: PreparedPatient) -> PreparedPatient:
    return mirror_image(subject)


def base_task(subject: PreparedPatient) -> BaseTask:
    return BaseTask([subject], OneWording(), OneScaffold(), TrainConfig(network="base", **ALL_SAID))  # type: ignore


def refine_task(subject: PreparedPatient) -> RefineTask:
    config = TrainConfig(network="refine", **ALL_SAID)
    return RefineTask([subject], OneWording(), OneScaffold(), config)  # type: ignore[arg-type]
