"""Every report that is written reads back to the same findings: kind, organ, side, part, size, count; and negatives."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from prompts import Finding, read
from prompts.report import shown_ml, shown_mm
from prompts.report_normals import NORMAL_KINDS
from prompts.vocabulary import (
    EXTENT_KINDS,
    KIND_ORGANS,
    SEGMENTS,
    SIDED_ORGANS,
    FindingKind,
    Organ,
    Side,
    structures_of,
)
from synth.lesions.lesion_types import LesionType, lesion_types
from synth.report import write
from synth.report.lesions import _kind, _organ
from synth.report.measurements import (
    Attributes,
    ExtentMeasurements,
    LesionMeasurement,
    Measurements,
    OrganMeasurement,
    RuledOut,
    TargetMeasurement,
    VolumeMeasurement,
)
from synth.report.write import Style

VOLUME = VolumeMeasurement(spacing_mm=(0.7, 0.7, 1.25), extent_mm=(360.0, 360.0, 300.0), region="torso")
ORGANS = (OrganMeasurement(id=5, name="liver", voxels=9, volume_ml=1500.0, mean_hu=60.0, sd_hu=12.0, median_hu=60.0),)
_CONTACTS = (
    "rib_right_3",
    "aorta",
    "liver",
    "stomach",
    "vertebrae_T8",
    "lung_middle_lobe_right",
    "kidney_left",
    "colon",
)
_PARTS = {
    structure: segment.value
    for organ in (Organ.BONE, Organ.MUSCLE)
    for segment in SEGMENTS[organ]
    for structure in structures_of(organ, None, segment)
    if segment.value != "rib" and "spine" not in segment
}
"""Bones and muscles -> the part that words call them."""
Told = tuple[str | None, str | None, str | None, str, int | str | None]


def lesion(kind: LesionType, number: int, rng: random.Random) -> LesionMeasurement:
    """One measured lesion of a type, anywhere where it may be, with any appearance."""
    organ = rng.choice(kind.organs)
    structure = rng.choice(structures_of(organ))
    words = structure.split("_")
    side = next((Side(w) for w in words if w in ("left", "right")), None)
    segment = words[1] if "lobe" in words else None
    if organ is Organ.LIVER and rng.random() < 0.5:
        segment = rng.choice("12345678")
    if organ is Organ.KIDNEY and rng.random() < 0.5:
        segment = rng.choice(("upper", "interpolar", "lower"))
    long = rng.choice((rng.uniform(3, 9.9), rng.uniform(10, 180)))
    name = f"{kind.name}_{number}"
    return LesionMeasurement(
        id=number, name=name, kind=_kind(name), structure=structure, organ=_organ(structure), side=side,
        segment=segment, voxels=9, centre_mm=(0.0, 0.0, 0.0), volume_ml=long**3 / 2000, long_axis_mm=long,
        short_axis_mm=0.7 * long,
        long_axis_3d_mm=long, sphericity=0.8, mean_hu=rng.uniform(-700, 300), sd_hu=12.0, mask_mean_hu=30.0,
        organ_mean_hu=rng.choice((None, -850.0, 60.0)), contrast_hu=rng.choice((None, -40.0, 0.2, 35.0)), margin_mm=2.0,
        margin=rng.choice((None, "well-defined", "ill-defined")), outside=0.0, invasion="no close relationship",
        contacts=tuple(rng.sample(_CONTACTS, rng.randint(0, 4))), pleura_mm=rng.choice((None, 0.0, 3.2)),
        vessel_contact_deg=rng.choice(({}, {"aorta": 220.0})), attributes=_attributes(rng),
    )  # fmt: skip


def _attributes(rng: random.Random) -> Attributes:
    flag = (None, True, False)
    return Attributes(
        core_hu=30.0, density=rng.choice(("hypodense", "isodense", "hyperdense")), heterogeneity_hu=9.0,
        heterogeneity=rng.choice((None, "homogeneous", "heterogeneous")), outline=0.1, strands=1.0,
        texture=rng.choice((None, "solid", "part-solid", "ground-glass")),
        shape=rng.choice(("round-like", "irregular", "wall thickening", "punctate/nodular")),
        lobulated=rng.choice(flag), spiculated=rng.choice(flag), necrotic=rng.choice(flag), calcified=rng.choice(flag),
        rim=rng.choice(flag),
    )  # fmt: skip


FIGURES = {
    "low_share": 0.01, "cardiothoracic_ratio": 0.44, "width_mm": 31.0, "liver_hu": 60.0, "spleen_hu": 48.0,
    "length_mm": 101.0, "spleen_ml": 180.0, "right_mm": 104.0, "left_mm": 108.0, "right_ml": 28.0, "left_ml": 26.0,
}  # fmt: skip
READ_AS = {
    "cardiomegaly": "cardiomegaly heart", "aneurysm": "aneurysm aorta", "effusion": "effusion pleura",
    "asymmetry": "abnormality parotid", "kidney length": "abnormality kidney", "steatosis": "steatosis",
    "coronary calcification": "coronary calcification", "arterial wall calcification": "arterial wall calcification",
}  # fmt: skip


_IN_PART = {Organ.LUNG: {"lung_lower_lobe_right": 140.0}, Organ.BONE: {"rib_right_6": 1.2}}


def negative(kind: str) -> RuledOut:
    return RuledOut(kind=kind, masks=("liver",), figures=FIGURES)


def written(lesions: list[LesionMeasurement], negatives: Sequence[str] = (), style: Style = "structured") -> str:
    out = tuple(negative(kind) for kind in negatives)
    measured = Measurements(volume=VOLUME, organs=ORGANS, lesions=tuple(lesions), targets=(), ruled_out=out)
    return write(measured, style=style).text()


def expected(kind: LesionType, lesion: LesionMeasurement) -> Told:
    """What the words of a lesion's sentence say; of fluid its volume, of all else its long axis."""
    fluid = kind.name in ("pleural_effusion", "ascites")
    side = None if kind.name == "ascites" else lesion.side
    said = None if side is None else str(side)
    if lesion.segment and lesion.segment.isdigit():
        said = None  # "in segment 6 of the liver"
    size = f"{shown_ml(lesion.volume_ml)} mL" if fluid else shown_mm(lesion.long_axis_mm)
    return (said, None if fluid else lesion.segment or _PARTS.get(lesion.structure or ""), kind.name, size, 1)


def told(finding: Finding, kinds: dict[str, LesionType]) -> Told:
    """The same of a finding that was read; its type by kind and organ."""
    organ = {"adrenal": "adrenal gland"}.get(finding.organ or "", finding.organ)
    kind = {"hemangioma": "haemangioma"}.get(finding.kind, finding.kind)
    names = [n for n, t in kinds.items() if organ in map(str, t.organs) and kind in map(str, t.kinds)]
    size = shown_mm(max(finding.size_mm)) if finding.size_mm else ""
    if (volume := finding.attributes.get("volume_ml")) is not None:
        size = f"{shown_ml(volume)} mL"
    return finding.side, finding.part, names[0] if names else f"{kind} {organ}", size, finding.count


@pytest.mark.parametrize("style", ["structured", "narrative"])
def test_every_lesion_of_every_type_reads_back(style: Style) -> None:
    rng = random.Random(0)
    kinds = lesion_types()
    wrong = []
    for number in range(22 * len(kinds)):
        kind = list(kinds.values())[number % len(kinds)]
        one = lesion(kind, 1, rng)
        text = written([one], style=style)
        found = [told(f, kinds) for f in read(text).findings if f.status == "present"]
        if found != [expected(kind, one)]:
            wrong.append((found, expected(kind, one), text))
    assert not wrong, f"{len(wrong)} of {22 * len(kinds)}: {wrong[:2]}"


@pytest.mark.parametrize("style", ["structured", "narrative"])
def test_a_report_of_several_lesions_reads_back_beside_what_is_normal(style: Style) -> None:
    rng = random.Random(1)
    kinds = lesion_types()
    for _ in range(40):
        chosen = [rng.choice(list(kinds.values())) for _ in range(rng.randint(2, 5))]
        lesions = [lesion(kind, number, rng) for number, kind in enumerate(chosen, start=1)]
        there = {one.kind.split()[-1] for one in lesions}
        negatives = [kind for kind in NORMAL_KINDS if kind not in there and rng.random() < 0.5]
        text = written(lesions, negatives, style)
        found = sorted(str(told(f, kinds)) for f in read(text).findings if f.status == "present")
        assert found == sorted(str(expected(k, one)) for k, one in zip(chosen, lesions, strict=True)), text


@pytest.mark.parametrize("style", ["structured", "narrative"])
@pytest.mark.parametrize("kind", NORMAL_KINDS)
def test_what_is_ruled_out_is_read_as_absent(kind: str, style: Style) -> None:
    """Alone, and so that a report of nothing but negatives has no finding."""
    findings = read(written([], [kind], style)).findings
    assert not [f for f in findings if f.status != "absent"]
    said = [f"{f.kind} {f.organ}" for f in findings if f.status == "absent"]
    assert any(one.startswith(READ_AS.get(kind, kind)) for one in said), said


@pytest.mark.parametrize("style", ["structured", "narrative"])
def test_all_negatives_together_are_absent_and_no_finding_is_present(style: Style) -> None:
    findings = read(written([], NORMAL_KINDS, style)).findings
    assert len(findings) >= len(NORMAL_KINDS) and {f.status for f in findings} == {"absent"}
    assert {f.status for f in read(written([], (), style)).findings} == {"absent"}


def test_a_negative_that_loses_its_no_is_read_as_present() -> None:
    """The planted mistake that the tests above must see."""
    text = written([], ["effusion", "pneumothorax"]).replace("No pneumothorax", "Pneumothorax")
    assert [f.kind for f in read(text).findings if f.status == "present"] == ["pneumothorax"]


PARTS = {f"lung_{lobe}_lobe_{side}": 700.0 for side in ("right", "left") for lobe in ("upper", "lower")}


@pytest.mark.parametrize("style", ["structured", "narrative"])
@pytest.mark.parametrize("kind", sorted(EXTENT_KINDS))
def test_an_extent_reads_back_in_a_whole_report(kind: FindingKind, style: Style) -> None:
    base = lesion(lesion_types()["lung_nodule"], 1, random.Random(0))
    figures = FIGURES | {"heart_ml": 600.0, "deposits": 4.0, "volume_mm3": 220.0, "peak_hu": 900.0}
    organ = KIND_ORGANS[kind][0]
    extent = ExtentMeasurements(
        median_hu=-600.0, affected_ml=_IN_PART.get(organ, {}),
        part_ml=PARTS, figures=figures,
    )  # fmt: skip
    one = base.model_copy(update={"kind": kind.value, "organ": organ.value, "side": "right", "extent": extent})
    negatives = [name for name in NORMAL_KINDS if name != kind.value]
    present = [f for f in read(written([one], negatives, style)).findings if f.status == "present"]
    (found,) = present
    (request,) = read(written([one], negatives, style)).request.findings
    assert found.drawn and (request.kind, request.organ, request.count) == (kind, organ, 1)
    assert request.side == ("right" if organ in SIDED_ORGANS and organ is not Organ.LIVER else None)


@pytest.mark.parametrize("style", ["structured", "narrative"])
def test_targets_read_back_beside_what_is_normal(style: Style) -> None:
    targets = tuple(
        TargetMeasurement(dose_gy=dose, masks=("m",), voxels=9, volume_ml=ml, side="left", long_axis_mm=70.0)
        for dose, ml in ((70, 120.0), (56, 310.0))
    )
    measured = Measurements(
        volume=VOLUME.model_copy(update={"region": "head_neck", "enhanced": False}), organs=ORGANS, lesions=(),
        targets=targets, ruled_out=(negative("asymmetry"),),
    )  # fmt: skip
    reading = read(write(measured, style=style).text())
    assert [(t.dose_gy, t.side, t.volume_ml) for t in reading.request.targets] == [(70, "left", 120), (56, "left", 310)]
    assert reading.request.phase == "non_contrast" and reading.region == "head_neck"
    assert not [f for f in reading.findings if f.status == "present" and f.kind != "planning target volume"], (
        reading.findings
    )
