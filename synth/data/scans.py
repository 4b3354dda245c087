"""Scans that each show a part of a region: kept on their own grids, and placed where they look like each other.

OUT/scans/SPLIT/NAME.npz: a scan, see synth.torso.scans; OUT/scans/placed.json: name -> (3,) voxels of 4 mm.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from synth.data.sources.listing import Listed
from synth.errors import InputError
from synth.files.documents import read_table
from synth.files.whole import write_whole
from synth.progress import Progress
from synth.regions import Region
from synth.torso.scans import SCAN_SPACING_MM, TorsoScan, offsets, put, scan_of

SCANS = "scans"
_PLACED = "placed.json"
_LEAST_MM = 60.0  # a thinner slab has no place of its own


def place_scans(listed: Sequence[Listed], region: Region, out: Path, progress: Progress) -> dict[str, np.ndarray]:
    """Keep what can be read and is no thin slab, place all of it; voxels of 4 mm, for `put`, by name.

    Run again, it goes on where it was killed. Raises InputError where no scan shows the anchor.
    """
    scans = []
    with progress.step("scans", len(listed)) as step:
        for one in listed:
            scan = _kept(one, out / SCANS / one.split / f"{one.name}.npz")
            if scan is not None and scan.hu.shape[2] * SCAN_SPACING_MM >= _LEAST_MM:
                scans.append(scan)
            step.advance()
    known = _known(out / SCANS / _PLACED)
    if set(known) == {scan.name for scan in scans}:
        return known  # none, where there is none: each is named then
    try:
        with progress.step("places", 2 * len(scans) - 2) as step:
            found = offsets(scans, region, lambda _: step.advance())
    except InputError:
        shutil.rmtree(out / SCANS)  # they are read again once one has the labels that are missing
        raise
    placed = dict(zip((scan.name for scan in scans), found, strict=True))
    write_whole(out / SCANS / _PLACED, json.dumps({name: place.tolist() for name, place in placed.items()}))
    return placed


def anchor_of(offset: np.ndarray, spacing: np.ndarray, region: Region) -> np.ndarray:
    """(3,) mm (index * spacing) in a scan's own grid of the region's anchor, the scan being placed by `put`."""
    return np.asarray(-spacing / 2 - np.array(region.frame.lower_mm) - SCAN_SPACING_MM * offset)


def load_scans(data: Path, split: str, region: Region, tell: Callable[[str], None]) -> list[TorsoScan]:
    """The placed scans of a split, by name, on the frame. Raises InputError where there are none."""
    places = _known(data / SCANS / _PLACED)
    files = [file for file in sorted((data / SCANS / split).glob("*.npz")) if file.stem in places]
    if not files:
        raise InputError(f"{data / SCANS / split}: no scans here; run `synthct prepare` with this region first")
    tell(f"{len(files)} scans")
    return [put(TorsoScan.read(file), places[file.stem], region.frame) for file in files]


def _kept(one: Listed, file: Path) -> TorsoScan | None:
    """A scan, read from where it was kept before; None for one that cannot be read, whose reason `prepare` tells."""
    if file.is_file():
        return TorsoScan.read(file)
    try:
        read = one.read()
        scan = scan_of(one.name, read.hu, read.spacing, read.organs, read.columns.get("contrast", "?"))
    except Exception:  # whatever is wrong with one scan: it is read again, left out and named
        return None
    file.parent.mkdir(parents=True, exist_ok=True)
    scan.save(file)
    return scan


def _known(file: Path) -> dict[str, np.ndarray]:
    return {name: np.array(place) for name, place in read_table(file).items()} if file.is_file() else {}
