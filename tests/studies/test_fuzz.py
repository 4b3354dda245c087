"""A short run of the fuzzer, the inputs that once failed among them; and it sees what it looks for."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest

from studies.fuzz import run as fuzz
from studies.fuzz import whole
from studies.fuzz.doors import DOORS, SLOW
from studies.fuzz.hostile import VALUES, changed, damaged
from synth import cli
from synth.errors import InputError

# labels without names; a unit that is none; a word of 5,000 letters
# then: a header of an array cut; a spread that is text; of seed 2 a lone carriage return, a sentence without its id
# of seed 102 no scan left to train on (two), organs that the region has not, a scale that is nothing
# of seed 103 an empty array of patients, of seed 104 a table of them whose text is none; of
# seed 201 a plan whose lesion has a number for its structures, a prior without an organ; of seed 301 tags of many
# values or of a representation that is none, a log nested without end; of
# seed 110 films of the first CT of three, of which two are not there; of seed 401 a lesion of no organ,
# a language model of a hub out of reach
ONCE_FAILED = [
    *(
        ("headers", 75, 0),
        ("headers", 88, 0),
        ("headers", 2, 0),
        ("prompts", 8, 0),
        ("prepared", 3, 0),
        ("weights", 3, 0),
    ),
    *(("archives", 0, 2), ("archives", 82, 2), ("cases", 45, 2)),
    *(("archives", 80, 102), ("regions", 153, 102), ("prepared", 24, 102), ("weights", 22, 102)),
    *(("evaluations", 105, 103), ("evaluations", 15, 104), ("options", 39, 110)),
    *(
        ("evaluations", 14, 201),
        ("weights", 407, 201),
        ("dicom", 74, 301),
        ("dicom", 103, 301),
        ("checkpoints", 9, 301),
        ("cases", 255, 401),
        ("recipes", 660, 401),
    ),
]
_FEW = 3


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "sound"
    folder.mkdir()
    whole.write_all(folder)
    return folder


@pytest.mark.parametrize("door", DOORS)
def test_a_few_hostile_inputs_at_each_door(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(1 if door in SLOW else _FEW):
        assert fuzz.one(door, number, 0, sound, tmp_path / "input") is None
    assert [path.name for path in tmp_path.iterdir()] == ["input"]


@pytest.mark.parametrize(("door", "number", "seed"), ONCE_FAILED)
def test_what_once_failed_does_not_again(sound: Path, tmp_path: Path, door: str, number: int, seed: int) -> None:
    assert fuzz.one(door, number, seed, sound, tmp_path / "input") is None


@pytest.mark.parametrize(
    ("error", "file", "said"),
    [
        (ZeroDivisionError("ours"), "", "exit code 1|a fault"),
        (SystemExit(7), "", "exit code SystemExit"),
        (InputError("bad"), "out/half", "left behind"),
        (InputError("bad"), "elsewhere", "outside"),
        (InputError("bad"), "out/.a.partial", "half-written"),
    ],
)
def test_each_kind_of_fault_is_seen(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, file: str, said: str
) -> None:
    here = tmp_path / "input"

    def broken(_: list[str]) -> int:
        if file:
            (here / file).parent.mkdir(exist_ok=True)
            (here / file).write_text("x")
        raise error

    monkeypatch.setattr(cli, "_run", broken)
    fault = fuzz.one("prompts", 0, 0, sound, here)
    assert fault is not None and any(fault.what.startswith(words) for words in said.split("|"))


def test_an_input_that_cannot_be_made_ends_its_process_alone(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[str]:
        raise ZeroDivisionError("of the fuzzer")

    monkeypatch.setitem(DOORS, "prompts", broken)
    with tempfile.TemporaryDirectory() as place:
        found = list(fuzz._batch("prompts", range(2), 0, sound, Path(place), math.inf))
        assert Path(place).is_dir()
    assert [fault.what for fault in found] == ["the process died with 1"] * 2  # type: ignore[union-attr]


def test_a_hang_is_told_by_what_it_computes(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(*_: object) -> list[str]:
        while True:
            pass

    monkeypatch.setitem(DOORS, "prompts", endless)
    monkeypatch.setattr(fuzz, "HANG_S", 0)
    (found,) = fuzz._batch("prompts", range(1), 0, sound, tmp_path, math.inf)
    assert isinstance(found, fuzz.Fault) and found.what == "hangs: computes for 0 s"


def test_values_of_an_input_are_its_own() -> None:
    before = repr(VALUES)
    for seed in range(200):
        changed(np.random.default_rng(seed), {"a": [1, {}], "b": {}}, 9)
    assert repr(VALUES) == before


def test_damage_is_damage() -> None:
    rng = np.random.default_rng(0)
    content = bytes(range(256))
    assert sum(damaged(rng, content) == content for _ in range(100)) < 10
    assert sum(changed(rng, {"a": [1, 2], "b": {"c": "d"}}) == {"a": [1, 2], "b": {"c": "d"}} for _ in range(100)) < 10
