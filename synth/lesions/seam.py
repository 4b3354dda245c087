"""Join what a redraw drew to what was painted: no seam where it ends, and as much noise as before."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from synth.report.noise import NoiseModel

_RAMP_PIXELS = 4.0  # from the border of what was redrawn to where it holds alone
_POWER_PIXELS = 3.0  # SD of the window in which the power of detail is measured
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
    lacking against the painted detail. Edges and a lung's structure are detail too, and in both: so the two are
    compared place by place, and the median place counts.

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
    before, after, between, level = (_power(_detail(hu), spacing) for hu in (painted, drawn, drawn - painted, field))
    middle = where & (weight > 0)
    host = _median(level[middle])
    gap = min(_median((before - after)[middle]), host)
    apart = min(_median(between[middle]), 2 * host)  # two noises differ by no more than their sum
    # power of the mixture p + w (d - p) is p^2 + w (d^2 - p^2 - e^2) + w^2 e^2 with e = d - p
    lacking = weight * (gap + apart) - weight**2 * apart
    added = np.sqrt(lacking.clip(0) / max(host, 1e-6)) * field
    return (painted + weight * change + added).astype(np.float32)


def _power(detail: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Mean square of detail about each voxel, (X, Y, Z) HU^2."""
    power: np.ndarray = ndimage.gaussian_filter(detail**2, _POWER_PIXELS * spacing.min() / spacing)
    return power


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else 0.0


def _detail(hu: np.ndarray) -> np.ndarray:
    """What lies between voxels of the finest Haar level: each less the mean of its block, (X, Y, Z)."""
    split = tuple(part for n in hu.shape for part in (n // _BLOCK, _BLOCK))
    blocks = hu.reshape(split)
    detail: np.ndarray = (blocks - blocks.mean(axis=(1, 3, 5), keepdims=True)).reshape(hu.shape)
    return detail
