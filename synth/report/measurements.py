"""What is measured on a case: numbers with units, nothing else. JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Side = Literal["left", "right", "bilateral", "midline"]
DECIMALS = 3  # of every number here


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VolumeMeasurement(_Frozen):
    """The grid. Three numbers run right-left, front-back, head-foot; `region` follows from the organs in it.

    `lobes` are approximate where lungs are labelled whole (`synth.report.lobes`). `enhanced`: whether
    organs show contrast; None where none tells.
    """

    spacing_mm: tuple[float, float, float]
    extent_mm: tuple[float, float, float]
    region: str | None
    lobes: Literal["approximate"] | None = None
    enhanced: bool | None = None


class OrganMeasurement(_Frozen):
    """One structure; HU without the lesions in it (None where nothing else is left)."""

    id: int
    name: str
    voxels: int
    volume_ml: float
    mean_hu: float | None
    sd_hu: float | None
    median_hu: float | None


class Attributes(_Frozen):
    """What kind of lesion it is, by measures and limits of `synth.report.attributes`; None = not measurable here.

    core_hu: mean of the core, deeper than half the edge; of the deepest tenth of a lung lesion too small to have one.
    heterogeneity_hu: SD of the smoothed core beyond noise.
    dense_hu: of the densest tenth of a nodule in the lung, without partial volume.
    ragged: SD of the surface of a nodule in the lung, at half contrast, about a smooth fit, of the radius.
    outline: SD of the outline about a smooth fit, of the radius.
    concavity: share of the outline's convex hull that is not lesion.
    strands: spicules in a slice.
    """

    core_hu: float
    density: Literal["hypodense", "isodense", "hyperdense"]
    heterogeneity_hu: float | None
    heterogeneity: Literal["homogeneous", "heterogeneous"] | None
    texture: Literal["solid", "part-solid", "ground-glass"] | None
    shape: Literal["round-like", "irregular", "wall thickening", "punctate/nodular"]
    outline: float | None
    lobulated: bool | None
    strands: float | None
    spiculated: bool | None
    necrotic: bool | None
    calcified: bool | None
    rim: bool | None
    dense_hu: float | None = None
    ragged: float | None = None
    concavity: float | None = None


class ExtentMeasurements(_Frozen):
    """Of a finding that is told by its extent.

    affected_ml, part_ml: mL of it in each labelled structure; mL of the structures of those organs. Lobes of a lung
    that is labelled whole are approximate (`synth.report.lobes`).
    figures: of its kind alone (`synth.report.extent_figures`).
    """

    median_hu: float
    affected_ml: dict[str, float]
    part_ml: dict[str, float]
    figures: dict[str, float]


class LesionMeasurement(_Frozen):
    """One lesion. Lengths in mm; None = not measurable here.

    long_axis_mm, short_axis_mm: longest diameter in a slice and the widest extent across it (RECIST 1.1).
    long_axis_3d_mm: longest diameter in any direction.
    structure: label that holds most of the mask, or surrounds most of it.
    mean_hu, sd_hu: of the core, away from the edge, where a reader puts a region of interest (see `lesions.core_of`).
    mask_mean_hu: of the whole mask, its partial-volume edge included.
    contrast_hu: mean less the organ's mean.
    margin_mm: 10-90% width of the edge in the slice.
    contacts: other labels within one voxel of the mask.
    outside: share of the mask that lies in no label or in another organ's.
    invasion: a contact with another organ, or 5% and more outside, is a close relationship.
    vessel_contact_deg: how far round each touched vessel the lesion reaches in a slice, at most; 180 and more encases.
    pleura_mm: gap to the border of the lung, for lung lesions.
    depth_mm: of fluid, the widest ball in it.
    extent: of findings that are told by it; they have neither edge nor contacts.
    """

    id: int
    name: str
    kind: str
    structure: str | None
    organ: str
    side: Side | None
    segment: str | None
    voxels: int
    centre_mm: tuple[float, float, float]
    volume_ml: float
    long_axis_mm: float
    short_axis_mm: float
    long_axis_3d_mm: float
    sphericity: float
    mean_hu: float
    sd_hu: float
    mask_mean_hu: float
    organ_mean_hu: float | None
    contrast_hu: float | None
    margin_mm: float | None
    margin: Literal["well-defined", "ill-defined"] | None
    contacts: tuple[str, ...]
    outside: float
    invasion: Literal["no close relationship", "close relationship"]
    vessel_contact_deg: dict[str, float]
    pleura_mm: float | None
    attributes: Attributes
    depth_mm: float | None = None
    extent: ExtentMeasurements | None = None


class TargetMeasurement(_Frozen):
    """A planning target volume: all voxels of its dose or more, since targets are nested."""

    dose_gy: int
    masks: tuple[str, ...]
    voxels: int
    volume_ml: float
    side: Side
    long_axis_mm: float


class RuledOut(_Frozen):
    """What a case does not have (`synth.report.normals`): its kind, the masks it was measured on, the figures."""

    kind: str
    masks: tuple[str, ...]
    figures: dict[str, float]


class Measurements(_Frozen):
    """A case, measured."""

    volume: VolumeMeasurement
    organs: tuple[OrganMeasurement, ...]
    lesions: tuple[LesionMeasurement, ...]
    targets: tuple[TargetMeasurement, ...]
    ruled_out: tuple[RuledOut, ...] = ()


def rounded(value: float) -> float:
    """To the decimals of a measurement, without negative zero."""
    return round(float(value), DECIMALS) + 0.0
