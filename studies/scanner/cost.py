"""python -m studies.scanner.cost: seconds of a slice and memory over many slices, on one core and on a GPU."""

from __future__ import annotations

import resource
import time

import numpy as np
import torch

from synth.scanner.beams import Rays, rays_of
from synth.scanner.fan import FanGeometry
from synth.scanner.projector import VIEWS, Geometry
from synth.scanner.windows import window

_SLICES, _TRIES = 20, 5


def seconds(rays: Rays, slices: torch.Tensor) -> tuple[float, float]:
    """Least time of `_TRIES` to project and to reconstruct a slice, of the core; on a GPU by the clock."""
    clock = time.process_time if slices.device.type == "cpu" else time.perf_counter
    project, reconstruct = [], []
    for _ in range(_TRIES):
        start = clock()
        rows = rays.project(slices)
        _wait(slices.device)
        middle = clock()
        rays.fbp(rows, window("ramp"))
        _wait(slices.device)
        project.append(middle - start)
        reconstruct.append(clock() - middle)
    return min(project) / len(slices), min(reconstruct) / len(slices)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peaks_mb(rays: Rays, slices: torch.Tensor) -> list[float]:
    """Peak memory of the process after each of `_SLICES` slices, MB."""
    peaks = []
    for _ in range(_SLICES):
        rays.fbp(rays.project(slices), window("standard"))
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return peaks


def main() -> None:
    """Print two lines a beam and device."""
    torch.set_num_threads(1)
    beams = {
        "parallel": Geometry((512, 512), (0.7, 0.7), views=VIEWS),
        "fan of 984 views": FanGeometry((512, 512), (0.7, 0.7)),
        "fan of 720 views": FanGeometry((512, 512), (0.7, 0.7), views=VIEWS),
    }
    rng = np.random.default_rng(0)
    slices = torch.from_numpy(rng.random((1, 512, 512), np.float32))
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        for name, geometry in beams.items():
            start = time.process_time()
            rays = rays_of(geometry, device)
            ready = time.process_time() - start
            project, reconstruct = seconds(rays, slices.to(device))
            print(f"{device}, {name}: project {project:.3f} s, reconstruct {reconstruct:.3f} s, set up {ready:.1f} s")
            peaks = peaks_mb(rays, slices.to(device))
            shown = ", ".join(f"{peaks[n]:.0f}" for n in (0, _SLICES // 2 - 1, _SLICES - 1))
            print(f"peak memory after 1, {_SLICES // 2} and {_SLICES} more slices: {shown} MB")


if __name__ == "__main__":
    main()
