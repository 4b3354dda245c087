"""What every export starts from, and how its folder gets there whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.cohort import layout
from synth.cohort.delta import keeps_deltas
from synth.cohort.load import load_cohort
from synth.errors import InputError
from synth.files.whole import whole_folder


@dataclass(frozen=True)
class Source:
    """A finished cohort as an export sees it: its cases (see `load_cohort`) and its cohort.json."""

    folder: Path
    cases: list[dict[str, Any]]
    cohort: dict[str, Any]

    def case_folder(self, case: dict[str, Any]) -> Path:
        """The folder of one of `cases`."""
        return layout.case_folder(self.folder, case["case"])


def read_source(cohort: Path) -> Source:
    """A finished cohort of whole cases. Raises InputError."""
    if keeps_deltas(cohort):
        raise InputError(
            f"{cohort}: keeps what differs from its hosts; run `synthct materialize` and export its result"
        )
    return Source(cohort, load_cohort(cohort), json.loads((cohort / layout.COHORT).read_text(encoding="utf-8")))


def write_json(path: Path, content: Any) -> None:
    """Indented JSON, with a line break at the end."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def whole(out: Path, write: Callable[[Path], None]) -> Path:
    """Write a folder under a hidden name and rename it, so that it is whole or not there. Raises OutputError."""
    if out.exists():
        _refuse(out)
    with whole_folder(out, lambda: _refuse(out)) as partial:
        write(partial)
    return out


def _refuse(out: Path) -> bool:
    raise InputError(f"{out}: is there already; choose another --out or remove it")
