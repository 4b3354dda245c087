"""Which export writes which layout, and with which of the options."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from synth.errors import InputError
from synth.export import Labels, Layout
from synth.progress import Progress

_CLASSES = (Layout.nnunet, Layout.decathlon, Layout.coco)  # layouts with classes
_NEEDS = {Layout.dicom: ("highdicom", "dicom"), Layout.webdataset: ("webdataset", "webdataset")}


def write_export(
    cohort: Path, to: Layout, out: Path, labels: Labels | None, dataset_id: int | None, progress: Progress
) -> Path:
    """Write a cohort in a layout; the folder. `labels` (lesions unless said) and `dataset_id` (1) as in the command.

    Raises InputError for an option that the layout has no use for, a package that is missing, or no such cohort.
    """
    if labels is not None and to not in _CLASSES:
        raise InputError(f"--labels: {to} holds organs and lesions as they are; it is for {' and '.join(_CLASSES)}")
    if dataset_id is not None and to is not Layout.nnunet:
        raise InputError(f"--dataset-id: {to} has no numbers; it is for {Layout.nnunet}")
    module, extra = _NEEDS.get(to, ("", ""))
    if module and find_spec(module) is None:
        raise InputError(f"--to {to}: needs the package {module}; pip install 'synthct[{extra}]'")
    return _write(cohort, to, out, labels or Labels.lesions, dataset_id or 1, progress)


def _write(cohort: Path, to: Layout, out: Path, labels: Labels, dataset_id: int, progress: Progress) -> Path:
    from synth.export import datasets

    if to is Layout.nnunet:
        return datasets.export_nnunet(cohort, out, labels, dataset_id, progress)
    if to is Layout.decathlon:
        return datasets.export_decathlon(cohort, out, labels, progress)
    if to is Layout.dicom:
        from synth.export.dicom import export_dicom

        return export_dicom(cohort, out, progress)
    if to is Layout.webdataset:
        from synth.export.shards import export_webdataset

        return export_webdataset(cohort, out, progress)
    if to is Layout.coco:
        from synth.export.coco import export_coco

        return export_coco(cohort, out, labels, progress)
    from synth.export.huggingface import export_huggingface

    return export_huggingface(cohort, out, progress)
