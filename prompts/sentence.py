"""A sentence as items: its terms in order with the marks and unknown words between, and what they mean here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from prompts.lexicon import Kind, Term
from prompts.sections import Sentence
from prompts.source import Source

ADJECTIVES = {"ground-glass opacity": ("texture", "ground-glass"), "wall thickening": ("shape", "wall thickening")}
DESCRIBING = {**ADJECTIVES, **dict.fromkeys(("calcification", "arterial wall calcification"), ("calcified", "True"))}


def items_of(source: Source, terms: Sequence[Term], sentence: Sentence) -> list[Term]:
    """All terms of the sentence, of `terms` in order.

    A mark is a term that means {"mark": it}, an unknown word one that means {"unknown": True}.
    """
    found: list[Term] = []
    index = sentence.first
    for position in range(bisect_left(terms, sentence.first, key=_first), len(terms)):
        term = terms[position]
        if term.first >= sentence.last:
            break
        found += [_bare(source, i) for i in range(index, term.first)]
        found.append(term)
        index = term.last
    found += [_bare(source, i) for i in range(index, sentence.last)]
    return found


def _first(term: Term) -> int:
    return term.first


def _bare(source: Source, index: int) -> Term:
    token = source.tokens[index]
    means = {"unknown": True} if token.text[0].isalnum() else {"mark": token.text}
    return Term(means, index, index + 1, token.start, token.end, token.text, token.plural)


def named_again(items: Sequence[Term], told: Sequence[Kind]) -> list[Term]:
    """ "Cyst in the left kidney. A second one in the upper pole.": another of the last of `told`."""
    found = list(items)
    for index, item in enumerate(items):
        if not item.has("another"):
            continue
        if any("finding" in i.means for i in items[index + 1 : index + 3]) or _is_largest(found, index):
            continue
        kinds = [i.means["finding"] for i in found[:index] if "finding" in i.means] or told
        if kinds:
            found[index] = replace(item, means={"finding": kinds[-1], "another": True})
    return found


def _is_largest(items: Sequence[Term], index: int) -> bool:
    """ "multiple stones, the larger one 12 mm": one of those, behind which its length stands."""
    several = any("finding" in i.means and i.plural for i in items[:index])
    sized = any("size" in i.means for i in items[index + 1 : index + 3])
    return several and sized and items[index].has("largest") and items[index].text.lower().startswith("the ")


def as_attributes(items: Sequence[Term]) -> list[Term]:
    """ "wall thickening, hypodense; with calcification" behind a lesion: what could be findings are its attributes.

    The items as they are where one of them is a finding of its own, has a place or a verb.
    """
    kinds = [i.means["finding"].name for i in items if "finding" in i.means]
    if not kinds or any(kind not in DESCRIBING for kind in kinds):
        return list(items)
    if any("finding" in i.means and i.plural for i in items):
        return list(items)  # "surrounding ground glass opacities"
    if any(i.is_finite or "organ" in i.means or "dose" in i.means for i in items):
        return list(items)
    described = []
    for item in items:
        if "finding" in item.means:
            name, value = DESCRIBING[item.means["finding"].name]
            item = replace(item, means={"attributes": {name: value}})  # noqa: PLW2901
        described.append(item)
    return described
