"""Request -> words: one canonical sentence, or many natural wordings to train on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from prompts import pieces
from prompts.phrases import load
from prompts.pieces import Chooser, with_article
from prompts.request import CaseRequest

_PARTIAL = 0.3  # share of wordings that say only a part of what is known
_STYLES = ("sentence", "report", "long", "keywords", "keywords", "short", "canonical")
_ADJECTIVES = ("non-contrast", "unenhanced", "contrast-enhanced")  # phases that can stand before the modality


def write(request: CaseRequest) -> str:
    """The canonical sentence: `parse(write(r))` equals `r` up to `prompt`."""
    return _sentence(request, _first, exact=True)


def wordings(request: CaseRequest, rng: random.Random, n: int) -> list[str]:
    """`n` wordings of one request, distinct as far as the request allows; about a third say only a part of it."""
    found: dict[str, None] = {}
    for _ in range(20 * n):
        if len(found) == n:
            return list(found)
        told = _partial(request, rng) if rng.random() < _PARTIAL else request
        found[_wording(told, rng)] = None
    texts = list(found)
    return texts + [rng.choice(texts) for _ in range(n - len(texts))]


def _first(options: Sequence[Any]) -> Any:
    return options[0]


def _wording(request: CaseRequest, rng: random.Random) -> str:
    style = rng.choice(_STYLES)
    if style == "keywords":
        text = _keywords(request, rng)
    elif style == "short":
        text = _short(request, rng)
    elif style == "canonical":
        text = _sentence(request, rng.choice, exact=False)
    else:
        text = _styled(request, style, rng)
    return text.lower() if rng.random() < 0.15 else text


def _sentence(request: CaseRequest, choose: Chooser, exact: bool) -> str:
    head = ", ".join(_head(request, choose))
    things = _things(request, choose, exact)
    body = f"{head}, with {_listed(things)}" if things else head
    return "; ".join([body, *(f"no {name}" for name in request.absent)])


def _head(request: CaseRequest, choose: Chooser) -> list[str]:
    who = pieces.person(request, choose)
    facts = [
        pieces.modality(request, choose),
        pieces.fact("phase", request.phase, choose),
        pieces.fact("extent", request.extent, choose),
        who,
        pieces.fact("habitus", request.habitus, choose),
    ]
    return [fact for fact in facts if fact]


def _things(request: CaseRequest, choose: Chooser, exact: bool) -> list[str]:
    found = [with_article(pieces.finding(f, choose)) for f in request.findings]
    return found + [with_article(pieces.target(t, choose, exact)) for t in request.targets]


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _styled(request: CaseRequest, style: str, rng: random.Random) -> str:
    """A sentence or small report built on one of the patterns of the table."""
    things = _things(request, rng.choice, exact=False)
    if not things:
        return _sentence(request, rng.choice, exact=False)
    first, *rest = _head(request, rng.choice)
    if request.phase and rest[0] in _ADJECTIVES and rng.random() < 0.3:
        first, rest = f"{rest[0]} {first}", rest[1:]
    rng.shuffle(rest)
    text = str(rng.choice(load("phrases.yaml")["styles"][style]))
    head = ", ".join([first, *rest])
    text = text.format(head=head, a_head=with_article(head), **{"with": _listed(things)})
    absent = " ".join(f"No {name}." for name in request.absent)
    return f"{text.rstrip('.')}. {absent}" if absent else text


def _keywords(request: CaseRequest, rng: random.Random) -> str:
    """All facts in any order, comma by comma or semicolon by semicolon."""
    facts = _head(request, rng.choice)
    facts += [pieces.finding(f, rng.choice) for f in request.findings]
    facts += [pieces.target(t, rng.choice, exact=False) for t in request.targets]
    facts += [f"no {name}" for name in request.absent]
    rng.shuffle(facts)
    return rng.choice((", ", "; ")).join(facts)


def _short(request: CaseRequest, rng: random.Random) -> str:
    """The scan and what is in it; doses of several targets in one breath, their sides and volumes left out."""
    parts = [pieces.modality(request, rng.choice)] if request.region else []
    if len(request.targets) > 1:
        doses = _listed([str(int(t.dose_gy)) for t in request.targets])
        parts.append(str(rng.choice(load("phrases.yaml")["doses"])).format(list=doses))
    else:
        parts += [pieces.target(t, rng.choice, exact=False) for t in request.targets]
    parts += [pieces.finding(f, rng.choice) for f in request.findings]
    return rng.choice((", ", " with ")).join(parts) if parts else _sentence(request, rng.choice, exact=False)


def _partial(request: CaseRequest, rng: random.Random) -> CaseRequest:
    """The same request with some facts left unsaid; at least one is kept."""
    update: dict[str, Any] = {}
    for field in ("region", "phase", "sex", "age", "habitus", "extent"):
        if rng.random() < (0.15 if field == "region" else 0.5):
            update[field] = None
    for field in ("findings", "targets", "absent"):
        update[field] = tuple(item for item in getattr(request, field) if rng.random() < 0.7)
    targets = update["targets"]
    if targets and rng.random() < 0.5:
        dropped = rng.choice(("side", "volume_ml"))
        update["targets"] = tuple(t.model_copy(update={dropped: None}) for t in targets)
    told = request.model_copy(update=update)
    return told if told != CaseRequest(prompt=request.prompt) else request
