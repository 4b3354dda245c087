"""`python -m studies.findings --out DIR`: every prompt of prompts.yaml through `generate`, and what is in the cases.

A prompt counts where the case was accepted within ten draws and each finding that the table names is among those that
were measured on the masks: kind, organ, side, part, and its figure within 10% or a voxel. Anatomies are shared between
prompts of one region, phase and seed (they do not depend on the findings); `--whole` draws each anew.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from synth import pipeline
from synth.case.draft import Draft
from synth.case.folder import read_case
from synth.case.order import Order
from synth.case.plan import GeneratePlan
from synth.draw import generated
from synth.errors import InputError
from synth.failure import ended
from synth.progress import Progress
from synth.report import measure
from synth.report.measurements import LesionMeasurement

_WITHIN = 0.1
_ALIKE = {
    "tumour": {"tumour", "mass", "lesion"},
    "mass": {"mass", "tumour", "lesion"},
    "nodule": {"nodule", "lesion"},
    "effusion": {"pleural effusion", "effusion"},
}
"""Words for one thing, where the mask's name is another than the prompt's."""


@dataclass(frozen=True)
class Expected:
    """A row of the table; None where the prompt says nothing."""

    count: int
    kind: str
    organ: str
    side: str | None
    part: str | None
    figure: tuple[float, str] | None

    @classmethod
    def of(cls, row: Sequence[Any]) -> Expected:
        """From [kind, organ, side, part, figure]."""
        first, _, rest = str(row[0]).partition(" ")
        count, kind = (int(first), rest) if first.isdecimal() else (1, str(row[0]))
        side, part, figure = (None if value in ("~", None) else str(value) for value in row[2:5])
        number, unit = figure.split() if figure else ("0", "")
        return cls(count, kind, str(row[1]), side, part, (float(number), unit) if figure else None)

    def holds(self, found: LesionMeasurement, voxel_mm: float) -> bool:
        """Whether a measured finding is this one."""
        words = _ALIKE.get(self.kind, {self.kind})
        named = found.kind in words or any(found.kind == f"{self.organ} {word}" for word in words)
        return named and self._is_there(found) and self._is_as_large(found, voxel_mm)

    def _is_there(self, found: LesionMeasurement) -> bool:
        sides = {found.side, None if found.structure is None else _side_of(found.structure)}
        if self.side and self.side not in sides:
            return False
        if self.part is None:
            return True
        structures = set(found.extent.affected_ml) if found.extent else {found.structure}
        return found.segment == self.part or any(self.part in (name or "").split("_") for name in structures)

    def _is_as_large(self, found: LesionMeasurement, voxel_mm: float) -> bool:
        if self.figure is None:
            return True
        asked, unit = self.figure
        if unit == "%":
            extent = found.extent
            share = sum(extent.affected_ml.values()) / sum(extent.part_ml.values()) if extent else 0.0
            return abs(100 * share - asked) <= 3
        if unit == "mL":
            return abs(found.volume_ml - asked) <= _WITHIN * asked
        sizes = [found.long_axis_mm, *(found.extent.figures.values() if found.extent else ())]
        return any(abs(size - asked) <= max(voxel_mm, _WITHIN * asked) for size in sizes)


def _side_of(structure: str) -> str | None:
    return next((side for side in ("left", "right") if side in structure.split("_")), None)


def missing(expected: Sequence[Expected], found: Sequence[LesionMeasurement], voxel_mm: float) -> list[str]:
    """What was asked for and is not among what was found; each measured finding stands for one."""
    left = list(found)
    lacking = []
    for one in (replace(e, count=1) for e in expected for _ in range(e.count)):
        match = next((f for f in left if one.holds(f, voxel_mm)), None)
        if match is None:
            lacking.append(f"{one.kind} {one.organ} {one.side or ''} {one.part or ''} {one.figure or ''}".strip())
        else:
            left.remove(match)
    return lacking


def prompts(region: str | None = None) -> list[tuple[str, list[Expected]]]:
    """Every prompt with what is to be found."""
    table = yaml.safe_load(resources.files("studies.findings").joinpath("prompts.yaml").read_text())
    rows = [row for name, of_region in table.items() if region in (None, name) for row in of_region]
    return [(row["text"], [Expected.of(finding) for finding in row["finds"]]) for row in rows]


def share_anatomies() -> None:
    """Draw each anatomy once: of two prompts with one region, phase and seed it is the same."""
    drawn: dict[str, Draft] = {}
    draw = generated.draft_anatomy

    def shared(plan: GeneratePlan, order: Order, progress: Progress) -> Draft:
        request = plan.request.model_copy(update={"findings": (), "absent": (), "prompt": ""})
        key = plan.model_copy(update={"reading": None, "request": request, "lesions": ()}).to_json()
        if key not in drawn:
            drawn[key] = draw(plan, order, progress)
        return replace(drawn[key], plan=plan)

    generated.draft_anatomy = shared


def _trial(text: str, expected: Sequence[Expected], seed: int, out: Path, spacing: float | None) -> dict[str, Any]:
    started = time.perf_counter()
    row: dict[str, Any] = {"prompt": text, "seed": seed}
    try:
        (folder,) = pipeline.generate(text, seed=seed, spacing=spacing, out=out)
    except InputError as error:
        return row | {"accepted": False, "why": str(error), "seconds": round(time.perf_counter() - started, 1)}
    seconds = time.perf_counter() - started
    case, _, _, manifest = read_case(folder)
    lacking = missing(expected, measure(case).lesions, float(max(case.ct.spacing)))
    return row | {"accepted": True, "draws": manifest["attempts"], "lacking": lacking, "seconds": round(seconds, 1)}


def main(arguments: list[str] | None = None) -> int:
    """Run and print the table; the exit code."""
    return ended(_main, "studies.findings", arguments)


def _main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m studies.findings", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--spacing", type=float)
    parser.add_argument("--region", choices=["chest", "abdomen", "chest_abdomen"])
    parser.add_argument("--whole", action="store_true", help="draw every anatomy anew")
    options = parser.parse_args(arguments)
    if not options.whole:
        share_anatomies()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    with (options.out / "trials.jsonl").open("w") as log:
        for seed in options.seeds:
            for number, (text, expected) in enumerate(prompts(options.region)):
                row = _trial(text, expected, seed, options.out / f"{seed}_{number:02d}", options.spacing)
                rows.append(row)
                log.write(json.dumps(row) + "\n")
                log.flush()
                print(_line(row), flush=True)
    accepted = [row for row in rows if row["accepted"]]
    right = [row for row in accepted if not row["lacking"]]
    print(f"{len(accepted)} of {len(rows)} accepted, {len(right)} with every finding as asked")


def _line(row: dict[str, Any]) -> str:
    state = "ok" if row["accepted"] and not row["lacking"] else ""
    said = state or "; ".join(row["lacking"]) if row["accepted"] else row["why"]
    return f"{row['seed']} {row['seconds']:6.1f} s  {row['prompt'][:70]:70s}  {said}"


if __name__ == "__main__":
    sys.exit(main())
