"""log.jsonl of a run: one line for each report, whole or not there, cut back when a run goes on."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synth.errors import InputError
from synth.files.content import text_of
from synth.files.flock import alone_in
from synth.files.whole import explained, write_whole

logger = logging.getLogger(__name__)

NAME = "log.jsonl"
_MOST_BYTES = 2**28  # a line of 200 bytes each second for two weeks


@contextmanager
def run_folder(out: Path) -> Iterator[None]:
    """Make the folder of a run and hold it. Raises InputError where it is none, or while another run trains there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"out {out}: is a file, or below one; name a folder") from error
    with alone_in(out):
        yield


@contextmanager
def telling(out: Path) -> Iterator[Callable[[str], None]]:
    """As `run_folder`, with a new log there: each line told is printed and kept with its seconds."""
    started = time.monotonic()

    def tell(line: str) -> None:
        print(line, flush=True)
        append(out / NAME, {"seconds": round(time.monotonic() - started, 1), "text": line})

    with run_folder(out):
        write_whole(out / NAME, "")
        yield tell


def append(file: Path, row: dict[str, Any]) -> None:
    """Add a line."""
    with explained(file), file.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(row) + "\n")


def as_text(row: dict[str, Any], steps: int) -> str:
    """A line for the screen."""
    parts = [f"step {row['step']} of {steps}"]
    for split in ("train", "validation"):
        parts += [f"{split} " + ", ".join(f"{k} {v + 0:.4f}" for k, v in row[split].items())] if split in row else []
    if "hours_left" in row:
        parts.append(f"{row['volumes_a_second']:g} volumes a second, {row['hours_left']:g} hours left")
    return "; ".join(parts)


def rows(file: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a log; what a kill cut short is left out. Raises InputError where there is no log."""
    for line in text_of(file, most=_MOST_BYTES).splitlines():
        if _step_of(line) is not None:
            yield json.loads(line)


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
    write_whole(file, "".join(kept))


def _step_of(line: str) -> int | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = row.get("step") if isinstance(row, dict) else None
    return step if isinstance(step, int) else None
