"""`python -m studies.labels`: label maps made wrong in known ways on real hosts, and which of them are refused.

Reads the real CT of `../shared/data` (or $SYNTHCT_DATA), writes docs/studies/labels.md. Every mistake goes through the
door that a user's files go through (`volumes.host.read_host`), as files. A mistake counts as one that a reader of the
report would notice where a structure of 1 mL or more changes its median by 25 HU or its volume by a fifth, appears or
disappears, or has its centre moved by 15 mm.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from studies.label_tables import OTHER_TABLES
from synth.errors import InputError
from synth.volumes import labels, nifti
from synth.volumes.geometry import slice_axis, world_of
from synth.volumes.host import read_host
from synth.volumes.types import LabelMap, Volume

OUT = Path(__file__).parents[1] / "docs/studies/labels.md"
DATA = Path(os.environ.get("SYNTHCT_DATA", Path(__file__).parents[2] / "shared/data"))
OPENKBP = {
    1: "brainstem",
    2: "spinal_cord",
    3: "parotid_gland_right",
    4: "parotid_gland_left",
    5: "esophagus",
    6: "larynx",
    7: "mandible",
}
AORTA = {
    1: "aorta",
    4: "vertebrae_T12",
    5: "brachiocephalic_trunk",
    6: "common_carotid_artery_left",
    7: "subclavian_artery_left",
}

Table = dict[str, tuple[float, float, np.ndarray]]  # name -> median HU, mL, centre in RAS mm


@dataclass(frozen=True)
class Host:
    """A real CT with organ labels, and the names of their ids where they are not TotalSegmentator's."""

    name: str
    ct: Path
    organs: Path
    organ_ids: Mapping[int, str] | None = None


@dataclass(frozen=True)
class Wrong:
    """A host made wrong: HU as stored (X, Y, Z), ids, and the names of the ids that the user gives."""

    what: str
    hu: np.ndarray
    ids: np.ndarray
    organ_ids: Mapping[int, str] | None


@dataclass(frozen=True)
class Outcome:
    """What a mistake does to the report, and what the reader of files said; None where it said nothing."""

    host: str
    what: str
    noticed: bool
    said: str | None


def mistaken_hosts() -> list[Host]:
    """The four whose labels are made wrong: whole chest, slab with and without contrast, head and neck."""
    return [
        Host("LIDC-IDRI-0001", DATA / "native/LIDC-IDRI-0001/ct.nii.gz", DATA / "native/LIDC-IDRI-0001/labels.nii.gz"),
        *(
            Host(name, DATA / f"torso/{name}/ct.nii.gz", DATA / f"torso/{name}/labels.nii.gz")
            for name in ("totalseg_example_ct_sm", "totalseg_example_ct_dicom")
        ),
        _head_and_neck(DATA / "headneck/train/hn_013"),
    ]


def right_hosts() -> list[Host]:
    """Every real CT of the folder that has organ labels."""
    others = [_head_and_neck(folder) for folder in sorted((DATA / "headneck").glob("*/hn_*"))]
    aorta = DATA / "torso/totalseg_aorta_full"
    return [*mistaken_hosts()[:3], Host(aorta.name, aorta / "ct.nii.gz", aorta / "labels.nii.gz", AORTA), *others]


def _head_and_neck(folder: Path) -> Host:
    return Host(folder.name, folder / "ct.nii.gz", folder / "organs.nii.gz", OPENKBP)


def mistakes(ct: Volume, organs: LabelMap, organ_ids: Mapping[int, str] | None) -> Iterator[Wrong]:
    """Every mistake on one host."""
    for axis, called in enumerate("xyz"):
        across = "slices" if axis == slice_axis(ct.affine) else "voxels"
        for by in (2, 5, 20):
            if by < organs.ids.shape[axis] // 2:
                yield Wrong(f"shifted {by} {across} along {called}", ct.hu, _moved(organs.ids, axis, by), organ_ids)
        yield Wrong(f"flipped along {called}", ct.hu, np.flip(organs.ids, axis), organ_ids)
    yield Wrong("left and right exchanged", ct.hu, _mirrored(organs), None)
    for table, names in OTHER_TABLES.items():
        ids = _renumbered(organs, names)
        if ids.any():
            yield Wrong(f"ids of {table}", ct.hu, ids, None)
    if organ_ids is not None:
        yield Wrong("ids of its own table, unnamed", ct.hu, organs.ids, None)
    yield Wrong("whole body as spleen", ct.hu, (ct.hu > -300).astype(np.uint8), None)
    for what, change in _HU.items():
        yield Wrong(what, change(ct.hu.astype(np.int32)).clip(-32768, 32767).astype(np.int16), organs.ids, organ_ids)


_HU: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "HU 200 too high": lambda hu: hu + 200,
    "HU 200 too low": lambda hu: hu - 200,
    "HU doubled": lambda hu: hu * 2,
    "HU halved": lambda hu: hu // 2,
    "HU without intercept": lambda hu: hu + 1024,
}


def _moved(ids: np.ndarray, axis: int, by: int) -> np.ndarray:
    """Shifted, with background where nothing comes from."""
    moved = np.roll(ids, by, axis)
    np.moveaxis(moved, axis, 0)[:by] = 0
    return moved


def _mirrored(organs: LabelMap) -> np.ndarray:
    """Ids of labels.csv with left and right exchanged."""
    return _with_ids(
        organs, {name: labels.ids().get(labels.mirror(name), labels.ids()[name]) for name in organs.names.values()}
    )


def _renumbered(organs: LabelMap, table: Mapping[int, str]) -> np.ndarray:
    return _with_ids(organs, {name: number for number, name in table.items()})


def _with_ids(organs: LabelMap, number_of: Mapping[str, int]) -> np.ndarray:
    to = np.zeros(int(organs.ids.max()) + 1, np.uint8)
    for number, name in organs.names.items():
        to[number] = number_of.get(name, 0)
    return to[organs.ids]


def try_one(host: Host, wrong: Wrong, right: Table, affine: np.ndarray, folder: Path) -> Outcome:
    """Write a mistake as files and read it as a host."""
    ct, organs = folder / "ct.nii", folder / "labels.nii"
    for array, path in ((wrong.hu, ct), (wrong.ids, organs)):
        image = nib.Nifti1Image(np.ascontiguousarray(array), affine)
        image.set_sform(affine, code=1)
        image.to_filename(path)
    try:
        read_host(ct, organs, wrong.organ_ids)
        said = None
    except InputError as error:
        said = str(error).replace(f"{folder}/", "")
    names = {i: n for i, n in (wrong.organ_ids or labels.names()).items() if (wrong.ids == i).any()}
    hu = wrong.hu.clip(-1024, 3071).astype(np.int16)
    noticed = _differs(right, measured(Volume(hu, affine), LabelMap(wrong.ids, affine, names)))
    return Outcome(host.name, wrong.what, noticed, said)


def measured(ct: Volume, organs: LabelMap) -> Table:
    """What a report says of each structure."""
    thin = 2 if organs.ids.size > 8e6 else 1
    ids, hu = (array[::thin, ::thin] for array in (organs.ids, ct.hu))
    where = np.argwhere(ids)
    numbers = ids[tuple(where.T)]
    order = np.argsort(numbers, kind="stable")
    where, numbers = where[order], numbers[order]
    starts = np.flatnonzero(np.diff(numbers, prepend=0))
    table: Table = {}
    for start, stop in zip(starts, [*starts[1:], len(numbers)], strict=True):
        name, own = organs.names.get(int(numbers[start])), where[start:stop]
        if name is not None:
            centre = world_of(own.mean(axis=0) * (thin, thin, 1), ct.affine)
            table[name] = (float(np.median(hu[tuple(own.T)])), len(own) * ct.voxel_ml * thin**2, centre)
    return table


def _differs(right: Table, wrong: Table) -> bool:
    """Whether a reader of the report would notice."""
    for name in right.keys() | wrong.keys():
        a, b = right.get(name), wrong.get(name)
        if max(a[1] if a else 0.0, b[1] if b else 0.0) < 1.0:
            continue
        if a is None or b is None:
            return True
        if abs(a[0] - b[0]) >= 25 or abs(a[1] / b[1] - 1) >= 0.2 or float(np.linalg.norm(a[2] - b[2])) >= 15:
            return True
    return False


def main() -> int:
    """Measure, write the table, and fail where a mistake that can be noticed got through or a right map did not."""
    logging.getLogger("synth").setLevel(logging.ERROR)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        for host in mistaken_hosts():
            ct = nifti.read_volume(host.ct)
            organs = nifti.read_labels(host.organs, like=ct, organ_ids=host.organ_ids)
            right = measured(ct, organs)
            for wrong in mistakes(ct, organs, host.organ_ids):
                outcomes.append(try_one(host, wrong, right, ct.affine, Path(folder)))
                print(outcomes[-1], flush=True)
    named = list(_named(right_hosts()))
    OUT.write_text(_page(outcomes, named), encoding="utf-8")
    return int(bool(named) or any(one.noticed and one.said is None for one in outcomes))


def _named(hosts: list[Host]) -> Iterator[str]:
    """Right hosts that are refused all the same."""
    for host in hosts:
        try:
            read_host(host.ct, host.organs, host.organ_ids)
        except InputError as error:
            yield f"{host.name}: {str(error).replace(str(DATA), 'DATA')}"


def _page(outcomes: list[Outcome], named: list[str]) -> str:
    noticed = [one for one in outcomes if one.noticed]
    lines = [
        "# Label maps made wrong",
        "",
        "`python -m studies.labels` makes labels and HU of four real hosts wrong in known ways, hands them over as a",
        "user would, and writes this page. *Noticed*: a reader of the report would see it, because a structure of 1 mL",
        "or more changes its median by 25 HU or its volume by a fifth, appears, disappears or moves by 15 mm.",
        "",
        f"- Of {len(outcomes)} mistakes {sum(one.said is not None for one in outcomes)} are refused; of the "
        f"{len(noticed)} that can be noticed {sum(one.said is not None for one in noticed)}.",
        f"- Of {len(right_hosts())} right hosts {len(named)} are refused.",
        "",
        "| host | mistake | noticed | said |",
        "|---|---|---|---|",
    ]
    rows = (f"| {o.host} | {o.what} | {'yes' if o.noticed else 'no'} | {_short(o.said)} |" for o in outcomes)
    return "\n".join([*lines, *rows, *(f"\nRefused though right: {line}" for line in named)]) + "\n"


def _short(said: str | None) -> str:
    if said is None:
        return "nothing"
    return said.split(": ", 1)[1].rsplit("; mend the files", 1)[0].removeprefix("labels do not belong to this CT: ")


if __name__ == "__main__":
    sys.exit(main())
