"""Exports: a finished cohort in the layouts that other tools read."""

from enum import StrEnum


class Layout(StrEnum):
    """nnU-Net v2 raw, Medical Segmentation Decathlon, DICOM with SEG and SR, WebDataset shards, Hugging Face."""

    nnunet = "nnunet"
    decathlon = "decathlon"
    dicom = "dicom"
    webdataset = "webdataset"
    huggingface = "huggingface"


class Labels(StrEnum):
    """What the label maps of nnunet and decathlon hold; where it is all, lesions lie over organs."""

    lesions = "lesions"
    organs = "organs"
    all = "all"
