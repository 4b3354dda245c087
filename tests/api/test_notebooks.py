"""The notebooks run from top to bottom, in a folder of their own; as they stand, but for coarser voxels."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs/notebooks").glob("*.ipynb"))


def cells(file: Path) -> list[dict[str, Any]]:
    return list(json.loads(file.read_text())["cells"])


def run(sources: list[str]) -> dict[str, Any]:
    """Run cells in one namespace; as in a notebook, the last expression of each is what it shows."""
    space: dict[str, Any] = {"__name__": "__main__"}
    for source in sources:
        tree = ast.parse(source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "cell", "exec"), space)
        if isinstance(last, ast.Expr):
            space["_"] = eval(compile(ast.Expression(last.value), "cell", "eval"), space)
    return space


def test_there_are_two_and_they_keep_no_outputs() -> None:
    assert len(NOTEBOOKS) == 2
    for file in NOTEBOOKS:
        content = json.loads(file.read_text())
        assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
        assert len({cell["id"] for cell in content["cells"]}) == len(content["cells"])
        assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells(file) if "outputs" in cell)


@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sources = ["".join(cell["source"]) for cell in cells(file) if cell["cell_type"] == "code"]
    if "own_ct" not in file.stem:  # whose nodules are finer than that
        sources = [source.replace("spacing=4", "spacing=8") for source in sources]  # in a quarter of the time
    space = run(sources)
    said = capsys.readouterr().out
    assert space["case"].lesions.present()
    assert "nodule" in said and "Error" not in said


def test_a_cell_that_fails_is_seen() -> None:
    with pytest.raises(ZeroDivisionError):
        run(["x = 1", "x / 0"])
