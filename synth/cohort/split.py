"""Split by patient: no host stands in two parts, nor do two hosts with the same CT."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from synth.seeding import derive


def families(cases: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """Patient -> family, for cases of (patient, content of the host's CT): patients that share a CT are one family."""
    root: dict[str, str] = {}
    owner: dict[str, str] = {}
    for patient, content in cases:
        root.setdefault(patient, patient)
        if content is not None:
            one, other = _find(root, patient), _find(root, owner.setdefault(content, patient))
            root[max(one, other)] = min(one, other)
    return {patient: _find(root, patient) for patient in root}


def split(numbers: Mapping[str, int], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """Family -> part, given each family's number of cases.

    Families come in an order drawn from the seed; each goes to the part that has the least of its share, so that
    shares are met as closely as whole families allow and no part is left empty while there are families to go round.
    """
    whole, total = sum(numbers.values()), sum(shares.values())
    wanted = {part: whole * share / total for part, share in shares.items() if share > 0}
    given: Counter[str] = Counter()
    parts: dict[str, str] = {}
    for family in sorted(numbers, key=lambda name: derive(seed, "split", name)):
        part = min(wanted, key=lambda name: given[name] / wanted[name])
        parts[family] = part
        given[part] += numbers[family]
    return parts


def _find(root: dict[str, str], patient: str) -> str:
    while root[patient] != patient:
        patient = root[patient]
    return patient
