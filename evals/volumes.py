"""Find and read volumes: case folders, folders of CASE/ct.nii.gz, plain NIfTI files, prepared patients.

What cannot be used is named with its reason and never averaged in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from synth.case import folder as case_folder
from synth.data.dataset import region_at
from synth.data.store import INDEX, Store
from synth.errors import InputError
from synth.provenance import sha256, sha256_of_file
from synth.volumes import nifti
from synth.volumes.geometry import to_ras
from synth.volumes.types import LabelMap, Volume

LESION = "lesion"  # what any lesion is called where lesions are one class
_TARGET = "planning_target"
_LABEL_FILES = ("organs.nii.gz", "labels.nii.gz")
_SPACING_TOLERANCE_MM = 0.01
_SHOWN = 5  # bad volumes in one line


@dataclass(frozen=True)
class VolumeFiles:
    """A volume on disk: the file of its CT, and of its organ labels and lesions where there are any; or where it stands
    among the prepared patients whose index `ct` is."""

    name: str
    ct: Path
    organs: Path | None = None
    manifest: Path | None = None
    lesions: Path | None = None
    row: int | None = None


@dataclass(frozen=True)
class ReadVolume:
    """A volume that was read, in RAS order: `hu` (X, Y, Z) int16, `affine` RAS mm, `organs` on the same grid.

    `sha256` is of the files' contents. `annotated`: organs that were drawn in it (None = those that have a voxel).
    `lesions` (X, Y, Z) bool, None where the volume has no lesion map: nobody looked for lesions there.
    """

    name: str
    sha256: str
    hu: np.ndarray
    affine: np.ndarray
    organs: LabelMap | None
    annotated: tuple[str, ...] | None = None
    lesions: np.ndarray | None = None

    @property
    def spacing(self) -> np.ndarray:
        """Voxel spacing in mm, (3,)."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)


@dataclass(frozen=True)
class UsableVolume:
    """What a first look at a volume tells: its hash, shape and spacing in mm."""

    source: VolumeFiles
    sha256: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]


def find(folder: Path) -> list[VolumeFiles]:
    """The volumes in a folder, by name. Raises InputError where there is no folder or no volume in it."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check the path")
    shown = [p for p in sorted(folder.iterdir()) if not p.name.startswith(".")]
    sources = [_in_folder(p) for p in shown if (p / case_folder.CT).is_file()]
    sources += [VolumeFiles(_stem(p), p) for p in shown if p.name.endswith((".nii", ".nii.gz")) and p.is_file()]
    if (index := folder / INDEX).is_file():
        sources += [VolumeFiles(name, index, organs=index, row=row) for row, name in enumerate(prepared(index).names())]
    if not sources:
        raise InputError(
            f"{folder}: holds no volumes; it must have .nii.gz files, CASE/ct.nii.gz or patients of `synthct prepare`"
        )
    return sources


def prepared(index: Path) -> Store:
    """The patients of a split that `synthct prepare` wrote."""
    return _store(index.parent, index.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _store(folder: Path, _: int) -> Store:
    return Store(folder)


def _in_folder(folder: Path) -> VolumeFiles:
    organs = next((folder / name for name in _LABEL_FILES if (folder / name).is_file()), None)
    manifest = folder / case_folder.MANIFEST
    lesions = folder / case_folder.LESIONS
    return VolumeFiles(
        folder.name,
        folder / case_folder.CT,
        organs,
        manifest if manifest.is_file() else None,
        lesions if lesions.is_file() else None,
    )


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def read(
    source: VolumeFiles,
    organ_ids: Mapping[int, str] | None = None,
    *,
    lesions: bool = False,
    trust_hu: bool = False,
) -> ReadVolume:
    """Read one volume, with its lesion map where `lesions` are asked for.

    `organ_ids` names the ids of label files that are neither ours nor TotalSegmentator's; `lesion` is a name too.
    `trust_hu`: though the HU look cut off.

    Raises InputError, naming the file and the reason.
    """
    if source.row is not None:
        return _read_prepared(source, source.row)
    ct = nifti.read_volume(source.ct, plausible=source.manifest is None and not trust_hu)
    hu, affine = to_ras(ct.hu, ct.affine)
    organs = None
    contents = [sha256_of_file(source.ct)]
    if source.organs is not None:
        labels = _labels(source, ct, organ_ids)
        organs = LabelMap(to_ras(labels.ids, labels.affine)[0], affine, labels.names)
        contents += [sha256_of_file(source.organs), json.dumps(sorted(labels.names.items()))]
    found = None
    if lesions and source.lesions is not None:
        found = to_ras(_lesions(source.lesions, source.manifest, ct), ct.affine)[0]
        contents.append(sha256_of_file(source.lesions))
    return ReadVolume(source.name, sha256("".join(contents).encode()), hu, affine, organs, lesions=found)


def _lesions(path: Path, manifest: Path | None, ct: Volume) -> np.ndarray:
    """Voxels of any lesion; the planning targets of a generated case are no lesions."""
    ids, _ = nifti.read_ids(path, like=ct)
    names = {} if manifest is None else case_folder.read_manifest(manifest.parent)["labels"].get("lesions", {})
    return (ids > 0) & ~np.isin(ids, [int(i) for i, name in names.items() if name.startswith(_TARGET)])


def _labels(source: VolumeFiles, ct: Volume, organ_ids: Mapping[int, str] | None) -> LabelMap:
    """Names from the manifest of a case folder; else from `organ_ids`, else from labels.csv."""
    assert source.organs is not None
    if organ_ids is not None and LESION in organ_ids.values():
        return _with_lesions(source.organs, ct, organ_ids)
    if source.manifest is None or organ_ids is not None:
        return nifti.read_labels(source.organs, like=ct, organ_ids=organ_ids)
    table = case_folder.read_manifest(source.manifest.parent)["labels"]
    if "organs" not in table:
        raise InputError(f"{source.manifest}: no names under labels.organs; make the case again")
    names = {int(i): str(name) for i, name in table["organs"].items()}
    return LabelMap(*nifti.read_ids(source.organs, like=ct), names)


def _with_lesions(path: Path, ct: Volume, organ_ids: Mapping[int, str]) -> LabelMap:
    """Labels of which some ids are `lesion`, which is no organ of the label table."""
    organs = {i: name for i, name in organ_ids.items() if name != LESION}
    found = nifti.read_labels(path, ct, organs) if organs else LabelMap(*nifti.read_ids(path, ct), {})
    return replace(found, names={**found.names, **{i: LESION for i in organ_ids if i not in organs}})


def _read_prepared(source: VolumeFiles, row: int) -> ReadVolume:
    """A patient that `synthct prepare` wrote: on the frame of its region, isotropic."""
    entry, region = prepared(source.ct)[row], region_at(source.ct.parents[2])
    spacing = region.frame.size_mm[0] / entry.hu.shape[0]
    if entry.region != region.name or entry.hu.shape != region.frame.shape_at(spacing):
        raise InputError(f"{source.ct}: {source.name} is not on the {region.name} frame; prepare it again")
    affine, annotated = region.frame.affine_at(spacing), tuple(entry.annotated)
    names = {number: organ for number, organ in enumerate(region.organs, start=1) if organ in annotated}
    content = sha256(entry.hu.tobytes() + entry.organs.tobytes() + json.dumps([region.organs, annotated]).encode())
    return ReadVolume(source.name, content, entry.hu, affine, LabelMap(entry.organs, affine, names), annotated)


def survey(
    folder: Path,
    organ_ids: Mapping[int, str] | None = None,
    *,
    skip_bad: bool = False,
    trust_hu: bool = False,
    most: int | None = None,
    on_volume: Callable[[], None] = lambda: None,
) -> tuple[list[UsableVolume], dict[str, str]]:
    """Look at every volume of a folder (the first `most`) once: what can be used, and name -> reason of what cannot.

    Raises InputError, naming bad ones, unless `skip_bad`.
    """
    entries, bad = [], {}
    for source in find(folder)[:most]:
        try:
            subject = read(source, organ_ids, trust_hu=trust_hu)
            x, y, z = (round(float(s), 4) for s in subject.spacing)
            entries.append(UsableVolume(source, subject.sha256, subject.hu.shape, (x, y, z)))
        except InputError as error:
            bad[source.name] = str(error)
        on_volume()
    if bad and not skip_bad:
        more = f" | and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise InputError(
            f"{folder}: {len(bad)} of {len(bad) + len(entries)} volumes cannot be used: "
            f"{' | '.join([*bad.values()][:_SHOWN])}{more} (mend or remove them, or leave them out with --skip-bad)"
        )
    _refuse_twice(entries, folder)
    return entries, bad


def _refuse_twice(entries: Iterable[UsableVolume], folder: Path) -> None:
    seen: dict[str, str] = {}
    for entry in entries:
        if entry.sha256 in seen:
            raise InputError(
                f"{folder}: {entry.source.name} and {seen[entry.sha256]} are the same volume; remove one of the two"
            )
        seen[entry.sha256] = entry.source.name


def require_one_spacing(sets: Mapping[str, Sequence[UsableVolume]]) -> None:
    """Raise InputError, naming two volumes, unless all of all sets have one voxel spacing."""
    entries = [entry for group in sets.values() for entry in group]
    first = entries[0]
    for entry in entries[1:]:
        if not np.allclose(entry.spacing, first.spacing, atol=_SPACING_TOLERANCE_MM):
            raise InputError(
                f"mixed voxel spacing: {first.source.ct} has {_mm(first.spacing)}, {entry.source.ct} has "
                f"{_mm(entry.spacing)}; resample all to one with --spacing, for instance --spacing 4"
            )


def _mm(spacing: Sequence[float]) -> str:
    return " x ".join(f"{s:.4g}" for s in spacing) + " mm"


def mirrored(subject: ReadVolume) -> ReadVolume:
    """The left-right mirror image, without organs."""
    return replace(subject, name=f"{subject.name} (mirrored)", hu=subject.hu[::-1].copy(), organs=None)
