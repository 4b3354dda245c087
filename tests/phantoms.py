"""Small made-up volumes for tests: a soft-tissue body in air, with organs and lesions where the test wants them."""

from __future__ import annotations

import numpy as np

from synth.volumes.types import Case, LabelMap, Volume

RAS_2MM = np.diag([2.0, 2.0, 3.0, 1.0])


def body(shape: tuple[int, int, int] = (24, 20, 16), affine: np.ndarray = RAS_2MM) -> Volume:
    """A noisy box of soft tissue (40 +- 10 HU) with a bone core, in air at -1000 HU."""
    hu = np.full(shape, -1000.0)
    inner = tuple(slice(n // 6, n - n // 6) for n in shape)
    hu[inner] = np.random.default_rng(0).normal(40, 10, hu[inner].shape)
    core = tuple(slice(n // 2 - 1, n // 2 + 1) for n in shape)
    hu[core] = 700
    return Volume(np.round(hu).astype(np.int16), affine)


def case(shape: tuple[int, int, int] = (24, 20, 16), affine: np.ndarray = RAS_2MM) -> Case:
    """A body with a liver (5), a left kidney (3) and one lesion (1)."""
    ct = body(shape, affine)
    organs = np.zeros(shape, np.uint8)
    organs[shape[0] // 2 : -4, 5:-5, 4:-4] = 5
    organs[4 : shape[0] // 2 - 2, 6:-6, 4:-4] = 3
    lesions = np.zeros(shape, np.uint8)
    lesions[shape[0] // 2 + 2 : shape[0] // 2 + 5, 8:11, 7:9] = 1
    return Case(
        ct, LabelMap(organs, affine, {3: "kidney_left", 5: "liver"}), LabelMap(lesions, affine, {1: "lesion_1"})
    )
