"""Source: patients of your own, a folder each, and a table of what is said of them.

CASE/ct.nii.gz        or CASE/ct/ with the DICOM series
CASE/organs.nii.gz    or CASE/labels.nii.gz: ids of labels.csv (TotalSegmentator's), or what --organ-ids names; optional
                      where the region is placed by air or by the body
CASE/targets.nii.gz   optional: prescribed dose of the planning targets in Gy, 0 outside
CASE/report.txt       optional: what was said of the scan
table.csv             optional: column `case`, and any of `patient`, `split`, `report`, `sex`, `age`, and labels
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from synth.data.sources.listing import Listed, Listing, SourceScan, columns_of, sex, split_of, table_rows, years
from synth.errors import InputError
from synth.files.content import text_of
from synth.volumes import nifti
from synth.volumes.geometry import to_ras, voxel_spacing
from synth.volumes.host import labels_of, read_ct, read_host
from synth.volumes.types import LabelMap, Volume

TABLE = "table.csv"
_SPLITS = ("train", "val")


def folders(root: Path) -> list[Path]:
    """The folders that hold a CT, by name; InputError where there is none."""
    found = [f for f in sorted(root.iterdir()) if (f / "ct.nii.gz").is_file() or (f / "ct").is_dir()]
    if not found:
        raise InputError(f"{root}: no CASE/ct.nii.gz and no CASE/ct/ in it; give the folder that holds the cases")
    return found


def read_plain(folder: Path) -> Volume:
    """The CT of a case folder, whatever its numbers are like."""
    ct = folder / "ct"
    return read_ct(ct) if ct.is_dir() else nifti.read_volume(folder / "ct.nii.gz", plausible=False)


def listing(
    root: Path,
    organ_ids: Mapping[int, str] | None = None,
    table: Path | None = None,
    trust_labels: bool = False,
) -> Listing:
    """The cases of a folder. Raises InputError where there is none, or a table that is named is not there."""
    found = Listing()
    rows = _rows(table or root / TABLE, found) if table or (root / TABLE).is_file() else {}
    there = folders(root)
    for folder in there:
        row = dict(rows.get(folder.name, {}))
        split = row.pop("split", "") or split_of(row.pop("patient", "") or folder.name)
        if split not in _SPLITS:
            found.left_out[folder.name] = f"split '{split}' is neither train nor val"
        if folder.name not in found.left_out:
            found.scans.append(Listed(folder.name, split, partial(read_scan, folder, organ_ids, row, trust_labels)))
    if rows:
        found.count({folder.name for folder in there}, rows.keys(), "case", "row of the table")
    return found


def _rows(path: Path, found: Listing) -> dict[str, dict[str, str]]:
    """Rows by case; a case with two rows that differ is left out."""
    if "case" not in columns_of(path):
        raise InputError(f"{path}: no column 'case'; name there the folder of each row")
    rows: dict[str, dict[str, str]] = {}
    for line, row in table_rows(path):
        if row is None:
            found.left_out[f"{path.name} line {line}"] = "other cells than its header"
            continue
        case = row.pop("case")
        if rows.setdefault(case, row) != row:
            found.left_out[case] = f"two rows that differ in {path.name}"
    return rows


def read_scan(
    folder: Path, organ_ids: Mapping[int, str] | None, row: Mapping[str, str], trust_labels: bool = False
) -> SourceScan:
    """A case in RAS order. Raises InputError for a bad file, and for labels of another CT unless they are trusted."""
    ct = folder / "ct" if (folder / "ct").is_dir() else folder / "ct.nii.gz"
    labels = labels_of(folder)
    if labels is not None:
        volume, organs = read_host(ct, labels, organ_ids, trust_labels=trust_labels)
    else:
        volume, organs = read_ct(ct), None
    hu, affine = to_ras(volume.hu, volume.affine)
    if organs is not None:
        organs = LabelMap(to_ras(organs.ids, organs.affine)[0], affine, organs.names)
    dose = _dose(folder / "targets.nii.gz", volume)
    return SourceScan(hu, voxel_spacing(affine), organs, dose, _report(folder, row), _columns(row))


def _dose(path: Path, ct: Volume) -> np.ndarray | None:
    if not path.is_file():
        return None
    return to_ras(nifti.read_ids(path, like=ct)[0].astype(np.uint8), ct.affine)[0]


def _report(folder: Path, row: Mapping[str, str]) -> str:
    """The table's, else that of the folder."""
    file = folder / "report.txt"
    text = row.get("report", "") or (text_of(file) if file.is_file() else "")
    return " ".join(text.split())


def _columns(row: Mapping[str, str]) -> dict[str, str]:
    """What is left of a row, `sex` (F, M) and `age_years`."""
    others = {key: value for key, value in row.items() if key not in ("report", "sex", "age")}
    about = {"sex": sex(row.get("sex", "")), "age_years": years(row.get("age", ""))}
    return {key: value for key, value in {**others, **about}.items() if value}
