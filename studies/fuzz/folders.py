"""Doors of folders that the command wrote once: cases, cohorts, deltas, sets of volumes, results."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np

from studies.fuzz.hostile import break_one, pick
from synth.cohort import finalise, layout


def cases(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """A case folder with a file damaged, missing or of another shape."""
    shutil.copytree(sound / "cohort/cases/case_00000", here / "case")
    break_one(rng, sorted((here / "case").iterdir()))
    return pick(rng, (["check", str(here / "case")], ["preview", str(here / "case"), "--out", str(here / "out.png")]))


def cohorts(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """A finished cohort with damage, its checksums made right again or not."""
    out = here / "cohort"
    shutil.copytree(sound / "cohort", out)
    break_one(rng, sorted(path for path in out.rglob("*") if path.is_file()))
    if rng.random() < 0.5:
        with contextlib.suppress(OSError, ValueError):
            (out / layout.CHECKSUMS).write_text(finalise.checksums(out))
    to = pick(rng, ("nnunet", "decathlon", "webdataset", "huggingface", "dicom", "coco"))
    verify, export = ["verify", str(out), "--quick"], ["export", str(out), "--to", to, "--out", str(here / "out"), "-q"]
    return pick(rng, (verify, export))


def deltas(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """A cohort that holds what differs from its hosts, with damage to it or to a host."""
    for name in ("delta", "delta_hosts"):
        shutil.copytree(sound / name, here / name)
    files = [path for name in ("delta", "delta_hosts") for path in (here / name).rglob("*") if path.is_file()]
    break_one(rng, sorted(files))
    if rng.random() < 0.5:
        with contextlib.suppress(OSError, ValueError):
            (here / "delta" / layout.CHECKSUMS).write_text(finalise.checksums(here / "delta"))
    hosts = ["--hosts", str(here / "delta_hosts")]
    if rng.random() < 0.3:
        return ["verify", str(here / "delta"), "--quick", *hosts]
    return ["materialize", str(here / "delta"), *hosts, "--out", str(here / "out"), "-q"]


_COMPARISONS = (("fidelity", "--real", "--synthetic"), ("memorization", "--train", "--synthetic", "--held-out"))
_METRICS = ("kid", "hu", "gradient", "noise_power", "precision", "ms_ssim", "organ_hu", "x", "hu,,kid")  # quick ones
_HOW: tuple[list[str], ...] = ([], ["--skip-bad"], ["--spacing", "8"], ["--slices", "1"])


def evaluations(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """Folders of volumes or cases of which one is damaged."""
    if rng.random() < 0.3:
        shutil.copytree(sound / "cohort/cases", here / "set")
        break_one(rng, sorted(path for path in (here / "set").rglob("*") if path.is_file()))
        said = ["agreement", "--cases", str(here / "set")]
    else:
        shutil.copytree(sound / pick(rng, ("sets", "made_up/data/patients/train")), here / "set")
        break_one(rng, sorted(path for path in (here / "set").rglob("*") if path.is_file()))
        verb, *roles = pick(rng, _COMPARISONS)
        sets = [str(pick(rng, (here / "set", sound / "sets"))) for _ in roles]
        said = [verb, *(word for pair in zip(roles, sets, strict=True) for word in pair)]
        said += ["--metrics", pick(rng, _METRICS), "--resamples", "20"] if verb == "fidelity" else []
        said += ["--cache", str(here / "cache"), *pick(rng, _HOW)]
    return ["evaluate", *said, "--out", str(here / "out"), "-q"]


def results(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """Two results side by side, one or both damaged."""
    for name in ("a.json", "b.json"):
        shutil.copyfile(sound / "result.json", here / name)
    for name in pick(rng, (("a.json",), ("b.json",), ("a.json", "b.json"))):
        break_one(rng, [here / name])
    return ["evaluate", "compare", str(here / "a.json"), str(here / "b.json")]
