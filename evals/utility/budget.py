"""How long a study will take, measured on this machine before it begins."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from evals import volumes
from evals.utility.config import Arm, UtilityConfig
from evals.utility.data import load

_STEPS = 3


def seconds_a_run(config: UtilityConfig) -> float:
    """Training and test of one segmenter, from `_STEPS` steps and the prediction of one patient; no lesions put in."""
    from evals.utility.scoring import score
    from evals.utility.segmenter import predict, train

    entries, _ = volumes.survey(
        config.real_test or config.real_train, config.organ_ids, trust_hu=config.trust_hu, most=1
    )
    (patient,) = load(entries, config)
    patient = replace(patient, annotated=np.ones_like(patient.annotated))
    few = config.model_copy(update={"steps": _STEPS})
    train(config.networks[0], Arm.REAL, [patient], [], 0, few)  # the first steps set the machine up
    started = time.monotonic()
    model, _ = train(config.networks[0], Arm.REAL, [patient], [], 0, few)
    trained = time.monotonic()
    score(predict(model, patient, config), patient, config)
    tested = time.monotonic() - trained
    return (trained - started) * config.steps / _STEPS + tested * test_patients(config)


def test_patients(config: UtilityConfig) -> int:
    """How many patients a run is tested on."""
    if config.real_test is None:
        return len(volumes.find(config.real_train)) - max(config.real_cases)
    return len(volumes.find(config.real_test))


def told(count: int, what: str, seconds_each: float | None) -> str:
    """`34 cases to go, about 1 h 10 min in one process (123 s each)`."""
    if seconds_each is None or not count:
        return f"{count} {what} to go"
    return f"{count} {what} to go, about {_long(count * seconds_each)} in one process ({seconds_each:.0f} s each)"


def _long(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{max(minutes, 1)} min"
