"""What a report says of the findings that a region's facts ask for, as columns of the patient."""

from __future__ import annotations

from collections.abc import Sequence

from prompts import Finding, PromptError, read
from synth.regions import Region
from synth.regions.measures import Said


def said_in(report: str, region: Region) -> dict[str, str]:
    """Column -> "1" where the report finds it, "0" where it rules it out or does not speak of it.

    Empty where it is only possible, where there is no report, and where the report cannot be read (another language).
    """
    asked = [fact.measure for fact in region.facts if isinstance(fact.measure, Said)]
    if not asked or not report.strip():
        return {}
    try:
        findings = read(report).findings
    except PromptError:
        return {}
    flags = {measure.column: _flag(findings, measure) for measure in asked}
    return {column: flag for column, flag in flags.items() if flag}


def _flag(findings: Sequence[Finding], measure: Said) -> str:
    alike = [f for f in findings if f.kind == measure.finding and measure.organ in (None, f.organ)]
    if any(f.status == "present" for f in alike):
        return "1"
    return "" if any(f.status == "possible" for f in alike) else "0"
