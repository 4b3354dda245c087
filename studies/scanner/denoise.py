"""python -m studies.scanner.denoise --drawn DIR: does a network trained on drawn pairs help real CT it has not seen?

A small UNet (MONAI) learns from 20 slices of generated chests, scanned with less, what was added. It is tried on real
slices of patients that nothing in this project was trained on, scanned with less by the same model, which is not what a
real scanner gives at a low dose; pixels are means of some, to about 2 mm. `--drawn` holds case folders of
`synthct generate PROMPT --spacing 2`, five chests. The RMSE is that of the body; intervals are over patients.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.networks.nets import UNet

from studies.scanner.real_chest import data
from synth.case import folder as case_folder
from synth.scanner.acquisition import Acquisition
from synth.scanner.settings import ScannerSettings
from synth.volumes.types import Volume

TASKS: dict[str, dict[str, Any]] = {"dose": {"dose": 0.1}, "views": {"views": 60}}
PAIRS, STEPS, BATCH, PATCH = 20, 500, 8, 96
_SCALE_HU = {"dose": 30.0, "views": 100.0}
_PIXEL_MM, _BODY_HU, _RESAMPLES = 2.0, -300, 2000
Pair = tuple[np.ndarray, np.ndarray]  # clean and what was added, (X, Y) HU


def pair(ct: Volume, level: int, settings: ScannerSettings, seed: int) -> Pair:
    """A slice and what the settings add to it."""
    hu = torch.from_numpy(ct.hu[..., level].astype(np.float32))
    x, y, z = (float(mm) for mm in ct.spacing)
    added = Acquisition(settings, (hu.shape[0], hu.shape[1]), (x, y), z).change(hu, {}, seed)
    return hu.numpy(), added.numpy()


def drawn_pairs(folder: Path, settings: ScannerSettings) -> list[Pair]:
    """`PAIRS` slices of the generated cases, evenly spaced, as many of each."""
    cases = sorted(path for path in folder.iterdir() if (path / case_folder.PLAN).is_file())
    each = PAIRS // len(cases)
    pairs = []
    for number, path in enumerate(cases):
        ct = case_folder.read_case(path)[0].ct
        for i in range(each):
            level = int((i + 1) / (each + 1) * ct.hu.shape[2])
            pairs.append(pair(ct, level, settings, 1000 * number + i))
    return pairs


def real_pairs(settings: ScannerSettings) -> dict[str, list[Pair]]:
    """Real slices of chest and abdomen by patient (TCGA-LUAD and TCGA-LUSC, many scanners and kernels)."""
    hu = np.load(data() / "slices/slices_hu.npz")["hu"]
    with (data() / "slices/index.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found: dict[str, list[Pair]] = {}
    for row in rows:
        number = round(_PIXEL_MM / float(row["px"]))
        side = number * float(row["px"])
        whole = hu[int(row["row"])][: 512 // number * number, : 512 // number * number].astype(np.float32)
        pooled = whole.reshape(512 // number, number, 512 // number, number).mean(axis=(1, 3))
        ct = Volume(np.rint(pooled).astype(np.int16)[..., None], np.diag([side, side, _PIXEL_MM, 1.0]))
        found.setdefault(row["patient"], []).append(pair(ct, 0, settings, int(row["row"])))
    return found


def train(pairs: list[Pair], scale: float, steps: int) -> torch.nn.Module:
    """Fit a network that says what was added, in parts of `scale` HU."""
    torch.manual_seed(0)
    net = UNet(2, 2, 1, channels=(16, 32, 64), strides=(2, 2), num_res_units=1)
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    rng = np.random.default_rng(0)
    for step in range(steps):
        clean, added = (torch.from_numpy(a) for a in _patches(pairs, rng))
        loss = ((net(_inputs(clean + added, scale)) - added / scale) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}: {float(loss.detach()):.4f}", flush=True)
    return net.eval()


def _patches(pairs: list[Pair], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A batch (B, 1, X, Y) of clean and added, turned and mirrored."""
    batch = []
    for index in rng.integers(len(pairs), size=BATCH):
        clean, added = pairs[index]
        i, j = (int(rng.integers(max(n - PATCH, 0) + 1)) for n in clean.shape)
        both = np.stack([clean, added])[:, i : i + PATCH, j : j + PATCH]
        both = np.pad(both, [(0, 0), (0, PATCH - both.shape[1]), (0, PATCH - both.shape[2])], mode="edge")
        both = np.rot90(both, int(rng.integers(4)), axes=(1, 2))
        batch.append(both[:, ::-1] if rng.random() < 0.5 else both)
    stacked = np.ascontiguousarray(np.stack(batch))
    return stacked[:, :1], stacked[:, 1:]


def _inputs(hu: torch.Tensor, scale: float) -> torch.Tensor:
    """The slice on a soft and a wide scale, (B, 2, X, Y)."""
    return torch.cat([(hu / (4 * scale)).clamp(-8, 8), hu / 1000], dim=1)


def cleaned(net: torch.nn.Module, hu: np.ndarray, scale: float) -> np.ndarray:
    """A slice (X, Y) without what the network takes for added."""
    x, y = ((-n) % 4 for n in hu.shape)
    padded = torch.from_numpy(np.pad(hu, ((0, x), (0, y)), mode="edge"))[None, None]
    with torch.no_grad():
        added = net(_inputs(padded, scale))[0, 0].numpy() * scale
    return hu - added[: hu.shape[0], : hu.shape[1]]


def scores(net: torch.nn.Module, real: dict[str, list[Pair]], scale: float) -> dict[str, Any]:
    """RMSE in the body before and after, means over patients, and the fall in percent with its 95% interval."""
    before, after = [], []
    for pairs in real.values():
        inside = [clean > _BODY_HU for clean, _ in pairs]
        rest = [cleaned(net, clean + added, scale) - clean for clean, added in pairs]
        before.append(_rms([added[m] for (_, added), m in zip(pairs, inside, strict=True)]))
        after.append(_rms([r[m] for r, m in zip(rest, inside, strict=True)]))
    fall = 100 * (1 - np.array(after) / np.array(before))
    rng = np.random.default_rng(0)
    means = [rng.choice(fall, len(fall)).mean() for _ in range(_RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return {
        **{"patients": len(fall), "rmse_before_hu": float(np.mean(before)), "rmse_after_hu": float(np.mean(after))},
        **{"fall_percent": float(fall.mean()), "low": float(low), "high": float(high), "least": float(fall.min())},
    }


def _rms(parts: list[np.ndarray]) -> float:
    return float(np.sqrt(np.mean(np.concatenate(parts) ** 2)))


def main() -> None:
    """Train and try a network for each task, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drawn", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path, default=Path("denoise.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = {"pairs": PAIRS, "steps": arguments.steps}
    for name, table in TASKS.items():
        settings = ScannerSettings.model_validate(table)
        net = train(drawn_pairs(arguments.drawn, settings), _SCALE_HU[name], arguments.steps)
        results[name] = {"settings": table, **scores(net, real_pairs(settings), _SCALE_HU[name])}
        print(name, results[name], flush=True)
        arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
