"""Windows of filtered back-projection by name: gain over the ramp at a frequency in cycles a mm."""

from __future__ import annotations

from functools import partial

import numpy as np

from synth.errors import InputError
from synth.scanner.kernels import mtf, transfer
from synth.scanner.projector import PITCH_MM, Window
from synth.scanner.settings import Kernel


def window(name: str, pitch_mm: float = PITCH_MM) -> Window:
    """A kernel by its MTF, or one of the textbooks', which end at the detector's Nyquist frequency.

    `ramp` (Ramachandran & Lakshminarayanan 1971), `shepp-logan` (1974), `cosine`, `hann`. Raises InputError.
    """
    if name in _TEXTBOOK:
        return partial(_of_share, name, 2 * pitch_mm)
    if name in list(Kernel):
        return partial(mtf, Kernel(name))
    raise InputError(f"window '{name}': choose one of {', '.join([*_TEXTBOOK, *Kernel])}")


def of_kernel(kernel: Kernel) -> Window:
    """What gives an object the kernel's MTF."""
    return partial(mtf, kernel)


def of_image(kernel: Kernel) -> Window:
    """What gives an image, which has the MTF of the standard kernel already, that of another."""
    return partial(transfer, kernel)


_TEXTBOOK: dict[str, Window] = {
    "ramp": lambda share: np.ones_like(share),
    "shepp-logan": lambda share: np.sinc(share / 2),
    "cosine": lambda share: np.cos(np.pi / 2 * share),
    "hann": lambda share: (1 + np.cos(np.pi * share)) / 2,
}


def _of_share(name: str, period_mm: float, frequency: np.ndarray) -> np.ndarray:
    share = np.asarray(frequency) * period_mm
    return np.where(share <= 1, _TEXTBOOK[name](share), 0.0)
