"""Abdomen: portal and hepatic veins of a liver, arteries and veins of a kidney, grown into their masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from synth.shape.trees.curves import curved
from synth.shape.trees.growing import Growth, Stem, grow
from synth.shape.trees.regions import depths, entry, lattice, lookup, whole
from synth.shape.trees.tree import Tree, with_murray_radii
from synth.volumes.geometry import world_of

_TRUNK_MM = 12.0  # of a vessel before its organ


@dataclass(frozen=True)
class Supply:
    """How a pair of trees supplies an organ.

    first, second: names of labels.csv and where each enters, mm from the organ's middle: towards the midline,
    anterior and up; pitch, leaf_mm, exponent: as in LungGrowth; rim_mm: from the surface, without vessels.
    """

    first: tuple[str, tuple[float, float, float]]
    second: tuple[str, tuple[float, float, float]]
    pitch: float
    leaf_mm: float
    exponent: float = 3.0
    rim_mm: float = 4.0
    branching: Growth = Growth()


# The porta hepatis lies low and medial, hepatic veins meet at the back of the dome. Main portal vein 11 to 13 mm wide.
LIVER = Supply(("portal_veins", (45.0, 5.0, -25.0)), ("hepatic_veins", (35.0, -25.0, 45.0)), 13.0, 0.7)
# Renal artery 5 to 6 mm wide, vein 8 to 10.
KIDNEY = Supply(("renal_arteries", (30.0, 8.0, 2.0)), ("renal_veins", (30.0, 12.0, -4.0)), 8.0, 0.4)


def grow_organ(
    mask: np.ndarray, affine: np.ndarray, side: float, supply: Supply, rng: np.random.Generator
) -> Mapping[str, Tree]:
    """Two trees by name, each between the branches of the other; none where the mask has no room.

    Args:
        mask: (X, Y, Z) bool; affine: (4, 4) RAS mm; side: 1 of an organ on the right of the midline, -1 on the left.
    """
    regions = whole(mask.astype(np.int32))
    if not regions.any():
        return {}
    depth, inside = depths(regions, affine), lookup(regions, affine)
    points, part, which = lattice(regions, depth, affine, supply.pitch, supply.rim_mm, rng)
    middle = world_of(np.argwhere(regions), affine).mean(axis=0)
    out = {}
    for k, (name, (medial, anterior, up)) in enumerate((supply.first, supply.second)):
        if (which == k).any():
            target = middle + np.array([-side * medial, anterior, up])
            start = entry(regions, depth, affine, 1, target, supply.rim_mm)
            outward = (target - start) / max(float(np.linalg.norm(target - start)), 1e-6)
            stem = Stem(np.stack([start + _TRUNK_MM * outward, start]), np.array([-1, 0]), {1: 1})
            tree = grow(stem, points[which == k], part[which == k], inside, rng, supply.branching)
            out[name] = curved(with_murray_radii(tree, supply.leaf_mm, supply.exponent), inside, 3)
    return out
