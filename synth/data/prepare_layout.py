"""`synthct prepare --layout`: thousands of scans as they lie on disk -> a store that training reads from."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from synth.data.prepare import PREPARED_SPACING_MM, place
from synth.data.sources import cases, ct_rate
from synth.data.sources.listing import Listed, Listing, Scan
from synth.data.store import Entry, Store, write
from synth.errors import InputError
from synth.files.whole import write_whole
from synth.progress import Progress
from synth.regions import Region
from synth.regions.prior import FILE as PRIOR
from synth.regions.prior import MOST, Prior
from synth.regions.region import FILE as REGION
from synth.regions.region import parse, with_scales
from synth.types import LabelMap

Layout = Literal["cases", "ct_rate"]
LEFT_OUT = "left_out.csv"
_AIR_HU = -1000
_SPLITS = ("train", "val")


def list_scans(
    layout: Layout,
    root: Path,
    masks: Path | None,
    table: Path | None,
    organ_ids: Mapping[int, str] | None,
    trust_labels: bool = False,
) -> Listing:
    """What a folder holds. Raises InputError for what is not there, or an option that the layout has no use for."""
    for option, folder in (("--from", root), ("--masks", masks)):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{option} {folder}: no such folder; check the path")
    if layout == "ct_rate":
        if table is not None or organ_ids is not None:
            option = "--table" if table is not None else "--organ-ids"
            raise InputError(f"{option}: ct_rate has tables and TotalSegmentator's names of its own; leave it out")
        return ct_rate.listing(root, masks, trust_labels)
    if masks is not None:
        raise InputError(f"--masks {masks}: a case has its masks in CASE/organs.nii.gz; leave it out")
    return cases.listing(root, organ_ids, table, trust_labels)


def prepare_layout(
    found: Listing, source: str, region: Region, out: Path, workers: int = 1, progress: Progress | None = None
) -> dict[str, int]:
    """Place, measure and keep every scan that can be; returns counts. Run again, it goes on where it was killed.

    What is left out is written with its reason to left_out.csv; nothing that is wrong with one scan ends the run.
    Raises InputError where no scan of `train` is left.
    """
    progress = progress or Progress(quiet=True)
    counts, left_out = {}, dict(found.left_out)
    for split in _SPLITS:
        listed = [scan for scan in found.scans if scan.split == split]
        folder = out / "headneck" / split
        with progress.step(f"{source}/{split}", len(listed)) as step:
            jobs = [(scan.name, scan) for scan in listed]
            write(folder, jobs, partial(prepare_scan, region.text, source), workers, step.advance)
        kept = Store(folder)
        counts[f"{source}/{split}"] = len(kept)
        left_out |= kept.left_out
    _write_left_out(left_out, out / LEFT_OUT)
    if not counts[f"{source}/train"]:
        raise InputError(f"{out / LEFT_OUT}: no scan to train on is left; it says why for each")
    facts = list(Store(out / "headneck" / "train").facts())
    full = with_scales(region, facts)
    write_whole(out / REGION, full.text)
    if full.facts:
        write_whole(out / PRIOR, Prior(full, tuple(facts[:MOST])).to_json())
    return counts | ({f"left out, see {out / LEFT_OUT}": len(left_out)} if left_out else {})


def prepare_scan(region_text: str, source: str, listed: Listed) -> Entry:
    """One scan on the frame of a region at 4 mm, measured. Raises InputError where it cannot be read or placed."""
    region, scan = parse(region_text), listed.read()
    numbers = np.zeros(scan.hu.shape, np.uint8) if scan.organs is None else region.numbers(scan.organs)
    masks = {name: numbers == number for number, name in enumerate(region.organs, start=1)}
    anchor = region.find_anchor(scan.hu, scan.spacing, masks | _anchors(region, scan.organs))
    if anchor is None:
        needed = " and ".join(region.anchor.organs).replace("_", " ") or "lungs or body"
        raise InputError(f"no {needed} to place it by")
    put = partial(_placed, scan, anchor, region)
    hu = np.rint(put(scan.hu.astype(np.float32), _AIR_HU, 1)).astype(np.int16)
    organs = put(numbers, 0, 0)
    dose = np.zeros(hu.shape, np.uint8) if scan.dose is None else put(scan.dose, 0, 0)
    drawn = () if scan.organs is None else tuple(n for n in region.organs if n in scan.organs.names.values())
    affine = region.frame.affine_at(PREPARED_SPACING_MM)
    facts = region.measure(region.placed(hu, affine, organs, dose, drawn, scan.columns))
    return Entry(listed.name, region.name, hu, organs, dose, drawn, facts, scan.report, scan.columns, source)


def _placed(scan: Scan, anchor: np.ndarray, region: Region, array: np.ndarray, fill: float, order: int) -> np.ndarray:
    return place(array, scan.spacing, anchor, region.frame, fill, order)


def _anchors(region: Region, organs: LabelMap | None) -> dict[str, np.ndarray]:
    """Masks that the anchor is told from and no channel is drawn of."""
    others = [name for name in region.anchor.organs if name not in region.organs]
    return {} if organs is None else {name: organs.mask(name) for name in others}


def _write_left_out(left_out: Mapping[str, str], path: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("name", "reason"), *sorted(left_out.items())])
    write_whole(path, text.getvalue())
