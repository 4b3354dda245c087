"""Patients on disk -> prepared training subjects: one .npz each, on the grid that training reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from synth.data import headneck, own, tumours
from synth.data.native import prepare_native
from synth.data.tumours import prepare_tumours
from synth.errors import InputError
from synth.files.arrays import TEXT, read_arrays, write_arrays
from synth.files.documents import parse_json
from synth.progress import Progress
from synth.regions import Frame, Region, shipped
from synth.regions.prior import FILE as PRIOR_FILE
from synth.regions.prior import Prior
from synth.regions.region import FILE as REGION_FILE
from synth.regions.region import with_scales

PREPARED_SPACING_MM = 4.0  # close to the native in-plane spacing of the head-and-neck patients
_AIR_HU = -1000
_SOURCES = {"headneck": "openkbp"}


def anchor_mm(patient: headneck.Patient, region: Region) -> np.ndarray | None:
    """The region's anchor in the patient's own mm (index * spacing); None where it is not to be told."""
    masks = {name: patient.organs == number for number, name in enumerate(region.organs, start=1)}
    return region.find_anchor(patient.hu, patient.spacing, masks)


def place(
    array: np.ndarray, spacing: np.ndarray, anchor: np.ndarray, frame: Frame, fill: float, order: int
) -> np.ndarray:
    """Sample an RAS array onto a frame at 4 mm, the anchor at the frame's origin."""
    affine = frame.affine_at(PREPARED_SPACING_MM)
    scale = PREPARED_SPACING_MM / spacing
    offset = (affine[:3, 3] + anchor) / spacing
    shape = frame.shape_at(PREPARED_SPACING_MM)
    return ndimage.affine_transform(array, scale, offset, output_shape=shape, order=order, cval=fill)


def prepare_patients(
    patients: Iterable[headneck.Patient],
    source: str,
    out: Path,
    region: Region,
    on_patient: Callable[[], None] = lambda: None,
) -> int:
    """Write one .npz for every patient whose anchor is found; returns how many."""
    out.mkdir(parents=True, exist_ok=True)
    count, frame = 0, region.frame
    for patient in patients:
        on_patient()
        anchor = anchor_mm(patient, region)
        if anchor is None:
            continue
        hu = place(patient.hu.astype(np.float32), patient.spacing, anchor, frame, _AIR_HU, order=1)
        hu = np.rint(hu).astype(np.int16)
        organs = place(patient.organs, patient.spacing, anchor, frame, 0, order=0)
        dose = place(patient.dose, patient.spacing, anchor, frame, 0, order=0)
        affine = frame.affine_at(PREPARED_SPACING_MM)
        facts = region.measure(region.placed(hu, affine, organs, dose, patient.annotated, patient.columns))
        about = {
            "name": patient.name,
            "region": region.name,
            "annotated": patient.annotated,
            "facts": facts,
            "source": _SOURCES.get(source, source),
        }
        about |= {"report": patient.report} if patient.report else {}
        write_arrays(out / f"{patient.name}.npz", hu=hu, organs=organs, dose=dose, about=json.dumps(about))
        count += 1
    return count


def write_priors(prepared: Path, out: Path, region: Region) -> int:
    """Write the facts of the prepared subjects of a folder as the prior that plans draw from."""
    patients = []
    for file in sorted(prepared.glob("*.npz")):
        patients.append(_facts_in(file))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(Prior(region, tuple(patients)).to_json())
    return len(patients)


@dataclass(frozen=True)
class Part:
    """Patients of one source and split, how many it lists, and how to read them."""

    source: str
    split: str
    listed: int
    read: Callable[[], Iterator[headneck.Patient]]


def prepare(
    headneck_root: Path | None,
    native: Sequence[Path],
    out: Path,
    priors: Path | None = None,
    progress: Progress | None = None,
    *,
    patients: Path | None = None,
    organ_ids: Mapping[int, str] | None = None,
    lesions: Path | None = None,
    lesion_id: int = 1,
    trust_labels: bool = False,
    region: Region | None = None,
) -> dict[str, int]:
    """Write a whole training set: patients of a region by split, CT at native spacing, tumours; returns counts.

    `patients`: a folder of your own (synth.data.own); `organ_ids`: names of the ids of its labels; `trust_labels`: take
    them where they do not look like those of their CT. With `priors`, also the facts that plans draw from, measured on
    the training split. `region` is head and neck unless it is another. Raises InputError for a folder that is missing
    or lists no patients, before anything is written.
    """
    progress, region = progress or Progress(quiet=True), region or shipped()
    parts = _found(headneck_root, patients, native, priors, organ_ids, lesions, trust_labels, region)
    counts: dict[str, int] = {}
    for part in parts:
        name = f"{part.source}/{part.split}"
        with progress.step(name, part.listed) as step:
            folder = out / "headneck" / part.split
            counts[name] = prepare_patients(part.read(), part.source, folder, region, step.advance)
    if parts:
        region = _write_region(region, out)
        write_priors(out / "headneck" / "train", out / PRIOR_FILE, region)
    if priors is not None:
        counts["priors"] = write_priors(out / "headneck" / "train", priors, region)
    for folder in native:
        with progress.step(f"native/{folder.name}", 1):
            counts[f"native/{folder.name}"] = prepare_native(folder, out / "native" / "train")
    if lesions is not None:
        with progress.step(tumours.FOLDER, 1):
            held = prepare_tumours(lesions, out / tumours.FOLDER, lesion_id)
        counts |= {f"{tumours.FOLDER}/{split}": count for split, count in held.items()}
    if left_out := sum(part.listed for part in parts) - sum(counts[f"{p.source}/{p.split}"] for p in parts):
        counts[f"left out, for want of {_needed(region)} to place them by"] = left_out
    return counts


def _needed(region: Region) -> str:
    """What the anchor of a region is told from."""
    return " and ".join(region.anchor.organs).replace("_", " ") or "an anchor"


def _facts_in(file: Path) -> dict[str, float]:
    """The facts of a prepared subject. Raises InputError."""
    about = parse_json(str(read_arrays(file, {"about": TEXT}, remedy=_AGAIN)["about"]), str(file), remedy=_AGAIN)
    if not isinstance(about, dict) or not isinstance(facts := about.get("facts"), dict):
        raise InputError(f"{file}: names no facts; {_AGAIN}")
    return facts


_AGAIN = "prepare it again"


def _write_region(region: Region, out: Path) -> Region:
    """Keep the region with the patients, the scales of its facts measured where it does not state them."""
    facts = []
    for file in sorted((out / "headneck" / "train").glob("*.npz")):
        facts.append(_facts_in(file))
    full = with_scales(region, facts)
    (out / REGION_FILE).write_text(full.text, encoding="utf-8")
    return full


def _found(
    headneck_root: Path | None,
    patients: Path | None,
    native: Sequence[Path],
    priors: Path | None,
    organ_ids: Mapping[int, str] | None,
    lesions: Path | None,
    trust_labels: bool,
    region: Region,
) -> list[Part]:
    """What is to be prepared; InputError for what is not there."""
    if headneck_root is None and patients is None and not native and lesions is None:
        raise InputError("prepare: no data named; give --headneck, --patients, --native or --lesions")
    if headneck_root is None and patients is None and priors is not None:
        raise InputError(f"--priors {priors}: priors are measured on the patients of a region; give some of these too")
    named = (
        ("--headneck", headneck_root),
        ("--patients", patients),
        ("--lesions", lesions),
        *(("--native", folder) for folder in native),
    )
    for option, folder in named:
        if folder is not None and not folder.is_dir():
            raise InputError(f"{option} {folder}: no such folder; check the path")
    _require_distinct(native)
    parts = [] if headneck_root is None else _openkbp(headneck_root, region)
    if patients is not None:
        taken = {file.name for file in _folders_of(headneck_root)}
        parts += _own(patients, region, organ_ids, taken, trust_labels)
    return parts


def _openkbp(root: Path, region: Region) -> list[Part]:
    parts = [
        Part("headneck", split, len(headneck.index_rows(root, split)), partial(headneck.patients, root, split, region))
        for split in ("train", "val")
    ]
    if not parts[0].listed:
        raise InputError(f"{root / 'index.csv'}: no case with split 'train'; name some patients so")
    return parts


def _own(
    root: Path, region: Region, organ_ids: Mapping[int, str] | None, taken: Container[str], trust_labels: bool
) -> list[Part]:
    folders = own.cases(root)
    if twice := [folder for folder in folders if folder.name in taken]:
        raise InputError(f"--patients {twice[0]}: --headneck has a case of this name too; rename one of them")
    missing = [folder for folder in folders if not (folder / "organs.nii.gz").is_file()]
    if missing and region.anchor.organs:
        raise InputError(f"--patients {missing[0]}: no organs.nii.gz in it; label {_needed(region)} at least")
    splits = {split: [f for f in folders if own.split_of(f.name) == split] for split in ("train", "val")}
    return [
        Part("patients", split, len(f), partial(own.patients, f, region, organ_ids, trust_labels))
        for split, f in splits.items()
    ]


def _folders_of(root: Path | None) -> list[Path]:
    return [] if root is None else [folder for split in ("train", "val") for folder in (root / split).glob("*")]


def _require_distinct(folders: Sequence[Path]) -> None:
    """InputError where two folders hold a case of one name: the second would replace the first."""
    seen: dict[str, Path] = {}
    for folder in folders:
        for case in (file.name for file in own.cases(folder)):
            if case in seen:
                raise InputError(f"--native {folder}: case '{case}' is in {seen[case]} too; rename one of them")
            seen[case] = folder
