"""Lungs: airways from the carina, arteries beside them, and veins between, grown into lobes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from synth.shape.trees.curves import beside, curved
from synth.shape.trees.growing import Growth, Inside, Stem, grow
from synth.shape.trees.regions import depths, entry, lattice, lookup, whole
from synth.shape.trees.tree import Tree, with_murray_radii
from synth.volumes import labels
from synth.volumes.geometry import world_of

_LEFT, _RIGHT = -1.0, 1.0  # RAS x
_UPPER, _MIDDLE, _LOWER = "upper", "middle", "lower"
_LOBES = {
    "lung_upper_lobe_left": (_LEFT, _UPPER),
    "lung_lower_lobe_left": (_LEFT, _LOWER),
    "lung_upper_lobe_right": (_RIGHT, _UPPER),
    "lung_middle_lobe_right": (_RIGHT, _MIDDLE),
    "lung_lower_lobe_right": (_RIGHT, _LOWER),
}
# From the carina, mm lateral, anterior and up: where bronchi divide and enter lobes, and where veins do.
_HILUM = np.array([22.0, -2.0, -16.0])
_INTERMEDIUS = np.array([24.0, -6.0, -40.0])
_BRONCHUS = {_UPPER: (32.0, 0.0, -10.0), _MIDDLE: (34.0, 12.0, -50.0), _LOWER: (30.0, -14.0, -52.0)}
_VEIN = {_UPPER: (32.0, 18.0, -30.0), _MIDDLE: (34.0, 22.0, -52.0), _LOWER: (28.0, -10.0, -68.0)}
_SUPERIOR, _INFERIOR = np.array([20.0, 12.0, -44.0]), np.array([16.0, -2.0, -62.0])
_AXIS_MM = 5.0
_ENTRY_MM = 5.0  # of tissue round where a vessel enters a lobe


@dataclass(frozen=True)
class LungGrowth:
    """What of lungs is measured, or fitted to real chests (docs/trees.md).

    pitch: mm between the ends of arteries; leaf_mm: radius there; exponent: of Murray's law; pleura_mm: where ends
    stay away from the pleura; bronchus: diameter of the lumen by that of the artery beside it (0.62 +- 0.13, PMID
    9071307); wall: thickness by outer diameter (lumen by outer diameter 0.66 +- 0.06, PMID 7790543); lumen_mm: radius
    of the last airways that have one.
    """

    pitch: float = 6.7
    leaf_mm: float = 0.28
    exponent: float = 3.0
    pleura_mm: float = 2.5
    bronchus: float = 0.65
    wall: float = 0.17
    lumen_mm: float = 0.5
    branching: Growth = Growth()


@dataclass(frozen=True)
class LungTrees:
    """Airways with the radius of their lumen; `wall` is thickness by outer diameter."""

    airways: Tree
    arteries: Tree
    veins: Tree
    wall: float

    def airways_outside(self) -> Tree:
        """The airways with the radius of their outer wall."""
        return replace(self.airways, radius=self.airways.radius / (1 - 2 * self.wall))


def grow_lungs(
    lobes: np.ndarray, affine: np.ndarray, carina: np.ndarray, rng: np.random.Generator, how: LungGrowth = LungGrowth()
) -> LungTrees:
    """Trees of both lungs.

    Args:
        lobes: (X, Y, Z) ids of synth/volumes/labels.csv, what is no lobe being of no account; affine: (4, 4) RAS mm;
        carina: (3,) RAS mm, where the trachea ends.
    """
    regions = whole(np.where(np.isin(lobes, [labels.ids()[n] for n in _LOBES]), lobes, 0))
    depth = depths(regions, affine)
    inside = lookup(regions, affine)
    points, part, which = lattice(regions, depth, affine, how.pitch, how.pleura_mm, rng)
    found = _Lobes(regions, depth, affine, np.asarray(carina, float))
    airways = grow(found.bronchi(), points[which == 0], part[which == 0], inside, rng, how.branching)
    veins = grow(found.veins(), points[which == 1], part[which == 1], inside, rng, how.branching)
    airways, veins = (with_murray_radii(tree, how.leaf_mm, how.exponent) for tree in (airways, veins))
    airways, veins = curved(airways, inside, 4), curved(veins, inside, 4)
    lumen = replace(airways, radius=how.bronchus * airways.radius)
    outer = lumen.radius / (1 - 2 * how.wall)
    arteries = _beside(airways, airways.radius + outer, inside)
    return LungTrees(lumen.above(how.lumen_mm), arteries, veins, how.wall)


def carina_of(trachea: np.ndarray, affine: np.ndarray) -> np.ndarray | None:
    """(3,) RAS mm: where the trachea's mask ends along its own axis; None where it is empty."""
    where = world_of(np.argwhere(trachea), affine)
    if not len(where):
        return None
    upper = where[where[:, 2] >= np.median(where[:, 2])]
    axis = np.median(upper[:, 0])
    on_axis = where[np.abs(where[:, 0] - axis) < _AXIS_MM]
    low = on_axis[on_axis[:, 2] < on_axis[:, 2].min() + _AXIS_MM]
    return np.array([axis, low[:, 1].mean(), on_axis[:, 2].min()])


def _beside(airways: Tree, distance: np.ndarray, inside: Inside) -> Tree:
    """Arteries: above and in front of the airways at the hilum; back on them where they would leave their lobe."""
    moved = beside(airways, distance, np.array([0.0, 0.7, 0.7]))
    leaves_lobe = (airways.part > 0) & (inside(moved) != airways.part)
    return replace(airways, nodes=np.where(leaves_lobe[:, None], airways.nodes, moved))


@dataclass(frozen=True)
class _Lobes:
    regions: np.ndarray
    depth: np.ndarray
    affine: np.ndarray
    carina: np.ndarray

    def entries(self, targets: dict[str, tuple[float, float, float]]) -> dict[int, np.ndarray]:
        """Per lobe that is there, where a tree enters it."""
        out = {}
        for name, (side, kind) in _LOBES.items():
            number = labels.ids()[name]
            if (self.regions == number).any():
                target = self.carina + np.array([side, 1, 1]) * targets[kind]
                out[number] = entry(self.regions, self.depth, self.affine, number, target, _ENTRY_MM)
        return out

    def bronchi(self) -> Stem:
        """Trachea, main bronchi, intermediate bronchus, lobar bronchi."""
        return self._stem(self.carina + [0, 0, 30.0], self.carina, _HILUM, _INTERMEDIUS, _BRONCHUS, upper=(_UPPER,))

    def veins(self) -> Stem:
        """Left atrium, and on each side a superior vein from the upper and middle lobe and an inferior one."""
        atrium = self.carina + [0.0, 8.0, -58.0]
        return self._stem(atrium + [0, 0, -5.0], atrium, _SUPERIOR, _INFERIOR, _VEIN, upper=(_UPPER, _MIDDLE))

    def _stem(
        self,
        root: np.ndarray,
        fork: np.ndarray,
        first: np.ndarray,
        second: np.ndarray,
        targets: dict[str, tuple[float, float, float]],
        upper: tuple[str, ...],
    ) -> Stem:
        """root - fork - per side `first`, which leads to the `upper` lobes, and `second` to the others."""
        nodes, parent = [root, fork], [-1, 0]
        entries = self.entries(targets)
        starts: dict[int, int] = {}
        for side in (_RIGHT, _LEFT):
            mine = {n: k for n, (s, k) in _LOBES.items() if s == side and labels.ids()[n] in entries}
            if not mine:
                continue
            hub: dict[str, int] = {}
            for name, offset, above in (("first", first, None), ("second", second, "first")):
                wanted = [n for n, k in mine.items() if (k in upper) == (name == "first")]
                if not wanted and name == "second":
                    continue
                nodes.append(self.carina + np.array([side, 1, 1]) * offset)
                parent.append(1 if above is None or upper != (_UPPER,) else hub[above])
                hub[name] = len(nodes) - 1
            for n, k in mine.items():
                number = labels.ids()[n]
                nodes.append(entries[number])
                parent.append(hub["first" if k in upper else "second"])
                starts[number] = len(nodes) - 1
        return Stem(np.array(nodes), np.array(parent), starts)
