"""What is to be segmented of a case: each structure, lesion or target with its mask, its codes and its measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.sr.coding import Code

from synth.dicom import codes
from synth.volumes import labels
from synth.volumes.types import Case, LabelMap


@dataclass(frozen=True)
class Marked:
    """One segment: `names` of the masks that make it up (several for a nested target), and what was measured on it.

    site: where a lesion is; None for a structure, which is its own place.
    """

    label: str
    names: tuple[str, ...]
    category: Code
    kind: Code
    side: Code | None
    site: Code | None
    facts: Mapping[str, Any]

    def mask(self, source: LabelMap) -> np.ndarray:
        """Boolean (X, Y, Z)."""
        return source.mask(*self.names)


def structures(case: Case, sentences: Sequence[Mapping[str, Any]]) -> list[Marked]:
    """Every organ that is there, in order of id."""
    facts = {s["id"]: s["facts"] for s in sentences}
    return [_structure(name, facts.get(name, {})) for name in case.organs.present()]


def findings(case: Case, sentences: Sequence[Mapping[str, Any]]) -> list[Marked]:
    """Every lesion and target of the report, with the masks that it was measured on, in the report's order."""
    present = set(case.lesions.present())
    told = [s for s in sentences if s["section"] == "findings" and s["masks"]]
    return [_finding(s) for s in told if set(s["masks"]) <= present]


def colour(name: str) -> tuple[int, int, int]:
    """Red, green, blue from labels.csv; red for what is not in it."""
    table = {s.name: s.colour for s in labels.structures()}
    text = table.get(name, "#ff0000").lstrip("#")
    return int(text[:2], 16), int(text[2:4], 16), int(text[4:], 16)


def _structure(name: str, facts: Mapping[str, Any]) -> Marked:
    category, kind = codes.structure_code(name) or (codes.ANATOMY, codes.private(name))
    return Marked(name, (name,), category, kind, codes.laterality(name), None, facts)


def _finding(sentence: Mapping[str, Any]) -> Marked:
    name, facts = sentence["id"], sentence["facts"]
    category, kind = codes.lesion_code(name)
    site = codes.site(facts.get("structure"), facts["organ"]) if "organ" in facts else None
    side = codes.laterality(facts.get("side"))
    return Marked(name, tuple(sentence["masks"]), category, kind, side, site, facts)
