"""`synthct evaluate utility CONFIG`: prepare, draw, train, score, compare. Run it again to go on where it stopped.

Every unit of work, a case or a training, is one file or folder that is whole or not there. The same command may run
several times at once: each takes the units that no other has claimed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from evals import volumes
from evals.registry import require
from evals.result import Result, ResultPicture
from evals.stamp import sha256_of
from evals.utility import budget, compare
from evals.utility.claims import share
from evals.utility.compare import LesionRow, Row
from evals.utility.config import CONTROLS, OF_REAL, Arm, Drawing, UtilityConfig
from evals.utility.data import Labelled, load
from evals.utility.drawing import CaseDrawer
from evals.utility.generator import in_use, train_generator
from evals.utility.lesions import find
from evals.utility.preparing import ensure_prepared
from evals.volumes import LESION
from synth.cohort.processes import this_process
from synth.errors import InputError
from synth.files.documents import read_table
from synth.files.whole import write_whole
from synth.progress import Progress
from synth.provenance import sha256

Say = Callable[[str], None]
T = TypeVar("T")


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
class StudySets:
    """The three sets of a study, loaded; `test` is empty where a seed is tested on the patients it did not choose."""

    train: Sequence[Labelled]
    test: Sequence[Labelled]
    synthetic: Sequence[Labelled]


def runs_of(config: UtilityConfig) -> Iterator[Run]:
    """All runs, seed by seed so that a stopped study has whole comparisons; arm synthetic once a seed."""
    controlled_at = config.real_cases if config.control_cases is None else config.control_cases
    for seed, network in itertools.product(config.seeds, config.networks):
        for real, arm in itertools.product(config.real_cases, config.arms):
            if arm is not Arm.SYNTHETIC and (arm not in CONTROLS or real in controlled_at):
                yield Run(network, arm, real, seed)
        if Arm.SYNTHETIC in config.arms:
            yield Run(network, Arm.SYNTHETIC, 0, seed)


def chosen(train: Sequence[T], count: int, seed: int) -> list[T]:
    """`count` patients of a seed's order, so that more patients of a seed contain its fewer."""
    order = np.random.default_rng([seed, 5]).permutation(len(train))
    return [train[i] for i in order[:count]]


def evaluate(
    config: UtilityConfig, progress: Progress | None = None, say: Say = lambda _: None
) -> tuple[Result, list[ResultPicture]]:
    """Make what is not made yet, and compare the arms. Raises InputError before anything that takes long.

    Args:
        say: told how long what is left will take.
    """
    progress = progress or Progress(quiet=True)
    if config.real_test is not None:
        ensure_prepared(config.headneck, config.real_train, config.real_test, progress)
    _check_real(config)
    runs = list(runs_of(config))
    if config.draw is not None:
        trainings = budget.told(len(runs), "trainings", budget.seconds_a_run(config))
        say(f"after the cases are drawn: {trainings}, those that are kept included")
        _draw(config, config.draw, progress, say)
    sets = _load(config)
    found = _finish(runs, sets, config, progress, say)
    rows = [row for run in runs for row in _rows(run, found[run.name])]
    lesions = [row for run in runs for row in _lesion_rows(run, found[run.name])]
    return compare.result(rows, config, len({row.patient for row in rows}), len(sets.synthetic), lesions)


def _check_real(config: UtilityConfig) -> None:
    have = len(volumes.find(config.real_train))
    if max(config.real_cases) > have:
        raise InputError(f"{config.real_train}: {have} patients, and real_cases asks for {max(config.real_cases)}")
    require(["dsc"], budget.test_patients(config), str(config.real_test or f"{config.real_train}, test"))


def _draw(config: UtilityConfig, drawing: Drawing, progress: Progress, say: Say) -> None:
    """Fill the folder of synthetic volumes, with a generator of the study's own where it has one."""
    weights = None
    if config.generator is not None:
        say(f"generator: up to {config.generator.base_minutes + config.generator.refine_minutes:g} minutes, and shape")
        patients = chosen(volumes.find(config.real_train), config.generator.patients, config.patients_seed or 0)
        weights = train_generator(config.generator, patients)
    assert config.synthetic is not None  # every drawn case is for an arm that needs it

    def tell() -> None:
        say(budget.told(len(drawer.left()), "cases", drawer.cost().seconds_a_case))

    with in_use(weights):
        drawer = CaseDrawer(config.synthetic, drawing, config.synthetic_cases or 0)  # its words are of these patients
        tell()
        drawer.run(progress, tell)


def _load(config: UtilityConfig) -> StudySets:
    entries: dict[str, list[volumes.UsableVolume]] = {}
    for what, folder in (("real_train", config.real_train), ("real_test", config.real_test),
                         ("synthetic", config.synthetic)):  # fmt: skip
        entries[what] = [] if folder is None else volumes.survey(folder, config.organ_ids, trust_hu=config.trust_hu)[0]
    _check(config, entries)
    if config.synthetic_cases is not None:
        entries["synthetic"] = entries["synthetic"][: config.synthetic_cases]
    return StudySets(*(load(entries[what], config) for what in ("real_train", "real_test", "synthetic")))


def _check(config: UtilityConfig, entries: Mapping[str, Sequence[volumes.UsableVolume]]) -> None:
    if config.spacing is None:
        volumes.require_one_spacing(entries)
    if config.synthetic_cases and config.synthetic_cases > (have := len(entries["synthetic"])):
        raise InputError(f"{config.synthetic}: {have} volumes, and synthetic_cases asks for {config.synthetic_cases}")
    tested = {e.sha256: e.source.name for e in entries["real_test"]}
    for entry in (*entries["real_train"], *entries["synthetic"]):
        if entry.sha256 in tested:
            raise InputError(f"{entry.source.ct}: is {tested[entry.sha256]} of the test set too; keep the sets apart")


def _finish(
    runs: Sequence[Run], sets: StudySets, config: UtilityConfig, progress: Progress, say: Say
) -> dict[str, dict[str, Any]]:
    """The result of every run by its name: what is kept of the same data and settings, else trained now."""
    kept: dict[str, dict[str, Any]] = {}
    keys = {run.name: _key(run, sets, config) for run in runs}
    named = {run.name: run for run in runs}

    def left() -> list[str]:
        for name in named.keys() - kept.keys():
            if (found := _read(config.out / f"{name}.json")) is not None and found.get("key") == keys[name]:
                kept[name] = found
        return [name for name in named if name not in kept]

    with progress.step("segmenters", len(runs)) as bar:

        def do(name: str) -> None:
            made = _train_and_score(named[name], sets, config)
            _write(config.out / f"{name}.json", {"key": keys[name], **made})
            bar.advance()

        if names := left():
            say(budget.told(len(names), "trainings", budget.seconds_a_run(config)))
        bar.advance(len(kept))
        if this_process().world > 1:  # the processes of one launch train each run together
            for name in left():
                do(name)
        else:
            share(left, do, config.out / ".locks")
        left()
    return kept


def _sets_of(run: Run, sets: StudySets, config: UtilityConfig) -> tuple[list[Labelled], Sequence[Labelled]]:
    """Real and synthetic volumes that a run sees."""
    real = [] if run.arm is Arm.SYNTHETIC else chosen(sets.train, run.real, _patients_seed(run, config))
    return real, [] if run.arm in OF_REAL else sets.synthetic


def _patients_seed(run: Run, config: UtilityConfig) -> int:
    return run.seed if config.patients_seed is None else config.patients_seed


def tested(run: Run, sets: StudySets, config: UtilityConfig) -> Sequence[Labelled]:
    """Whom a run is tested on: the test set, or those that its seed chooses for no N."""
    if config.real_test is not None:
        return sets.test
    seen = {v.name for v in chosen(sets.train, max(config.real_cases), _patients_seed(run, config))}
    return [v for v in sets.train if v.name not in seen]


def _key(run: Run, sets: StudySets, config: UtilityConfig) -> str:
    real, synthetic = _sets_of(run, sets, config)
    contents = [
        f"{role} {v.sha256}"
        for role, group in (("r", real), ("s", synthetic), ("t", tested(run, sets, config)))
        for v in group
    ]
    return sha256(f"{run.name} {config.training_hash()} {sha256_of(contents)}".encode())


def _train_and_score(run: Run, sets: StudySets, config: UtilityConfig) -> dict[str, Any]:
    from evals.utility.scoring import score
    from evals.utility.segmenter import predict, train

    real, synthetic = _sets_of(run, sets, config)
    model, losses = train(run.network, run.arm, real, synthetic, run.seed, config)
    pairs = [(predict(model, volume, config), volume) for volume in tested(run, sets, config)]
    return {
        "real": [v.name for v in real],
        "synthetic": len(synthetic),
        "loss": [float(np.mean(part)) for part in np.array_split(losses, min(20, len(losses)))],
        "scores": {volume.name: score(found, volume, config) for found, volume in pairs},
        "lesions": {volume.name: _lesions(found, volume, config) for found, volume in pairs},
    }


def _lesions(predicted: np.ndarray, volume: Labelled, config: UtilityConfig) -> list[list[float]]:
    """Diameter in mm, found (0 or 1) and DSC of each true lesion."""
    if LESION not in config.organs or not volume.annotated[config.organs.index(LESION)]:
        return []
    number = 1 + config.organs.index(LESION)
    found = find(predicted == number, volume.classes == number, volume.spacing)
    return [[lesion.diameter_mm, float(lesion.found), lesion.dsc] for lesion in found.lesions]


def _rows(run: Run, found: Mapping[str, Any]) -> Iterator[Row]:
    for patient, organs in found["scores"].items():
        for organ, metrics in organs.items():
            for metric, value in metrics.items():
                yield Row(run.network, run.arm, run.real, run.seed, patient, organ, metric, float(value))


def _lesion_rows(run: Run, found: Mapping[str, Any]) -> Iterator[LesionRow]:
    for patient, lesions in found["lesions"].items():
        for diameter, hit, dsc in lesions:
            yield LesionRow(run.network, run.arm, run.real, patient, diameter, bool(hit), dsc)


def _read(path: Path) -> dict[str, Any] | None:
    """A result that was kept; None where there is none, or a damaged one, which is made again."""
    try:
        return read_table(path)
    except InputError:
        return None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_whole(path, json.dumps(content, indent=1) + "\n")
