"""What the report measures of real lung nodules, against a reader's ratings.

    python -m studies.nodules.attributes --data ../shared/data/nodules --out docs/studies/nodules/attributes.md

Every measure is that of `synthct`'s report, from CT and mask alone. Half of the patients, by a hash, is for setting the
limits that make classes of numbers; AUC and agreement are of the other half, and AUC of all patients stands beside.
With --annotations (the table of all readers' annotations) other readers of the same nodules are held against the same
ratings: in patients with a single nodule, whose annotations are all of like size.
"""

from __future__ import annotations

import argparse
import csv
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from studies.nodules.crops import RATINGS, Nodule, read_nodules
from studies.nodules.intervals import Figure, auc, best_limit, figure, rank_correlation
from synth.failure import ended
from synth.files.whole import write_whole
from synth.report import attributes as limits
from synth.report.lesions import SHARP_MM
from synth.report.measure import measure
from synth.report.measurements import LesionMeasurement

_LIKE = 0.3  # of the logarithm of the diameter: annotations so near are of one nodule
_NEAR_MM = 1.5


@dataclass(frozen=True)
class Measure:
    """One of the report's numbers against one rating.

    of: the number; None where it was not measured. rating, least: `yes` is a rating of that or more. rises: whether it
    grows with the rating. without: what counts in the place of None; None: nodules without are left out. limit: the
    report's, where it makes a class of the number.
    """

    name: str
    of: Callable[[LesionMeasurement], float | None]
    rating: str
    least: int
    rises: bool = True
    without: float | None = None
    limit: float | None = None


def _unclear(found: LesionMeasurement) -> float | None:
    """The mean of both figures of the edge over their limits: what makes the class, as one number."""
    ragged, width = found.attributes.ragged, found.margin_mm
    both = [x for x in (ragged and ragged / limits.RAGGED, width and width / SHARP_MM) if x is not None]
    return float(np.mean(both)) if both else None


MEASURES = (
    Measure("dense_hu (solid)", lambda m: m.attributes.dense_hu, "texture", 4),
    Measure("dense_hu (not pure ground glass)", lambda m: m.attributes.dense_hu, "texture", 2, limit=limits.SOLID_HU),
    Measure("strands", lambda m: m.attributes.strands, "spiculation", 3, limit=limits.SPICULATED),
    Measure("strands, 0 if not measured", lambda m: m.attributes.strands, "spiculation", 3, without=0.0),
    Measure("concavity", lambda m: m.attributes.concavity, "spiculation", 3),
    Measure("concavity", lambda m: m.attributes.concavity, "lobulation", 3, limit=limits.LOBULATED),
    Measure("concavity", lambda m: m.attributes.concavity, "lobulation", 2),
    Measure("outline", lambda m: m.attributes.outline, "lobulation", 3),
    Measure("ragged", lambda m: m.attributes.ragged, "margin", 4, rises=False, limit=limits.RAGGED),
    Measure("ragged and margin_mm, each over its limit", lambda m: _unclear(m), "margin", 4, rises=False, limit=1.0),
    Measure("margin_mm", lambda m: m.margin_mm, "margin", 4, rises=False, limit=SHARP_MM),
    Measure("sphericity", lambda m: m.sphericity, "sphericity", 4),
)


@dataclass(frozen=True)
class Row:
    """What came of a measure. limit: found on the first half; agree: share of the other half that is on its side."""

    measure: Measure
    measured: int
    rank: Figure
    reported: Figure
    all: Figure
    found: float
    agree: Figure


def held_against(measure_: Measure, nodules: Sequence[Nodule], found: Sequence[LesionMeasurement]) -> Row:
    """A measure of every nodule against its rating."""
    numbers = [measure_.of(m) for m in found]
    numbers = [measure_.without if n is None else n for n in numbers]
    known = [i for i, n in enumerate(numbers) if n is not None]
    score = np.array([numbers[i] for i in known], float)
    rating = np.array([nodules[i].ratings[measure_.rating] for i in known])
    second = np.array([nodules[i].half == 1 for i in known])
    patients = np.array([nodules[i].patient for i in known])
    sign = 1.0 if measure_.rises else -1.0
    yes = rating >= measure_.least
    limit = sign * best_limit(sign * score[~second], yes[~second])
    used = limit if measure_.limit is None else measure_.limit
    right = ((sign * score >= sign * used) == yes)[second].astype(float)
    return Row(
        measure_,
        len(known),
        figure(lambda i: rank_correlation(score[i], rating[i]), patients),
        figure(lambda i: auc(sign * score[second][i], yes[second][i]), patients[second]),
        figure(lambda i: auc(sign * score[i], yes[i]), patients),
        limit,
        figure(lambda i: float(right[i].mean()), patients[second]),
    )


def table(nodules: Sequence[Nodule], found: Sequence[LesionMeasurement]) -> list[str]:
    """Lines of Markdown: every measure."""
    out = [
        "| measure | rating, yes from | nodules | rank correlation | AUC, reported half | AUC, all | best limit, first"
        " half | limit in the report | right side of it, reported half |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for measure_ in MEASURES:
        row = held_against(measure_, nodules, found)
        limit = "-" if measure_.limit is None else f"{measure_.limit:g}"
        cells = (measure_.name, f"{measure_.rating} {measure_.least}", row.measured, row.rank, row.reported, row.all)
        out.append("| " + " | ".join(map(str, (*cells, f"{row.found:.3g}", limit, row.agree))) + " |")
    return out


def textures(nodules: Sequence[Nodule], found: Sequence[LesionMeasurement]) -> list[str]:
    """Lines of Markdown: classes of texture by rating."""
    names: tuple[limits.Texture, ...] = ("ground-glass", "part-solid", "solid")
    out = ["| reader's texture | " + " | ".join(names) + " |", "|---|---|---|---|"]
    for rating in range(1, 6):
        seen = [m.attributes.texture for n, m in zip(nodules, found, strict=True) if n.ratings["texture"] == rating]
        out.append(f"| {rating} | " + " | ".join(str(seen.count(name)) for name in names) + " |")
    return out


def sizes(nodules: Sequence[Nodule], found: Sequence[LesionMeasurement]) -> list[str]:
    """Lines of Markdown: diameters against the reader's volume."""
    patients = [n.patient for n in nodules]
    volume = np.array([n.diameter_mm for n in nodules])
    of_report = np.array([(6000 * m.volume_ml / np.pi) ** (1 / 3) for m in found])
    axes = np.array([0.5 * (m.long_axis_mm + m.short_axis_mm) for m in found])
    out = ["| diameter | within 1.5 mm of the reader's | mean difference, mm |", "|---|---|---|"]
    for name, value in (("of the report's volume", of_report), ("mean of long and short axis", axes)):
        apart = value - volume
        near = figure(lambda i, apart=apart: float((np.abs(apart[i]) <= _NEAR_MM).mean()), patients)  # type: ignore[misc]
        out.append(f"| {name} | {near} | {apart.mean():.2f} |")
    return out


def other_readers(nodules: Sequence[Nodule], annotations: Path) -> list[str]:
    """Lines of Markdown: other readers' ratings of the same nodules against the first reader's."""
    with annotations.open(newline="") as file:
        rows = list(csv.DictReader(file))
    pairs: list[tuple[Nodule, dict[str, str]]] = []
    calcified = 0
    for nodule in nodules:
        mine, others = _parted(nodule, [row for row in rows if row["patient_id"] == nodule.patient])
        calcified += mine is not None and mine["calcification"] != "6"
        pairs += [(nodule, other) for other in others]
    out = ["| rating, yes from | pairs | patients | AUC of another reader |", "|---|---|---|---|"]
    patients = [n.patient for n, _ in pairs]
    for name, least in dict.fromkeys((m.rating, m.least) for m in MEASURES):
        score = np.array([float(other[name]) for _, other in pairs])
        yes = np.array([n.ratings[name] >= least for n, _ in pairs])
        value = figure(lambda i, s=score, y=yes: auc(s[i], y[i]), patients)  # type: ignore[misc]
        out.append(f"| {name} {least} | {len(pairs)} | {len(set(patients))} | {value} |")
    apart = np.array([abs(n.diameter_mm - float(other["equiv_diam_mm"])) for n, other in pairs])
    near = figure(lambda i: float((apart[i] <= _NEAR_MM).mean()), patients)
    out += ["", f"Other readers' diameters lie within 1.5 mm of the first reader's in {near}."]
    return [*out, f"Readers called {calcified} of the nodules that were found in the table calcified."]


def _parted(nodule: Nodule, rows: list[dict[str, str]]) -> tuple[dict[str, str] | None, list[dict[str, str]]]:
    """The nodule's own annotation and those of other readers; none where it is not plain whose is whose."""
    same = [r for r in rows if all(int(r[k]) == nodule.ratings[k] for k in RATINGS) and _like(r, nodule, 0.1)]
    if len(same) != 1:
        return None, []
    others = [row for row in rows if row is not same[0]]
    single = len(others) <= 3 and all(_like(row, nodule, _LIKE) for row in others)
    return same[0], others if single else []


def _like(row: dict[str, str], nodule: Nodule, within: float) -> bool:
    return abs(float(np.log(float(row["equiv_diam_mm"]) / nodule.diameter_mm))) < within


def main(arguments: list[str] | None = None) -> int:
    """The command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m studies.nodules.attributes", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the nodules")
    parser.add_argument("--annotations", type=Path, help="table of all readers' annotations")
    parser.add_argument("--out", type=Path, help="Markdown file for the tables")
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)  # crops are cut off below -1024 HU by whoever made them
    nodules = read_nodules(options.data)
    found = [measure(nodule.case()).lesions[0] for nodule in nodules]
    called = sum(bool(m.attributes.calcified) for m in found)
    lines = [*table(nodules, found), "", *textures(nodules, found), "", *sizes(nodules, found)]
    lines += ["", f"The report calls {called} of {len(nodules)} calcified."]
    if options.annotations:
        lines += ["", *other_readers(nodules, options.annotations)]
    text = "\n".join(lines) + "\n"
    if options.out:
        write_whole(options.out, text)
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(ended(main, "studies.nodules.attributes"))
