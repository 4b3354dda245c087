"""python -m studies.scanner.cost: seconds of a slice and memory over many slices, on one core and on a GPU."""

from __future__ import annotations

import resource
import time

import numpy as np
import torch

from synth.scanner.projector import VIEWS, Geometry, Projector
from synth.scanner.windows import window

_SLICES, _TRIES = 20, 5


def seconds(rays: Projector, slices: torch.Tensor) -> tuple[float, float]:
    """Least time of `_TRIES` to project and to reconstruct a slice."""
    project, reconstruct = [], []
    for _ in range(_TRIES):
        start = time.perf_counter()
        rows = rays.project(slices)
        _wait(slices.device)
        middle = time.perf_counter()
        rays.fbp(rows, window("ramp"))
        _wait(slices.device)
        project.append(middle - start)
        reconstruct.append(time.perf_counter() - middle)
    return min(project) / len(slices), min(reconstruct) / len(slices)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Print one line a device."""
    torch.set_num_threads(1)
    geometry = Geometry((512, 512), (0.7, 0.7), views=VIEWS)
    rng = np.random.default_rng(0)
    slices = torch.from_numpy(rng.random((1, 512, 512), np.float32))
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        start = time.perf_counter()
        rays = Projector(geometry, device)
        ready = time.perf_counter() - start
        project, reconstruct = seconds(rays, slices.to(device))
        print(f"{device}: project {project:.3f} s, reconstruct {reconstruct:.3f} s, set up {ready:.1f} s once")
    rays = Projector(geometry)
    peaks = []
    for _ in range(_SLICES):
        rays.fbp(rays.project(slices), window("standard"))
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(
        f"peak memory after 1, {_SLICES // 2} and {_SLICES} slices: {peaks[0]:.0f}, {peaks[9]:.0f}, {peaks[-1]:.0f} MB"
    )


if __name__ == "__main__":
    main()
