"""The benchmark of lesions while training: it times what happens, and says how many lesions there were."""

import pytest

from evals.benchmarks import lesions


def test_a_patch_takes_its_lesion_and_seconds_are_ordered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lesions, "SIZE", 48)
    found = lesions.timed(lesions.transform_of("8 mm liver cyst"), repeat=3)
    assert (found["repeats"], found["lesions"]) == (3, 3)
    for seconds in (found["cpu_seconds"], found["wall_seconds"]):
        assert 0 < seconds["least"] <= seconds["median"] <= seconds["most"]
    none = lesions.timed(lesions.transform_of("8 mm kidney cyst"), repeat=2)
    assert none["lesions"] == 0
