"""What every export starts from, and how its folder gets there whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.case import folder as case_folder
from synth.cohort import layout
from synth.cohort.delta import keeps_deltas
from synth.cohort.described import Described, read_described
from synth.cohort.load import load_cohort
from synth.cohort.verify import changed_files, read_checksums
from synth.errors import InputError

_SHOWN = 200  # letters of a reason


@dataclass(frozen=True)
class CohortSource:
    """A finished cohort as an export sees it: its cases (see `load_cohort`) and its cohort.json."""

    folder: Path
    cases: list[dict[str, Any]]
    cohort: Described

    def case_folder(self, case: dict[str, Any]) -> Path:
        """The folder of one of `cases`."""
        return layout.case_folder(self.folder, case["case"])


def read_source(cohort: Path) -> CohortSource:
    """A finished cohort of whole cases. Raises InputError."""
    if keeps_deltas(cohort):
        raise InputError(
            f"{cohort}: keeps what differs from its hosts; run `synthct materialize` and export its result"
        )
    listed = read_checksums(cohort)
    if wrong := list(changed_files(cohort, listed)):
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise InputError(f"{cohort}: {wrong[0]}{more}; export wants a whole set, `synthct verify` says what is wrong")
    described, cases = read_described(cohort), load_cohort(cohort)
    if strange := [case["case"] for case in cases if f"{layout.CASES}/{case['case']}/{case_folder.CT}" not in listed]:
        raise InputError(f"{cohort}: case {strange[0]} is in {layout.TABLE} and not in the set; copy the cohort again")
    return CohortSource(cohort, cases, described)


@contextmanager
def intact(case: Path) -> Iterator[None]:
    """What a damaged case makes of an export, as one line. Raises InputError."""
    try:
        yield
    except InputError:
        raise
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:_SHOWN]}"
        raise InputError(f"{case}: cannot be exported ({reason}); `synthct verify` says what is wrong") from error


def write_json(path: Path, content: Any) -> None:
    """Indented JSON, with a line break at the end."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
