"""The language of reports: measured facts -> sentences. Says what the facts say and nothing of what was wished.

Numbers are rounded here, and only here: lengths to 1 mm from 10 mm on and to 0.1 mm below; volumes to
1 mL from 10 mL, to 0.1 mL from 1 mL and to 0.01 mL below; attenuation to 1 HU. `shown_mm`, `shown_ml` and
`shown_hu` give the text, so that a check can compare a sentence with a new measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from prompts.report_extents import ExtentFacts, extent_line, extent_sentence
from prompts.vocabulary import FindingKind, Region

Margin = Literal["well-defined", "ill-defined"]


@dataclass(frozen=True)
class LesionFacts:
    """One measured lesion. Lengths mm, volume mL, attenuation HU; None = not measurable here.

    `organ` is the organ's plain name ("lung"), `segment` a lobe, pole or Couinaud number, `contacts` the names
    (TotalSegmentator) of the other structures that the lesion touches; `contrast_hu` is `mean_hu - organ_mean_hu`.
    """

    id: int
    kind: str
    organ: str
    side: str | None
    segment: str | None
    long_axis_mm: float
    short_axis_mm: float
    volume_ml: float
    mean_hu: float
    sd_hu: float
    organ_mean_hu: float | None = None
    contrast_hu: float | None = None
    margin: Margin | None = None
    contacts: tuple[str, ...] = ()
    spiculated: bool | None = None
    lobulated: bool | None = None
    shape: str | None = None
    density: str | None = None
    heterogeneity: str | None = None
    texture: str | None = None
    necrotic: bool | None = None
    calcified: bool | None = None
    rim: bool | None = None
    encased: tuple[str, ...] = ()
    pleura_mm: float | None = None
    depth_mm: float | None = None
    extent: ExtentFacts | None = None


@dataclass(frozen=True)
class ComparisonFacts:
    """One lesion on two CT that are `days` apart: sizes (earlier, now), None where it was not there.

    `doubling_days` is the volume doubling time of a lesion that grew.
    """

    name: str
    days: int
    long_axis_mm: tuple[float | None, float | None]
    volume_ml: tuple[float | None, float | None]
    doubling_days: float | None = None


@dataclass(frozen=True)
class TargetFacts:
    """One measured planning target volume: prescribed dose Gy, volume mL."""

    dose_gy: int
    side: str | None
    volume_ml: float


@dataclass(frozen=True)
class OrganFacts:
    """One organ in the field of view, `name` as in the label table."""

    name: str
    volume_ml: float
    mean_hu: float | None = None


@dataclass(frozen=True)
class VolumeFacts:
    """The grid: voxel spacing and extent in mm along right-left, front-back and head-foot.

    `lobes` is "approximate" where lungs are labelled whole, `segments` where segments of the liver are told, `stations`
    where stations of lymph nodes are; `enhanced`: whether organs show contrast.
    """

    spacing: tuple[float, float, float]
    extent_mm: tuple[float, float, float]
    region: str | None = None
    lobes: str | None = None
    enhanced: bool | None = None
    segments: str | None = None
    stations: str | None = None


@dataclass(frozen=True)
class CaseFacts:
    """All that a report speaks of."""

    volume: VolumeFacts
    lesions: tuple[LesionFacts, ...] = ()
    targets: tuple[TargetFacts, ...] = ()
    organs: tuple[OrganFacts, ...] = ()


def lesion_sentence(facts: LesionFacts) -> str:
    """What it is, its size, where it is, how it looks and what it touches, as far as that was measured.

    A spiculated margin is its own kind of margin: such a lesion is not called well-defined, however sharp its edge.
    Fluid takes the shape of the space it lies in, so neither margin nor shape is said of it.
    """
    if facts.extent:
        return extent_sentence(facts.kind, facts.organ, facts.side, facts.volume_ml, facts.extent)
    if is_fluid(facts.kind):
        return _fluid_sentence(facts)
    looks = _looks(facts)
    what = f"{' '.join([*looks, facts.kind])} of {shown_size(facts)} {place_phrase(facts)}"
    short = f", {shown_mm(facts.short_axis_mm)} mm in short axis" if facts.kind == FindingKind.LYMPH_NODE else ""
    first = _capital(f"{_article(what)} {what}{short}{_attenuation(facts)}")
    parts = [first, *_zones(facts), *_contacts(facts), *_encasement(facts.encased)]
    return f"{'; '.join(parts)}.{_pleura(facts.pleura_mm)}"


def shown_size(facts: LesionFacts) -> str:
    """Both axes, to the digits of the longer one: "18 x 10 mm", "7.5 x 6.0 mm"."""
    digits = 0 if shown_mm(facts.long_axis_mm).isdigit() else 1
    return f"{shown_mm(facts.long_axis_mm)} x {facts.short_axis_mm:.{digits}f} mm"


def _pleura(gap_mm: float | None) -> str:
    if gap_mm is None:
        return ""
    return " It crosses the pleura." if gap_mm == 0 else f" The pleura is {shown_mm(gap_mm)} mm away."


def is_fluid(kind: str) -> bool:
    """Whether a kind of lesion is free fluid."""
    return kind.split()[-1] in (FindingKind.EFFUSION, FindingKind.ASCITES)


def _fluid_sentence(facts: LesionFacts) -> str:
    """ "A small left pleural effusion, 14 mm deep, 22 mL."."""
    what = fluid_phrase(facts)
    article = "" if facts.kind == FindingKind.ASCITES else f"{_article(what)} "
    depth = "" if facts.depth_mm is None else f", {facts.depth_mm:.0f} mm deep"
    return _capital(f"{article}{what}{depth}, volume {shown_ml(facts.volume_ml)} mL.")


def fluid_phrase(facts: LesionFacts) -> str:
    """ "small right pleural effusion" or "ascites about the liver"."""
    if facts.kind == FindingKind.ASCITES:
        return f"{facts.kind} about the {facts.organ}"
    side = f"{facts.side} " if facts.side in ("left", "right") else ""
    return f"{size_class(facts)} {side}{facts.kind}"


def size_class(facts: LesionFacts) -> str:
    """Of an effusion, by its volume: below 300 mL small, from 1000 mL on large; assumed, as in words/sizes.yaml.

    Depth would not do: fluid that is 3 cm deep, where moderate begins (Moy 2013, from memory), is some 350 mL in drawn
    chests, and none of theirs is 10 cm deep.
    """
    return "small" if facts.volume_ml < 300 else "moderate" if facts.volume_ml < 1000 else "large"


def _in_lung(facts: LesionFacts) -> bool:
    """Whether its density is solid, part-solid or ground-glass: all tissue is dense against air (Hansell 2008)."""
    return facts.organ == "lung"


def _looks(facts: LesionFacts) -> list[str]:
    """ "spiculated, lobulated, solid": what stands before the kind; that a lesion is round, nobody says."""
    margin = "spiculated" if facts.spiculated else facts.margin
    density = facts.texture if _in_lung(facts) else facts.density
    shape = "irregular" if facts.shape == "irregular" and not facts.spiculated else None
    grain = None if _in_lung(facts) else facts.heterogeneity
    words = [w for w in (margin, shape, "lobulated" if facts.lobulated else None, density, grain) if w]
    return [f"{word}," for word in words[:-1]] + words[-1:]


def _zones(facts: LesionFacts) -> list[str]:
    """ "with necrosis and a rim"."""
    dead = facts.necrotic and facts.kind not in _NEVER_NECROTIC
    zones = [("necrosis", dead), ("calcification", facts.calcified), ("a rim", facts.rim)]
    found = [name for name, there in zones if there]
    return [f"with {_listed(found)}"] if found else []


def _encasement(names: Sequence[str]) -> list[str]:
    return [f"encasing the {_listed([readable(n) for n in names])}"] if names else []


def comparison_sentence(facts: ComparisonFacts) -> str:
    """ "Lung nodule 1, against 90 days earlier: long axis 12 to 17 mm (+40%), volume 0.80 to 2.2 mL (+174%), ..." """
    (before, now), (volume_before, volume_now) = facts.long_axis_mm, facts.volume_ml
    name, earlier = _capital(facts.name), f"{facts.days} day{'' if facts.days == 1 else 's'} earlier"
    if before is None or volume_before is None:
        return f"{name} was not there {earlier}."
    if now is None or volume_now is None:
        return f"{name}, {shown_mm(before)} mm long {earlier}, is not there now."
    parts = [
        f"long axis {shown_mm(before)} to {shown_mm(now)} mm ({_change(before, now)})",
        f"volume {shown_ml(volume_before)} to {shown_ml(volume_now)} mL ({_change(volume_before, volume_now)})",
    ]
    if facts.doubling_days is not None:
        parts.append(f"volume doubling time {facts.doubling_days:.0f} days")
    return f"{name}, against {earlier}: {', '.join(parts)}."


def _change(before: float, now: float) -> str:
    """ "+40%", "-12%" or "unchanged"."""
    percent = round(100 * (now / before - 1)) if before > 0 else 0
    return f"{percent:+d}%" if percent else "unchanged"


def target_sentence(facts: TargetFacts) -> str:
    """ "Planning target volume of 70 Gy on the left, 120 mL."""
    side = f" {side_phrase(facts.side)}" if facts.side else ""
    return f"Planning target volume of {facts.dose_gy} Gy{side}, {shown_ml(facts.volume_ml)} mL."


def organ_sentence(facts: OrganFacts) -> str:
    """ "Right parotid gland: 28.4 mL, mean attenuation 12 HU."; in report.json alone."""
    hu = "" if facts.mean_hu is None else f", mean attenuation {shown_hu(facts.mean_hu)} HU"
    return f"{_capital(readable(facts.name))}: {shown_ml(facts.volume_ml)} mL{hu}."


def technique_sentence(facts: VolumeFacts) -> str:
    """Region, contrast and voxel spacing, as measured. Nothing on phase or dose: those are not."""
    region = f" of the {_REGIONS.get(facts.region, facts.region.replace('_', ' '))}" if facts.region else ""
    contrast = {None: "", True: " with intravenous contrast", False: " without intravenous contrast"}[facts.enhanced]
    spacing = " x ".join(f"{mm:.2f}".rstrip("0").rstrip(".") for mm in facts.spacing)
    text = f"CT{region}{contrast}, voxel spacing {spacing} mm."
    text += " Lungs are labelled whole, lobes are approximate." if facts.lobes else ""
    text += " Segments of the liver are approximate." if facts.segments else ""
    return f"{text} Lymph node stations are approximate." if facts.stations else text


def impression_of(facts: LesionFacts) -> str:
    """One finding in the conclusion: "20 mm spiculated solid nodule in the right upper lobe."."""
    if facts.extent:
        return extent_line(facts.kind, facts.organ, facts.side, facts.volume_ml, facts.extent)
    if is_fluid(facts.kind):
        return _capital(f"{fluid_phrase(facts)}.")
    looks = [w for w in ("spiculated" if facts.spiculated else "", facts.texture if _in_lung(facts) else "") if w]
    what = " ".join([*looks, facts.kind, place_phrase(facts)])
    if facts.kind == FindingKind.LYMPH_NODE:
        return _capital(f"{what}, {shown_mm(facts.short_axis_mm)} mm in short axis.")
    return f"{shown_mm(facts.long_axis_mm)} mm {what}."


def place_phrase(facts: LesionFacts) -> str:
    """ "in the right upper lobe", "in segment 6 of the liver", "in the lower pole of the left kidney"."""
    side, segment, organ = facts.side, facts.segment, _organ(facts.organ)
    one_side = f"{side} " if side in ("left", "right") else ""
    if segment is None:
        if organ == "liver" and one_side:
            return f"in the {side} lobe of the liver"
        return f"in the {one_side}{organ}"
    if segment.isdigit():
        return f"in segment {segment} of the {organ}"
    if segment.startswith("station"):
        return f"in {segment} of the {organ}"
    if organ == "lung":
        return f"in the {one_side}{segment} lobe"
    part = "interpolar region" if segment == "interpolar" else f"{segment} pole"
    return f"in the {part} of the {one_side}{organ}"


def _organ(name: str) -> str:
    """An organ as one says it: "vertebra C6" and "paravertebral muscles"."""
    return _ORGANS.get(name, name.replace("vertebrae ", "vertebra "))


def readable(name: str) -> str:
    """A TotalSegmentator name as one says it: "lung_upper_lobe_right" -> "right upper lobe of the lung"."""
    if name in _NAMES:
        return _NAMES[name]
    words = name.split("_")
    side = next((w for w in words if w in ("left", "right")), "")
    words = [w for w in words if w != side]
    if words[0] == "rib" and len(words) == 2:
        return f"{side} rib {words[1]}"
    if words[0] == "vertebrae":
        return f"vertebra {words[1]}"
    if words[0] == "lung" and "lobe" in words:
        return f"{side} {words[1]} lobe of the lung"
    words = [_WORDS.get(w, w) for w in words]
    return " ".join([side, *words] if side else words)


def shown_mm(value: float) -> str:
    """Length as printed: "18", "7.5"."""
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"


def shown_ml(value: float) -> str:
    """Volume as printed: "123", "8.4", "0.52"."""
    if value >= 9.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 0.995 else f"{value:.2f}"


def shown_hu(value: float) -> str:
    """Attenuation as printed: "-842", never "-0"."""
    return str(round(value))


_REGIONS = {
    Region.HEAD_NECK.value: "head and neck",
    Region.CHEST_ABDOMEN.value: "chest and abdomen",
    Region.ABDOMEN_PELVIS.value: "abdomen and pelvis",
    Region.TORSO.value: "chest, abdomen and pelvis",
}
_NAMES = {
    "autochthon_left": "left paravertebral muscles",
    "autochthon_right": "right paravertebral muscles",
    "portal_vein_and_splenic_vein": "portal and splenic veins",
    "iliac_vena_left": "left iliac vein",
    "iliac_vena_right": "right iliac vein",
    "vertebrae_S1": "first sacral vertebra",
}
_WORDS = {"clavicula": "clavicle", "hip": "hip bone"}
_ROWS = (
    *(tuple(f"rib_{side}_{i}" for i in range(1, 13)) for side in ("left", "right")),
    tuple(f"vertebrae_{part}{i}" for part, n in (("C", 7), ("T", 12), ("L", 5)) for i in range(1, n + 1)),
)
_ORGANS = {
    "autochthon": "paravertebral muscles",
    "urinary bladder": "bladder",
    "mediastinal fat": "mediastinum",
    "retroperitoneal fat": "retroperitoneum",
}
_NEVER_NECROTIC = (FindingKind.CYST, FindingKind.STONE)  # a dark core of theirs is fluid, or a bright edge


def _attenuation(facts: LesionFacts) -> str:
    """ ", 12 HU": of what is not in the lung, where its texture says as much."""
    return "" if _in_lung(facts) else f", {shown_hu(facts.mean_hu)} HU"


def _contacts(facts: LesionFacts) -> list[str]:
    """Other organs that it touches; lobes and layers of its own, and fat, are none."""
    own = facts.organ.partition(" ")[0]
    names = [n for n in facts.contacts if n.split("_")[0] != own and not n.endswith("_fat")]
    return [f"in contact with the {_listed(_with_runs(names))}"] if names else []


def _with_runs(names: Sequence[str]) -> list[str]:
    """Names as one says them; three neighbouring ribs or vertebrae and more as "right ribs 5 to 8"."""
    said: list[str] = []
    left = list(names)
    while left:
        run = _neighbours(left[0], left)
        left = [name for name in left if name not in run]
        said += [_run(run)] if len(run) > 2 else [readable(name) for name in run]
    return said


def _neighbours(name: str, names: Sequence[str]) -> Sequence[str]:
    """The names that follow each other without a gap about one of them, in the body's order."""
    row = next((row for row in _ROWS if name in row), (name,))
    first = last = row.index(name)
    while first > 0 and row[first - 1] in names:
        first -= 1
    while last + 1 < len(row) and row[last + 1] in names:
        last += 1
    return row[first : last + 1]


def _run(names: Sequence[str]) -> str:
    first, last = readable(names[0]), readable(names[-1]).split()[-1]
    return f"{first.replace('rib ', 'ribs ').replace('vertebra ', 'vertebrae ')} to {last}"


def side_phrase(side: str) -> str:
    """ "on the left", "on both sides", "in the midline"."""
    return {"bilateral": "on both sides", "midline": "in the midline"}.get(side, f"on the {side}")


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _article(phrase: str) -> str:
    return "an" if phrase[0] in "aeiou" else "a"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
