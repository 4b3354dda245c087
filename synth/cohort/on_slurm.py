"""A cohort on Slurm: a job array through submitit, each job one process of the run.

A job that is preempted or runs out of time is sent again by submitit and goes on where it was killed. The jobs need
not run at the same time; the last one finishes the set.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.cohort import engine, locks
from synth.cohort.engine import Outcome
from synth.cohort.processes import Process
from synth.cohort.progress import Tally
from synth.errors import InputError

_TIMEOUT_MIN = 24 * 60  # unless given; submitit's own default is minutes
LOGS = "slurm"  # below the folder of the locks


@dataclass(frozen=True)
class Share:
    """What one job does: the cases of one process."""

    recipe_file: Path
    out: Path
    retry: bool
    process: Process

    def __call__(self) -> tuple[Tally, str]:
        """Make them; the counts, and why it stopped before the end."""
        outcome = engine.run(self.recipe_file, self.out, retry=self.retry, process=self.process)
        return outcome.tally, outcome.stopped

    def checkpoint(self) -> Any:
        """What submitit sends again when the job is preempted: the same, since complete cases are left alone."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def run(recipe_file: Path, out: Path, *, workers: int, options: Mapping[str, Any], retry: bool, quiet: bool) -> Outcome:
    """Every case of a recipe in `workers` jobs; waits for them. An interrupt leaves the jobs running.

    `options` are submitit's: timeout_min, gpus_per_node, slurm_partition, ...; cluster=local runs on this machine.
    Raises InputError as `engine.run` does, and where there is no Slurm.
    """
    plan = engine.plan_of(recipe_file)
    with engine.taken(plan, out, Process(0, 1, uuid.uuid4().hex)):
        pass  # what is wrong shows here, before anything is sent
    executor = _executor(
        out / locks.FOLDER / LOGS, {"name": f"synthct-{plan.recipe.name}", "timeout_min": _TIMEOUT_MIN, **options}
    )
    name = uuid.uuid4().hex
    with executor.batch():
        shares = [Process(rank, workers, name) for rank in range(workers)]
        jobs = [executor.submit(Share(recipe_file.resolve(), out.resolve(), retry, one)) for one in shares]
    if not quiet:
        print(
            f"synthct: {len(jobs)} jobs: {', '.join(job.job_id for job in jobs)}; logs in {executor.folder}",
            file=sys.stderr,
        )
    tally, stopped = Tally(len(plan)), ""
    for job in jobs:
        made, why = _result(job)
        tally.add(made)
        stopped = stopped or why
    with engine.taken(plan, out, Process(0, 1, name)):
        return engine.finish(plan, out, tally, stopped)


def _result(job: Any) -> tuple[Tally, str]:
    """Wait for a job. One that was lost counts nothing: the next run makes its cases."""
    import submitit

    try:
        made: tuple[Tally, str] = job.result()
        return made
    except submitit.core.utils.FailedJobError as error:  # its traceback, as text
        last = str(error).strip().splitlines()[-1]
    except submitit.core.utils.UncompletedJobError:
        last = "it was lost"
    print(f"synthct: note: job {job.job_id} failed ({last}); see {job.paths.stderr}", file=sys.stderr)
    return Tally(0), ""


def _executor(folder: Path, options: Mapping[str, Any]) -> Any:
    """submitit's executor. Raises InputError where it, Slurm or an option is not there."""
    try:
        import submitit
    except ImportError as error:
        raise InputError("--engine slurm: submitit is not installed; pip install 'synthct[slurm]'") from error
    asked = dict(options)
    cluster = str(asked.pop("cluster", "slurm"))
    if cluster not in ("slurm", "local"):
        raise InputError(f"--slurm cluster={cluster}: say slurm, or local for processes of this machine")
    if cluster == "slurm" and submitit.SlurmExecutor.affinity() < 0:
        raise InputError(
            "--engine slurm: no sbatch here; run it where jobs are sent from, or add --slurm cluster=local"
        )
    executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
    try:
        executor.update_parameters(**asked)
    except (NameError, TypeError, ValueError, AssertionError) as error:
        raise InputError(f"--slurm: {' '.join(str(error).split())}") from error
    return executor
