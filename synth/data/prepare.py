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
from synth.data.measure_facts import measure
from synth.data.native import prepare_native
from synth.data.tumours import prepare_tumours
from synth.errors import InputError
from synth.facts import ORGANS
from synth.frames import HEAD_NECK
from synth.progress import Progress

PREPARED_SPACING_MM = 4.0  # close to the native in-plane spacing of the head-and-neck patients
_AIR_HU = -1000
_SOURCES = {"headneck": "openkbp"}


def anchor_mm(patient: headneck.Patient) -> np.ndarray | None:
    """Midpoint of the two parotid glands in the patient's own mm (index * spacing); None without both."""
    centres = []
    for name in ("parotid_gland_right", "parotid_gland_left"):
        where = np.argwhere(patient.organs == 1 + ORGANS.index(name))
        if not len(where):
            return None
        centres.append(where.mean(axis=0) * patient.spacing)
    return np.mean(centres, axis=0)


def place(array: np.ndarray, spacing: np.ndarray, anchor: np.ndarray, fill: float, order: int) -> np.ndarray:
    """Sample an RAS array onto the head-and-neck frame at 4 mm, the anchor at the frame's origin."""
    affine = HEAD_NECK.affine_at(PREPARED_SPACING_MM)
    scale = PREPARED_SPACING_MM / spacing
    offset = (affine[:3, 3] + anchor) / spacing
    shape = HEAD_NECK.shape_at(PREPARED_SPACING_MM)
    return ndimage.affine_transform(array, scale, offset, output_shape=shape, order=order, cval=fill)


def prepare_patients(
    patients: Iterable[headneck.Patient], source: str, out: Path, on_patient: Callable[[], None] = lambda: None
) -> int:
    """Write one .npz for every patient with both parotids annotated; returns how many."""
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for patient in patients:
        on_patient()
        anchor = anchor_mm(patient)
        if anchor is None:
            continue
        hu = place(patient.hu.astype(np.float32), patient.spacing, anchor, _AIR_HU, order=1)
        hu = np.rint(hu).astype(np.int16)
        organs = place(patient.organs, patient.spacing, anchor, 0, order=0)
        dose = place(patient.dose, patient.spacing, anchor, 0, order=0)
        facts = measure(hu, organs, dose, patient.annotated, HEAD_NECK.affine_at(PREPARED_SPACING_MM))
        about = {
            "name": patient.name,
            "annotated": patient.annotated,
            "facts": facts,
            "source": _SOURCES.get(source, source),
        }
        about |= {"report": patient.report} if patient.report else {}
        np.savez_compressed(out / f"{patient.name}.npz", hu=hu, organs=organs, dose=dose, about=json.dumps(about))
        count += 1
    return count


def write_priors(prepared: Path, out: Path) -> int:
    """Write the facts of all prepared subjects of a folder as the priors.json that plans draw from."""
    patients = []
    for file in sorted(prepared.glob("*.npz")):
        with np.load(file) as data:
            facts = json.loads(str(data["about"]))["facts"]
        patients.append({name: round(value, 2) for name, value in facts.items()})
    lines = ",\n".join(json.dumps(p) for p in patients)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(f'{{"patients": [\n{lines}\n]}}\n')
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
) -> dict[str, int]:
    """Write a whole training set: head-and-neck patients by split, CT at native spacing, tumours; returns counts.

    `patients`: a folder of your own (synth.data.own); `organ_ids`: names of the ids of its labels; `trust_labels`: take
    them where they do not look like those of their CT. With `priors`, also the facts that plans draw from, measured on
    the training split. Raises InputError for a folder that is missing or
    lists no patients, before anything is written.
    """
    progress = progress or Progress(quiet=True)
    parts = _found(headneck_root, patients, native, priors, organ_ids, lesions, trust_labels)
    counts: dict[str, int] = {}
    for part in parts:
        name = f"{part.source}/{part.split}"
        with progress.step(name, part.listed) as step:
            folder = out / "headneck" / part.split
            counts[name] = prepare_patients(part.read(), part.source, folder, step.advance)
    if priors is not None:
        counts["priors"] = write_priors(out / "headneck" / "train", priors)
    for folder in native:
        with progress.step(f"native/{folder.name}", 1):
            counts[f"native/{folder.name}"] = prepare_native(folder, out / "native" / "train")
    if lesions is not None:
        with progress.step(tumours.FOLDER, 1):
            held = prepare_tumours(lesions, out / tumours.FOLDER, lesion_id)
        counts |= {f"{tumours.FOLDER}/{split}": count for split, count in held.items()}
    if left_out := sum(part.listed for part in parts) - sum(counts[f"{p.source}/{p.split}"] for p in parts):
        counts["left out, for want of a parotid gland to place them by"] = left_out
    return counts


def _found(
    headneck_root: Path | None,
    patients: Path | None,
    native: Sequence[Path],
    priors: Path | None,
    organ_ids: Mapping[int, str] | None,
    lesions: Path | None,
    trust_labels: bool,
) -> list[Part]:
    """What is to be prepared; InputError for what is not there."""
    if headneck_root is None and patients is None and not native and lesions is None:
        raise InputError("prepare: no data named; give --headneck, --patients, --native or --lesions")
    if headneck_root is None and patients is None and priors is not None:
        raise InputError(f"--priors {priors}: priors are measured on head-and-neck patients; give some of these too")
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
    parts = [] if headneck_root is None else _openkbp(headneck_root)
    if patients is not None:
        parts += _own(patients, organ_ids, {file.name for file in _folders_of(headneck_root)}, trust_labels)
    return parts


def _openkbp(root: Path) -> list[Part]:
    parts = [
        Part("headneck", split, len(headneck.index_rows(root, split)), partial(headneck.patients, root, split))
        for split in ("train", "val")
    ]
    if not parts[0].listed:
        raise InputError(f"{root / 'index.csv'}: no case with split 'train'; name some patients so")
    return parts


def _own(root: Path, organ_ids: Mapping[int, str] | None, taken: Container[str], trust_labels: bool) -> list[Part]:
    folders = own.cases(root)
    if twice := [folder for folder in folders if folder.name in taken]:
        raise InputError(f"--patients {twice[0]}: --headneck has a case of this name too; rename one of them")
    if missing := [folder for folder in folders if not (folder / "organs.nii.gz").is_file()]:
        raise InputError(f"--patients {missing[0]}: no organs.nii.gz in it; label both parotid glands at least")
    splits = {split: [f for f in folders if own.split_of(f.name) == split] for split in ("train", "val")}
    return [
        Part("patients", split, len(f), partial(own.patients, f, organ_ids, trust_labels))
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
