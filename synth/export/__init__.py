"""Exports: a finished cohort in the layouts that other tools read."""

from enum import StrEnum


class Layout(StrEnum):
    """nnU-Net v2 raw, Medical Segmentation Decathlon."""

    nnunet = "nnunet"
    decathlon = "decathlon"


class Labels(StrEnum):
    """What the label maps of an export hold; where it is all, lesions lie over organs."""

    lesions = "lesions"
    organs = "organs"
    all = "all"
