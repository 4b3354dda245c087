"""Choose a centre: where in the organ a lesion of some size has room, off vessels and apart from other lesions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from prompts.request import FindingRequest
from prompts.vocabulary import Invasion, Organ, Side, structures_of
from synth.errors import InputError
from synth.lesions.lesion_plan import ContrastPhase
from synth.lesions.lesion_types import Place
from synth.lesions.spaces import with_spaces
from synth.lesions.wall import BASE
from synth.report import location
from synth.report.couinaud import couinaud
from synth.report.location import Box
from synth.report.stations import STATIONS, stations
from synth.volumes.geometry import world_of
from synth.volumes.types import HU_MIN, LabelMap, Volume

CLEARANCE_MM = 2.0  # from the organ's border, where no contact was asked for
INVADED_HU = -150.0  # denser voxels outside the organ are tissue that can be invaded
FAT_HU = (-180.0, -20.0)
_BULGE_MM = 40.0  # how far round the organ fat is looked for
_CANDIDATES = 64
_UNUSUAL_SHARE = 0.12  # of the ball: above it, a centre sits on vessels or bronchi
_INVASION_DEPTH = (0.35, 0.75)  # of the radius: how deep in the organ an invading lesion is centred
_WALL_DEPTH = (0.45, 0.8)  # of the radius: how deep a mass is centred that grows from a wall
_INVADED_SHARE = 0.05  # of the ball: tissue outside the organ that an invading lesion must reach
_BY_CAVA = (
    "are told apart by gallbladder and inferior vena cava, which the label map lacks, as it does the spinal cord; "
    "label them, or ask for the liver"
)
_EXTREME_SHARE = 0.03  # of the allowed centres: the lowest, the most lateral or the deepest ones


@dataclass(frozen=True)
class PlacementHost:
    """A CT, its organs and what was looked up in them once."""

    ct: Volume
    organs: LabelMap
    present: Mapping[str, tuple[int, Box]]

    @classmethod
    def of(cls, ct: Volume, organs: LabelMap, findings: Sequence[FindingRequest] = ()) -> PlacementHost:
        """With the spaces between organs that the findings lie in."""
        wanted = [name for f in findings for name in structures_of(f.organ, f.side, f.segment)]
        organs = with_spaces(ct, organs, wanted)
        return cls(ct, organs, location.present_boxes(organs))

    def inside(self, name: str) -> tuple[np.ndarray, Box]:
        """Cropped mask of a structure and its box."""
        number, box = self.present[name]
        return self.organs.ids[box] == number, box

    def median_hu(self, name: str) -> float:
        """Median HU of a structure, by counting: HU are whole numbers."""
        mask, box = self.inside(name)
        counts = np.bincount(self.ct.hu[box][mask].astype(np.int64) - HU_MIN).cumsum()
        middle = [(counts[-1] + 1) // 2, counts[-1] // 2 + 1]
        return float(np.searchsorted(counts, middle).mean()) + HU_MIN

    def enhanced(self) -> bool:
        """Whether contrast was given; a host that shows none of the tell-tale organs counts as native."""
        medians = {name: self.median_hu(name) for name in location.TELLTALE if name in self.present}
        return bool(location.is_enhanced(medians))

    def tells_phase(self) -> bool:
        """Whether an organ is labelled that tells whether contrast was given."""
        return any(name in self.present for name in location.TELLTALE)

    def phase(self) -> ContrastPhase:
        """Native, or portal venous: which enhanced phase it is, the request has to say."""
        return "portal_venous" if self.enhanced() else "native"


@dataclass(frozen=True)
class PlacementRegion:
    """Where centres may lie in one structure: `room` is mm to the structure's border, 0 where not allowed."""

    structure: str
    room: np.ndarray
    box: Box

    @property
    def largest_mm(self) -> float:
        """Diameter of the largest ball that fits."""
        return 2 * float(self.room.max())


def find_region(
    finding: FindingRequest,
    host: PlacementHost,
    structure: str,
    taken: Sequence[tuple[np.ndarray, float]],
    ball_mm: float,
    bulges: bool,
) -> PlacementRegion:
    """Room in a structure, within the asked segment, for a ball apart from the `taken` ones (RAS mm, radius).

    The border of the volume counts as the structure's border.
    """
    _, box = host.inside(structure)
    if bulges:
        box = location.grown(box, host.ct.hu.shape, host.ct.spacing, _BULGE_MM)
    mask = host.organs.ids[box] == host.present[structure][0]
    growing = with_fat(mask, host.ct.hu[box], host.organs.ids[box]) if bulges else mask
    padded = np.pad(growing, 1)
    room = ndimage.distance_transform_edt(padded, sampling=host.ct.spacing)[1:-1, 1:-1, 1:-1].astype(np.float32)
    room[~mask] = 0
    points = location.points_of(mask, box, host.ct.affine)
    keep = _in_part(finding, host, points)
    for centre, ball in taken:
        keep &= np.linalg.norm(points - centre, axis=1) >= ball + ball_mm
    room[mask] *= keep
    return PlacementRegion(structure, room, box)


def with_fat(organ: np.ndarray, hu: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """An organ's mask and the unlabelled fat of the crop, its small vessels closed; all (X, Y, Z)."""
    free = organ | (ids == 0)
    fat = (ids == 0) & (hu > FAT_HU[0]) & (hu < FAT_HU[1])
    return organ | (ndimage.binary_closing(organ | fat, iterations=2) & free)


def _in_part(finding: FindingRequest, host: PlacementHost, points: np.ndarray) -> np.ndarray:
    """Which points lie in the asked kidney pole, segment or half of the liver (lobes of the lung are structures)."""
    if finding.organ is Organ.KIDNEY and finding.segment:
        return location.Poles.of(points).part(points) == location.POLES.index(finding.segment.value)
    if finding.organ is Organ.LIVER and finding.segment:
        planes = couinaud(host.organs, host.present)
        if planes is None:
            raise InputError(f"segment {finding.segment} of the liver: segments {_BY_CAVA} as a whole")
        return planes.segment(points) == int(finding.segment.value)
    if finding.organ is Organ.MEDIASTINUM and finding.segment:
        borders = stations(host.organs, host.present)
        if borders is None:
            raise InputError(
                f"{finding.segment}: stations are told by trachea, aorta and lungs, which the label map lacks; "
                "label them, or ask for the mediastinum as a whole"
            )
        return borders.station(points) == STATIONS.index(finding.segment.removeprefix("station "))
    if finding.organ is Organ.LIVER and finding.side in (Side.LEFT, Side.RIGHT):
        plane = location.cantlie_plane(host.organs, host.present)
        if plane is None:
            raise InputError(f"'{finding.side}' liver: its halves {_BY_CAVA} without a side")
        return plane.is_left(points) == (finding.side is Side.LEFT)
    return np.ones(len(points), bool)


def structures_for(finding: FindingRequest, host: PlacementHost, side: Side | None) -> tuple[str, ...]:
    """Names of the structures in the label map that the finding can lie in. Raises InputError where there is none."""
    wanted = structures_of(finding.organ, side, finding.segment)
    found = tuple(name for name in wanted if name in host.present)
    if not found:
        raise InputError(
            f"{finding.organ} {finding.kind}: the label map has no {location.list_names(wanted, 6)}; "
            f"it has: {location.list_names(list(host.present))}"
        )
    return found


def choose_centre(
    finding: FindingRequest,
    host: PlacementHost,
    region: PlacementRegion,
    size_mm: float,
    place: Place,
    rng: np.random.Generator,
    conforms: float = 0.0,
) -> tuple[int, int, int] | None:
    """A voxel index of the host where a lesion of the size fits, or None. Tries a fixed number of centres.

    One that conforms fits where a ball smaller by that share does, and takes the shape of what holds it; from the faces
    of the volume it keeps away by half as much less.
    """
    radius = size_mm / 2
    if finding.invasion is Invasion.CLOSE:
        low, high = (share * radius for share in _INVASION_DEPTH)
    elif place == "wall":
        low, high = (share * radius for share in _WALL_DEPTH)
    else:
        low = (1 - conforms) * radius + (CLEARANCE_MM if finding.invasion is Invasion.NONE else 0.0)
        high = np.inf
    candidates = np.argwhere((region.room > 0) & (region.room >= low) & (region.room <= high))
    if not len(candidates):
        return None
    candidates = candidates + [s.start for s in region.box]
    if conforms:
        candidates = candidates[_to_faces(candidates, host) >= (1 - conforms / 2) * radius]
        if not len(candidates):
            return None
    candidates = _preferred(candidates, host, region, place)
    candidates = candidates[rng.permutation(len(candidates))[:_CANDIDATES]]
    scored = [_score(finding, host, region.structure, centre, radius) for centre in candidates]
    first_good = next((i for i, score in enumerate(scored) if score <= _UNUSUAL_SHARE), int(np.argmin(scored)))
    return _index(candidates[first_good]) if np.isfinite(scored[first_good]) else None


def _to_faces(voxels: np.ndarray, host: PlacementHost) -> np.ndarray:
    """mm from voxels (N, 3) to the nearest face of the volume, (N,)."""
    inner = np.minimum(voxels, np.array(host.ct.hu.shape) - 1 - voxels)
    return np.asarray(((inner + 0.5) * host.ct.spacing).min(axis=1))


def spot_centre(
    host: PlacementHost, structure: str, size_mm: float, rng: np.random.Generator, tries: int = _CANDIDATES
) -> tuple[int, int, int] | None:
    """A random voxel of a structure that holds a ball of the size about it, or None after some tries.

    Finds the same kind of place as `choose_centre` without a distance map of the whole organ.
    """
    number, box = host.present[structure]
    spots = np.flatnonzero(host.organs.ids[box] == number)
    start = [s.start for s in box]
    shape = [s.stop - s.start for s in box]
    reach = np.ceil(size_mm / 2 / host.ct.spacing).astype(int)
    grid = np.ogrid[tuple(slice(-r, r + 1) for r in reach)]
    ball = sum((g * s) ** 2 for g, s in zip(grid, host.ct.spacing, strict=True)) <= (size_mm / 2) ** 2
    for spot in rng.choice(spots, min(tries, len(spots)), replace=False):
        centre = np.array(np.unravel_index(spot, shape)) + start
        low, high = centre - reach, centre + reach + 1
        if (low < 0).any() or (high > host.ct.hu.shape).any():
            continue
        around = host.organs.ids[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        if (around[ball] == number).all():
            return _index(centre)
    return None


def choose_on_wall(
    host: PlacementHost, region: PlacementRegion, size_mm: float, place: Place, rng: np.random.Generator
) -> tuple[tuple[int, int, int] | None, float]:
    """A voxel on the organ's border about which a layer of the size fits, or None, and the widest extent found (mm).

    The extent is that of the organ's voxels in the centre's slice, from the centre. Fluid starts where it is lowest and
    finds its widest slice itself, so for it the extent is the organ's.
    """
    thin = region.room <= 1.6 * float(host.ct.spacing.min())
    candidates = np.argwhere((region.room > 0) & thin) + [s.start for s in region.box]
    candidates = candidates[((candidates > 0) & (candidates < np.array(host.ct.hu.shape) - 1)).all(axis=1)]
    if not len(candidates):
        return None, 0.0
    mask, box = host.inside(region.structure)
    axis = location.slice_axis(host.ct.affine)
    if place == "dependent":
        sides = np.delete(host.ct.spacing * mask.shape, axis)
        widest = float(sides.max())
        lowest = _preferred(candidates, host, region, place, 0.0)[0]
        return (_index(lowest) if widest >= size_mm else None), widest
    candidates = _preferred(candidates, host, region, place)
    widest = 0.0
    for centre in candidates[rng.permutation(len(candidates))[:_CANDIDATES]]:
        plane = np.argwhere(mask.take(int(centre[axis] - box[axis].start), axis)) * np.delete(host.ct.spacing, axis)
        start = np.delete(centre - [s.start for s in box], axis) * np.delete(host.ct.spacing, axis)
        extent = float(np.linalg.norm(plane - start, axis=1).max())
        if extent >= size_mm:
            return _index(centre), extent
        widest = max(widest, extent)
    return None, widest


def _index(centre: np.ndarray) -> tuple[int, int, int]:
    i, j, k = (int(v) for v in centre)
    return i, j, k


def _preferred(
    candidates: np.ndarray, host: PlacementHost, region: PlacementRegion, place: Place, share: float = _EXTREME_SHARE
) -> np.ndarray:
    """The lowest, most lateral or deepest of the candidates (N, 3); all of them where the place is any."""
    if place in ("anywhere", "wall"):
        return candidates
    points = world_of(candidates, host.ct.affine)
    if place == "dependent":
        rank = _rank(points)
    elif place == "lateral":
        rank = -np.abs(points[:, 0] - location.midline_x(host.organs, host.present, host.ct.hu))
    else:
        rank = _to_hilum(points, host, region.structure)
    keep = max(int(share * len(candidates)), min(len(candidates), 8))
    return candidates[np.argsort(rank, kind="stable")[:keep]]


def _rank(points: np.ndarray) -> np.ndarray:
    """How high points (N, 3), RAS mm, lie in a patient on the back, mm."""
    return np.asarray(points[:, 1] + BASE * points[:, 2])


def lowest_rank(host: PlacementHost, structure: str) -> float:
    """How high the lowest voxel of a structure lies in a patient on the back, mm."""
    mask, box = host.inside(structure)
    return float(_rank(location.points_of(mask, box, host.ct.affine)).min())


def _to_hilum(points: np.ndarray, host: PlacementHost, structure: str) -> np.ndarray:
    """mm from points (N, 3) to the centroid of the structure, moved a third of the way to the body's midline."""
    mask, box = host.inside(structure)
    centre = location.points_of(mask, box, host.ct.affine).mean(axis=0)
    half_width = float(np.ptp(location.points_of(mask, box, host.ct.affine)[:, 0])) / 2
    middle = location.midline_x(host.organs, host.present, host.ct.hu)
    hilum = centre + [np.sign(middle - centre[0]) * half_width / 3, 0, 0]
    return np.linalg.norm(points - hilum, axis=1)


def _score(finding: FindingRequest, host: PlacementHost, structure: str, centre: np.ndarray, radius: float) -> float:
    """Share of the ball that is unlike the organ; infinite where an invading lesion would reach no other tissue."""
    spacing = host.ct.spacing
    reach = np.ceil(radius / spacing).astype(int)
    low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, host.ct.hu.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    offsets = np.ogrid[tuple(slice(a, b) for a, b in zip(low - centre, high - centre, strict=True))]
    ball = sum((o * s) ** 2 for o, s in zip(offsets, spacing, strict=True)) <= radius**2
    hu = host.ct.hu[box][ball].astype(np.float32)
    inside = host.organs.ids[box][ball] == host.present[structure][0]
    if finding.invasion is Invasion.CLOSE and np.mean(~inside & (hu > INVADED_HU)) < _INVADED_SHARE:
        return float("inf")
    centre_hu = np.median(hu[inside])
    spread = 1.4826 * np.median(np.abs(hu[inside] - centre_hu)) + 10.0
    return float(np.mean(np.abs(hu[inside] - centre_hu) > 4 * spread))
