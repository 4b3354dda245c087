"""`synthct evaluate agreement`: does a case show what its prompt asked, at every step from words to words?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import binomtest

from evals import readings
from evals.agreement_plots import confusion as confusion_plot
from evals.agreement_plots import rates as rates_plot
from evals.asked_numbers import Pair, Rank, pairs_of, ranks
from evals.readings import Reading
from evals.registry import require
from evals.result import Result, ResultPicture, ResultTable
from evals.stamp import Figure, Stamp, sha256_of
from prompts import parse
from synth.case import folder as case_folder
from synth.case.doors import door
from synth.errors import InputError
from synth.files.content import text_of
from synth.progress import Progress
from synth.provenance import sha256
from synth.report import measure

PLACES = ("prompt", "plan", "volume", "report")
NOT_FOUND = "not found"
_LINKS = (("prompt", "plan"), ("prompt", "volume"), ("prompt", "report"), ("plan", "volume"), ("volume", "report"))


@dataclass(frozen=True)
class CaseReadings:
    """One case, read at each place; a place may be silent."""

    name: str
    prompt_text: str
    places: dict[str, Reading]
    numbers: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class Rate:
    """Of `asked` values at the first place, `found` are the same at the second; 95% Wilson interval."""

    attribute: str
    link: tuple[str, str]
    asked: int
    found: int

    @property
    def interval(self) -> tuple[float, float]:
        """In percent."""
        ci = binomtest(self.found, self.asked).proportion_ci(method="wilson")
        return 100 * ci.low, 100 * ci.high

    @property
    def percent(self) -> float:
        """Share found."""
        return 100 * self.found / self.asked


def evaluate(
    cases: Path, progress: Progress | None = None, skip_bad: bool = False
) -> tuple[Result, list[ResultPicture]]:
    """All cases of a folder. Raises InputError for what is no case folder, naming each, unless `skip_bad`."""
    found, bad, contents = read_cases(cases, progress or Progress(quiet=True), skip_bad)
    require(["agreement"], len(found), str(cases))
    rates = all_rates(found)
    stamp = Stamp(
        network="none", weights_sha256="", real=0, synthetic=len(found), slices="none",
        preprocessing="masks, CT and report as in the case folder", reference_sha256=sha256_of(contents),
    )  # fmt: skip
    main = [r for r in rates if r.link == ("prompt", "volume")]
    figures = [
        Figure(
            metric="agreement", part=r.attribute, value=r.percent, low=r.interval[0], high=r.interval[1], stamp=stamp
        )
        for r in main
    ]
    numbers = ranks([pair for case in found for pair in case.numbers])
    figures += [Figure(metric="rank", part=r.what, value=r.rho, low=r.low, high=r.high, stamp=stamp) for r in numbers]
    tables = [confusion(found, attribute) for attribute in dict.fromkeys(r.attribute for r in main)]
    result = Result(
        kind="agreement",
        title=f"Agreement of prompt, plan, volume and report in {cases.name}",
        settings={"cases": str(cases), "count": len(found)},
        figures=figures,
        tables=[_links_table(rates), *_numbers_table(numbers), *tables, _failures(found)],
        notes=["The figures are prompt against volume: what the masks and the CT show of what the prompt asked."],
        left_out=bad,
    )
    mixed = [table for table in tables if len(table.rows) > 1 or len(table.columns) > 2]  # else there is nothing to see
    return result, [rates_plot(rates), *(confusion_plot(table) for table in mixed)]


def read_cases(
    cases: Path, progress: Progress, skip_bad: bool = False
) -> tuple[list[CaseReadings], dict[str, str], list[str]]:
    """Readings, reasons of unusable folders by name, and the hashes of the CTs."""
    if not cases.is_dir():
        raise InputError(f"{cases}: no such folder; check the path")
    folders = sorted(p for p in cases.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        raise InputError(f"{cases}: holds no case folders; give the --out of `synthct generate` or `insert`")
    found, bad, contents = [], {}, []
    with progress.step("read cases", len(folders)) as step:
        for folder in folders:
            try:
                found.append(read_case(folder))
                contents.append(sha256((folder / case_folder.CT).read_bytes()))
            except InputError as error:
                bad[folder.name] = str(error)
            step.advance()
    if bad and not skip_bad:
        raise InputError(
            f"{cases}: {len(bad)} of {len(folders)} folders cannot be used: {' | '.join(bad.values())} "
            "(mend or remove them, or leave them out with --skip-bad)"
        )
    return found, bad, contents


def read_case(folder: Path) -> CaseReadings:
    """One case at all places. The prompt is parsed anew from its words."""
    case, plan, _, _ = case_folder.read_case(folder)
    try:
        words = str(plan["request"]["prompt"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / case_folder.PLAN}: no request.prompt; make the case again") from error
    if not words.strip():
        raise InputError(
            f"{folder}: was asked for nothing (no prompt in its plan), so nothing is compared; adopt it with --prompt, "
            "or leave it out with --skip-bad"
        )
    request = parse(words, door(str(plan.get("door"))))
    asked = readings.expanded(request)
    try:
        planned = readings.of_plan(plan, asked)
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # edited by hand, or of a version before
        raise InputError(
            f"{folder / case_folder.PLAN}: its facts or lesions are not a plan's; make the case again"
        ) from error
    text = text_of(folder / case_folder.REPORT_TEXT)
    measured = measure(case)
    places = {
        "prompt": readings.of_request(request),
        "plan": planned,
        "volume": readings.of_volume(case, measured, asked),
        "report": readings.of_report(text, asked),
    }
    return CaseReadings(folder.name, words, places, tuple(pairs_of(request, measured)))


def all_rates(cases: Sequence[CaseReadings]) -> list[Rate]:
    """Every attribute of every link; where the second place cannot tell of any case, none."""
    rates = []
    for attribute in attributes(cases):
        for link in _LINKS:
            pairs = _pairs(cases, attribute, link)
            if pairs and any(b != NOT_FOUND for _, b in pairs):
                rates.append(Rate(attribute, link, len(pairs), sum(a == b for a, b in pairs)))
    return rates


def attributes(cases: Sequence[CaseReadings]) -> list[str]:
    """General names, `finding 2 side` being `finding side`, in order of first sight."""
    return list(dict.fromkeys(general(name) for c in cases for place in c.places.values() for name in place))


def general(name: str) -> str:
    """Without the number of the finding."""
    return re.sub(r"^finding \d+ ", "finding ", name)


def _pairs(cases: Sequence[CaseReadings], attribute: str, link: tuple[str, str]) -> list[tuple[str, str]]:
    """(value at the first place, value at the second or NOT_FOUND) wherever the first place tells."""
    pairs = []
    for case in cases:
        first, second = (case.places[place] for place in link)
        pairs += [(v, second.get(name, NOT_FOUND)) for name, v in first.items() if general(name) == attribute]
    return pairs


def confusion(cases: Sequence[CaseReadings], attribute: str) -> ResultTable:
    """Rows: asked in the prompt; columns: found in the volume."""
    counts = Counter(_pairs(cases, attribute, ("prompt", "volume")))
    rows = sorted({a for a, _ in counts})
    columns = sorted({b for _, b in counts} | set(rows), key=lambda v: (v == NOT_FOUND, v not in rows, v))
    return ResultTable(
        title=f"Confusion: {attribute}",
        columns=["asked", *columns],
        rows=[[a, *(counts[a, b] for b in columns)] for a in rows],
    )


def _numbers_table(numbers: Sequence[Rank]) -> list[ResultTable]:
    if not numbers:
        return []
    rows: list[list[str | int | float | None]] = [
        [r.what, r.found, r.missing, f"{r.rho:.2f} ({r.low:.2f} to {r.high:.2f})", round(r.ratio, 2)] for r in numbers
    ]
    columns = ["number", "found", "not found", "rank correlation", "measured over asked, median"]
    return [ResultTable(title="Numbers asked against measured", columns=columns, rows=rows)]


def _links_table(rates: Sequence[Rate]) -> ResultTable:
    names = [" to ".join(link) for link in _LINKS]
    rows: list[list[str | int | float | None]] = []
    for attribute in dict.fromkeys(r.attribute for r in rates):
        mine = {r.link: r for r in rates if r.attribute == attribute}
        cell: Callable[[tuple[str, str]], str] = lambda k: f"{mine[k].found}/{mine[k].asked}" if k in mine else "-"  # noqa: B023, E731
        rows.append([attribute, *(cell(link) for link in _LINKS)])
    note = "Same value at the second place, of those told at the first. '-': one of the two does not tell."
    return ResultTable(title="Link by link", columns=["attribute", *names], rows=rows, note=note)


def _failures(cases: Sequence[CaseReadings]) -> ResultTable:
    """What was asked and is not in the volume, case by case."""
    rows: list[list[str | int | float | None]] = []
    for case in cases:
        for name, value in case.places["prompt"].items():
            got = case.places["volume"].get(name, NOT_FOUND)
            if got != value and _told(cases, name):
                rows.append([case.name, name, value, got, case.prompt_text])
    return ResultTable(title="What was not found", columns=["case", "attribute", "asked", "found", "prompt"], rows=rows)


def _told(cases: Sequence[CaseReadings], name: str) -> bool:
    """Whether a volume can tell of this attribute at all."""
    return any(general(name) == general(other) for c in cases for other in c.places["volume"])
