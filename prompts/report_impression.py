"""The conclusion of a report: each finding once, the most important first."""

from __future__ import annotations

from collections.abc import Sequence

from prompts.report import CaseFacts, LesionFacts, TargetFacts, impression_of, shown_ml, side_phrase
from prompts.vocabulary import FindingKind

NOTHING = "No lesion or other finding is labelled in this volume."
_ORDER: Sequence[str] = (
    *(
        "pneumothorax",
        "pulmonary embolism",
        "dissection",
        "aneurysm",
        "tumour",
        "mass",
        "sarcoma",
        "metastasis",
        "consolidation",
        "nodule",
    ),
    *("lesion", "lymph node", "crazy paving", "ground-glass opacity", "effusion", "pericardial effusion", "ascites"),
    *("fracture", "atelectasis", "hydronephrosis", "dilated duct", "fibrosis", "interlobular septal thickening"),
    *(
        "emphysema",
        "cardiomegaly",
        "splenomegaly",
        "steatosis",
        "mosaic attenuation",
        "bronchiectasis",
        "peribronchial thickening",
    ),
    *("adenoma", "haemangioma", "stone", "cyst", "fibrotic sequela", "coronary calcification"),
    *("arterial wall calcification", "hiatal hernia", "chest tube", "central line", "port", "pacemaker"),
)
"""Urgent, malignant until shown otherwise, acute, chronic, harmless, put there."""


def impression(facts: CaseFacts) -> tuple[str, ...]:
    """A line a finding, numbered; one line without a number where there is none."""
    lesions = sorted(facts.lesions, key=lambda f: (_rank(f), -f.long_axis_mm, f.id))
    lines = [impression_of(f) for f in lesions]
    lines += [_target_line(f) for f in sorted(facts.targets, key=lambda f: -f.dose_gy)]
    return tuple(f"{number}. {line}" for number, line in enumerate(lines, start=1)) or (NOTHING,)


def _rank(facts: LesionFacts) -> int:
    """Its place in the order; a kind that is in none comes after masses."""
    kind = facts.kind if facts.kind in _ORDER else facts.kind.split()[-1]
    return _ORDER.index(kind) if kind in _ORDER else _ORDER.index(FindingKind.LESION)


def _target_line(facts: TargetFacts) -> str:
    side = f" {side_phrase(facts.side)}" if facts.side else ""
    return f"{facts.dose_gy} Gy planning target volume{side}, {shown_ml(facts.volume_ml)} mL."
