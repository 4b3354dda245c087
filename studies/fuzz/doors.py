"""Doors: each makes one hostile input in a folder and names the command that it is given to."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from studies.fuzz.hostile import TEXTS, VALUES, changed, damaged, pick
from synth.cohort import finalise, layout

Door = Callable[[np.random.Generator, Path, Path], list[str]]
# (generator, folder of sound inputs, folder of this input) -> arguments of the command

_WORDS = (
    "CT of the chest", "abdomen", "head and neck", "18 mm", "spiculated", "nodule", "in the right upper lobe", "no",
    "cyst", "liver", "70 Gy target", "and", "or", ",", ".", "left", "two", "large habitus", "contrast-enhanced",
    "1.5 cm", "-3 mm", "1e9 mm", "of a 60-year-old man", "kidney tumour", "with", "without", "effusion", "(", '"',
)  # fmt: skip
_PROMPT = "20 mm cyst in the spleen"  # which the host has not: what is read is read, and nothing is drawn


def prompts(rng: np.random.Generator, _: Path, __: Path) -> list[str]:
    """Words in any order, with other things among them."""
    words = [pick(rng, _WORDS if rng.random() < 0.85 else TEXTS) for _ in range(int(rng.integers(1, 12)))]
    return [pick(rng, ("plan", "read")), " ".join(words).replace("\0", "")]


def nifti_bytes(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """Damage to the file, or within its gzip."""
    content = (sound / "host/ct.nii.gz").read_bytes()
    if rng.random() < 0.5:
        content = gzip.compress(damaged(rng, gzip.decompress(content)[:400]) + gzip.decompress(content)[400:], 1)
    else:
        content = damaged(rng, content)
    (here / "ct.nii.gz").write_bytes(content)
    return _insert(here / "ct.nii.gz", sound / "host/organs.nii.gz", here)


_FIELDS = (("dim", 40, "h", 8), ("type", 70, "h", 2), ("pixdim", 76, "f", 8), ("offset", 108, "f", 3),
           ("units", 123, "b", 1), ("codes", 252, "h", 2), ("quatern", 256, "f", 6), ("srow", 280, "f", 12),
           ("size", 0, "i", 1), ("magic", 344, "b", 4))  # fmt: skip
_FLOATS = (0.0, -1.0, 1e-30, 1e30, np.inf, -np.inf, np.nan, 2.0, 0.5, 352.0, 348.0, 1e-3)
_WHOLE = (0, 1, 2, 3, 4, 5, 7, 8, -1, 127, 16, 64, 512, 1024, 1792, 2304)


def nifti_headers(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """Fields of the header as they should not be, of CT or labels."""
    name = pick(rng, ("ct.nii.gz", "organs.nii.gz"))
    content = bytearray(gzip.decompress((sound / "host" / name).read_bytes()))
    for _ in range(int(rng.integers(1, 4))):
        _, start, kind, number = pick(rng, _FIELDS)
        at = start + int(rng.integers(number)) * struct.calcsize(kind)
        value = pick(rng, _FLOATS if kind == "f" else _WHOLE)
        struct.pack_into(f"<{kind}", content, at, min(value, 127) if kind == "b" else value)
    (here / name).write_bytes(gzip.compress(bytes(content), 1))
    files = {n: here / n if n == name else sound / "host" / n for n in ("ct.nii.gz", "organs.nii.gz")}
    return _insert(files["ct.nii.gz"], files["organs.nii.gz"], here)


def dicom(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """A series with damage to a file, or to elements of one or all."""
    import pydicom

    (here / "series").mkdir()
    files = sorted((sound / "series").iterdir())
    hit = set(files) if rng.random() < 0.3 else {pick(rng, files)}
    tag = None
    for file in files:
        target = here / "series" / file.name
        if file in hit and rng.random() < 0.4:
            target.write_bytes(damaged(rng, file.read_bytes()))
            continue
        image = pydicom.dcmread(file)
        if file in hit:
            tag = tag or pick(rng, [e.tag for e in image if e.VR != "SQ"])
            if rng.random() < 0.3:
                del image[tag]
            else:
                image[tag]._value = pick(rng, ("", "nan", "1e30", ["1"], ["0", "0"], 0, -1, 65535, None, "x"))
        try:
            image.save_as(target)
        except Exception:  # what cannot be written cannot be met with
            shutil.copyfile(file, target)
    return _insert(here / "series", sound / "host/organs.nii.gz", here)


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
    return [
        *_insert(sound / "host/ct.nii.gz", sound / "host/organs.nii.gz", here),
        "--organ-ids",
        text.replace("\0", ""),
    ]


def cases(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """A case folder with a file damaged, missing or of another shape."""
    shutil.copytree(sound / "cohort/cases/case_00000", here / "case")
    _break_one(rng, sorted((here / "case").iterdir()))
    return pick(rng, (["check", str(here / "case")], ["preview", str(here / "case"), "--out", str(here / "out.png")]))


def cohorts(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """A finished cohort with damage, its checksums made right again or not."""
    out = here / "cohort"
    shutil.copytree(sound / "cohort", out)
    _break_one(rng, sorted(path for path in out.rglob("*") if path.is_file()))
    if rng.random() < 0.5:
        with contextlib.suppress(OSError, ValueError):
            (out / layout.CHECKSUMS).write_text(finalise.checksums(out))
    to = pick(rng, ("nnunet", "decathlon", "webdataset", "huggingface", "dicom", "coco"))
    verify, export = ["verify", str(out), "--quick"], ["export", str(out), "--to", to, "--out", str(here / "out"), "-q"]
    return pick(rng, (verify, export))


def evaluations(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """Folders of volumes of which one is damaged."""
    (here / "set").mkdir()
    if rng.random() < 0.5:
        content = damaged(rng, (sound / "prepared.npz").read_bytes())
        (here / "set/a.npz").write_bytes(content)
    else:
        (here / "set/a.nii.gz").write_bytes(damaged(rng, (sound / "host/ct.nii.gz").read_bytes()))
    other = here / "set" if rng.random() < 0.5 else here
    verb = pick(rng, (["fidelity", "--real"], ["memorization", "--training"]))
    where = ["--synthetic", str(other), "--out", str(here / "out"), "--cache", str(here / "cache"), "-q"]
    return ["evaluate", *verb, str(here / "set"), *where]


def configs(rng: np.random.Generator, _: Path, here: Path) -> list[str]:
    """Settings of training and evaluation, and values of them."""
    table = changed(rng, {"network": "base", "steps": 3, "batch": 1, "seed": 0, "data": "none", "out": "x"}, 2)
    text = yaml.safe_dump(table).encode(errors="replace")
    (here / "config.yaml").write_bytes(damaged(rng, text) if rng.random() < 0.5 else text)
    network = pick(rng, ("base", "refine", "lesion", "shape", "torso"))
    more = [f"data={here / 'none'}", f"out={here / 'run'}"]
    if rng.random() < 0.3:
        more += [f"{pick(rng, ('steps', 'seed', 'x', ''))}={pick(rng, TEXTS)}".replace("\0", "")]
    return ["train", network, "--config", str(here / "config.yaml"), *more]


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
    return [*(word.replace("\0", "") for word in words if word != "--version"), *_elsewhere(words, here)]


def _elsewhere(words: list[str], here: Path) -> list[str]:
    """Where a command that takes --out would write into the working folder, name another."""
    takes = {"generate", "insert", "cohort", "prepare", "scan", "xray", "export", "materialize"}
    return ["--out", str(here / "out")] if words and words[0] in takes else []


def _insert(ct: Path, organs: Path, here: Path) -> list[str]:
    return ["insert", str(ct), _PROMPT, "--organs", str(organs), "--out", str(here / "out"), "-q"]


def _break_one(rng: np.random.Generator, files: list[Path]) -> None:
    file = pick(rng, files)
    content = file.read_bytes()
    kind = rng.random()
    if kind < 0.1:
        file.unlink()
    elif kind < 0.15:
        file.unlink()
        file.mkdir()
    elif kind < 0.6 and file.suffix == ".json":
        file.write_text(json.dumps(changed(rng, json.loads(content), int(rng.integers(1, 3)))))
    else:
        file.write_bytes(damaged(rng, content))


DOORS: dict[str, Door] = {
    "prompts": prompts,
    "nifti": nifti_bytes,
    "headers": nifti_headers,
    "dicom": dicom,
    "recipes": recipes,
    "indices": indices,
    "organ_ids": organ_ids,
    "cases": cases,
    "cohorts": cohorts,
    "evaluations": evaluations,
    "configs": configs,
    "options": options,
}
