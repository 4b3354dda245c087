"""Growing: a tree that fills regions, by halving what each branch has to supply (Tawhai et al. 2000).

Every branch owns seed points of its region. They are parted across their widest direction, a child grows part of the
way towards the centre of each share, and so on, until a share is one point. All branches of a generation grow at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synth.shape.trees.tree import Tree

Inside = Callable[[np.ndarray], np.ndarray]  # (N, 3) mm -> (N,) number of the region there, 0 outside

_ALONG = (0.25, 0.5, 0.75)  # of a branch, where it must lie in its region
_SHORTER = (1.0, 0.6, 0.3)  # tries of a branch that would leave it
_TURNS, _AROUND = 6, 0.6  # tries in other directions, and how far off these are
_GENERATIONS = 60


@dataclass(frozen=True)
class Growth:
    """Shape of branching.

    reach: share of the way to the centre of its points that a branch grows (0.4 in Tawhai et al. 2000), `early_reach`
    in the first `early` generations, which divide close to where they enter and whose points are parted across the way
    there alone, so that branches radiate; uneven: least share of the points that the smaller child gets; angle: largest
    between parent and child, in degrees, unless nothing else stays inside; shortest_mm: what is shorter does not grow;
    longest_end_mm: nor does a last branch that would be longer.
    """

    reach: float = 0.4
    early_reach: float = 0.2
    early: int = 3
    uneven: float = 0.12
    angle: float = 60.0
    shortest_mm: float = 1.0
    longest_end_mm: float = 15.0


@dataclass(frozen=True)
class Stem:
    """Where growth starts: nodes and parents of what leads to the regions, and per region the node it starts from."""

    nodes: np.ndarray
    parent: np.ndarray
    starts: dict[int, int]


def grow(
    stem: Stem, points: np.ndarray, part: np.ndarray, inside: Inside, rng: np.random.Generator, how: Growth
) -> Tree:
    """A tree from a stem to all of the points (P, 3) mm, each in the region `part` (P,); radii are still 1."""
    grown = _Grown(stem)
    known = np.isin(part, list(stem.starts))
    points, part = points[known], part[known]
    regions = np.array(sorted(stem.starts))
    tips = np.array([stem.starts[int(r)] for r in regions])
    owner = np.searchsorted(regions, part)
    for generation in range(_GENERATIONS):
        if not len(points):
            break
        early = generation < how.early
        points, owner, tips = _generation(grown, points, owner, tips, inside, rng, how, early)
    return grown.tree()


class _Grown:
    """Nodes so far."""

    def __init__(self, stem: Stem) -> None:
        self.nodes, self.parent = stem.nodes.astype(float), stem.parent.copy()
        self.part = np.zeros(len(stem.nodes), int)
        self.starts = {node: region for region, node in stem.starts.items()}

    def directions(self, tips: np.ndarray) -> np.ndarray:
        start = self.parent[tips]
        return _unit(self.nodes[tips] - self.nodes[np.where(start >= 0, start, tips)])

    def regions(self, tips: np.ndarray) -> np.ndarray:
        return np.array([self.starts.get(int(t), int(self.part[t])) for t in tips])

    def add(self, nodes: np.ndarray, parent: np.ndarray, part: np.ndarray) -> np.ndarray:
        first = len(self.nodes)
        self.nodes = np.concatenate([self.nodes, nodes])
        self.parent = np.concatenate([self.parent, parent])
        self.part = np.concatenate([self.part, part])
        return np.arange(first, len(self.nodes))

    def tree(self) -> Tree:
        return Tree(self.nodes, self.parent, np.ones(len(self.nodes)), self.part)


def _generation(
    grown: _Grown,
    points: np.ndarray,
    owner: np.ndarray,
    tips: np.ndarray,
    inside: Inside,
    rng: np.random.Generator,
    how: Growth,
    early: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every tip gets two children, or one where it has a single point; returns the points that are left, and tips.

    A child that would leave its region does not grow: its points are parted again from the same tip.
    """
    single = np.bincount(owner, minlength=len(tips)) == 1
    child = 2 * owner + _second_half(points, owner, grown.nodes[tips], rng, how, early)
    present, child = np.unique(child, return_inverse=True)
    parents = tips[present // 2]
    centre = _means(points, child, len(present))
    alone = single[present // 2]
    reach = (how.early_reach if early else how.reach) * rng.uniform(0.8, 1.2, len(present))
    reach[alone] = 1.0
    region = grown.regions(parents)
    end, good = _ends(grown.nodes[parents], grown.directions(parents), centre, reach, region, inside, rng, how)
    good &= ~alone | (np.linalg.norm(centre - grown.nodes[parents], axis=1) <= how.longest_end_mm)
    number = parents.copy()
    number[good] = grown.add(end[good], parents[good], region[good])
    keep = ~alone[child]
    renumber = np.cumsum(~alone) - 1
    return points[keep], renumber[child[keep]], number[~alone]


def _means(points: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    sizes = np.maximum(np.bincount(group, minlength=count), 1)
    return np.stack([np.bincount(group, points[:, k], count) / sizes for k in range(3)], axis=1)


def _second_half(
    points: np.ndarray, owner: np.ndarray, tips: np.ndarray, rng: np.random.Generator, how: Growth, across: bool
) -> np.ndarray:
    """(P,) 0 or 1: on which side of a plane across the widest direction of its group each point lies.

    across: seen from the tip, so that no share lies behind the other.
    """
    count = len(tips)
    centre = _means(points, owner, count)
    ahead = _unit(centre - tips)
    offset = points - centre[owner]
    if across:
        offset -= np.einsum("pk,pk->p", offset, ahead[owner])[:, None] * ahead[owner]
    spread = np.empty((count, 3, 3))
    for i in range(3):
        for j in range(3):
            spread[:, i, j] = np.bincount(owner, offset[:, i] * offset[:, j], count)
    widest = np.linalg.eigh(spread)[1][:, :, 2] * rng.choice((-1.0, 1.0), (count, 1))
    along = np.einsum("pk,pk->p", offset, widest[owner])
    order = np.lexsort((along, owner))
    sizes = np.bincount(owner, minlength=count)
    rank = np.empty(len(points))
    rank[order] = np.arange(len(points)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    first = np.clip(np.rint(sizes * rng.uniform(how.uneven, 0.5, count)), 1, np.maximum(sizes - 1, 1))
    return (rank >= first[owner]).astype(int)


def _ends(
    start: np.ndarray,
    direction: np.ndarray,
    centre: np.ndarray,
    reach: np.ndarray,
    region: np.ndarray,
    inside: Inside,
    rng: np.random.Generator,
    how: Growth,
) -> tuple[np.ndarray, np.ndarray]:
    """Where each branch ends, and whether it lies in its region and is long enough.

    What is blocked is tried shorter, at a wider angle, and at last round the corner.
    """
    line = centre - start
    length = np.linalg.norm(line, axis=1) * reach
    end, left = start.copy(), np.arange(len(start))
    for turn in range(_TURNS):
        if turn == 0:
            heading = _within_angle(line, direction, np.deg2rad(how.angle))
        else:
            heading = _unit(_unit(line[left]) + _AROUND * (turn > 1) * rng.standard_normal((len(left), 3)))
        for shorter in _SHORTER:
            tried = start[left] + heading * (shorter * length[left])[:, None]
            fits = (shorter * length[left] >= how.shortest_mm) & _stays(start[left], tried, region[left], inside)
            end[left[fits]] = tried[fits]
            left, heading = left[~fits], heading[~fits]
    good = np.ones(len(start), bool)
    good[left] = False
    return end, good


def _stays(start: np.ndarray, end: np.ndarray, region: np.ndarray, inside: Inside) -> np.ndarray:
    """Whether pieces lie in their region; one that starts outside, where a tree enters, may do so but for its end."""
    fits = inside(end) == region
    at = np.flatnonzero(fits)
    home = inside(start[at]) == region[at]
    for share in _ALONG:
        fits[at] &= (inside(start[at] + share * (end - start)[at]) == region[at]) | ~home
    return fits


def _within_angle(line: np.ndarray, direction: np.ndarray, largest: float) -> np.ndarray:
    """Unit vectors along `line`, turned towards `direction` where they are further from it than an angle."""
    line = _unit(line)
    cosine = np.einsum("nk,nk->n", line, direction)
    side = line - cosine[:, None] * direction
    turned = np.cos(largest) * direction + np.sin(largest) * _unit(side)
    free = (cosine >= np.cos(largest)) | (np.linalg.norm(direction, axis=1) < 0.5)
    return np.where(free[:, None], line, turned)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
