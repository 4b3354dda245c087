"""Quarantine: what is kept of a case that was given up. One JSON file a case, with reasons and plans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from synth.case import folder as case_folder
from synth.cohort import layout
from synth.cohort.draw import Attempt, DrawnCase
from synth.files.documents import read_table
from synth.files.whole import write_whole


def keep(out: Path, drawn: DrawnCase) -> Path:
    """Write the request, every reason and every plan of a case; whole or not at all."""
    case = drawn.case
    record = {
        "case": case.name,
        "index": case.index,
        "group": case.group,
        "request": case.request.model_dump(mode="json"),
        "attempts": [_attempt(attempt) for attempt in drawn.failed],
    }
    target = layout.quarantine_file(out, case.name)
    write_whole(target, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return target


def read(out: Path, name: str) -> dict[str, Any]:
    """The record of a case that was given up."""
    file = layout.quarantine_file(out, name)
    record = read_table(file, remedy=_AGAIN)
    case_folder.valid(_Record, record, file, remedy=_AGAIN)
    return record


class _Reason(BaseModel):
    reason: str


class _Record(BaseModel):
    """The fields that are read again."""

    case: str
    attempts: list[_Reason]


_AGAIN = "remove it and run the recipe again"


def _attempt(attempt: Attempt) -> dict[str, Any]:
    plan = None if attempt.plan is None else attempt.plan.model_dump(mode="json")
    return {"reason": attempt.reason, "host": attempt.host, "defect": attempt.defect, "plan": plan}
