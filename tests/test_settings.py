"""Settings: what is wrong with a YAML file is one line that names the file, the key and where keys are explained."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from synth.errors import InputError
from synth.settings import read_settings


class Steps(BaseModel):
    model_config = ConfigDict(extra="forbid")
    steps: int = Field(3, gt=0)


def read(path: Path, text: str, **overrides: object) -> Steps:
    path.write_text(text)
    return read_settings(Steps, path, see="docs/x.md", overrides=overrides)


def test_an_empty_file_is_the_defaults_and_overrides_come_last(tmp_path: Path) -> None:
    assert read(tmp_path / "a.yaml", "").steps == 3
    assert read(tmp_path / "a.yaml", "steps: 5", steps=7).steps == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stpes: 5", "stpes: unknown key; remove it, or see docs/x.md"),
        ("steps: -2", "steps '-2': input should be greater than 0; see docs/x.md"),
        ("a: [", "not YAML"),
        ("- 1", "not a table of keys and values"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.yaml", text)
    assert said in str(caught.value) and "\n" not in str(caught.value) and str(tmp_path / "a.yaml") in str(caught.value)


def test_a_place_without_a_file_is_named(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none.yaml", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(InputError, match=said):
            read_settings(Steps, path, see="docs/x.md")
