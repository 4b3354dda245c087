"""Doors of words: prompts, reports, options and paths on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from studies.fuzz.hostile import TEXTS, damaged, pick

_WORDS = (
    "CT of the chest", "abdomen", "head and neck", "18 mm", "spiculated", "nodule", "in the right upper lobe", "no",
    "cyst", "liver", "70 Gy target", "and", "or", ",", ".", "left", "two", "large habitus", "contrast-enhanced",
    "1.5 cm", "-3 mm", "1e9 mm", "of a 60-year-old man", "kidney tumour", "with", "without", "effusion", "(", '"',
)  # fmt: skip


def prompts(rng: np.random.Generator, _: Path, __: Path) -> list[str]:
    """Words in any order, with other things among them."""
    words = [pick(rng, _WORDS if rng.random() < 0.85 else TEXTS) for _ in range(int(rng.integers(1, 12)))]
    return [pick(rng, ("plan", "read")), " ".join(words).replace("\0", "")]


def reports(rng: np.random.Generator, _: Path, here: Path) -> list[str]:
    """A report as a file, with damage, in one encoding or another."""
    text = ". ".join(pick(rng, _WORDS if rng.random() < 0.9 else TEXTS) for _ in range(int(rng.integers(1, 40))))
    content = text.encode(pick(rng, ("utf-8", "utf-16", "utf-8-sig", "latin-1")), errors="replace")
    (here / "report.txt").write_bytes(damaged(rng, content) if rng.random() < 0.7 else content)
    return ["read", str(here / "report.txt"), *pick(rng, ([], ["--json"], ["--door", "generate"], ["--strict"]))]


_COMMANDS = (
    *(
        "generate",
        "insert",
        "cohort",
        "verify",
        "materialize",
        "export",
        "check",
        "prepare",
        "train",
        "plan",
        "preview",
    ),
    *("info", "evaluate", "scan", "xray", "read", "evaluate fidelity", "evaluate compare", ""),
)
_OPTIONS = (
    *(
        "--out",
        "--seed",
        "--spacing",
        "-n",
        "--start",
        "--organs",
        "--organ-ids",
        "--slice-mm",
        "--growth",
        "--to",
        "--",
    ),
    *("--follow-up", "--hosts", "--only", "--workers", "--dataset-id", "--lesion-id", "--quick", "--debugging", "-h"),
    *("--config", "--synthetic", "--real", "--cache", "--network", "--change", "--twin", "--version"),
)


def options(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """Commands with options that they may not have, of values that they cannot have."""
    paths = (
        str(here / "none"),
        str(sound),
        str(here / ("y" * 300)),
        "/dev/null",
        "/dev/zero",
        str(sound / "host/ct.nii.gz"),
    )
    words: list[str] = pick(rng, _COMMANDS).split()
    for _ in range(int(rng.integers(0, 5))):
        words += [pick(rng, _OPTIONS)] if rng.random() < 0.6 else []
        words += [str(pick(rng, paths if rng.random() < 0.5 else TEXTS))]
    words = [word.replace("\0", "") for word in words if word != "--version"]
    at = words.index("--") if "--" in words else len(words)  # what comes after it is no option
    return [*words[:at], *_elsewhere(words, here), *words[at:]]


def _elsewhere(words: list[str], here: Path) -> list[str]:
    """Where a command that takes --out would write into the working folder, name another."""
    takes = {"generate", "insert", "cohort", "prepare", "scan", "xray", "export", "materialize"}
    return ["--out", str(here / "out")] if words and words[0] in takes else []
