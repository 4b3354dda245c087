"""nnU-Net v2 raw and Medical Segmentation Decathlon: folders of images and labels with a dataset.json."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from synth.case import folder as case_folder
from synth.export import Labels
from synth.export.classes import class_numbers, label_map
from synth.export.source import CohortSource, intact, read_source, write_json
from synth.files.whole import new_folder
from synth.progress import Progress
from synth.volumes import nifti

TEST = "test"  # the part of a split that nnU-Net and the Decathlon keep apart
_ENDING = ".nii.gz"


def export_nnunet(cohort: Path, out: Path, labels: Labels, dataset_id: int, progress: Progress) -> Path:
    """`out`/DatasetNNN_NAME as nnU-Net v2 reads it; returns that folder.

    Cases of the part `test` go to imagesTs and labelsTs, all others to imagesTr and labelsTr; splits_final.json has
    the cohort's own train and validation cases, for nnUNet_preprocessed. Raises InputError, OutputError.
    """
    source = read_source(cohort)
    numbers = _class_numbers(source, labels)
    name = "".join(c if c.isalnum() else "_" for c in source.cohort.name)
    return new_folder(
        out / f"Dataset{dataset_id:03d}_{name}", lambda partial: _nnunet(source, numbers, partial, progress)
    )


def export_decathlon(cohort: Path, out: Path, labels: Labels, progress: Progress) -> Path:
    """`out` with imagesTr, labelsTr, imagesTs, labelsTs and the dataset.json of `monai.data.load_decathlon_datalist`.

    The lists `training`, `validation` and `test` are the parts of the cohort's split. Raises InputError, OutputError.
    """
    source = read_source(cohort)
    numbers = _class_numbers(source, labels)
    return new_folder(out, lambda partial: _decathlon(source, numbers, partial, progress))


def _class_numbers(source: CohortSource, labels: Labels) -> dict[str, int]:
    return class_numbers(source.folder, [case["case"] for case in source.cases], labels)


def _nnunet(source: CohortSource, numbers: dict[str, int], out: Path, progress: Progress) -> None:
    _write_pairs(source, numbers, out, "_0000", progress)
    training = [case for case in source.cases if case["split"] != TEST]
    description = _description(source) | {
        "channel_names": {"0": "CT"},
        "labels": numbers,
        "numTraining": len(training),
        "file_ending": _ENDING,
    }
    write_json(out / "dataset.json", description)
    parts = {part: [c["case"] for c in training if c["split"] == part] for part in ("train", "val")}
    if all(parts.values()):
        write_json(out / "splits_final.json", [parts])


def _decathlon(source: CohortSource, numbers: dict[str, int], out: Path, progress: Progress) -> None:
    _write_pairs(source, numbers, out, "", progress)
    parts = {"training": "train", "validation": "val", "test": TEST}
    lists = {key: [_pair(case) for case in source.cases if case["split"] == part] for key, part in parts.items()}
    description = _description(source) | {
        "modality": {"0": "CT"},
        "tensorImageSize": "3D",
        "labels": {str(number): name for name, number in numbers.items()},
        "numTraining": len(lists["training"]),
        "numTest": len(lists["test"]),
        **lists,
    }
    write_json(out / "dataset.json", description)


def _description(source: CohortSource) -> dict[str, Any]:
    """What either dataset.json says of the cohort; every case is marked as synthetic."""
    return {
        "name": source.cohort.name,
        "description": f"{source.cohort.description} Synthetic CT made with synthct.".strip(),
        "licence": source.cohort.licence,
        "reference": nifti.MARK,
        "release": source.cohort.synthct,
        "synthetic": {case["case"]: True for case in source.cases},
    }


def _write_pairs(source: CohortSource, numbers: dict[str, int], out: Path, channel: str, progress: Progress) -> None:
    """The CT of each case as it is, bytes and grid, and its label map of classes."""
    for part in ("Tr", "Ts"):
        (out / f"images{part}").mkdir(parents=True)
        (out / f"labels{part}").mkdir()
    with progress.step("export", len(source.cases)) as step:
        for case in source.cases:
            folder, place = source.case_folder(case), _place(case)
            with intact(folder):
                content, *_ = case_folder.read_case(folder)
                shutil.copyfile(case["image"], out / f"images{place}" / f"{case['case']}{channel}{_ENDING}")
                nifti.write_labels(out / f"labels{place}" / f"{case['case']}{_ENDING}", label_map(content, numbers))
            step.advance()


def _pair(case: dict[str, Any]) -> dict[str, str]:
    return {what: f"{what}s{_place(case)}/{case['case']}{_ENDING}" for what in ("image", "label")}


def _place(case: dict[str, Any]) -> str:
    return "Ts" if case["split"] == TEST else "Tr"
