"""Join what a redraw drew to what was painted: no seam where it ends, and as much noise as before."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.report.noise import NoiseModel

_RAMP_PIXELS = 4.0  # from the border of what was redrawn to where it holds alone
_EVEN = 3.0  # times the noise: a block of more power holds an edge
_LEAST_EVEN = 0.03  # of the voxels: with fewer nothing is known of the noise
_LEVELS = 3  # of the Haar transform, the finest first: those that a redraw may draw anew


def joined(
    painted: np.ndarray,
    drawn: np.ndarray,
    where: np.ndarray,
    spacing: np.ndarray,
    noise: NoiseModel,
    rng: np.random.Generator,
) -> np.ndarray:
    """The crop with the redrawn detail, (X, Y, Z) float32 HU; equal to `painted` outside `where`.

    Detail that is drawn anew up to a border shows there as a step, so it sets in over `_RAMP_PIXELS` pixels. A network
    leaves some noise out, and so does a mixture of two that differ; detail of the host's spectrum makes up for it, on
    every grid. On the finest one that is what is lacking against the painted detail: edges and a lung's structure are
    in both, so the two are compared block by block, where either is even. On coarser ones, which a redraw may
    leave alone or fill with a texture of its own, only what is lacking against the host's noise is made up for.

    Args:
        painted: (X, Y, Z) HU, of even sizes, from an even offset of the host.
        drawn: (X, Y, Z) HU, what the redraw made of it.
        where: (X, Y, Z) boolean, what was to be redrawn.
        spacing: mm, (3,).
        noise: of the host, at this place.
        rng: of the noise that is added.
    """
    shape = painted.shape
    painted, drawn, where = (_padded(part) for part in (painted, np.where(where, drawn, painted), where))
    depth = ndimage.distance_transform_edt(where, sampling=spacing / spacing.min())
    share = (depth / (_RAMP_PIXELS + 1)).clip(0, 1)
    weight = share**2 * (3 - 2 * share)
    out = painted + weight * (drawn - painted)
    field = noise.draw(painted.shape, rng)
    for level in range(_LEVELS):
        out = out + _made_up(painted, drawn, field, where, weight, level)
    return out[tuple(slice(0, n) for n in shape)].astype(np.float32)


def _made_up(
    painted: np.ndarray,
    drawn: np.ndarray,
    field: np.ndarray,
    where: np.ndarray,
    weight: np.ndarray,
    level: int,
) -> np.ndarray:
    """The noise that one grid lacks, (X, Y, Z) HU; `level` 0 is the finest, `field` the host's noise drawn anew."""
    noise = _detail(field, level)
    parts = (_detail(painted, level), _detail(drawn, level), _detail(drawn - painted, level), noise)
    before, after, between, host = (_means(part**2, 2 ** (level + 1))[where] for part in parts)
    most = float(host.mean()) if host.size else 0.0
    even = (before <= _EVEN * most) & (after <= _EVEN * most)
    if most <= 0 or even.mean() < _LEAST_EVEN:
        return np.zeros_like(painted)
    left = float(after[even].mean())
    gap = min(float(before[even].mean()) - left, most - (left if level else 0.0))
    apart = min(float(between[even].mean()), 2 * most)  # two noises differ by no more than their sum
    # power of the mixture p + w (d - p) is p^2 + w (d^2 - p^2 - e^2) + w^2 e^2 with e = d - p
    lacking = weight * (gap + apart) - weight**2 * apart
    added: np.ndarray = np.sqrt(lacking.clip(0) / most) * noise
    return added


def _padded(values: np.ndarray) -> np.ndarray:
    """(X, Y, Z) of sizes that every grid divides."""
    return np.pad(values, [(0, -n % 2**_LEVELS) for n in values.shape], mode="edge")


def _detail(hu: np.ndarray, level: int = 0) -> np.ndarray:
    """What lies between voxels of a Haar level, (X, Y, Z): means of its blocks less those of blocks twice as large."""
    finer = _means(hu, 2**level) if level else hu
    return finer - _means(hu, 2 ** (level + 1))


def _means(hu: np.ndarray, size: int) -> np.ndarray:
    """Every voxel as the mean of its block of `size` voxels a side."""
    split = tuple(part for n in hu.shape for part in (n // size, size))
    blocks = hu.reshape(split)
    means: np.ndarray = np.broadcast_to(blocks.mean(axis=(1, 3, 5), keepdims=True), split).reshape(hu.shape)
    return means
