"""Do masks that are carried over from one labelled patient lie on the organs of another? Dice, as carried and as read.

python -m studies.torso_masks --data ../shared/data

The labels of LIDC-IDRI-0001 go through the mean torso to the second labelled scan, as registration has it, and to
itself bent by 10 mm, which is about what registration leaves. "read" is what `synth.torso.organs` makes of them and of
the CT there; what has no such figure is not among the masks of a drawn torso.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from synth.case.weights_folder import Weights
from synth.data.sources.cases import read_scan
from synth.models import intensity
from synth.torso.atlas import LABELLED
from synth.torso.looks import on_frame, sampled
from synth.torso.model import ATLAS_MM, TorsoModel
from synth.torso.organs import read_masks
from synth.torso.places import Places
from synth.torso.scans import scan_of
from synth.volumes import labels

FROM, TO = "LIDC-IDRI-0001", "totalseg_example_ct_sm"
BENT_MM, BENDS = 10.0, 3
_WAVES = (5, 4, 7)  # of a bend, across the frame
_FEWEST = 30  # voxels
_FAT_HU = -50
_HEAD = ("organ", "in the other, carried", "read", "bent, carried", "read", "under -50 HU: here", "in others")


@dataclass(frozen=True)
class Carried:
    """On the mean torso at ATLAS_MM: HU, ids and where the scan has data, (X, Y, Z)."""

    hu: np.ndarray
    ids: np.ndarray
    seen: np.ndarray


def carried(model: TorsoModel, folder: Path, name: str) -> Carried:
    """A labelled scan that lends its look."""
    index = [d.name for d in model.donors].index(name)
    read = read_scan(folder / name, None, {}, trust_labels=True)
    scan = scan_of(name, read.hu, read.spacing, read.organs)
    assert scan.ids is not None
    where = Places(torch.zeros(1, 3, *model.frame.shape), ATLAS_MM).all()
    flat = where.reshape(3, -1)
    here = (
        flat + sampled(model.displacements[index], on_frame(flat, model.frame)) - model.looks[index].corner_mm[:, None]
    )
    voxel = np.floor(here / ATLAS_MM).astype(int)
    seen = ((voxel >= 0) & (voxel < np.array(scan.ids.shape)[:, None])).all(axis=0)
    ids = np.zeros(flat.shape[1], np.uint8)
    ids[seen] = scan.ids[tuple(voxel[:, seen])]
    return Carried(hu_of(model, index), ids.reshape(where.shape[1:]), seen.reshape(where.shape[1:]))


def hu_of(model: TorsoModel, index: int) -> np.ndarray:
    """(X, Y, Z) HU of a scan on the mean torso at ATLAS_MM."""
    where = Places(torch.zeros(1, 3, *model.frame.shape), ATLAS_MM).all()
    values = model.looks[index].at(where.reshape(3, -1), model.frame, ATLAS_MM) - 1
    return np.asarray(intensity.to_hu(values).reshape(where.shape[1:]))


def bent(ids: np.ndarray, seed: int) -> np.ndarray:
    """Labels moved by a smooth random field of BENT_MM."""
    rng = np.random.default_rng(seed)
    where = np.indices(ids.shape).astype(np.float32)
    for axis in range(3):
        wave = ndimage.zoom(rng.standard_normal(_WAVES), [n / k for n, k in zip(ids.shape, _WAVES, strict=True)])
        where[axis] += wave / wave.std() * BENT_MM / ATLAS_MM
    return np.asarray(ndimage.map_coordinates(ids, where, order=0))


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """2 |a and b| / (|a| + |b|)."""
    return 2 * float((a & b).sum()) / max(1.0, float(a.sum() + b.sum()))


def compared(atlas: np.ndarray, truth: Carried) -> dict[str, tuple[float, float]]:
    """Dice of each organ that both have, as the atlas has it and as it is read."""
    atlas = np.where(truth.seen, atlas, 0).astype(np.uint8)
    found = read_masks(np.where(truth.seen, truth.hu, -1000.0), atlas, ATLAS_MM)
    out = {}
    for name, number in labels.ids().items():
        real = (truth.ids == number) & truth.seen
        if real.sum() >= _FEWEST and (atlas == number).any():
            out[name] = dice(atlas == number, real), dice(found == number, real)
    return out


def table(model: TorsoModel, data: Path) -> list[tuple[str, ...]]:
    """A row an organ, see _HEAD."""
    first, second = carried(model, data / "native", FROM), carried(model, data / "torso", TO)
    other = compared(first.ids, second)
    bends = [compared(bent(first.ids, seed), first) for seed in range(1, BENDS + 1)]
    hus = {i: hu_of(model, i) for i in range(len(model.donors))}
    own = [d.name for d in model.donors].index(FROM)
    rows: list[tuple[str, ...]] = []
    for name in sorted(bends[0]):
        here = first.ids == labels.ids()[name]
        read = name in LABELLED
        both = [b[name] for b in bends if name in b]
        fat = [float((hu[here] < _FAT_HU).mean()) for i, hu in hus.items() if i != own and _shows(model, i, here)]
        moved, kept = np.mean(both, axis=0)
        at_other = (f"{other[name][0]:.2f}", f"{other[name][1]:.2f}" if read else "") if name in other else ("", "")
        at_bent = (f"{moved:.2f}", f"{kept:.2f}" if read else "")
        dark = f"{float((first.hu[here] < _FAT_HU).mean()):.2f}", f"{np.median(fat):.2f}" if fat else ""
        rows.append((name, *at_other, *at_bent, *dark))
    return rows


def _shows(model: TorsoModel, index: int, mask: np.ndarray) -> bool:
    """Whether a scan has data in most of a mask."""
    seen = model.seen[index].repeat(2, 0).repeat(2, 1).repeat(2, 2)
    return float(seen[mask].mean()) > 0.8


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    model = Weights.shipped("torso").patchwork
    assert model is not None
    for row in (_HEAD, ("---",) * len(_HEAD), *table(model, parser.parse_args().data)):
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
