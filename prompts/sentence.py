"""A sentence as items: its terms in order with the marks and unknown words between them."""

from __future__ import annotations

from collections.abc import Sequence

from prompts.lexicon import Term
from prompts.sections import Sentence
from prompts.source import Source


def items_of(source: Source, terms: Sequence[Term], sentence: Sentence) -> list[Term]:
    """All terms of the sentence; a mark is a term that means {"mark": it}, an unknown word {"unknown": True}."""
    found: list[Term] = []
    index = sentence.first
    for term in terms:
        if term.first < sentence.first or term.first >= sentence.last:
            continue
        found += [_bare(source, i) for i in range(index, term.first)]
        found.append(term)
        index = term.last
    found += [_bare(source, i) for i in range(index, sentence.last)]
    return found


def _bare(source: Source, index: int) -> Term:
    token = source.tokens[index]
    means = {"unknown": True} if token.text[0].isalnum() else {"mark": token.text}
    return Term(means, index, index + 1, token.start, token.end, token.text, token.plural)
