"""Ids of the label tables that users mistake for ours: id -> our name, for the structures that both have."""

from __future__ import annotations

from collections.abc import Iterable

_ABDOMEN = ("spleen", "kidney_right", "kidney_left", "gallbladder")
_ADRENALS = ("adrenal_gland_right", "adrenal_gland_left")
_VESSELS = ("aorta", "inferior_vena_cava", "portal_vein_and_splenic_vein")
_LOBES = ("upper_lobe_left", "lower_lobe_left", "upper_lobe_right", "middle_lobe_right", "lower_lobe_right")
_SPINE = [f"{part}{i}" for part, last in (("L", 5), ("T", 12), ("C", 7)) for i in range(last, 0, -1)]


def _both(names: Iterable[str]) -> list[str]:
    return [f"{name}_{side}" for name in names for side in ("left", "right")]


# None: a structure of that table that ours lacks.
_TOTALSEGMENTATOR_V1: tuple[str | None, ...] = (
    *_ABDOMEN,
    *("liver", "stomach", *_VESSELS, "pancreas", *_ADRENALS),
    *(f"lung_{lobe}" for lobe in _LOBES),
    *(f"vertebrae_{name}" for name in _SPINE),
    *("esophagus", "trachea", "heart", None, None, None, None, None, "brain"),
    *_both(("iliac_artery", "iliac_vena")),
    *("small_bowel", "duodenum", "colon"),
    *(f"rib_{side}_{i}" for side in ("left", "right") for i in range(1, 13)),
    *_both(("humerus", "scapula", "clavicula", "femur", "hip")),
    *("sacrum", None),
    *_both(("gluteus_maximus", "gluteus_medius", "gluteus_minimus", "autochthon", "iliopsoas")),
    "urinary_bladder",
)
_AMOS = (
    *_ABDOMEN,
    *("esophagus", "liver", "stomach", *_VESSELS[:2], "pancreas", *_ADRENALS),
    *("duodenum", "urinary_bladder", "prostate"),
)
_BTCV = (*_ABDOMEN, "esophagus", "liver", "stomach", *_VESSELS, "pancreas", *_ADRENALS)

OTHER_TABLES = {
    name: {number: structure for number, structure in enumerate(table, start=1) if structure is not None}
    for name, table in (
        ("TotalSegmentator v1", _TOTALSEGMENTATOR_V1),
        ("AMOS", _AMOS),
        ("BTCV", _BTCV),
        ("LiTS", ("liver", "lung_nodule")),
    )
}
