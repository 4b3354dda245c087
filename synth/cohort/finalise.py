"""Finish a cohort whose cases are all there: split, table, cohort.json, data card, checksums."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from synth import __version__, provenance
from synth.case import folder as case_folder
from synth.cohort import card, films, layout, quarantine
from synth.cohort.achieved import Achieved
from synth.cohort.planning import TWIN, CohortPlan
from synth.cohort.records import Record, read_records
from synth.cohort.split import families, missed, split
from synth.cohort.table import row_of, write_table
from synth.errors import InputError
from synth.files.whole import sweep, whole_file, write_whole

FORMAT = 1  # of cohort.json

logger = logging.getLogger(__name__)


def finalise(plan: CohortPlan, out: Path) -> None:
    """Write what describes the whole set; the checksums come last, and only then is it finished.

    Raises InputError where a host changed while the cohort was made, OutputError where the disk is full.
    """
    _sweep(out)
    parts, hosts = _parts(plan, out)
    achieved, summary = Achieved(plan.quotas), _Summary()
    rows = (row_of(_noted(record, achieved, summary), parts[record.patient]) for record in read_records(plan, out))
    with whole_file(out / layout.TABLE) as partial:
        write_table(partial, rows)
    cohort = _cohort(plan, out, achieved, summary, hosts, parts)
    write_whole(out / layout.COHORT, json.dumps(cohort, indent=1, ensure_ascii=False) + "\n")
    write_whole(out / layout.CARD, card.write(cohort))
    write_whole(out / layout.CHECKSUMS, checksums(out))


class _Summary:
    """What the records have in common, filled case by case."""

    def __init__(self) -> None:
        self.attempts = self.twins = 0
        self.lesions: list[tuple[str, float, float]] = []
        self.weights: dict[str, Any] = {}
        self.environment: dict[str, Any] = {}
        self.examples: dict[str, str] = {}
        self.by_patient: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        if record.planned.group == TWIN:
            self.twins += 1  # nothing was drawn
        else:
            self.attempts += record.manifest["attempts"]
        self.lesions += [(f["kind"], f["long_axis_mm"], f["contrast_hu"] or 0.0) for f in record.lesions]
        self.weights |= record.manifest["weights"]
        self.environment = record.manifest["environment"]
        if record.planned.preview:
            self.examples.setdefault(record.planned.group, record.planned.name)
        self.by_patient[record.patient] += 1


def _noted(record: Record, achieved: Achieved, summary: _Summary) -> Record:
    achieved.add(record)
    summary.add(record)
    return record


def _sweep(out: Path) -> None:
    """Remove what killed processes left half-written: every case is there without it."""
    for folder in (out, out / layout.CASES, out / layout.RADIOGRAPHS, out / layout.QUARANTINE):
        sweep(folder)
    for name in set(layout.given_up(out)) & set(layout.complete(out)):
        layout.quarantine_file(out, name).unlink()


def _parts(plan: CohortPlan, out: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Patient -> part of the split; and the hosts with what was made from them."""
    seen: list[tuple[str, str | None]] = []
    contents: dict[str, str] = {}
    cases: Counter[str] = Counter()
    for record in read_records(plan, out):
        seen.append((record.patient, record.host_sha256))
        if record.host is not None and record.host_sha256 is not None:
            name = record.host.name
            if contents.setdefault(name, record.host_sha256) != record.host_sha256:
                raise InputError(
                    f"{record.planned.name}: host {name} changed while the cohort was made; "
                    f"remove the cases of {name} and run again"
                )
            cases[name] += 1
    family = families(seen)
    numbers = Counter(family[patient] for patient, _ in seen)
    part_of = split(numbers, plan.recipe.split, plan.recipe.seed)
    if note := missed(numbers, part_of, plan.recipe.split):
        logger.warning("%s: %s", out, note)
    parts = {patient: part_of[name] for patient, name in family.items()}
    hosts = [
        {
            "host": name,
            "patient": plan.hosts[name].patient,
            "ct_sha256": contents[name],
            "cases": cases[name],
            "split": parts[plan.hosts[name].patient],
        }
        for name in sorted(contents)
    ]
    return parts, hosts


def _cohort(
    plan: CohortPlan,
    out: Path,
    achieved: Achieved,
    summary: _Summary,
    hosts: list[dict[str, Any]],
    parts: dict[str, str],
) -> dict[str, Any]:
    """cohort.json: what was asked, what came out, and from what. No time stamps, no absolute paths."""
    given_up = [quarantine.read(out, name) for name in layout.given_up(out)]
    in_part: Counter[str] = Counter()
    for patient, number in summary.by_patient.items():
        in_part[parts[patient]] += number
    return {
        "format": FORMAT,
        "synthetic": True,
        "synthct": __version__,
        "name": plan.recipe.name,
        "description": plan.recipe.description,
        "licence": plan.recipe.licence,
        "recipe": plan.recipe.pinned(),
        "cases": {
            "asked": len(plan),
            "complete": summary.by_patient.total() - summary.twins,
            "twins": summary.twins,
            "quarantined": len(given_up),
            "draws": summary.attempts + sum(len(record["attempts"]) for record in given_up),
        },
        "split": {part: in_part[part] for part in plan.recipe.split},
        "quotas": achieved.rows(),
        "lesions": _lesion_table(summary.lesions),
        "hosts": hosts,
        "quarantine": [{"case": r["case"], "reasons": [a["reason"] for a in r["attempts"]]} for r in given_up],
        "examples": summary.examples,
        "weights": summary.weights,
        "environment": summary.environment,
    }


def _lesion_table(lesions: list[tuple[str, float, float]]) -> list[dict[str, Any]]:
    """Number, long axis and contrast by kind, as measured on the finished volumes."""
    table = []
    for kind in sorted({kind for kind, _, _ in lesions}):
        sizes = sorted(size for k, size, _ in lesions if k == kind)
        contrast = sorted(value for k, _, value in lesions if k == kind)
        table.append(
            {
                "kind": kind,
                "number": len(sizes),
                "long_axis_mm": {"least": sizes[0], "median": median(sizes), "most": sizes[-1]},
                "contrast_hu": {"least": contrast[0], "median": median(contrast), "most": contrast[-1]},
            }
        )
    return table


def checksums(out: Path) -> str:
    """`sha256sum` lines of every file, by path. Files of a case are not read again: its manifest has their hashes."""
    lines: dict[str, str] = {}
    for name in layout.complete(out):
        folder = layout.case_folder(out, name)
        files = case_folder.recorded_files(case_folder.read_manifest(folder))
        files[case_folder.MANIFEST] = provenance.sha256_of_file(folder / case_folder.MANIFEST)
        if (delta := folder / case_folder.DELTA).is_file():
            files = {file: digest for file, digest in files.items() if (folder / file).is_file()}
            files[case_folder.DELTA] = provenance.sha256(delta.read_bytes())
        lines |= {f"{layout.CASES}/{name}/{file}": digest for file, digest in files.items()}
    lines |= films.checksums(out)
    for name in layout.given_up(out):
        file = layout.quarantine_file(out, name)
        lines[file.relative_to(out).as_posix()] = provenance.sha256(file.read_bytes())
    for name in (layout.RECIPE, layout.COHORT, layout.TABLE, layout.CARD):
        lines[name] = provenance.sha256((out / name).read_bytes())
    return "".join(f"{lines[path]}  {path}\n" for path in sorted(lines))
