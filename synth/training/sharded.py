"""Fully sharded data parallel: parameters, gradients and moments in parts, one a process."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from synth.errors import InputError
from synth.models.denoiser import Block, Denoiser


def shard_parameters(model: Denoiser, device: torch.device) -> Denoiser:
    """The model in its place, block by block. Raises InputError outside torchrun or accelerate launch."""
    if not dist.is_initialized():
        raise InputError("fsdp true: one process alone has nothing to share; start with torchrun, or set fsdp=false")
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for module in model.modules():
        if isinstance(module, Block):
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh, reshard_after_forward=True)  # a validation is no step: what it gathered must go
    return model
