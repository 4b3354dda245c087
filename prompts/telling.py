"""What a head of a sentence adds to a text: findings of its own, or words of the one that it speaks of."""

from __future__ import annotations

from collections.abc import Sequence

from prompts import merging
from prompts.drafts import Draft
from prompts.findings import Told, findings_of
from prompts.lexicon import Term
from prompts.reading import Finding
from prompts.sections import Sentence
from prompts.text import Text


def add(state: Text, draft: Draft, items: Sequence[Term], sentence: Sentence) -> None:
    """The findings of a head, or what it adds to the one that it speaks of."""
    span = [(items[i].start, items[i].end) for i in draft.used]
    start, end = min(a for a, _ in span), max(b for _, b in span)
    draft.spans = [state.source.raw_span(start, end)]
    if draft.is_target:
        state.targets.append(Told(Finding("planning target volume"), draft))
        return
    found = findings_of(draft, items, sentence.organ)
    for one in found:
        a, b = draft.spans[0]
        one.become(span=(a, b), text=state.source.raw[a:b])
    of_it = draft.explains and any(i.has("it") for i in items[:1])  # "it is hypodense, in favor of a cyst"
    if len(found) == 1 and draft.status == "present" and (of_it or _speaks_of_earlier(draft, found[0])):
        earlier = merging.spoken_of(state.told, found[0].finding.kind)
        if earlier is not None and _agree(earlier.finding, found[0].finding) and _one_device(earlier.draft, draft):
            merging.merged(earlier, found[0])
            return
    state.told += found


def _speaks_of_earlier(draft: Draft, one: Told) -> bool:
    """ "The lesion measures ..", "the largest nodule .."; not "the right kidney has a cyst"."""
    return draft.anaphor and draft.section != "impression" and not draft.counts


def _agree(a: Finding, b: Finding) -> bool:
    organs = b.organ is None or a.organ is None or a.organ == b.organ
    sides = b.side is None or a.side in (None, b.side, "bilateral")
    parts = b.part is None or a.part in (None, b.part) or a.count == "several"
    sizes = not (a.size_mm and b.size_mm) or a.size_mm == b.size_mm
    return organs and sides and parts and sizes


def _one_device(a: Draft, b: Draft) -> bool:
    """ "A port .. the catheter"; not "a nasogastric tube .. the endotracheal tube"."""
    if not (a.kind and b.kind and b.kind.device):
        return True
    same = a.text.lower() == b.text.lower() or (a.kind.means == b.kind.means and " " not in b.text)
    return same or (b.text.lower() == "catheter" and a.kind.means.get("device") in ("port", "central line"))
