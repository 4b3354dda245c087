"""Join what a redraw drew to what was painted: no seam where it ends, and as much noise as before."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.report.noise import NoiseModel

_RAMP_PIXELS = 4.0  # from the border of what was redrawn to where it holds alone
_BLOCK = 2  # voxels: the finest Haar level


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
    leaves some noise out, and so does a mixture of two that differ; detail of the host's spectrum makes up for what is
    lacking against the painted detail.

    Args:
        painted: (X, Y, Z) HU, of even sizes, from an even offset of the host.
        drawn: (X, Y, Z) HU, what the redraw made of it.
        where: (X, Y, Z) boolean, what was to be redrawn.
        spacing: mm, (3,).
        noise: of the host, at this place.
        rng: of the noise that is added.
    """
    change = np.where(where, drawn - painted, 0)
    depth = ndimage.distance_transform_edt(where, sampling=spacing / spacing.min())
    share = (depth / (_RAMP_PIXELS + 1)).clip(0, 1)
    weight = share**2 * (3 - 2 * share)
    field = _detail(noise.draw(painted.shape, rng))
    level = _power(field[where])
    before, after, between = (_power(hu[where]) for hu in (_detail(painted), _detail(drawn), _detail(change)))
    # edges and a lung's structure are detail too, but only noise is to be made up for: the painted one is the host's,
    # and two noises differ by no more than their sum
    before, between = min(before, level), min(between, min(before, level) + after)
    # power of the mixture p + w (d - p) is p^2 + w (d^2 - p^2 - e^2) + w^2 e^2 with e = d - p
    lacking = weight * (before + between - after) - weight**2 * between
    added = np.sqrt(lacking.clip(0) / max(level, 1e-6)) * field
    return (painted + weight * change + added).astype(np.float32)


def _power(detail: np.ndarray) -> float:
    """Square of the median absolute value, which edges hardly raise; 0 of nothing."""
    return float(np.median(np.abs(detail))) ** 2 if detail.size else 0.0


def _detail(hu: np.ndarray) -> np.ndarray:
    """What lies between voxels of the finest Haar level: each less the mean of its block, (X, Y, Z)."""
    split = tuple(part for n in hu.shape for part in (n // _BLOCK, _BLOCK))
    blocks = hu.reshape(split)
    detail: np.ndarray = (blocks - blocks.mean(axis=(1, 3, 5), keepdims=True)).reshape(hu.shape)
    return detail
