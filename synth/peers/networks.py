"""MAISI's networks, of MONAI's classes, in the sizes that the tensors of a file have.

What shapes do not tell (groups of norms, channels of a head) is as in NVIDIA's released configuration. Weights are
loaded strictly; the one exception is `UNUSED`. On a CPU neither flash attention nor norms in half precision run.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import torch

from synth.errors import InputError
from synth.models.weights import require_finite
from synth.peers.files import NAMES, Held
from synth.volumes.labels import maisi_channels

UNUSED = re.compile(r".*\.attn\.out_proj\.(weight|bias)")
"""Of the DDPM variant: its released files hold projections that its configuration builds no layer for."""

_GROUPS = 32  # channels of a norm's groups; numbers of channels are multiples of it
_HEAD = 32  # channels of an attention head
_LATENT = 4
MASK_BITS = 8  # of an id, which the autoencoder of masks is given
MASK_SIZES = 10  # that the diffusion U-Net of masks is told
_REMEDY = "give the files as they were released"
Shapes = Mapping[str, tuple[int, ...]]

logger = logging.getLogger(__name__)


def built(held: Held, device: torch.device) -> torch.nn.Module:
    """A network with the weights of a file, ready to draw. Raises InputError where they are not of its architecture."""
    if find_spec("einops") is None:
        raise InputError("MAISI: MONAI's attention needs einops; pip install 'synthct[peers]'")
    tensors = held.tensors()
    if held.variant == "ddpm":
        unused = [name for name in tensors if UNUSED.fullmatch(name)]
        if unused:
            logger.warning("%s: %d tensors *.attn.out_proj have no layer and are left out", held.path, len(unused))
        tensors = {name: tensor for name, tensor in tensors.items() if name not in set(unused)}
    require_finite(tensors, held.path)
    try:
        with torch.device("meta"):
            model = _build(held, device)
        model.load_state_dict(tensors, strict=True, assign=True)
    except InputError:
        raise
    except Exception as error:  # whatever MONAI makes of numbers that go with no network, and torch of other tensors
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{held.path}: is no {NAMES[held.role]} of MAISI ({reason}); {_REMEDY}") from error
    return model.to(device).eval().requires_grad_(False)


def _build(held: Held, device: torch.device) -> torch.nn.Module:
    from monai.apps.generation.maisi.networks.autoencoderkl_maisi import AutoencoderKlMaisi
    from monai.apps.generation.maisi.networks.controlnet_maisi import ControlNetMaisi
    from monai.apps.generation.maisi.networks.diffusion_model_unet_maisi import DiffusionModelUNetMaisi
    from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet

    if held.role == "autoencoder":
        return AutoencoderKlMaisi(**autoencoder_numbers(held.shapes, device))
    if held.role == "mask_autoencoder":
        return AutoencoderKlMaisi(**mask_autoencoder_numbers(held.shapes, device))
    if held.role == "controlnet":
        return ControlNetMaisi(**controlnet_numbers(held, device))
    if held.role == "mask_unet":
        return DiffusionModelUNet(**mask_unet_numbers(held.shapes, device))
    return DiffusionModelUNetMaisi(**unet_numbers(held, device))


def unet_numbers(held: Held, device: torch.device) -> dict[str, Any]:
    """Arguments of DiffusionModelUNetMaisi."""
    shapes = held.shapes
    return {
        **_shared(held, device),
        "out_channels": _size(shapes, "out.2.conv.weight", 0),
        "include_spacing_input": True,
        "include_top_region_index_input": "top_region_index_layer.0.weight" in shapes,
        "include_bottom_region_index_input": "bottom_region_index_layer.0.weight" in shapes,
    }


def controlnet_numbers(held: Held, device: torch.device) -> dict[str, Any]:
    """Arguments of ControlNetMaisi."""
    first = "controlnet_cond_embedding.conv_in.conv.weight"
    blocks = _numbered(held.shapes, r"controlnet_cond_embedding\.blocks\.(\d+)\.conv\.weight")
    widths = [_size(held.shapes, f"controlnet_cond_embedding.blocks.{n}.conv.weight", 0) for n in blocks[1::2]]
    return {
        **_shared(held, device),
        "conditioning_embedding_in_channels": _size(held.shapes, first, 1),
        "conditioning_embedding_num_channels": (_size(held.shapes, first, 0), *widths),
        "use_checkpointing": False,
    }


def autoencoder_numbers(shapes: Shapes, device: torch.device) -> dict[str, Any]:
    """Arguments of AutoencoderKlMaisi: channels and blocks a level, read off its encoder block by block."""
    channels, counts = [], [0]
    for n in _numbered(shapes, r"encoder\.blocks\.(\d+)\..*weight"):
        if f"encoder.blocks.{n}.conv1.conv.conv.weight" in shapes:
            channels.append(_size(shapes, f"encoder.blocks.{n}.conv1.conv.conv.weight", 0))
            counts[-1] += 1
        elif f"encoder.blocks.{n}.conv.conv.conv.weight" in shapes:  # halves the grid
            counts.append(0)
    starts = [sum(counts[:level]) for level in range(len(counts))]
    return {
        "spatial_dims": 3,
        "in_channels": _size(shapes, "encoder.blocks.0.conv.conv.weight", 1),
        "out_channels": _size(shapes, f"decoder.blocks.{_last_block(shapes)}.conv.conv.weight", 0),
        "latent_channels": _size(shapes, "post_quant_conv.conv.weight", 0),
        "num_channels": tuple(channels[start] for start in starts),
        "num_res_blocks": tuple(counts),
        "attention_levels": (False,) * len(counts),
        "norm_num_groups": _GROUPS,
        "norm_float16": device.type == "cuda",
        "num_splits": 1,
        "save_mem": False,
    }


def mask_autoencoder_numbers(shapes: Shapes, device: torch.device) -> dict[str, Any]:
    """Arguments of AutoencoderKlMaisi for masks: ids as bits go in, a channel a structure comes out.

    That its grids are doubled by transposed convolutions shapes do not tell.
    """
    numbers = autoencoder_numbers(shapes, device) | {"use_convtranspose": True}
    wanted = {"in_channels": MASK_BITS, "out_channels": len(maisi_channels()), "latent_channels": _LATENT}
    _require(numbers, wanted)
    return numbers


def mask_unet_numbers(shapes: Shapes, device: torch.device) -> dict[str, Any]:
    """Arguments of MONAI's DiffusionModelUNet for latents of masks, which is told ten sizes."""
    levels = _numbered(shapes, r"down_blocks\.(\d+)\.resnets\.0\.conv1\.conv\.weight")
    within = "attentions.0.transformer_blocks.0.attn2.to_k.weight"
    attention = tuple(f"down_blocks.{n}.{within}" in shapes for n in levels)
    numbers = {
        "spatial_dims": 3,
        "in_channels": _size(shapes, "conv_in.conv.weight", 1),
        "out_channels": _size(shapes, "out.2.conv.weight", 0),
        "channels": tuple(_size(shapes, f"down_blocks.{n}.resnets.0.conv1.conv.weight", 0) for n in levels),
        "num_res_blocks": len(_numbered(shapes, r"down_blocks\.0\.resnets\.(\d+)\.conv1\.conv\.weight")),
        "attention_levels": attention,
        "num_head_channels": tuple(_HEAD if there else 0 for there in attention),
        "norm_num_groups": _GROUPS,
        "with_conditioning": True,
        "upcast_attention": True,
        "cross_attention_dim": _size(shapes, "middle_block.attention.transformer_blocks.0.attn2.to_k.weight", 1),
        "use_flash_attention": device.type == "cuda",
    }
    _require(numbers, {"in_channels": _LATENT, "out_channels": _LATENT, "cross_attention_dim": MASK_SIZES})
    return numbers


def _require(numbers: Mapping[str, Any], wanted: Mapping[str, int]) -> None:
    """Raise ValueError where a number of a network is not that which all of its kind have."""
    wrong = [f"{name} {numbers[name]}, not {number}" for name, number in wanted.items() if numbers[name] != number]
    if wrong:
        raise ValueError(wrong[0])


def _shared(held: Held, device: torch.device) -> dict[str, Any]:
    """Arguments that U-Net and ControlNet have in common."""
    shapes = held.shapes
    levels = _numbered(shapes, r"down_blocks\.(\d+)\.resnets\.0\.conv1\.conv\.weight")
    attention = tuple(f"down_blocks.{n}.attentions.0.attn.to_q.weight" in shapes for n in levels)
    classes = shapes.get("class_embedding.weight")
    return {
        "spatial_dims": 3,
        "in_channels": _size(shapes, "conv_in.conv.weight", 1),
        "num_channels": tuple(_size(shapes, f"down_blocks.{n}.resnets.0.conv1.conv.weight", 0) for n in levels),
        "num_res_blocks": len(_numbered(shapes, r"down_blocks\.0\.resnets\.(\d+)\.conv1\.conv\.weight")),
        "attention_levels": attention,
        "num_head_channels": tuple(_HEAD if there else 0 for there in attention),
        "norm_num_groups": _GROUPS,
        "num_class_embeds": None if classes is None else classes[0],
        "resblock_updown": "down_blocks.0.downsampler.conv1.conv.weight" in shapes,
        "include_fc": held.variant == "rflow",
        "use_flash_attention": device.type == "cuda",
    }


def _last_block(shapes: Shapes) -> int:
    return max(_numbered(shapes, r"decoder\.blocks\.(\d+)\.conv\.conv\.weight"), default=0)


def _numbered(shapes: Shapes, pattern: str) -> list[int]:
    """The numbers that a pattern finds among the names of tensors, in order."""
    return sorted({int(found[1]) for name in shapes if (found := re.fullmatch(pattern, name))})


def _size(shapes: Shapes, name: str, axis: int) -> int:
    """One size of a tensor. Raises InputError where it is not there."""
    shape = shapes.get(name, ())
    if len(shape) <= axis:
        raise InputError(f"weights of MAISI: no tensor '{name}' of {axis + 1} axes; {_REMEDY}")
    return shape[axis]
