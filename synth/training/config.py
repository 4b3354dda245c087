"""Training configuration: defaults live here, YAML holds differences, an unknown key is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from synth.settings import read_settings


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(_Section):
    """Arguments of synth.models.denoiser.Denoiser."""

    widths: tuple[int, ...] = (48, 112, 224)
    blocks: tuple[int, ...] = (1, 1, 2)
    embedding_dim: int = 256
    data_sd: float | None = None


class TimeConfig(_Section):
    """Distribution of training times, see synth.flow.schedule.draw_times."""

    mean: float = 0.0
    scale: float = 1.0
    uniform: float = Field(0.5, ge=0, le=1)
    clean: float = Field(0.15, ge=0, le=1, description="share of volumes at t = 0, where organs are read")


class TrainConfig(_Section):
    """One training run."""

    network: Literal["base", "refine", "lesion"]
    data: Path = Field(Path("runs/data"), description="folder that `synthct prepare` wrote")
    shape: Path | None = Field(
        Path("runs/shape"),
        description="folder that `synthct train shape` wrote; null: networks learn without a scaffold",
    )
    out: Path = Field(Path("runs/train"), description="checkpoints, logs, pictures, final weights")
    model: ModelConfig = ModelConfig()
    times: TimeConfig = TimeConfig()
    steps: int = Field(100_000, gt=0)
    max_minutes: float | None = Field(None, gt=0, description="stop, with a checkpoint, after this long")
    batch: int = Field(4, gt=0, description="volumes a step on each process")
    memory_gb: float = Field(
        4.0, ge=0, description="that prepared patients may take, all or none of them; others are read for each draw"
    )
    volumes_a_frame: int = Field(2, gt=0, description="volumes that share one jittered patient, which is slow to draw")
    bend_mm: float = Field(4.0, ge=0, description="SD of the smooth bend of patients, beside their affine jitter")
    accumulate: int = Field(1, gt=0)
    learning_rate: float = Field(4e-4, gt=0)
    warmup: int = Field(100, ge=0)
    cooldown: int = Field(0, ge=0, description="last steps, in which the learning rate falls to zero")
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0)
    ema: float = Field(0.999, gt=0, lt=1)
    label_weight: float = Field(2.0, ge=0)
    whole_share: float = Field(0.6, ge=0, le=1, description="refine: share of batches that are whole frames at 8 mm")
    body_weight: float = Field(2.0, ge=0, description="extra weight of voxels inside the body")
    drop_request: float = Field(0.15, ge=0, le=1, description="share trained with nothing asked")
    drop_text: float = Field(0.3, ge=0, le=1)
    drop_fact: float = Field(0.3, ge=0, le=1, description="chance that one fact is withheld")
    init: Path | None = Field(None, description="weights to start from; `lesion` starts from the `refine` that ships")
    prior_rank: int = Field(128, ge=0, description="base: directions of its Gaussian part; 0: none, for many patients")
    refit_prior: bool = Field(False, description="base from `init`: fit its Gaussian prior to this data")
    text_encoder: str | None = Field(
        None, description="folder or name of a Hugging Face text encoder; null: the packaged MiniLM"
    )
    seed: int = Field(0, ge=0)
    checkpoint_minutes: float = Field(4.0, gt=0)
    validate_every: int = Field(250, gt=0)
    log_every: int = Field(20, gt=0)
    pictures: int = Field(
        4, ge=0, description="validation volumes drawn at each validation, to `out`/pictures; 0: none"
    )
    tracker: Literal["tensorboard", "wandb"] | None = Field(None, description="where the log goes too")
    workers: int = Field(0, ge=0, description="processes that draw batches ahead; 0: drawn on the device itself")
    fsdp: bool = Field(False, description="shard the network over the processes, for one that one GPU cannot hold")
    gradient_checkpointing: bool = False
    mixed_precision: Literal["auto", "no", "bf16"] = "auto"

    @field_validator("mixed_precision", mode="before")
    @classmethod
    def _no(cls, value: Any) -> Any:
        """YAML reads `no` as false."""
        return "no" if value is False else value


def load_config(path: Path, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """Read a YAML of differences; raise InputError naming an unknown key or a value out of range."""
    return read_settings(TrainConfig, path, see="configs/train/ and synth/training/config.py", overrides=overrides)
