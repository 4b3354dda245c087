"""Configuration of `synthct train shape`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from synth.settings import read_settings
from synth.shape.register import Round


class ShapeConfig(BaseModel):
    """A fit; YAML holds differences from these."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    data: Path = Path("runs/data")
    out: Path = Path("runs/shape")
    rank: int = Field(44, gt=0)
    ridge: float = 0.05
    unfit: tuple[str, ...] = Field((), description="of a patchwork: scans whose chest is not lent, diseased or coarse")
    native: tuple[str, ...] = Field((), description="of a patchwork: without contrast, where no table says so")
    rounds: tuple[Round, ...] = (
        Round(pool=2, sigma=3.0, iterations=12),
        Round(pool=2, sigma=2.0),
        Round(pool=2, sigma=1.3),
        Round(pool=1, sigma=1.1, iterations=14, step_mm=2.5),
        Round(pool=1, sigma=1.3, grid_mm=8, iterations=10, step_mm=2.0),
        Round(pool=1, sigma=0.9, grid_mm=8, iterations=8, step_mm=1.2),
    )


def load_shape_config(path: Path, overrides: dict[str, Any]) -> ShapeConfig:
    """Read a YAML of differences; InputError names an unknown key or a bad value."""
    return read_settings(
        ShapeConfig, path, see="configs/train/ and synth/training/shape_config.py", overrides=overrides
    )
