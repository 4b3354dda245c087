"""Doors of tables: recipes, indices, organ ids, settings, regions, the tables of archives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from evals.benchmarks.made_up import REGION_YAML
from studies.fuzz.hostile import TEXTS, VALUES, changed, damaged, pick, within
from studies.fuzz.images import inserting

_RECIPES: tuple[dict[str, Any], ...] = (
    {"name": "a", "number": 3, "prompts": {"CT of the chest": 1}, "split": {"train": 0.5, "val": 0.5}},
    {
        "name": "b", "number": 4, "hosts": {"folder": "hosts", "index": "index.csv", "organ_ids": None},
        "findings": [{"organ": "liver", "kind": "cyst", "size_mm": {"8-15": 1}, "count": 1}],
        "patients": {"sex": {"male": 1}}, "healthy": 0.2, "gates": {"visibility": 0.5},
        "scanners": {"thick": {"slice_mm": 5, "share": 1}},
    },
)  # fmt: skip


def recipes(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """A recipe with other values, or damage to its text."""
    shutil.copytree(sound / "hosts", here / "hosts")
    (here / "index.csv").write_text("host,patient,sex\nh,p,male\n")
    table = changed(rng, pick(rng, _RECIPES), int(rng.integers(1, 4)))
    text = yaml.safe_dump(table).encode(errors="replace") if rng.random() < 0.6 else json.dumps(table).encode()
    (here / "recipe.yaml").write_bytes(damaged(rng, text) if rng.random() < 0.4 else text)
    return ["cohort", str(here / "recipe.yaml"), "--list", "--out", str(here / "out")]


def indices(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """An index of hosts with damage."""
    shutil.copytree(sound / "hosts", here / "hosts")
    text = "host,patient,sex,age,phase\nh,p,male,60,native\nother,q,female,x,\n".encode(
        pick(rng, ("utf-8", "utf-16", "utf-8-sig", "latin-1"))
    )
    (here / "index.csv").write_bytes(damaged(rng, text))
    (here / "recipe.yaml").write_text(yaml.safe_dump(_RECIPES[1]))
    return ["cohort", str(here / "recipe.yaml"), "--list", "--out", str(here / "out")]


def organ_ids(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """Ids as text or as JSON."""
    text = ",".join(f"{pick(rng, (*VALUES, 3, 5))}={pick(rng, ('liver', 'lung', *TEXTS))}" for _ in range(2))
    if rng.random() < 0.6:
        (here / "ids.json").write_bytes(damaged(rng, json.dumps(changed(rng, {"3": "liver", "5": "spleen"})).encode()))
        text = str(here / "ids.json")
    command = inserting(sound / "host/ct.nii.gz", sound / "host/organs.nii.gz", here)
    return [*command, "--organ-ids", text.replace("\0", "")]


def configs(rng: np.random.Generator, _: Path, here: Path) -> list[str]:
    """Settings of training and evaluation, and values of them."""
    table = changed(rng, {"network": "base", "steps": 3, "batch": 1, "seed": 0, "data": "none", "out": "x"}, 2)
    text = yaml.safe_dump(table).encode(errors="replace")
    (here / "config.yaml").write_bytes(damaged(rng, text) if rng.random() < 0.5 else text)
    network = pick(rng, ("base", "refine", "lesion", "shape"))
    more = [f"data={here / 'none'}", f"out={here / 'run'}"]
    if rng.random() < 0.3:
        more += [f"{pick(rng, ('steps', 'seed', 'x', ''))}={pick(rng, TEXTS)}".replace("\0", "")]
    return ["train", network, "--config", str(here / "config.yaml"), *more]


_STUDY = {"name": "s", "real_train": "none", "real_test": "none", "out": "x", "organs": ["liver"], "seed": 0}
_EMBEDDED = {"name": "e", "real_train": "none", "real_test": "none", "out": "x", "cases": 10, "asked": 1}


def studies(rng: np.random.Generator, _: Path, here: Path) -> list[str]:
    """Settings of `evaluate utility` and `embedded`, whose patients are nowhere."""
    verb, table = pick(rng, (("utility", _STUDY), ("embedded", _EMBEDDED)))
    table = table | {name: str(here / name) for name in ("real_train", "real_test")} | {"out": str(here / "run")}
    table = changed(rng, table, int(rng.integers(1, 3)))
    if isinstance(table, dict):
        table.setdefault("out", str(here / "run"))  # else it is a folder where the command runs
    (here / "config.yaml").write_bytes(_written(rng, table))
    return ["evaluate", verb, str(here / "config.yaml"), "--out", str(here / "out"), "-q"]


def regions(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """A region of one's own with other values, or damage to its text."""
    table = changed(rng, yaml.safe_load(REGION_YAML), int(rng.integers(1, 4)))
    (here / "region.yaml").write_bytes(_written(rng, table))
    where = ["--layout", "cases", "--from", str(sound / "made_up/few"), "--out", str(here / "out")]
    return ["prepare", "--region", str(here / "region.yaml"), *where, "--trust-labels", "-q"]


def archives(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """Cases of one's own with a damaged table, or a damaged file among them."""
    shutil.copytree(sound / "made_up/few", here / "cases")
    text = b"case,patient,split,report,sex,age\np00,a,train,a heart,F,60\np01,b,val,,M,x\np02,,,,,\n"
    (here / "cases/table.csv").write_bytes(damaged(rng, text) if rng.random() < 0.8 else text)
    if rng.random() < 0.4:
        file = pick(rng, sorted((here / "cases").rglob("*.nii.gz")))
        file.write_bytes(within(rng, file.read_bytes(), ".gz"))
    where = ["--region", str(sound / "made_up/region.yaml"), "--out", str(here / "out")]
    return ["prepare", "--layout", "cases", "--from", str(here / "cases"), *where, "--trust-labels", "-q"]


def _written(rng: np.random.Generator, table: Any) -> bytes:
    """A table as YAML or JSON, sometimes damaged."""
    text = yaml.safe_dump(table).encode(errors="replace") if rng.random() < 0.6 else json.dumps(table).encode()
    return damaged(rng, text) if rng.random() < 0.3 else text
