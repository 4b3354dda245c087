"""The organ systems that findings are told under, in the order in which a report goes through the body."""

from __future__ import annotations

from prompts.vocabulary import FindingKind

TARGETS = "Treatment planning"
SYSTEMS = (
    *("Neck", "Lungs", "Pleura", "Mediastinum", "Heart and vessels", "Liver", "Gallbladder", "Pancreas", "Spleen"),
    *("Adrenal glands", "Kidneys", "Bladder", "Stomach", "Bowel", "Peritoneum", "Retroperitoneum", "Bones"),
    *("Soft tissues", "Devices", TARGETS),
)
_CHEST_LAST, _ABDOMEN_LAST = SYSTEMS.index("Heart and vessels"), SYSTEMS.index("Retroperitoneum")

_OF_KIND: dict[str, str] = {
    "asymmetry": "Neck",
    "kidney length": "Kidneys",
    FindingKind.EFFUSION: "Pleura",
    FindingKind.PNEUMOTHORAX: "Pleura",
    FindingKind.ASCITES: "Peritoneum",
    FindingKind.PERICARDIAL_EFFUSION: "Heart and vessels",
    FindingKind.CORONARY_CALCIFICATION: "Heart and vessels",
    FindingKind.ARTERIAL_CALCIFICATION: "Heart and vessels",
    FindingKind.CARDIOMEGALY: "Heart and vessels",
    FindingKind.ANEURYSM: "Heart and vessels",
    FindingKind.HIATAL_HERNIA: "Stomach",
    FindingKind.STEATOSIS: "Liver",
    FindingKind.SPLENOMEGALY: "Spleen",
    FindingKind.STONE: "Kidneys",
    FindingKind.EMPHYSEMA: "Lungs",
    FindingKind.CONSOLIDATION: "Lungs",
    FindingKind.PACEMAKER: "Devices",
    FindingKind.CENTRAL_LINE: "Devices",
    FindingKind.PORT: "Devices",
    FindingKind.CHEST_TUBE: "Devices",
}
_OF_ORGAN = {
    **dict.fromkeys(("lung", "trachea"), "Lungs"),
    "pleura": "Pleura",
    **dict.fromkeys(("mediastinum", "mediastinal", "esophagus", "thymus"), "Mediastinum"),
    **dict.fromkeys(
        ("heart", "pericardium", "aorta", "inferior", "superior", "portal", "pulmonary"), "Heart and vessels"
    ),
    **dict.fromkeys(
        ("iliac", "brachiocephalic", "subclavian", "common", "atrial", "celiac", "hepatic", "renal"),
        "Heart and vessels",
    ),
    **dict.fromkeys(("thyroid", "parotid", "larynx", "brainstem"), "Neck"),
    **{name: name.capitalize() for name in ("liver", "gallbladder", "pancreas", "spleen", "peritoneum")},
    **{"adrenal": "Adrenal glands", "kidney": "Kidneys"},
    **dict.fromkeys(("urinary", "bladder"), "Bladder"),
    "stomach": "Stomach",
    **dict.fromkeys(("duodenum", "small", "colon", "colorectum"), "Bowel"),
    **dict.fromkeys(("retroperitoneum", "retroperitoneal"), "Retroperitoneum"),
    **dict.fromkeys(("vertebrae", "rib", "sacrum", "sternum", "hip", "femur", "humerus", "scapula"), "Bones"),
    **dict.fromkeys(("clavicula", "skull", "mandible", "costal", "bone"), "Bones"),
}


def system_of(kind: str, organ: str | None = None) -> str:
    """The heading of a finding: its kind decides where there is no choice, else the first word of its organ's name."""
    named = _OF_KIND.get(kind) or _OF_KIND.get(kind.split()[-1])
    if organ is None or (named and (kind != FindingKind.STONE or organ == "kidney")):
        return named or "Soft tissues"
    return _OF_ORGAN.get(organ.partition(" ")[0], "Soft tissues")


def paragraph_of(system: str) -> int:
    """Which paragraph of a narrative speaks of a system: chest and neck, abdomen, all else."""
    place = SYSTEMS.index(system)
    return 0 if place <= _CHEST_LAST else 1 if place <= _ABDOMEN_LAST else 2
