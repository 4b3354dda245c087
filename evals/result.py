"""What an evaluation gives: figures, tables and notes as JSON and text; with its pictures as one HTML page."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from evals.registry import METRICS
from evals.stamp import Figure, difference
from synth import __version__
from synth.errors import InputError
from synth.files.documents import read_json
from synth.files.whole import write_whole


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ResultTable(_Frozen):
    """A table to read."""

    title: str
    columns: list[str]
    rows: list[list[str | int | float | None]]
    note: str = ""


class Result(_Frozen):
    """One evaluation. `settings` are all options that it depends on; `left_out` name -> reason of unusable volumes."""

    kind: str
    title: str
    synthct: str = __version__
    settings: dict[str, str | int | float | bool | None | list[str]] = {}
    figures: list[Figure] = []
    tables: list[ResultTable] = []
    notes: list[str] = []
    left_out: dict[str, str] = {}

    def __str__(self) -> str:
        """The tables to read: `print(synth.evaluate.agreement(..))`."""
        return text(self)


@dataclass(frozen=True)
class ResultPicture:
    """A plot of the page: PNG and what it shows."""

    title: str
    png: bytes
    caption: str = ""

    @property
    def data(self) -> str:
        """Base64 of the PNG, so that the page needs no other file."""
        return base64.b64encode(self.png).decode()


def shown(value: float | int | str | None) -> str:
    """A number for people: four significant digits at most."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def figure_table(figures: Sequence[Figure]) -> list[list[str]]:
    """The table of figures, its head first: metric, value, interval, floor or real value, unit and direction.

    A column that no figure has anything in is left out.
    """
    rows = [list(_FIGURE_COLUMNS), *_figure_rows(figures)]
    kept = [i for i in range(len(_FIGURE_COLUMNS)) if any(row[i] not in ("", "-") for row in rows[1:])]
    return [[row[i] for i in kept] for row in rows]


def _figure_rows(figures: Sequence[Figure]) -> list[list[str]]:
    rows = []
    for f in figures:
        kind = METRICS[f.metric]
        interval = "-" if f.low is None or f.high is None else f"{shown(f.low)} to {shown(f.high)}"
        floor = real = "-"
        if f.floor is not None:
            floor = f"{shown(f.floor.mean)} ({shown(f.floor.low)} to {shown(f.floor.high)})"
            real = f"{shown(f.floor.matched)} ({shown(f.floor.matched_low)} to {shown(f.floor.matched_high)})"
            real += f", N = {f.floor.size}"
        elif f.real is not None:
            spread = "" if f.real_low is None else f" ({shown(f.real_low)} to {shown(f.real_high)})"
            floor = shown(f.real) + spread
        rows.append([f.name.replace("_", " "), shown(f.value), interval, floor, real, kind.unit, kind.direction.value])
    return rows


_FIGURE_COLUMNS = ("metric", "value", "95% interval", "real against real", "synthetic at the same N", "unit", "better")


def text(result: Result) -> str:
    """The tables for a terminal."""
    parts = [result.title]
    if result.figures:
        parts.append(_aligned(figure_table(result.figures)))
    for table in result.tables:
        rows = [[shown(cell) for cell in row] for row in table.rows]
        parts.append(f"{table.title}\n{_aligned([table.columns, *rows])}" + (f"\n{table.note}" if table.note else ""))
    parts += [f"left out: {name}: {reason}" for name, reason in result.left_out.items()]
    parts += [f"note: {note}" for note in result.notes]
    return "\n\n".join(parts) + "\n"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def page(result: Result, pictures: Sequence[ResultPicture]) -> str:
    """The HTML page: self-contained, no scripts, no network."""
    from jinja2 import Environment, StrictUndefined

    source = resources.files("evals").joinpath("page.html.j2").read_text(encoding="utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(source)
    stamps = {f.stamp.model_dump_json(exclude={"real", "synthetic"}): f.stamp for f in result.figures}
    references = {f.metric: METRICS[f.metric].reference for f in result.figures}
    return template.render(
        result=result,
        pictures=pictures,
        figures=figure_table(result.figures) if result.figures else [],
        floors=any(f.floor is not None or f.real is not None for f in result.figures),
        stamps=list(stamps.values()),
        references=references,
        shown=shown,
    )


def write(result: Result, pictures: Sequence[ResultPicture], out: Path) -> list[Path]:
    """KIND.json, KIND.txt and KIND.html in `out`, each whole or not there. Raises InputError, OutputError."""
    if out.is_file():
        raise InputError(f"--out {out}: is a file; choose a folder")
    dump = json.dumps(json.loads(result.model_dump_json()), indent=1, ensure_ascii=False) + "\n"
    contents = {"json": dump, "txt": text(result), "html": page(result, pictures)}
    paths = {out / f"{result.kind}.{ending}": content for ending, content in contents.items()}
    for path, content in paths.items():
        write_whole(path, content)
    return list(paths)


def read(path: Path) -> Result:
    """The result that was written as `path` (.json). Raises InputError."""
    remedy = "give the .json of an evaluation"
    try:
        return Result.model_validate(read_json(path, remedy=remedy))
    except ValidationError as error:
        raise InputError(f"{path}: no result of `synthct evaluate`; {remedy}") from error


def compare(a: Result, b: Result) -> ResultTable:
    """The figures that both have, side by side; InputError where their stamps differ or they have none in common."""
    others = {f.name: f for f in b.figures}
    shared = [f for f in a.figures if f.name in others]
    if not shared:
        raise InputError("the two results have no figure in common; give two of the same kind")
    rows: list[list[str | int | float | None]] = []
    for f in shared:
        rows.append([f.name, f.value, others[f.name].value, difference(f, others[f.name]), f.unit])
    return ResultTable(title="Side by side", columns=["metric", "first", "second", "difference", "unit"], rows=rows)
