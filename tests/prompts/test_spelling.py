"""Slips of the pen are taken for the term that was meant; other words of English and medicine are not."""

from __future__ import annotations

import pytest

from prompts import read
from prompts.phrases import load
from prompts.source import keyed
from prompts.spelling import distance, taken_for
from studies.look_alikes import look_alikes


@pytest.mark.parametrize(
    ("word", "term"),
    [
        ("noduel", "nodule"), ("plueral", "pleural"), ("cardiomegally", "cardiomegaly"), ("atelctasis", "atelectasis"),
        ("brochiectasis", "bronchiectasis"), ("hepatocelular", "hepatocellular"), ("efusion", "effusion"),
        ("pnemothorax", "pneumothorax"), ("emphesema", "emphysema"), ("haemangeoma", "hemangioma"),
    ],
)  # fmt: skip
def test_a_slip_is_taken_for_the_term(word: str, term: str) -> None:
    assert read(f"{word} seen in a chest CT with a 9 mm nodule in the lung").corrected == {word: term}


@pytest.mark.parametrize(
    "word",
    ["surgically", "conclusion", "placed", "course", "inspection", "stream", "nephrectomy", "gastrectomy", "hypoplasia",
     "brachial", "arterially", "foramina", "contract", "whose", "blessing"],
)  # fmt: skip
def test_another_word_is_not(word: str) -> None:
    assert read(f"{word} seen in a chest CT with a 9 mm nodule in the lung").corrected == {}


def test_a_prefix_or_ending_of_medicine_makes_another_word() -> None:
    assert taken_for("hypoinflation") is None and taken_for("hyperinflaton") == "hyperinflation"
    assert taken_for("nephrotomy") is None and taken_for("tracheostomi") == "tracheostomy"


def test_the_listed_words_look_like_a_term() -> None:
    listed = load("words/ordinary.yaml")["english"].split()
    assert listed == sorted(set(listed)) and len(listed) < 1200
    assert all(keyed(word)[0] == word for word in listed)
    assert sum(taken_for(word) is not None for word in listed) > 0.95 * len(listed)


def test_words_that_look_like_a_term_are_found() -> None:
    assert look_alikes(["plague", "nodule", "nodules", "table", "Plague", "infiltrated"]) == ["plague"]


def test_distance_counts_a_swap_as_one() -> None:
    assert [distance(*pair) for pair in (("noduel", "nodule"), ("abc", "abc"), ("abc", "b"))] == [1, 0, 2]
