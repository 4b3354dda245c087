"""A cohort on Ray: a pool of actors draws the cases that the driver hands out, one at a time.

Losing an actor, or the node that it is on, costs the case that it held: Ray starts it again, elsewhere if need be, and
gives it the case once more. The set is that of any other engine, since a case follows from its index.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from synth.case.weights_folder import WEIGHTS_ENV
from synth.cohort import quarantine
from synth.cohort.draw import Attempt, DrawnCase
from synth.cohort.engine import Outcome, finish, plan_of, taken
from synth.cohort.planning import CohortPlan, PlannedCase
from synth.cohort.processes import Process
from synth.cohort.progress import CohortProgress, Tally
from synth.cohort.worker import Worker, why_stop
from synth.errors import InputError

RETRIES = 2  # of a case whose actor died
_ACTORS_A_GPU = 2  # one draws while the other writes
_CPUS_AN_ACTOR = 4  # where there is no GPU: what `Worker` can use


class CaseActor:
    """One of the pool: a process of the run, on whatever node Ray put it."""

    def __init__(self, recipe_file: Path, out: Path, retry: bool, process: Process) -> None:
        plan = plan_of(recipe_file)
        self._held = ExitStack()  # until the process ends
        self._held.enter_context(taken(plan, out, process))
        self._worker = Worker(plan, out, recipe_file.name, retry, process, quiet=True)

    def make(self, index: int) -> Tally:
        """Deal with one case; what became of it."""
        self._worker.work(range(index, index + 1))
        return self._worker.tally


def run(recipe_file: Path, out: Path, *, workers: int | None = None, retry: bool, quiet: bool) -> Outcome:
    """Every case of a recipe on a Ray cluster: the one of RAY_ADDRESS or of this machine, else one of its own.

    `workers`: actors; two a GPU, or one for four CPU cores, unless given. `out` and the hosts must lie where every
    node sees them. Raises InputError as `engine.run` does, and where Ray is not installed.
    """
    plan, process = plan_of(recipe_file), Process(0, 1, uuid.uuid4().hex)
    tally = Tally(len(plan), asked=Counter(plan.group(index) for index in range(len(plan))))
    with (
        taken(plan, out, process),
        _cluster() as ray,
        CohortProgress(tally, process, quiet) as progress,
    ):
        number, resources = _resources(ray, workers)
        actor = ray.remote(max_restarts=-1, max_task_retries=RETRIES, **resources)(CaseActor)
        run_of = [Process(1 + rank, 1 + number, process.run) for rank in range(number)]
        pool = [actor.remote(recipe_file.resolve(), out.resolve(), retry, one) for one in run_of]
        stopped = ""
        for case, made in _results(ray, pool, plan):
            tally.add(made if made is not None else _given_up(out, case))
            progress.show(case)
            if stopped := why_stop(tally, plan.recipe, out):
                break
        for one in pool:
            ray.kill(one)
        return finish(plan, out, tally, stopped)


def _results(ray: Any, pool: list[Any], plan: CohortPlan) -> Iterator[tuple[PlannedCase, Tally | None]]:
    """What each case came to, as it is done; None where every actor that had it died."""
    free, waiting = list(pool), iter(plan)
    at_work: dict[Any, tuple[Any, PlannedCase]] = {}
    while True:
        while free and (case := next(waiting, None)) is not None:
            one = free.pop()
            at_work[one.make.remote(case.index)] = (one, case)
        if not at_work:
            return
        for done in ray.wait(list(at_work), num_returns=1)[0]:
            one, case = at_work.pop(done)
            yield case, _made(ray, done)
            free.append(one)


def _made(ray: Any, done: Any) -> Tally | None:
    """What a task returned, None where its actor died each time. Raises InputError where no actor can start."""
    try:
        tally: Tally = ray.get(done)
        return tally
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise type(error.cause)(str(error.cause)) from error
        raise
    except ray.exceptions.ActorDiedError as error:
        if "creation task" in str(error):  # Ray has no class for it
            raise InputError(
                f"Ray: no worker can start: {str(error).strip().splitlines()[-1]}; mend that node"
            ) from error
        return None
    except ray.exceptions.RayActorError:
        return None


def _given_up(out: Path, case: PlannedCase) -> Tally:
    """Keep a case that no actor outlived as given up, and count it."""
    drawn = DrawnCase(case, None, (Attempt(f"its worker died, {1 + RETRIES} times in a row", defect=True),))
    quarantine.keep(out, drawn)
    tally = Tally(1, failed=1)
    tally.reject(drawn)
    return tally


def _resources(ray: Any, workers: int | None) -> tuple[int, dict[str, float]]:
    """How many actors, and what each asks of a node."""
    there = ray.cluster_resources()
    gpus, cpus = int(there.get("GPU", 0)), int(there.get("CPU", 1))
    number = workers or (_ACTORS_A_GPU * gpus if gpus else max(cpus // _CPUS_AN_ACTOR, 1))
    return number, {"num_cpus": min(1.0, cpus / number), "num_gpus": min(1.0, gpus / number)}


@contextmanager
def _cluster() -> Iterator[Any]:
    """The module `ray`, connected; what was started is stopped. Raises InputError where it is not installed."""
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise InputError("--engine ray: Ray is not installed; pip install 'synthct[ray]'") from error
    environment = {name: os.environ[name] for name in (WEIGHTS_ENV,) if name in os.environ}
    try:
        ray.init(include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": environment})
    except Exception as error:  # Ray raises the base class where a node does not come up in time
        raise InputError(f"--engine ray: no cluster ({' '.join(str(error).split())}); check RAY_ADDRESS") from error
    try:
        yield ray
    finally:
        ray.shutdown()
