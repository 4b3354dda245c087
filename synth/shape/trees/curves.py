"""Curves: branches bent so that they leave their parent smoothly, and a tree laid beside another."""

from __future__ import annotations

import numpy as np

from synth.shape.trees.growing import Inside
from synth.shape.trees.tree import Tree, flow, levels

_STRAIGHT_ON = 1e-3  # of a side that is left where a branch turns into it


def curved(tree: Tree, inside: Inside, pieces: int, bend: float = 0.45) -> Tree:
    """Each branch as `pieces` straight ones along a cubic; what would leave its region stays straight.

    bend: 0 straight, 1 leaves exactly along the parent.
    """
    tangent = _tangents(tree)
    ends = tree.pieces
    begins = tree.parent[ends]
    p0, p1 = tree.nodes[begins], tree.nodes[ends]
    line = p1 - p0
    length = np.linalg.norm(line, axis=1, keepdims=True)
    unit = line / np.maximum(length, 1e-9)
    m0 = _unit(bend * tangent[begins] + (1 - bend) * unit) * length
    m1 = _unit(bend * tangent[ends] + (1 - bend) * unit) * length
    share = (np.arange(1, pieces + 1) / pieces)[None, :, None]
    straight = p0[:, None] + share * line[:, None]
    s2, s3 = share**2, share**3
    bent = (
        (2 * s3 - 3 * s2 + 1) * p0[:, None]
        + (s3 - 2 * s2 + share) * m0[:, None]
        + (3 * s2 - 2 * s3) * p1[:, None]
        + (s3 - s2) * m1[:, None]
    )
    part = np.repeat(tree.part[ends], pieces)
    fits = (inside(bent.reshape(-1, 3)) == part).reshape(len(ends), pieces).all(axis=1) | (tree.part[ends] == 0)
    nodes = np.where(fits[:, None, None], bent, straight)
    return _subdivided(tree, nodes, ends, begins, pieces)


def _subdivided(tree: Tree, inner: np.ndarray, ends: np.ndarray, begins: np.ndarray, pieces: int) -> Tree:
    """The tree with (E, pieces, 3) nodes in place of each end; order stays, so parents stand before children."""
    count = np.ones(len(tree.nodes), int)
    count[ends] = pieces
    last = np.cumsum(count) - 1  # new number of each old node
    nodes, parent = np.empty((count.sum(), 3)), np.full(count.sum(), -1)
    roots = np.flatnonzero(tree.parent < 0)
    nodes[last[roots]] = tree.nodes[roots]
    for k in range(pieces):
        at = last[ends] - (pieces - 1 - k)
        nodes[at] = inner[:, k]
        parent[at] = last[begins] if k == 0 else at - 1
    return Tree(nodes, parent, np.repeat(tree.radius, count), np.repeat(tree.part, count))


def _tangents(tree: Tree) -> np.ndarray:
    """(N, 3) unit direction at nodes: between the piece that comes in and the child that carries most."""
    ends = tree.pieces
    direction = np.zeros_like(tree.nodes)
    direction[ends] = _unit(tree.nodes[ends] - tree.nodes[tree.parent[ends]])
    weight = flow(tree.parent)
    major = np.full(len(tree.nodes), -1)
    order = ends[np.argsort(weight[ends], kind="stable")]
    major[tree.parent[order]] = order  # the heaviest comes last
    onward = np.where((major >= 0)[:, None], direction[major], direction)
    both = _unit(direction + onward)
    return np.where((np.linalg.norm(direction, axis=1) > 0)[:, None], both, onward)


def beside(tree: Tree, distance: np.ndarray, first: np.ndarray) -> np.ndarray:
    """(N, 3) mm: nodes at a distance (N,) from those of a tree, at a side that is carried along it without twist.

    first: (3,) direction of that side at the roots.
    """
    direction = _tangents(tree)
    side = np.tile(np.asarray(first, float), (len(tree.nodes), 1))
    for level in levels(tree.parent):
        before = side[tree.parent[level]]
        across = before - np.einsum("nk,nk->n", before, direction[level])[:, None] * direction[level]
        size = np.linalg.norm(across, axis=1, keepdims=True)
        side[level] = np.where(size > _STRAIGHT_ON, across / np.maximum(size, 1e-9), before)
    return tree.nodes + distance[:, None] * side


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
