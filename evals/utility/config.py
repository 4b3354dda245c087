"""One utility study: defaults live here, YAML holds differences, an unknown key is an error."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from synth import labels
from synth.provenance import sha256
from synth.settings import read_settings


class Arm(StrEnum):
    """What a segmenter is trained on, with equal steps in every arm.

    MIXED: real and synthetic in turn; PRETRAIN: synthetic first, then real; SHUFFLED and NOISE are MIXED with the
    synthetic masks, or the synthetic CT, replaced: controls that must not help as MIXED does.
    """

    REAL = "real"
    SYNTHETIC = "synthetic"
    MIXED = "mixed"
    PRETRAIN = "pretrain"
    SHUFFLED = "shuffled"
    NOISE = "noise"


class UtilityConfig(BaseModel):
    """A study. Folders hold what `synthct evaluate` reads: prepared .npz, CASE/ct.nii.gz with organs, case folders."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    real_train: Path
    real_test: Path
    synthetic: Path
    out: Path = Field(Path("runs/utility"), description="one file a run, so that a stopped study goes on")
    organs: tuple[str, ...] = Field(min_length=1)
    organ_ids: dict[int, str] | None = Field(None, description="names of label ids that are not TotalSegmentator's")
    networks: tuple[Literal["dynunet", "segresnet"], ...] = ("dynunet",)
    arms: tuple[Arm, ...] = (Arm.REAL, Arm.SYNTHETIC, Arm.MIXED, Arm.SHUFFLED)
    real_cases: tuple[int, ...] = Field((5, 10, 20, 40), min_length=1)
    synthetic_cases: int | None = Field(None, gt=0, description="the first so many; all where not given")
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1)
    steps: int = Field(1000, gt=0, description="optimizer steps of every run, whatever its arm")
    pretrain_share: float = Field(0.5, gt=0, lt=1, description="of the steps on synthetic volumes, arm pretrain")
    batch: int = Field(2, gt=0, description="patches a step on each process")
    patch: tuple[int, int, int] = Field((64, 64, 64), description="voxels; multiples of 8")
    width: int = Field(16, ge=4, description="channels at the finest level")
    learning_rate: float = Field(1e-3, gt=0)
    window_hu: tuple[float, float] = (-200.0, 400.0)
    tolerance_mm: float = Field(4.0, gt=0, description="of the surface Dice")
    cpu: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(n % 8 for n in self.patch):
            raise ValueError(f"patch {self.patch}: give multiples of 8 voxels")
        if unknown := [o for o in self.organs if o not in labels.ids()]:
            raise ValueError(f"organs: '{unknown[0]}' is not in the label table; see `synthct info --organs`")
        if Arm.REAL not in self.arms:
            raise ValueError("arms: every other arm is compared with real; put it in")
        if min(self.real_cases) < 1:
            raise ValueError(f"real_cases {self.real_cases}: give numbers from 1")
        return self

    def training_hash(self) -> str:
        """Of what a run's outcome depends on besides its arm, N, seed, network and data."""
        kept = self.model_dump_json(include={"steps", "pretrain_share", "batch", "patch", "width", "learning_rate",
                                             "window_hu", "organs", "tolerance_mm"})  # fmt: skip
        return sha256(kept.encode())


def load(path: Path) -> UtilityConfig:
    """Read a YAML; InputError names an unknown key or a value out of range."""
    return read_settings(UtilityConfig, path, see="configs/evals/ and evals/utility/config.py")
