"""Source: CT-RATE as it lies on disk (Hamamci et al. 2024), chest CT with reports.

ROOT/**/VOLUME.nii.gz    train_1_a_2.nii.gz: patient 1, scan a, reconstruction 2
ROOT/**/*.csv            told apart by their columns: reports (Findings_EN, Impressions_EN), metadata (XYSpacing, ..)
                         and labels (18 columns of 0 and 1), each by VolumeName
MASKS/VOLUME.nii.gz      or MASKS/VOLUME/liver.nii.gz, ..: TotalSegmentator's output on the volumes as they lie there

The headers are not to be trusted: spacing, origin and orientation may be wrong, stored numbers may be before or after
the rescale, and the axes may stand in reverse. The metadata table says it right, and everything is rebuilt from it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from pathlib import Path

import numpy as np

from synth.data.sources.listing import Listed, Listing, SourceScan, columns_of, sex, split_of, table_rows, years
from synth.errors import InputError
from synth.volumes import labels, nifti
from synth.volumes.geometry import check_affine, to_ras, voxel_spacing
from synth.volumes.label_check import require_match
from synth.volumes.types import HU_MAX, HU_MIN, LabelMap, Volume

NAME = "VolumeName"
_GEOMETRY = ("RescaleSlope", "RescaleIntercept", "XYSpacing", "ZSpacing")
_REPORT = ("Findings_EN", "Impressions_EN")
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SPACING_MM = (0.1, 10.0)
_AIR_HU, _TISSUE_HU = (-1150.0, -700.0), (-150.0, 200.0)  # a chest CT has both: air or lung, and fat or muscle
_SHARE = 0.05  # of the voxels, at least, in either
_SUFFIX = ".nii.gz"
Rows = dict[str, dict[str, str]]


@dataclass(frozen=True)
class StoredGeometry:
    """What the metadata say of a volume: HU = slope * stored + intercept, the affine (RAS mm) of an array (columns,
    rows, slices), and how many of each there are (None: not said)."""

    slope: float
    intercept: float
    affine: np.ndarray
    shape: tuple[int, int, int] | None


def listing(root: Path, masks: Path | None = None, trust_labels: bool = False) -> Listing:
    """The volumes below a folder that its tables describe. Raises InputError where the metadata or all are missing."""
    found = Listing()
    tables = _tables(root, found)
    volumes = sorted(p for p in root.rglob(f"*{_SUFFIX}") if masks is None or not p.is_relative_to(masks))
    if not volumes:
        raise InputError(f"{root}: no .nii.gz below it; give the folder that holds CT-RATE's volumes and tables")
    if not tables["metadata"]:
        raise InputError(f"{root}: no CSV with {NAME}, {', '.join(_GEOMETRY)} below it; add the metadata of CT-RATE")
    for path in volumes:
        name = path.name.removesuffix(_SUFFIX)
        if name in found.left_out:
            continue
        if name not in tables["metadata"]:
            found.left_out[name] = "no row in the metadata"
            continue
        columns = _columns(tables["metadata"][name], tables["labels"].get(name, {}))
        said = _report(tables["reports"].get(name)), columns
        read = partial(read_scan, path, tables["metadata"][name], masks, *said, trust_labels)
        found.scans.append(Listed(name, _split(name), read))
    for kind, rows in tables.items():
        if rows:
            found.count({path.name.removesuffix(_SUFFIX) for path in volumes}, rows.keys(), "volume", f"row of {kind}")
    return found


def _tables(root: Path, found: Listing) -> dict[str, Rows]:
    """Rows by volume of each kind of table; a bad row leaves its volume out."""
    tables: dict[str, Rows] = {"metadata": {}, "reports": {}, "labels": {}}
    for path in sorted(root.rglob("*.csv")):
        columns = columns_of(path)
        if NAME not in columns:
            continue
        kind = "metadata" if set(_GEOMETRY) <= set(columns) else "reports" if set(_REPORT) & set(columns) else "labels"
        for line, row in table_rows(path):
            if row is None:
                found.left_out[f"{path.name} line {line}"] = "other cells than its header"
                continue
            name = row.pop(NAME).removesuffix(_SUFFIX)
            if tables[kind].setdefault(name, row) != row:
                found.left_out[name] = f"two rows that differ in the {kind}"
    return tables


def _split(name: str) -> str:
    """CT-RATE's own: `train_..` and `valid_..`."""
    parts = name.split("_")
    return {"train": "train", "valid": "val"}.get(parts[0]) or split_of("_".join(parts[:2]))


def _report(row: Mapping[str, str] | None) -> str:
    """Findings, then the impression."""
    said = [row.get(column, "") for column in _REPORT] if row else []
    return " ".join(" ".join(part.split()) for part in said if part and part.lower() != "nan")


def _columns(metadata: Mapping[str, str], flags: Mapping[str, str]) -> dict[str, str]:
    """The 18 labels as they are called, `sex` (F, M) and `age_years`."""
    about = {"sex": sex(metadata.get("PatientSex", "")), "age_years": years(metadata.get("PatientAge", ""))}
    return {key: value for key, value in {**flags, **about}.items() if value}


def read_scan(
    path: Path,
    metadata: Mapping[str, str],
    masks: Path | None,
    report: str,
    columns: Mapping[str, str],
    trust_labels: bool = False,
) -> SourceScan:
    """A volume in HU and mm, RAS.

    Raises InputError where its file or its row cannot be used, and for masks of another CT unless they are trusted.
    """
    geometry = geometry_of(metadata)
    stored = nifti.read_stored(path)
    turn = _turn(stored.shape, geometry.shape)
    hu, affine = to_ras(_hu(stored, geometry).transpose(turn), geometry.affine)
    hu = np.ascontiguousarray(hu)
    found = None if masks is None else _organs(masks, path.name.removesuffix(_SUFFIX), stored.shape)
    organs = None
    if found is not None:
        ids, names = found
        organs = LabelMap(to_ras(ids.transpose(turn), geometry.affine)[0], affine, names)
        require_match(Volume(hu, affine), organs, f"masks of {path.name}", trust=trust_labels)
    return SourceScan(hu, voxel_spacing(affine), organs, None, report, columns)


def geometry_of(row: Mapping[str, str]) -> StoredGeometry:
    """A row of the metadata, checked. Raises InputError naming the column and its value."""
    x, y = _numbers(row, "XYSpacing", 2)
    (z,) = _numbers(row, "ZSpacing", 1)
    for column, value in (("XYSpacing", x), ("XYSpacing", y), ("ZSpacing", z)):
        if not _SPACING_MM[0] <= value <= _SPACING_MM[1]:
            raise InputError(f"{column} {value:g} is no spacing of a CT in mm")
    (slope,), (intercept,) = _numbers(row, "RescaleSlope", 1), _numbers(row, "RescaleIntercept", 1)
    if slope <= 0:
        raise InputError(f"RescaleSlope {slope:g} is not above 0")
    along = np.array(_numbers(row, "ImageOrientationPatient", 6, (1, 0, 0, 0, 1, 0))).reshape(2, 3)
    origin = _numbers(row, "ImagePositionPatient", 3, (0, 0, 0))
    affine = np.eye(4)
    affine[:3, :3] = np.stack([x * along[0], y * along[1], z * np.cross(*along)], axis=1)
    affine[:3, 3] = origin
    if not np.allclose(along @ along.T, np.eye(2), atol=1e-2):
        raise InputError(f"ImageOrientationPatient {row['ImageOrientationPatient']} is no pair of directions")
    sizes = [row.get(column, "") for column in ("Columns", "Rows", "NumberofSlices")]
    shape = tuple(int(float(n)) for n in sizes) if all(_is_count(n) for n in sizes) else None
    return StoredGeometry(slope, intercept, check_affine(_LPS_TO_RAS @ affine), shape)  # type: ignore[arg-type]


def _is_count(text: str) -> bool:
    try:
        return 1 <= float(text) < 1e5
    except ValueError:
        return False


def _numbers(row: Mapping[str, str], column: str, count: int, default: tuple[float, ...] | None = None) -> list[float]:
    """The numbers of a cell such as `0.75`, `[0.75, 0.75]`; one number for two is both."""
    text = row.get(column, "")
    if default is not None and text.strip() in ("", "nan"):
        return list(default)
    try:
        found = json.loads(text)
        values = [float(v) for v in (found if isinstance(found, list) else [found])]
    except (ValueError, TypeError):
        values = []
    values = values * count if len(values) == 1 else values
    if len(values) != count or not all(map(math.isfinite, values)):
        raise InputError(
            f"{column} '{text[:40]}' in the metadata is no {'number' if count == 1 else f'{count} numbers'}"
        )
    return values


def _turn(stored: tuple[int, ...], said: tuple[int, int, int] | None) -> tuple[int, ...]:
    """The order of the stored axes that makes them columns, rows and slices.

    As they are where that fits what the metadata say; else in reverse (arrays saved as slices, rows, columns); else the
    one order that fits. Raises InputError where none does.
    """
    if said is None:
        return (0, 1, 2)
    for order in ((0, 1, 2), (2, 1, 0), *permutations(range(3))):
        if tuple(stored[i] for i in order) == said:
            return order
    raise InputError(f"{tuple(stored)} voxels where the metadata say {said} (columns, rows, slices)")


def _hu(stored: np.ndarray, geometry: StoredGeometry) -> np.ndarray:
    """int16 HU of stored numbers, rescaled as the metadata say or, where they are so already, as they are.

    Air and soft tissue tell which: a chest CT has both. Raises InputError where neither way gives them.
    """
    if stored.dtype.kind == "f" and not np.isfinite(stored).all():
        raise InputError("voxels are NaN or infinite")
    for slope, intercept in ((geometry.slope, geometry.intercept), (1.0, 0.0)):
        if _is_chest(stored[::4, ::4, ::2].astype(np.float32) * slope + intercept):
            hu = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
            return np.rint(hu.clip(HU_MIN, HU_MAX)).astype(np.int16)
    given = f"with slope {geometry.slope:g} and intercept {geometry.intercept:g} or without"
    raise InputError(f"no air at -1000 HU beside soft tissue at 0 HU, {given}")


def _is_chest(hu: np.ndarray) -> bool:
    return all(((hu > low) & (hu < high)).mean() >= _SHARE for low, high in (_AIR_HU, _TISSUE_HU))


def _organs(masks: Path, name: str, shape: tuple[int, ...]) -> tuple[np.ndarray, dict[int, str]] | None:
    """Ids of labels.csv on the stored grid, and their names; None where there is no mask of this volume."""
    file, folder = masks / f"{name}{_SUFFIX}", masks / name
    known = labels.names()
    if file.is_file():
        ids = nifti.as_ids(nifti.read_stored(file), file)
    elif folder.is_dir():
        ids = np.zeros(shape, np.uint8)
        for mask in sorted(folder.glob(f"*{_SUFFIX}")):
            if (organ := labels.ids().get(mask.name.removesuffix(_SUFFIX))) is not None:
                ids[_fitting(nifti.read_stored(mask), shape, mask) > 0] = organ
    else:
        return None
    ids = _fitting(ids, shape, file)
    return ids, {int(i): known[int(i)] for i in np.unique(ids) if int(i) in known}


def _fitting(mask: np.ndarray, shape: tuple[int, ...], path: Path) -> np.ndarray:
    if mask.shape != tuple(shape):
        raise InputError(f"mask {path.name}: {mask.shape} voxels, not the CT's {tuple(shape)}")
    return mask
