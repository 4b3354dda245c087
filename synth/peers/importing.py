"""`synthct weights import`: weights of a peer as safetensors, with hashes of what they were and their licence."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from synth.errors import InputError
from synth.files.content import text_of
from synth.files.whole import new_folder
from synth.models.weights import require_finite
from synth.peers.files import RECORD, Held, Role
from synth.peers.maisi import NAME, Maisi, record_text
from synth.peers.networks import built
from synth.peers.sizes import TABLES, Sizes
from synth.provenance import sha256_of_file

_LICENCES = ("LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "LICENCE.txt")
_FIRST_LINE = 120  # letters


def import_weights(folder: Path, out: Path, licence: str | None) -> Path:
    """Write `out` with a safetensors file a network, its table of sizes of organs and peer.json; the folder.

    licence: its name, where no file LICENSE lies beside the weights; that file is copied. Raises InputError where the
    weights are not whole, or nothing says under what licence they are.
    """
    peer, sizes = Maisi.open(folder), Sizes.of(folder)
    text = next((folder / name for name in _LICENCES if (folder / name).is_file()), None)
    named = (licence or "").strip() or (_first_line(text) if text else "")
    if not named:
        raise InputError(
            f"{folder}: no LICENSE beside the weights; say with --licence what they are under, as in "
            "--licence 'NVIDIA Open Model License'"
        )

    def write(partial: Path) -> None:
        files = {role: _written(held, partial / f"{role}.safetensors") for role, held in peer.files.items()}
        if "mask_unet" in files:
            files["mask_unet"]["scale_factor"] = peer.mask_scale()
        if sizes.file is not None:
            shutil.copyfile(sizes.file, partial / TABLES[0])
        if text is not None:
            shutil.copyfile(text, partial / text.name)
        (partial / RECORD).write_text(
            record_text(peer.variant, peer.scale_factor, named[:_FIRST_LINE], files), encoding="utf-8"
        )

    return new_folder(out, write)


def _first_line(file: Path) -> str:
    return next((line.strip() for line in text_of(file).splitlines() if line.strip()), file.name)


def _written(held: Held, file: Path) -> dict[str, Any]:
    """Write a network; what is recorded of it. Raises InputError where its tensors are not of its architecture."""
    built(held, torch.device("cpu"))
    tensors = held.tensors()
    require_finite(tensors, held.path)
    role: Role = held.role
    save_file({name: t.contiguous() for name, t in tensors.items()}, file, metadata={"peer": NAME, "role": role})
    return {
        "file": file.name,
        "sha256": sha256_of_file(file),
        "tensors": len(tensors),
        "source": {"file": held.path.name, "sha256": held.sha256()},
    }
