"""`synthct evaluate utility CONFIG`: train, score, compare. One file a run; run it again to go on where it stopped."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evals import volumes
from evals.registry import require
from evals.result import Picture, Result
from evals.stamp import sha256_of
from evals.utility import compare
from evals.utility.compare import Row
from evals.utility.config import Arm, UtilityConfig
from evals.utility.data import Labelled, load
from synth.errors import InputError
from synth.progress import Progress
from synth.provenance import sha256


@dataclass(frozen=True)
class Run:
    """One training: `real` patients (0 in the arm synthetic), `seed` of their choice, of the start and the patches."""

    network: str
    arm: Arm
    real: int
    seed: int

    @property
    def name(self) -> str:
        """File name of its result."""
        return f"{self.network}_{self.arm}_n{self.real:03d}_seed{self.seed}"


@dataclass(frozen=True)
class Sets:
    """The three sets of a study, loaded."""

    train: Sequence[Labelled]
    test: Sequence[Labelled]
    synthetic: Sequence[Labelled]


def runs_of(config: UtilityConfig) -> Iterator[Run]:
    """All runs, seed by seed so that a stopped study has whole comparisons; arm synthetic once a seed."""
    for seed, network in itertools.product(config.seeds, config.networks):
        for real, arm in itertools.product(config.real_cases, config.arms):
            if arm is not Arm.SYNTHETIC:
                yield Run(network, arm, real, seed)
        if Arm.SYNTHETIC in config.arms:
            yield Run(network, Arm.SYNTHETIC, 0, seed)


def chosen(train: Sequence[Labelled], count: int, seed: int) -> list[Labelled]:
    """`count` patients of a seed's order, so that more patients of a seed contain its fewer."""
    order = np.random.default_rng([seed, 5]).permutation(len(train))
    return [train[i] for i in order[:count]]


def evaluate(config: UtilityConfig, progress: Progress | None = None) -> tuple[Result, list[Picture]]:
    """Train what is not trained yet, and compare the arms. Raises InputError before anything is trained."""
    progress = progress or Progress(quiet=True)
    sets = _load(config)
    runs = list(runs_of(config))
    with progress.step("segmenters", len(runs) * config.steps) as bar:
        rows = [row for run in runs for row in _rows(run, _finished(run, sets, config, bar.advance))]
    return compare.result(rows, config, len(sets.test), len(sets.synthetic))


def _load(config: UtilityConfig) -> Sets:
    entries = {}
    for what, folder in (("real_train", config.real_train), ("real_test", config.real_test),
                         ("synthetic", config.synthetic)):  # fmt: skip
        entries[what], _ = volumes.survey(folder, config.organ_ids)
    require(["dsc"], len(entries["real_test"]), str(config.real_test))
    _check(config, entries)
    if config.synthetic_cases is not None:
        entries["synthetic"] = entries["synthetic"][: config.synthetic_cases]
    return Sets(*(load(entries[what], config) for what in ("real_train", "real_test", "synthetic")))


def _check(config: UtilityConfig, entries: Mapping[str, Sequence[volumes.Entry]]) -> None:
    volumes.require_one_spacing(entries)
    if max(config.real_cases) > (have := len(entries["real_train"])):
        raise InputError(f"{config.real_train}: {have} patients, and real_cases asks for {max(config.real_cases)}")
    if config.synthetic_cases and config.synthetic_cases > (have := len(entries["synthetic"])):
        raise InputError(f"{config.synthetic}: {have} volumes, and synthetic_cases asks for {config.synthetic_cases}")
    tested = {e.sha256: e.source.name for e in entries["real_test"]}
    for entry in (*entries["real_train"], *entries["synthetic"]):
        if entry.sha256 in tested:
            raise InputError(f"{entry.source.ct}: is {tested[entry.sha256]} of the test set too; keep the sets apart")


def _finished(run: Run, sets: Sets, config: UtilityConfig, on_step: Any) -> dict[str, Any]:
    """The run's result: what is on disk, if it was made from the same data and settings, else trained now."""
    real = [] if run.arm is Arm.SYNTHETIC else chosen(sets.train, run.real, run.seed)
    used = [] if run.arm is Arm.REAL else sets.synthetic
    contents = [f"{role} {v.sha256}" for role, group in (("r", real), ("s", used), ("t", sets.test)) for v in group]
    key = sha256(f"{run.name} {config.training_hash()} {sha256_of(contents)}".encode())
    path = config.out / f"{run.name}.json"
    if (kept := _read(path)) is not None and kept.get("key") == key:
        on_step(config.steps)
        return kept
    found = {"key": key, **_train_and_score(run, real, used, sets.test, config, on_step)}
    _write(path, found)
    return found


def _train_and_score(
    run: Run,
    real: Sequence[Labelled],
    synthetic: Sequence[Labelled],
    test: Sequence[Labelled],
    config: UtilityConfig,
    on_step: Any,
) -> dict[str, Any]:
    from evals.utility.scoring import score
    from evals.utility.segmenter import predict, train

    model, losses = train(run.network, run.arm, real, synthetic, run.seed, config, on_step)
    scores = {volume.name: score(predict(model, volume, config), volume, config) for volume in test}
    return {
        "real": [v.name for v in real],
        "synthetic": len(synthetic),
        "loss": [float(np.mean(part)) for part in np.array_split(losses, min(20, len(losses)))],
        "scores": scores,
    }


def _rows(run: Run, found: Mapping[str, Any]) -> Iterator[Row]:
    for patient, organs in found["scores"].items():
        for organ, metrics in organs.items():
            for metric, value in metrics.items():
                yield Row(run.network, run.arm, run.real, run.seed, patient, organ, metric, float(value))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
