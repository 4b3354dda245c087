"""What a prompt asks for. Frozen; everything that was not said is None or empty."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from prompts.vocabulary import (
    KIND_ORGANS,
    LIVER_SIDES,
    PATTERNS,
    REGION_ORGANS,
    SEGMENTS,
    SIDED_ORGANS,
    Density,
    Dose,
    Extent,
    FindingKind,
    Habitus,
    Heterogeneity,
    Invasion,
    Organ,
    Pattern,
    Phase,
    Region,
    Segment,
    Severity,
    Sex,
    Shape,
    Side,
    Surface,
    Texture,
    is_paired,
)

MAX_SIZE_MM = 300.0
MAX_COUNT = 50
MAX_AGE = 120
MAX_VOLUME_ML = 5000.0


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FindingRequest(_Frozen):
    """One finding, or `count` alike. `size_mm` is the long axis, `size_range_mm` what to draw it
    from where only a range was said ("small", "5 to 8 mm"); count None = several, number not said.

    Of kinds that are told by their extent: `share` is that of the organ (0 to 1), of the lung or lobe where one was
    said; `ratio` the cardiothoracic ratio. Of fluid or air: `volume_ml`, `volume_range_ml` what to draw it from,
    `thickness_mm` the depth of its layer.

    Raises ValueError (pydantic ValidationError) where the parts cannot go together.
    """

    kind: FindingKind
    organ: Organ
    side: Side | None = None
    segment: Segment | None = None
    size_mm: float | None = None
    size_range_mm: tuple[float, float] | None = None
    count: int | None = 1
    shape: Shape | None = None
    density: Density | None = None
    heterogeneity: Heterogeneity | None = None
    surface: Surface | None = None
    invasion: Invasion | None = None
    spiculated: bool | None = None
    lobulated: bool | None = None
    texture: Texture | None = None
    necrotic: bool | None = None
    calcified: bool | None = None
    rim: bool | None = None
    pattern: Pattern | None = None
    severity: Severity | None = None
    share: float | None = None
    volume_ml: float | None = None
    volume_range_ml: tuple[float, float] | None = None
    ratio: float | None = None
    thickness_mm: float | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        for size in (self.size_mm, *(self.size_range_mm or ())):
            _check_range("size", size, MAX_SIZE_MM, "mm")
        if self.count is not None and not 1 <= self.count <= MAX_COUNT:
            raise ValueError(f"count {self.count}: give 1 to {MAX_COUNT}, or say 'no {self.kind}'")
        _check_place(self.organ, self.side, self.segment)
        places = KIND_ORGANS.get(self.kind)
        if places and self.organ not in places:
            raise ValueError(f"'{self.kind}' in the {self.organ}: say it in the {' or '.join(places)}")
        if self.texture and self.organ is not Organ.LUNG:
            raise ValueError(f"'{self.texture}' {self.kind} in the {self.organ}: leave it out, it is for the lung")
        if self.pattern and self.pattern not in PATTERNS.get(self.kind, ()):
            has = ", ".join(PATTERNS.get(self.kind, ())) or "no patterns"
            raise ValueError(f"'{self.pattern}' {self.kind}: leave it out, of it there is: {has}")
        if self.share is not None and not 0 < self.share <= 1:
            raise ValueError(f"{100 * self.share:g}% of the {self.organ}: give more than 0 and at most 100%")
        if self.ratio is not None and not 0.3 <= self.ratio <= 0.9:
            raise ValueError(f"cardiothoracic ratio {self.ratio:g}: give 0.3 to 0.9")
        for volume in (self.volume_ml, *(self.volume_range_ml or ())):
            _check_range("volume", volume, MAX_VOLUME_ML, "mL")
        _check_range("depth", self.thickness_mm, MAX_SIZE_MM, "mm")
        return self


class TargetRequest(_Frozen):
    """A planning target volume: prescribed dose in Gy, side, volume in mL."""

    dose_gy: Dose
    side: Side | None = None
    volume_ml: float | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_range("target volume", self.volume_ml, MAX_VOLUME_ML, "mL")
        return self


class CaseRequest(_Frozen):
    """All that one prompt asks for. `absent` names findings that must not be there."""

    prompt: str = ""
    region: Region | None = None
    phase: Phase | None = None
    sex: Sex | None = None
    age: int | None = None
    habitus: Habitus | None = None
    extent: Extent | None = None
    findings: tuple[FindingRequest, ...] = ()
    targets: tuple[TargetRequest, ...] = ()
    absent: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.age is not None and not 0 <= self.age <= MAX_AGE:
            raise ValueError(f"age {self.age}: give years from 0 to {MAX_AGE}")
        if self.extent and self.region not in (None, Region.HEAD_NECK):
            raise ValueError(f"extent '{self.extent}' with region '{self.region}': extents are for the head and neck")
        for finding in self.findings:
            if self.region and finding.organ not in REGION_ORGANS[self.region]:
                there = ", ".join(REGION_ORGANS[self.region])
                raise ValueError(f"'{finding.organ}' is not in a CT of region '{self.region}'; it shows: {there}")
            if {finding.kind.value, f"{finding.organ} {finding.kind}"} & set(self.absent):
                raise ValueError(f"'{finding.organ} {finding.kind}' is asked for and ruled out; keep one of the two")
        return self


def _check_range(what: str, value: float | None, high: float, unit: str) -> None:
    if value is not None and not 0 < value <= high:
        raise ValueError(f"{what} {value:g} {unit}: give more than 0 and at most {high:g} {unit}")


def _check_place(organ: Organ, side: Side | None, segment: Segment | None) -> None:
    if side and organ not in SIDED_ORGANS:
        raise ValueError(f"'{side}' {organ}: there is one {organ}; leave the side out")
    if segment and segment not in SEGMENTS.get(organ, ()):
        parts = ", ".join(SEGMENTS.get(organ, ())) or "no named parts"
        raise ValueError(f"'{segment}' is no part of the {organ}; it has: {parts}")
    if organ is Organ.BONE and side and segment and not is_paired(segment):
        raise ValueError(f"'{side}' {segment}: it lies in the midline; leave the side out")
    if side is Side.MIDLINE and (organ is not Organ.BONE or segment):
        raise ValueError(f"'midline' in the {organ}: say left, right or bilateral")
    if (
        organ in (Organ.LUNG, Organ.PULMONARY_ARTERY)
        and segment is Segment.MIDDLE
        and side in (Side.LEFT, Side.BILATERAL)
    ):
        raise ValueError(f"'{side} middle lobe': only the right lung has a middle lobe; say right, upper or lower")
    home = LIVER_SIDES.get(segment) if segment else None
    if organ is Organ.LIVER and side and home and side is not home:
        raise ValueError(f"'{side}' with liver segment {segment}: segment {segment} is in the {home} liver; drop one")
