"""The reader answers any text with a reading or one line, and soon; and imports fast."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prompts import reader
from prompts.findings import Told
from studies import words_fuzz

SENTENCES = (
    "There is a 9 mm nodule in the right upper lobe, stable since 3.4.2021.",
    "No effusion, consolidation or pneumothorax was detected;",
    "Target lesions: A) left adrenal 22 mm B) station 4R 14 x 9 mm",
    "Both kidneys show cysts, the largest 3 cm on the left (series 3, image 41).",
)


def test_any_text_is_answered() -> None:
    tally = words_fuzz.fuzz(120, 1, SENTENCES)
    assert tally.faults == []
    assert tally.read > 20 and sum(tally.refused.values()) > 20


def test_a_fault_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(told: list[Told]) -> list[Told]:
        if told:
            raise IndexError("planted")
        return told

    monkeypatch.setattr(reader.merging, "without_repeats", broken)
    assert any("planted" in what for _, what in words_fuzz.fuzz(20, 1, SENTENCES).faults)


def test_texts_repeat_with_their_seed() -> None:
    assert list(words_fuzz.texts(10, 3, SENTENCES)) == list(words_fuzz.texts(10, 3, SENTENCES))
    assert max(len(text) for text in words_fuzz.texts(100, 3, SENTENCES)) == words_fuzz.LONG


def test_import_takes_no_time(tmp_path: Path) -> None:
    """From the second time on, as Python keeps what it compiled unless it is told not to."""
    code = "import time; t = time.process_time(); import prompts; print(time.process_time() - t)"
    kept = os.environ | {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    took = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=kept).stdout)
        for _ in range(4)
    ]
    assert min(took) < 0.3
