"""Missing views: which rays are left, and the iterative reconstruction that makes do with them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from synth.scanner.beams import Rays
from synth.scanner.projector import Geometry

_SHORT = 1.0  # pixels: rays and pixels that meet less of each other are left out
SIRT_STEPS = 20


def few(geometry: Geometry, views: int | None, angle_deg: float | None) -> Geometry:
    """The views that are asked for, about those whose rays run along Y; the full number of views a degree if unsaid.

    The source of a fan is in front in the middle one.
    """
    arc = angle_deg or geometry.whole_deg
    number = views or max(1, round(geometry.whole_views * arc / geometry.whole_deg))
    in_front = 180.0 if geometry.whole_deg > 180 else 0.0
    return replace(geometry, views=number, arc_deg=arc, first_deg=in_front - arc / 2 * (1 - 1 / number))


def sirt(projector: Rays, sinograms: Tensor, steps: int = SIRT_STEPS) -> Tensor:
    """Simultaneous iterative reconstruction (Gilbert 1972) from nothing, never below 0; (B, X, Y).

    After few steps it is smooth: streaks are weaker than in filtered back-projection, and so is detail.
    """
    g = projector.geometry
    ones = torch.ones(1, *g.shape, device=sinograms.device)
    lengths = projector.project(ones)  # mm of the slice along each ray
    met = projector.adjoint(torch.ones(1, g.views, g.cells, device=sinograms.device))
    per_ray = torch.where(lengths > _SHORT * min(g.spacing), 1 / lengths, 0.0)
    per_pixel = torch.where(met > _SHORT * min(g.spacing), 1 / met, 0.0)
    found = torch.zeros(len(sinograms), *g.shape, device=sinograms.device)
    for _ in range(steps):
        found = (found + per_pixel * projector.adjoint(per_ray * (sinograms - projector.project(found)))).clamp(min=0)
    return found
