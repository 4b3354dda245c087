"""What a case costs, step by step: seconds, peak memory, counted FLOP.

    python -m evals.benchmarks.path [--spacing 4] [--precision bfloat16] [--repeat 3] [--out FILE] [--maisi]

Times a generated case (compose, each refine level, assemble, report) and one insertion into a made-up abdomen, and
counts their FLOP: twice the multiply-adds of the networks, so that they compare with counted figures of others.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from evals.benchmarks.cost import count_flops, machine, peak_mb, seconds
from prompts import parse
from synth import report
from synth.case.plan import GeneratePlan, Sampling, draw_generate
from synth.case.weights_folder import Weights
from synth.draw.base import asked_of, compose
from synth.draw.organs import assemble
from synth.draw.redraw import RefineRedraw
from synth.draw.refine import refine
from synth.draw.scaffold import draw_scaffold
from synth.errors import InputError
from synth.failure import ended
from synth.files.whole import write_whole
from synth.lesions import insert, plan_lesions
from synth.models.denoiser import Denoiser
from synth.models.precision import PRECISIONS, default_precision
from synth.regions.frame import BASE_SPACING_MM, FACTOR
from synth.seeding import numpy_rng
from synth.shape.model import ShapeModel
from synth.volumes.types import LabelMap, Volume

PROMPT = "CT of the head and neck, non-contrast, with a 70 Gy target on the left side"
LESION = "20 mm liver tumour"
T = TypeVar("T")


class Costs:
    """Runs steps and keeps what each took. `counted`: whether FLOP are counted (one more run of the step)."""

    def __init__(self, repeat: int) -> None:
        self.repeat = repeat
        self.steps: dict[str, dict[str, Any]] = {}

    def run(self, name: str, work: Callable[[], T], counted: bool = True) -> T:
        """The work's result; its seconds, the process's peak memory by then, its FLOP if it runs a network."""
        result, taken = seconds(work, self.repeat)
        peak = peak_mb()
        flops = count_flops(work)[1] if counted else None
        self.steps[name] = {"seconds": taken, "peak_mb_so_far": peak, "flop": flops}
        return result


def case_plan(spacing: float, sampling: Sampling) -> GeneratePlan:
    """The plan that is timed. Raises InputError for a spacing that the pyramid does not reach."""
    weights = Weights.covering(None)
    return draw_generate(parse(PROMPT), weights=weights, seed=1, index=0, attempt=0, spacing=spacing, sampling=sampling)


def time_generate(plan: GeneratePlan, shape: ShapeModel, base: Denoiser, fine: Denoiser, costs: Costs) -> None:
    """Every step of a generated case but the checks, preview and files."""
    asked_of(plan, base)  # loads the text encoder, once a process
    prior = Weights.covering(None).prior
    scaffold = costs.run("scaffold", lambda: draw_scaffold(plan, shape))
    drawn = costs.run("compose", lambda: compose(plan, scaffold, base))
    while drawn.spacing > float(plan.spacing_mm or 0) + 1e-6:
        finer = drawn.spacing / FACTOR
        drawn = costs.run(f"refine {drawn.spacing:g} to {finer:g} mm", partial(refine, plan, drawn, fine, finer))
    case = costs.run("assemble", lambda: assemble(plan, drawn, prior), counted=False)
    costs.run("report", lambda: report.write(report.measure(case)), counted=False)


def time_insert(fine: Denoiser, sampling: Sampling, costs: Costs, size: int = 128) -> None:
    """One liver tumour planned, grown, painted and redrawn in a made-up host of `size` voxels a side, 1.5 mm."""
    host, organs = made_up_host(size)
    findings = parse(LESION).findings
    redraw = RefineRedraw(fine, sampling)

    def once() -> Volume:
        plans = plan_lesions(findings, host, organs, numpy_rng(1))
        return insert(host, organs, plans, redraw).ct

    costs.run("insert", once)


def made_up_host(size: int) -> tuple[Volume, LabelMap]:
    """A noisy box of tissue in air with a box of liver: no patient is needed to time an insertion."""
    affine = np.diag([1.5, 1.5, 1.5, 1.0])
    hu = np.full((size, size, size), -1000.0)
    body, liver = ((slice(size // k, size - size // k),) * 3 for k in (10, 6))
    hu[body] = np.random.default_rng(0).normal(60, 12, hu[body].shape)
    ids = np.zeros(hu.shape, np.uint8)
    ids[liver] = 5
    return Volume(np.rint(hu).astype(np.int16), affine), LabelMap(ids, affine, {5: "liver"})


def measure_path(
    shape: ShapeModel, base: Denoiser, fine: Denoiser, plan: GeneratePlan, *, repeat: int = 3, host_size: int = 128
) -> dict[str, Any]:
    """Costs of the whole path as JSON values."""
    costs = Costs(repeat)
    time_generate(plan, shape, base, fine, costs)
    generated = list(costs.steps.values())
    voxels = math.prod(base.region.frame.shape_at(float(plan.spacing_mm or BASE_SPACING_MM)))
    flop = sum(step["flop"] or 0 for step in generated)
    time_insert(fine, plan.sampling, costs, host_size)
    return {
        "machine": machine(base.device),
        "prompt": plan.request.prompt,
        "spacing_mm": plan.spacing_mm,
        "sampling": plan.sampling.model_dump(),
        "parameters": {"base": _parameters(base), "refine": _parameters(fine)},
        "repeat": repeat,
        "steps": costs.steps,
        "case": {
            "voxels": voxels,
            "seconds": round(sum(step["seconds"]["median"] for step in generated), 4),
            "flop": flop,
            "mflop_per_voxel": round(flop / voxels / 1e6, 4),
        },
    }


def _parameters(model: Denoiser) -> int:
    return sum(p.numel() for p in model.parameters())


def text(result: dict[str, Any]) -> str:
    """The costs to read."""
    lines = [f"{'step':<22}{'median s':>10}{'min':>9}{'max':>9}{'peak MB so far':>16}{'GFLOP':>11}"]
    for name, step in result["steps"].items():
        flop = "-" if step["flop"] is None else f"{step['flop'] / 1e9:.2f}"
        taken = step["seconds"]
        lines.append(
            f"{name:<22}{taken['median']:>10.2f}{taken['min']:>9.2f}{taken['max']:>9.2f}"
            f"{step['peak_mb_so_far']:>16.0f}{flop:>11}"
        )
    case = result["case"]
    lines.append(
        f"a case of {case['voxels']} voxels: {case['seconds']:.2f} s, {case['flop'] / 1e12:.3f} TFLOP, "
        f"{case['mflop_per_voxel']:.3f} MFLOP a voxel"
    )
    if maisi := result.get("maisi"):
        parts = ", ".join(f"{name} {part['flop'] / 1e12:.2f} TFLOP" for name, part in maisi["evaluations"].items())
        lines.append(f"MAISI, one evaluation each for {maisi['output_voxels']} voxels: {parts}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, write the JSON; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m evals.benchmarks.path", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--spacing", type=float, default=4.0, help="mm of the finished case: 8, 4, 2 or 1")
    parser.add_argument("--precision", choices=PRECISIONS, help="of the networks; left out: the machine's")
    parser.add_argument("--repeat", type=int, default=3, help="timed runs of every step")
    parser.add_argument("--out", type=Path, help="JSON file")
    parser.add_argument("--maisi", action="store_true", help="count MAISI's networks too, on no data (needs einops)")
    args = parser.parse_args(arguments)
    try:
        if args.repeat < 1:
            raise InputError(f"--repeat {args.repeat}: give 1 or more")
        precision = args.precision or default_precision()
        plan = case_plan(args.spacing, Sampling(precision=precision))
        from evals.benchmarks import maisi

        rival = maisi.count() if args.maisi else None
        weights = Weights.covering(None)
        base, fine, shape = weights.base(precision), weights.refine(precision), weights.shape
        assert base is not None and shape is not None
        result = measure_path(shape, base, fine, plan, repeat=args.repeat)
    except InputError as error:
        print(f"evals.benchmarks.path: error: {error}", file=sys.stderr)
        return 2
    result |= {"maisi": rival} if rival else {}
    print(text(result))
    if args.out:
        write_whole(args.out, json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(ended(main, "evals.benchmarks.path"))
