"""Lesions that were asked for against lesions that came out, on real hosts; a sheet of every type; noise and seams.

    python -m evals.lesions requests --hosts ../shared/data -n 200 --out runs/lesions
    python -m evals.lesions sheet    --hosts ../shared/data --out runs/lesions
    python -m evals.lesions kinds    --hosts ../shared/data --out runs/lesions
    python -m evals.lesions noise    --hosts ../shared/data -n 50 --out runs/lesions

`requests` draws random requests over all types that the hosts' labels allow, puts each into its host, measures CT and
mask by the report's code, and counts: accepted within the tries, and of the accepted how often each attribute came out
as asked, and how often at the first try. `noise` compares the noise power inside solid lesions with that of the host
there, and gradients at the surface of the changed region with gradients beside it (`evals.lesion_seams`).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from evals.pelvis import read_pelvis
from prompts.request import FindingRequest
from prompts.vocabulary import FindingKind, Heterogeneity, Invasion, Organ, Shape, Surface, structures_of
from synth.errors import InputError
from synth.failure import ended
from synth.files.whole import write_whole
from synth.lesions import LesionPlan, insert, keep_painted, plan_lesions
from synth.lesions.acceptance import attribute_checks
from synth.lesions.insertion import Redraw
from synth.lesions.lesion_types import LesionType, lesion_types
from synth.lesions.placement import PlacementHost, find_region
from synth.lesions.spaces import SPACES
from synth.report import location
from synth.report.lesions import measure_lesion
from synth.report.measure import measure
from synth.report.measurements import LesionMeasurement, OrganMeasurement
from synth.report.noise import NoiseModel, measure_noise
from synth.report.scene import Scene
from synth.volumes import labels, nifti
from synth.volumes.types import Case, LabelMap, Volume

TRIES = 10
_HOSTS = ("native/LIDC-IDRI-0001", "torso/totalseg_example_ct_sm", "torso/totalseg_example_ct_dicom")
_PELVIS = "torso/totalseg_example_ct"  # no labels: `evals.pelvis` finds its bladder
_LEAST_ML = 2.0  # structures smaller than this are cut off at the border
_SLACK_HU = 15
_ANY_HU = ("vertebrae", "rib", "aorta", "heart")  # bone marrow and opacified blood vary widely
_CLEARANCE_MM = 6.0  # that a lesion apart from its surroundings needs beside its size
_TEXTURES = ("solid", "part-solid", "ground-glass")


@dataclass(frozen=True)
class RealHost:
    """A real CT with its labels, its noise and what the report measures of it."""

    name: str
    ct: Volume
    organs: LabelMap
    noise: NoiseModel
    scene: Scene

    def structures(self) -> set[str]:
        """Structures large enough to take a lesion, the spaces among them.

        One whose median HU is not that of its organ is left out: its label is not where the organ is.
        """
        enough = {o.name for o in self.scene.organs.values() if o.volume_ml >= _LEAST_ML and _fits(o)}
        return enough | (set(SPACES) if {"aorta", "liver"} <= enough else set())


def _fits(organ: OrganMeasurement) -> bool:
    """Whether a structure's median HU lies within its range in the label table, widened by `_SLACK_HU`."""
    row = next((s for s in labels.structures() if s.name == organ.name), None)
    if row is None or organ.median_hu is None:
        return False
    low, high = min(row.hu_native[0], row.hu_venous[0]), max(row.hu_native[1], row.hu_venous[1])
    return low - _SLACK_HU <= organ.median_hu <= high + _SLACK_HU or row.name.startswith(_ANY_HU)


def load_hosts(folder: Path) -> list[RealHost]:
    """The labelled hosts of the folder and the pelvis. Raises InputError where there is none."""
    hosts = [_read(folder / name) for name in _HOSTS if (folder / name / "labels.nii.gz").is_file()]
    if not hosts:
        raise InputError(f"--hosts {folder}: no {' or '.join(_HOSTS)} in it; hand over a folder that has one")
    pelvis = folder / _PELVIS / "ct.nii.gz"
    return hosts + ([_host("pelvis", *read_pelvis(pelvis))] if pelvis.is_file() else [])


def _read(folder: Path) -> RealHost:
    ct = nifti.read_volume(folder / "ct.nii.gz")
    return _host(folder.name, ct, nifti.read_labels(folder / "labels.nii.gz", like=ct))


def _host(name: str, ct: Volume, organs: LabelMap) -> RealHost:
    noise = measure_noise(ct, organs)
    empty = LabelMap(np.zeros(ct.hu.shape, np.uint8), ct.affine, {})
    measured = measure(Case(ct, organs, empty))
    present = location.present_boxes(organs)
    middle = location.midline_x(organs, present, ct.hu)
    scene = Scene(Case(ct, organs, empty), present, {o.name: o for o in measured.organs}, middle, noise)
    return RealHost(name, ct, organs, noise, scene)


def draw_request(kind: LesionType, organ: Organ, host: RealHost, room_mm: float, rng: random.Random) -> FindingRequest:
    """A random request of a type, with attributes that go together and that the host's grid can show."""
    word = rng.choice(kind.kinds)
    in_plane, layer = _in_plane(host), kind.wall is not None
    low = _least_mm(kind, host)
    high = min(max(kind.size_at(0.7), 1.2 * low), 0.85 * room_mm)
    size = round(low * (high / low) ** rng.random(), 1)
    said: dict[str, Any] = {}
    appearances = [a for a in kind.appearances if a in (*_TEXTURES, "hypodense", "isodense", "hyperdense")]
    if rng.random() < 0.6:
        appearance = rng.choice(appearances)
        said["texture" if appearance in _TEXTURES else "density"] = appearance
    visible = said.get("density") != "isodense" and said.get("texture") in (None, "solid")
    if rng.random() < 0.4 and visible and not layer and size >= 14 * in_plane:
        said["surface"] = rng.choice(list(Surface)) if size >= 20 * in_plane else Surface.WELL_DEFINED
    if rng.random() < 0.4 and size >= 16 * in_plane and said.get("surface") is not Surface.ILL_DEFINED and visible:
        said["heterogeneity"] = rng.choice(list(Heterogeneity))
    shape = rng.choice((None, None, Shape.ROUND, Shape.IRREGULAR)) if not layer else None
    if shape and size >= 14 * in_plane and not kind.bulges:
        said["shape"] = shape
    if layer and kind.place == "wall" and rng.random() < 0.6:
        said["shape"] = Shape.WALL_THICKENING
    lung = kind.organ is Organ.LUNG
    if lung and visible and said.get("density") is None and size >= 8 and rng.random() < 0.5 and "shape" not in said:
        said["spiculated"] = rng.random() < 0.5
    if not layer and rng.random() < 0.15 and kind.organ in (Organ.LIVER, Organ.LUNG) and size + _CLEARANCE_MM < room_mm:
        said["invasion"] = Invasion.NONE
    return FindingRequest(kind=FindingKind(word), organ=organ, size_mm=size, **said)


def _in_plane(host: RealHost) -> float:
    return float(np.delete(host.ct.spacing, location.slice_axis(host.ct.affine)).max())


def _least_mm(kind: LesionType, host: RealHost) -> float:
    """The smallest that a trial asks for: five pixels, and what the type has as its smallest."""
    return max(kind.size_at(0.0), 5 * _in_plane(host))


def places_in(host: RealHost) -> list[tuple[LesionType, Organ, float]]:
    """The types that the host has a structure and room for: type, organ, longest lesion in mm."""
    there = host.structures()
    wanted = [(t, o) for t in lesion_types().values() for o in t.organs if set(structures_of(o)) & there]
    rooms = [(t, o, _room_mm(t, o, host)) for t, o in wanted]
    return [(t, o, room) for t, o, room in rooms if 0.85 * room >= 1.1 * _least_mm(t, host)]


class Trial(BaseModel):
    """One request: how many tries it took, whether it was accepted, why tries failed, what was as asked."""

    model_config = ConfigDict(frozen=True)

    type: str
    host: str
    request: FindingRequest
    tries: int
    accepted: bool
    reasons: tuple[str, ...]
    first: dict[str, bool]
    last: dict[str, bool]
    cpu_seconds: float


def run_trial(kind: LesionType, host: RealHost, request: FindingRequest, seed: int, redraw: Redraw) -> Trial:
    """Plan, insert, measure and check, up to TRIES times."""
    began = time.process_time()
    reasons: list[str] = []
    first: dict[str, bool] = {}
    for attempt in range(TRIES):
        try:
            (plan,) = plan_lesions([request], host.ct, host.organs, np.random.default_rng([seed, attempt]))
            assert isinstance(plan, LesionPlan)
            _, found = put(host, plan, redraw)
        except InputError as error:
            reasons.append(str(error))
            continue
        held = held_of(request, found, plan, host)
        first = first or held
        if all(held.values()):
            return _trial(kind, host, request, attempt + 1, reasons, first, held, began)
        reasons.append("missed " + ", ".join(name for name, ok in held.items() if not ok))
    return _trial(kind, host, request, TRIES, reasons, first, {}, began)


def _trial(
    kind: LesionType,
    host: RealHost,
    request: FindingRequest,
    tries: int,
    reasons: list[str],
    first: dict[str, bool],
    last: dict[str, bool],
    began: float,
) -> Trial:
    return Trial(
        type=kind.name,
        host=host.name,
        request=request,
        tries=tries,
        accepted=bool(last),
        reasons=tuple(reasons),
        first=first,
        last=last,
        cpu_seconds=round(time.process_time() - began, 2),
    )


def put(host: RealHost, plan: LesionPlan, redraw: Redraw = keep_painted) -> tuple[Case, LesionMeasurement]:
    """The host with one lesion, and the lesion measured by the report's code."""
    case = insert(host.ct, host.organs, [plan], redraw, host.noise)
    scene = Scene(case, host.scene.present, host.scene.organs, host.scene.midline_x, host.noise)
    return case, measure_lesion(scene, plan.id, location.boxes(case.lesions.ids)[plan.id])


def held_of(request: FindingRequest, found: LesionMeasurement, plan: LesionPlan, host: RealHost) -> dict[str, bool]:
    """Attribute -> whether the measured class is the asked one; `long_axis` is within one voxel or 5%."""
    tolerance = max(_in_plane(host), 0.05 * plan.size_mm)
    held = {"long_axis": abs(found.long_axis_mm - (request.size_mm or plan.size_mm)) <= tolerance}
    return held | {_attribute(request, check.name): check.ok for check in attribute_checks(request, found)}


def _attribute(request: FindingRequest, name: str) -> str:
    """The request's field that a check is of."""
    value = name.removeprefix("is_").removeprefix("has_")
    said = request.model_dump(mode="json")
    return next((field for field, asked in said.items() if asked == value and name != value), name)


def _room_mm(kind: LesionType, organ: Organ, host: RealHost) -> float:
    """The longest lesion of the type that the host has room for: of a body, the largest ball; of a layer, any."""
    looked_up = PlacementHost.of(host.ct, host.organs, [FindingRequest(kind=kind.kinds[0], organ=organ)])
    finding = FindingRequest(kind=kind.kinds[0], organ=organ)
    there = [name for name in structures_of(organ) if name in looked_up.present]
    regions = [find_region(finding, looked_up, name, (), 0.0, kind.bulges) for name in there]
    if kind.wall is None:
        return max((region.largest_mm for region in regions), default=0.0)
    boxes = [looked_up.present[name][1] for name in there]
    axis = location.slice_axis(host.ct.affine)
    sizes = [np.delete(host.ct.spacing * [s.stop - s.start for s in box], axis) for box in boxes]
    thick = max((region.largest_mm for region in regions), default=0.0)
    return min(max((float(s.max()) for s in sizes), default=0.0), 4 * thick)


def run_requests(
    hosts: list[RealHost], number: int, seed: int, redraw: Redraw, done: Sequence[Trial] = ()
) -> Iterator[Trial]:
    """Trials over all types, turn by turn; the first of them may be `done` already."""
    by_type: dict[str, list[tuple[LesionType, Organ, float, RealHost]]] = {}
    for host in hosts:
        for kind, organ, room in places_in(host):
            by_type.setdefault(kind.name, []).append((kind, organ, room, host))
    rng = random.Random(seed)
    names = list(by_type)
    for i in range(number):
        kind, organ, room, host = rng.choice(by_type[names[i % len(names)]])
        request = draw_request(kind, organ, host, room, rng)
        yield done[i] if i < len(done) else run_trial(kind, host, request, seed * 100_003 + i, redraw)


def summary(trials: list[Trial]) -> dict[str, Any]:
    """Counts over trials."""
    accepted = [t for t in trials if t.accepted]
    first: Counter[str] = Counter()
    last: Counter[str] = Counter()
    asked_first: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for t in trials:
        for name, ok in t.first.items():
            asked_first[name] += 1
            first[name] += ok
        for name, ok in t.last.items():
            asked[name] += 1
            last[name] += ok
    return {
        "requests": len(trials),
        "accepted": len(accepted),
        "accepted_share": round(len(accepted) / max(len(trials), 1), 4),
        "mean_cpu_seconds": round(float(np.mean([t.cpu_seconds for t in trials])) if trials else 0.0, 2),
        "mean_tries_of_accepted": round(float(np.mean([t.tries for t in accepted])) if accepted else 0.0, 2),
        "first_try": {name: [first[name], n] for name, n in sorted(asked_first.items())},
        "of_accepted": {name: [last[name], n] for name, n in sorted(asked.items())},
        "by_type": {
            name: [sum(t.accepted for t in trials if t.type == name), sum(t.type == name for t in trials)]
            for name in dict.fromkeys(t.type for t in trials)
        },
        "rejected": [f"{t.type} in {t.host}: {_said(t.request)}: {t.reasons[-1]}" for t in trials if not t.accepted],
    }


def _said(request: FindingRequest) -> str:
    return ", ".join(f"{k}={v}" for k, v in request.model_dump(mode="json").items() if v is not None and k != "count")


def main(arguments: list[str] | None = None) -> int:
    """The command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m evals.lesions", description=__doc__)
    parser.add_argument("what", choices=("requests", "sheet", "noise", "kinds"))
    parser.add_argument("--hosts", type=Path, default=Path("../shared/data"))
    parser.add_argument("-n", type=int, default=200, help="requests or lesions")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--redraw", action="store_true", help="redraw the detail by the refine network")
    parser.add_argument("--out", type=Path, default=Path("runs/lesions"))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    hosts = load_hosts(options.hosts)
    if options.what == "requests":
        result = _requests(hosts, options)
    elif options.what == "sheet":
        from evals import lesion_pictures

        result = lesion_pictures.sheet(hosts, options.seed, options.out, redraw_of(options.redraw))
    elif options.what == "kinds":
        from evals import lesion_kinds

        result = lesion_kinds.kinds(hosts[0], options.seed, options.out)
    else:
        from evals import lesion_seams

        result = lesion_seams.noise_and_seams(hosts[0], options.n, options.seed, redraw_of(options.redraw))
        result |= {"redrawn": options.redraw, "seed": options.seed}
    write_whole(options.out / f"{options.what}.json", json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    return 0


def _requests(hosts: list[RealHost], options: argparse.Namespace) -> dict[str, Any]:
    """Every trial is written as it ends, and those that a run before wrote with this seed are not run again."""
    written = options.out / f"requests_{options.seed}{'_redrawn' if options.redraw else ''}.jsonl"
    lines = written.read_text().splitlines() if written.is_file() else []
    done = [Trial.model_validate_json(line) for line in lines]
    trials: list[Trial] = []
    with written.open("a") as out:
        for trial in run_requests(hosts, options.n, options.seed, redraw_of(options.redraw), done):
            trials.append(trial)
            if len(trials) <= len(done):
                continue
            out.write(trial.model_dump_json() + "\n")
            out.flush()
            word = "accepted" if trial.accepted else "REJECTED"
            print(f"{len(trials)} {trial.type}: {word} after {trial.tries}; {'; '.join(trial.reasons)}", flush=True)
    return summary(trials) | {"redrawn": options.redraw, "seed": options.seed}


def redraw_of(network: bool) -> Redraw:
    """The refine network's redraw, or none."""
    if not network:
        return keep_painted
    from synth.case.plan import Sampling
    from synth.case.weights_folder import Weights
    from synth.draw.redraw import RefineRedraw

    return RefineRedraw(Weights.covering(None).refine(), Sampling())


if __name__ == "__main__":
    sys.exit(ended(main, "evals.lesions"))
