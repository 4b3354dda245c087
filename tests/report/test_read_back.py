"""Every report that is written reads back to the same findings: kind, organ, side, part, size, count."""

from __future__ import annotations

import random

from prompts import Finding, read
from prompts.report import shown_mm
from prompts.vocabulary import Organ, Side, structures_of
from synth.lesions.lesion_types import LesionType, lesion_types
from synth.report import write
from synth.report.lesions import _kind, _organ
from synth.report.measurements import Attributes, LesionMeasurement, Measurements, OrganMeasurement, VolumeMeasurement

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


def written(lesions: list[LesionMeasurement]) -> str:
    return write(Measurements(volume=VOLUME, organs=ORGANS, lesions=tuple(lesions), targets=())).text()


def expected(kind: LesionType, lesion: LesionMeasurement) -> Told:
    """What the words of a lesion's sentence say."""
    fluid = kind.name in ("pleural_effusion", "ascites")
    side = None if kind.name == "ascites" else lesion.side
    said = None if side is None or (fluid and kind.name == "ascites") else str(side)
    if lesion.segment and lesion.segment.isdigit():
        said = None  # "in segment 6 of the liver"
    return (said, None if fluid else lesion.segment, kind.name, shown_mm(lesion.long_axis_mm), 1)


def told(finding: Finding, kinds: dict[str, LesionType]) -> Told:
    """The same of a finding that was read; its type by kind and organ."""
    organ = {"adrenal": "adrenal gland"}.get(finding.organ or "", finding.organ)
    kind = {"hemangioma": "haemangioma"}.get(finding.kind, finding.kind)
    names = [n for n, t in kinds.items() if organ in map(str, t.organs) and kind in map(str, t.kinds)]
    size = shown_mm(max(finding.size_mm)) if finding.size_mm else ""
    return finding.side, finding.part, names[0] if names else f"{kind} {organ}", size, finding.count


def test_every_lesion_of_every_type_reads_back() -> None:
    rng = random.Random(0)
    kinds = lesion_types()
    wrong = []
    for number in range(6 * len(kinds)):
        kind = list(kinds.values())[number % len(kinds)]
        one = lesion(kind, 1, rng)
        text = written([one])
        found = [told(f, kinds) for f in read(text).findings if f.status == "present"]
        if found != [expected(kind, one)]:
            wrong.append((found, expected(kind, one), text))
    assert not wrong, f"{len(wrong)} of {6 * len(kinds)}: {wrong[:2]}"


def test_a_report_of_several_lesions_reads_back() -> None:
    rng = random.Random(1)
    kinds = lesion_types()
    for _ in range(40):
        chosen = [rng.choice(list(kinds.values())) for _ in range(rng.randint(2, 5))]
        lesions = [lesion(kind, number, rng) for number, kind in enumerate(chosen, start=1)]
        text = written(lesions)
        found = sorted(str(told(f, kinds)) for f in read(text).findings if f.status == "present")
        assert found == sorted(str(expected(k, one)) for k, one in zip(chosen, lesions, strict=True)), text
