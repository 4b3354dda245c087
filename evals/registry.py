"""The metrics: what each is called, its unit, which way is better, how many volumes it needs, where it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from synth.errors import InputError


class Direction(StrEnum):
    """Which value is better; REAL = the nearer to that of the real volumes the better."""

    LOWER = "lower"
    HIGHER = "higher"
    REAL = "as real"


@dataclass(frozen=True)
class Metric:
    """One metric; `minimum`: volumes (or patients, or cases) on each side below which it is refused."""

    name: str
    unit: str
    direction: Direction
    minimum: int
    reference: str
    group: str


def _table(*rows: tuple[str, str, Direction, int, str, str]) -> dict[str, Metric]:
    return {row[0]: Metric(*row) for row in rows}


_LOW, _HIGH, _REAL = Direction.LOWER, Direction.HIGHER, Direction.REAL
METRICS: dict[str, Metric] = _table(
    ("fid", "", _LOW, 10, "Heusel et al. 2017, eq. 6; 2.5D as Guo et al. 2025", "fidelity"),
    ("kid", "x 1000", _LOW, 5, "Binkowski et al. 2018, eq. 4; pairs of one volume left out", "fidelity"),
    ("mmd", "x 1000", _LOW, 5, "Gretton et al. 2012, eq. 3; Gaussian kernel", "fidelity"),
    ("hu", "HU", _LOW, 5, "Wasserstein-1 distance of HU histograms (Villani 2003)", "fidelity"),
    ("organ_hu", "HU", _LOW, 5, "Wasserstein-1 distance of HU histograms of one organ", "fidelity"),
    ("gradient", "HU/mm", _LOW, 5, "Wasserstein-1 distance of gradient magnitudes", "fidelity"),
    ("power_spectrum", "dB", _LOW, 5, "RMS difference of mean radial power spectra", "fidelity"),
    ("noise_power", "dB", _LOW, 5, "RMS difference of noise power spectra; ICRU Report 87", "fidelity"),
    ("organ_volume", "mL", _LOW, 5, "Wasserstein-1 distance of the volumes of one organ", "fidelity"),
    ("organ_gap", "mm", _LOW, 5, "Wasserstein-1 distance of the gaps between two organs' centres", "fidelity"),
    ("precision", "%", _HIGH, 10, "Kynkaanniemi et al. 2019, eq. 1-3", "diversity"),
    ("recall", "%", _HIGH, 10, "Kynkaanniemi et al. 2019, eq. 1-3", "diversity"),
    ("density", "", _REAL, 10, "Naeem et al. 2020, eq. 4", "diversity"),
    ("coverage", "%", _HIGH, 10, "Naeem et al. 2020, eq. 5", "diversity"),
    ("ms_ssim", "", _REAL, 5, "Wang et al. 2003; mean over pairs of volumes of one set", "diversity"),
    ("nearest_pixel", "HU", _REAL, 10, "RMS difference to the nearest training volume or its mirror image", "novelty"),
    ("nearest_feature", "", _REAL, 10, "1 - cosine to the nearest training volume's features", "novelty"),
    ("ratio_pixel", "", _REAL, 10, "nearest over mean of the next four; after Carlini et al. 2023", "novelty"),
    ("ratio_feature", "", _REAL, 10, "nearest over mean of the next four; after Carlini et al. 2023", "novelty"),
    ("agreement", "%", _HIGH, 1, "share of what was asked that is found; Wilson 1927 interval", "agreement"),
    ("rank", "", _HIGH, 10, "Spearman 1904: numbers asked against numbers measured", "agreement"),
    ("dsc", "", _HIGH, 5, "Dice 1945", "utility"),
    ("surface_dice", "", _HIGH, 5, "Nikolov et al. 2021; tolerance in mm", "utility"),
    ("hd95", "mm", _LOW, 5, "95th percentile Hausdorff distance", "utility"),
    ("volume_error", "%", _LOW, 5, "absolute difference of volumes over the true one", "utility"),
    ("lesion_recall", "%", _HIGH, 5, "lesions of which a voxel was predicted; Bilic et al. 2023", "utility"),
    ("lesion_precision", "%", _HIGH, 5, "predicted pieces with a voxel of a lesion; Bilic et al. 2023", "utility"),
    ("false_positives", "a case", _LOW, 5, "predicted pieces without a voxel of a lesion", "utility"),
)  # fmt: skip


def metric(name: str) -> Metric:
    """The metric of that name; InputError lists the names."""
    if name not in METRICS:
        raise InputError(f"metric '{name}': choose from {', '.join(METRICS)}")
    return METRICS[name]


def require(names: Iterable[str], count: int, what: str) -> None:
    """Raise InputError, naming `what`, where `count` volumes are too few for one of the metrics."""
    short = [m for m in map(metric, names) if count < m.minimum]
    if short:
        needs = ", ".join(f"{m.name} needs {m.minimum}" for m in short)
        enough = [m.name for m in METRICS.values() if m.group == short[0].group and count >= m.minimum]
        other = f", or ask for --metrics {','.join(enough)}" if enough else ""
        raise InputError(f"{what}: {count} volumes are too few ({needs}); give more{other}")
