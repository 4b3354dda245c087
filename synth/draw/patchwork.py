"""Patchwork: a coarse CT of the torso, from a drawn deformation and from scans drawn for wall, chest and abdomen.

Everything random is a function of the plan's seeds: `shape_seed` draws the deformation and the ends of the field,
`base_seed` the scans.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from prompts.vocabulary import Habitus, Phase
from synth.case.plan import GeneratePlan
from synth.draw.drawn import Atlas, Drawn
from synth.regions import Region
from synth.regions.frame import BASE_SPACING_MM, LOOK_MM, Frame, composed_spacing
from synth.seeding import derive, numpy_rng
from synth.shape.deformation import exponential
from synth.torso.atlas import LUNGS
from synth.torso.composing import LEAST_SHARE, composed
from synth.torso.model import TorsoModel
from synth.torso.places import Places
from synth.volumes import labels

_BRIM_MM = -300.0  # the pelvic brim of the mean torso
_ABOVE_MM, _BELOW_MM = 30.0, 22.0  # the field reaches beyond the lungs, and above the liver
_FIELD_SD_MM = 6.0
_SLICES = 2  # base slices that a field is a multiple of: `refine` halves its grid twice
# heights of the mean torso between which scans are asked what they show
_ASKED_MM = {"chest": (-105.0, 232.0), "abdomen": (_BRIM_MM, 28.0), "chest_abdomen": (_BRIM_MM, 232.0)}
_HABITUS_SIZE = {Habitus.SLIM: -1.0, Habitus.AVERAGE: 0.0, Habitus.LARGE: 1.1}
_SIZE_SD = 0.25  # of what a word leaves open
_TEMPERATURE = 0.8  # of the modes: few scans say little about what is rare
_SEAM = 5.0  # voxels of LOOK_MM over which a scan fades out where it ends
_LEAST_KNOWN = 0.05
_READ_MM = 4.0  # the coarsest that scans are read at: averaged from there on, so that nothing aliases
_BORDER = 0.7  # the same between wall and inside, where scans are in register
_LEAST_SHARE = 0.25  # of a part that a scan must show to be drawn for it first


@dataclass(frozen=True)
class Layer:
    """A part of the torso and who may lend its look.

    weight: (X, Y, Z) share of every voxel that is this part; spare: who lends where none of `donors` has data.
    """

    weight: np.ndarray
    donors: tuple[int, ...]
    spare: tuple[int, ...] = ()


def draw_patchwork(
    plan: GeneratePlan, region: Region, model: TorsoModel, on_step: Callable[[], None] = lambda: None
) -> Drawn:
    """The CT of a plan, at its own spacing or the finest that looks hold, on the part of the region's frame that its
    prompt shows, and its atlas."""
    displacement = exponential(model.velocity(draw_coefficients(plan, model)), model.frame)
    low, high = field(plan, model.frame, Atlas(model.organs, displacement, 0, model.frame.shape[2]))
    spacing = composed_spacing(plan.spacing_mm)
    read_at = min(spacing, _READ_MM)
    ct = torch.from_numpy(composed(shares(plan, model), model, Places(displacement, read_at, (low, high))))[None, None]
    if spacing > read_at:
        ct = F.avg_pool3d(ct, round(spacing / read_at))
    on_step()
    frame = Frame((*model.frame.shape[:2], high - low), _lower(low, displacement, model.frame))
    atlas = Atlas(model.organs, displacement, low, high)
    return Drawn(region, frame, spacing, ct, None, None, None, atlas=atlas)


def draw_coefficients(plan: GeneratePlan, model: TorsoModel) -> np.ndarray:
    """(K,) of the modes in SD: drawn, and moved along the body's size where the prompt says a habitus."""
    rng = numpy_rng(plan.shape_seed)
    drawn = _TEMPERATURE * rng.standard_normal(len(model.scale))
    extra = rng.standard_normal()
    along = model.habitus / max(float(np.linalg.norm(model.habitus)), 1e-6)
    if plan.request.habitus is not None:
        size = _HABITUS_SIZE[plan.request.habitus] + _SIZE_SD * extra
        drawn = drawn - (drawn @ along) * along + size * model.habitus
    return np.asarray(drawn)


def field(plan: GeneratePlan, frame: Frame, whole: Atlas) -> tuple[int, int]:
    """First and one past the last base slice of the plan's region, as the drawn torso has them: the lungs for a chest,
    the liver down to the pelvic brim for an abdomen, each with a margin.

    Args:
        whole: the atlas on the whole `frame`.
    """
    rng = numpy_rng(derive(plan.shape_seed, "field"))
    below, above = _FIELD_SD_MM * rng.standard_normal(2)
    ids = whole.at(LOOK_MM)
    lungs, liver = (_ends(ids, names) for names in (LUNGS, ("liver",)))
    low = (
        _slice_of(_BRIM_MM, whole.displacement, frame)
        if plan.region != "chest"
        else lungs[0] - _BELOW_MM / BASE_SPACING_MM
    )
    high = (
        liver[1] + _BELOW_MM / BASE_SPACING_MM if plan.region == "abdomen" else lungs[1] + _ABOVE_MM / BASE_SPACING_MM
    )
    low, high = low + below / BASE_SPACING_MM, high + above / BASE_SPACING_MM
    count = _SLICES * math.ceil((high - low) / _SLICES)
    first = max(0, math.floor((low + high - count) / 2 + 0.5))
    last = min(frame.shape[2], first + count)
    return last - count if last - count >= 0 else 0, last


def _ends(ids: np.ndarray, names: tuple[str, ...]) -> tuple[float, float]:
    """Lower and upper end of organs in base slices, from ids at LOOK_MM; the middle where there are none."""
    wanted = [labels.ids()[name] for name in names]
    slices = np.flatnonzero(np.isin(ids, wanted).any(axis=(0, 1)))
    scale = LOOK_MM / BASE_SPACING_MM
    if not len(slices):
        return ids.shape[2] * scale / 2, ids.shape[2] * scale / 2
    return float(slices[0]) * scale, float(slices[-1] + 1) * scale


def _slice_of(mm: float, displacement: torch.Tensor, frame: Frame) -> float:
    """The base slice at which the spine of the drawn torso has what the mean torso has at a height."""
    x, y = (round(-frame.lower_mm[i] / BASE_SPACING_MM) for i in (0, 1))
    z = frame.lower_mm[2] + BASE_SPACING_MM * (np.arange(frame.shape[2]) + 0.5)
    shown = z + displacement[0, 2, x, y].numpy()
    return float(np.interp(mm, shown, np.arange(frame.shape[2]) + 0.5))


def _lower(low: int, displacement: torch.Tensor, frame: Frame) -> tuple[float, float, float]:
    """RAS corner of the field, the drawn torso's own anchor being the origin."""
    index = [round(-lower / BASE_SPACING_MM) for lower in frame.lower_mm]
    shift = displacement[0, :, index[0], index[1], index[2]].numpy().round(1)  # the mean's anchor lies that far beyond
    x, y, z = (float(lower + s) for lower, s in zip(frame.lower_mm, shift, strict=True))
    return x, y, z + BASE_SPACING_MM * low


def shares(plan: GeneratePlan, model: TorsoModel) -> dict[int, np.ndarray]:
    """(X, Y, Z) float32 at LOOK_MM of each scan that lends its look: how much of every voxel is its."""
    rng = numpy_rng(plan.base_seed)
    enhanced = _enhanced(plan, rng)
    found: dict[int, np.ndarray] = {}
    for layer in layers(model, enhanced):
        for index, share in _filled(layer, _order(plan, model, layer, rng), model).items():
            found[index] = found.get(index, 0.0) + layer.weight * share
    total = np.sum(list(found.values()), axis=0)
    total = np.where(total > _LEAST_KNOWN, total, 1.0)  # all of them fade where the last of them ends
    return {i: (s / total).astype(np.float32) for i, s in found.items() if float(s.max()) > LEAST_SHARE}


def _enhanced(plan: GeneratePlan, rng: np.random.Generator) -> bool:
    drawn = bool(rng.random() < 0.5)
    return drawn if plan.request.phase is None else plan.request.phase is not Phase.NON_CONTRAST


def layers(model: TorsoModel, enhanced: bool) -> tuple[Layer, Layer, Layer]:
    """Wall, chest and abdomen; what is inside comes from scans of the contrast that the plan has, as far as they go."""
    chest, abdomen = (
        ndimage.gaussian_filter(part.astype(np.float32) / 255, _BORDER) for part in (model.chest, model.abdomen)
    )
    over = np.maximum(chest + abdomen, 1.0)
    chest, abdomen = chest / over, abdomen / over
    inside = [i for i, d in enumerate(model.donors) if d.enhanced == enhanced]
    return (
        Layer(1 - chest - abdomen, tuple(i for i, d in enumerate(model.donors) if d.outline)),
        Layer(chest, tuple(i for i in inside if model.donors[i].sound)),
        Layer(abdomen, tuple(inside), tuple(i for i in range(len(model.donors)) if i not in inside)),
    )


def _order(plan: GeneratePlan, model: TorsoModel, layer: Layer, rng: np.random.Generator) -> list[int]:
    """Who lends first: at random among those that show most of what the region has of a layer, then the others."""
    low, high = _ASKED_MM[str(plan.region)]
    z = model.frame.lower_mm[2] + LOOK_MM * (np.arange(layer.weight.shape[2]) + 0.5)
    asked = layer.weight * ((z > low) & (z < high))
    shares = np.array([(asked * model.seen[i]).sum() / max(float(asked.sum()), 1e-6) for i in layer.donors])
    wish = _HABITUS_SIZE.get(plan.request.habitus) if plan.request.habitus else None
    key = shares**2 * np.where(shares < _LEAST_SHARE, 1e-3, 1.0) + 1e-6
    if wish is not None:
        sizes = np.array([model.donors[i].size for i in layer.donors])
        key = key * np.exp(-((sizes - wish) ** 2))
    luck = -np.log(rng.random(len(key))) / key  # an order drawn without replacement in proportion to `key`
    return [*(layer.donors[i] for i in np.argsort(luck)), *layer.spare]


def _filled(layer: Layer, order: list[int], model: TorsoModel) -> dict[int, np.ndarray]:
    """Share (X, Y, Z) of each scan: the first where it has data, the next where that ends, and so on."""
    left = np.ones(layer.weight.shape, np.float32)
    found = {}
    for index in order:
        share = left * np.clip((model.depths[index] - 0.5) / _SEAM, 0.0, 1.0)
        if float((share * layer.weight).max()) > LEAST_SHARE:
            found[index] = share
        left = left - share
    return found
