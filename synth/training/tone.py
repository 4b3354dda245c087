"""`python -m synth.training.tone CASES --data runs/data/patients/train --out DIR`: fit the tone curve of weights.

CASES were drawn with these weights, asked for as the training patients would be (`synthct evaluate embedded` draws
such), at 4 or 8 mm and without a curve for their spacing. Fit 8 mm first: what is drawn at 4 mm follows from it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from synth.case import folder as case_folder
from synth.case.weights_folder import TONE
from synth.data.dataset import load_subjects, pool
from synth.errors import InputError
from synth.failure import ended
from synth.files.whole import write_whole
from synth.models.tone import Tone, fit

_PREPARED_MM = 4.0


def fit_tone(cases: Path, data: Path, out: Path) -> Path:
    """Fit the curve of the cases' spacing and write it beside the others in out/tone.json."""
    volumes = [case_folder.read_case(folder)[0].ct for folder in sorted(cases.glob("case_*"))]
    if len(volumes) < 2:
        raise InputError(f"{cases}: {len(volumes)} cases; draw some first")
    spacing = float(volumes[0].spacing[0])
    if spacing not in (_PREPARED_MM, 2 * _PREPARED_MM):
        raise InputError(f"{cases}: drawn at {spacing:g} mm; the patients are known at 4 and 8 mm")
    path = out / TONE
    tone = Tone.read(path)
    if spacing in tone.curves:
        raise InputError(f"{path}: has a curve of {spacing:g} mm, which the cases may have been drawn with; remove it")
    patients = [s.hu if spacing == _PREPARED_MM else _halved(s.hu) for s in load_subjects(data)]
    curve = fit([volume.hu for volume in volumes], patients)
    write_whole(path, Tone(tone.curves | {spacing: curve}).to_json())
    return path


def _halved(hu: np.ndarray) -> np.ndarray:
    return pool(torch.from_numpy(hu.astype(np.float32))[None])[0].numpy()


def main(arguments: list[str] | None = None) -> int:
    """Parse and fit; the exit code."""
    return ended(_fit, "synth.training.tone", arguments)


def _fit(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m synth.training.tone", description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="training patients of `synthct prepare`")
    parser.add_argument("--out", type=Path, required=True, help="the weights' folder; tone.json is written there")
    args = parser.parse_args(arguments)
    path = fit_tone(args.cases, args.data, args.out)
    print(path, *(f"{spacing:g} mm" for spacing in Tone.read(args.out / TONE).curves))


if __name__ == "__main__":
    sys.exit(main())
