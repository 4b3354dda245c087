"""A CT as a series of DICOM CT images: one slice a file, HU exact, positions exact to the last digit of DICOM."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat

from synth.dicom.identity import Identity
from synth.volumes.types import Volume

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_WINDOW_CENTRE, _WINDOW_WIDTH = "40", "400"  # soft tissue
_BODY_PARTS = {  # prompts.vocabulary.Region -> PS3.16 Annex L
    "head_neck": "HEADNECK",
    "chest": "CHEST",
    "abdomen": "ABDOMEN",
    "chest_abdomen": "CHESTABDOMEN",
}


def as_dicom_orders(array: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Array (X, Y, Z) and RAS affine -> (slices, rows, columns) from feet to head, front to back, right to left.

    Axes are flipped and swapped, never resampled. The affine that comes back maps (column, row, slice) to LPS mm.
    """
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(("L", "P", "S")))
    turned = apply_orientation(array, turn)
    return turned.transpose(2, 1, 0), _RAS_TO_LPS @ affine @ inv_ornt_aff(turn, array.shape)


def ct_series(ct: Volume, identity: Identity) -> list[Dataset]:
    """The CT Image objects (PS3.3 A.3) of a volume, in order of position from the feet upwards."""
    slices, affine = as_dicom_orders(ct.hu, ct.affine)
    shared = _shared(slices.shape, affine, identity)
    return [_slice(shared, pixels, affine, number, identity) for number, pixels in enumerate(slices)]


def _shared(shape: tuple[int, ...], affine: np.ndarray, identity: Identity) -> Dataset:
    """What all slices have in common."""
    spacing = nib.affines.voxel_sizes(affine)
    dataset = Dataset()
    identity.stamp(dataset, "CT")
    for name, value in identity.equipment().items():
        setattr(dataset, name, value)
    dataset.SOPClassUID, dataset.Modality = CTImageStorage, "CT"
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    dataset.DerivationDescription = identity.origin
    dataset.SeriesInstanceUID, dataset.SeriesNumber = identity.uid("ct"), 1
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = identity.uid("frame"), ""
    dataset.PatientPosition = "HFS"
    if identity.region in _BODY_PARTS:
        dataset.BodyPartExamined = _BODY_PARTS[identity.region]
    else:
        dataset.Laterality = ""  # asked for unless the body part is known to be unpaired
    dataset.AcquisitionNumber, dataset.KVP = None, None
    if identity.kernel is not None:
        dataset.ConvolutionKernel = identity.kernel.upper()
    dataset.SliceThickness = _decimal(spacing[2])
    dataset.PixelSpacing = [_decimal(spacing[1]), _decimal(spacing[0])]  # of rows, then of columns
    dataset.ImageOrientationPatient = [_decimal(v) for v in (affine[:3, :2] / spacing[:2]).T.ravel()]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = shape[1], shape[2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "HU"
    dataset.WindowCenter, dataset.WindowWidth = _WINDOW_CENTRE, _WINDOW_WIDTH
    return dataset


def _slice(shared: Dataset, pixels: np.ndarray, affine: np.ndarray, number: int, identity: Identity) -> Dataset:
    """One object: (rows, columns) int16 HU and where its first pixel lies."""
    dataset = Dataset()
    dataset.update(shared)
    dataset.SOPInstanceUID, dataset.InstanceNumber = identity.uid("ct", number), number + 1
    dataset.ImagePositionPatient = [_decimal(v) for v in affine[:3, 3] + number * affine[:3, 2]]
    dataset.PixelData = pixels.astype("<i2").tobytes()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    return dataset


def _decimal(value: float) -> DSfloat:
    """A number in the 16 characters that DICOM has for it."""
    return DSfloat(float(value) + 0.0, auto_format=True)
