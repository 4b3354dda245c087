"""Doors of what others made: volumes of other generators, and weights of a peer."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from studies.fuzz.hostile import TEXTS, damaged, pick
from synth.volumes import nifti

_TOLD = {
    "--spacing": ("4", "4,4,6", "0,1,1", "-1,2,3", "1e9,1,1", "nan,1,1"),
    "--axes": ("RAS", "LPS", "SAR", "RR", "XYZ"),
    "--hu": ("-1000,1000", "0,1", "1000,-1000", "-1e9,1e9", "inf,nan", "-160,240"),
    "--values": ("0,255", "0,1", "-1,1", "5,5", "-1e308,1e308"),
    "--lesion-ids": ("1=lung_nodule", "1=liver", "0=lung_nodule", "7=x"),
}
_ROUND: dict[str, Any] = {
    "spatial_dims": 3,
    "in_channels": 4,
    "num_channels": (32, 32),
    "attention_levels": (False, True),
    "num_head_channels": (0, 32),
    "num_res_blocks": 1,
    "num_class_embeds": 128,
    "resblock_updown": True,
    "include_fc": True,
}


def volumes(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """A volume in another format, with or without a grid, its bytes damaged, and things told of it that are not so."""
    hu = nifti.read_volume(sound / "host/ct.nii.gz", plausible=False).hu
    shown = pick(
        rng, (hu, ((hu + 1000) / 2000).clip(0, 1).astype(np.float32), (hu.clip(-1000, 1000) // 8).astype(np.int8))
    )
    if rng.random() < 0.2:
        shown = pick(
            rng, (shown * np.nan, shown[:, :, :1], shown[None], np.zeros(0), shown.astype(complex), shown * 1e30)
        )
    buffer = io.BytesIO()
    if rng.random() < 0.4:
        file = here / "volume.npy"
        np.save(buffer, shown, allow_pickle=False)
        content = buffer.getvalue()
    else:
        file = here / "volume.nii"
        affine = pick(rng, (np.eye(4), np.diag([4.0, 4, 6, 1]), np.zeros((4, 4)), np.diag([-1.0, -1, 1, 1])))
        content = _nifti(shown, affine)
    file.write_bytes(damaged(rng, content) if rng.random() < 0.3 else content)
    told = ["--lesions", str(sound / "host/organs.nii.gz")] if rng.random() < 0.2 else []
    for option, values in _TOLD.items():
        if rng.random() < 0.5:
            told += [option, str(pick(rng, TEXTS if rng.random() < 0.1 else values)).replace("\0", "0")]
    if rng.random() < 0.3:
        told += ["--organs", str(sound / "host/organs.nii.gz")]
    return ["adopt", str(file), *told, "--out", str(here / "out"), "-q"]


def _nifti(array: np.ndarray, affine: np.ndarray) -> bytes:
    """The bytes of a file, of another array where NIfTI has no such numbers."""
    try:
        return bytes(nib.Nifti1Image(array, affine).to_bytes())
    except Exception:  # whatever nibabel cannot write: what is tried is what we read
        return bytes(nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)).to_bytes())


def peers(rng: np.random.Generator, sound: Path, here: Path) -> list[str]:
    """Weights of MAISI's kinds, one file damaged or with tensors that are not its own, imported or drawn with."""
    import torch

    folder = Path(shutil.copytree(sound / "maisi", here / "maisi"))
    victim = folder / f"{pick(rng, ('a', 'b', 'c'))}.pt"
    if rng.random() < 0.5:
        victim.write_bytes(damaged(rng, victim.read_bytes()))
    else:
        content = torch.load(victim, weights_only=True)
        torch.save(_spoilt(rng, content), victim)
    if rng.random() < 0.5:
        return [
            "weights",
            "import",
            str(folder),
            str(here / "out"),
            "--licence",
            str(pick(rng, TEXTS)).replace("\0", "0"),
        ]
    small = ["--masks", "none", "--size", "64,64,32", "--spacing", "4", "--steps", "1"]
    return ["generate", "chest CT", "--model", str(folder), *small, "--out", str(here / "out"), "-q"]


def _spoilt(rng: np.random.Generator, content: dict[str, Any]) -> Any:
    import torch

    key = next((k for k, v in content.items() if isinstance(v, dict)), None)
    tensors = content if key is None else content[key]
    name = pick(rng, sorted(tensors))
    kind = int(rng.integers(6))
    if kind == 0:
        del tensors[name]
    elif kind == 1:
        tensors[name] = tensors[name] * float("nan")
    elif kind == 2:
        tensors[name] = pick(
            rng, (torch.zeros(0), torch.ones(3), torch.ones(1).expand(10**6, 10**5), torch.ones(2).long())
        )
    elif kind == 3:
        content["scale_factor"] = pick(rng, (torch.ones(3), "x", float("inf"), None, -1, torch.tensor([])))
    elif kind == 4:
        return pick(rng, ([], {}, "x", [tensors], {1: tensors}, {"a": tensors, "b": dict(tensors)}, os.PathLike))
    else:
        tensors[pick(rng, [t for t in TEXTS if "\udcff" not in t])] = torch.ones(2)
    return content


def write_peer(folder: Path) -> None:
    """An autoencoder, a U-Net and a ControlNet of MAISI's kinds, of few channels, with random weights."""
    import torch
    from monai.apps.generation.maisi.networks.autoencoderkl_maisi import AutoencoderKlMaisi
    from monai.apps.generation.maisi.networks.controlnet_maisi import ControlNetMaisi
    from monai.apps.generation.maisi.networks.diffusion_model_unet_maisi import DiffusionModelUNetMaisi

    folder.mkdir()
    torch.manual_seed(0)
    coder = AutoencoderKlMaisi(3, 1, 1, (1, 1, 1), (32, 32, 32), (False,) * 3, latent_channels=4, num_splits=1)
    unet = DiffusionModelUNetMaisi(**_ROUND, out_channels=4, include_spacing_input=True)
    bits = {"conditioning_embedding_in_channels": 8, "conditioning_embedding_num_channels": (8, 32, 64)}
    control = ControlNetMaisi(**_ROUND, **bits, use_checkpointing=False)
    torch.save(coder.state_dict(), folder / "a.pt")
    torch.save({"unet_state_dict": unet.state_dict(), "scale_factor": torch.tensor(1.0)}, folder / "b.pt")
    torch.save({"controlnet_state_dict": control.state_dict()}, folder / "c.pt")
