"""What a lesion costs while training: `InsertLesiond` on a patch of 96^3, painted and redrawn.

    python -m evals.benchmarks.lesions [--repeat 9] [--redraw-repeat 3] [--out FILE]

Each repeat is another lesion in the same made-up liver, on one thread. CPU seconds of the process say what
the work costs on a machine that others use too; wall-clock seconds stand beside them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evals.benchmarks.cost import machine
from evals.lesions import redraw_of
from synth.failure import ended
from synth.files.whole import write_whole
from synth.lesions.insertion import Redraw, keep_painted
from synth.lesions.transform import InsertLesiond
from synth.volumes import labels

SIZE = 96  # voxels of 1 mm
FINDINGS = ("12 mm liver cyst", "12 mm liver tumour", "20 mm liver tumour")
_BORDER = 6  # voxels of fat round the liver


def patch(seed: int = 0) -> dict[Hashable, np.ndarray]:
    """A liver in fat with noise of 12 HU: image (1, 96, 96, 96) float32 HU, organs (1, 96, 96, 96) uint8."""
    ids = np.zeros((1, SIZE, SIZE, SIZE), np.uint8)
    inside = slice(_BORDER, -_BORDER)
    ids[:, inside, inside, inside] = labels.ids()["liver"]
    noise = 12 * np.random.default_rng(seed).standard_normal(ids.shape)
    return {"image": np.rint(np.where(ids > 0, 100.0, -90.0) + noise).astype(np.float32), "organs": ids}


def transform_of(finding: str, redraw: Redraw = keep_painted) -> InsertLesiond:
    """The transform for a `patch`, whose cube of liver is nobody's."""
    return InsertLesiond(["image"], [finding], redraw=redraw, spacing=(1.0, 1.0, 1.0), trust_labels=True)


def timed(transform: InsertLesiond, repeat: int) -> dict[str, Any]:
    """CPU and wall-clock seconds of `repeat` samples after one that warms up, and how many got their lesion."""
    sample = patch()
    transform.set_random_state(0)
    transform(sample)
    cpu, wall, lesions = [], [], 0
    for _ in range(repeat):
        began, started = time.process_time(), time.perf_counter()
        lesions += bool(transform(sample)["lesion"].any())
        cpu.append(time.process_time() - began)
        wall.append(time.perf_counter() - started)
    return {"repeats": repeat, "lesions": lesions, "cpu_seconds": _spread(cpu), "wall_seconds": _spread(wall)}


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    values = np.array(seconds)
    return {
        "median": round(float(np.median(values)), 4),
        "least": round(float(values.min()), 4),
        "most": round(float(values.max()), 4),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m evals.benchmarks.lesions", description=__doc__)
    parser.add_argument("--repeat", type=int, default=9, help="painted lesions for each finding")
    parser.add_argument("--redraw-repeat", type=int, default=3, help="redrawn ones")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    result: dict[str, Any] = {"size": SIZE, "threads": 1, "machine": machine(torch.device("cpu"))}
    for name, redrawn, repeat in (("painted", False, options.repeat), ("redrawn", True, options.redraw_repeat)):
        redraw = redraw_of(redrawn)
        made = {finding: transform_of(finding, redraw) for finding in FINDINGS}
        result[name] = {finding: timed(transform, repeat) for finding, transform in made.items()}
        print(name, json.dumps(result[name]), flush=True)
    if options.out:
        write_whole(options.out, json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(ended(main, "evals.benchmarks.lesions"))
