"""A sentence as items: its terms in order with the marks and unknown words between them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from prompts.lexicon import Term
from prompts.sections import Sentence
from prompts.source import Source


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
