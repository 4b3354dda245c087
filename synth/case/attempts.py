"""Attempts: a case that fails a check is drawn again, until one passes or there have been too many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from synth.case.draft import Draft, RejectedError, Rejection

MAX_ATTEMPTS = 10  # a case that fails a check is drawn again, this often at most


def first_that_passes(draw: Callable[[int, Draft | None], Draft], tries: int, name: str, remedy: str) -> Draft:
    """The first draft without a failed check, and why those before it were thrown away.

    Args:
        draw: number of the attempt, and the draft that failed before it, if there was one -> draft.
        name: of the case, and remedy: what to ask for instead, for the message of the RejectedError after `tries`.
    """
    rejections: list[Rejection] = []
    before: Draft | None = None
    for attempt in range(tries):
        draft = draw(attempt, before)
        if draft.passed:
            return replace(draft, rejections=tuple(rejections))
        rejections.append(Rejection(draft.why_not(), draft.plan))
        before = draft
    drawn = f"drawn {tries} times and rejected, at last" if tries > 1 else "rejected,"
    raise RejectedError(f"{name}: {drawn} because {rejections[-1].reason}; {remedy}", rejections)


def each(indices: Sequence[int], make: Callable[[int], list[Path]], out: Path) -> list[Path]:
    """The folders of several cases and their siblings; one that is rejected does not keep the others from being made.

    Raises RejectedError, once they are, naming the first and how many are in `out`.
    """
    folders: list[list[Path]] = []
    rejected: list[RejectedError] = []
    for index in indices:
        try:
            folders.append(make(index))
        except RejectedError as error:
            rejected.append(error)
    if rejected:
        others = f" ({len(folders)} of {len(indices)} cases are in {out})" if len(indices) > 1 else ""
        raise RejectedError(f"{rejected[0]}{others}", [r for error in rejected for r in error.rejections])
    return [folder for of_case in folders for folder in of_case]
