"""Anatomy in numbers: are drawn volumes as bright, as bony and as large-organed as real ones, level by level?

    python -m evals.anatomy --synthetic out [--real DIR --split val] [--extent complete] [--out anatomy.json]

A coarse volume that is right in outline but flat inside shows in the HU quantiles of that level, so each level of
the pyramid (16, 8, 4 mm; the mean of intensity units, as `refine` sees it) has its own. Real patients are placed on
the same frame as in training. Every number is a mean over cases with a bootstrap 95% interval.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import ndimage

from evals.bootstrap import Interval, apart, mean_interval
from prompts.vocabulary import Extent
from synth.case import folder as case_folder
from synth.case.weights_folder import Weights
from synth.data.prepare import PREPARED_SPACING_MM, NotPlacedError, prepare_scan
from synth.data.sources import openkbp
from synth.errors import InputError
from synth.failure import ended
from synth.files.whole import write_whole
from synth.models import intensity
from synth.regions import shipped
from synth.volumes.types import Case

LEVELS_MM = (16.0, 8.0, 4.0)
QUANTILES = (1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0, 99.9)
BONE_HU, AIRWAY_HU = 250, -500
_BODY_HU = -300
_BODY_SHARE = 0.5  # of a coarse voxel, from which on it counts as body


@dataclass(frozen=True)
class FrameVolume:
    """A volume of the head-and-neck frame: HU and organ numbers (1 + position in its organs), (X, Y, Z), isotropic RAS.

    `annotated`: organs whose absence means that they are not there.
    """

    name: str
    hu: np.ndarray
    organs: np.ndarray
    affine: np.ndarray
    annotated: tuple[str, ...]

    @property
    def spacing(self) -> float:
        """Voxel spacing in mm."""
        return float(self.affine[0, 0])


class AnatomyMeasure(BaseModel):
    """One number over the synthetic and the real cases; `apart` where the two intervals do not meet."""

    model_config = ConfigDict(frozen=True)

    name: str
    unit: str
    synthetic: Interval | None
    real: Interval | None
    apart: bool


def synthetic_subjects(folder: Path) -> Iterator[FrameVolume]:
    """The generated cases in a folder of case folders. Raises InputError where there is none or a grid differs."""
    found = sorted(p.parent for p in folder.glob(f"*/{case_folder.PLAN}") if not p.parent.name.startswith("."))
    if not found:
        raise InputError(f"{folder}: holds no case folders; give the --out of `synthct generate`")
    for path in found:
        case, *_ = case_folder.read_case(path)
        yield subject_of(path.name, case)


def subject_of(name: str, case: Case) -> FrameVolume:
    """A generated case. Raises InputError unless it lies on the head-and-neck frame at a spacing of the pyramid."""
    spacing = float(case.ct.spacing[0])
    region = shipped()
    fits = case.ct.hu.shape == region.frame.shape_at(spacing) and spacing <= LEVELS_MM[1]
    if not fits or not np.allclose(case.ct.affine, region.frame.affine_at(spacing), atol=1e-3):
        raise InputError(
            f"{name}: grid {case.ct.hu.shape} at {spacing:g} mm is not the {region.name} frame; "
            "give cases that `synthct generate` wrote"
        )
    return FrameVolume(name, case.ct.hu, region.numbers(case.organs), case.ct.affine, region.organs)


def real_subjects(root: Path, split: str) -> Iterator[FrameVolume]:
    """Real patients placed on the frame at 4 mm, as in training; those without both parotids have no place there."""
    region = shipped()
    affine = region.frame.affine_at(PREPARED_SPACING_MM)
    for listed in openkbp.listing(root).scans:
        if listed.split != split:
            continue
        with suppress(NotPlacedError):
            patient = prepare_scan(region.text, "openkbp", listed)
            yield FrameVolume(patient.name, patient.hu, patient.organs, affine, tuple(patient.annotated))


def of_extent(subjects: Iterable[FrameVolume], extent: Extent | None) -> Iterator[FrameVolume]:
    """Those whose field of view is `extent`; all where it is None."""
    for subject in subjects:
        if extent is None or shipped().field_of(_facts(subject)) == extent:
            yield subject


def _facts(subject: FrameVolume) -> dict[str, float]:
    region, nothing = shipped(), np.zeros_like(subject.organs)
    return region.measure(region.placed(subject.hu, subject.affine, subject.organs, nothing, subject.annotated))


def body_mask(hu: np.ndarray) -> np.ndarray:
    """The largest connected piece above -300 HU with what it encloses in each axial slice: airway, lung tops."""
    pieces, count = ndimage.label(hu > _BODY_HU)
    if not count:
        return np.zeros(hu.shape, bool)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    body: np.ndarray = pieces == sizes.argmax()
    return np.stack([ndimage.binary_fill_holes(body[..., k]) for k in range(hu.shape[2])], axis=2)


def pooled(array: np.ndarray, factor: int) -> np.ndarray:
    """Mean over blocks of `factor` voxels a side: Haar's coarse band, `factor` a power of two."""
    x, y, z = (n // factor for n in array.shape)
    return array.reshape(x, factor, y, factor, z, factor).mean(axis=(1, 3, 5))


def measure_subject(subject: FrameVolume) -> dict[str, float]:
    """Numbers of one case by name; see `measure_names`. What a case does not tell is left out."""
    unit = intensity.to_unit(subject.hu)
    body = body_mask(subject.hu).astype(np.float32)
    numbers: dict[str, float] = {}
    for level in LEVELS_MM:
        if level < subject.spacing - 1e-6:
            continue
        factor = round(level / subject.spacing)
        inside = intensity.to_hu(pooled(unit, factor))[pooled(body, factor) >= _BODY_SHARE]
        numbers |= _level(inside, f"{level:g} mm")
    return numbers | _organs(subject)


def _level(hu: np.ndarray, name: str) -> dict[str, float]:
    """Quantiles and shares of the HU (N,) inside the body at one level."""
    if not len(hu):
        return {}
    numbers = {f"{name} q{q:g}": float(v) for q, v in zip(QUANTILES, np.percentile(hu, QUANTILES), strict=True)}
    numbers[f"{name} bone"] = 100 * float((hu > BONE_HU).mean())
    numbers[f"{name} airway"] = 100 * float((hu < AIRWAY_HU).mean())
    return numbers


def _organs(subject: FrameVolume) -> dict[str, float]:
    """Volume of each annotated organ, and whether it lies within the training patients' 1st to 99th percentile."""
    facts, prior = _facts(subject), Weights.covering(shipped().name).prior
    assert prior is not None
    numbers = {}
    for organ in subject.annotated:
        volume = facts.get(f"{organ}_ml", 0.0)
        low, high = prior.organ_range(organ)
        numbers[f"{organ} volume"] = volume
        numbers[f"{organ} in range"] = 100 * float(low <= volume <= high)
    return numbers


def measure_names() -> dict[str, str]:
    """Name -> unit of every number, in the order of the table."""
    names: dict[str, str] = {}
    for level in LEVELS_MM:
        names |= {f"{level:g} mm q{q:g}": "HU" for q in QUANTILES}
        names |= {f"{level:g} mm bone": "% of body", f"{level:g} mm airway": "% of body"}
    for organ in shipped().organs:
        names |= {f"{organ} volume": "mL", f"{organ} in range": "% of cases"}
    return names


def compare(synthetic: Sequence[dict[str, float]], real: Sequence[dict[str, float]]) -> list[AnatomyMeasure]:
    """Both sides of every number that either has, from the numbers of each case."""
    measures = []
    for name, unit in measure_names().items():
        a, b = (mean_interval(np.array([m.get(name, np.nan) for m in side])) for side in (synthetic, real))
        if a or b:
            measures.append(AnatomyMeasure(name=name, unit=unit, synthetic=a, real=b, apart=apart(a, b)))
    return measures


def table(measures: Sequence[AnatomyMeasure]) -> str:
    """The comparison to read; a star marks intervals that do not meet."""
    lines = [f"{'measure':<32}{'synthetic':>28}{'real':>28}  unit"]
    for m in measures:
        star = " *" if m.apart else ""
        lines.append(f"{m.name:<32}{_shown(m.synthetic):>28}{_shown(m.real):>28}  {m.unit}{star}")
    return "\n".join(lines)


def _shown(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    if interval.low is None or interval.high is None:
        return f"{interval.mean:.4g}"
    return f"{interval.mean:.4g} [{interval.low:.4g}, {interval.high:.4g}]"


def evaluate(
    synthetic: Path, real: Path | None = None, *, split: str = "val", extent: Extent | None = None
) -> dict[str, Any]:
    """The whole comparison as JSON values."""
    sides: dict[str, dict[str, dict[str, float]]] = {}
    sources: dict[str, Callable[[], Iterator[FrameVolume]]] = {"synthetic": lambda: synthetic_subjects(synthetic)}
    if real is not None:
        sources["real"] = lambda: real_subjects(real, split)
    for side, source in sources.items():
        sides[side] = {s.name: measure_subject(s) for s in of_extent(source(), extent)}
        if not sides[side]:
            where = synthetic if side == "synthetic" else real
            raise InputError(f"{where}: no case of extent '{extent}'; leave --extent out or choose another")
    measures = compare(*(list(sides.get(side, {}).values()) for side in ("synthetic", "real")))
    return {
        "frame": shipped().name,
        "split": split if real is not None else None,
        "extent": extent,
        "measures": [m.model_dump() for m in measures],
        "cases": sides,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, write the JSON; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m evals.anatomy", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--synthetic", type=Path, required=True, help="folder of case folders")
    parser.add_argument("--real", type=Path, help="folder of real patients: index.csv, train/, val/")
    parser.add_argument("--split", choices=("train", "val"), default="val", help="of the real patients")
    parser.add_argument("--extent", type=Extent, choices=list(Extent), help="only cases with this field of view")
    parser.add_argument("--out", type=Path, help="JSON file")
    args = parser.parse_args(arguments)
    try:
        result = evaluate(args.synthetic, args.real, split=args.split, extent=args.extent)
    except InputError as error:
        print(f"evals.anatomy: error: {error}", file=sys.stderr)
        return 2
    print(table([AnatomyMeasure(**m) for m in result["measures"]]))
    if args.out:
        write_whole(args.out, json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(ended(main, "evals.anatomy"))
