"""Kill every verb that writes at random moments, go on, and compare with an uninterrupted run; and let several write.

    python -m evals.benchmarks.kill_verbs --out runs/kill_verbs [--kills 200] [--verbs generate,insert,..] [--seed 0]

Small inputs: made-up abdomens and patients, a shape model that draws in a second. A trial starts a verb, kills it with
-9 after a random share of the time that it takes, looks at what is visible then, and starts it again, one to four
times; then it finishes. Every file must be that of the uninterrupted run, visible ones at every kill too (of training,
which writes a checkpoint again and again, weights that can be read). Then two and four processes run each verb into
one folder at once: each ends with 0, or says that another is at work, and the folder is as if one had. Exit code 1
where anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from evals.benchmarks import made_up, small_cohort
from evals.benchmarks.kills import kill
from evals.benchmarks.small_cohort import Fork
from synth.draw import generated
from synth.errors import InputError
from synth.failure import ended
from synth.files.whole import write_whole
from synth.models.weights import load_tensors
from synth.provenance import Check

_MOST_IN_A_ROW = 4
_AFTER = 1.1  # of the time that a run takes: some are killed at its very end, or not at all
_TIMED = {"seconds", "volumes_a_second", "hours_left"}  # of logs and checkpoints, which tell how long a run took
_WRITERS = (2, 4)
_CASES = 3
_REFUSED = 2
_LOCKS = (".run", ".locks")


@dataclass(frozen=True)
class Verb:
    """Its arguments, given the inputs and where to write; `grows`: files are written again and again on the way."""

    arguments: Callable[[Path, Path], list[str]]
    grows: bool = False


def _cohort(recipe: str, *options: str) -> Verb:
    return Verb(lambda root, out: ["cohort", str(root / recipe), "--out", str(out), "-q", *options])


def _generate(root: Path, out: Path) -> list[str]:
    return ["generate", "CT", "--weights", str(root), "--spacing", "8", "-n", str(_CASES), "--out", str(out), "-q"]


def _insert(root: Path, out: Path) -> list[str]:
    host = root / "hosts/host0"
    labels = ["--organs", str(host / "organs.nii.gz"), "--trust-labels"]
    siblings = ["--twin", "--follow-up", "90d", "--growth", "1.2", "--change", "density=hyperdense"]
    prompt = "11 mm hypodense liver tumour"
    return ["insert", str(host / "ct.nii.gz"), prompt, *labels, *siblings, "--out", str(out), "-q"]


def _prepare(root: Path, out: Path) -> list[str]:
    where = ["--region", str(root / "region.yaml"), "--from", str(root / "patients"), "--out", str(out)]
    return ["prepare", "--layout", "cases", *where, "--native", str(root / "few"), "--trust-labels", "-q"]


def _train(root: Path, out: Path) -> list[str]:
    where = [f"data={root / 'data'}", f"shape={root / 'shape'}", f"out={out}", "steps=6"]
    return ["train", "base", "--config", str(root / "base.yaml"), *where, "checkpoint_minutes=0.002"]


def _export(root: Path, out: Path) -> list[str]:
    return ["export", str(root / "finished"), "--to", "nnunet", "--out", str(out), "-q"]


def _evaluate(root: Path, out: Path) -> list[str]:
    sets = ["--real", str(root / "sets/real"), "--synthetic", str(root / "sets/other"), "--cache", str(out / "cache")]
    return ["evaluate", "fidelity", *sets, "--metrics", "hu,kid", "--resamples", "20", "--out", str(out), "-q"]


VERBS = {
    "generate": Verb(_generate),
    "insert": Verb(_insert),
    "cohort": _cohort("recipe.yaml"),
    "cohort delta": _cohort("recipe.yaml", "--store", "delta"),
    "cohort generated": _cohort("generated.yaml"),
    "cohort findings": _cohort("findings.yaml"),
    "prepare": Verb(_prepare),
    "train": Verb(_train, grows=True),
    "export": Verb(_export),
    "evaluate": Verb(_evaluate),
}


def write_inputs(root: Path) -> None:
    """Hosts, patients, prepared data, a shape model, recipes, a finished cohort and sets of volumes."""
    small_cohort.write_inputs(root, 4)
    made_up.prepare(root, 9)
    made_up.fit_shape(root)
    made_up.write_config(root, "base")
    made_up.write_patients(root / "few", 3)
    table = {"name": "g", "number": _CASES, "prompts": {"CT": 1}, "spacing_mm": 8, "weights": ".", "previews": 0}
    gates = {"one_piece": None, "organ_hu": None}  # four steps of fitting draw no anatomy
    (root / "generated.yaml").write_text(json.dumps(table | {"gates": gates}))
    _write_abdomen(root, table | {"gates": gates})
    made_up.write_set(root / "sets/real", range(6))
    made_up.write_set(root / "sets/other", range(6, 12))


def _write_abdomen(root: Path, table: dict[str, Any]) -> None:
    """Weights that answer for an abdomen, and a recipe of findings and a twin drawn with them."""
    folder = root / "abdomen"
    shutil.copytree(root / "shape/weights", folder / "shape")
    made_up.untrained_refine().save_pretrained(folder / "refine")
    shutil.copyfile(root / "data/prior.json", folder / "prior.json")
    (folder / "region.yaml").write_text((root / "data/region.yaml").read_text() + "\nanswers: [abdomen]\n")
    findings = [{"organ": "liver", "kind": "cyst", "size_mm": {"9-10": 1}}]
    drawn = {"region": "abdomen", "weights": "abdomen", "spacing_mm": 4, "twins": 0.5, "findings": findings}
    del table["prompts"]
    (root / "findings.yaml").write_text(json.dumps(table | drawn | {"healthy": 0.3}))


def in_a_process(work: Callable[[], object]) -> None:
    """Do it in a fork: a process that has run a network cannot be forked. Raises RuntimeError where it fails."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()  # os._exit below would swallow it
        os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the inputs could not be made")


@dataclass
class VerbTrial:
    """One verb under test. `wrong`: what differed, and after how many kills."""

    name: str
    verb: Verb
    root: Path
    place: Path
    rng: np.random.Generator
    seconds: float = 0.0
    kills: int = 0
    finished_early: int = 0
    wrong: list[str] = field(default_factory=list)

    def start(self, out: Path) -> Fork:
        """The verb, writing to a folder."""
        return Fork(self.verb.arguments(self.root, out), {}, self.place / f"{out.name}.log", threads=1)

    def reference(self) -> dict[str, Any]:
        """The files of an uninterrupted run, and how long it took."""
        started = time.monotonic()
        if code := self.start(self.place / "whole").wait():
            raise RuntimeError(f"{self.name}: exit code {code}; see {self.place / 'whole.log'}")
        self.seconds = time.monotonic() - started
        return files_of(self.place / "whole")

    def one(self, whole: dict[str, Any], number: int) -> None:
        """Kill it some times in a row, then let it finish."""
        out = self.place / f"trial_{number:03d}"
        for _ in range(int(self.rng.integers(1, _MOST_IN_A_ROW + 1))):
            process = self.start(out)
            time.sleep(float(self.rng.uniform(0, _AFTER * self.seconds)))
            if process.poll() is None:
                kill([process])
                self.kills += 1
            else:
                self.finished_early += 1
            self.wrong += [f"trial {number}: {what} half-visible after a kill" for what in self._visible(out, whole)]
        before = files_of(out)
        code = self.start(out).wait()
        if code and not (code == _REFUSED and before == whole):  # an export that was whole by then is there already
            self.wrong.append(f"trial {number}: exit code {code}; see {self.place / f'{out.name}.log'}")
        self.wrong += [f"trial {number}: {what}" for what in differ(whole, files_of(out))]
        shutil.rmtree(out, ignore_errors=True)

    def _visible(self, out: Path, whole: dict[str, Any]) -> Iterator[str]:
        """Files under their own names that are not as they end up; of a run that grows, weights that cannot be read."""
        if self.verb.grows:
            for file in (out / "weights").rglob("*.safetensors"):
                try:
                    load_tensors(file)
                except InputError as error:
                    yield str(error)
            return
        for name, content in files_of(out, hidden=False).items():
            if whole.get(name) != content:
                yield name

    def together(self, whole: dict[str, Any], writers: int) -> dict[str, Any]:
        """Several processes of the verb into one folder at once; their exit codes and what differs."""
        out = self.place / f"writers_{writers}"
        codes = [process.wait() for process in [self.start(out) for _ in range(writers)]]
        if set(codes) - {0, _REFUSED} or 0 not in codes:
            self.wrong.append(f"{writers} writers: exit codes {codes}; see {self.place / f'{out.name}.log'}")
        self.wrong += [f"{writers} writers: {what}" for what in differ(whole, files_of(out))]
        shutil.rmtree(out, ignore_errors=True)
        return {"writers": writers, "codes": codes}


def files_of(out: Path, *, hidden: bool = True) -> dict[str, Any]:
    """Name -> content of every file but locks; of logs and checkpoints without the time that they tell."""
    found: dict[str, Any] = {}
    for path in sorted(out.rglob("*")):
        parts = path.relative_to(out).parts
        if (
            not path.is_file()
            or parts[0] in (".run", ".locks")
            or (not hidden and any(p.startswith(".") for p in parts))
        ):
            continue
        timed = path.suffix == ".jsonl" or path.name == "progress.json"
        found["/".join(parts)] = _untimed(path.read_text()) if timed else path.read_bytes()
    return found


def _untimed(text: str) -> list[Any]:
    rows = [json.loads(line) for line in text.splitlines()]
    return [{key: value for key, value in row.items() if key not in _TIMED} for row in rows]


def differ(whole: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Names whose content is not the same, or that one of the two lacks; a checkpoint before the last may differ."""
    names = sorted(name for name in whole.keys() | found.keys() if not name.startswith("checkpoint.old/"))
    return [f"{name} differs" for name in names if whole.get(name) != found.get(name)]


def run(out: Path, kills: int, verbs: Sequence[str], seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """The whole trial as JSON values."""
    root = out / "inputs"
    root.mkdir(parents=True)
    in_a_process(lambda: write_inputs(root))
    rng, rows = np.random.default_rng(seed), []
    lenient = mock.patch.object(generated, "check_generated", lambda *_, **__: [Check("body_ml", 1.0, 0.0, 2.0)])
    with lenient:  # what is drawn here is no anatomy; forks have the patch too
        if Fork(
            ["cohort", str(root / "recipe.yaml"), "--out", str(root / "finished"), "-q"], {}, out / "log", 1
        ).wait():
            raise RuntimeError(f"no finished cohort; see {out / 'log'}")
        for name in verbs:
            place = out / name.replace(" ", "_")
            place.mkdir()
            trial = VerbTrial(name, VERBS[name], root, place, rng)
            whole = trial.reference()
            number = 0
            while trial.kills < kills / len(verbs) and number < kills:
                trial.one(whole, number)
                number += 1
            together = [trial.together(whole, writers) for writers in _WRITERS]
            rows.append(
                {
                    **{"verb": name, "seconds": round(trial.seconds, 1), "files": len(whole), "trials": number},
                    **{"kills": trial.kills, "ended_before_the_kill": trial.finished_early},
                    **{"together": together, "wrong": trial.wrong},
                }
            )
            say(json.dumps(rows[-1]))
    return {"seed": seed, "kills": sum(row["kills"] for row in rows), "verbs": rows}


def main(arguments: list[str] | None = None) -> int:
    """Print the result as JSON and write it to OUT/kill_verbs.json; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m evals.benchmarks.kill_verbs", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--verbs", default=",".join(VERBS), help="comma-separated")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args(arguments)
    verbs = args.verbs.split(",")
    if unknown := set(verbs) - set(VERBS):
        raise InputError(f"--verbs {','.join(sorted(unknown))}: say some of {','.join(VERBS)}")
    if args.out.exists():
        raise InputError(f"--out {args.out}: is there already; choose a new folder")
    result = run(args.out, args.kills, verbs, args.seed, lambda line: print(line, file=sys.stderr, flush=True))
    text = json.dumps(result, indent=1)
    write_whole(args.out / "kill_verbs.json", text + "\n")
    print(text)
    return 1 if any(row["wrong"] for row in result["verbs"]) else 0


if __name__ == "__main__":
    sys.exit(ended(main, "evals.benchmarks.kill_verbs"))
