"""What is told of a text: findings of their own, or words of one that was told ("the lesion", "it", an impression)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from prompts.drafts import FOCAL, Draft, finer
from prompts.findings import Told, findings_of
from prompts.lexicon import Term
from prompts.places import Place
from prompts.reading import SEVERAL, Finding
from prompts.sections import Sentence
from prompts.text import Text

_GENERIC = frozenset(("lesion", "lung opacity"))
_OF_A_WHOLE = frozenset(("bowel obstruction",))  # its length is a width of loops
_FAMILY = {"interstitial lung disease": "fibrosis"}  # a word for what the other is
_NAMES = ("tumour", "sarcoma", "metastasis", "adenoma", "hemangioma")  # what a mass turns out to be
_DEPTH = 6  # how many findings back "the lesion" may speak of
_SIZE_TOLERANCE = 0.06  # 17.6 mm is repeated as 18 mm


def exemplify(state: Text, items: Sequence[Term], drafts: Sequence[Draft], number: int) -> None:
    """ "Multiple nodules. For example a 10 mm nodule ..": the sentence before is told by its examples."""
    last = state.told[-1] if state.told else None
    opens = bool(items) and items[0].has("example") and "finding" not in items[0].means
    if not opens or last is None or last.draft.sentence != number - 1 or last.finding.size_mm:
        return
    first = drafts[0].kind
    if first is not None and first.name == last.finding.kind and last.finding.count == "several":
        state.told.pop()


def shared_with_others(state: Text, items: Sequence[Term], drafts: Sequence[Draft]) -> None:
    """ "two nodules, 5 mm in the right lung and the other ..": the first is one; a part alone is on its side."""
    for k, draft in enumerate(drafts):
        if "another" not in items[draft.head].means:
            continue
        before = drafts[k - 1] if k else None
        if before is not None and any(t.means["count"] == "2" for t in before.counts):
            before.counts, before.plural = [], False
        last = state.told[-1].finding if state.told and before is None else None
        if last is not None and last.side and draft.places and not any(p.side or p.own_organ for p in draft.places):
            draft.places = [replace(p, side=last.side, organ=p.organ or last.organ) for p in draft.places]


def in_the_same(state: Text, items: Sequence[Term], drafts: Sequence[Draft]) -> None:
    """ "two satellite nodules in the same lobe": where the last finding is; "on the same side": on its side."""
    at = next((k for k, i in enumerate(items) if i.text[-4:].lower() == "same"), len(items) - 1)
    if at + 1 == len(items):
        return
    said, word = items[at + 1].means, items[at + 1].text.lower()
    last = next((t.finding for t in reversed(state.told) if t.finding.status == "present" and t.finding.side), None)
    if last is None or not ({"noun", "organ", "segment"} & set(said) or word.startswith("side")):
        return
    for draft in drafts:
        if draft.status == "present" and not any(p.side or p.part for p in draft.places):
            part = last.part if "noun" in said or "segment" in said else None
            organ = last.organ if part or not draft.places else draft.places[0].organ
            draft.places = [Place(draft.head, draft.head, organ=organ, side=last.side, part=part)]


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
        earlier = _spoken_of(state.told, found[0].finding.kind)
        if earlier is not None and _agree(earlier.finding, found[0].finding) and _one_device(earlier.draft, draft):
            merged(earlier, found[0])
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


def _spoken_of(told: Sequence[Told], kind: str) -> Told | None:
    """The finding that "the lesion" speaks of: the last one that may be called so."""
    for earlier in list(reversed(told))[:_DEPTH]:
        finding = earlier.finding
        if finding.status != "present":
            continue
        if finding.kind == kind or (kind in _GENERIC and finding.kind in FOCAL) or {finding.kind, kind} <= FOCAL:
            return earlier
    return None


def within_sentence(told: list[Told], number: int) -> None:
    """ "reticulation, honeycombing": what names one kind in one place twice in the last sentence is told once."""
    first = len(told)
    while first and told[first - 1].draft.sentence == number:
        first -= 1
    seen: dict[object, Told] = {}
    for one in told[first:]:
        f = one.finding
        if (bare := _measured_again(told[first:], one)) is not None:
            merged(bare, one)
            told[:] = [t for t in told if t is not one]
            continue
        again = seen.setdefault(
            (_FAMILY.get(f.kind, f.kind), f.organ, f.side, f.part, f.status, f.attributes.get("device")), one
        )
        before = told[first : next(k for k, t in enumerate(told) if t is one)]
        fewer = [t for t in before if _says_less(t.finding, f) and not _two_of_a_sort(t.draft, one.draft)]
        again = fewer[0] if again is one and fewer else again
        again_in_place = (
            again is not one
            and not _two_of_a_sort(again.draft, one.draft)
            and not (one.draft.kind and one.draft.kind.device and f.attributes.get("device") != "surgical material")
        )
        measured = (f.size_mm or again.finding.size_mm) if f.kind not in _OF_A_WHOLE else None
        if again_in_place and f.kind not in FOCAL and not measured:
            merged(again, one)
            told[:] = [t for t in told if t is not one]


def _says_less(a: Finding, b: Finding) -> bool:
    """ "A compression fracture causing height loss is seen in L1": one is told without a place."""
    alike = _FAMILY.get(a.kind, a.kind) == _FAMILY.get(b.kind, b.kind) and a.status == b.status
    if not alike or not _fits(a.organ, b.organ):
        return False
    return not (a.side or a.part) or not (b.side or b.part)


def _two_of_a_sort(a: Draft, b: Draft) -> bool:
    """ "an umbilical hernia and inguinal hernias": one noun, each with a word of its own."""
    one, other = a.text.lower().split(), b.text.lower().split()
    if len(one) != 2 or len(other) != 2 or one[0] == other[0]:
        return False
    return one[1].rstrip("s") == other[1].rstrip("s") == "hernia"


def _measured_again(told: Sequence[Told], one: Told) -> Told | None:
    """ "Pancreatic cancer with liver mets, mets up to 2 cm": the earlier one of the kind, which has no length yet."""
    f = one.finding
    owned = any(p.own_organ or p.side for p in one.draft.places) or one.draft.counts
    if f.kind not in ("tumour", "metastasis") or not f.size_mm or owned or f.status != "present":
        return None
    for earlier in told:
        e = earlier.finding
        if earlier is one:
            return None
        if e.kind == f.kind and e.status == "present" and not e.size_mm and not e.part and _fits(e.organ, f.organ):
            return earlier
    return None


def without_repeats(told: Sequence[Told]) -> list[Told]:
    """What an impression repeats is put together with what it repeats; what it adds is kept."""
    kept: list[Told] = []
    answered: set[int] = set()
    for one in told:
        if (due := _due_to(kept, one)) is not None:
            due.become(attributes={"cause": one.finding.kind, **due.finding.attributes})
            continue
        earlier = _repeated(kept, one, answered)
        if earlier is None:
            kept.append(one)
        else:
            if one.finding.size_mm is not None:
                answered.add(id(earlier))
            for other in _all_named(kept, earlier, one):
                other.become(kind=one.finding.kind)
            merged(earlier, one)
    return kept


def _due_to(kept: Sequence[Told], one: Told) -> Told | None:
    """The finding that a diagnosis explains: consolidation, and in the impression "right-sided pneumonia".

    Or in the next sentence: "The appearance is consistent with pneumonia."
    """
    kind, new = one.draft.kind, one.finding
    if kind is None or not kind.cause or new.status not in ("present", "possible"):
        return None
    alike = [k for k in kept if k.finding.status == "present" and k.finding.organ == new.organ]
    alike = [k for k in alike if _sides(k.finding.side, new.side)]
    if one.draft.section == "impression":
        return next((k for k in alike if k.draft.section != "impression"), None)
    before = [k for k in alike if k.draft.sentence in (one.draft.sentence - 1, one.draft.sentence - 2)]
    return before[-1] if before and one.draft.explains and not (new.side or new.part) else None


def _repeated(kept: Sequence[Told], one: Told, answered: set[int]) -> Told | None:
    """The finding that one in the impression repeats; each is repeated by one alone, but for a summary."""
    if one.draft.section != "impression":
        return None
    there = [k for k in kept if k.draft.section != "impression" or k.finding == one.finding]
    alike = [k for k in there if _alike(k.finding, one.finding)]
    if one.finding.size_mm is None:  # a summary speaks of all that are alike
        named = [k for k in alike if k.finding.kind == one.finding.kind]
        longest = max(alike, key=lambda k: max(k.finding.size_mm or (0.0,)), default=None)
        return named[0] if named else longest
    fresh = [k for k in alike if id(k) not in answered]
    exact = [k for k in fresh if _same_size(k.finding, one.finding) is True]
    return next(iter(exact or fresh), None)


def _all_named(kept: Sequence[Told], earlier: Told, one: Told) -> list[Told]:
    """ "lesions of 22 and 15 mm ... two lesions, likely metastases": all that a plural gives a name to."""
    new = one.finding
    if new.count in (None, 1) or new.size_mm is not None or finer("nodule", new.kind) != new.kind:
        return []
    kinds = ("lesion", "nodule", "mass")
    return [k for k in kept if k is not earlier and k.finding.kind in kinds and earlier.finding.kind in kinds
            and k.draft.section != "impression" and _alike(k.finding, new)]  # fmt: skip


def _alike(a: Finding, b: Finding) -> bool:
    """Whether `b` may speak of `a`."""
    if a.status != b.status or _same_size(a, b) is False:
        return False
    kinds = a.kind == b.kind or b.kind in _GENERIC or (a.kind in _GENERIC and b.kind in FOCAL) or _renamed(a, b)
    if (a.kind, b.kind) == ("collection", "abscess"):
        return kinds
    return kinds and _fits(a.organ, b.organ) and _sides(a.side, b.side) and _fits(a.part, b.part)


def _renamed(a: Finding, b: Finding) -> bool:
    """ "3 cm mass in segment 5 ... HCC in segment 5": a lesion in the same place under the name of what it is."""
    if (a.kind, b.kind) == ("collection", "abscess"):
        return _fits(a.organ, b.organ) or b.organ is None
    if a.organ != b.organ or b.size_mm is not None or not {a.kind, b.kind} <= FOCAL or finer(a.kind, b.kind) != b.kind:
        return False
    cystic = a.kind == "cyst" and b.kind == "tumour" and "mass" in a.text.lower()  # "complex cystic mass"
    vague = (
        (cystic or a.kind in ("nodule", "mass"))
        and b.kind in _NAMES
        and _sides(a.side, b.side)
        and _fits(a.part, b.part)
    )
    return vague or bool(a.side == b.side and a.part == b.part and (a.side or a.part))


def _fits(a: str | None, b: str | None) -> bool:
    return a == b or a is None or b is None


def _sides(a: str | None, b: str | None) -> bool:
    return _fits(a, b) or "bilateral" in (a, b)


def _same_size(a: Finding, b: Finding) -> bool | None:
    """None where one of them has none."""
    if not a.size_mm or not b.size_mm:
        return None
    longest = max(a.size_mm), max(b.size_mm)
    return abs(longest[0] - longest[1]) <= _SIZE_TOLERANCE * max(longest)


def merged(a: Told, b: Told) -> None:
    """What `b` says of `a` is told of it: "A mass is seen. The lesion measures 3 cm."; a number beats "several"."""
    old, new = a.finding, b.finding
    numbered = old.count == SEVERAL and isinstance(new.count, int) and bool(b.draft.counts)
    pus = (old.kind, new.kind) == ("collection", "abscess")
    a.become(
        kind=new.kind if old.kind in (*_GENERIC, *_FAMILY) or pus else finer(old.kind, new.kind),
        organ=old.organ or new.organ,
        side=old.side or new.side,
        part=old.part or new.part,
        size_mm=old.size_mm or new.size_mm,
        size=old.size or new.size,
        count=new.count if numbered else old.count,
        attributes={**new.attributes, **old.attributes},
    )
