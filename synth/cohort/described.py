"""cohort.json of a finished cohort, as far as others read it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from synth.case import folder as case_folder
from synth.cohort import layout
from synth.files.documents import read_table


class Counts(BaseModel):
    """Cases by what became of them."""

    asked: int
    complete: int
    quarantined: int
    twins: int = 0


class Described(BaseModel):
    """What cohort.json says; docs/cohorts.md has all of it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=200)
    description: str
    licence: str
    synthct: str
    cases: Counts = Counts(asked=0, complete=0, quarantined=0)
    split: dict[str, int] = {}


def read_described(out: Path) -> Described:
    """cohort.json of a folder. Raises InputError where it is missing or damaged."""
    file = out / layout.COHORT
    return case_folder.valid(Described, read_table(file, remedy=_REMEDY), file, remedy=_REMEDY)


_REMEDY = "copy the cohort again"
