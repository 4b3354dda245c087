"""Doors of images: NIfTI bytes and headers, DICOM series, label maps of one's own, what is scanned again."""

from __future__ import annotations

import gzip
import shutil
import struct
from pathlib import Path

import numpy as np

from studies.fuzz.hostile import TEXTS, damaged, pick, within

_PROMPT = "20 mm cyst in the spleen"  # which the host has not: what is read is read, and nothing is drawn


def nifti_bytes(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """Damage to the file, or within its gzip."""
    content = (sound / "host/ct.nii.gz").read_bytes()
    content = damaged(rng, content) if rng.random() < 0.5 else within(rng, content, ".gz")
    (here / "ct.nii.gz").write_bytes(content)
    return inserting(here / "ct.nii.gz", sound / "host/organs.nii.gz", here)


_FIELDS = (("dim", 40, "h", 8), ("type", 70, "h", 2), ("pixdim", 76, "f", 8), ("offset", 108, "f", 3),
           ("units", 123, "b", 1), ("codes", 252, "h", 2), ("quatern", 256, "f", 6), ("srow", 280, "f", 12),
           ("size", 0, "i", 1), ("magic", 344, "b", 4))  # fmt: skip
_FLOATS = (0.0, -1.0, 1e-30, 1e30, np.inf, -np.inf, np.nan, 2.0, 0.5, 352.0, 348.0, 1e-3)
_WHOLE = (0, 1, 2, 3, 4, 5, 7, 8, -1, 127, 16, 64, 512, 1024, 1792, 2304)


def nifti_headers(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """Fields of the header as they should not be, of CT or labels."""
    name = pick(rng, ("ct.nii.gz", "organs.nii.gz"))
    (here / name).write_bytes(_odd_header(rng, (sound / "host" / name).read_bytes()))
    files = {n: here / n if n == name else sound / "host" / n for n in ("ct.nii.gz", "organs.nii.gz")}
    return inserting(files["ct.nii.gz"], files["organs.nii.gz"], here)


def _odd_header(rng: np.random.Generator, packed: bytes) -> bytes:
    content = bytearray(gzip.decompress(packed))
    for _ in range(int(rng.integers(1, 4))):
        _, start, kind, number = pick(rng, _FIELDS)
        at = start + int(rng.integers(number)) * struct.calcsize(kind)
        value = pick(rng, _FLOATS if kind == "f" else _WHOLE)
        struct.pack_into(f"<{kind}", content, at, min(value, 127) if kind == "b" else value)
    return gzip.compress(bytes(content), 1)


def label_maps(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """Organs that a generated patient is to have: bytes and headers. Slices finer than voxels end it before a draw."""
    content = (sound / "host/organs.nii.gz").read_bytes()
    content = within(rng, content, ".gz") if rng.random() < 0.4 else _odd_header(rng, content)
    (here / "organs.nii.gz").write_bytes(content)
    finer = ["--spacing", "8", "--slice-mm", "4"]
    where = ["--organs", str(here / "organs.nii.gz"), "--out", str(here / "out"), "-q"]
    return ["generate", "CT of the head and neck", *finer, *where]


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
    return inserting(here / "series", sound / "host/organs.nii.gz", here)


_SCANS = (("--dose", "0.5"), ("--kernel", "sharp"), ("--slice-mm", "12"), ("--metal", "hip"), ("--views", "60"))


def scans(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """A CT with damage, or options with values that they cannot have, to `scan` and `xray`."""
    ct = here / "ct.nii.gz"
    content = (sound / "host/ct.nii.gz").read_bytes()
    broken = rng.random() < 0.6
    ct.write_bytes(_broken(rng, content) if broken else content)
    where = [str(ct), "--out", str(here / "out"), "-q"]
    if rng.random() < 0.3:
        said = [pick(rng, ("--view", "--detector", "--field-mm", "--centre")), _said(rng)]
        return ["xray", *where, *([] if broken else said), *(["--detector", "64"] if broken else [])]
    option, value = pick(rng, _SCANS)
    return ["scan", *where, option, value if broken else _said(rng)]


def _broken(rng: np.random.Generator, content: bytes) -> bytes:
    return within(rng, content, ".gz") if rng.random() < 0.5 else _odd_header(rng, content)


def _said(rng: np.random.Generator) -> str:
    return str(pick(rng, TEXTS)).replace("\0", "")


def inserting(ct: Path, organs: Path, here: Path) -> list[str]:
    """The command that reads a host and its labels."""
    return ["insert", str(ct), _PROMPT, "--organs", str(organs), "--out", str(here / "out"), "-q"]
