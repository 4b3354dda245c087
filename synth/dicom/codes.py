"""Names of structures and lesions as SNOMED CT codes. Those of structures stand in labels.csv."""

from __future__ import annotations

import re
from functools import cache

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from prompts.vocabulary import EXTENT_KINDS
from synth.volumes import labels

PRIVATE = "99SYNTHCT"  # coding scheme of what no standard code says
LEFT, RIGHT = Code("7771000", "SCT", "Left"), Code("24028007", "SCT", "Right")
ANATOMY, ABNORMAL = codes.cid7150.AnatomicalStructure, codes.cid7150.MorphologicallyAbnormalStructure
CONCEPT = codes.cid7150.SpatialAndRelationalConcept

_LESION = Code("52988006", "SCT", "Lesion")
_TUMOUR, _SECONDARY = Code("108369006", "SCT", "Tumor"), Code("14799000", "SCT", "Neoplasm, Secondary")
_NODULE, _CYST = Code("27925004", "SCT", "Nodule"), Code("367643001", "SCT", "Cyst")
_STONE = Code("56381008", "SCT", "Calculus")
_TARGET = Code("228793007", "SCT", "Planning target volume")

# Last word or words of a lesion type (synth/lesions/types.yaml) -> what it is.
_LESION_CODES = {
    "nodule": _NODULE,
    "tumour": _TUMOUR,
    "metastasis": _SECONDARY,
    "cyst": _CYST,
    "stone": _STONE,
    "gallstone": _STONE,
    "sarcoma": Code("1187396000", "SCT", "Sarcoma"),
    "lymph_node": Code("30746006", "SCT", "Lymphadenopathy"),
    "pleural_effusion": Code("60046008", "SCT", "Pleural effusion"),
    "ascites": Code("389026000", "SCT", "Ascites"),
    "haemangioma": Code("400210000", "SCT", "Hemangioma"),
    "consolidation": Code("95436008", "SCT", "Lung consolidation"),
    "emphysema": Code("87433001", "SCT", "Pulmonary emphysema"),
    "fibrosis": Code("51615001", "SCT", "Fibrosis of lung"),
    "atelectasis": Code("46621007", "SCT", "Atelectasis"),
    "bronchiectasis": Code("12295008", "SCT", "Bronchiectasis"),
    "pneumothorax": Code("36118008", "SCT", "Pneumothorax"),
    "pericardial_effusion": Code("373945007", "SCT", "Pericardial effusion"),
    "cardiomegaly": Code("8186001", "SCT", "Cardiomegaly"),
    "splenomegaly": Code("16294009", "SCT", "Splenomegaly"),
    "hydronephrosis": Code("43064006", "SCT", "Hydronephrosis"),
    "hiatal_hernia": Code("84089009", "SCT", "Hiatal hernia"),
    "steatosis": Code("197321007", "SCT", "Steatosis of liver"),
    "adenoma": Code("443416007", "SCT", "Adenoma"),
}

_PRIVATE_KINDS = {kind.replace("-", " ") for kind in EXTENT_KINDS}  # those without a code that was looked up

# Organs of findings (prompts.vocabulary.Organ) that are no one structure of labels.csv.
_ORGAN_CODES = {
    "lung": Code("39607008", "SCT", "Lung structure"),
    "kidney": Code("64033007", "SCT", "Kidney structure"),
    "colorectum": Code("71854001", "SCT", "Colon structure"),
    "bladder": Code("89837001", "SCT", "Urinary bladder structure"),
    "bone": Code("272673000", "SCT", "Bone structure"),
    "muscle": Code("127954009", "SCT", "Skeletal muscle structure"),
    "mediastinum": Code("72410000", "SCT", "Mediastinum"),
    "retroperitoneum": Code("82849001", "SCT", "Retroperitoneum"),
    "pleura": Code("3120008", "SCT", "Pleural structure"),
    "adrenal gland": Code("23451007", "SCT", "Adrenal structure"),
    "thyroid": Code("69748006", "SCT", "Thyroid structure"),
    "pericardium": Code("76848001", "SCT", "Pericardial structure"),
    "peritoneum": Code("15425007", "SCT", "Peritoneum (serous membrane) structure"),
}


def lesion_code(name: str) -> tuple[Code, Code]:
    """Category and type of a lesion or target by its name or type: `lung_nodule_2`, `planning_target_70gy`."""
    if name.startswith("planning_target"):
        return CONCEPT, _TARGET
    words = re.sub(r"_\d+$", "", name)
    fitting = [code for ending, code in _LESION_CODES.items() if words.endswith(ending)]
    if fitting:
        return ABNORMAL, fitting[0]
    kind = words.replace("_", " ")
    return ABNORMAL, private(kind) if kind in _PRIVATE_KINDS else _LESION


def structure_code(name: str) -> tuple[Code, Code] | None:
    """Category and type of a structure of labels.csv, None where it has no code there."""
    number = _snomed().get(name)
    if number is None:
        return None
    official = {code.value: code for code in (_NODULE, _CYST)}.get(number)
    category = ABNORMAL if official else ANATOMY
    return category, official or Code(number, "SCT", _meaning(name))


def site(structure: str | None, organ: str) -> Code:
    """Where a lesion is: the structure that holds it, else the organ of the finding."""
    for name in (structure, organ):
        known = structure_code(name) if name else None
        if known and known[0] == ANATOMY:
            return known[1]
    return _ORGAN_CODES.get(organ) or private(organ)


def laterality(name: str | None) -> Code | None:
    """Left or right, where a name says so."""
    words = (name or "").split("_")
    return LEFT if "left" in words else RIGHT if "right" in words else None


def private(meaning: str, value: str | None = None) -> Code:
    """A code of our own; its value is that of the meaning unless given, cut to the 16 characters of a Code Value."""
    return Code(value or re.sub(r"\W+", "_", meaning).upper()[:16], PRIVATE, meaning)


@cache
def _snomed() -> dict[str, str]:
    return {s.name: s.snomed for s in labels.structures() if s.snomed}


def _meaning(name: str) -> str:
    """`kidney_left` -> `Kidney`: side is a modifier of its own."""
    words = [word for word in name.split("_") if word not in ("left", "right")]
    return " ".join(words).capitalize()
