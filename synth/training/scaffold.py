"""`synthct train shape`: what a region's draws start from, as its `scaffold` says."""

from __future__ import annotations

from pathlib import Path

from synth.data.dataset import region_at
from synth.training.patchwork import fit_patchwork
from synth.training.shape import fit_shape
from synth.training.shape_config import ShapeConfig


def fit_scaffold(config: ShapeConfig) -> Path:
    """Fit the scaffold of the region that `config.data` was prepared for; returns the folder of the weights."""
    region = region_at(config.data)
    return fit_patchwork(config, region) if region.scaffold == "patchwork" else fit_shape(config)
