"""Which words belong to which finding or target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from prompts.lexer import Term

MODIFIERS = (
    "organ", "implied_organ", "side", "segment", "size_mm", "volume_ml", "count", "shape", "density",
    "heterogeneity", "surface", "invasion", "spiculated", "lobulated", "texture", "necrotic", "calcified", "rim",
    "pattern", "severity", "share", "ratio",
)  # fmt: skip


@dataclass
class Head:
    """The noun of a finding (means `kind`) or target (means `dose`) and the terms that describe it."""

    term: Term
    modifiers: list[Term] = field(default_factory=list)

    @property
    def is_target(self) -> bool:
        return "dose" in self.term.means

    @property
    def is_plural(self) -> bool:
        word = self.term.text.lower()
        return word.endswith("calculi") or (word.endswith("s") and not word.endswith(("ss", "us", "sis", "ites")))


def bind(terms: Sequence[Term]) -> tuple[list[Head], list[Term]]:
    """Heads with their modifiers, and the modifiers that no head took.

    Sentences bind alone; one without a head speaks of the head before it (else of the next).
    Within a sentence a boundary lies between two heads, see `_boundary`.
    """
    heads: list[Head] = []
    pending: list[Term] = []
    for clause in _clauses(terms):
        here = _heads(clause)
        modifiers = [t for t in clause if any(f in t.means for f in MODIFIERS) and not _is_head(t)]
        if not here:
            (heads[-1].modifiers if heads else pending).extend(modifiers)
            continue
        boundaries = [_boundary(clause, a.term, b.term) for a, b in zip(here, here[1:], strict=False)]
        here[0].modifiers.extend(pending)
        pending = []
        for term in modifiers:
            here[sum(b <= term.start for b in boundaries)].modifiers.append(term)
        heads += here
    return heads, pending


def _clauses(terms: Sequence[Term]) -> list[list[Term]]:
    clauses: list[list[Term]] = [[]]
    for term in terms:
        if "stop" in term.means:
            clauses.append([])
        else:
            clauses[-1].append(term)
    return clauses


def _is_head(term: Term) -> bool:
    return "kind" in term.means or "dose" in term.means


def _heads(clause: Sequence[Term]) -> list[Head]:
    """Heads in order. Two names of one thing ("PTV (70 Gy)", "tumour mass") make one head."""
    heads: list[Head] = []
    for term in filter(_is_head, clause):
        if heads and _same_thing(clause, heads[-1].term, term):
            first = heads.pop().term
            heads.append(Head(Term({**term.means, **first.means}, term.text, first.start, term.end)))
        else:
            heads.append(Head(term))
    return heads


def _same_thing(clause: Sequence[Term], a: Term, b: Term) -> bool:
    between = [t for t in clause if a.end <= t.start < b.start]
    if "dose" in a.means:
        plain = all(set(t.means) <= {"target_word", "preposition", "article"} for t in between)
        return a.means["dose"] == b.means.get("dose") and plain
    return "kind" in b.means and not between and b.start - a.end <= 1


def _boundary(clause: Sequence[Term], a: Term, b: Term) -> int:
    """Where the words of head `a` end and those of `b` begin.

    The last "and", "with" ... or separator before an article or a count; else the last comma;
    else, without any separator, everything after a preposition belongs to `a`, and the rest to `b`.
    """
    between = [t for t in clause if a.end <= t.start < b.start]
    commas: list[int] = []
    strong: list[int] = []
    for term, following in zip(between, [*between, b][1:], strict=True):
        opens = "article" in following.means or "count" in following.means
        if "separator" in term.means:
            (strong if opens or term.text != "," else commas).append(term.start)
    if strong or commas:
        return max(strong) if strong else max(commas)
    return b.start if any("preposition" in t.means for t in between) else a.end
