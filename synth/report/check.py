"""Check a report against its case: measure again, compare sentence by sentence, fact by fact."""

from __future__ import annotations

from pydantic import JsonValue

from synth.report.comparison import PriorStudy, stated_prior
from synth.report.measure import measure
from synth.report.measurements import DECIMALS
from synth.report.write import CHANGE, Report, ReportSentence, write
from synth.volumes.types import Case

_TOLERANCE = 2 * 10.0**-DECIMALS  # a number that lies on the edge of its rounding may fall either way


def check(case: Case, report: Report, prior: PriorStudy | None = None) -> list[str]:
    """One line for each sentence that does not hold on the case: its name, its words, stated and measured facts.

    Sentences that the case calls for and the report lacks are named too. Empty when the report holds. `prior` is what
    was measured on the earlier CT that the report compares with; left out, its sizes are taken as stated.
    """
    compared = {s.id.removesuffix(CHANGE): s.facts for s in report.section("comparison")}
    measured = {s.id: s for s in write(measure(case), prior or stated_prior(compared), report.style).sentences}
    stated = {s.id: s for s in report.sentences}
    lines = [line for s in report.sentences if (line := _compare(s, measured.get(s.id)))]
    if len(stated) != len(report.sentences):
        lines.append("the report has two sentences of one name; write it again from the case")
    lines += [f"{name}: the report lacks the sentence '{s.text}'" for name, s in measured.items() if name not in stated]
    return lines


def check_text(report: Report, text: str, planned: str) -> list[str]:
    """A line where report.txt is not the report in the style that was planned: the first that differs."""
    if report.style != planned:
        return [f"report.json is {report.style}, and the plan asks for a report that is {planned}"]
    written, stated = report.text().splitlines(), text.splitlines()
    for n in range(max(len(written), len(stated))):
        ours, theirs = ("".join(lines[n : n + 1]) for lines in (written, stated))
        if ours != theirs:
            return [f"report.txt, line {n + 1}: '{theirs}' is not what report.json says: '{ours}'"]
    return []


def _compare(stated: ReportSentence, measured: ReportSentence | None) -> str | None:
    """What is wrong with one sentence, or None."""
    if measured is None:
        return f"{stated.id}: '{stated.text}' has nothing to speak of: {_missing(stated)}"
    keys = [*stated.facts, *(key for key in measured.facts if key not in stated.facts)]
    wrong = [
        f"{key} is stated {_shown(stated.facts.get(key))}, measured {_shown(measured.facts.get(key))}"
        for key in keys
        if not _equal(stated.facts.get(key), measured.facts.get(key))
    ]
    if stated.masks != measured.masks:
        wrong.append(f"it names the masks {', '.join(stated.masks)}, measured on {', '.join(measured.masks)}")
    if not wrong and stated.text != measured.text:
        wrong.append(f"the measured facts say '{measured.text}'")
    return f"{stated.id}: '{stated.text}' does not hold: {'; '.join(wrong)}" if wrong else None


def _missing(sentence: ReportSentence) -> str:
    return f"no voxel of {', '.join(sentence.masks)} is there" if sentence.masks else "it was not measured"


def _equal(stated: JsonValue, measured: JsonValue) -> bool:
    """Equal, numbers with a fraction to their rounding."""
    if isinstance(stated, list) and isinstance(measured, list):
        return len(stated) == len(measured) and all(_equal(a, b) for a, b in zip(stated, measured, strict=True))
    if isinstance(stated, float) or isinstance(measured, float):
        numbers = [v for v in (stated, measured) if isinstance(v, int | float) and not isinstance(v, bool)]
        return len(numbers) == 2 and abs(numbers[0] - numbers[1]) <= _TOLERANCE
    return stated == measured


def _shown(value: JsonValue) -> str:
    """A fact as a message shows it."""
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return f"({', '.join(_shown(v) for v in value)})"
    return str(value)
