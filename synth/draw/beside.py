"""Siblings of a case, drawn and written as cases beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from synth.case import finished
from synth.case.plan import CasePlan
from synth.case.sibling_plans import sibling_plan
from synth.draw.findings import Host, draft_sibling, scanned
from synth.lesions.sibling import Change, FollowUp, Twin
from synth.progress import Progress

Siblings = Sequence[Twin | FollowUp | Change]


def write_siblings(
    folder: Path,
    plan: CasePlan,
    siblings: Siblings,
    host: Callable[[], Host],
    command: Callable[..., str],
    progress: Progress,
) -> list[Path]:
    """The folders of the siblings of a case; one that is complete is left as it is.

    Args:
        folder: of the case, which is written; plan: of it.
        host: what its findings are in, asked for where a sibling is to be drawn.
        command: options of a sibling -> the command that makes it.

    Raises RejectedError for one that does not show what it is to show; those before it are written by then.
    """
    folders: list[Path] = []
    for how in siblings:
        beside = folder.with_name(f"{plan.case}_{how.suffix}")
        into = host()
        if not finished.has_sibling_like(beside, sibling_plan(plan, how, into.ct, into.organs)):
            with progress.step(f"{plan.case}: {how.suffix}", 1):
                draft = draft_sibling(plan, how, into, finished.measured(folder, how))
            draft = scanned(draft) if into.weights else draft
            finished.finish_draft(beside, draft, command(**how.options()), progress)
        folders.append(beside)
    return folders
