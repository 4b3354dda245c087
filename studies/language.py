"""How well words are read: `python -m studies.language` prints the table of docs/language.md.

Two sets that lie beside the project and are no part of it: `language/inputs.jsonl`, prompts and sentences of reports
with the meaning that one annotator gave them, and `reports/ct_rate_800.csv`, reports with 18 labels each.

Measures of the inputs
  finding recall      of the annotated findings, those that are read as there: same kind and organ (a mass is a tumour)
  finding precision   of the findings that are read as there, those that are annotated
  negation            of what is annotated as ruled out, what is read as absent or past
  side, part, count   of the matched findings for which it is annotated, those for which it is read so
  wrong sizes         matched findings with another longest axis than annotated (5%), with none, or one too many
  silently lost       annotated findings of which nothing is read, whatever its status, and no word is told as ignored
  drawn, not there    findings that are drawn and annotated as ruled out
  refused             inputs that are refused, with the reasons

Measures of the reports: of each label F1, present against the rest, and how many are read, read beyond the label and
missed; the mean of the F1; seconds of one core.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prompts import Finding, PromptError, read

DATA = Path(os.environ.get("SYNTHCT_DATA", Path(__file__).parents[2] / "shared" / "data"))
_ALIKE = (
    {"mass", "tumour"},
    {"lesion", "nodule"},
    {"infiltration", "lung opacity"},
    {"lung opacity", "ground-glass opacity"},
)
_SIZE_TOLERANCE = 0.05

LABELS: dict[str, tuple[str, ...]] = {
    "Medical material": ("medical material", "pacemaker", "central line", "port", "chest tube"),
    "Arterial wall calcification": ("arterial wall calcification",),
    "Cardiomegaly": ("cardiomegaly",),
    "Pericardial effusion": ("pericardial effusion",),
    "Coronary artery wall calcification": ("coronary calcification",),
    "Hiatal hernia": ("hiatal hernia",),
    "Lymphadenopathy": ("lymph node",),
    "Emphysema": ("emphysema", "bulla"),
    "Atelectasis": ("atelectasis",),
    "Lung nodule": ("nodule",),
    "Lung opacity": ("ground-glass opacity", "lung opacity", "infiltration"),
    "Pulmonary fibrotic sequela": ("fibrotic sequela", "fibrosis"),
    "Pleural effusion": ("effusion",),
    "Mosaic attenuation pattern": ("mosaic attenuation",),
    "Peribronchial thickening": ("peribronchial thickening",),
    "Consolidation": ("consolidation",),
    "Bronchiectasis": ("bronchiectasis",),
    "Interlobular septal thickening": ("interlobular septal thickening",),
}
_IN_LUNG = (
    "nodule",
    "ground-glass opacity",
    "lung opacity",
    "infiltration",
)  # these kinds count for the label in the lung alone


@dataclass
class Share:
    """`right` of `of`."""

    right: int = 0
    of: int = 0

    def add(self, right: bool) -> None:
        """One more."""
        self.right, self.of = self.right + right, self.of + 1

    def __str__(self) -> str:
        return f"{self.right / self.of:.3f} ({self.right}/{self.of})" if self.of else "- (0)"


@dataclass
class Scores:
    """The measures of the inputs, and what was missed."""

    recall: Share = field(default_factory=Share)
    precision: Share = field(default_factory=Share)
    negation: Share = field(default_factory=Share)
    side: Share = field(default_factory=Share)
    part: Share = field(default_factory=Share)
    count: Share = field(default_factory=Share)
    case: Share = field(default_factory=Share)
    sizes: Share = field(default_factory=Share)
    silently_lost: int = 0
    drawn_not_there: int = 0
    refused: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)

    def miss(self, row: Mapping[str, Any], what: str) -> None:
        """Note what went wrong with an input."""
        self.misses.append(f"{row['id']} {what}: {row['text']}")

    def lines(self, number: int) -> Iterator[str]:
        """The table."""
        for name in ("recall", "precision", "negation", "side", "part", "count", "case", "sizes"):
            title = {"recall": "finding recall", "precision": "finding precision", "sizes": "sizes right"}.get(
                name, name
            )
            yield f"{title:20} {getattr(self, name)}"
        yield f"{'wrong sizes':20} {self.sizes.of - self.sizes.right}"
        yield f"{'silently lost':20} {self.silently_lost}"
        yield f"{'drawn, not there':20} {self.drawn_not_there}"
        yield f"{'refused':20} {len(self.refused)} of {number}"
        yield from (f"    {line}" for line in self.refused)


def score_inputs(rows: Sequence[Mapping[str, Any]]) -> Scores:
    """Read every input and compare it with its annotation."""
    scores = Scores()
    for row in rows:
        try:
            reading = read(str(row["text"]))
        except PromptError as error:
            scores.refused.append(f"{row['id']} {error}")
            continue
        _score(scores, row, reading.findings, reading.as_json())
    return scores


def _score(scores: Scores, row: Mapping[str, Any], findings: Sequence[Finding], said: Mapping[str, Any]) -> None:
    gold = row["gold"]
    there = [f for f in findings if f.status == "present"]
    left = list(there)
    for wanted in gold["findings"]:
        found = _best(wanted, left)
        scores.recall.add(found is not None)
        if found is None:
            scores.miss(row, f"lost {wanted['kind']} in {wanted['organ']}")
            known = any(alike(f.kind, wanted["kind"]) for f in findings)
            scores.silently_lost += not known and not said["ignored"]
            continue
        left.remove(found)
        _compare(scores, row, wanted, found)
    for _ in there[: len(there) - len(left)]:
        scores.precision.add(True)
    for extra in left:
        scores.precision.add(False)
        scores.miss(row, f"not annotated: {extra.named()}")
    for name in gold["absent"]:
        ruled_out = any(_names(name, f) for f in findings if f.status in ("absent", "past"))
        scores.negation.add(ruled_out)
        if not ruled_out:
            scores.miss(row, f"not ruled out: {name}")
        if any(f.drawn and _names(name, f) and not _wanted(gold, f) for f in findings):
            scores.drawn_not_there += 1
            scores.miss(row, f"drawn, not there: {name}")
    for name, value in gold["case"].items():
        scores.case.add(said.get(name) == value)
        if said.get(name) != value:
            scores.miss(row, f"{name} {said.get(name)}, not {value}")


def _wanted(gold: Mapping[str, Any], found: Finding) -> bool:
    return any(alike(w["kind"], found.kind) for w in gold["findings"])


def alike(a: str, b: str) -> bool:
    """Whether two kinds are one, or near enough."""
    return a == b or any({a, b} <= pair for pair in _ALIKE)


def _best(wanted: Mapping[str, Any], findings: Sequence[Finding]) -> Finding | None:
    """The finding of the kind and organ that agrees in most else."""
    fits = [f for f in findings if alike(f.kind, wanted["kind"]) and (f.organ == wanted["organ"] or f.organ is None)]
    return max(fits, key=lambda f: _agreement(wanted, f), default=None)


def _agreement(wanted: Mapping[str, Any], found: Finding) -> int:
    same = (found.side == wanted["side"], found.part == wanted["segment"], not _size_wrong(wanted, found))
    return 4 * (found.kind == wanted["kind"]) + sum(same)


def _size_wrong(wanted: Mapping[str, Any], found: Finding) -> bool:
    longest = max(found.size_mm) if found.size_mm else None
    if wanted["size_mm"] is None:
        return longest is not None and "size_range" not in wanted
    return longest is None or abs(longest - wanted["size_mm"]) > _SIZE_TOLERANCE * wanted["size_mm"]


def _compare(scores: Scores, row: Mapping[str, Any], wanted: Mapping[str, Any], found: Finding) -> None:
    for name, share, value in (
        ("side", scores.side, found.side),
        ("segment", scores.part, found.part),
        ("count", scores.count, found.count),
    ):
        if wanted[name] is None:
            continue
        right = str(value) == str(wanted[name])
        share.add(right)
        if not right:
            scores.miss(row, f"{name} {value}, not {wanted[name]}")
    wrong = _size_wrong(wanted, found)
    scores.sizes.add(not wrong)
    if wrong:
        scores.miss(row, f"size {found.size_mm}, not {wanted['size_mm']}")


_WORDS = {"lymphadenopathy": "lymph node", "pleural effusion": "effusion"}


def _names(name: str, finding: Finding) -> bool:
    """Whether "lung mass" or "lymphadenopathy" names a finding."""
    name = _WORDS.get(name, name)
    organ, _, kind = name.rpartition(" ")
    if alike(name, finding.kind):
        return True
    return alike(kind, finding.kind) and (finding.organ == organ or finding.organ is None)


@dataclass
class Label:
    """Counts of one label over the reports."""

    hits: int = 0
    false: int = 0
    missed: int = 0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.hits / max(2 * self.hits + self.false + self.missed, 1)


def score_reports(rows: Sequence[Mapping[str, str]]) -> tuple[dict[str, Label], list[str], float, float]:
    """Label -> counts; misses; seconds of all and of the slowest."""
    table = {name: Label() for name in LABELS}
    misses: list[str] = []
    slowest, start = 0.0, time.process_time()
    for row in rows:
        before = time.process_time()
        findings = read(row["report_text"]).findings
        slowest = max(slowest, time.process_time() - before)
        for name, counts in table.items():
            found, there = has_label(findings, name), row[name] == "1"
            counts.hits += found and there
            counts.false += found and not there
            counts.missed += there and not found
            if found != there:
                misses.append(f"{row['AccessionNo']} {name} {'read, not labelled' if found else 'labelled, not read'}")
    return table, misses, time.process_time() - start, slowest


def has_label(findings: Sequence[Finding], label: str) -> bool:
    """Whether a label's abnormality is read as there."""
    kinds = LABELS[label]
    return any(
        f.kind in kinds and f.status == "present" and (f.kind not in _IN_LUNG or f.organ in ("lung", None))
        for f in findings
    )


def report_lines(table: Mapping[str, Label], seconds: float, slowest: float, number: int) -> Iterator[str]:
    """The table by label."""
    yield f"{'label':34} {'F1':>5} {'read':>5} {'false':>5} {'missed':>6}"
    for name, c in table.items():
        yield f"{name:34} {c.f1:5.3f} {c.hits:5d} {c.false:5d} {c.missed:6d}"
    yield f"{'mean':34} {sum(c.f1 for c in table.values()) / len(table):5.3f}"
    yield f"{1000 * seconds / number:.1f} s of one core for 1,000 reports, the slowest {slowest:.3f} s"


def _part(rows: list[Any], part: str) -> list[Any]:
    return {"odd": rows[0::2], "even": rows[1::2], "all": rows}[part]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="folder with language/ and reports/")
    parser.add_argument("--part", choices=("odd", "even", "all"), default="all", help="every second row, or all")
    parser.add_argument("--misses", action="store_true", help="list every miss")
    parser.add_argument("--only", choices=("inputs", "reports"), help="one table alone")
    options = parser.parse_args()
    data = options.data or DATA
    if options.only != "reports":
        lines = (data / "language" / "inputs.jsonl").read_text(encoding="utf-8").splitlines()
        rows = _part([json.loads(line) for line in lines], options.part)
        scores = score_inputs(rows)
        print("\n".join(scores.lines(len(rows))))
        if options.misses:
            print("\n".join(scores.misses))
    if options.only != "inputs":
        with (data / "reports" / "ct_rate_800.csv").open(encoding="utf-8") as file:
            reports = _part(list(csv.DictReader(file)), options.part)
        read("chest CT")  # the lexicon is loaded before the clock starts
        table, misses, seconds, slowest = score_reports(reports)
        print("\n".join(report_lines(table, seconds, slowest, len(reports))))
        if options.misses:
            print("\n".join(misses))


if __name__ == "__main__":
    main()
