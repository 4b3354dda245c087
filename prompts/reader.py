"""Words -> reading. Rules and tables only: the same text is always the same reading.

The steps: one alphabet; slips of the pen; numbers and terms; sentences; in each sentence scopes, places, heads and the
words that belong to them; findings, one a place; repetitions put together; and what of it can be drawn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from prompts import asking, headless, languages, lengths, lexicon, merging, numbers, scan, sections, spelling, tables
from prompts.ambiguous import resolved
from prompts.asking import ANYWHERE, Door
from prompts.binding import bind, take_pending
from prompts.boundaries import boundaries
from prompts.drafts import drafts_of, of_others
from prompts.errors import PromptError
from prompts.lexicon import Term, function_words
from prompts.places import places
from prompts.reading import Finding, Reading, Status
from prompts.request import FindingRequest
from prompts.scopes import scopes
from prompts.sections import Sentence
from prompts.sentence import as_attributes, items_of, named_again
from prompts.source import Source, normalised
from prompts.text import Text
from prompts.vocabulary import ORGAN_WORDS, Dose, Organ, Region

MAX_CHARACTERS = 200_000
EXAMPLES = "'head and neck CT with a 70 Gy target on the left' or '18 mm nodule in the right upper lobe'"
_SILENT = ("technique", "comparison", "recommendation", "measured organs")
_READ = frozenset(("number", "label", "stage", "degrees", "spacing", "ct"))
_EXCEPT = re.compile(r"except|apart|other than|aside|but|with the exception|only", re.I)
_STATUS: dict[str, Status] = {"history": "past", "indication": "possible"}  # of what a section says is present


def read(text: str, door: Door = ANYWHERE) -> Reading:
    """The reading of a text, whatever of it can be drawn.

    Raises PromptError (one line: the words and the remedy) for an empty text, one in another language, one in which
    nothing is understood, and contradictions about the scan.
    """
    source, corrections = _prepared(text)
    terms = lexicon.terms(source, numbers.terms(source))
    state = Text(source, used=bytearray(len(source.text) + 1))
    state.used[:] = b"\1" * len(state.used)  # headings are read
    state.sentences = sections.sentences(source, terms)
    for sentence in state.sentences:
        start, end = source.tokens[sentence.first].start, source.tokens[sentence.last - 1].end
        state.used[start:end] = bytes(end - start)
    for number, sentence in enumerate(state.sentences):
        items = resolved(items_of(source, terms, sentence), headless.organ_of(sentence.organ))
        items = named_again(items, [t.draft.kind for t in state.told if t.draft.kind and t.finding.status == "present"])
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


def _sentence(state: Text, items: Sequence[Term], sentence: Sentence, number: int) -> None:
    """Read one sentence into the state."""
    section = sentence.section
    taken = scan.of_sentence(items, section, number, len(state.source.text), state.scan)
    state.use(items, taken)
    state.use(items, [i for i, item in enumerate(items) if "context" in item.means or not _READ.isdisjoint(item.means)])
    if section in _SILENT:
        state.use(
            items,
            [i for i, item in enumerate(items) if "unknown" not in item.means and "ordinary" not in item.means],
        )
        state.understood = True
        return
    if (columns := tables.columns_of(items)) is not None:
        state.columns = columns
        state.use(items, range(len(items)))
        return
    items = tables.in_columns(items, state.columns)
    spread = scopes(items)
    where = places(items, spread, taken)
    drafts = drafts_of(items, spread, taken)
    others = of_others(items, spread) or any(i.has("stop") and _EXCEPT.match(i.text) for i in items)
    state.excepted = state.excepted or others
    state.bare_target = state.bare_target or any("target" in i.means for i in items)
    own = [] if section == "target" else lengths.of_organs(items, spread, where, drafts)
    calibres = lengths.widths(items, drafts)
    where = [place for place in where if not any(place in draft.places for draft in own)]
    taken = taken.union(*(draft.used for draft in own))
    if not drafts and (where or not own):
        headless.read(state, items, spread, where, sentence, taken, number)
    if drafts:
        edges = boundaries(items, drafts, where)
        normal = bind(items, spread, drafts, where, taken, edges, calibres)
        if state.pending and not state.told:
            take_pending(state, drafts[0])
        if normal:
            headless.normal(state, items, normal, number, sentence)
        merging.exemplify(state, items, drafts, number)
        merging.shared_with_others(state, items, drafts)
        merging.in_the_same(state, items, drafts)
    for draft in (*drafts, *own):
        draft.sentence, draft.section = number, section
        if any(term.means["count"] == "0" for term in draft.counts):
            draft.status = "absent"
        draft.status = _STATUS.get(section, "present") if draft.status == "present" else draft.status
        if not draft.summary:
            merging.add(state, draft, items, sentence)
    merging.within_sentence(state.told, number)
    for draft in (*drafts, *own):
        state.use(items, draft.used)


def _reading(text: str, state: Text, door: Door, corrections: dict[str, str]) -> Reading:
    """Put the request together from what was told."""
    facts = scan.facts(state.scan)
    if state.scan.modality is not None and not state.scan.has_ct:
        raise PromptError(f"'{state.scan.modality.text}' cannot be drawn: only CT can")
    told = merging.without_repeats(state.told)
    if state.scan.is_loose:
        places = [asking.place_of(t.finding) for t in told if t.finding.status == "present"]
        home = asking.region_of([place for place in places if place != Organ.AORTA])  # which either shows
        facts["region"] = scan.wide(facts["region"], home)
    of_findings = asking.asked(told, facts["region"], door)
    findings, assumed = of_findings.findings, of_findings.assumed
    targets, wrong = asking.targets_of(state.targets)
    region = facts["region"]
    if region is None:
        region = _assumed_region(state, findings, bool(targets), assumed)
    if facts["phase"] is None and door.draws_case and (kind := asking.shows_with_contrast(of_findings.requests)):
        assumed["phase"] = f"enhanced (without contrast there is no {kind} to see)"
    assumed |= {f"'{word}'": f"did you mean '{guess}'?" for word, guess in corrections.items()}
    findings += _targets_not_drawn(state, wrong, bool(targets))
    request = _request(text, facts, of_findings, targets, findings, state)
    if isinstance(request, str):
        raise PromptError(request)
    return Reading(text, request, tuple(findings), region, assumed, _ignored(state), corrections)


def _assumed_region(state: Text, findings: Sequence[Finding], targets: bool, assumed: dict[str, Any]) -> str | None:
    """From the organs that were said: of findings that are there, else of any; never one by default."""
    present = [asking.place_of(f) for f in findings if f.status == "present"]
    region = (
        asking.region_of(present)
        or asking.region_of([asking.place_of(f) for f in findings])
        or asking.region_of(state.organs)
    )
    why = "the organs that are named"
    if region is None and targets:
        region, why = "head_neck", "targets are drawn there"
    if region is not None:
        assumed["region"] = f"{region} ({why})"
    return region


def _targets_not_drawn(state: Text, wrong: Sequence[str], any_drawn: bool) -> list[Finding]:
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
    state: Text,
) -> Any:
    """The request, or the line that refuses it."""
    known = {**facts, "region": facts["region"] if facts["region"] in list(Region) else None}
    if known["region"] is None and not findings and not targets and state.organs:
        home = asking.region_of([o for o in state.organs if o in ORGAN_WORDS])
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


def _ignored(state: Text) -> tuple[tuple[int, int], ...]:
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
