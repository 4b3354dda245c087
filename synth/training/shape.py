"""`synthct train shape`: register the training patients, fit the shape model, place every patient in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from synth.data.dataset import PreparedPatient, load_subjects, parts_of
from synth.data.store import PATIENTS
from synth.errors import InputError
from synth.files.whole import whole_file, whole_folder
from synth.models import intensity
from synth.models.weights import load_tensors
from synth.regions import shipped
from synth.regions.frame import BASE_SPACING_MM
from synth.shape import spine
from synth.shape.deformation import exponential, mirror, warp
from synth.shape.model import MEAN_SPACING_MM, ShapeModel, cut
from synth.shape.register import PatientGroup, features, fit_velocities, mean_of, on_grid, register
from synth.shape.vertebrae import (
    ALIKE,
    LEAST_ROWS,
    SOFT_BONE,
    Rows,
    align,
    alike,
    band,
    mean_rows,
    places_on,
    rows_of,
    shifted,
)
from synth.training.log import telling
from synth.training.shape_config import ShapeConfig

PLACED = "velocities.safetensors"
PLACES = "places.safetensors"


def group_of(subjects: Sequence[PreparedPatient]) -> PatientGroup:
    """What registration compares of prepared patients."""
    frames = torch.stack([parts_of(s).whole() for s in subjects])
    known = torch.stack([torch.cat([torch.ones(2), s.annotated]) for s in subjects])
    return PatientGroup(subjects[0].region, features(frames), torch.stack([_scanned(s) for s in subjects]), known)


def _scanned(subject: PreparedPatient) -> torch.Tensor:
    """(Z,) share of each 8 mm slice within the field of view."""
    frame, (top, bottom) = subject.region.frame, subject.region.ends(subject.facts)
    lower = frame.lower_mm[2] + MEAN_SPACING_MM * torch.arange(frame.shape_at(MEAN_SPACING_MM)[2])
    above = (top - lower) / MEAN_SPACING_MM
    below = (lower + MEAN_SPACING_MM + bottom) / MEAN_SPACING_MM
    return above.clamp(0, 1) * below.clamp(0, 1)


def fit_shape(config: ShapeConfig) -> Path:
    """Fit on the training patients and place the validation patients; returns the folder of the weights."""
    subjects = load_subjects(config.data / PATIENTS / "train")
    others = config.data / PATIENTS / "val"
    with telling(config.out) as tell:
        group = group_of(subjects)
        patient, velocities = register(group, config.rounds, tell)
        placed = dict(zip((s.name for s in subjects), velocities, strict=True))
        if others.is_dir():
            placed |= _place(load_subjects(others), group, velocities, config, tell)
        model = _model(config, subjects, patient[1:], velocities)
        everyone = [*subjects, *(load_subjects(others) if others.is_dir() else [])]
        places = fit_vertebrae(model, everyone, placed, len(subjects), tell)
        velocities_of = {name: v.half().contiguous() for name, v in placed.items()}
        for name, tensors in ((PLACED, velocities_of), (PLACES, places)):
            with whole_file(config.out / name) as partial:
                save_file(tensors, partial)
        with whole_folder(config.out / "weights", lambda: False) as partial:
            model.save_pretrained(partial)
    return config.out / "weights"


@torch.no_grad()
def fit_vertebrae(
    model: ShapeModel,
    subjects: Sequence[PreparedPatient],
    placed: Mapping[str, torch.Tensor],
    learnt: int,
    tell: Callable[[str], None],
) -> dict[str, torch.Tensor]:
    """Learn the pattern of vertebrae and its places from the first `learnt` subjects; the places (LENGTH,) by name.

    A subject whose spine shows no vertebrae has none.
    """
    lines = [model.line(placed[subject.name]) for subject in subjects]
    strips = [_strips(model, s, placed[s.name], line) for s, line in zip(subjects, lines, strict=True) if line]
    if not strips:
        tell("no spinal cord among the organs: no vertebrae")
        return {}
    rows = [rows_of(ct, scanned) for ct, _, scanned in strips]
    if sum(one.seen.sum() >= LEAST_ROWS for one in rows[:learnt]) < 2:
        tell("fewer than two spines are long enough: no vertebrae")
        return {}
    template = align(rows[:learnt], tell)
    found = [places_on(one, template) for one in rows]
    clear = [i for i, one in enumerate(rows) if alike(shifted(one, found[i]), template) > ALIKE]
    tell(f"vertebrae found in {len(clear)} of {len(subjects)} patients")
    known = [i for i in clear if i < learnt]
    if not known:
        return {}
    details = [Rows(band(strips[i][1], rows[i].seen).reshape(spine.LENGTH, -1), rows[i].seen) for i in known]
    mean = mean_rows(details, [found[i] for i in known])
    gain = np.mean([_strength(d) for d in details]) / _strength(mean)  # laid imperfectly, a mean is weaker than each
    pattern = (gain * mean.detail * mean.seen[:, None]).reshape(spine.SHAPE)
    model.fit_spine((pattern + pattern[:, :, ::-1]) / 2, np.stack([found[i] for i in known]))
    return {subjects[i].name: torch.from_numpy(found[i]) for i in clear}


def _strength(rows: Rows) -> float:
    """RMS of the detail below the skull base."""
    below = rows.seen & (np.arange(spine.LENGTH) > 20)
    return float(np.sqrt(np.square(rows.detail[below]).mean())) if below.any() else 0.0


def _strips(
    model: ShapeModel, subject: PreparedPatient, velocity: torch.Tensor, line: spine.Line
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Along the spine: the patient's intensity, what its scaffold lacks of it, and the rows that were scanned."""
    ct = intensity.to_unit(subject.hu)
    frame, (top, bottom) = subject.region.frame, subject.region.ends(subject.facts)
    own = spine.strip(ct, line, frame)
    scaffold = spine.strip(model.deform_parts(velocity[None])[0][0, 0].numpy() - 1.0, line, frame)
    missing = np.nan_to_num(np.clip(own, *SOFT_BONE) - np.clip(scaffold, *SOFT_BONE))
    height = line.points[2] + frame.lower_mm[2]
    scanned = np.zeros(spine.LENGTH, bool)
    scanned[: len(height)] = (height < top - 4) & (height > 6 - bottom)
    return own, missing, scanned


def _model(
    config: ShapeConfig, subjects: Sequence[PreparedPatient], organs: torch.Tensor, velocities: torch.Tensor
) -> ShapeModel:
    """The shape model of the patients, and of their mirror images where the region is symmetric."""
    region = subjects[0].region
    images = 2 if region.symmetric else 1
    text = None if region == shipped() else region.text
    model = ShapeModel(config.rank, patients=images * len(subjects), region=text)
    model.mean_ct.copy_(mean_ct(subjects, velocities))
    model.mean_organs.copy_(organs)
    facts = [s.facts for s in subjects]
    smooth = on_grid(velocities, BASE_SPACING_MM, region.frame)  # what varies is smooth; the mean keeps the sharpness
    if region.symmetric:
        facts, smooth = [*facts, *map(region.mirrored, facts)], torch.cat([smooth, mirror(smooth)])
    encoded = torch.stack([torch.from_numpy(region.encode(f)) for f in facts])
    model.fit(smooth, encoded, config.ridge)
    return model


@torch.no_grad()
def mean_ct(subjects: Sequence[PreparedPatient], velocities: torch.Tensor) -> torch.Tensor:
    """(1, X, Y, Z) intensity + 1 at 4 mm: the average of the patients carried back, each where it was scanned."""
    total, count = torch.zeros(()), torch.zeros(())
    region = subjects[0].region
    frame = region.frame
    for subject, velocity in zip(subjects, velocities, strict=True):
        ct = torch.from_numpy(intensity.to_unit(subject.hu))[None] + 1.0
        scanned = cut(torch.ones_like(ct), frame, region.ends(subject.facts))
        back = warp(torch.cat([ct * scanned, scanned])[None], exponential(-velocity[None], frame), frame)[0]
        total, count = total + back[:1], count + back[1:]
    if region.symmetric:
        total, count = total + total.flip(1), count + count.flip(1)
    return total / count.clamp(min=1.0)


def _place(
    subjects: Sequence[PreparedPatient],
    group: PatientGroup,
    velocities: torch.Tensor,
    config: ShapeConfig,
    tell: Callable[[str], None],
) -> dict[str, torch.Tensor]:
    """Velocities of patients who had no part in the mean."""
    others = group_of(subjects)
    frame = group.region.frame
    found = torch.zeros(len(subjects), 3, *frame.shape)
    for number, level in enumerate(config.rounds):
        found = on_grid(found, level.grid_mm, frame)
        before, after = fit_velocities(others, mean_of(group, velocities, level.pool), found, level)
        tell(f"validation, round {number}: difference {before:.4f} -> {after:.4f}")
    return dict(zip((s.name for s in subjects), found, strict=True))


def load_placed(out: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Velocities (3, X, Y, Z) in mm and places of vertebrae by patient name; InputError if the shape was not fitted."""
    for name in (PLACED, PLACES):
        if not (out / name).is_file():
            raise InputError(f"{out / name}: no fitted shapes here; run `synthct train shape` first")
    return {name: v.float() for name, v in load_tensors(out / PLACED).items()}, load_tensors(out / PLACES)
