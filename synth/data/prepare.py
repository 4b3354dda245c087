"""`synthct prepare`: scans as they lie on disk -> the training set of a region's networks."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import ndimage

from synth.data import tumours
from synth.data.native import prepare_native
from synth.data.said import said_in
from synth.data.scans import anchor_of, place_scans
from synth.data.sources import cases, ct_rate, openkbp
from synth.data.sources.listing import Listed, Listing, SourceScan
from synth.data.store import PATIENTS, PatientEntry, Store, write
from synth.data.tumours import prepare_tumours
from synth.errors import InputError
from synth.files.whole import added_to, write_whole
from synth.models import intensity
from synth.progress import Progress
from synth.regions import Frame, Region
from synth.regions.frame import BASE_SPACING_MM
from synth.regions.prior import FILE as PRIOR
from synth.regions.prior import MOST, Prior
from synth.regions.region import FILE as REGION
from synth.regions.region import CtScale, parse, with_scales
from synth.volumes.types import LabelMap

Layout = Literal["cases", "openkbp", "ct_rate"]
LEFT_OUT = "left_out.csv"
PREPARED_SPACING_MM = 4.0
_AIR_HU = -1000
_SPLITS = ("train", "val")
_SHOWN = 3  # reasons in one line
_SCALED = 200  # patients that tell the scale of CT


class NotPlacedError(InputError):
    """A scan shows nothing that its region is placed by."""


@dataclass(frozen=True)
class Others:
    """Scans without a place in the region: `native`, folders of CT that teach detail; `lesions`, a folder of CT with
    the outline of a tumour, whose id there is `lesion_id`."""

    native: Sequence[Path] = ()
    lesions: Path | None = None
    lesion_id: int = 1


def list_scans(
    layout: Layout,
    root: Path,
    masks: Path | None = None,
    table: Path | None = None,
    organ_ids: Mapping[int, str] | None = None,
    trust_labels: bool = False,
) -> Listing:
    """What a folder holds. Raises InputError for what is not there, or an option that the layout has no use for."""
    for option, folder in (("--from", root), ("--masks", masks)):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{option} {folder}: no such folder; check the path")
    if masks is not None and layout != "ct_rate":
        raise InputError(f"--masks {masks}: {layout} has its masks in CASE/organs.nii.gz; leave it out")
    if layout == "cases":
        return cases.listing(root, organ_ids, table, trust_labels)
    if table is not None or organ_ids is not None:
        option = "--table" if table is not None else "--organ-ids"
        raise InputError(f"{option}: {layout} has a table and names of its own; leave it out")
    return openkbp.listing(root) if layout == "openkbp" else ct_rate.listing(root, masks, trust_labels)


def prepare(
    found: Listing | None,
    source: str,
    region: Region,
    out: Path,
    workers: int = 1,
    progress: Progress | None = None,
    others: Others | None = None,
) -> dict[str, int]:
    """Write a training set; returns counts. Run again, the patients go on where it was killed.

    Raises InputError, before anything is written, for folders of `others` that are not there.
    """
    progress, others = progress or Progress(quiet=True), others or Others()
    _require(others)
    if found is None and not others.native and others.lesions is None:
        raise InputError("prepare: no data named; give --layout and --from, --native or --lesions")
    counts = {} if found is None else prepare_patients(found, source, region, out, workers, progress)
    for folder in others.native:
        with progress.step(f"native/{folder.name}", 1), added_to(out) as aside:
            counts[f"native/{folder.name}"] = prepare_native(folder, aside / "native" / "train")
    if others.lesions is not None:
        with progress.step(tumours.FOLDER, 1), added_to(out) as aside:
            held = prepare_tumours(others.lesions, aside / tumours.FOLDER, others.lesion_id)
        counts |= {f"{tumours.FOLDER}/{split}": count for split, count in held.items()}
    return counts


def prepare_patients(
    found: Listing, source: str, region: Region, out: Path, workers: int = 1, progress: Progress | None = None
) -> dict[str, int]:
    """Place, measure and keep every scan that can be; returns counts.

    What is left out is written with its reason to left_out.csv; nothing that is wrong with one scan ends the run.
    Raises InputError where no scan of `train` is listed, or none is left: then nothing is written.
    """
    progress = progress or Progress(quiet=True)
    if not any(scan.split == "train" for scan in found.scans):
        why = next((f": {name}: {reason}" for name, reason in found.left_out.items()), "")
        raise InputError(f"{source}: no scan to train on is listed{why}; name some patients' split 'train'")
    counts, left_out = {}, dict(found.left_out)
    placed = place_scans(found.scans, region, out, progress) if region.scaffold == "patchwork" else None
    one = partial(prepare_scan, region.text, source, offsets=placed)
    for split in _SPLITS:
        jobs = [(scan.name, scan) for scan in found.scans if scan.split == split]
        folder = out / PATIENTS / split
        with progress.step(f"{source}/{split}", len(jobs)) as step:
            write(folder, jobs, one, workers, step.advance)
        kept = Store(folder)
        if split == "train" and not len(kept):
            shutil.rmtree(folder)  # nothing but what was left out, which may be mended
            with suppress(OSError):  # what else is there stays
                folder.parent.rmdir()
                out.rmdir()
            why = "; ".join(f"{name}: {reason}" for name, reason in list(kept.left_out.items())[:_SHOWN])
            more = f" and {len(kept.left_out) - _SHOWN} more" if len(kept.left_out) > _SHOWN else ""
            raise InputError(f"{source}: no scan to train on is left: {why}{more}")
        counts[f"{source}/{split}"] = len(kept)
        left_out |= kept.left_out
    _write_left_out(left_out, out / LEFT_OUT)
    describe(region, out)
    return counts | found.counts | ({f"left out, see {out / LEFT_OUT}": len(left_out)} if left_out else {})


def describe(region: Region, out: Path) -> None:
    """Write region.yaml, with the scales that it does not state, and prior.json of the training patients."""
    patients = Store(out / PATIENTS / "train")
    facts = list(patients.facts())
    full = with_scales(region, facts, partial(_ct_scale, patients))
    write_whole(out / REGION, full.text)
    if full.facts:
        write_whole(out / PRIOR, Prior(full, tuple(facts[:MOST])).to_json())


def _ct_scale(patients: Store) -> CtScale:
    """Of patients evenly among all."""
    every = -(-len(patients) // _SCALED)
    coarse = [_at_base(intensity.to_unit(patients[i].hu)) for i in range(0, len(patients), every)]
    return CtScale(mean=round(float(np.mean(coarse)), 3), sd=round(max(float(np.std(coarse)), 0.05), 3))


def _at_base(unit: np.ndarray) -> np.ndarray:
    """Means over blocks of 16 mm."""
    factor = round(BASE_SPACING_MM / PREPARED_SPACING_MM)
    x, y, z = (n // factor for n in unit.shape)
    return unit.reshape(x, factor, y, factor, z, factor).mean(axis=(1, 3, 5))


def prepare_scan(
    region_text: str, source: str, listed: Listed, offsets: Mapping[str, np.ndarray] | None = None
) -> PatientEntry:
    """One scan on the frame of a region at 4 mm, measured. Raises InputError where it cannot be read or placed.

    `offsets`: of scans that are placed already, where their region places them by each other (synth.data.scans).
    """
    region, scan = parse(region_text), listed.read()
    numbers = np.zeros(scan.hu.shape, np.uint8) if scan.organs is None else region.numbers(scan.organs)
    masks = {name: numbers == number for number, name in enumerate(region.organs, start=1)}
    anchor = _anchor(region, scan, masks, listed.name, offsets)
    put = partial(_placed, scan, anchor, region)
    hu = np.rint(put(scan.hu.astype(np.float32), _AIR_HU, 1)).astype(np.int16)
    organs = put(numbers, 0, 0)
    dose = np.zeros(hu.shape, np.uint8) if scan.dose is None else put(_prescribed(scan.dose, region), 0, 0)
    drawn = () if scan.organs is None else tuple(n for n in region.organs if n in scan.organs.names.values())
    affine = region.frame.affine_at(PREPARED_SPACING_MM)
    columns = {**scan.columns, **said_in(scan.report, region)}
    facts = region.measure(region.placed(hu, affine, organs, dose, drawn, columns))
    return PatientEntry(listed.name, region.name, hu, organs, dose, drawn, facts, scan.report, columns, source)


def _anchor(
    region: Region,
    scan: SourceScan,
    masks: Mapping[str, np.ndarray],
    name: str,
    offsets: Mapping[str, np.ndarray] | None,
) -> np.ndarray:
    """(3,) mm in the scan's own grid."""
    if offsets is not None:
        if name not in offsets:
            raise NotPlacedError("too thin a slab to be placed")
        return anchor_of(offsets[name], scan.spacing, region)
    anchor = region.find_anchor(scan.hu, scan.spacing, {**masks, **_anchors(region, scan.organs)})
    if anchor is None:
        needed = " and ".join(region.anchor.organs).replace("_", " ") or "lungs or body"
        raise NotPlacedError(f"no {needed} to place it by")
    return anchor


def place(
    array: np.ndarray, spacing: np.ndarray, anchor: np.ndarray, frame: Frame, fill: float, order: int
) -> np.ndarray:
    """Sample an RAS array onto a frame at 4 mm, the anchor at the frame's origin."""
    affine = frame.affine_at(PREPARED_SPACING_MM)
    scale = PREPARED_SPACING_MM / spacing
    offset = (affine[:3, 3] + anchor) / spacing
    shape = frame.shape_at(PREPARED_SPACING_MM)
    return ndimage.affine_transform(array, scale, offset, output_shape=shape, order=order, cval=fill)


def _placed(
    scan: SourceScan, anchor: np.ndarray, region: Region, array: np.ndarray, fill: float, order: int
) -> np.ndarray:
    return place(array, scan.spacing, anchor, region.frame, fill, order)


def _prescribed(dose: np.ndarray, region: Region) -> np.ndarray:
    """The doses of a scan; InputError for one that the region does not have."""
    if unknown := sorted(set(np.unique(dose).tolist()) - {0, *region.doses_gy}):
        levels = ", ".join(map(str, region.doses_gy)) or "none: remove targets.nii.gz, or add doses_gy to the region"
        raise InputError(f"targets: value {unknown[0]}; give the prescribed dose in Gy, one of 0, {levels}")
    return dose


def _anchors(region: Region, organs: LabelMap | None) -> dict[str, np.ndarray]:
    """Masks that the anchor is told from and no channel is drawn of."""
    others = [name for name in region.anchor.organs if name not in region.organs]
    return {} if organs is None else {name: organs.mask(name) for name in others}


def _write_left_out(left_out: Mapping[str, str], path: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("name", "reason"), *sorted(left_out.items())])
    write_whole(path, text.getvalue())


def _require(others: Others) -> None:
    """InputError for a folder that is not there, or where two hold a case of one name: one would replace the other."""
    named = (("--lesions", others.lesions), *(("--native", folder) for folder in others.native))
    for option, folder in named:
        if folder is not None and not folder.is_dir():
            raise InputError(f"{option} {folder}: no such folder; check the path")
    seen: dict[str, Path] = {}
    for folder in others.native:
        for case in (file.name for file in cases.folders(folder)):
            if case in seen:
                raise InputError(f"--native {folder}: case '{case}' is in {seen[case]} too; rename one of them")
            seen[case] = folder
