"""The data card: README.md of a cohort, from the figures of its cohort.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from synth.case import folder as case_folder
from synth.cohort import layout

_MOST_REASONS, _MOST_EXAMPLES = 20, 6
_NOT_SAID = "not stated in the recipe"

_LIMITS = (
    "Every volume here is synthetic, or a host CT with synthetic lesions. Nothing here may be used to diagnose or "
    "treat a person.",
    "The licence and consent of the host CT hold for every case made from them.",
    "A quota says what was asked of a case; `measured` says what the finished volumes show. Density, shape and "
    "margin are asked for and not measured against a reader.",
    "How near generated volumes come to training patients was not measured here; do not treat them as anonymous "
    "by construction.",
    "Cases that fail a check are drawn again, up to the recipe's attempts: what is hard to place or draw is rarer "
    "than in life.",
)


def write(cohort: dict[str, Any]) -> str:
    """The card as Markdown."""
    parts = [
        f"# {cohort['name']}",
        cohort["description"] or "A cohort made by synthct.",
        f"Synthetic CT, made with synthct {cohort['synthct']}. Licence: {cohort['licence'] or _NOT_SAID}.",
        "## What is in it",
        _counts(cohort),
        "## Asked and achieved",
        _quotas(cohort["quotas"]),
        *_lesions(cohort["lesions"]),
        *_hosts(cohort["hosts"]),
        *_scanners(cohort["recipe"].get("scanners")),
        *_quarantine(cohort["quarantine"]),
        *_examples(cohort["examples"]),
        "## Files",
        _files(),
        "## Limits",
        "\n".join(f"- {line}" for line in _LIMITS),
        "## Made with",
        _made_with(cohort),
    ]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _counts(cohort: dict[str, Any]) -> str:
    cases = cohort["cases"]
    shares, made = cohort["recipe"]["split"], sum(cohort["split"].values())
    split = ", ".join(
        f"{part} {number} ({number / max(made, 1):.0%} of {shares[part] / sum(shares.values()):.0%} asked for)"
        for part, number in cohort["split"].items()
    )
    twins = f", and {cases['twins']} healthy twins of them" if cases.get("twins") else ""
    return (
        f"{cases['complete']} cases of {cases['asked']} asked for{twins}; {cases['quarantined']} were given up. "
        f"{cases['draws']} draws were made. Split by patient: {split}."
    )


def _quotas(rows: Sequence[dict[str, Any]]) -> str:
    head = ("quota", "value", "asked", "made", "measured")
    return _table(head, ([row[name] for name in head] for row in rows))


def _lesions(rows: Sequence[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    measures = (f"{what}: {which}" for what in ("mm", "HU to organ") for which in ("least", "median", "most"))
    head = ("lesion", "number", *measures)
    cells = ([r["kind"], r["number"], *r["long_axis_mm"].values(), *r["contrast_hu"].values()] for r in rows)
    return ["## Lesions as measured", _table(head, cells)]


def _hosts(hosts: Sequence[dict[str, Any]]) -> list[str]:
    if not hosts:
        return []
    head = ("host", "patient", "cases", "split")
    return ["## Hosts", _table(head, ([host[name] for name in head] for host in hosts))]


def _scanners(scanners: dict[str, Any] | None) -> list[str]:
    """What each name in the quotas stands for."""
    if not scanners:
        return []
    fields = ("slice_mm", "kernel", "noise_hu")
    head = ("scanner", "slices, mm", "kernel", "noise added, HU", "more")
    said = "A model of the scanner was put on each finished volume, masks included, before it was measured."
    rows = ([name, *(s[f] for f in fields), _more(s, ("share", *fields))] for name, s in scanners.items())
    return ["## Scanners", said, _table(head, rows)]


def _more(settings: dict[str, Any], said: Sequence[str]) -> str:
    """`dose 0.25, views 90`: what a scanner was set to besides."""
    return ", ".join(f"{name} {value}" for name, value in settings.items() if name not in said)


def _quarantine(given_up: Sequence[dict[str, Any]]) -> list[str]:
    if not given_up:
        return []
    shown = [f"- {entry['case']}: {entry['reasons'][-1]}" for entry in given_up[:_MOST_REASONS]]
    if more := len(given_up) - len(shown):
        shown.append(f"- and {more} more in `{layout.QUARANTINE}/`")
    return ["## Given up", "\n".join(shown)]


def _examples(examples: dict[str, str]) -> list[str]:
    """Pictures of the cases that have one."""
    shown = [
        f"{group}: `{name}`\n\n![{group}]({layout.CASES}/{name}/{case_folder.PREVIEW})"
        for group, name in list(examples.items())[:_MOST_EXAMPLES]
    ]
    return ["## Examples", *shown] if shown else []


def _files() -> str:
    return _table(
        ("file", "holds"),
        (
            (f"`{layout.CASES}/CASE/`", "volume, masks, report, plan and manifest of a case"),
            (f"`{layout.TABLE}`", "one row a case: planned and measured"),
            (f"`{layout.COHORT}`", "these figures, and the recipe"),
            (f"`{layout.RECIPE}`", "what the cases follow from"),
            (f"`{layout.QUARANTINE}/`", "cases that were given up, with reasons and plans"),
            (f"`{layout.CHECKSUMS}`", "`sha256sum --check` of every file; `synthct verify` proves more"),
        ),
    )


def _made_with(cohort: dict[str, Any]) -> str:
    weights = [(name, entry["file"], entry["sha256"]) for name, entry in cohort["weights"].items()]
    environment = cohort["environment"]
    libraries = ", ".join(f"{name} {version}" for name, version in environment.get("libraries", {}).items())
    machine = f"Python {environment.get('python')}, {environment.get('platform')}, {environment.get('device')}."
    return "\n\n".join([_table(("network", "file", "sha256"), weights), machine, libraries])
