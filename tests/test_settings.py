"""Settings: what is wrong with a YAML file is one line that names the file, the key and where keys are explained."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from synth import train
from synth.errors import InputError
from synth.settings import key_values, read_settings
from synth.training.config import load_config


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


@pytest.mark.parametrize("said", ["no", "bf16", "auto"])
def test_precision_is_what_is_said_though_yaml_reads_no_as_false(tmp_path: Path, said: str) -> None:
    (tmp_path / "a.yaml").write_text(f"mixed_precision: {said}")
    given = {"network": "base", **key_values([f"mixed_precision={said}"], "train")}
    assert load_config(tmp_path / "a.yaml", {"network": "base"}).mixed_precision == said
    (tmp_path / "a.yaml").write_text("")
    assert load_config(tmp_path / "a.yaml", given).mixed_precision == said


def test_the_trainer_takes_settings_as_the_command_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text("")
    arguments = ["base", "--config", str(tmp_path / "a.yaml")]
    assert train.main([*arguments, "steps=many"]) == 2
    assert "steps 'many'" in capsys.readouterr().err
    assert train.main([*arguments, "steps"]) == 2
    assert "'steps' is not KEY=VALUE" in capsys.readouterr().err
    assert train.main([*arguments, f"data={tmp_path}", "mixed_precision=no"]) == 2
    assert f"{tmp_path}/patients/train: has no prepared patients" in capsys.readouterr().err
