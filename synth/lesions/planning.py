"""Plan lesions: everything that is random about them is drawn here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from prompts.request import FindingRequest
from prompts.vocabulary import Heterogeneity, Invasion, Organ, Phase, Shape, Side, Surface
from synth.errors import InputError
from synth.lesions.appearance import draw_zones
from synth.lesions.extent_plan import ExtentPlan
from synth.lesions.extent_planning import plan_extent
from synth.lesions.extent_types import CHANGES, extent_type_of, extent_types
from synth.lesions.extents import IN_LUNG, Extended, with_extent
from synth.lesions.lesion_plan import MAX_LESIONS, ContrastPhase, LesionPlan
from synth.lesions.lesion_types import BorderModel, LesionType, ProtrusionModel, Range, type_of
from synth.lesions.placement import (
    PlacementHost,
    choose_centre,
    choose_on_wall,
    find_region,
    lowest_rank,
    spot_centre,
    structures_for,
)
from synth.lesions.plans import AnyPlan
from synth.report.lobes import with_lobes
from synth.volumes.geometry import slice_axis, world_of
from synth.volumes.types import LabelMap, Volume

_SEVERAL = (2, 5)  # how many, where the number was not said
_TILT_DEG = 20.0  # of the long axis out of the axial plane: sizes are read in axial slices
_ROLL_DEG = 40.0
_SHRINK = 0.9  # of the largest that fits, for sizes and shares that were not asked for
_EDGE_WIDTHS = 1.5  # how many margin widths beyond the surface the edge may reach
_PUSHED = 1.0  # of the radius: how far beyond the surface tissue is pushed
_PUNCTATE_MM = 10.0  # the largest of a finding that is asked for as punctate
_WALL_BALL = 1.2  # of the size: a layer may lie on one side of its centre
_ANYWHERE_MM = 500.0  # fluid of a volume that was asked for may reach all of its side
_DEEPER = (0.045, 40.0)  # mm of depth a mL that a pool has at least, and the most
_SMOOTHER = 0.5  # of the raggedness, for what is asked for as smooth
_BARE = 1  # most vessels that end at a nodule without spicules: a reader would take more for some
_RAGGED_WITH_SPICULES = 1.5
_PLAIN_EDGE, _PLAIN_EDGE_MM = 0.15, 0.6  # width of the edge where a density is asked for, of the size; no less than
_RAGGED_SHARE = 0.045  # of the size: small nodules are no more ragged than that
_ATTACHED, _ATTACHED_MM = 0.5, 5.0  # length of a vessel's part that is drawn, of the size; at least
_POOL_BALL = 2.5  # of the size: fluid is longer along the body than in a slice


def plan_lesions(
    findings: Sequence[FindingRequest],
    host: Volume,
    organs: LabelMap,
    rng: np.random.Generator,
    phase: Phase | None = None,
) -> tuple[AnyPlan, ...]:
    """Draw every lesion that the findings ask for; a finding with count None becomes two to five.

    Args:
        findings: what is asked for; see `prompts.request`.
        host: the CT that takes them.
        organs: its label map, on the same grid.
        rng: the only source of chance.
        phase: of contrast, where the request says it; which enhanced phase an enhanced host is, only words can tell.

    Raises:
        InputError: organ, lobe or half not in the label map, unknown kind, or no room for the size.
    """
    return plan_each(one_by_one(findings, rng), host, organs, rng, phase)


def plan_each(
    singles: Sequence[FindingRequest],
    host: Volume,
    organs: LabelMap,
    rng: np.random.Generator,
    phase: Phase | None = None,
    kept: Mapping[int, AnyPlan] | None = None,
    trees: np.ndarray | None = None,
) -> tuple[AnyPlan, ...]:
    """One plan for each of the findings of `one_by_one`; those that are `kept`, by id, are not drawn again.

    Findings that are told by their extent come first, each in the host with those before it; bodies lie in the host
    with all of them. `trees`: (X, Y, Z) ids of the host's airways and vessels.
    """
    in_phase = _phase(PlacementHost.of(host, organs), phase)
    plans: dict[int, AnyPlan] = dict(kept or {})
    extended = _plan_extents(singles, Extended.of(host, organs, trees), in_phase, plans, rng)
    looked_up = PlacementHost.of(extended.ct, extended.organs, singles)
    for number, finding in enumerate(singles, start=1):
        if number not in plans:
            bodies = tuple(plan for plan in plans.values() if isinstance(plan, LesionPlan))
            plans[number] = _plan_one(number, finding, looked_up, in_phase, bodies, rng)
    return tuple(plans[number] for number in sorted(plans))


def _plan_extents(
    singles: Sequence[FindingRequest],
    host: Extended,
    phase: ContrastPhase,
    plans: dict[int, AnyPlan],
    rng: np.random.Generator,
) -> Extended:
    """Plan the findings that are told by their extent; the host with them."""
    kinds = {number: extent_type_of(f.kind) for number, f in enumerate(singles, start=1)}
    extents = [number for number, kind in kinds.items() if kind]
    for place, number in enumerate(extents, start=1):
        finding, kind = singles[number - 1], kinds[number]
        if number not in plans and kind:
            looked_up = PlacementHost.of(host.ct, host.organs, [finding])
            plans[number] = _with_room(plan_extent(number, kind, finding, looked_up, phase, rng), host)
        plan = plans[number]
        if isinstance(plan, ExtentPlan) and (place < len(extents) or len(extents) < len(singles)):
            host = with_extent(host, plan, None)
    return host


def _with_room(plan: ExtentPlan, host: Extended) -> ExtentPlan:
    """A diffuse finding of which no figure was said, of no more than others leave of its part of the lungs."""
    said = plan.asked is not None and plan.asked.share is not None
    if said or extent_types()[plan.kind].draw not in IN_LUNG or not host.taken.any():
        return plan
    inside = with_lobes(host.organs).mask(*plan.structures)
    left = float((inside & ~host.taken).sum() / max(inside.sum(), 1))
    return plan.model_copy(update={"amount": min(plan.amount, max(_SHRINK * left, 1e-3))})


def plan_quickly(
    finding: FindingRequest, host: Volume, organs: LabelMap, rng: np.random.Generator, phase: Phase | None = None
) -> AnyPlan | None:
    """One lesion as `plan_lesions` plans it, its place found by trial; None where some trials found no room.

    For bodies that may be anywhere in an organ and lie wholly inside; the others are planned as always.
    """
    if extent_type_of(finding.kind):
        return plan_lesions([finding], host, organs, rng, phase)[0]
    kind = type_of(finding.organ, finding.kind)
    if kind.place != "anywhere" or kind.wall or finding.segment or finding.side or finding.invasion:
        return plan_lesions([finding], host, organs, rng, phase)[0]
    looked_up = PlacementHost.of(host, organs, [finding])
    size_mm = _size(kind, finding, rng)
    structures = structures_for(finding, looked_up, None)
    _require_visible_size(finding, host)
    structure = structures[int(rng.integers(len(structures)))]
    centre = spot_centre(looked_up, structure, size_mm, rng)
    if centre is None:
        return None
    place, in_phase = (structure, centre, size_mm), _phase(looked_up, phase)
    return _assemble(1, kind, finding, looked_up, in_phase, place, structures, rng)


def one_by_one(findings: Sequence[FindingRequest], rng: np.random.Generator) -> tuple[FindingRequest, ...]:
    """A finding for each lesion; bilateral ones take turns, fluid is one layer a side.

    Raises InputError for more than a case holds, or than a side holds of fluid.
    """
    singles: list[FindingRequest] = []
    for finding in findings:
        if finding.count is None and _is_fluid(finding):
            sided = finding.side in (Side.LEFT, Side.RIGHT)  # "effusions" are one on each side
            finding = finding.model_copy(update={"count": 1 if sided else 2})
        count = finding.count or int(rng.integers(_SEVERAL[0], _SEVERAL[1] + 1))
        if extent_type_of(finding.kind):
            count = 1  # "ground-glass opacities" are one finding, of a share
        in_lungs = finding.organ in (Organ.LUNG, Organ.PULMONARY_ARTERY)
        diffuse = in_lungs and extent_type_of(finding.kind) is not None  # one in both lungs
        both = finding.side is Side.BILATERAL and not diffuse
        sides = [(Side.RIGHT, Side.LEFT)[i % 2] if both else finding.side for i in range(max(count, 2 if both else 1))]
        singles += [finding.model_copy(update={"count": 1, "side": side}) for side in sides]
    if len(singles) > MAX_LESIONS:
        raise InputError(f"more than {MAX_LESIONS} lesions: a case holds at most {MAX_LESIONS}; ask for fewer")
    return tuple(_in_order(_one_layer_a_side(singles)))


def _in_order(singles: Sequence[FindingRequest]) -> list[FindingRequest]:
    """The findings, those that are told by their extent in the order of what they change: a heart that grows over
    arteries would take an embolism's mask, and leave it where the clot was."""
    out = list(singles)
    rank = {i: CHANGES.index(kind.changes) for i, f in enumerate(out) if (kind := extent_type_of(f.kind))}
    for place, i in zip(sorted(rank), sorted(rank, key=lambda i: (rank[i], i)), strict=True):
        out[place] = singles[i]
    return out


def _is_fluid(finding: FindingRequest) -> bool:
    """Whether it is free fluid, which fills its side from the lowest point: two would lie in one another."""
    if extent_type_of(finding.kind):
        return False
    kind = type_of(finding.organ, finding.kind)
    return kind.spans and kind.place == "dependent"


def _one_layer_a_side(singles: Sequence[FindingRequest]) -> list[FindingRequest]:
    """The findings, free fluid without a side on one that has none yet. Raises InputError for two on one side."""
    out = list(singles)
    fluid = [i for i, finding in enumerate(out) if _is_fluid(finding)]
    free = {organ: [Side.RIGHT, Side.LEFT] for organ in {out[i].organ for i in fluid}}
    for i in sorted(fluid, key=lambda i: out[i].side is None):
        sides = free[out[i].organ]
        side = out[i].side or (sides[0] if sides else None)
        if side not in sides:
            where = f"on the {side} side" if side else "in all"
            raise InputError(
                f"more than one {out[i].organ} {out[i].kind} {where}: free fluid is one layer on each side; "
                "ask for one of the whole volume"
            )
        sides.remove(side)
        if len(fluid) > 1:
            out[i] = out[i].model_copy(update={"side": side})
    return out


def _phase(host: PlacementHost, asked: Phase | None) -> ContrastPhase:
    """The host's phase; InputError where the words and the host's organs say different things of contrast."""
    found = host.phase()
    if asked is None or asked is Phase.ENHANCED:
        return found
    said: ContrastPhase = "native" if asked is Phase.NON_CONTRAST else asked.value  # type: ignore[assignment]
    if (said == "native") != (found == "native") and host.tells_phase():
        raise InputError(f"'{asked}': this CT is {found.replace('_', ' ')} by its organs; leave the phase out")
    return said


def _plan_one(
    number: int,
    finding: FindingRequest,
    host: PlacementHost,
    phase: ContrastPhase,
    others: Sequence[LesionPlan],
    rng: np.random.Generator,
) -> LesionPlan:
    kind = type_of(finding.organ, finding.kind)
    structures = structures_for(finding, host, finding.side)
    _require_visible_size(finding, host.ct)
    size_mm = _size(kind, finding, rng)
    looks = _draw_looks(kind, finding, size_mm, rng)
    ball_mm = ball_of(looks, size_mm, host.ct.spacing)
    place = _place(kind, finding, host, structures, size_mm, looks, ball_mm, others, rng)
    return _assemble(number, kind, finding, host, phase, place, structures, rng, looks, ball_mm)


def _assemble(
    number: int,
    kind: LesionType,
    finding: FindingRequest,
    host: PlacementHost,
    phase: ContrastPhase,
    place: tuple[str, tuple[int, int, int], float],
    structures: Sequence[str],
    rng: np.random.Generator,
    looks: dict[str, Any] | None = None,
    ball_mm: float | None = None,
) -> LesionPlan:
    """The plan of a lesion whose place (structure, centre, size) is known."""
    structure, centre, size_mm = place
    looks = looks or _draw_looks(kind, finding, size_mm, rng)
    zones = draw_zones(kind, finding, size_mm, host.median_hu(structure), phase, rng)
    if zones[0].opacity < 1:
        looks["mass_effect"] = 0.0  # ground glass fills the air and pushes nothing
    return LesionPlan(
        id=number,
        kind=kind.name,
        organ=finding.organ.value,
        structures=_same_side(structure, structures) if kind.spans else (structure,),
        invades=finding.invasion is Invasion.CLOSE,
        bulges=kind.bulges and finding.invasion is not Invasion.NONE,
        phase=phase,
        centre=centre,
        size_mm=size_mm,
        ball_mm=ball_mm or ball_of(looks, size_mm, host.ct.spacing),
        rotation=_draw_rotation(rng),
        zones=zones,
        seed=int(rng.integers(2**31)),
        asked=finding,
        **looks,
    )


def _same_side(structure: str, structures: Sequence[str]) -> tuple[str, ...]:
    side = "left" if "left" in structure.split("_") else "right"
    return tuple(name for name in structures if side in name.split("_"))


def _require_visible_size(finding: FindingRequest, ct: Volume) -> None:
    """InputError for a size below one pixel: what is drawn of it would be a pixel, and larger than was asked."""
    pixel = float(np.delete(ct.spacing, slice_axis(ct.affine)).max())
    if finding.size_mm is not None and finding.size_mm < pixel:
        raise InputError(
            f"{finding.size_mm:g} mm {finding.organ} {finding.kind}: the pixels of this CT are {pixel:.3g} mm; ask for "
            f"{2 * pixel:.2g} mm or more"
        )


def _size(kind: LesionType, finding: FindingRequest, rng: np.random.Generator) -> float:
    chance = float(rng.random())
    drawn = kind.size_at(chance)
    if finding.size_range_mm is not None:  # log-uniform, as sizes are
        low, high = finding.size_range_mm
        drawn = low * (high / low) ** chance
    if finding.shape is Shape.PUNCTATE:
        if (finding.size_mm or 0) > _PUNCTATE_MM:
            raise InputError(
                f"punctate {finding.organ} {finding.kind} of {finding.size_mm:g} mm: punctate findings have at most "
                f"{_PUNCTATE_MM:g} mm; ask for less, or say round"
            )
        drawn = min(drawn, _PUNCTATE_MM)
    return finding.size_mm or drawn


def uniform(rng: np.random.Generator, between: Range) -> float:
    """A number between two."""
    return float(rng.uniform(*between))


def _draw_looks(kind: LesionType, finding: FindingRequest, size_mm: float, rng: np.random.Generator) -> dict[str, Any]:
    """Shape, edge, grain and mass effect of one lesion, as fields of its plan."""
    shape = kind.shape
    irregular = finding.shape is Shape.IRREGULAR
    smooth = finding.shape in (Shape.ROUND, Shape.PUNCTATE)
    volume_ml = uniform(rng, finding.volume_range_ml) if finding.volume_range_ml else finding.volume_ml
    wants_lobes = True if irregular and finding.lobulated is None else finding.lobulated
    lobes = _occurs(shape.lobes, wants_lobes, smooth, rng)
    spicules = _occurs(shape.spicules, finding.spiculated, smooth, rng)
    middle, short = sorted((uniform(rng, shape.axes.middle), uniform(rng, shape.axes.short)), reverse=True)
    if smooth:  # round: halfway to a ball
        middle, short = (1 + middle) / 2, (1 + short) / 2
    if irregular:
        middle, short = 0.75 * middle, 0.75 * short
    looks: dict[str, Any] = {
        "axes": (middle, short),
        "roughness": uniform(rng, shape.roughness) * (2.0 if irregular else 0.5 if smooth else 1.0),
        "lobes": lobes,
        "lobe_depth": uniform(rng, shape.lobes.extent) if lobes else 0.0,
        "spicules": spicules,
        "spicule_mm": uniform(rng, shape.spicules.extent) * size_mm if spicules else 0.0,
        "margin_mm": uniform(rng, kind.margin_mm.width(finding.surface)),
        "grain_hu": uniform(rng, kind.grain_hu.sd(finding.heterogeneity)),
        "grain_mm": kind.grain_hu.length_mm(size_mm),
        "mass_effect": uniform(rng, kind.mass_effect),
        "wall_mm": (thickness := _wall_mm(kind, finding, volume_ml, rng)),
        "pools": (pools := kind.place == "dependent" and thickness > 0),
        "volume_ml": volume_ml if pools else None,
    }
    return looks | (_draw_border(kind.border, finding, size_mm, looks["margin_mm"], rng) if kind.border else {})


def _draw_border(
    model: BorderModel, finding: FindingRequest, size_mm: float, margin_mm: float, rng: np.random.Generator
) -> dict[str, Any]:
    """How a nodule ends, as fields of its plan; one that is to be smooth or without spicules ends more plainly.

    A small one that is asked for with a density has an edge so narrow that its middle shows it.
    """
    smooth = finding.shape in (Shape.ROUND, Shape.PUNCTATE) or finding.surface is Surface.WELL_DEFINED
    smooth |= finding.heterogeneity is Heterogeneity.HOMOGENEOUS
    bare = finding.spiculated is False
    number = int(rng.integers(model.attached[0], (_BARE if bare else model.attached[1]) + 1))
    ragged, haze, mottle = (uniform(rng, r) for r in (model.ragged_mm, model.haze, model.mottle))
    plain = finding.density is not None and finding.texture is None and finding.surface is not Surface.ILL_DEFINED
    smooth |= plain
    factor = _SMOOTHER if smooth or bare else _RAGGED_WITH_SPICULES if finding.spiculated else 1.0
    return {
        "margin_mm": min(margin_mm, max(_PLAIN_EDGE * size_mm, _PLAIN_EDGE_MM)) if plain else margin_mm,
        "ragged_mm": factor * min(ragged, _RAGGED_SHARE * size_mm),
        "haze": (_SMOOTHER if bare or plain else 1.0) * haze,
        "mottle": mottle,
        "attached": number,
        "attached_mm": max(_ATTACHED * size_mm, _ATTACHED_MM),
    }


def _wall_mm(kind: LesionType, finding: FindingRequest, volume_ml: float | None, rng: np.random.Generator) -> float:
    """Thickness of a layer along the wall; 0 for a body. Raises InputError where the organ has no wall."""
    if kind.wall is None:
        if finding.shape is Shape.WALL_THICKENING:
            raise InputError(
                f"'wall thickening' {finding.organ} {finding.kind}: only hollow organs have a wall; say round-like"
            )
        return 0.0
    by_chance = rng.random() < kind.wall.chance
    layer = finding.shape is Shape.WALL_THICKENING if finding.shape else by_chance
    thickness = uniform(rng, kind.wall.thickness_mm)
    if finding.thickness_mm:
        return finding.thickness_mm
    if volume_ml:
        thickness = max(thickness, kind.wall.thickness_mm[0] + min(_DEEPER[0] * volume_ml, _DEEPER[1]))
    return thickness if layer or kind.spans or kind.place == "lateral" else 0.0


def _occurs(model: ProtrusionModel, asked: bool | None, smooth: bool, rng: np.random.Generator) -> int:
    """How many lobes or spicules: as asked, else none on a round lesion, else by chance."""
    number = int(rng.integers(model.number[0], model.number[1] + 1))
    by_chance = rng.random() < model.chance and not smooth
    return number if (by_chance if asked is None else asked) else 0


def ball_of(looks: dict[str, Any], size_mm: float, spacing: np.ndarray) -> float:
    """Radius in mm that nothing of the lesion exceeds: body with its lobes, spicules, edge, what it pushes, a voxel."""
    voxel = float(np.linalg.norm(spacing)) / 2
    edge = _EDGE_WIDTHS * looks["margin_mm"]
    if looks["volume_ml"]:
        return _ANYWHERE_MM
    if looks["wall_mm"]:
        reach = _POOL_BALL if looks["pools"] else _WALL_BALL
        return float(reach * size_mm + edge + voxel)
    body = 0.5 * size_mm * (1 + looks["lobe_depth"] + 3 * looks["roughness"])
    pushed = _PUSHED * 0.5 * size_mm if looks["mass_effect"] else 0.0
    strands = max(looks["spicule_mm"], looks.get("attached_mm", 0.0) if looks.get("attached") else 0.0)
    return float(body + max(strands + edge, pushed) + voxel)


def _draw_rotation(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """The long axis within a tilt of the axial plane, any azimuth."""
    azimuth, tilt, roll = rng.uniform([-180.0, -_TILT_DEG, -_ROLL_DEG], [180.0, _TILT_DEG, _ROLL_DEG])
    x, y, z, w = Rotation.from_euler("ZYX", [azimuth, tilt, roll], degrees=True).as_quat()
    return float(x), float(y), float(z), float(w)


def _place(
    kind: LesionType,
    finding: FindingRequest,
    host: PlacementHost,
    structures: Sequence[str],
    size_mm: float,
    looks: Mapping[str, Any],
    ball_mm: float,
    others: Sequence[LesionPlan],
    rng: np.random.Generator,
) -> tuple[str, tuple[int, int, int], float]:
    """Structure, centre and size; structures are tried in an order drawn by their volume.

    A size that was drawn, not asked for, shrinks to what fits. Raises InputError without room.
    """
    layer = looks["wall_mm"] > 0
    voxels = np.array([host.inside(name)[0].sum() for name in structures], float)
    order = rng.choice(len(structures), len(structures), replace=False, p=voxels / voxels.sum())
    if looks["pools"]:
        order = _lowest_first(order, structures, host)
    smallest = finding.size_range_mm[0] if finding.size_range_mm else 0.0 if finding.size_mm else kind.size_at(0.0)
    largest = 0.0
    for index in order:
        taken = _taken(others, structures[index], layer, host)
        bulges = kind.bulges and not layer and finding.invasion is not Invasion.NONE
        region = find_region(finding, host, structures[index], taken, 0.0 if layer else ball_mm, bulges)
        centre, fitting, room = _centre(finding, host, region, kind, size_mm, layer, rng)
        if centre is not None and fitting >= smallest:
            return structures[index], centre, fitting
        largest = max(largest, room)
    raise InputError(_no_room(finding, structures, size_mm, largest, bool(others)))


def _lowest_first(order: np.ndarray, structures: Sequence[str], host: PlacementHost) -> np.ndarray:
    """The order (N,) with the first one's side first, on each side by where fluid runs to."""
    first = _same_side(structures[order[0]], structures)
    return np.array(sorted(order, key=lambda i: (structures[i] not in first, lowest_rank(host, structures[i]))))


def _centre(
    finding: FindingRequest,
    host: PlacementHost,
    region: Any,
    kind: LesionType,
    size_mm: float,
    layer: bool,
    rng: np.random.Generator,
) -> tuple[tuple[int, int, int] | None, float, float]:
    """Centre or None, the size that fits, and the largest that would."""
    asked = finding.size_mm is not None
    if layer:
        centre, widest = choose_on_wall(host, region, size_mm, kind.place, rng)
        if centre is None and not asked and widest > 0:
            size_mm = _SHRINK * widest
            centre, _ = choose_on_wall(host, region, size_mm, kind.place, rng)
        return centre, size_mm, widest
    largest = region.largest_mm / (1 - kind.conforms)
    fitting = size_mm if asked or kind.place == "wall" else min(size_mm, _SHRINK * largest)
    centre = choose_centre(finding, host, region, fitting, kind.place, rng, kind.conforms) if fitting > 0 else None
    while centre is None and kind.conforms and not asked and fitting > kind.size_at(0.0):
        fitting *= _SHRINK
        centre = choose_centre(finding, host, region, fitting, kind.place, rng, kind.conforms)
    return centre, fitting, largest


def _taken(
    others: Sequence[LesionPlan], structure: str, layer: bool, host: PlacementHost
) -> list[tuple[np.ndarray, float]]:
    """Balls (RAS mm, radius) to keep away from: layers only where they share the structure."""
    near = [o for o in others if structure in o.structures or not (layer or o.wall_mm)]
    return [(world_of(np.array(o.centre), host.ct.affine), o.ball_mm if not o.wall_mm else o.wall_mm) for o in near]


def _no_room(finding: FindingRequest, structures: Sequence[str], size_mm: float, largest: float, others: bool) -> str:
    """One line: what was asked, what is there, the remedy."""
    where = structures[0] if len(structures) == 1 else f"{len(structures)} structures"
    asked = f"{size_mm:.3g} mm {finding.organ} {finding.kind} in {where}"
    if largest <= 0:
        why = "beside the other lesions" if others else "within the field of view"
        return f"{asked}: there is no room {why}; ask for fewer or smaller lesions, or another place"
    room = int(largest)
    beside = " beside the other lesions" if others else ""
    return f"{asked}: the largest that fits{beside} is about {room} mm; ask for that or less, or another place"
