"""The generated cases of a study: drawn one by one, kept, and not drawn again when the command is run again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from evals.utility.claims import share
from evals.utility.config import Drawing
from synth import pipeline
from synth.case import folder as case_folder
from synth.case import order
from synth.case.draft import RejectedError
from synth.case.plan import case_name
from synth.case.weights_folder import Weights
from synth.errors import InputError
from synth.files.documents import read_table
from synth.files.whole import write_whole
from synth.progress import Progress

_LOG, _LOCKS, _MADE_WITH = ".log", ".locks", "drawn_with.json"
_MOST_REFUSED = 0.5  # of the cases tried, from `_TRIED` on: then something is wrong with the weights
_TRIED = 20


_AGAIN = "remove it, and run the same command again"


class _Tried(BaseModel):
    """What the log says of a case: seconds, draws, and why it was refused, if it was."""

    seconds: float
    draws: int
    refused: str


@dataclass(frozen=True)
class DrawingCost:
    """What drawing has cost so far: seconds and draws of each case that was tried, and how many were refused."""

    seconds: tuple[float, ...]
    draws: tuple[int, ...]
    refused: int

    @property
    def seconds_a_case(self) -> float | None:
        """Mean over all that were tried, per case that was kept; None before the first."""
        kept = len(self.seconds) - self.refused
        return sum(self.seconds) / kept if kept else None


class CaseDrawer:
    """A folder that is to hold `count` cases of the same prompts, seed and weights.

    Case i depends on nothing but these and i, so any number of processes may draw at once, and be killed. A case that
    is refused after ten draws stays refused, and the next number takes its place.
    """

    def __init__(self, out: Path, drawing: Drawing, count: int) -> None:
        self.out, self.drawing, self.count = out, drawing, count
        self.words = drawing.words()

    def left(self) -> list[str]:
        """Names of the cases that are to be drawn next, in order."""
        open_: list[str] = []
        kept = index = 0
        while kept + len(open_) < self.count:
            name = case_name(index)
            if case_folder.is_whole(self.out / name):
                kept += 1
            elif not self._log(name).get("refused"):
                open_.append(name)
            index += 1
        return open_

    def cost(self) -> DrawingCost:
        """Of what this folder's log knows."""
        files = sorted((self.out / _LOG).glob("*.json"))
        logs = [case_folder.valid(_Tried, read_table(path, remedy=_AGAIN), path, remedy=_AGAIN) for path in files]
        draws = tuple(log.draws for log in logs)
        return DrawingCost(tuple(log.seconds for log in logs), draws, sum(bool(log.refused) for log in logs))

    def draw(self, name: str) -> None:
        """One case, or the note that it was refused. Raises InputError where most cases are refused."""
        started = time.monotonic()
        index, refused, draws = int(name.rsplit("_", 1)[1]), "", 0
        d = self.drawing
        try:
            prompt = self.words[index % len(self.words)]
            pipeline.generate(
                prompt, count=1, start=index, seed=d.seed, spacing=d.spacing, out=self.out, weights=d.weights
            )
            draws = case_folder.read_manifest(self.out / name)["attempts"]
        except RejectedError as error:
            refused, draws = str(error), len(error.rejections)
        self._write(f"{_LOG}/{name}.json", {"seconds": time.monotonic() - started, "draws": draws, "refused": refused})
        cost = self.cost()
        if refused and len(cost.seconds) >= _TRIED and cost.refused > _MOST_REFUSED * len(cost.seconds):
            raise InputError(f"{self.out}: {cost.refused} of {len(cost.seconds)} cases refused, at last {refused}")

    def run(self, progress: Progress, on_first: Callable[[], None] = lambda: None) -> DrawingCost:
        """Draw what is left, together with whoever else is at work there; `on_first` is called after the first case."""
        self._pin()
        first = True

        def one(name: str) -> None:
            nonlocal first
            self.draw(name)
            step.advance()
            if first:
                on_first()
            first = False

        with progress.step("draw cases", self.count) as step:
            step.advance(self.count - len(self.left()))
            share(self.left, one, self.out / _LOCKS)
        return self.cost()

    def folders(self) -> list[Path]:
        """The first `count` cases; to be asked when all are drawn."""
        whole = (p for p in sorted(self.out.iterdir()) if p.name.startswith("case_") and case_folder.is_whole(p))
        return list(whole)[: self.count]

    def _pin(self) -> None:
        """Write down what the cases are drawn with, or refuse to put others beside them."""
        made = self.drawing.model_dump(mode="json") | {
            "sampling": order.default_sampling().model_dump(),
            "weights": Weights.covering(None, self.drawing.weights).hashes(),
        }
        file = self.out / _MADE_WITH
        share(lambda: [] if file.is_file() else ["pin"], lambda _: self._write(_MADE_WITH, made), self.out / _LOCKS)
        found = read_table(file, remedy=_AGAIN)
        if differ := [key for key in made if found.get(key) != made[key]]:
            raise InputError(
                f"{self.out}: holds cases that were drawn with another {', '.join(differ)}; remove the folder, or "
                "name another one under `synthetic`"
            )

    def _log(self, name: str) -> dict[str, Any]:
        path = self.out / _LOG / f"{name}.json"
        return read_table(path, remedy=_AGAIN) if path.is_file() else {}

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        write_whole(self.out / name, json.dumps(content, indent=1) + "\n")
