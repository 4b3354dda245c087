"""A case of ours beside one of MAISI (Guo et al. 2025): same machine, like sizes, in float32 and bf16.

    python -m evals.benchmarks.beside [--spacing 4] [--repeat 3] [--compiled] [--out FILE]

Each row runs in a process of its own, so that its peak memory is its own. Ours is all that is drawn from the prompt on:
CT, dose and organs. MAISI is the U-Net and the decoder of MONAI with NVIDIA's configuration and random weights, for
CT alone: one evaluation of each is timed, and a case is `STEPS` of the one and one of the other.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from evals.benchmarks import maisi, path
from evals.benchmarks.cost import count_flops, machine, peak_mb, seconds
from synth.case import library
from synth.case.plan import Sampling
from synth.case.weights_folder import Weights
from synth.draw.base import compose
from synth.draw.refine import refine
from synth.draw.scaffold import draw_scaffold
from synth.errors import InputError
from synth.failure import ended
from synth.files.whole import write_whole
from synth.models.precision import PRECISIONS, Precision

STEPS = 30  # of MAISI's rectified flow, as its configuration says
LATENT = (4, 32, 16, 32)  # 128 x 64 x 128 voxels, near those of a head and neck at 4 mm
Cost = dict[str, Any]  # voxels, seconds of a case, flop of a case, peak_mb


def ours(spacing: float, precision: Precision, compiled: bool, repeat: int) -> Cost:
    """Scaffold, base and every refine level of one case."""
    plan = path.case_plan(spacing, Sampling(precision=precision))
    weights = Weights.covering(None)
    base, fine, shape = weights.base(precision), weights.refine(precision), weights.shape
    assert base is not None and shape is not None

    def case() -> object:
        return refine(plan, compose(plan, draw_scaffold(plan, shape), base), fine, spacing)

    flop = count_flops(case)[1]
    if compiled:
        base.compile()
        fine.compile()
    case()
    return {
        "voxels": math.prod(base.region.frame.shape_at(spacing)),
        "seconds": seconds(case, repeat)[1]["median"],
        "flop": flop,
        "peak_mb": peak_mb(),
    }


def theirs(precision: Precision, repeat: int) -> Cost:
    """One evaluation of each of MAISI's networks, multiplied to a case."""
    counted, device = maisi.count(LATENT), library.device()
    taken = {}
    for name, work in maisi.evaluations(LATENT, device).items():
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            work()
            taken[name] = seconds(work, repeat)[1]["median"]
    flop = {name: part["flop"] for name, part in counted["evaluations"].items()}
    return {
        "voxels": counted["output_voxels"],
        "seconds": STEPS * taken["unet"] + taken["decoder"],
        "flop": STEPS * flop["unet"] + flop["decoder"],
        "peak_mb": peak_mb(),
        "evaluations": taken,
    }


def alone(work: Callable[..., Cost], *arguments: Any) -> Cost:
    """What `work` returns in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def text(rows: dict[str, Cost]) -> str:
    """A Markdown table; per million voxels, for sizes differ."""
    lines = [
        "| a case | million voxels | seconds per million voxels | MFLOP a voxel | peak memory, MB |",
        "|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        voxels = row["voxels"] / 1e6
        each = f"{row['seconds'] / voxels:.1f} | {row['flop'] / row['voxels'] / 1e6:.2f} | {row['peak_mb']:.0f}"
        lines.append(f"| {name} | {voxels:.2f} | {each} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, write the JSON; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m evals.benchmarks.beside", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--spacing", type=float, default=4.0, help="mm of our case: 8, 4, 2 or 1")
    parser.add_argument("--repeat", type=int, default=3, help="timed runs")
    parser.add_argument("--compiled", action="store_true", help="ours through torch.compile too")
    parser.add_argument("--out", type=Path, help="JSON file")
    args = parser.parse_args(arguments)
    rows: dict[str, Cost] = {}
    try:
        if args.repeat < 1:
            raise InputError(f"--repeat {args.repeat}: give 1 or more")
        path.case_plan(args.spacing, Sampling())
        maisi.count_unet((4, 8, 8, 8))  # before anything is timed: is all there that it needs?
        for precision in PRECISIONS:
            for compiled in (False, True) if args.compiled else (False,):
                title = f"ours at {args.spacing:g} mm, {precision}{', compiled' if compiled else ''}"
                rows[title] = alone(ours, args.spacing, precision, compiled, args.repeat)
            rows[f"MAISI, {precision}"] = alone(theirs, precision, args.repeat)
    except InputError as error:
        print(f"evals.benchmarks.beside: error: {error}", file=sys.stderr)
        return 2
    print(text(rows))
    if args.out:
        result = {"machine": machine(library.device()), "rows": rows}
        write_whole(args.out, json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(ended(main, "evals.benchmarks.beside"))
