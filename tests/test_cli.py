"""The command: quick without torch, one line and exit code 2 for bad input, and what it asks of the pipeline."""

from __future__ import annotations

import errno
import json
import logging
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import synth
from prompts.errors import PromptError
from synth import cli, report
from synth.case import folder as case_folder
from synth.case import order
from synth.errors import InputError
from synth.lesions.sibling import Change, FollowUp, Twin
from synth.volumes import labels, nifti
from tests import phantoms

REPOSITORY = Path(__file__).parents[1]


def run(
    *arguments: str, code: str = "import sys; from synth.cli import main; sys.exit(main())"
) -> tuple[int, str, str]:
    """The command in a process of its own: exit code, stdout, stderr."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A pipeline that notes what it was asked for, in place of the one that needs networks."""
    asked: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def generate(*arguments: Any, **options: Any) -> list[Path]:
        asked.append((arguments, options))
        return [options["out"] / f"case_{i}" for i in range(options["count"])]

    def insert_with_siblings(*arguments: Any, **options: Any) -> list[Path]:
        asked.append((arguments, options))
        return [Path(options["out"]) / "host"]

    fake = SimpleNamespace(
        asked=asked,
        generate=generate,
        insert_with_siblings=insert_with_siblings,
    )
    monkeypatch.setattr("synth.case.order.plan_json", lambda reading, *others: json.dumps([reading.text, *others]))
    monkeypatch.setitem(sys.modules, "synth.pipeline", fake)  # type: ignore[arg-type]
    monkeypatch.setattr(synth, "pipeline", fake, raising=False)
    return fake


def failing(error: BaseException) -> Callable[..., Any]:
    def generate(*_: Any, **__: Any) -> None:
        raise error

    return generate


@pytest.mark.parametrize("arguments", [["--help"], ["info"], ["info", "--organs"], ["generate", "--help"]])
def test_help_and_info_answer_at_once_without_torch(arguments: list[str]) -> None:
    code = (
        "import sys; from synth.cli import main; code = main();"
        "heavy = {'torch', 'diffusers', 'transformers', 'monai', 'matplotlib'} & set(sys.modules);"
        "sys.exit(f'imports {heavy}' if heavy else code)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run(*arguments, code=code)[0] == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time, which other work on the machine does not lengthen as it does wall time.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


def test_info_lists_versions_labels_and_what_can_be_asked_for() -> None:
    _, out, _ = run("info")
    assert f"synthct {synth.__version__}" in out and "numpy" in out and "head_neck" in out and "kidney" in out
    assert f"{len(labels.structures())} structures" in out
    _, out, _ = run("info", "--organs")
    assert out.splitlines() == [f"{s.id:>4} {s.name}" for s in labels.structures()]


@pytest.mark.parametrize("verb", ["generate", "insert", "check", "info", "train", "plan", "preview"])
def test_every_command_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb, "--help"]) == 0
    assert f"Example: synthct {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generate"], "Missing argument"),
        (["generate", "x", "-n", "0"], "'--count' / '-n'"),
        (["generate", "x", "--seed", "-1"], "'--seed'"),
        (["generate", "x", "--spacing", "0.1"], "'--spacing'"),
        (["generate", "x", "--spacing", "fine"], "'--spacing'"),
        (["generate", "x", "--spacing", "nan"], "--spacing"),
        (["generate", "x", "--slice-mm", "nan"], "--slice-mm"),
        (["insert", "h", "x", "--organs", "l", "--follow-up", "90d", "--growth", "inf"], "inf is no finite number"),
        (["generate", "x", "--seed", "9" * 30], "'--seed'"),
        (["generate", "x", "-n", "9" * 30], "'--count' / '-n'"),
        (["generate", "x", "--colour", "red"], "No such option: --colour"),
        (["insert", "host.nii.gz", "x"], "'--organs'"),
        (["draw"], "No such command 'draw'"),
        (["insert", "h.nii.gz", "x", "--organs", "l.nii.gz", "--organ-ids", "3=lever"], "did you mean liver"),
        (
            ["insert", "h.nii.gz", "x", "--organs", "l.nii.gz", "--growth", "1.4"],
            "--follow-up and --growth go together",
        ),
        (
            ["insert", "h.nii.gz", "x", "--organs", "l.nii.gz", "--follow-up", "3m", "--growth", "2"],
            "such as 90d or 13w",
        ),
        (["insert", "h.nii.gz", "x", "--organs", "l.nii.gz", "--change", "shape=irregular"], "can change: density"),
        (["insert", "h.nii.gz", "x", "--organs", "l.nii.gz", "--change", "density=pale"], "one of hypodense"),
        (["train", "middle", "--config", "x.yaml"], "middle"),
        (["check", "nowhere"], "nowhere: no case folder"),
        (["preview", "nowhere"], "nowhere: no case folder"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(
    pipeline: SimpleNamespace, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("synthct: error: ") and said in err and err.count("\n") == 1
    assert pipeline.asked == []


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("a.nii.gz: bad; mend it"), "a.nii.gz: bad; mend it"),
        (PromptError("'frob': unknown word;\nleave it out"), "'frob': unknown word; leave it out"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/x"), "out/x: No space left on device; free some space"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "out"), "out: Read-only file system; choose another --out"),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "h.nii"),
            "h.nii: Permission denied; change its mode",
        ),
    ],
)
def test_what_the_user_can_put_right_is_one_line(
    pipeline: SimpleNamespace, capsys: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    pipeline.generate = failing(error)
    assert cli.main(["generate", "chest CT"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"synthct: error: {line}") and err.count("\n") == 1


@pytest.mark.parametrize("error", [ZeroDivisionError("ours"), EOFError("cut"), OSError("no number"), RecursionError()])
def test_a_defect_is_one_line_with_its_place_and_a_traceback_only_where_asked_for(
    pipeline: SimpleNamespace, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    pipeline.generate = failing(error)
    assert cli.main(["generate", "chest CT"]) == 1
    err = capsys.readouterr().err.strip()
    assert (
        err.startswith(f"synthct: error: {type(error).__name__}: {error}".rstrip())
        and " (" in err
        and ".py:" in err
        and "report it" in err
    )
    assert "Traceback" not in err and err.count("\n") == 0
    assert cli.main(["generate", "chest CT", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
    assert cli.main(["generate", "x\udcff"]) == 2
    assert "holds bytes that are no UTF-8" in capsys.readouterr().err


def test_a_note_is_told_once_a_command(pipeline: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*_: object, **__: object) -> list[Path]:
        for note in ("HU are fractions", "HU are fractions", "another"):
            logging.getLogger("synth.volumes").warning(note)
        return []

    pipeline.generate = told
    for _ in range(2):  # the next command tells it again
        assert cli.main(["generate", "CT of the chest"]) == 0
        notes = [line for line in capsys.readouterr().err.splitlines() if "note:" in line]
        assert notes == ["synthct: note: HU are fractions", "synthct: note: another"]


def test_an_interrupt_is_130(pipeline: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.generate = failing(KeyboardInterrupt())
    assert cli.main(["generate", "chest CT"]) == 130
    assert "synthct: interrupted" in capsys.readouterr().err


def test_generate_hands_on_what_was_asked(
    pipeline: SimpleNamespace, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ["-n", "2", "--seed", "5", "--spacing", "4", "--start", "3", "--out", str(tmp_path)]
    options += ["--slice-mm", "5", "--twin"]
    assert cli.main(["generate", "head and neck", *options]) == 0
    ((reading,), given) = pipeline.asked[0]
    given.pop("progress")
    assert reading.text == "head and neck"
    asked = {"count": 2, "seed": 5, "spacing": 4.0, "start": 3, "out": tmp_path, "siblings": (Twin(),)}
    assert given == asked | {"organs": None, "organ_ids": None, "slice_mm": 5.0, "weights": None, "style": "structured"}
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "case_0"), str(tmp_path / "case_1")]


def test_insert_hands_on_what_was_asked(pipeline: SimpleNamespace, tmp_path: Path) -> None:
    arguments = ["h.nii.gz", "--organs", "l.nii.gz", "a liver cyst", "--organ-ids", "9=liver", "--seed", "2"]
    assert cli.main(["insert", *arguments, "--out", str(tmp_path)]) == 0
    ((host, organs, reading, siblings), given) = pipeline.asked[0]
    given.pop("progress")
    assert (host, organs, reading.text, siblings) == (Path("h.nii.gz"), Path("l.nii.gz"), "a liver cyst", ())
    assert given == {"seed": 2, "out": tmp_path, "organ_ids": {9: "liver"}} | {
        "lesion_weights": None,
        "trust_labels": False,
        "style": "structured",
    }


def test_insert_hands_on_the_siblings_that_were_asked(pipeline: SimpleNamespace, tmp_path: Path) -> None:
    arguments = ["h.nii.gz", "--organs", "l.nii.gz", "a liver cyst", "--out", str(tmp_path)]
    options = ["--twin", "--follow-up", "13w", "--growth", "1.4", "--change", "density=isodense"]
    assert cli.main(["insert", *arguments, *options]) == 0
    ((*_, siblings), _) = pipeline.asked[0]
    assert siblings == (Twin(), FollowUp(days=91, growth=1.4), Change(attribute="density", value="isodense"))


def test_plan_prints_the_plan(pipeline: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "chest CT", "--seed", "4", "--index", "2", "--spacing", "3"]) == 0
    assert json.loads(capsys.readouterr().out) == ["chest CT", 4, 3.0, 2, None]


def test_train_hands_on_the_overrides(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = []
    fake = SimpleNamespace(train=lambda *arguments: asked.append(arguments) or Path("runs/base/weights"))
    monkeypatch.setitem(sys.modules, "synth.training.main", fake)  # type: ignore[arg-type]
    monkeypatch.setattr("synth.training.main", fake, raising=False)
    assert cli.main(["train", "base", "--config", "b.yaml", "steps=10", "ema=0.9", "out=runs/x"]) == 0
    assert asked == [("base", Path("b.yaml"), {"steps": 10, "ema": 0.9, "out": "runs/x"})]
    assert cli.main(["train", "base", "--config", "b.yaml", "steps"]) == 2
    assert "'steps' is not KEY=VALUE" in capsys.readouterr().err


def a_case(folder: Path) -> Path:
    case = phantoms.case()
    written = report.write(report.measure(case))
    return case_folder.write_case(
        folder,
        case,
        plan_json=order.plan_json("CT of the chest", 0, 8.0, 0),
        report_json=written.model_dump_json(),
        report_text=written.text(),
        preview_png=b"",
        manifest={},
    )


def test_preview_draws_a_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "look.png"
    assert cli.main(["preview", str(a_case(tmp_path / "case")), "--out", str(target)]) == 0
    assert target.read_bytes().startswith(b"\x89PNG") and capsys.readouterr().out.strip() == str(target)


def test_check_names_sentences_and_files_that_do_not_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = a_case(tmp_path / "good"), a_case(tmp_path / "bad")
    assert cli.main(["check", str(good)]) == 0
    assert capsys.readouterr().out == f"{good}: holds\n"
    lesions = phantoms.case().lesions
    lesions.ids[np.unravel_index(np.flatnonzero(lesions.ids)[0], lesions.ids.shape)] = 0
    nifti.write_labels(bad / "lesions.nii.gz", lesions)
    assert cli.main(["check", str(good), str(bad)]) == 1
    out = capsys.readouterr().out
    assert f"{good}: holds" in out and f"{bad}: lesion_1: '" in out and "measured" in out
    assert f"{bad}: lesions.nii.gz changed since the case was written" in out
