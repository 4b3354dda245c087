"""Paths in a host: centrelines of labelled vessels, shortest ways through a mask, smooth curves through points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.interpolate import make_interp_spline
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from synth.volumes.geometry import world_of
from synth.volumes.types import LabelMap

_STEP_MM = 0.5  # between points of a curve


def smooth_curve(points: np.ndarray, step_mm: float = _STEP_MM) -> np.ndarray:
    """A smooth curve through RAS points (N, 3), mm, as points `step_mm` apart, (M, 3)."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    kept = np.concatenate([[True], lengths > 1e-3])
    points, along = points[kept], np.concatenate([[0.0], np.cumsum(lengths[kept[1:]])])
    degree = min(3, len(points) - 1)
    curve = make_interp_spline(along, points, k=degree)
    return np.asarray(curve(np.linspace(0, along[-1], max(int(along[-1] / step_mm), 2))))


def centreline(organs: LabelMap, name: str, axis: int, bin_mm: float = 6.0) -> np.ndarray:
    """Centroids of a structure in bins along a RAS axis, from low to high, (N, 3) mm; empty where it is not there."""
    index = np.argwhere(organs.mask(name))
    if not len(index):
        return np.empty((0, 3))
    points = world_of(index, organs.affine)
    bins = ((points[:, axis] - points[:, axis].min()) / bin_mm).astype(int)
    counts = np.bincount(bins)
    sums = np.stack([np.bincount(bins, points[:, a]) for a in range(3)], axis=1)
    there = counts > 0.15 * counts.max()
    return np.asarray(sums[there] / counts[there, None])


def graph_of(mask: np.ndarray, cost: np.ndarray, spacing: np.ndarray) -> tuple[coo_array, np.ndarray]:
    """Neighbours of a mask's voxels (x, y, z) with their lengths in mm times the mean cost, and each voxel's node."""
    node = np.full(mask.shape, -1, np.int64)
    node[mask] = np.arange(int(mask.sum()))
    rows, columns, weights = [], [], []
    steps = [s for s in np.ndindex(3, 3, 3) if s > (1, 1, 1)]
    for step in steps:
        move = np.array(step) - 1
        here = tuple(slice(max(-m, 0), n - max(m, 0)) for m, n in zip(move, mask.shape, strict=True))
        there = tuple(slice(max(m, 0), n - max(-m, 0)) for m, n in zip(move, mask.shape, strict=True))
        both = mask[here] & mask[there]
        rows.append(node[here][both])
        columns.append(node[there][both])
        weights.append(0.5 * (cost[here][both] + cost[there][both]) * float(np.linalg.norm(move * spacing)))
    count = int(mask.sum())
    data = np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))
    return coo_array(data, shape=(count, count)), node


def ways_from(
    mask: np.ndarray, cost: np.ndarray, spacing: np.ndarray, start: Sequence[int], ends: Sequence[Sequence[int]]
) -> list[np.ndarray]:
    """The cheapest way through a mask from a voxel to each of some others: voxel indices (N, 3), start first.

    Voxels outside the mask stand for the nearest inside; ends that cannot be reached have no way, of length 0.
    """
    inside = np.argwhere(mask)
    graph, _ = graph_of(mask, cost, spacing)

    def nearest(voxel: Sequence[int]) -> int:
        return int((((inside - voxel) * spacing) ** 2).sum(axis=1).argmin())

    first = nearest(start)
    _, before = dijkstra(graph.tocsr(), directed=False, indices=first, return_predecessors=True)
    ways = []
    for end in ends:
        at, way = nearest(end), []
        while at >= 0:
            way.append(at)
            at = int(before[at])
        ways.append(inside[way[::-1]] if way[-1] == first else np.empty((0, 3), int))
    return ways


def smoothed(points: np.ndarray, sigma: float = 2.0) -> np.ndarray:
    """A way (N, 3) without the steps of its grid; its ends stay."""
    if len(points) < 4:
        return points.astype(float)
    out = ndimage.gaussian_filter1d(points.astype(float), sigma, axis=0, mode="nearest")
    out[0], out[-1] = points[0], points[-1]
    return np.asarray(out)
