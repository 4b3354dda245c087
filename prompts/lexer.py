"""Prompt -> terms: the stretches of text that the lexicon and the number patterns know."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from prompts import quantities
from prompts.phrases import load

TABLE = "lexicon.yaml"
_GRAMMAR = {"separators": "separator", "articles": "article", "prepositions": "preposition", "negators": "negator"}


@dataclass(frozen=True)
class Term:
    """`text`[`start`:`end`] of the prompt and what it means, field -> value; {} for noise."""

    means: dict[str, Any]
    text: str
    start: int
    end: int


def terms(prompt: str) -> list[Term]:
    """All terms in order, none overlapping: at each place the longest match of all patterns."""
    found = [Term(means, m[0], m.start(), m.end()) for m, means in _matches(prompt)]
    found.sort(key=lambda t: (t.start, t.start - t.end))
    kept: list[Term] = []
    for term in found:
        if not kept or term.start >= kept[-1].end:
            kept.append(term)
    return kept


def unread(prompt: str, known: Sequence[Term]) -> list[re.Match[str]]:
    """Words that are in no term and no stop word."""
    stop = set(load(TABLE)["stopwords"])
    covered = [False] * len(prompt)
    for term in known:
        covered[term.start : term.end] = [True] * (term.end - term.start)
    words = re.finditer(r"[^\W_](?:[\w'/^.-]*\w)?", prompt)
    return [w for w in words if not any(covered[w.start() : w.end()]) and w[0].lower() not in stop]


def looks_like_a_finding(word: str) -> bool:
    """Whether a word ends as the names of diseases do ("sarcoidosis")."""
    return re.fullmatch(rf"\w{{3,}}?(?:{_any(load(TABLE)['disease_endings'])})", word, re.IGNORECASE) is not None


def _matches(prompt: str) -> Iterator[tuple[re.Match[str], dict[str, Any]]]:
    for pattern, means in _lexicon():
        for match in pattern.finditer(prompt):
            yield match, means
    for match in _negation().finditer(prompt):
        yield match, {"absent": ruled_out(match[0])}
    yield from quantities.matches(prompt)


@cache
def _lexicon() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    table = load(TABLE)
    rules: list[tuple[Sequence[str], dict[str, Any]]] = [(table["noise"], {})]  # first: "low-dose" CT is no level
    rules += [
        (patterns, {field: value}) for field, values in table["fields"].items() for value, patterns in values.items()
    ]
    rules += [(entry["say"], entry["means"]) for entry in table["compounds"]]
    rules += [(patterns, {"dose": (float(dose),)}) for dose, patterns in table["dose"].items()]
    rules += [(patterns, {"not_drawn": name}) for name, patterns in table["absent"].items()]
    rules += [(table[name], {name: True}) for name in ("level", "target_word", "other_modality")]
    rules += [(table[name], {kind: True}) for name, kind in _GRAMMAR.items()]
    rules.append(([r"[;\n]|\.(?=\s|$)"], {"stop": True}))
    return [(_compiled(patterns), means) for patterns, means in rules]


def _compiled(patterns: Sequence[str]) -> re.Pattern[str]:
    body = _any(patterns)
    return re.compile(rf"(?:(?<!\w)(?=\w)|(?!\w))(?:{body})(?:(?<=\w)(?!\w)|(?<!\w))", re.IGNORECASE)


def _any(patterns: Sequence[str]) -> str:
    """One alternation; the lexicon's blanks and hyphens become what they stand for."""
    return "|".join(_expanded(p) for p in sorted(patterns, key=len, reverse=True))


def _expanded(pattern: str) -> str:
    pattern = re.sub(r"\((?!\?)", "(?:", pattern)
    pattern = pattern.replace(" ?", "-").replace("-", "\0").replace(" ", r"[\s-]+")
    return pattern.replace("\0", r"[\s-]*")


def _item() -> str:
    """A finding that can follow "no": one that is never drawn, or a bare "liver tumour"."""
    table = load(TABLE)
    kinds = _any([p for patterns in table["fields"]["kind"].values() for p in patterns])
    organs = _any([p for patterns in table["fields"]["organ"].values() for p in patterns])
    return rf"(?<!\w)(?:{_never_drawn()}|(?:(?:{organs})\s+)?(?:{kinds}))(?!\w)"


def _never_drawn() -> str:
    table = load(TABLE)
    names = _any([p for patterns in table["absent"].values() for p in patterns])
    return rf"(?<!\w)(?:{names}|\w{{3,}}?(?:{_any(table['disease_endings'])}))(?!\w)"


@cache
def _negation() -> re.Pattern[str]:
    """ "no A", "no A, B or C", "no A and B": kinds that can be drawn join a list only through "or"."""
    item, disease = _item(), _never_drawn()
    negator = _any([n for n in load(TABLE)["negators"] if n != "not"])
    or_list = rf"{item}(?:\s*,\s*{item})*\s*,?\s*(?:or|nor|/)\s*{item}"
    and_list = rf"{item}(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+){disease})*"
    return re.compile(rf"(?<!\w)(?:{negator})\s+(?:any\s+)?(?:{or_list}|{and_list})", re.IGNORECASE)


def ruled_out(text: str) -> tuple[str, ...]:
    """Canonical names of the findings in "no pleural effusion or liver metastases"."""
    table = load(TABLE)
    fields = table["fields"]
    without_negator = re.sub(rf"^(?:{_any(table['negators'])})\s+(?:any\s+)?", "", text, flags=re.IGNORECASE)
    names = []
    for match in re.finditer(_item(), without_negator, re.IGNORECASE):
        named = _named(match[0], table["absent"])
        kind, organ = None, None
        if named is None:
            *before, last = match[0].split()
            kind = _named(match[0], fields["kind"]) or _named(last, fields["kind"])
            organ = _named(" ".join(before), fields["organ"]) if before else None
        names.append(named or " ".join(w for w in (organ, kind) if w) or match[0].lower())
    return tuple(dict.fromkeys(names))


def _named(text: str, patterns: dict[str, Sequence[str]]) -> str | None:
    for name, options in patterns.items():
        if re.fullmatch(_any(options), text, re.IGNORECASE):
            return name
    return None
