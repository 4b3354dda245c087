"""A language model as the reader, played by a stub: what it makes up goes, and what is no JSON is asked for again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from prompts.llm import read_with
from synth import pipeline
from synth.case import doors
from synth.case.language_model import model_of
from synth.case.order import Order
from synth.case.weights_folder import Weights
from synth.errors import InputError
from tests import hosts

TEXT = "CT chest, 8 mm nodule in the left lung, no effusion"
NODULE = {"quote": "8 mm nodule", "kind": "nodule", "organ": "lung", "side": "left", "size_mm": [8], "count": 1}
EFFUSION = {"quote": "no effusion", "kind": "effusion", "status": "absent"}


def stub(*answers: str) -> tuple[Callable[[str], str], list[str]]:
    asked: list[str] = []

    def model(prompt: str) -> str:
        asked.append(prompt)
        return answers[min(len(asked), len(answers)) - 1]

    return model, asked


def answer(*findings: object) -> str:
    return "Here it is: " + json.dumps({"findings": findings})


def test_what_the_model_finds_is_drawn_and_the_rest_is_the_grammar_s() -> None:
    model, asked = stub(answer({**NODULE, "status": "present"}, EFFUSION))
    reading = read_with(model, TEXT)
    assert (reading.region, reading.parser, len(asked)) == ("chest", "llm", 1)
    (nodule,) = reading.request.findings
    assert (nodule.side, nodule.size_mm) == ("left", 8.0)
    assert [f.kind for f in reading.ruled_out] == ["effusion"]
    assert TEXT[slice(*reading.findings[0].span)] == "8 mm nodule"


def test_what_is_not_in_the_text_goes() -> None:
    made_up = {**NODULE, "quote": "12 mm mass", "status": "present"}
    model, _ = stub(answer({**NODULE, "size_mm": [80], "status": "present"}, made_up, {"kind": "spork"}, 3))
    reading = read_with(model, TEXT)
    (nodule,) = reading.request.findings
    assert nodule.size_mm is None
    assert "3 of the model's findings" in reading.notes[0]


def test_a_length_of_another_finding_goes() -> None:
    model, _ = stub(answer({**NODULE, "size_mm": [12], "status": "present"}))
    (nodule,) = read_with(model, f"{TEXT}, 12 mm nodule in the right lung").request.findings
    assert nodule.size_mm is None


def test_places_sides_and_numbers_that_the_text_does_not_name_go() -> None:
    wrong = {**NODULE, "side": "right", "organ": "liver", "part": "upper", "count": 7, "status": "present"}
    model, _ = stub(answer(wrong))
    (found,) = [f for f in read_with(model, TEXT).findings if f.status == "present"]
    assert (found.organ, found.side, found.part, found.count) == ("lung", None, None, None)


def test_one_more_try_then_the_grammar() -> None:
    model, asked = stub("I cannot", answer({**NODULE, "status": "present"}))
    assert read_with(model, TEXT).parser == "llm" and len(asked) == 2
    model, asked = stub("I cannot")
    reading = read_with(model, TEXT)
    assert (reading.parser, len(asked), len(reading.request.findings)) == ("grammar", 2, 1)
    assert "read by the grammar" in reading.notes[0]


def test_a_plan_stores_what_the_model_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "chest CT with an 8 mm nodule on the left"
    model, asked = stub(answer({**NODULE, "status": "present"}))
    monkeypatch.setattr("synth.case.language_model.model_of", lambda _: model)
    monkeypatch.setattr(doors, "_BY_MODEL", {})
    doors.ask(text, "insert", by="llm:stub")
    stored = doors.reading_of(text, "insert")
    assert stored is not None and stored["findings"][0]["text"] == "8 mm nodule" and len(asked) == 1


def test_the_command_of_a_case_says_who_read(tiny_path: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "chest CT with a 12 mm nodule in the left lung"
    model, _ = stub(answer({**NODULE, "quote": "12 mm nodule", "status": "present"}))
    monkeypatch.setattr("synth.case.language_model.model_of", lambda _: model)
    monkeypatch.setattr(doors, "_BY_MODEL", {})
    order = Order(doors.ask(text, "generate").case_request, Weights.shipped("torso"))
    assert "--parser" not in order.command(0)
    doors.ask(text, "generate", by="llm:stub")
    assert "--parser llm:stub" in order.command(0)

    doors.ask(text, "insert", by="llm:stub")
    folder = pipeline.insert(*hosts.write_chest(tmp_path), text, out=tmp_path / "out")
    command = json.loads((folder / "manifest.json").read_text())["command"]
    assert "--parser llm:stub" in command and text in command


@pytest.mark.parametrize("name", ["gpt", "llm:", "llm:http://example.org/v1#m"])
def test_a_parser_that_cannot_be(name: str) -> None:
    with pytest.raises(InputError, match="--parser"):
        model_of(name)
