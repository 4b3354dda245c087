"""`python -m synth.training.publish base runs/base`: a finished run -> the weights that ship.

Writes bf16 safetensors, the training log and its curve into synth/weights/head_neck/NETWORK, or another folder of
weights; the model card beside them (README.md) is written by hand.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from importlib import resources
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from synth.case.library import export
from synth.case.weights_folder import LOOKS
from synth.failure import ended
from synth.models.parts import Part
from synth.training.log import rows


def publish(network: Part, run: Path, weights: Path, best: bool = False) -> Path:
    """Put a run's EMA weights (the last, or those of the best validation), log and loss curve into `weights`/network.

    Returns that folder.
    """
    trained = run / ("best" if best else "weights")
    if (trained / LOOKS).is_file():
        folder = weights / network
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(trained / LOOKS, folder / LOOKS)
    else:
        folder = export(trained, network, weights)
    shutil.copyfile(run / "log.jsonl", folder / "training_log.jsonl")
    if network == "shape":
        return folder
    draw_curve(list(rows(run / "log.jsonl")), folder / "loss.png")
    return folder


def draw_curve(rows: list[dict[str, Any]], path: Path) -> None:
    """Training and validation losses against steps, velocity and organs side by side."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axis, key, title in zip(figure.subplots(1, 2), ("flow", "organs"), ("velocity", "organs"), strict=True):
        for split in ("train", "validation"):
            points = [(row["step"], row[split][key]) for row in rows if split in row]
            if points:
                axis.plot(*zip(*points, strict=True), label=split, marker="o" if split == "validation" else None)
        axis.set(title=f"{title} loss", xlabel="optimiser step", yscale="log")
        axis.legend()
    FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})


def main(arguments: list[str] | None = None) -> int:
    """Parse and publish; the exit code."""
    return ended(_publish, "synth.training.publish", arguments)


def _publish(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m synth.training.publish", description=__doc__)
    parser.add_argument("network", choices=["shape", "base", "refine", "lesion"])
    parser.add_argument("run", type=Path)
    parser.add_argument(
        "--weights", type=Path, default=Path(str(resources.files("synth").joinpath("weights/head_neck")))
    )
    parser.add_argument("--best", action="store_true", help="the weights of the best validation, not the last")
    args = parser.parse_args(arguments)
    print(publish(args.network, args.run, args.weights, args.best))


if __name__ == "__main__":
    sys.exit(main())
