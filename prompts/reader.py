"""Words -> reading. Rules and tables only: the same text is always the same reading.

The steps: one alphabet; slips of the pen; numbers and terms; sentences; in each sentence scopes, places, heads and the
words that belong to them; findings, one a place; repetitions put together; and what of it can be drawn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from prompts import asking, languages, lexicon, merging, numbers, scan, sections, spelling, tables
from prompts.ambiguous import resolved
from prompts.asking import ANYWHERE, Door
from prompts.binding import bind, describe
from prompts.drafts import Draft, as_attributes, drafts_of
from prompts.errors import PromptError
from prompts.findings import Told, findings_of
from prompts.findings import resolved as resolved_kind
from prompts.lexicon import Term, function_words
from prompts.places import Place, places
from prompts.reading import Finding, Reading
from prompts.request import FindingRequest
from prompts.scopes import Scopes, is_finite, scopes
from prompts.sections import Sentence
from prompts.sentence import items_of
from prompts.source import Source, normalised
from prompts.vocabulary import Dose, Organ, Region

MAX_CHARACTERS = 200_000
EXAMPLES = "'head and neck CT with a 70 Gy target on the left' or '18 mm nodule in the right upper lobe'"
_SILENT = ("technique", "comparison", "recommendation", "measured organs")
_READ = frozenset(("number", "label", "stage", "degrees", "spacing", "ct"))
_NODAL = frozenset(("mediastinum", "retroperitoneum", "axilla", "neck", "inguinal", "hilum"))
_STATIONS = ("pre", "para", "sub", "retro", "right para", "left para", "supra", "infra", "aorto", "inter", "station",
             "axill", "ingui", "hil", "porta", "peri", "gastro")  # fmt: skip
_DILATED = re.compile(r"dilat|enlarg|wide", re.I)
_EXCEPT = re.compile(r"except|apart|other than|aside|but|with the exception|only", re.I)
_PAST = ("history",)
_POSSIBLE = ("indication",)


@dataclass
class _Text:
    """All that is known of a text while it is read."""

    source: Source
    told: list[Told] = field(default_factory=list)
    targets: list[Told] = field(default_factory=list)
    pending: list[tuple[Sequence[Term], Scopes, list[Place], set[int]]] = field(default_factory=list)
    scan: scan.Scan = field(default_factory=scan.Scan)
    organs: list[str] = field(default_factory=list)
    sentences: list[Sentence] = field(default_factory=list)
    used: bytearray = field(default_factory=bytearray)
    columns: tuple[str, ...] = ()
    understood: bool = False
    bare_target: bool = False
    excepted: bool = False


def read(text: str, door: Door = ANYWHERE) -> Reading:
    """The reading of a text, whatever of it can be drawn.

    Raises PromptError (one line: the words and the remedy) for an empty text, one in another language, one in which
    nothing is understood, and contradictions about the scan.
    """
    source, corrections = _prepared(text)
    terms = lexicon.terms(source, numbers.terms(source))
    state = _Text(source, used=bytearray(len(source.text) + 1))
    state.used[:] = b"\1" * len(state.used)  # headings are read
    state.sentences = sections.sentences(source, terms)
    for sentence in state.sentences:
        start, end = source.tokens[sentence.first].start, source.tokens[sentence.last - 1].end
        state.used[start:end] = bytes(end - start)
    for number, sentence in enumerate(state.sentences):
        items = resolved(items_of(source, terms, sentence))
        if state.told and source.tokens[sentence.first - 1].text == ";":
            items = as_attributes(items)
        _sentence(state, items, sentence, number)
    if not (
        state.understood
        or state.told
        or state.targets
        or state.scan.said
        or state.scan.loose_regions
        or state.scan.has_ct
    ):
        raise PromptError(f"nothing in '{_short(text)}' is understood: describe a CT, for instance {EXAMPLES}")
    return _reading(text, state, door, corrections)


def _prepared(text: str) -> tuple[Source, dict[str, str]]:
    if not text.strip():
        raise PromptError(f"the prompt is empty: describe the CT, for instance {EXAMPLES}")
    if len(text) > MAX_CHARACTERS:
        raise PromptError(f"the prompt has {len(text)} characters: give at most {MAX_CHARACTERS}")
    if language := languages.foreign(text):
        raise PromptError(f"'{_short(text)}' is in {language}: only English is read; translate it")
    return spelling.corrected(normalised(text))


def _sentence(state: _Text, items: Sequence[Term], sentence: Sentence, number: int) -> None:
    """Read one sentence into the state."""
    section = sentence.section
    taken = scan.of_sentence(items, section, number, len(state.source.text), state.scan)
    _use(state, items, taken)
    _use(
        state, items, [i for i, item in enumerate(items) if "context" in item.means or not _READ.isdisjoint(item.means)]
    )
    if section in _SILENT:
        _use(
            state,
            items,
            [i for i, item in enumerate(items) if "unknown" not in item.means and "ordinary" not in item.means],
        )
        state.understood = True
        return
    if (columns := tables.columns_of(items)) is not None:
        state.columns = columns
        _use(state, items, range(len(items)))
        return
    items = tables.in_columns(items, state.columns)
    spread = scopes(items)
    where = places(items, spread, taken)
    drafts = drafts_of(items, spread, taken)
    state.excepted = state.excepted or any(i.has("stop") and _EXCEPT.match(i.text) for i in items)
    state.bare_target = state.bare_target or any("target" in i.means for i in items)
    if not drafts:
        _headless(state, items, spread, where, sentence, taken, number)
        return
    _exemplify(state, items, drafts, number)
    normal = bind(items, spread, drafts, where, taken)
    if normal:
        _normal(state, items, normal, number, sentence)
    if state.pending and not state.told:
        _take_pending(state, drafts[0])
    for draft in drafts:
        draft.sentence, draft.section = number, section
        if any(term.means["count"] == "0" for term in draft.counts):
            draft.status = "absent"
        _place_status(draft, section)
        if not draft.summary:
            _add(state, draft, items, sentence)
    merging.within_sentence(state.told, number)
    for draft in drafts:
        _use(state, items, draft.used)


def _exemplify(state: _Text, items: Sequence[Term], drafts: Sequence[Draft], number: int) -> None:
    """ "Multiple nodules. For example a 10 mm nodule ..": the sentence before is told by its examples."""
    last = state.told[-1] if state.told else None
    opens = bool(items) and items[0].has("example") and "finding" not in items[0].means
    if not opens or last is None or last.draft.sentence != number - 1 or last.finding.size_mm:
        return
    first = drafts[0].kind
    if first is not None and first.name == last.finding.kind and last.finding.count == "several":
        state.told.pop()


def _place_status(draft: Draft, section: str) -> None:
    if draft.status == "present" and section in _PAST:
        draft.status = "past"
    if draft.status == "present" and section in _POSSIBLE:
        draft.status = "possible"


def _add(state: _Text, draft: Draft, items: Sequence[Term], sentence: Sentence) -> None:
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
    if len(found) == 1 and draft.status == "present" and _speaks_of_earlier(draft, found[0]):
        earlier = merging.spoken_of(state.told, found[0].finding.kind)
        if earlier is not None and _agree(earlier.finding, found[0].finding):
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


def _headless(
    state: _Text,
    items: Sequence[Term],
    spread: Scopes,
    where: list[Place],
    sentence: Sentence,
    taken: set[int],
    number: int,
) -> None:
    """A sentence without a finding: of the one before it ("It measures 3 cm."), of an organ, or of nothing."""
    if any(i.has("normal") for i in items):
        _normal(state, items, where, number, sentence)
        return
    if (unnamed := _unnamed(state, items, where, sentence)) is not None:
        for index, item in enumerate(items):
            describe(unnamed, item, index, items, spread)
        unnamed.sentence, unnamed.section = number, sentence.section
        _add(state, unnamed, items, sentence)
        _use(state, items, unnamed.used)
        return
    target = (state.told[-1] if state.told else None) or (state.targets[-1] if state.targets else None)
    if state.targets and state.told and state.targets[-1].draft.sentence > state.told[-1].draft.sentence:
        target = state.targets[-1]
    state.organs += [p.organ for p in where if p.organ]
    state.understood = state.understood or bool(where) or any(_tells(i) for i in items)
    if target is None:
        state.pending.append((items, spread, where, taken))
        _use(state, items, [i for p in where for i in range(p.first, p.last)])
        return
    if any("absent" in s for s in spread) and not any("size" in i.means for i in items):
        return
    if not _of_the_last(items, where, target, sentence):
        return
    _tell(state, target, items, spread, where, taken)


def _unnamed(state: _Text, items: Sequence[Term], where: list[Place], sentence: Sentence) -> Draft | None:
    """The lesion that a place with a length is under "target lesions", and the lymph node that it is at a station."""
    if not any("size" in i.means for i in items) or any(is_finite(i) for i in items):
        return None
    heading = [sentence.organ] if sentence.organ is not None else []
    organs = [p.organ for p in where if not p.weak] or [_organ_of(term) for term in heading]
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


def _organ_of(heading: Term) -> str | None:
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
    return not any(is_finite(i) for i in items) or pointed


def _tell(state: _Text, told: Told, items: Sequence[Term], spread: Scopes, where: list[Place], taken: set[int]) -> None:
    """Add the words of a sentence to a finding that stands."""
    draft = replace(
        told.draft, places=[], sizes=[], counts=[], attributes={}, conflicts=[], used=set(), volumes=[], size_word=None
    )
    draft.places = [p for p in where if not p.weak]
    for place in where:
        draft.used.update(range(place.first, place.last))
    for index, item in enumerate(items):
        if index not in taken:
            describe(draft, item, index, items, spread)
    _use(state, items, draft.used)
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


def _take_pending(state: _Text, draft: Draft) -> None:
    """What sentences before the first finding said is said of it ("Right lung. 8 mm nodule.")."""
    for items, spread, where, taken in state.pending:
        if any(is_finite(i) for i in items):
            continue
        if not any(p.own_organ and not p.weak for p in draft.places):
            draft.places = [*where, *draft.places]
        for index, item in enumerate(items):
            if index not in taken:
                used = set(draft.used)
                describe(draft, item, index, items, spread)
                draft.used = used
    state.pending = []


def _normal(state: _Text, items: Sequence[Term], where: Sequence[Place], number: int, sentence: Sentence) -> None:
    """ "Liver: normal.": nothing is wrong with the organs that are named."""
    state.understood = True
    organs = [p for p in where if p.organ and not p.weak]
    if not organs and sentence.organ is not None:
        organs = [Place(0, 0, organ=_organ_of(sentence.organ))]
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
    _use(state, items, range(len(items)) if organs and bare else [i for p in organs for i in range(p.first, p.last)])


def _use(state: _Text, items: Sequence[Term], indices: Any) -> None:
    for index in indices:
        item = items[index]
        state.used[item.start : item.end] = b"\1" * (item.end - item.start)


def _reading(text: str, state: _Text, door: Door, corrections: dict[str, str]) -> Reading:
    """Put the request together from what was told."""
    facts = scan.facts(state.scan)
    if state.scan.modality is not None and not state.scan.has_ct:
        raise PromptError(f"'{state.scan.modality.text}' cannot be drawn: only CT can")
    told = merging.without_repeats(state.told)
    of_findings = asking.asked(told, facts["region"], door)
    findings, assumed = of_findings.findings, of_findings.assumed
    targets, wrong = asking.targets_of(state.targets)
    region = facts["region"]
    if region is None:
        region = _assumed_region(state, findings, bool(targets), assumed)
    assumed |= {f"'{word}'": f"did you mean '{guess}'?" for word, guess in corrections.items()}
    findings += _targets_not_drawn(state, wrong, bool(targets))
    request = _request(text, facts, of_findings, targets, findings, state)
    if isinstance(request, str):
        raise PromptError(request)
    return Reading(text, request, tuple(findings), region, assumed, _ignored(state), corrections)


def _assumed_region(state: _Text, findings: Sequence[Finding], targets: bool, assumed: dict[str, Any]) -> str | None:
    """From the organs that were said: of findings that are there, else of any; never one by default."""
    present = [f.organ for f in findings if f.status == "present"]
    region = (
        asking.region_of(present) or asking.region_of([f.organ for f in findings]) or asking.region_of(state.organs)
    )
    why = "the organs that are named"
    if region is None and targets:
        region, why = "head_neck", "targets are drawn there"
    if region is not None:
        assumed["region"] = f"{region} ({why})"
    return region


def _targets_not_drawn(state: _Text, wrong: Sequence[str], any_drawn: bool) -> list[Finding]:
    if not wrong and state.bare_target and not any_drawn and not state.targets:
        doses = ", ".join(str(int(d)) for d in Dose)
        wrong = [f"a target without a dose: say which, {doses} Gy, for instance '70 Gy target'"]
    return [Finding("planning target volume", why_not=why, invalid=True) for why in wrong]


def _request(
    text: str,
    facts: dict[str, Any],
    of_findings: asking.Asked,
    targets: list[Any],
    findings: list[Finding],
    state: _Text,
) -> Any:
    """The request, or the line that refuses it."""
    known = {**facts, "region": facts["region"] if facts["region"] in list(Region) else None}
    if known["region"] is None and not findings and not targets and state.organs:
        home = asking.region_of([o for o in state.organs if o in list(Organ)])
        known["region"] = home if home in list(Region) else None
    requests, valid = of_findings.requests, of_findings.valid
    beyond = asking.outside(known["region"], valid)
    if beyond and len(beyond) < len(valid):
        requests = [r for r in requests if r not in beyond]
        for number, finding in enumerate(findings):
            if finding.drawn and any(b.organ == finding.organ for b in beyond):
                why = f"'{finding.organ}' is not in a CT of region '{known['region']}'"
                findings[number] = replace(finding, drawn=False, why_not=why)
    elif beyond:  # nothing that was asked for is in the region: a contradiction
        requests = valid
    absent = _absent(findings, requests, len(state.sentences) > 1 or state.excepted)
    try:
        return asking.case_request(text, known, requests, targets, absent)
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Value error, ")


def _absent(findings: Sequence[Finding], requests: Sequence[FindingRequest], several: bool) -> list[str]:
    """Names of what is ruled out; in a text of `several` statements without what another finds ("no other nodule")."""
    ruled_out = [f for f in findings if f.status == "absent" and f.kind != "abnormality"]
    names = list(dict.fromkeys(asking.absent_name(f) for f in ruled_out))
    if not several:
        return names
    there = {name for r in requests for name in (r.kind.value, f"{r.organ} {r.kind}")}
    return [name for name in names if name not in there]


def _ignored(state: _Text) -> tuple[tuple[int, int], ...]:
    """Stretches of content words that are in nothing that was read."""
    spans: list[tuple[int, int]] = []
    silent = function_words()
    for token in state.source.tokens:
        if not token.text[0].isalnum() or token.key in silent or any(state.used[token.start : token.end]):
            continue
        start, end = state.source.raw_span(token.start, token.end)
        if spans and not state.source.raw[spans[-1][1] : start].strip(" -"):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return tuple(spans)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."
