"""log.jsonl of a run: one line for each report, whole or not there, cut back when a run goes on."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

NAME = "log.jsonl"


def append(file: Path, row: dict[str, Any]) -> None:
    """Add a line."""
    with file.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(row) + "\n")


def as_text(row: dict[str, Any], steps: int) -> str:
    """A line for the screen."""
    parts = [f"step {row['step']} of {steps}"]
    for split in ("train", "validation"):
        parts += [f"{split} " + ", ".join(f"{k} {v + 0:.4f}" for k, v in row[split].items())] if split in row else []
    if "hours_left" in row:
        parts.append(f"{row['volumes_a_second']:g} volumes a second, {row['hours_left']:g} hours left")
    return "; ".join(parts)


def cut_back(file: Path, step: int) -> None:
    """Keep the lines up to a step: what came after the checkpoint will be written again.

    A line that a kill cut short is left out, and a note says so.
    """
    if not file.exists():
        return
    kept: list[str] = []
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        found = _step_of(line)
        if found is None:
            logger.warning("%s: line %d is not whole and is left out", file, number)
        elif found <= step:
            kept.append(line + "\n")
    aside = file.with_name(file.name + ".new")
    aside.write_text("".join(kept), encoding="utf-8")
    aside.replace(file)


def _step_of(line: str) -> int | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    step = row.get("step") if isinstance(row, dict) else None
    return step if isinstance(step, int) else None
