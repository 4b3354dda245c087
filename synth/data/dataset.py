"""Prepared subjects in memory, and the random crops and deformations that training draws from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from synth import intensity, wavelet
from synth.errors import InputError
from synth.facts import ORGANS
from synth.frames import HEAD_NECK
from synth.models.conditioning import CLASSES
from synth.models.scaling import DOSE_STEPS

COARSE_MM = 8.0  # whole frames are kept at this spacing
_MIRROR = [ORGANS.index(n.replace("right", "L").replace("left", "right").replace("L", "left")) for n in ORGANS]


@dataclass(frozen=True)
class Subject:
    """One prepared patient of a frame: HU, organ numbers (1 + position in ORGANS), dose in Gy, at 4 mm."""

    name: str
    hu: np.ndarray
    organs: np.ndarray
    dose: np.ndarray
    annotated: torch.Tensor  # (7,) float
    facts: dict[str, float]


def load_subjects(folder: Path) -> list[Subject]:
    """All prepared .npz of a folder, by name."""
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise InputError(f"{folder}: no prepared subjects (*.npz); run `synthct prepare` first")
    subjects = []
    for file in files:
        with np.load(file) as data:
            about = json.loads(str(data["about"]))
            flags = torch.tensor([float(name in about["annotated"]) for name in ORGANS])
            subjects.append(Subject(about["name"], data["hu"], data["organs"], data["dose"], flags, about["facts"]))
    return subjects


def fractions(organs: torch.Tensor) -> torch.Tensor:
    """(X, Y, Z) organ numbers -> (CLASSES, X, Y, Z) one-hot float32, background first."""
    return F.one_hot(organs.long(), CLASSES).permute(3, 0, 1, 2).float()


def whole_frame(subject: Subject) -> torch.Tensor:
    """(1 + 1 + 7, X, Y, Z) half precision at 8 mm: intensity + 1, dose steps, organ fractions.

    Air, no dose and background are all 0, so that sampling beyond the frame with zeros is right.
    """
    ct = torch.from_numpy(intensity.to_unit(subject.hu))[None] + 1.0
    steps = torch.from_numpy(np.searchsorted(DOSE_STEPS, subject.dose).astype(np.float32))[None]
    organs = fractions(torch.from_numpy(subject.organs))[1:]
    return F.avg_pool3d(torch.cat([ct, steps, organs])[None], 2)[0].half()


@dataclass(frozen=True)
class Jitter:
    """One draw of the smooth augmentation: per-axis scale, rotation about each axis (rad), shift (mm), mirror."""

    scale: np.ndarray
    rotation: np.ndarray
    shift_mm: np.ndarray
    mirror: bool

    @staticmethod
    def draw(rng: np.random.Generator) -> Jitter:
        """Habitus within 7%, pose within about 5 degrees, placement within about 8 mm."""
        return Jitter(
            np.exp(rng.normal(0, 0.035, 3)), rng.normal(0, 0.05, 3), rng.normal(0, 4.0, 3), bool(rng.random() < 0.5)
        )

    def matrix(self) -> np.ndarray:
        """(3, 3): output direction -> input direction, in mm about the anchor."""
        turn = np.eye(3)
        for axis, angle in enumerate(self.rotation):
            i, j = [a for a in range(3) if a != axis]
            step = np.eye(3)
            step[[i, j], [i, j]] = np.cos(angle)
            step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
            turn = turn @ step
        return turn @ np.diag(1.0 / self.scale)


def jittered(frame: torch.Tensor, jitter: Jitter) -> torch.Tensor:
    """Resample a whole frame (C, X, Y, Z) under a jitter, right and left swapped where it mirrors."""
    spacing = COARSE_MM
    lower = np.asarray(HEAD_NECK.lower_mm)
    size = np.array(frame.shape[1:]) * spacing
    centre = lower + size / 2
    # torch's grid runs over (-1, 1) from edge to edge with the axes reversed
    mat = jitter.matrix() * (size[None, :] / size[:, None])
    offset = 2 * (jitter.matrix() @ (centre - jitter.shift_mm) - centre) / size
    if jitter.mirror:
        mat[0], offset[0] = -mat[0], -offset[0]
    theta = torch.from_numpy(np.concatenate([mat[::-1, ::-1], offset[::-1, None]], axis=1).copy()).float()
    grid = F.affine_grid(theta[None], [1, 1, *frame.shape[1:]], align_corners=False)
    out = F.grid_sample(frame[None].float(), grid, mode="bilinear", align_corners=False)[0]
    return swap_sides(out) if jitter.mirror else out


def swap_sides(frame: torch.Tensor) -> torch.Tensor:
    """Exchange the channels of right and left organs of a whole frame."""
    return frame[[0, 1, *(2 + i for i in _MIRROR)]]


def jittered_facts(facts: dict[str, float], jitter: Jitter) -> dict[str, float]:
    """Facts of the jittered patient, to first order (rotation left out)."""
    (sx, sy, sz), (_, ty, tz) = jitter.scale, jitter.shift_mm
    change = {
        "top_mm": lambda v: v * sz + tz,
        "face_top_mm": lambda v: v * sz + tz,
        "bottom_mm": lambda v: v * sz - tz,
        "shoulder_width_mm": lambda v: v * sx,
        "front_mm": lambda v: v * sy + ty,
        "back_mm": lambda v: v * sy - ty,
        "neck_area_cm2": lambda v: v * sx * sy,
    }
    volume = sx * sy * sz
    return {k: change[k](v) if k in change else v * volume if k.endswith("_ml") else v for k, v in facts.items()}


def pool(x: torch.Tensor) -> torch.Tensor:
    """(C, X, Y, Z) -> half the size along each axis, by the mean (Haar's coarse band)."""
    return F.avg_pool3d(x[None], 2)[0]


def split_bands(ct: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(1, 2X, 2Y, 2Z) intensity -> coarse (1, X, Y, Z) and details (7, X, Y, Z)."""
    bands = wavelet.forward(ct[None])[0]
    return bands[:1], bands[1:]
