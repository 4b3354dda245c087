"""From the values that a case was given to fill its quotas with, to the request that asks for them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from prompts import CaseRequest, FindingRequest
from prompts.vocabulary import Side
from synth.cohort.hosts import HostFiles
from synth.cohort.quotas import bounds
from synth.cohort.recipe import UNSAID
from synth.errors import InputError


def findings_of(organ: str, kind: str, asked: Mapping[str, str], rng: random.Random) -> tuple[FindingRequest, ...]:
    """The findings that fill the quotas: where several are to have sizes of a range, each has its own.

    Raises InputError where their parts cannot go together.
    """
    first = finding_of(organ, kind, asked, rng)
    size = asked.get("size_mm", UNSAID)
    several = first.count is not None and first.count > 1 and first.side is not Side.BILATERAL
    if not several or size == UNSAID or len(set(bounds(size, "size_mm"))) == 1:
        return (first,)
    one = {**asked, "count": "1"}
    others = (finding_of(organ, kind, one, rng) for _ in range(1, first.count or 1))
    return (first.model_copy(update={"count": 1}), *others)


def finding_of(organ: str, kind: str, asked: Mapping[str, str], rng: random.Random) -> FindingRequest:
    """The finding that fills the quotas; raises InputError where its parts cannot go together."""
    values: dict[str, Any] = {}
    for name, value in asked.items():
        if value == UNSAID:
            values[name] = None
        elif name == "size_mm":
            low, high = bounds(value, "size_mm")
            values[name] = min(max(round(low * (high / low) ** rng.random(), 1), low), high)
        elif name == "count":
            values[name] = int(value)
        else:
            values[name] = value
    try:
        return FindingRequest(organ=organ, kind=kind, **values)
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"findings: {organ} {kind}: {said}; change the table") from error


def of_patient(request: CaseRequest, asked: Mapping[str, str], rng: random.Random) -> CaseRequest:
    """The request with phase, sex and age as the quotas have it."""
    update: dict[str, Any] = {}
    for name in ("phase", "sex", "age"):
        if name not in asked:
            continue
        if asked[name] == UNSAID:
            update[name] = None
        elif name == "age":
            low, high = bounds(asked[name], "patients.age")
            update[name] = rng.randint(int(low), int(high))
        else:
            update[name] = asked[name]
    if not update:
        return request
    try:
        return CaseRequest.model_validate(request.model_dump() | update)
    except ValidationError as error:
        raise InputError(f"patients: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error


def matches(host: HostFiles, asked: Mapping[str, str]) -> bool:
    for name, value in asked.items():
        known = getattr(host, name)
        if value == UNSAID:
            continue
        if name == "age":
            low, high = bounds(value, "patients.age")
            if known is None or not low <= known <= high:
                return False
        elif known != value:
            return False
    return True
