"""Exports: a finished cohort in the layouts that other tools read."""

from enum import StrEnum


class Layout(StrEnum):
    """nnU-Net v2 raw, Decathlon, DICOM with SEG and SR, WebDataset, Hugging Face, COCO of films."""

    nnunet = "nnunet"
    decathlon = "decathlon"
    dicom = "dicom"
    webdataset = "webdataset"
    huggingface = "huggingface"
    coco = "coco"


class Labels(StrEnum):
    """What label maps of nnunet and decathlon, and boxes of coco, hold; in a map of all, lesions lie over organs."""

    lesions = "lesions"
    organs = "organs"
    all = "all"
