"""Radiographs of a cohort as exports see them: one row a film."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.cohort import layout
from synth.errors import InputError
from synth.export.source import CohortSource, intact
from synth.files.documents import read_table
from synth.files.names import within

_XRAYS = "xrays.json"


@dataclass(frozen=True)
class ExportedFilm:
    """A film of a case: `view` is its entry in xrays.json, `folder` where its files are."""

    case: dict[str, Any]
    folder: Path
    view: dict[str, Any]

    @property
    def file(self) -> str:
        """Its name in an export: `case_00003_pa.png`."""
        return f"{self.case['case']}_{self.view['film']}"

    def report(self) -> str:
        """The sentences that it can show, a line each."""
        return "\n".join(sentence["text"] for sentence in self.view["sentences"])


def has_films(source: CohortSource) -> bool:
    """Whether the cohort has radiographs."""
    return bool(layout.names_in(source.folder / layout.RADIOGRAPHS))


def films(source: CohortSource) -> Iterator[ExportedFilm]:
    """Every film, case by case. Raises InputError where the cohort has none."""
    if not has_films(source):
        raise InputError(f"{source.folder}: holds no radiographs; ask for `radiographs` in its recipe")
    for case in source.cases:
        folder = layout.radiographs(source.folder, case["case"])
        with intact(folder):
            views = [_named(view, folder) for view in read_table(folder / _XRAYS)["views"]]
        yield from (ExportedFilm(case, folder, view) for view in views)


def _named(view: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The entry of a film. Raises InputError where its files are none of this folder."""
    for role in ("film", "masks"):
        within(folder, *str(view[role]).split("/"))
    return view


def box_text(view: dict[str, Any]) -> str:
    """Structures of a film as JSON, for tables whose columns must not differ from film to film."""
    return json.dumps(view["structures"], ensure_ascii=False)
