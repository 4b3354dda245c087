"""Plan lesions: everything that is random about them is drawn here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from prompts.request import FindingRequest
from prompts.vocabulary import Invasion, Shape, Side
from synth.errors import InputError
from synth.geometry import world_of
from synth.lesions.lesion_plan import MAX_LESIONS, LesionPlan, Zone
from synth.lesions.lesion_types import LesionType, ProtrusionModel, Range, ZoneModel, type_of
from synth.lesions.placement import Host, Region, choose_centre, find_region, structures_for
from synth.types import LabelMap, Volume

_SEVERAL = (2, 5)  # how many, where the number was not said
_TILT_DEG = 20.0  # of the long axis out of the axial plane: sizes are read in axial slices
_ROLL_DEG = 40.0
_GRAIN_SHARE = 0.12  # length of the texture inside, of the size
_GRAIN_RANGE_MM = (1.5, 8.0)
_SHRINK = 0.9  # of the largest ball that fits, for sizes that were not asked for
_EDGE_WIDTHS = 1.5  # how many margin widths beyond the surface the edge may reach


def plan_lesions(
    findings: Sequence[FindingRequest], host: Volume, organs: LabelMap, rng: np.random.Generator
) -> tuple[LesionPlan, ...]:
    """Draw every lesion that the findings ask for; a finding with count None becomes two to five.

    Args:
        findings: what is asked for; see `prompts.request`.
        host: the CT that takes them.
        organs: its label map, on the same grid.
        rng: the only source of chance.

    Raises:
        InputError: organ, lobe or half not in the label map, unknown kind, or no room for the size.
    """
    looked_up = Host.of(host, organs)
    plans: list[LesionPlan] = []
    for finding in findings:
        for side in _sides(finding, rng):
            if len(plans) == MAX_LESIONS:
                raise InputError(f"more than {MAX_LESIONS} lesions: a case holds at most {MAX_LESIONS}; ask for fewer")
            plans.append(_plan_one(finding, side, looked_up, plans, rng))
    return tuple(plans)


def _sides(finding: FindingRequest, rng: np.random.Generator) -> Iterator[Side | None]:
    """One side for each lesion; bilateral ones take turns."""
    count = finding.count or int(rng.integers(_SEVERAL[0], _SEVERAL[1] + 1))
    if finding.side is Side.BILATERAL:
        turns = (Side.RIGHT, Side.LEFT)
        yield from (turns[i % 2] for i in range(max(count, 2)))
    else:
        yield from [finding.side] * count


def _plan_one(
    finding: FindingRequest, side: Side | None, host: Host, others: Sequence[LesionPlan], rng: np.random.Generator
) -> LesionPlan:
    kind = type_of(finding.organ, finding.kind)
    structures = structures_for(finding, host, side)
    size_mm = finding.size_mm or kind.size_at(float(rng.random()))
    looks = _draw_looks(kind, finding, size_mm, rng)
    ball_mm = _ball(looks, size_mm, host.ct.spacing)
    structure, centre, size_mm = _place(finding, host, structures, size_mm, ball_mm, others, rng)
    return LesionPlan(
        id=len(others) + 1,
        kind=kind.name,
        organ=finding.organ.value,
        structures=(structure,),
        invades=finding.invasion is Invasion.CLOSE,
        bulges=kind.bulges,
        phase="enhanced" if host.enhanced() else "native",
        centre=centre,
        size_mm=size_mm,
        ball_mm=ball_mm,
        rotation=_draw_rotation(rng),
        zones=_draw_zones(kind, finding, size_mm, host, structure, rng),
        seed=int(rng.integers(2**31)),
        **looks,
    )


def _uniform(rng: np.random.Generator, between: Range) -> float:
    return float(rng.uniform(*between))


def _draw_looks(kind: LesionType, finding: FindingRequest, size_mm: float, rng: np.random.Generator) -> dict[str, Any]:
    """Shape, edge and grain of one lesion, as fields of its plan."""
    if finding.shape is Shape.WALL_THICKENING:
        raise InputError(
            f"'wall thickening' {finding.organ} {finding.kind}: only hollow organs have a wall; say round-like"
        )
    shape = kind.shape
    smooth = finding.shape in (Shape.ROUND, Shape.PUNCTATE)
    lobes = _occurs(shape.lobes, finding.lobulated or (True if finding.shape is Shape.IRREGULAR else None), smooth, rng)
    spicules = _occurs(shape.spicules, finding.spiculated, smooth, rng)
    middle, short = sorted((_uniform(rng, shape.axes.middle), _uniform(rng, shape.axes.short)), reverse=True)
    if smooth:  # round: halfway to a ball
        middle, short = (1 + middle) / 2, (1 + short) / 2
    return {
        "axes": (middle, short),
        "roughness": _uniform(rng, shape.roughness) * (1.5 if finding.shape is Shape.IRREGULAR else 1.0),
        "lobes": lobes,
        "lobe_depth": _uniform(rng, shape.lobes.extent) if lobes else 0.0,
        "spicules": spicules,
        "spicule_mm": _uniform(rng, shape.spicules.extent) * size_mm if spicules else 0.0,
        "margin_mm": _uniform(rng, kind.margin_mm.width(finding.surface)),
        "grain_hu": _uniform(rng, kind.grain_hu.sd(finding.heterogeneity)),
        "grain_mm": float(np.clip(_GRAIN_SHARE * size_mm, *_GRAIN_RANGE_MM)),
    }


def _occurs(model: ProtrusionModel, asked: bool | None, smooth: bool, rng: np.random.Generator) -> int:
    """How many lobes or spicules: as asked, else none on a round lesion, else by chance."""
    number = int(rng.integers(model.number[0], model.number[1] + 1))
    by_chance = rng.random() < model.chance and not smooth
    return number if (by_chance if asked is None else asked) else 0


def _ball(looks: dict[str, Any], size_mm: float, spacing: np.ndarray) -> float:
    """Radius in mm that nothing of the lesion exceeds: body with its lobes, spicules, edge and one voxel."""
    body = 0.5 * size_mm * (1 + looks["lobe_depth"] + 3 * looks["roughness"])
    return float(body + looks["spicule_mm"] + _EDGE_WIDTHS * looks["margin_mm"] + np.linalg.norm(spacing) / 2)


def _draw_rotation(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """The long axis within a tilt of the axial plane, any azimuth."""
    azimuth, tilt, roll = rng.uniform([-180.0, -_TILT_DEG, -_ROLL_DEG], [180.0, _TILT_DEG, _ROLL_DEG])
    x, y, z, w = Rotation.from_euler("ZYX", [azimuth, tilt, roll], degrees=True).as_quat()
    return float(x), float(y), float(z), float(w)


def _draw_zones(
    kind: LesionType, finding: FindingRequest, size_mm: float, host: Host, structure: str, rng: np.random.Generator
) -> tuple[Zone, ...]:
    """Zones of attenuation from outside in, those that occur."""
    wanted = finding.texture or finding.density
    drawn = str(rng.choice(list(kind.usual), p=list(kind.usual.values())))
    appearance = wanted.value if wanted else drawn
    if appearance not in kind.appearances:
        raise InputError(
            f"'{appearance}' {finding.organ} {finding.kind}: {kind.name} has no such appearance; "
            f"it has: {', '.join(kind.appearances)}"
        )
    organ_hu = host.median_hu(structure)
    occurring = [z for z in kind.appearances[appearance] if rng.random() < z.chance and size_mm >= z.above_mm]
    return tuple(_draw_zone(zone, organ_hu, host.enhanced(), rng) for zone in occurring)


def _draw_zone(zone: ZoneModel, organ_hu: float, enhanced: bool, rng: np.random.Generator) -> Zone:
    hu = _uniform(rng, zone.enhanced if enhanced else zone.native) + (organ_hu if zone.of == "organ" else 0.0)
    return Zone(name=zone.name, reach=_uniform(rng, zone.reach), hu=hu, opacity=_uniform(rng, zone.opacity))


def _place(
    finding: FindingRequest,
    host: Host,
    structures: Sequence[str],
    size_mm: float,
    ball_mm: float,
    others: Sequence[LesionPlan],
    rng: np.random.Generator,
) -> tuple[str, tuple[int, int, int], float]:
    """Structure, centre and size; structures are tried in an order drawn by their volume.

    A size that was drawn, not asked for, shrinks to what fits. Raises InputError without room.
    """
    taken = [(world_of(np.array(other.centre), host.ct.affine), other.ball_mm) for other in others]
    voxels = np.array([host.inside(name)[0].sum() for name in structures], float)
    order = rng.choice(len(structures), len(structures), replace=False, p=voxels / voxels.sum())
    kind = type_of(finding.organ, finding.kind)
    smallest = 0.0 if finding.size_mm else kind.size_at(0.0)
    largest = 0.0
    for index in order:
        region: Region = find_region(finding, host, structures[index], taken, ball_mm, kind.bulges)
        fitting = size_mm if finding.size_mm else min(size_mm, _SHRINK * region.largest_mm)
        centre = choose_centre(finding, host, region, fitting, rng) if fitting >= smallest else None
        if centre is not None:
            return structures[index], centre, fitting
        largest = max(largest, region.largest_mm)
    raise InputError(_no_room(finding, structures, size_mm, largest, bool(others)))


def _no_room(finding: FindingRequest, structures: Sequence[str], size_mm: float, largest: float, others: bool) -> str:
    """One line: what was asked, what is there, the remedy."""
    asked = f"{size_mm:.3g} mm {finding.organ} {finding.kind} in {' or '.join(structures)}"
    if largest <= 0:
        why = "beside the other lesions" if others else "within the field of view"
        return f"{asked}: there is no room {why}; ask for fewer or smaller lesions, or another place"
    room = int(largest)
    beside = " beside the other lesions" if others else ""
    return f"{asked}: the largest that fits{beside} is about {room} mm; ask for that or less, or another place"
