"""The closed sets that a request is made of. Values are stable: they stand in plan.json and report.json.

Lesion attributes use PASTA-Gen's vocabulary (shape, density, heterogeneity, surface, invasion);
structure names follow TotalSegmentator v2.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Region(StrEnum):
    """What the field of view covers."""

    HEAD_NECK = "head_neck"
    CHEST = "chest"
    ABDOMEN = "abdomen"
    PELVIS = "pelvis"
    CHEST_ABDOMEN = "chest_abdomen"
    ABDOMEN_PELVIS = "abdomen_pelvis"
    TORSO = "torso"  # chest, abdomen and pelvis


class Phase(StrEnum):
    """Contrast phase; ENHANCED is contrast whose phase was not said."""

    NON_CONTRAST = "non_contrast"
    ARTERIAL = "arterial"
    PORTAL_VENOUS = "portal_venous"
    DELAYED = "delayed"
    ENHANCED = "enhanced"


class Sex(StrEnum):
    FEMALE = "female"
    MALE = "male"


class Side(StrEnum):
    LEFT = "left"
    RIGHT = "right"
    BILATERAL = "bilateral"
    MIDLINE = "midline"


class Habitus(StrEnum):
    SLIM = "slim"
    AVERAGE = "average"
    LARGE = "large"


class Extent(StrEnum):
    """How much of the head and neck is in the field of view; landmarks in EXTENT_LANDMARKS."""

    COMPLETE = "complete"
    NECK = "neck"
    LOWER = "lower"
    TARGET = "target"


EXTENT_LANDMARKS: dict[Extent, str] = {
    Extent.COMPLETE: "skull base to shoulders",
    Extent.NECK: "skull base to lower neck, without the shoulders",
    Extent.LOWER: "mandible to shoulders, without the skull base",
    Extent.TARGET: "the target region only",
}


class Organ(StrEnum):
    """Organs and spaces that a finding can be in: PASTA-Gen's list, then what it lacks."""

    LUNG = "lung"
    LIVER = "liver"
    KIDNEY = "kidney"
    GALLBLADDER = "gallbladder"
    PANCREAS = "pancreas"
    ESOPHAGUS = "esophagus"
    STOMACH = "stomach"
    COLORECTUM = "colorectum"
    BLADDER = "bladder"
    BONE = "bone"
    MUSCLE = "muscle"
    MEDIASTINUM = "mediastinum"
    RETROPERITONEUM = "retroperitoneum"
    PLEURA = "pleura"
    PERITONEUM = "peritoneum"
    SPLEEN = "spleen"
    ADRENAL = "adrenal gland"
    THYROID = "thyroid"
    HEART = "heart"
    PERICARDIUM = "pericardium"
    AORTA = "aorta"
    PULMONARY_ARTERY = "pulmonary artery"


NOT_A_MASS = frozenset({Organ.HEART, Organ.PERICARDIUM, Organ.AORTA, Organ.PULMONARY_ARTERY})
"""Organs that have findings, and no bodies such as a nodule or a mass among them."""
INSERTABLE_ORGANS: tuple[Organ, ...] = tuple(o for o in Organ if o not in NOT_A_MASS)

_CHEST = (
    *(Organ.LUNG, Organ.ESOPHAGUS, Organ.BONE, Organ.MUSCLE, Organ.MEDIASTINUM, Organ.PLEURA, Organ.THYROID),
    *(Organ.HEART, Organ.PERICARDIUM, Organ.AORTA, Organ.PULMONARY_ARTERY),
)
_ABDOMEN = (
    *(Organ.LIVER, Organ.KIDNEY, Organ.GALLBLADDER, Organ.PANCREAS, Organ.STOMACH, Organ.COLORECTUM, Organ.BONE),
    *(Organ.MUSCLE, Organ.RETROPERITONEUM, Organ.PERITONEUM, Organ.SPLEEN, Organ.ADRENAL, Organ.AORTA),
)
_PELVIS = (Organ.BLADDER, Organ.COLORECTUM, Organ.BONE, Organ.MUSCLE)

REGION_ORGANS: dict[Region, tuple[Organ, ...]] = {
    Region.HEAD_NECK: (
        Organ.LUNG,
        Organ.ESOPHAGUS,
        Organ.BONE,
        Organ.MUSCLE,
        Organ.THYROID,
    ),  # lung tops are in a neck CT
    Region.CHEST: tuple(dict.fromkeys(_CHEST + _ABDOMEN)),  # a chest CT reaches the upper abdomen
    Region.ABDOMEN: (*_ABDOMEN, Organ.LUNG, Organ.PLEURA),  # and an abdominal CT the lung bases
    Region.PELVIS: _PELVIS,
    Region.CHEST_ABDOMEN: tuple(dict.fromkeys(_CHEST + _ABDOMEN)),
    Region.ABDOMEN_PELVIS: tuple(dict.fromkeys((*_ABDOMEN, *_PELVIS, Organ.LUNG, Organ.PLEURA))),
    Region.TORSO: tuple(Organ),
}

HOME_REGION: dict[Organ, Region] = {
    **dict.fromkeys(Organ, Region.ABDOMEN),
    Organ.LUNG: Region.CHEST,
    Organ.ESOPHAGUS: Region.CHEST,
    Organ.BLADDER: Region.PELVIS,
    Organ.MEDIASTINUM: Region.CHEST,
    Organ.PLEURA: Region.CHEST,
    Organ.THYROID: Region.CHEST,
    Organ.HEART: Region.CHEST,
    Organ.PERICARDIUM: Region.CHEST,
    Organ.AORTA: Region.CHEST,
    Organ.PULMONARY_ARTERY: Region.CHEST,
}
"""The region to draw when a finding's organ was said and no region."""


class FindingKind(StrEnum):
    """LESION is a finding whose kind was not said."""

    NODULE = "nodule"
    MASS = "mass"
    TUMOUR = "tumour"
    CYST = "cyst"
    METASTASIS = "metastasis"
    STONE = "stone"
    LESION = "lesion"
    SARCOMA = "sarcoma"
    LYMPH_NODE = "lymph node"
    EFFUSION = "effusion"
    ASCITES = "ascites"
    HAEMANGIOMA = "haemangioma"
    ADENOMA = "adenoma"
    GROUND_GLASS_OPACITY = "ground-glass opacity"
    CRAZY_PAVING = "crazy paving"
    CONSOLIDATION = "consolidation"
    EMPHYSEMA = "emphysema"
    MOSAIC_ATTENUATION = "mosaic attenuation"
    SEPTAL_THICKENING = "interlobular septal thickening"
    FIBROSIS = "fibrosis"
    FIBROTIC_SEQUELA = "fibrotic sequela"
    ATELECTASIS = "atelectasis"
    BRONCHIECTASIS = "bronchiectasis"
    PERIBRONCHIAL_THICKENING = "peribronchial thickening"
    PNEUMOTHORAX = "pneumothorax"
    CARDIOMEGALY = "cardiomegaly"
    PERICARDIAL_EFFUSION = "pericardial effusion"
    CORONARY_CALCIFICATION = "coronary calcification"
    ARTERIAL_CALCIFICATION = "arterial wall calcification"
    ANEURYSM = "aneurysm"
    HIATAL_HERNIA = "hiatal hernia"
    STEATOSIS = "steatosis"
    SPLENOMEGALY = "splenomegaly"
    HYDRONEPHROSIS = "hydronephrosis"
    DILATED_DUCT = "dilated duct"
    PACEMAKER = "pacemaker"
    CENTRAL_LINE = "central line"
    PORT = "port"
    CHEST_TUBE = "chest tube"
    DISSECTION = "dissection"
    FRACTURE = "fracture"
    PULMONARY_EMBOLISM = "pulmonary embolism"


KIND_ORGANS: dict[FindingKind, tuple[Organ, ...]] = {
    FindingKind.SARCOMA: (Organ.MUSCLE,),
    FindingKind.LYMPH_NODE: (Organ.MEDIASTINUM, Organ.RETROPERITONEUM),
    FindingKind.EFFUSION: (Organ.PLEURA,),
    FindingKind.ASCITES: (Organ.PERITONEUM,),
    FindingKind.HAEMANGIOMA: (Organ.LIVER,),
    FindingKind.ADENOMA: (Organ.ADRENAL,),
    FindingKind.GROUND_GLASS_OPACITY: (Organ.LUNG,),
    FindingKind.CRAZY_PAVING: (Organ.LUNG,),
    FindingKind.CONSOLIDATION: (Organ.LUNG,),
    FindingKind.EMPHYSEMA: (Organ.LUNG,),
    FindingKind.MOSAIC_ATTENUATION: (Organ.LUNG,),
    FindingKind.SEPTAL_THICKENING: (Organ.LUNG,),
    FindingKind.FIBROSIS: (Organ.LUNG,),
    FindingKind.FIBROTIC_SEQUELA: (Organ.LUNG,),
    FindingKind.ATELECTASIS: (Organ.LUNG,),
    FindingKind.BRONCHIECTASIS: (Organ.LUNG,),
    FindingKind.PERIBRONCHIAL_THICKENING: (Organ.LUNG,),
    FindingKind.PNEUMOTHORAX: (Organ.PLEURA,),
    FindingKind.CARDIOMEGALY: (Organ.HEART,),
    FindingKind.PERICARDIAL_EFFUSION: (Organ.PERICARDIUM,),
    FindingKind.CORONARY_CALCIFICATION: (Organ.HEART,),
    FindingKind.ARTERIAL_CALCIFICATION: (Organ.AORTA,),
    FindingKind.ANEURYSM: (Organ.AORTA,),
    FindingKind.HIATAL_HERNIA: (Organ.STOMACH,),
    FindingKind.STEATOSIS: (Organ.LIVER,),
    FindingKind.SPLENOMEGALY: (Organ.SPLEEN,),
    FindingKind.HYDRONEPHROSIS: (Organ.KIDNEY,),
    FindingKind.DILATED_DUCT: (Organ.PANCREAS,),
    FindingKind.PACEMAKER: (Organ.HEART,),
    FindingKind.CENTRAL_LINE: (Organ.HEART,),
    FindingKind.PORT: (Organ.HEART,),
    FindingKind.CHEST_TUBE: (Organ.PLEURA,),
    FindingKind.DISSECTION: (Organ.AORTA,),
    FindingKind.FRACTURE: (Organ.BONE,),
    FindingKind.PULMONARY_EMBOLISM: (Organ.PULMONARY_ARTERY,),
}
"""Where the kinds that exist in few places are; the others may be anywhere. Lines and leads end in the heart."""

KIND_WORDS: frozenset[str] = frozenset(FindingKind)
ORGAN_WORDS: frozenset[str] = frozenset(Organ)
"""For the question whether a word is one: members of an enum are found one by one."""
EXTENT_KINDS = frozenset(list(FindingKind)[list(FindingKind).index(FindingKind.GROUND_GLASS_OPACITY) :])
"""Kinds that are told by how much of an organ they take, or by a figure of their own, and not by two diameters."""


class Pattern(StrEnum):
    """How a diffuse finding is spread, or which form it takes; PATTERNS says which kinds have which."""

    PATCHY = "patchy"
    DIFFUSE = "diffuse"
    PERIPHERAL = "peripheral"
    CENTRILOBULAR = "centrilobular"
    PARASEPTAL = "paraseptal"
    BULLOUS = "bullous"
    LOBAR = "lobar"
    PLATE_LIKE = "plate-like"


_SPREAD = (Pattern.PATCHY, Pattern.DIFFUSE, Pattern.PERIPHERAL)
PATTERNS: dict[FindingKind, tuple[Pattern, ...]] = {
    FindingKind.GROUND_GLASS_OPACITY: _SPREAD,
    FindingKind.CRAZY_PAVING: _SPREAD,
    FindingKind.CONSOLIDATION: (Pattern.LOBAR, Pattern.PATCHY, Pattern.PERIPHERAL),
    FindingKind.EMPHYSEMA: (Pattern.CENTRILOBULAR, Pattern.PARASEPTAL, Pattern.BULLOUS),
    FindingKind.ATELECTASIS: (Pattern.PLATE_LIKE, Pattern.LOBAR),
}


class Severity(StrEnum):
    """How much of it there is; what that means for a kind stands in its entry of the table."""

    MILD = "mild"
    MODERATE = "moderate"
    SEVERE = "severe"


class Segment(StrEnum):
    """Part of an organ: lobe, pole, Couinaud segment, bone, muscle, station; which organ has which: SEGMENTS."""

    UPPER = "upper"
    MIDDLE = "middle"
    INTERPOLAR = "interpolar"
    LOWER = "lower"
    S1 = "1"
    S2 = "2"
    S3 = "3"
    S4 = "4"
    S5 = "5"
    S6 = "6"
    S7 = "7"
    S8 = "8"
    STERNUM, SACRUM, HIP, FEMUR = "sternum", "sacrum", "hip", "femur"
    HUMERUS, SCAPULA, CLAVICLE = "humerus", "scapula", "clavicle"
    SPINE, CERVICAL, THORACIC, LUMBAR = "spine", "cervical spine", "thoracic spine", "lumbar spine"
    C1, C2, C3, C4, C5, C6, C7 = "C1", "C2", "C3", "C4", "C5", "C6", "C7"
    T1, T2, T3, T4, T5, T6 = "T1", "T2", "T3", "T4", "T5", "T6"
    T7, T8, T9, T10, T11, T12 = "T7", "T8", "T9", "T10", "T11", "T12"
    L1, L2, L3, L4, L5 = "L1", "L2", "L3", "L4", "L5"
    VERTEBRA_S1 = "S1"
    RIB, R1, R2, R3, R4, R5, R6 = "rib", "rib 1", "rib 2", "rib 3", "rib 4", "rib 5", "rib 6"
    R7, R8, R9, R10, R11, R12 = "rib 7", "rib 8", "rib 9", "rib 10", "rib 11", "rib 12"
    N1R, N1L, N2R, N2L = "station 1R", "station 1L", "station 2R", "station 2L"
    N3A, N3P, N4R, N4L, N5, N6 = "station 3A", "station 3P", "station 4R", "station 4L", "station 5", "station 6"
    N7, N8, N9R, N9L = "station 7", "station 8", "station 9R", "station 9L"
    N10R, N10L = "station 10R", "station 10L"
    PSOAS, GLUTEUS, PARASPINAL = "psoas", "gluteus", "paraspinal"


def _numbered(name: str, label: str, count: int) -> dict[Segment, tuple[str, ...]]:
    return {Segment(name.format(i)): (label.format(i),) for i in range(1, count + 1)}


_CERVICAL = _numbered("C{}", "vertebrae_C{}", 7)
_THORACIC = _numbered("T{}", "vertebrae_T{}", 12)
_LUMBAR = _numbered("L{}", "vertebrae_L{}", 5)
_RIBS = _numbered("rib {}", "rib_SIDE_{}", 12)


def _all_of(parts: dict[Segment, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(name for names in parts.values() for name in names)


_MIDLINE_BONES: dict[Segment, tuple[str, ...]] = {
    **_CERVICAL,
    **_THORACIC,
    **_LUMBAR,
    Segment.VERTEBRA_S1: ("vertebrae_S1",),
    Segment.SACRUM: ("sacrum",),
    Segment.STERNUM: ("sternum",),
}
_GROUPS: dict[Segment, tuple[str, ...]] = {
    Segment.SPINE: (*_all_of(_CERVICAL), *_all_of(_THORACIC), *_all_of(_LUMBAR), "vertebrae_S1"),
    Segment.CERVICAL: _all_of(_CERVICAL),
    Segment.THORACIC: _all_of(_THORACIC),
    Segment.LUMBAR: _all_of(_LUMBAR),
    Segment.RIB: _all_of(_RIBS),
}
_PAIRED_BONES: dict[Segment, tuple[str, ...]] = {
    Segment.HIP: ("hip_SIDE",),
    Segment.FEMUR: ("femur_SIDE",),
    Segment.HUMERUS: ("humerus_SIDE",),
    Segment.SCAPULA: ("scapula_SIDE",),
    Segment.CLAVICLE: ("clavicula_SIDE",),
    **_RIBS,
}
_MUSCLES: dict[Segment, tuple[str, ...]] = {
    Segment.PARASPINAL: ("autochthon_SIDE",),
    Segment.PSOAS: ("iliopsoas_SIDE",),
    Segment.GLUTEUS: ("gluteus_maximus_SIDE", "gluteus_medius_SIDE", "gluteus_minimus_SIDE"),
}
SEGMENTS: dict[Organ, tuple[Segment, ...]] = {
    Organ.LUNG: (Segment.UPPER, Segment.MIDDLE, Segment.LOWER),
    Organ.PULMONARY_ARTERY: (Segment.UPPER, Segment.MIDDLE, Segment.LOWER),
    Organ.KIDNEY: (Segment.UPPER, Segment.INTERPOLAR, Segment.LOWER),
    Organ.LIVER: tuple(s for s in Segment if s.value.isdigit()),
    Organ.BONE: (*_MIDLINE_BONES, *_GROUPS, *_PAIRED_BONES),
    Organ.MUSCLE: tuple(_MUSCLES),
    Organ.MEDIASTINUM: tuple(s for s in Segment if s.value.startswith("station")),
}

BONE_REGION: dict[Segment, Region] = {
    **dict.fromkeys((Segment.CERVICAL, *_CERVICAL), Region.HEAD_NECK),
    **dict.fromkeys((Segment.THORACIC, *_THORACIC, Segment.RIB, *_RIBS), Region.CHEST),
    **dict.fromkeys((Segment.STERNUM, Segment.SCAPULA, Segment.CLAVICLE, Segment.HUMERUS), Region.CHEST),
    **dict.fromkeys((Segment.LUMBAR, *_LUMBAR, Segment.SPINE), Region.ABDOMEN),
    **dict.fromkeys((Segment.VERTEBRA_S1, Segment.SACRUM, Segment.HIP, Segment.FEMUR), Region.PELVIS),
}
"""The region to draw when a bone was named and no region."""
LIVER_SIDES: dict[Segment, Side] = {
    **dict.fromkeys((Segment.S2, Segment.S3, Segment.S4), Side.LEFT),
    **dict.fromkeys((Segment.S5, Segment.S6, Segment.S7, Segment.S8), Side.RIGHT),
}
"""Hemiliver of a Couinaud segment; the caudate (1) belongs to neither."""

SIDED_ORGANS: tuple[Organ, ...] = (
    *(Organ.LUNG, Organ.KIDNEY, Organ.LIVER, Organ.BONE, Organ.MUSCLE, Organ.PLEURA, Organ.ADRENAL),
    Organ.PULMONARY_ARTERY,
)


class Shape(StrEnum):
    ROUND = "round-like"
    IRREGULAR = "irregular"
    WALL_THICKENING = "wall thickening"
    PUNCTATE = "punctate/nodular"


class Density(StrEnum):
    HYPODENSE = "hypodense"
    ISODENSE = "isodense"
    HYPERDENSE = "hyperdense"


class Heterogeneity(StrEnum):
    HOMOGENEOUS = "homogeneous"
    HETEROGENEOUS = "heterogeneous"


class Surface(StrEnum):
    """Margin of a lesion."""

    WELL_DEFINED = "well-defined"
    ILL_DEFINED = "ill-defined"


class Invasion(StrEnum):
    """Relation to adjacent structures."""

    NONE = "no close relationship"
    CLOSE = "close relationship"


class Texture(StrEnum):
    """Attenuation class of a lung nodule."""

    SOLID = "solid"
    PART_SOLID = "part-solid"
    GROUND_GLASS = "ground-glass"


class Dose(IntEnum):
    """Prescribed dose of a planning target volume, Gy (OpenKBP's three levels)."""

    GY56 = 56
    GY63 = 63
    GY70 = 70


_SINGLE: dict[Organ, tuple[str, ...]] = {
    Organ.COLORECTUM: ("colon",),
    Organ.BLADDER: ("urinary_bladder",),
    Organ.PERITONEUM: ("liver", "spleen"),
    Organ.MEDIASTINUM: ("mediastinal_fat",),
    Organ.RETROPERITONEUM: ("retroperitoneal_fat",),
    Organ.THYROID: ("thyroid_gland",),
    Organ.PERICARDIUM: ("heart",),
}


def structures_of(organ: Organ, side: Side | None = None, segment: Segment | None = None) -> tuple[str, ...]:
    """TotalSegmentator names in which a finding so described can lie, e.g. ("lung_upper_lobe_right",).

    Kidney poles and Couinaud segments are parts of one structure, so they do not narrow the answer. The fat of
    mediastinum and retroperitoneum is no label of TotalSegmentator; `synth.lesions.spaces` derives it. Ascites lies
    about liver and spleen.
    """
    sides = (Side.RIGHT, Side.LEFT) if side in (None, Side.BILATERAL) else (side,)
    if organ in (Organ.LUNG, Organ.PLEURA, Organ.PULMONARY_ARTERY):  # arteries by the lobe that they lie in
        lobes = (segment,) if segment else SEGMENTS[Organ.LUNG]
        return tuple(
            f"lung_{lobe}_lobe_{s}" for s in sides for lobe in lobes if (lobe, s) != (Segment.MIDDLE, Side.LEFT)
        )
    if organ is Organ.BONE and segment:
        return _paired(({**_MIDLINE_BONES, **_GROUPS, **_PAIRED_BONES})[segment], sides)
    if organ is Organ.BONE:
        middle = _all_of(_MIDLINE_BONES) if side in (None, Side.MIDLINE) else ()
        return (*middle, *_paired(_all_of(_PAIRED_BONES), sides))
    if organ is Organ.MUSCLE:
        return _paired(_MUSCLES[segment] if segment else _all_of(_MUSCLES), sides)
    if organ in (Organ.KIDNEY, Organ.ADRENAL):
        return tuple(f"{organ.value.replace(' ', '_')}_{s}" for s in sides)
    return _SINGLE.get(organ, (organ.value,))


def is_paired(segment: Segment) -> bool:
    """Whether there is a left and a right one of a bone or muscle."""
    return segment is Segment.RIB or segment in _PAIRED_BONES or segment in _MUSCLES


def _paired(names: tuple[str, ...], sides: tuple[Side, ...]) -> tuple[str, ...]:
    """Names with the sides in the place of SIDE; names without one once."""
    there = [s for s in sides if s in (Side.LEFT, Side.RIGHT)]
    named = [name.replace("SIDE", s) for s in there or ("",) for name in names if there or "SIDE" not in name]
    return tuple(dict.fromkeys(named))
