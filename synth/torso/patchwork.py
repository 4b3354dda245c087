"""Patchwork: a coarse CT of the torso, from a drawn deformation and from scans drawn for wall, chest and abdomen.

Everything random is a function of the plan's seeds: `shape_seed` draws the deformation and the ends of the field,
`base_seed` the scans.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from prompts.vocabulary import Habitus, Phase
from synth.frames import BASE_SPACING_MM, LOOK_MM, TORSO, Frame
from synth.models.conditioning import CLASSES
from synth.plan import CasePlan
from synth.seeding import derive, numpy_rng
from synth.shape.deformation import exponential
from synth.torso.model import ATLAS_MM, TorsoModel

if TYPE_CHECKING:
    from synth.compose import Drawn

# Ends of the field of each region in the mean torso, mm above the anchor: just above the lungs, the adrenals, the top of
# the diaphragm, the pelvic brim.
FIELDS_MM = {"chest": (-105.0, 232.0), "abdomen": (-300.0, 28.0), "chest_abdomen": (-300.0, 232.0)}
_FIELD_SD_MM = 8.0
_SLICES = 2  # base slices that a field is a multiple of: `refine` halves its grid twice
_HABITUS_SIZE = {Habitus.SLIM: -1.0, Habitus.AVERAGE: 0.0, Habitus.LARGE: 1.1}
_SIZE_SD = 0.25  # of what a word leaves open
_TEMPERATURE = 0.8  # of the modes: few scans say little about what is rare
_SEAM = 2.5  # voxels of LOOK_MM, SD of the blend where a scan ends
_BORDER = 0.7  # the same between wall and inside, where scans are in register
_LEAST_SHARE = 0.25  # of a part that a scan must show to be drawn for it first


@dataclass(frozen=True)
class Layer:
    """A part of the torso and who may lend its look. weight: (X, Y, Z) share of every voxel that is this part."""

    weight: np.ndarray
    donors: tuple[int, ...]


def draw_patchwork(plan: CasePlan, model: TorsoModel, on_step: Callable[[], None] = lambda: None) -> Drawn:
    """The coarse CT of a plan at LOOK_MM on the part of the torso frame that its region shows, and its atlas."""
    from synth.compose import Drawn

    displacement = exponential(model.velocity(draw_coefficients(plan, model)), TORSO)
    low, high = field(plan, displacement)
    mean_ct = patched(plan, model)
    on_step()
    ct = sampled(mean_ct, displacement, LOOK_MM)
    frame = Frame(str(plan.region), TORSO.anchor, (*TORSO.shape[:2], high - low), _lower(low, displacement))
    cut = slice(round(low * BASE_SPACING_MM / LOOK_MM), round(high * BASE_SPACING_MM / LOOK_MM))
    ct = torch.from_numpy(ct[None, None, :, :, cut] - 1.0).clamp(-1.0, 1.5).contiguous()
    labels = torch.zeros(1, CLASSES, *ct.shape[2:])
    labels[:, 0] = 1
    nothing = torch.zeros(1, 1, *frame.shape)
    return Drawn(frame, LOOK_MM, ct, nothing, labels, None, atlas=Atlas(model.atlas, displacement, low, high))


@dataclass(frozen=True)
class Atlas:
    """Labels of the mean torso and the displacement that carries it, (1, 3, ..) mm; low, high: base slices shown."""

    ids: np.ndarray
    displacement: torch.Tensor
    low: int
    high: int

    def at(self, spacing: float) -> np.ndarray:
        """(X, Y, Z) uint8 ids on the field at a spacing, each voxel as the nearest of the mean torso."""
        where = positions(self.displacement, spacing, ATLAS_MM)
        cut = slice(round(self.low * BASE_SPACING_MM / spacing), round(self.high * BASE_SPACING_MM / spacing))
        return ndimage.map_coordinates(self.ids, where[..., cut], order=0, mode="nearest")


def draw_coefficients(plan: CasePlan, model: TorsoModel) -> np.ndarray:
    """(K,) of the modes in SD: drawn, and moved along the body's size where the prompt says a habitus."""
    rng = numpy_rng(plan.shape_seed)
    drawn = _TEMPERATURE * rng.standard_normal(len(model.scale))
    extra = rng.standard_normal()
    along = model.habitus / max(float(np.linalg.norm(model.habitus)), 1e-6)
    if plan.request.habitus is not None:
        size = _HABITUS_SIZE[plan.request.habitus] + _SIZE_SD * extra
        drawn = drawn - (drawn @ along) * along + size * model.habitus
    return np.asarray(drawn)


def field(plan: CasePlan, displacement: torch.Tensor) -> tuple[int, int]:
    """First and one past the last base slice of the plan's region, as the drawn torso has them."""
    rng = numpy_rng(derive(plan.shape_seed, "field"))
    low, high = (mm + _FIELD_SD_MM * rng.standard_normal() for mm in FIELDS_MM[str(plan.region)])
    first, last = (_slice_of(mm, displacement) for mm in (low, high))
    count = max(_SLICES, _SLICES * round((last - first) / _SLICES))
    first = round(first)
    last = min(TORSO.shape[2], first + count)
    first = max(0, last - count)
    return first, last


def _slice_of(mm: float, displacement: torch.Tensor) -> float:
    """The base slice at which the spine of the drawn torso has what the mean torso has at a height."""
    x, y = (round(-TORSO.lower_mm[i] / BASE_SPACING_MM) for i in (0, 1))
    z = TORSO.lower_mm[2] + BASE_SPACING_MM * (np.arange(TORSO.shape[2]) + 0.5)
    shown = z + displacement[0, 2, x, y].numpy()
    return float(np.interp(mm, shown, np.arange(TORSO.shape[2]) + 0.5))


def _lower(low: int, displacement: torch.Tensor) -> tuple[float, float, float]:
    """RAS corner of the field, the drawn torso's own anchor being the origin."""
    index = [round(-lower / BASE_SPACING_MM) for lower in TORSO.lower_mm]
    shift = displacement[0, :, index[0], index[1], index[2]].numpy().round(1)  # the mean's anchor lies that far beyond
    x, y, z = (float(lower + s) for lower, s in zip(TORSO.lower_mm, shift, strict=True))
    return x, y, z + BASE_SPACING_MM * low


def patched(plan: CasePlan, model: TorsoModel) -> np.ndarray:
    """(X, Y, Z) intensity + 1 of the mean torso at LOOK_MM: wall, chest and abdomen of scans drawn for them."""
    rng = numpy_rng(plan.base_seed)
    enhanced = _enhanced(plan, rng)
    total = np.zeros(model.chest.shape, np.float32)
    for layer in layers(plan, model, enhanced):
        total += layer.weight * _filled(layer, _order(plan, model, layer, rng), model)
    return total


def _enhanced(plan: CasePlan, rng: np.random.Generator) -> bool:
    drawn = bool(rng.random() < 0.5)
    return drawn if plan.request.phase is None else plan.request.phase is not Phase.NON_CONTRAST


def layers(plan: CasePlan, model: TorsoModel, enhanced: bool) -> tuple[Layer, Layer, Layer]:
    """Wall, chest and abdomen; what is inside comes from scans of the contrast that the plan has."""
    chest, abdomen = (
        ndimage.gaussian_filter(part.astype(np.float32) / 255, _BORDER) for part in (model.chest, model.abdomen)
    )
    over = np.maximum(chest + abdomen, 1.0)
    chest, abdomen = chest / over, abdomen / over
    inside = [i for i, d in enumerate(model.donors) if d.enhanced == enhanced]
    return (
        Layer(1 - chest - abdomen, tuple(i for i, d in enumerate(model.donors) if d.outline)),
        Layer(chest, tuple(i for i in inside if model.donors[i].sound)),
        Layer(abdomen, tuple(inside)),
    )


def _order(plan: CasePlan, model: TorsoModel, layer: Layer, rng: np.random.Generator) -> list[int]:
    """Who lends first: at random among those that show most of what the region has of a layer, then the others."""
    low, high = FIELDS_MM[str(plan.region)]
    z = TORSO.lower_mm[2] + LOOK_MM * (np.arange(layer.weight.shape[2]) + 0.5)
    asked = layer.weight * ((z > low) & (z < high))
    shares = np.array([(asked * (model.looks[i] > 0)).sum() / max(float(asked.sum()), 1e-6) for i in layer.donors])
    wish = _HABITUS_SIZE.get(plan.request.habitus) if plan.request.habitus else None
    key = shares**2 * np.where(shares < _LEAST_SHARE, 1e-3, 1.0) + 1e-6
    if wish is not None:
        sizes = np.array([model.donors[i].size for i in layer.donors])
        key = key * np.exp(-((sizes - wish) ** 2))
    luck = -np.log(rng.random(len(key))) / key  # an order drawn without replacement in proportion to `key`
    return [layer.donors[i] for i in np.argsort(luck)]


def _filled(layer: Layer, order: list[int], model: TorsoModel) -> np.ndarray:
    """(X, Y, Z) intensity + 1: the first scan where it has data, the next where that ends, and so on."""
    total = np.zeros(layer.weight.shape, np.float32)
    left, rest, count = np.ones_like(total), np.zeros_like(total), np.zeros_like(total)
    for index in order:
        look, known = model.look(index)
        inner = ndimage.distance_transform_edt(np.pad(known, ((0, 0), (0, 0), (1, 1)), mode="constant"))[..., 1:-1]
        share = np.clip((inner - 0.5) / (2 * _SEAM), 0.0, 1.0).astype(np.float32)
        total += left * share * look
        left = left * (1 - share)
        rest += known * look
        count += known
    return total + left * rest / np.maximum(count, 1e-3)  # at the outermost voxels of all scans, their mean


def positions(displacement: torch.Tensor, spacing: float, grid_mm: float) -> np.ndarray:
    """(3, X, Y, Z) float32: for voxels of the frame at `spacing`, the index on a grid of the mean torso at `grid_mm`."""
    shape = TORSO.shape_at(spacing)
    moved = F.interpolate(displacement, size=shape, mode="trilinear", align_corners=False)[0].numpy()
    for axis, n in enumerate(shape):
        view = [1, 1, 1]
        view[axis] = n
        moved[axis] += (spacing * (np.arange(n, dtype=np.float32) + 0.5)).reshape(view)
    return np.asarray(moved / grid_mm - 0.5, np.float32)


def sampled(volume: np.ndarray, displacement: torch.Tensor, spacing: float) -> np.ndarray:
    """A volume of the mean torso at LOOK_MM carried by the displacement; cubic, for linear interpolation blurs bone."""
    where = positions(displacement, spacing, LOOK_MM)
    return np.asarray(ndimage.map_coordinates(volume, where, order=3, mode="nearest"), np.float32).clip(0, 2.5)
