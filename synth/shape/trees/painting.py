"""Painting: the share of every voxel that lies in a tree, whatever the spacing."""

from __future__ import annotations

import numpy as np

from synth.shape.trees.tree import Tree
from synth.volumes.geometry import voxel_spacing

_THIN = 0.7  # voxels of radius below which a vessel is a line with a mass
_STEP = 0.5  # voxels between samples along a piece
_OFF = np.array([-0.5, 0.5])  # along each axis; whichever way a vessel runs, r^2 / 2 off its axis on average


def share_of(tree: Tree, shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    """(X, Y, Z) float32, 0 to 1: how much of each voxel the tree fills.

    What is thinner than a voxel keeps its volume: it is spread over the nearest voxels.
    """
    spacing = float(voxel_spacing(affine).min())
    where, radius, length = _samples(tree, spacing)
    index = (where - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    thin = radius < _THIN * float(voxel_spacing(affine).mean())
    lines = _lines(index[thin], radius[thin], length[thin], shape, affine)
    tubes = _tubes(index[~thin], radius[~thin], shape, affine)
    return 1 - (1 - lines) * (1 - tubes)


def _samples(tree: Tree, spacing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (S, 3) mm along all pieces, with the radius there and the length each stands for, mm."""
    ends = tree.pieces
    start, stop = tree.nodes[tree.parent[ends]], tree.nodes[ends]
    length = np.linalg.norm(stop - start, axis=1)
    count = np.maximum(np.ceil(length / (_STEP * spacing)).astype(int), 1)
    piece = np.repeat(np.arange(len(ends)), count)
    within = (np.arange(len(piece)) - np.repeat(np.cumsum(count) - count, count) + 0.5) / count[piece]
    where = start[piece] + within[:, None] * (stop - start)[piece]
    return where, tree.radius[ends][piece], (length / count)[piece]


def _lines(
    index: np.ndarray, radius: np.ndarray, length: np.ndarray, shape: tuple[int, int, int], affine: np.ndarray
) -> np.ndarray:
    """(X, Y, Z) float32: thin pieces, their volume counted in the voxels that it lies in; radius, length in mm."""
    volume = np.pi * radius**2 * length / abs(np.linalg.det(affine[:3, :3])) / 2**3
    off = radius[:, None] / voxel_spacing(affine)
    sides = np.rint(index + off * _OFF[:, None, None]).astype(int)  # (2, N, 3): a disc is where these meet
    within = (sides >= 0) & (sides < shape)
    flat, each = [], []
    for i, j, k in np.ndindex(2, 2, 2):
        here = within[i, :, 0] & within[j, :, 1] & within[k, :, 2]
        flat.append(((sides[i, :, 0] * shape[1] + sides[j, :, 1]) * shape[2] + sides[k, :, 2])[here])
        each.append(volume[here])
    filled = np.bincount(np.concatenate(flat), np.concatenate(each), int(np.prod(shape)))
    return filled.reshape(shape).astype(np.float32).clip(0, 1)


def _tubes(index: np.ndarray, radius: np.ndarray, shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    """(X, Y, Z) float32: balls along thick pieces, their edge a voxel wide."""
    out = np.zeros(shape, np.float32)
    spacing = voxel_spacing(affine)
    edge = float(spacing.mean())
    size = np.ceil(2 * radius).astype(int)  # mm classes of a radius: one stencil each
    for k in np.unique(size):
        chosen = size == k
        reach = np.ceil((k / 2 + edge) / spacing).astype(int)
        stencil = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1).reshape(-1, 3)
        nearest = np.rint(index[chosen]).astype(int)
        at = nearest[:, None] + stencil
        distance = np.linalg.norm((at - index[chosen][:, None]) * spacing, axis=-1)
        even = np.sqrt(radius[chosen] ** 2 - edge**2 / 12)  # with such an edge a disc of r has pi (r^2 + edge^2 / 12)
        share = ((even[:, None] - distance) / edge + 0.5).clip(0, 1).astype(np.float32)
        here = ((at >= 0) & (at < shape)).all(axis=-1) & (share > 0)
        flat = np.ravel_multi_index(tuple(at[here].T), shape)
        np.maximum.at(out.reshape(-1), flat, share[here])
    return out
