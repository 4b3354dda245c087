"""Do others see the organs of generated CT where its masks have them? `python -m evals.seen CONFIG --cases DIR`.

Segmenters trained on real patients alone are scored on real patients whom they never saw and on generated cases. As
Dice falls where masks and CT of a case disagree or where its CT is unlike the real, the share that is left says how far
a generated pair can stand in for a real one (the "segmentation consistency" of label-conditioned generators).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from evals import volumes
from evals.bootstrap import mean_interval
from evals.stamp import sha256_of
from evals.utility.config import Arm, UtilityConfig
from evals.utility.config import load as load_config
from evals.utility.data import Labelled
from evals.utility.data import load as load_volumes
from evals.utility.scoring import score
from evals.utility.segmenter import predict, train
from synth.failure import run_command
from synth.files.whole import write_whole
from synth.progress import Progress

Dice = dict[str, np.ndarray]


def dice_of(models: Sequence[torch.nn.Module], group: Sequence[Labelled], config: UtilityConfig) -> Dice:
    """Organ -> (volumes,) mean Dice of the models; NaN where the organ is not annotated or not there."""
    found = {organ: np.full((len(models), len(group)), np.nan) for organ in config.organs}
    for m, model in enumerate(models):
        for v, volume in enumerate(group):
            for organ, values in score(predict(model, volume, config), volume, config).items():
                found[organ][m, v] = values["dsc"]
    return {organ: values.mean(axis=0) for organ, values in found.items()}


def table(real: Dice, generated: Dice, seed: int = 0) -> dict[str, dict[str, Any]]:
    """By organ, and of all: mean Dice on real and generated volumes, and their ratio; 95% bootstrap over volumes."""
    out: dict[str, dict[str, Any]] = {}
    for organ in real:
        pair = {"real": mean_interval(real[organ], seed), "generated": mean_interval(generated[organ], seed)}
        ratio = ratio_interval([real[organ]], [generated[organ]], seed)
        out[organ] = {name: found and found.model_dump() for name, found in pair.items()} | {"ratio": ratio}
    organs = [o for o in real if np.isfinite(real[o]).any() and np.isfinite(generated[o]).any()]
    out["all"] = {"ratio": ratio_interval([real[o] for o in organs], [generated[o] for o in organs], seed)}
    return out


def ratio_interval(
    real: Sequence[np.ndarray], generated: Sequence[np.ndarray], seed: int, resamples: int = 2000
) -> dict[str, float] | None:
    """Mean over organs of generated over the same of real, volumes of either side drawn anew.

    None without volumes, or where nothing is found on real ones.
    """
    sides = [np.stack(side) if side else np.empty((0, 0)) for side in (real, generated)]
    if any(not np.isfinite(side).any(axis=-1).all() or not side.size for side in sides):
        return None
    rng = np.random.default_rng(seed)

    def mean(side: np.ndarray, picks: Any) -> float:
        picked = side[:, picks]
        known = np.isfinite(picked).any(axis=1)
        return float(np.mean([np.nanmean(row) for row in picked[known]]))

    whole = [mean(side, np.arange(side.shape[1])) for side in sides]
    if whole[0] == 0:
        return None
    drawn = [[mean(side, rng.integers(side.shape[1], size=side.shape[1])) for side in sides] for _ in range(resamples)]
    low, high = np.quantile([g / r for r, g in drawn if r > 0], [0.025, 0.975])
    return {"value": whole[1] / whole[0], "low": float(low), "high": float(high)}


def main(
    config: Annotated[Path, typer.Argument(help="A utility study: its patients, organs and segmenter are used.")],
    cases: Annotated[Path, typer.Option(help="Generated case folders.")],
    seeds: Annotated[int, typer.Option(min=1, help="How many segmenters.")] = 3,
    steps: Annotated[int | None, typer.Option(min=1, help="Of training, if not those of the study.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
) -> None:
    """Print Dice on real test patients and on generated cases, of segmenters trained on all real training patients."""
    study = load_config(config)
    study = study if steps is None else study.model_copy(update={"steps": steps})
    entries = {
        name: volumes.survey(folder, study.organ_ids)[0]
        for name, folder in (("train", study.real_train), ("test", study.real_test), ("generated", cases))
        if folder is not None
    }
    sets = {name: load_volumes(found, study) for name, found in entries.items()}
    with Progress() as progress, progress.step("train segmenters", seeds * study.steps) as step:
        models = [
            train(study.networks[0], Arm.REAL, sets["train"], [], seed, study, step.advance)[0] for seed in range(seeds)
        ]
    found = {name: dice_of(models, sets[name], study) for name in ("test", "generated")}
    stamp = {
        name: {"volumes": len(v), "sha256": sha256_of(e.sha256 for e in entries[name])} for name, v in sets.items()
    }
    about = {"network": study.networks[0], "steps": study.steps, "seeds": seeds, "sets": stamp}
    text = json.dumps({"dice": table(found["test"], found["generated"])} | about, indent=1)
    typer.echo(text)
    if out is not None:
        write_whole(out, text + "\n")


if __name__ == "__main__":
    sys.exit(run_command(main, "evals.seen"))
