"""The inside of real tumours that were held out, against the same outline painted and redrawn.

    python -m evals.lesion_inside --data runs/data/lesion/val --weights runs/lesion/weights --out runs/lesion_inside

Each tumour keeps its outline and its mean HU, and its inside is thrown away; then it is painted as `type` says,
painted and redrawn by `refine`, or painted and redrawn by the `lesion` weights. SD, gradient and detail of every grid
inside are compared with those that were there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage, stats

from prompts.vocabulary import Organ
from synth.case import library
from synth.case.plan import Sampling
from synth.case.weights_folder import Weights
from synth.data.tumours import Tumour, load_tumours
from synth.draw.redraw import LesionRedraw, RefineRedraw
from synth.failure import ended
from synth.files.whole import write_whole
from synth.lesions.insertion import Redraw
from synth.lesions.lesion_plan import LesionPlan, Zone
from synth.lesions.lesion_types import lesion_types
from synth.lesions.seam import joined
from synth.lesions.shape import Grown
from synth.lesions.texture import paint
from synth.models import intensity, wavelet
from synth.report.diameters import longest_in_slice
from synth.report.noise import measure_noise
from synth.volumes.types import LabelMap, Volume

_CONTEXT = 32  # voxels
_CORE = 2  # voxels from the border that are not looked at
_GRIDS = 3
_AIR_HU = -1000
_EDGE_VOXELS = 0.6  # SD of the painted border
_LEAST_BLOCKS = 8
PAINTED, PLAIN, TRAINED, REAL = "painted", "refine", "lesion", "real"


def cropped(tumour: Tumour) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU float32 and mask of a tumour with what lies round it, of even sizes, and spacing."""
    where = np.argwhere(tumour.mask[0].numpy())
    low = np.maximum(where.min(axis=0) - _CONTEXT, 0) // 2 * 2
    high = np.minimum(where.max(axis=0) + 1 + _CONTEXT, tumour.mask.shape[1:])
    high -= (high - low) % 2
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return intensity.to_hu(tumour.ct[0].float().numpy())[box], tumour.mask[0].numpy()[box], tumour.spacing.numpy()


def drawn_anew(
    hu: np.ndarray, mask: np.ndarray, spacing: np.ndarray, kind: str, seed: int, redraws: dict[str, Redraw]
) -> Iterator[tuple[str, np.ndarray]]:
    """(name, (X, Y, Z) HU) of every way to fill a real outline; `hu` and `mask` (X, Y, Z), `spacing` mm."""
    affine = np.diag([*spacing, 1.0])
    beside = Volume(np.where(mask, _AIR_HU, np.rint(hu)).astype(np.int16), affine)
    noise = measure_noise(beside, LabelMap(np.zeros(hu.shape, np.uint8), affine, {}))
    plan = _plan(hu, mask, spacing, kind, seed)
    painted = paint(plan, _body(mask), hu, spacing, noise)
    yield PAINTED, painted
    for name, redraw in redraws.items():
        where = _body(mask).share > 0
        drawn = redraw(painted, where, spacing, seed)
        yield name, joined(painted, drawn, where, spacing, noise, plan.generator("lacking"))


def _body(mask: np.ndarray) -> Grown:
    """A real outline as if it had been grown: soft over a voxel, and depth 0 at the centre to 1 at the surface."""
    share = ndimage.gaussian_filter(mask.astype(np.float32), _EDGE_VOXELS, truncate=2.0)
    inside = ndimage.distance_transform_edt(mask)
    outside = ndimage.distance_transform_edt(~mask)
    depth = np.where(mask, 1 - inside / inside.max(), 1 + outside / inside.max()).astype(np.float32)
    i, j, k = (slice(0, n) for n in mask.shape)
    return Grown((i, j, k), mask, share, depth)


def _plan(hu: np.ndarray, mask: np.ndarray, spacing: np.ndarray, kind: str, seed: int) -> LesionPlan:
    """The plan of a lesion of a type that has the mean HU of a real one."""
    looks = lesion_types()[kind]
    size = longest_in_slice(mask, spacing, 2)[1]
    low, high = looks.grain_hu.sd(None)
    x, y, z = (int(n) for n in np.argwhere(mask)[len(np.argwhere(mask)) // 2])
    return LesionPlan(
        id=1,
        kind=kind,
        organ=Organ.MUSCLE.value,
        structures=("gluteus_maximus_left",),
        invades=False,
        bulges=False,
        phase="native",
        centre=(x, y, z),
        size_mm=size,
        ball_mm=size,
        axes=(0.8, 0.7),
        rotation=(0.0, 0.0, 0.0, 1.0),
        roughness=0.0,
        lobes=0,
        lobe_depth=0.0,
        spicules=0,
        spicule_mm=0.0,
        margin_mm=2.0,
        zones=(Zone(name="tissue", reach=1.0, hu=float(hu[core_of(mask)].mean()), opacity=1.0),),
        grain_hu=(low + high) / 2,
        grain_mm=looks.grain_hu.length_mm(size),
        mass_effect=0.0,
        seed=seed,
    )


def core_of(mask: np.ndarray) -> np.ndarray:
    """A mask less its outer `_CORE` voxels."""
    core: np.ndarray = ndimage.binary_erosion(mask, iterations=_CORE)
    return core


def texture(hu: np.ndarray, core: np.ndarray, spacing: np.ndarray) -> dict[str, float]:
    """SD (HU), in-slice gradient (HU/mm) and RMS of the Haar details of each grid (HU) in a core, NaN if too small."""
    out = {"sd": float(hu[core].std())}
    along = [np.gradient(hu, float(s), axis=a) for a, s in enumerate(spacing[:2])]
    out["gradient"] = float(np.hypot(*along)[core].mean())
    grid = torch.from_numpy(hu.astype(np.float32))[None, None]
    inside = torch.from_numpy(core)[None, None].float()
    for level in range(_GRIDS):
        grid, inside = (_even(v) for v in (grid, inside))
        bands = wavelet.forward(grid)
        held = F.avg_pool3d(inside, 2)[0, 0] == 1
        rms = float(bands[0, 1:, held].square().mean().sqrt()) if held.sum() >= _LEAST_BLOCKS else float("nan")
        out[f"detail_{level + 1}"] = rms
        grid, inside = bands[:, :1], held[None, None].float()
    return out


def _even(v: torch.Tensor) -> torch.Tensor:
    return v[:, :, : v.shape[2] // 2 * 2, : v.shape[3] // 2 * 2, : v.shape[4] // 2 * 2]


def compared(rows: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Of {way: texture} per tumour: log2 of each way's texture over the real one, and whether `lesion` is nearer.

    `bias` is its mean, `error` the mean of its absolute value; p is Wilcoxon's, one-sided, over tumours.
    """
    out: dict[str, Any] = {"tumours": len(rows)}
    for measure in rows[0][REAL]:
        real = np.array([row[REAL][measure] for row in rows])
        held = np.isfinite(real)
        if not held.any():
            continue  # no tumour is large enough for this grid
        errors = {
            way: np.log2(np.array([row[way][measure] for row in rows])[held] / real[held])
            for way in rows[0]
            if way != REAL
        }
        table: dict[str, Any] = {"n": int(held.sum()), "real": round(float(real[held].mean()), 3)}
        for way, error in errors.items():
            table[way] = {"bias": round(float(error.mean()), 3), "error": round(float(np.abs(error).mean()), 3)}
        for way in (PAINTED, PLAIN):
            if TRAINED in errors and held.sum() > 1:
                nearer = np.abs(errors[way]) - np.abs(errors[TRAINED])
                table[f"nearer_than_{way}_p"] = float(f"{stats.wilcoxon(nearer, alternative='greater').pvalue:.3g}")
        out[measure] = table
    return out


def run(
    tumours: list[Tumour], kind: str, redraws: dict[str, Redraw], seed: int
) -> Iterator[tuple[dict[str, dict[str, float]], dict[str, np.ndarray], np.ndarray]]:
    """For each tumour its textures, the volumes and the mask."""
    for number, tumour in enumerate(tumours):
        hu, mask, spacing = cropped(tumour)
        volumes = {REAL: hu, **dict(drawn_anew(hu, mask, spacing, kind, seed + number, redraws))}
        yield {name: texture(v, core_of(mask), spacing) for name, v in volumes.items()}, volumes, mask


def picture(shown: list[tuple[dict[str, np.ndarray], np.ndarray]], path: Path) -> None:
    """One row a tumour, one column a way, through its largest slice; window -100 to 160 HU."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ways = list(shown[0][0])
    figure = Figure(figsize=(2.4 * len(ways), 2.4 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), len(ways), squeeze=False)
    for row, (volumes, mask) in zip(axes, shown, strict=True):
        k = int(mask.sum(axis=(0, 1)).argmax())
        for axis, way in zip(row, ways, strict=True):
            axis.imshow(volumes[way][:, ::-1, k].T[:, ::-1], cmap="gray", vmin=-100, vmax=160)
            axis.set_axis_off()
            axis.set_title(way, fontsize=8)
    FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})


def main(arguments: list[str] | None = None) -> int:
    """The command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m evals.lesion_inside", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("runs/data/lesion/val"))
    parser.add_argument("--weights", type=Path, required=True, help="of `synthct train lesion`")
    parser.add_argument("--kind", default="soft_tissue_sarcoma", help="lesion type that is painted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/lesion_inside"))
    options = parser.parse_args(arguments)
    sampling = Sampling()
    redraws: dict[str, Redraw] = {
        PLAIN: RefineRedraw(Weights.covering(None).refine(), sampling),
        TRAINED: LesionRedraw(library.load_from(options.weights), sampling),
    }
    rows, shown = [], []
    for textures, volumes, mask in run(load_tumours(options.data), options.kind, redraws, options.seed):
        rows.append(textures)
        shown.append((volumes, mask))
    result = compared(rows)
    options.out.mkdir(parents=True, exist_ok=True)
    write_whole(options.out / "inside.json", json.dumps(result, indent=1) + "\n")
    picture(shown[:4], options.out / "inside.png")
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(ended(main, "evals.lesion_inside"))
