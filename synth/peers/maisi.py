"""NVIDIA's MAISI (Guo et al. 2025): the networks of a folder, checked to go together, and what they are known by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from synth.errors import InputError
from synth.files.documents import read_table
from synth.peers import networks
from synth.peers.files import NAMES, RECORD, Held, Role, Variant, read_file, weight_files
from synth.provenance import sha256_of_file

NAME = "maisi"
_NEEDED: tuple[Role, ...] = ("autoencoder", "unet")
OF_MASKS: tuple[Role, ...] = ("mask_autoencoder", "mask_unet")
_USED: tuple[Role, ...] = (*_NEEDED, "controlnet", *OF_MASKS)
_REMEDY = (
    "give a folder of NVIDIA's NV-Generate-CT or of MONAI's bundle maisi_ct_generative, or one of `weights import`"
)


@dataclass(frozen=True)
class Maisi:
    """The files of one variant, by role: autoencoder and U-Net; the ControlNet that masks need, and the two networks
    that draw masks, where they are there.

    scale_factor: of the latents of CT. licence: as it was recorded when the weights were imported, None where they were
    not.
    """

    folder: Path
    variant: Variant
    files: Mapping[Role, Held]
    scale_factor: float
    licence: str | None = None

    @staticmethod
    def open(folder: Path) -> Maisi:
        """The weights of a folder. Raises InputError, in one line, where they are not whole or not of MAISI."""
        if not folder.is_dir():
            raise InputError(f"--model {folder}: no such folder; {_REMEDY}")
        held = [found for path in weight_files(folder) if (found := read_file(path)) is not None]
        used = [one for one in held if one.role in _USED]
        variant = _variant(folder, used)
        files: dict[Role, Held] = {}
        for one in used:
            if one.variant not in (None, variant):
                continue
            if one.role in files:
                both = f"{files[one.role].path.name} and {one.path.name}"
                raise InputError(f"--model {folder}: {both} are both its {NAMES[one.role]}; keep one")
            files[one.role] = one
        if missing := [role for role in _NEEDED if role not in files]:
            raise InputError(
                f"--model {folder}: no {NAMES[missing[0]]} of MAISI among {_listed(folder, held)}; {_REMEDY}"
            )
        record = _record(folder)
        _require_recorded(folder, files, record)
        return Maisi(folder, variant, files, _scale(files["unet"], record), record.get("licence"))

    def network(self, role: Role, device: torch.device) -> torch.nn.Module:
        """One of its networks, loaded once."""
        if (role, device) not in self._networks:
            self._networks[role, device] = networks.built(self.files[role], device)
        return self._networks[role, device]

    @cached_property
    def _networks(self) -> dict[tuple[Role, torch.device], torch.nn.Module]:
        return {}

    @property
    def takes_masks(self) -> bool:
        """Whether it can be given organs."""
        return "controlnet" in self.files

    def require_masks(self) -> None:
        """Raise InputError where the folder does not hold what draws masks."""
        if missing := [role for role in OF_MASKS if role not in self.files]:
            held = [found for path in weight_files(self.folder) if (found := read_file(path)) is not None]
            raise InputError(
                f"--model {self.folder}: no {NAMES[missing[0]]} of MAISI among {_listed(self.folder, held)}; add its "
                "file, or say --masks ours"
            )
        self.mask_scale()

    def mask_scale(self) -> float:
        """scale_factor of the latents of masks."""
        return _scale(self.files["mask_unet"], _entry(_record(self.folder), "mask_unet"))

    def hashes(self, *, masks: bool = False) -> dict[str, str]:
        """Role -> sha256 of its file. masks: with those that draw masks."""
        return {role: sha256_of_file(path) for role, path in self.paths(masks=masks).items()}

    def paths(self, *, masks: bool = False) -> dict[str, Path]:
        """Role -> file. masks: with those that draw masks."""
        used = {role: held for role, held in self.files.items() if masks or role not in OF_MASKS}
        return {f"{NAME}_{role}": held.path for role, held in used.items()}


def _variant(folder: Path, held: list[Held]) -> Variant:
    """Rectified flow where both are there; the ControlNet of a folder must be of the same."""
    units = {one.variant for one in held if one.role == "unet"}
    variant: Variant = "rflow" if "rflow" in units or not units else "ddpm"
    others = [one for one in held if one.role == "controlnet"]
    if units and others and all(one.variant != variant for one in others):
        raise InputError(
            f"--model {folder}: the U-Net is of variant {variant}, the ControlNet {others[0].path.name} of "
            f"{others[0].variant}; give two of one variant"
        )
    return variant


def _scale(unet: Held, record: Mapping[str, Any]) -> float:
    scale = record.get("scale_factor", unet.scale_factor)
    if not isinstance(scale, int | float):
        raise InputError(f"{unet.path}: no scale_factor beside the U-Net; give the file as it was released")
    return float(scale)


def _entry(record: Mapping[str, Any], role: Role) -> Mapping[str, Any]:
    """What is recorded of a file; nothing where nothing is."""
    files = record.get("files")
    entry = files.get(role) if isinstance(files, Mapping) else None
    return entry if isinstance(entry, Mapping) else {}


def _record(folder: Path) -> dict[str, Any]:
    """What `weights import` wrote of the weights; nothing where they were not imported."""
    file = folder / RECORD
    return read_table(file, remedy="import the weights again") if file.is_file() else {}


def _require_recorded(folder: Path, files: Mapping[Role, Held], record: Mapping[str, Any]) -> None:
    """Raise InputError where an imported file is not that which was recorded."""
    if not record:
        return
    for role, held in files.items():
        if _entry(record, role).get("sha256") != held.sha256():
            raise InputError(f"{held.path}: is not the {NAMES[role]} that {RECORD} recorded; import the weights again")


def _listed(folder: Path, held: list[Held]) -> str:
    """What was found, for a message."""
    found = [f"{one.path.name} ({NAMES[one.role]})" for one in held]
    return ", ".join(found) or f"{len(weight_files(folder))} files of weights"


def record_text(variant: Variant, scale: float, licence: str, files: Mapping[Role, Mapping[str, Any]]) -> str:
    """peer.json."""
    content = {"peer": NAME, "variant": variant, "scale_factor": scale, "licence": licence, "files": files}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
