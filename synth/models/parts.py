"""The networks that a set of weights may hold, and what their files are called."""

from __future__ import annotations

from typing import Literal

CONFIG, TENSORS = "config.json", "diffusion_pytorch_model.safetensors"
Part = Literal["shape", "base", "refine", "lesion"]
