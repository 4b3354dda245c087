"""Sentences without a finding: of the one before ("It measures 3 cm."), of an organ that is normal, or of a station."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from prompts import lexicon, merging
from prompts.binding import describe
from prompts.drafts import Draft
from prompts.findings import Told, findings_of
from prompts.findings import resolved as resolved_kind
from prompts.lexicon import Term
from prompts.places import Place
from prompts.reading import Finding
from prompts.scopes import Scopes
from prompts.sections import Sentence
from prompts.text import Text

_NODAL = frozenset(("mediastinum", "retroperitoneum", "axilla", "neck", "inguinal", "hilum"))
_STATIONS = ("pre", "para", "sub", "retro", "right para", "left para", "supra", "infra", "aorto", "inter", "station",
             "axill", "ingui", "hil", "porta", "peri", "gastro")  # fmt: skip
_DILATED = re.compile(r"dilat|enlarg|wide", re.I)


def read(
    state: Text,
    items: Sequence[Term],
    spread: Scopes,
    where: list[Place],
    sentence: Sentence,
    taken: set[int],
    number: int,
) -> None:
    """A sentence without a finding: of the one before it ("It measures 3 cm."), of an organ, or of nothing."""
    if any(i.has("normal") for i in items):
        normal(state, items, where, number, sentence)
        return
    if (unnamed := _unnamed(state, items, where, sentence)) is not None:
        for index, item in enumerate(items):
            describe(unnamed, item, index, items, spread)
        unnamed.sentence, unnamed.section = number, sentence.section
        merging.add(state, unnamed, items, sentence)
        state.use(items, unnamed.used)
        return
    target = (state.told[-1] if state.told else None) or (state.targets[-1] if state.targets else None)
    if state.targets and state.told and state.targets[-1].draft.sentence > state.told[-1].draft.sentence:
        target = state.targets[-1]
    state.organs += [p.organ for p in where if p.organ]
    state.understood = state.understood or bool(where) or any(_tells(i) for i in items)
    if target is None:
        state.pending.append((items, spread, where, taken))
        state.use(items, [i for p in where for i in range(p.first, p.last)])
        return
    if any("absent" in s for s in spread) and not any("size" in i.means for i in items):
        return
    if not _of_the_last(items, where, target, sentence):
        return
    _tell(state, target, items, spread, where, taken)


def _unnamed(state: Text, items: Sequence[Term], where: list[Place], sentence: Sentence) -> Draft | None:
    """The lesion that a place with a length is under "target lesions", and the lymph node that it is at a station."""
    if not any("size" in i.means for i in items) or any(i.is_finite for i in items):
        return None
    if (listed := _listed(state, items, where, sentence)) is not None:
        return listed
    heading = [sentence.organ] if sentence.organ is not None else []
    organs = [p.organ for p in where if not p.weak] or [organ_of(term) for term in heading]
    nodal = bool(organs) and organs[0] in _NODAL
    station = any("station" in i.means or i.text.lower().startswith(_STATIONS) for i in [*heading, *items])
    last = state.told[-1].finding if state.told else None
    awaited = last is not None and last.kind == "lymph node" and last.size_mm is None and last.status == "present"
    labelled = sentence.section == "target" or bool(state.columns) or any("label" in i.means for i in items)
    if not labelled and not (nodal and station and not awaited):
        return None
    if not organs and not any(p.part or p.side for p in where):
        return None
    kind = lexicon.kind_named("lymph node" if nodal else "lesion")
    used = {i for p in where for i in range(p.first, p.last)}
    return Draft(kind, 0, 0, 0, False, places=[p for p in where if not p.weak], used=used, text=items[0].text)


def _listed(state: Text, items: Sequence[Term], where: list[Place], sentence: Sentence) -> Draft | None:
    """ "Lung nodules: 1) 8 mm RUL 2) 5 mm RML": each line of the list is one of what stands over it."""
    last = state.told[-1] if state.told else None
    mark = state.source.tokens[sentence.first - 1] if sentence.first else None
    if last is None or last.draft.kind is None or last.finding.status != "present" or not where or mark is None:
        return None
    start, _ = state.source.raw_span(mark.start, mark.end)
    if sentence.section == "target" or mark.text != ";":
        return None
    if state.source.raw[start] == ";":  # "segment 3, 14 mm; segment 8, 22 mm": another one, in another place
        f = last.finding
        other = any((p.part and p.part != f.part) or (p.side and f.side and p.side != f.side) for p in where)
        if f.size_mm is None or not other:
            return None
        if isinstance(last.finding.count, int):
            last.become(count=1)
    kind, organ = last.draft.kind, last.finding.organ
    if last.finding.size_mm is None and last.finding.count == "several":
        state.told.pop()
    places = [replace(p, organ=p.organ or organ) for p in where if not p.weak]
    used = {i for p in where for i in range(p.first, p.last)}
    return Draft(kind, 0, 0, 0, False, places=places, used=used, text=items[0].text)


def organ_of(heading: Term | None) -> str | None:
    """The organ that a heading names."""
    if heading is None:
        return None
    organ = heading.means.get("organ") or heading.means.get("place", {}).get("organ")
    return str(organ) if organ else None


def _tells(item: Term) -> bool:
    return any(name in item.means for name in ("attributes", "size", "region", "phase", "count"))


def _of_the_last(items: Sequence[Term], where: Sequence[Place], told: Told, sentence: Sentence) -> bool:
    """Whether a sentence without a head speaks of the last finding: it points to it, or names no other organ."""
    pointed = sentence.detail or any(i.has("it") or i.has("largest") for i in items[:3])
    finding = told.finding
    strange = [p.organ for p in where if not p.weak and p.organ and p.organ != finding.organ]
    if pointed or not where:
        return True
    if strange and finding.organ is not None:
        return False
    return not any(i.is_finite for i in items) or pointed


def _tell(state: Text, told: Told, items: Sequence[Term], spread: Scopes, where: list[Place], taken: set[int]) -> None:
    """Add the words of a sentence to a finding that stands."""
    draft = replace(
        told.draft,
        places=[],
        sizes=[],
        counts=[],
        attributes={},
        conflicts=[],
        used=set(),
        volumes=[],
        size_word=None,
        shares=[],
    )
    draft.places = [p for p in where if not p.weak]
    for place in where:
        draft.used.update(range(place.first, place.last))
    for index, item in enumerate(items):
        if index not in taken:
            describe(draft, item, index, items, spread)
    state.use(items, draft.used)
    if told.draft.is_target:
        told.draft.places += draft.places
        told.draft.volumes += draft.volumes
        told.draft.sizes += [s for s in draft.sizes if told.draft.section == ""]
        return
    if told.draft.counts and draft.counts:
        draft.counts = []
    for more in findings_of(draft, items, None)[:1]:
        finding = more.finding
        if told.finding.count is not None:
            finding = replace(finding, count=told.finding.count)
        if any(p.organ and told.finding.organ and p.organ != told.finding.organ for p in draft.places):
            finding = replace(finding, organ=None, side=None, part=None)
        more.finding = finding
        merging.merged(told, more)
        told.conflicts = (*told.conflicts, *more.conflicts)


def normal(state: Text, items: Sequence[Term], where: Sequence[Place], number: int, sentence: Sentence) -> None:
    """ "Liver: normal.": nothing is wrong with the organs that are named."""
    state.understood = True
    organs = [p for p in where if p.organ and not p.weak]
    if not organs and sentence.organ is not None:
        organs = [Place(0, 0, organ=organ_of(sentence.organ), side=sentence.organ.means.get("side"))]
    start, end = state.source.raw_span(items[0].start, items[-1].end)
    dilated = any(i.has("normal") and _DILATED.search(i.text) for i in items)
    for place in organs:
        kind, organ = resolved_kind(lexicon.kind_named("dilatation"), place.organ) if dilated else ("dilatation", None)
        kind, organ = ("abnormality", place.organ) if kind == "dilatation" else (kind, organ)
        finding = Finding(kind, organ, place.side, place.part, status="absent",
                          text=state.source.raw[start:end], span=(start, end))  # fmt: skip
        draft = Draft(lexicon.Kind(kind), 0, 0, 0, False, status="absent", sentence=number, section=sentence.section)
        state.told.append(Told(finding, draft))
    bare = not any("finding" in i.means for i in items)
    state.use(items, range(len(items)) if organs and bare else [i for p in organs for i in range(p.first, p.last)])
