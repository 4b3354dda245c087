"""Tree: nodes in mm, each with its parent and the radius of the vessel that leads to it; Murray's law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Tree:
    """Straight pieces from parent to node; a parent stands before its children.

    nodes: (N, 3) RAS mm; parent: (N,) index, -1 of a root; radius: (N,) mm of the piece that ends at a node;
    part: (N,) number of the region (such as a lobe) that a node was grown in, 0 of the stem that leads there.
    """

    nodes: np.ndarray
    parent: np.ndarray
    radius: np.ndarray
    part: np.ndarray

    def __post_init__(self) -> None:
        if (self.parent >= np.arange(len(self.parent))).any():
            raise ValueError("tree: a parent stands behind its child")

    @property
    def pieces(self) -> np.ndarray:
        """Indices of the nodes that a piece leads to: all but roots."""
        return np.flatnonzero(self.parent >= 0)

    @property
    def leaves(self) -> np.ndarray:
        """Indices of the nodes without children."""
        has_child = np.zeros(len(self.parent), bool)
        has_child[self.parent[self.pieces]] = True
        return np.flatnonzero(~has_child)

    def lengths(self) -> np.ndarray:
        """(N,) mm of the piece that ends at each node, 0 at roots."""
        start = self.nodes[np.where(self.parent >= 0, self.parent, np.arange(len(self.parent)))]
        return np.asarray(np.linalg.norm(self.nodes - start, axis=1))

    def above(self, radius: float) -> Tree:
        """What is thicker than a radius in mm; it stays in one piece because vessels only get thinner."""
        kept = (self.radius >= radius) | (self.parent < 0)
        for level in levels(self.parent):
            kept[level] &= kept[self.parent[level]]
        number = np.cumsum(kept) - 1
        parent = np.where(self.parent[kept] >= 0, number[self.parent[kept]], -1)
        return Tree(self.nodes[kept], parent, self.radius[kept], self.part[kept])


def joined(trees: Sequence[Tree]) -> Tree:
    """Several trees as one, each with roots of its own."""
    starts = np.cumsum([0, *(len(t.nodes) for t in trees)])
    parents = [np.where(t.parent >= 0, t.parent + start, -1) for t, start in zip(trees, starts, strict=False)]
    return Tree(
        np.concatenate([t.nodes for t in trees]),
        np.concatenate(parents),
        np.concatenate([t.radius for t in trees]),
        np.concatenate([t.part for t in trees]),
    )


def levels(parent: np.ndarray) -> list[np.ndarray]:
    """Indices of the nodes one step from a root, then two, and so on; roots are left out."""
    depth = np.zeros(len(parent), int)
    above = parent.copy()
    while (above >= 0).any():
        there = above >= 0
        depth[there] += 1
        above[there] = parent[above[there]]
    order = np.argsort(depth, kind="stable")
    return np.split(order, np.cumsum(np.bincount(depth)))[1:-1]


def flow(parent: np.ndarray) -> np.ndarray:
    """(N,) how many leaves each node leads to."""
    out = np.ones(len(parent))
    out[parent[parent >= 0]] = 0.0
    for level in reversed(levels(parent)):
        np.add.at(out, parent[level], out[level])
    return out


def with_murray_radii(tree: Tree, leaf_mm: float, exponent: float) -> Tree:
    """Radii such that r^exponent of a vessel is the sum over its branches, from leaves of one radius.

    Murray (1926) has the exponent 3; CT of human pulmonary arteries 2.9 +- 1.1 (Dong et al. 2020), casts from 2.3
    to 2.7 (Singhal et al. 1973, Suwa et al. 1963).
    """
    return replace(tree, radius=leaf_mm * flow(tree.parent) ** (1 / exponent))
