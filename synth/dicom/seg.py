"""Masks as DICOM Segmentation objects on the grid of the CT series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.sr.codedict import codes as standard

from synth import __version__
from synth.dicom.ct import as_dicom_orders
from synth.dicom.identity import MANUFACTURER, Identity
from synth.dicom.masks import Marked, colour
from synth.volumes.types import LabelMap


def segmentation(
    source: LabelMap, marked: Sequence[Marked], series: Sequence[Dataset], identity: Identity, role: str, number: int
) -> Segmentation:
    """A binary segmentation of `marked`, one segment each; they may overlap, as nested targets do.

    role: what the object is called in its UIDs and series description. number: of the series in the study.
    """
    described = [_described(i, segment, identity) for i, segment in enumerate(marked, start=1)]
    equipment = identity.equipment()
    made = Segmentation(
        series,
        _pixels(source, marked),
        SegmentationTypeValues.BINARY,
        described,
        series_instance_uid=identity.uid(role),
        series_number=number,
        sop_instance_uid=identity.uid(role, 1),
        instance_number=1,
        manufacturer=equipment["Manufacturer"],
        manufacturer_model_name=equipment["ManufacturerModelName"],
        software_versions=equipment["SoftwareVersions"],
        device_serial_number=equipment["DeviceSerialNumber"],
        content_label=role.upper(),
        content_description=f"Synthetic: {role} of {identity.case}"[:64],
    )
    identity.stamp(made, f"SEG {role}")
    _settle_dimensions(made, identity.uid(role, "dimensions"))
    return made


def _pixels(source: LabelMap, marked: Sequence[Marked]) -> np.ndarray:
    """(slices, rows, columns) of segment numbers where masks are apart, else (.., segments) of booleans."""
    if all(len(segment.names) == 1 for segment in marked):
        numbers = {segment.names[0]: i for i, segment in enumerate(marked, start=1)}
        table = np.zeros(int(source.ids.max(initial=0)) + 1, np.uint16)
        for identifier, name in source.names.items():
            if identifier < len(table):
                table[identifier] = numbers.get(name, 0)
        return np.ascontiguousarray(as_dicom_orders(table[source.ids], source.affine)[0])
    masks = [as_dicom_orders(segment.mask(source), source.affine)[0] for segment in marked]
    return np.stack(masks, axis=-1)


def _described(number: int, segment: Marked, identity: Identity) -> SegmentDescription:
    described = SegmentDescription(
        segment_number=number,
        segment_label=segment.label[:64],
        segmented_property_category=segment.category,
        segmented_property_type=segment.kind,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=MANUFACTURER, version=__version__, family=standard.cid7162.ArtificialIntelligence
        ),
        tracking_id=segment.label,
        tracking_uid=identity.uid("tracked", segment.label),
        anatomic_regions=[segment.site] if segment.site else None,
        display_color=CIELabColor.from_rgb(*colour(segment.label)),
    )
    if segment.side is not None:
        side = CodedConcept.from_code(segment.side)
        if segment.site is not None:
            described.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [side]
        else:
            described.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [side]
    return described


def _settle_dimensions(made: Segmentation, uid: str) -> None:
    """Give the one UID that highdicom draws at random a value of the case, so that exports repeat."""
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
