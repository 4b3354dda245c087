"""Weights of the `lesion` network, which draws the inside of tumours. None ship: users train their own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from synth.case.weights_folder import WEIGHTS_ENV
from synth.errors import InputError
from synth.provenance import sha256_of_file

ROLE = "lesion_weights"  # of the file among the inputs of a draft
FOLDER = "lesion"  # below $SYNTHCT_WEIGHTS
_FILES = ("config.json", "diffusion_pytorch_model.safetensors")


def find(asked: Path | None) -> Path | None:
    """The weights' file: of the folder that was asked for, else of $SYNTHCT_WEIGHTS/lesion, None without either.

    Raises InputError for a folder that was asked for and holds no weights.
    """
    root = os.environ.get(WEIGHTS_ENV)
    folder = asked or (Path(root) / FOLDER if root else None)
    if folder is not None and all((folder / name).is_file() for name in _FILES):
        return folder / _FILES[1]
    if asked is not None:
        raise InputError(
            f"--lesion-weights {asked}: no {' and '.join(_FILES)} in it; train them with `synthct train lesion` and "
            "give its OUT/weights or OUT/best"
        )
    return None


def of_plan(sha256: str | None, inputs: Mapping[str, Path]) -> Path | None:
    """The file that a plan was made for, among a draft's inputs or below $SYNTHCT_WEIGHTS; None if for none.

    Raises InputError where it is not there, or is another.
    """
    if sha256 is None:
        return None
    file = inputs.get(ROLE) or find(None)
    if file is None:
        raise InputError("the plan was made for lesion weights that are not there; give --lesion-weights")
    if sha256_of_file(file) != sha256:
        raise InputError(f"{file.parent}: not the lesion weights of the plan; give those it was made for")
    return file
