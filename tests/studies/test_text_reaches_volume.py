"""The study of words reads its own volumes without a mistake, and asks in sentences that were not in training."""

from __future__ import annotations

import random

import numpy as np

from studies import text_reaches_volume as study


def test_every_made_volume_is_read_as_what_it_was_made_as() -> None:
    assert study.read_right(90) == 1.0


def test_another_ball_is_read_as_another() -> None:
    rng = np.random.default_rng(0)
    ball = ("left", "small", "dark")
    made = study.coarse(study.volume(ball, rng))
    assert study.read_ball(made[::-1]) == ("right", "small", "dark")
    assert study.read_ball(2 * 40.0 - made) is not None and study.read_ball(2 * 40.0 - made)[2] == "bright"


def test_wordings_that_are_asked_were_not_in_training() -> None:
    rng = random.Random(0)
    learnt = {study.wording(ball, rng, study._LEARNT, study._LEARNT_NONE) for ball in study.KINDS for _ in range(2000)}
    asked = study.questions(100)
    assert not {one.text for one in asked} & learnt
    assert all(asked[i].ball == study.KINDS[i % 9] for i in range(100))
