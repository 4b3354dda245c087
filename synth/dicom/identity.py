"""Who a DICOM object is of and what made it: UIDs that follow from the case, and the marks of synthetic data."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from highdicom import ContributingEquipment
from pydicom import Dataset
from pydicom.sr.codedict import codes

from synth import __version__

MANUFACTURER = "synthct"
DATE, TIME = "20000101", "000000"  # of all that DICOM wants a date for: nothing was acquired, and exports repeat
CHARACTERS = "ISO_IR 192"  # UTF-8

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "synthct")
_LONGEST_TEXT = 1024  # characters of a Short Text
_ORIGIN = {
    "generate": "Drawn by a generative model; no patient was scanned.",
    "insert": "Synthetic lesions inserted into a CT; voxels that no lesion reaches or pushes are the CT's own.",
    "adopt": "Volume of another generator, its voxels as they were handed over.",
    "peer": "Drawn by a generative model of others; no patient was scanned.",
    "xray": "Projected from a CT, synthetic or a user's own; no radiograph was taken.",
}
_DEIDENTIFIED = {
    "generate": "Synthetic: there is no patient",
    "insert": "Made from voxels alone: no attribute of the host was copied",
    "adopt": "Made from voxels alone: no attribute of the volume was copied",
    "peer": "Synthetic: there is no patient",
    "xray": "Made from voxels alone: no attribute of the CT was copied",
}


@dataclass(frozen=True)
class Identity:
    """What the objects of one case have in common.

    content: hash of all that the case holds; with `patient_id` the source of every UID, so that the same case gives
        the same UIDs and another one never does.
    patient_id: a pseudonym, the same for all cases of one patient.
    door: that of the plan, or `xray` for a radiograph. prompt: what was asked for. weights: hash of the networks,
        as a serial number.
    region: measured, None where the labels do not tell.
    kernel, scanner: name of the kernel, and what a model of a scanner was set to; None where there was none.
    """

    content: str
    patient_id: str
    case: str
    door: str
    prompt: str
    weights: str
    region: str | None = None
    kernel: str | None = None
    scanner: str | None = None

    def uid(self, *role: object) -> str:
        """The UID of one thing in this case (PS3.5 B.2: 2.25. and a UUID as a decimal number)."""
        name = "/".join(str(part) for part in (self.patient_id, self.content, *role))
        return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"

    @property
    def origin(self) -> str:
        """How the voxels came about, in a sentence or two."""
        scanned = f" At last a model of a scanner changed all voxels ({self.scanner})." if self.scanner else ""
        made = f"synthct {__version__}, case {self.case}, prompt: {self.prompt}"
        return f"{_ORIGIN[self.door]}{scanned} {made}"[:_LONGEST_TEXT]

    def equipment(self) -> dict[str, str]:
        """Attributes of the General Equipment module."""
        return {
            "Manufacturer": MANUFACTURER,
            "ManufacturerModelName": f"synthct {self.door}",
            "SoftwareVersions": __version__,
            "DeviceSerialNumber": self.weights,
        }

    def stamp(self, dataset: Dataset, series: str) -> None:
        """Patient, study and the marks of synthetic data, on an object of whatever kind; dates are fixed.

        Marks: Synthetic Data (PS3.3 C.12.1.1), Contributing Equipment as synthesizing, Series Description, and how
        the voxels came about. Patient Identity Removed says that no attribute of a host was carried over.
        """
        dataset.SpecificCharacterSet = CHARACTERS
        dataset.PatientName, dataset.PatientID = f"Synthetic^{self.patient_id}", self.patient_id
        dataset.PatientBirthDate, dataset.PatientSex = "", ""
        dataset.PatientIdentityRemoved, dataset.DeidentificationMethod = "YES", _DEIDENTIFIED[self.door]
        dataset.StudyInstanceUID, dataset.StudyID = self.uid("study"), self.case[-16:]
        dataset.StudyDescription = f"SYNTHETIC {self.case}"[:64]
        dataset.AccessionNumber, dataset.ReferringPhysicianName = "", ""
        for what in ("Study", "Series", "Content", "InstanceCreation"):
            setattr(dataset, f"{what}Date", DATE)
            setattr(dataset, f"{what}Time", TIME)
        dataset.SeriesDescription = f"SYNTHETIC {series}"
        dataset.SyntheticData = "YES"
        dataset.ContributingEquipmentSequence = [self._synthesizer()]

    def _synthesizer(self) -> ContributingEquipment:
        return ContributingEquipment(
            manufacturer=MANUFACTURER,
            purpose_of_reference=codes.DCM.SynthesizingEquipment,
            manufacturer_model_name=f"synthct {self.door}",
            software_versions=__version__,
            device_serial_number=self.weights,
            contribution_description=self.origin,
        )
