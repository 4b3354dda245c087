"""The report's measurements as a Comprehensive 3D SR: one group (TID 1411) for every lesion, target and organ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from highdicom.seg import Segmentation
from highdicom.sr import (
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes as standard
from pydicom.sr.coding import Code

from synth.dicom import codes
from synth.dicom.identity import MANUFACTURER, Identity
from synth.dicom.masks import Marked

_MM, _ML, _HU = standard.UCUM.Millimeter, Code("ml", "UCUM", "milliliter"), standard.UCUM.HounsfieldUnit
_ATTENUATION = standard.cid7469.AttenuationCoefficient
_MEAN, _SD, _MEDIAN = standard.cid7464.Mean, standard.cid7464.StandardDeviation, standard.cid7464.Median

# Fact of the report (synth/report/measurements.py) -> name, unit, derivation.
_MEASURED: dict[str, tuple[Code, Code, Code | None]] = {
    "volume_ml": (standard.cid7469.Volume, _ML, None),
    "long_axis_mm": (standard.cid7469.LongAxis, _MM, None),
    "short_axis_mm": (standard.cid7469.ShortAxis, _MM, None),
    "long_axis_3d_mm": (codes.private("Longest diameter in any direction", "LONGEST_3D"), _MM, None),
    "mean_hu": (_ATTENUATION, _HU, _MEAN),
    "sd_hu": (_ATTENUATION, _HU, _SD),
    "median_hu": (_ATTENUATION, _HU, _MEDIAN),
    "contrast_hu": (codes.private("Attenuation less that of the organ", "CONTRAST"), _HU, None),
    "margin_mm": (codes.private("Width of the margin", "MARGIN_WIDTH"), _MM, None),
    "pleura_mm": (codes.private("Distance to the pleura", "PLEURA_DISTANCE"), _MM, None),
}
_JUDGED = ("margin", "invasion")
_JUDGED_ATTRIBUTES = ("density", "heterogeneity", "texture", "shape")

MeasurementGroup = VolumetricROIMeasurementsAndQualitativeEvaluations


def measurement_report(
    parts: Sequence[tuple[Segmentation, Sequence[Marked]]], series: Sequence[Dataset], identity: Identity, number: int
) -> Comprehensive3DSR:
    """The report of a case; each group points at its segment in one of `parts`. `number`: of the series."""
    groups = [
        _group(segment, made, i, series, identity)
        for made, marked in parts
        for i, segment in enumerate(marked, start=1)
        if segment.facts
    ]
    content = MeasurementReport(
        observation_context=_observed_by(identity),
        procedure_reported=standard.cid100.CTUnspecifiedBodyRegion,
        imaging_measurements=groups,
    )
    made_sr = Comprehensive3DSR(
        evidence=[*series, *(made for made, _ in parts)],
        content=content[0],
        series_instance_uid=identity.uid("report"),
        series_number=number,
        sop_instance_uid=identity.uid("report", 1),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
    )
    identity.stamp(made_sr, "SR measurements")
    return made_sr


def _observed_by(identity: Identity) -> ObservationContext:
    device = DeviceObserverIdentifyingAttributes(uid=identity.uid("device"), name=MANUFACTURER)
    return ObservationContext(ObserverContext(standard.DCM.Device, device))


def _group(
    segment: Marked, made: Segmentation, number: int, series: Sequence[Dataset], identity: Identity
) -> MeasurementGroup:
    place = segment.site or (segment.kind if segment.category == codes.ANATOMY else None)
    return MeasurementGroup(
        tracking_identifier=TrackingIdentifier(uid=identity.uid("tracked", segment.label), identifier=segment.label),
        referenced_segment=ReferencedSegment(
            sop_class_uid=made.SOPClassUID,
            sop_instance_uid=made.SOPInstanceUID,
            segment_number=number,
            source_series=SourceSeriesForSegmentation(series[0].SeriesInstanceUID),
        ),
        finding_category=segment.category,
        finding_type=segment.kind,
        finding_sites=[FindingSite(place, laterality=segment.side)] if place else None,
        measurements=list(_measurements(segment.facts)),
        qualitative_evaluations=list(_evaluations(segment.facts)),
    )


def _measurements(facts: Mapping[str, Any]) -> Iterator[Measurement]:
    for fact, (name, unit, derivation) in _MEASURED.items():
        if (value := facts.get(fact)) is not None:
            yield Measurement(name=name, value=float(value), unit=unit, derivation=derivation)


def _evaluations(facts: Mapping[str, Any]) -> Iterator[QualitativeEvaluation]:
    """The closed vocabularies of the report, in codes of our own."""
    seen = facts.get("attributes", {})
    said = {name: facts.get(name) for name in _JUDGED} | {name: seen.get(name) for name in _JUDGED_ATTRIBUTES}
    for name, value in said.items():
        if value is not None:
            yield QualitativeEvaluation(name=codes.private(name), value=codes.private(value))
