"""nnU-Net v2 raw and Medical Segmentation Decathlon: folders of images and labels with a dataset.json."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth import case_folder, nifti
from synth.case_folder import explained
from synth.cohort import layout
from synth.cohort.load import load_cohort
from synth.errors import InputError
from synth.export import Labels
from synth.export.classes import class_numbers, label_map
from synth.progress import Progress

TEST = "test"  # the part of a split that nnU-Net and the Decathlon keep apart
_ENDING = ".nii.gz"


@dataclass(frozen=True)
class Source:
    """A finished cohort as an export sees it: its cases, the classes of their labels, and its cohort.json."""

    folder: Path
    cases: list[dict[str, Any]]
    numbers: dict[str, int]
    cohort: dict[str, Any]


def export_nnunet(cohort: Path, out: Path, labels: Labels, dataset_id: int, progress: Progress) -> Path:
    """`out`/DatasetNNN_NAME as nnU-Net v2 reads it; returns that folder.

    Cases of the part `test` go to imagesTs and labelsTs, all others to imagesTr and labelsTr; splits_final.json has
    the cohort's own train and validation cases, for nnUNet_preprocessed. Raises InputError, OutputError.
    """
    source = _source(cohort, labels)
    name = "".join(c if c.isalnum() else "_" for c in source.cohort["name"])
    return _whole(out / f"Dataset{dataset_id:03d}_{name}", lambda partial: _nnunet(source, partial, progress))


def export_decathlon(cohort: Path, out: Path, labels: Labels, progress: Progress) -> Path:
    """`out` with imagesTr, labelsTr, imagesTs, labelsTs and the dataset.json of `monai.data.load_decathlon_datalist`.

    The lists `training`, `validation` and `test` are the parts of the cohort's split. Raises InputError, OutputError.
    """
    source = _source(cohort, labels)
    return _whole(out, lambda partial: _decathlon(source, partial, progress))


def _source(cohort: Path, labels: Labels) -> Source:
    cases = load_cohort(cohort)
    numbers = class_numbers(cohort, [case["case"] for case in cases], labels)
    return Source(cohort, cases, numbers, json.loads((cohort / layout.COHORT).read_text(encoding="utf-8")))


def _nnunet(source: Source, out: Path, progress: Progress) -> None:
    _write_pairs(source, out, "_0000", progress)
    training = [case for case in source.cases if case["split"] != TEST]
    description = _description(source) | {
        "channel_names": {"0": "CT"},
        "labels": source.numbers,
        "numTraining": len(training),
        "file_ending": _ENDING,
    }
    _write_json(out / "dataset.json", description)
    parts = {part: [c["case"] for c in training if c["split"] == part] for part in ("train", "val")}
    if all(parts.values()):
        _write_json(out / "splits_final.json", [parts])


def _decathlon(source: Source, out: Path, progress: Progress) -> None:
    _write_pairs(source, out, "", progress)
    parts = {"training": "train", "validation": "val", "test": TEST}
    lists = {key: [_pair(case) for case in source.cases if case["split"] == part] for key, part in parts.items()}
    description = _description(source) | {
        "modality": {"0": "CT"},
        "tensorImageSize": "3D",
        "labels": {str(number): name for name, number in source.numbers.items()},
        "numTraining": len(lists["training"]),
        "numTest": len(lists["test"]),
        **lists,
    }
    _write_json(out / "dataset.json", description)


def _description(source: Source) -> dict[str, Any]:
    """What either dataset.json says of the cohort; every case is marked as synthetic."""
    return {
        "name": source.cohort["name"],
        "description": f"{source.cohort['description']} Synthetic CT made with synthct.".strip(),
        "licence": source.cohort["licence"],
        "reference": nifti.MARK,
        "release": source.cohort["synthct"],
        "synthetic": {case["case"]: True for case in source.cases},
    }


def _write_pairs(source: Source, out: Path, channel: str, progress: Progress) -> None:
    """The CT of each case as it is, bytes and grid, and its label map of classes."""
    for part in ("Tr", "Ts"):
        (out / f"images{part}").mkdir(parents=True)
        (out / f"labels{part}").mkdir()
    with progress.step("export", len(source.cases)) as step:
        for case in source.cases:
            content, *_ = case_folder.read_case(layout.case_folder(source.folder, case["case"]))
            place = _place(case)
            shutil.copyfile(case["image"], out / f"images{place}" / f"{case['case']}{channel}{_ENDING}")
            nifti.write_labels(out / f"labels{place}" / f"{case['case']}{_ENDING}", label_map(content, source.numbers))
            step.advance()


def _pair(case: dict[str, Any]) -> dict[str, str]:
    return {what: f"{what}s{_place(case)}/{case['case']}{_ENDING}" for what in ("image", "label")}


def _place(case: dict[str, Any]) -> str:
    return "Ts" if case["split"] == TEST else "Tr"


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _whole(out: Path, write: Callable[[Path], None]) -> Path:
    """Write a folder under a hidden name and rename it, so that it is whole or not there."""
    if out.exists():
        raise InputError(f"{out}: is there already; choose another --out or remove it")
    partial = out.parent / f".{out.name}.partial"
    with explained(out):
        shutil.rmtree(partial, ignore_errors=True)
        try:
            write(partial)
            partial.rename(out)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return out
