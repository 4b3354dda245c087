"""What MAISI is told of a case: a label map in its ids, as eight bits a voxel, and the region that it shows.

Its table has the names of TotalSegmentator in another order (column `maisi` of synth/volumes/labels.csv); every voxel
of the body that has no label is `MAISI_BODY` (Guo et al. 2025).
"""

from __future__ import annotations

import numpy as np
import torch

from synth.volumes.labels import MAISI_BODY, maisi_ids, maisi_names
from synth.volumes.types import LabelMap

BITS = 8
REGIONS = ("head and neck", "thorax", "abdomen", "pelvis")
_OF_REGION = (
    ("brain", "skull"),
    (
        *("lung_upper_lobe_left", "lung_lower_lobe_left"),
        *("lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right"),
    ),
    ("liver", "spleen", "pancreas", "kidney_right", "kidney_left"),
    ("femur_left", "femur_right"),
)  # structures by which MAISI's authors tell a region


def to_maisi(organs: LabelMap, body: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Ids of MAISI (X, Y, Z) uint8 of a label map and a mask of the body, and the structures that it has no id for."""
    table = np.zeros(max(int(organs.ids.max()), max(organs.names, default=0)) + 1, np.uint8)
    known = maisi_ids()
    for number, name in organs.names.items():
        table[number] = known.get(name, 0)
    ids = table[organs.ids]
    ids[(ids == 0) & (body | (organs.ids > 0))] = MAISI_BODY
    return ids, [name for name in organs.present() if name not in known]


def from_maisi(ids: np.ndarray, affine: np.ndarray) -> LabelMap:
    """Our label map of one in ids of MAISI: each structure has its own id of labels.csv; the body has none."""
    from synth.volumes.labels import ids as ours

    numbers, names = ours(), maisi_names()
    present = [int(i) for i in np.unique(ids) if int(i) in names and names[int(i)] in numbers]
    table = np.zeros(max(int(ids.max()), 1) + 1, np.uint8)
    for number in present:
        table[number] = numbers[names[number]]
    return LabelMap(table[ids], affine, {numbers[names[i]]: names[i] for i in present})


def bits(ids: np.ndarray) -> torch.Tensor:
    """(1, 8, X, Y, Z) float32 of ids (X, Y, Z): channel b is bit b, the least first."""
    codes = torch.from_numpy(np.ascontiguousarray(ids, dtype=np.uint8))
    return torch.stack([(codes >> bit) & 1 for bit in range(BITS)])[None].float()


def span(ids: np.ndarray) -> tuple[int, int]:
    """The topmost and the lowest of `REGIONS` that ids of MAISI (X, Y, Z) show; the thorax where they show none."""
    there = {int(i) for i in np.unique(ids)}
    shown = [n for n, names in enumerate(_OF_REGION) if there & {maisi_ids()[name] for name in names}]
    return (shown[0], shown[-1]) if shown else (1, 1)


def one_hot(region: int) -> torch.Tensor:
    """(1, 4) float32, as the DDPM variant is told a region: 100 in its place."""
    code = torch.zeros(1, len(REGIONS))
    code[0, region] = 100.0
    return code
