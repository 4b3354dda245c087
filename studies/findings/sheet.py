"""`python -m studies.findings.sheet CASES --out DIR`: a picture of every kind among cases, and what is to be seen.

CASES is a folder of `python -m studies.findings --out CASES`, or of any case folders. Of each kind the first case that
has it: axial as it is, axial and coronal with the mask, what a reader should see, and what the report says. A sheet
holds eight kinds.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure

from synth.case import panels
from synth.case.folder import read_case
from synth.lesions.extent_types import extent_types
from synth.volumes import planes
from synth.volumes.types import Case

_ROWS = 8
_LEAST_MM, _MOST_MM, _AROUND_MM = 60.0, 340.0, 60.0
_COLUMNS = 62  # letters of a line


def sees() -> dict[str, str]:
    """What a reader should see of each kind, by its name in a lesion map without the number."""
    bodies: dict[str, str] = yaml.safe_load(resources.files("studies.findings").joinpath("sees.yaml").read_text())
    return bodies | {name: kind.sees for name, kind in extent_types().items()}


def firsts(cases: Path) -> Iterator[tuple[str, Path, int]]:
    """Each kind once: its name, the first case folder below `cases` that has it, and its id there."""
    seen: set[str] = set()
    for manifest in sorted(cases.rglob("manifest.json")):
        case, _, _, _ = read_case(manifest.parent)
        for number, name in case.lesions.names.items():
            kind = re.sub(r"_\d+$", "", name)
            if kind not in seen and (case.lesions.ids == number).any():
                seen.add(kind)
                yield kind, manifest.parent, number


def sheet(found: Sequence[tuple[str, Path, int]]) -> Figure:
    """A row a kind."""
    figure = Figure(figsize=(13.0, 2.7 * len(found)), dpi=80, facecolor="white")
    grid = figure.add_gridspec(len(found), 4, width_ratios=[1, 1, 1, 1.9], wspace=0.02, hspace=0.05)
    lines = sees()
    for row, (kind, folder, number) in enumerate(found):
        case, _, report, _ = read_case(folder)
        _pictures([figure.add_subplot(grid[row, i]) for i in range(3)], case, number)
        words = figure.add_subplot(grid[row, 3])
        words.set_axis_off()
        text = [
            kind.replace("_", " "),
            "",
            f"to be seen: {lines.get(kind, '?')}",
            "",
            f"report: {_told(report, case, number)}",
        ]
        wrapped = [part for line in text for part in (textwrap.wrap(line, _COLUMNS) or [""])]
        words.text(0.03, 0.95, "\n".join(wrapped), va="top", size=9, parse_math=False)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.99, bottom=0.01)
    return figure


def _pictures(axes: Sequence[Any], case: Case, number: int) -> None:
    ras = planes.ras_case(case)
    lesion = next(one for one in planes.lesions_of(ras) if one.id == number)
    width = min(max(_LEAST_MM, lesion.extent_mm(ras.spacing) + _AROUND_MM), _MOST_MM)
    box, window = planes.box_around(ras, lesion, width), planes.window_of(ras, lesion)
    for ax, (name, marked) in zip(axes, (("axial", False), ("axial", True), ("coronal", True)), strict=True):
        ax.set_axis_off()
        view = planes.cut(ras, name, planes.middle_of(ras, lesion), box)
        panels.draw(ax, view, window, named=marked)
        if marked:
            panels.mark_lesions(ax, ras, view, width=1.2, only=number)


def _told(report: dict[str, Any], case: Case, number: int) -> str:
    name = case.lesions.names[number]
    return next((s["text"] for s in report["sentences"] if s["id"] == name and s["section"] == "findings"), "nothing")


def main(argv: Sequence[str] | None = None) -> None:
    """Write sheet_1.png, sheet_2.png, .. and name what has no line of its own."""
    parser = argparse.ArgumentParser(prog="python -m studies.findings.sheet", description=__doc__.split("\n", 1)[0])
    parser.add_argument("cases", type=Path)
    parser.add_argument("--out", type=Path, default=Path("."))
    given = parser.parse_args(argv)
    given.out.mkdir(parents=True, exist_ok=True)
    found = list(firsts(given.cases))
    for number, start in enumerate(range(0, len(found), _ROWS), start=1):
        path = given.out / f"sheet_{number}.png"
        sheet(found[start : start + _ROWS]).savefig(path)
        print(path)
    kinds = {kind for kind, _, _ in found}
    print(f"{len(found)} kinds; no case has {', '.join(sorted(set(sees()) - kinds)) or 'none of them missing'}")


if __name__ == "__main__":
    main()
