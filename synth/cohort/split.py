"""Split by patient: no host stands in two parts, nor do two hosts with the same CT."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from synth.seeding import derive

_OFF = 0.05  # of all cases


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

    Families come by their number of cases, the largest first, and those of one number in an order drawn from the seed;
    each goes to the part that has the least of its share, so that shares are met about as closely as whole families
    allow and no part is left empty while there are families to go round.
    """
    whole, total = sum(numbers.values()), sum(shares.values())
    wanted = {part: whole * share / total for part, share in shares.items() if share > 0}
    given: Counter[str] = Counter()
    parts: dict[str, str] = {}
    for family in sorted(numbers, key=lambda name: (-numbers[name], derive(seed, "split", name))):
        part = min(wanted, key=lambda name: given[name] / wanted[name])
        parts[family] = part
        given[part] += numbers[family]
    return parts


def missed(numbers: Mapping[str, int], parts: Mapping[str, str], shares: Mapping[str, float]) -> str | None:
    """How far a split is off what was asked, and why; None where no part is empty or off by `_OFF` of all cases."""
    whole, total = sum(numbers.values()), sum(shares.values())
    made = Counter({part: 0 for part in shares})
    for family, part in parts.items():
        made[part] += numbers[family]
    near = all(abs(made[part] / max(whole, 1) - share / total) <= _OFF for part, share in shares.items())
    if near and all(made[part] or not share for part, share in shares.items()):
        return None
    told = ", ".join(f"{part} {made[part]} of {whole * share / total:.3g}" for part, share in shares.items())
    return (
        f"the split is {told} cases asked for: {len(numbers)} patients stay whole; give more patients or other shares"
    )


def _find(root: dict[str, str], patient: str) -> str:
    while root[patient] != patient:
        patient = root[patient]
    return patient
