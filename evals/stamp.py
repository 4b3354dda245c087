"""Figures and their stamps: a number is worth comparing only with one that was made the same way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from evals.registry import metric
from synth.errors import InputError


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Stamp(_Frozen):
    """How a figure came about. N are volumes; `reference_sha256` is of the contents of the real ones."""

    network: str
    weights_sha256: str
    real: int
    synthetic: int
    slices: str
    preprocessing: str
    reference_sha256: str


class Floor(_Frozen):
    """Real against real: mean and 5th to 95th percentile over splits of the real volumes into two halves of `size`.

    `matched` is the metric of `size` synthetic against `size` real volumes, over as many splits: what the floor may be
    compared with, since some metrics (FID above all) grow as N falls.
    """

    mean: float
    low: float
    high: float
    matched: float
    matched_low: float
    matched_high: float
    size: int


class Figure(_Frozen):
    """One number. `metric` is a name of the registry, `part` what of (a plane, an organ); `low`, `high` 95% interval.

    `real` is the same measure of the real volumes, for metrics that are to be as real.
    """

    metric: str
    part: str
    value: float
    low: float | None = None
    high: float | None = None
    real: float | None = None
    real_low: float | None = None
    real_high: float | None = None
    floor: Floor | None = None
    stamp: Stamp

    @property
    def name(self) -> str:
        """Metric and part."""
        return f"{self.metric} {self.part}".strip()

    @property
    def unit(self) -> str:
        """Unit of the metric."""
        return metric(self.metric).unit


def difference(a: Figure, b: Figure) -> float:
    """`a.value - b.value`; InputError where the two were not made the same way, naming what differs."""
    if a.name != b.name:
        raise InputError(f"'{a.name}' and '{b.name}' are two different metrics; compare like with like")
    differ = [
        f"{field} {_short(getattr(a.stamp, field))} against {_short(getattr(b.stamp, field))}"
        for field in Stamp.model_fields
        if getattr(a.stamp, field) != getattr(b.stamp, field)
    ]
    if differ:
        raise InputError(f"'{a.name}': cannot be compared ({'; '.join(differ)}); evaluate both in the same way")
    return a.value - b.value


def sha256_of(parts: Iterable[str]) -> str:
    """SHA-256 of a set of hashes, whatever their order."""
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
