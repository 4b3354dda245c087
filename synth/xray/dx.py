"""A film as a DICOM Digital X-Ray image, for presentation (PS3.3 A.26)."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat

from synth.dicom.identity import Identity
from synth.xray.film import LEVELS, Film
from synth.xray.views import Camera

_VIEW_POSITIONS = {"ap": "AP", "pa": "PA", "lateral": "LL"}


def radiograph(film: Film, camera: Camera, identity: Identity, number: int) -> Dataset:
    """The object of a film; pixels are the logarithm of the exposure."""
    dataset = Dataset()
    identity.stamp(dataset, f"DX {camera.name}")
    for name, value in identity.equipment().items():
        setattr(dataset, name, value)
    dataset.SOPClassUID, dataset.Modality = DigitalXRayImageStorageForPresentation, "DX"
    dataset.SOPInstanceUID = identity.uid("dx", camera.name, camera.detector, round(camera.pixel_mm, 6))
    dataset.SeriesInstanceUID, dataset.SeriesNumber = identity.uid("dx", camera.name), number
    dataset.InstanceNumber, dataset.PresentationIntentType = 1, "FOR PRESENTATION"
    dataset.ImageType = ["DERIVED", "PRIMARY", ""]
    dataset.DerivationDescription = identity.origin
    dataset.BodyPartExamined, dataset.ImageLaterality = "CHEST" if identity.region == "chest" else "", "U"
    dataset.AnatomicRegionSequence, dataset.AcquisitionContextSequence = [], []
    _detector(dataset, camera)
    _geometry(dataset, camera)
    _pixels(dataset, film)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _detector(dataset: Dataset, camera: Camera) -> None:
    dataset.DetectorType, dataset.DetectorConfiguration = "SCINTILLATOR", "AREA"
    side = DSfloat(camera.pixel_mm, auto_format=True)
    dataset.ImagerPixelSpacing = [side, side]
    dataset.FieldOfViewShape = "RECTANGLE"


def _geometry(dataset: Dataset, camera: Camera) -> None:
    dataset.ViewPosition = _VIEW_POSITIONS.get(camera.name, "")
    dataset.DistanceSourceToDetector = DSfloat(camera.distance_mm, auto_format=True)
    dataset.PatientOrientation = [_towards(camera.columns), _towards(camera.rows)]
    dataset.PatientOrientationCodeSequence = []
    dataset.ViewCodeSequence = []
    dataset.PositionerType = "NONE"


def _towards(direction: object) -> str:
    """The nearest of the patient's directions to one in RAS."""
    import numpy as np

    vector = np.asarray(direction)
    axis = int(np.abs(vector).argmax())
    return ("RL", "AP", "HF")[axis][0 if vector[axis] > 0 else 1]


def _pixels(dataset: Dataset, film: Film) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = film.pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.PresentationLUTShape, dataset.BurnedInAnnotation, dataset.LossyImageCompression = "IDENTITY", "NO", "00"
    dataset.WindowCenter, dataset.WindowWidth = str((LEVELS + 1) // 2), str(LEVELS + 1)
    dataset.PixelData = film.pixels.astype("<u2").tobytes()
