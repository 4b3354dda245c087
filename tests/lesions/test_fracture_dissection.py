"""A wedged vertebra, a broken rib and a dissected aorta, on phantoms whose sides and ends differ."""

from __future__ import annotations

import numpy as np
import pytest

from prompts.request import FindingRequest
from prompts.vocabulary import FindingKind, Organ, Segment, Severity, Side
from synth.errors import InputError
from synth.lesions.extent_planning import plan_extent
from synth.lesions.extent_types import extent_type_of
from synth.lesions.extents import Extended, with_extents
from synth.lesions.placement import PlacementHost
from synth.report.vertebra import height_lost
from synth.volumes.types import LabelMap, Volume

MM = 2.0
NAMES = {1: "vertebrae_T9", 2: "spinal_cord", 3: "aorta", 4: "rib_left_6", 5: "rib_right_6", 6: "vertebrae_T8"}


def host(flip: bool = False) -> tuple[Volume, LabelMap]:
    """RAS, 2 mm: T9 below T8, the cord behind them, the aorta in front on the left, a rib on each side."""
    shape = (100, 70, 110)
    hu, ids = np.full(shape, 40, np.int16), np.zeros(shape, np.uint8)
    for number, low in ((1, 30), (6, 46)):
        ids[42:58, 22:36, low : low + 13] = number
    ids[46:54, 14:20, 5:105] = 2
    x, y = np.meshgrid(np.arange(100), np.arange(70), indexing="ij")
    ids[((x - 36) ** 2 + (y - 46) ** 2 < 36), 8:100] = 3
    for number, start in ((4, 8), (5, 82)):
        ids[start : start + 6, 10:60, 50:55] = number
    hu[np.isin(ids, (1, 6, 4, 5))] = 300
    hu[ids == 3] = 260
    affine = np.diag([MM, MM, MM, 1.0])
    affine[:3, 3] = [-100.0, -60.0, -100.0]
    if flip:  # the same body, its first axis stored from right to left
        hu, ids = hu[::-1].copy(), ids[::-1].copy()
        affine[0] = [-MM, 0, 0, -100.0 + MM * 99]
    return Volume(hu, affine), LabelMap(ids, affine, NAMES)


def drawn(
    ct: Volume, organs: LabelMap, finding: FindingRequest, phase: str = "portal_venous", seed: int = 1
) -> Extended:
    kind = extent_type_of(finding.kind)
    assert kind is not None
    looked_up = PlacementHost.of(ct, organs, [finding])
    plan = plan_extent(1, kind, finding, looked_up, phase, np.random.default_rng(1))  # type: ignore[arg-type]
    return with_extents(Extended.of(ct, organs), [plan], None)


def fracture(segment: Segment, side: Side | None = None, share: float | None = None) -> FindingRequest:
    return FindingRequest(kind=FindingKind.FRACTURE, organ=Organ.BONE, segment=segment, side=side, share=share)


@pytest.mark.parametrize("share", [0.25, 0.4])
def test_a_vertebra_loses_the_height_that_was_said_and_no_other_does(share: float) -> None:
    ct, organs = host()
    out = drawn(ct, organs, fracture(Segment.T9, share=share))
    assert height_lost(organs, "vertebrae_T9") == pytest.approx(0.0, abs=0.01)
    assert height_lost(out.organs, "vertebrae_T9") == pytest.approx(share, abs=0.06)
    assert abs(height_lost(out.organs, "vertebrae_T8") or 0.0) < 0.12
    body = out.organs.mask("vertebrae_T9")
    front, back = (int(body[50, y].sum()) for y in (34, 24))
    assert front < back <= 13
    assert body[50, 34, 30], "its lower endplate stays"


def test_what_is_out_of_a_fractures_reach_stays_bit_for_bit() -> None:
    ct, organs = host()
    out = drawn(ct, organs, fracture(Segment.T9, share=0.4))
    changed = out.ct.hu != ct.hu
    assert changed.any()
    assert not changed[:, :, :29].any() and not changed[:, :12].any() and not changed[:28].any()


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("side", "name"), [(Side.LEFT, "rib_left_6"), (Side.RIGHT, "rib_right_6")])
def test_a_rib_breaks_on_the_side_that_was_said(side: Side, name: str, flip: bool) -> None:
    ct, organs = host(flip)
    out = drawn(ct, organs, fracture(Segment.R6, side))
    inside = out.masks > 0
    assert inside.any() and (out.organs.mask(name) | ~inside).all()
    gap = (out.ct.hu < 100) & organs.mask(name)
    assert gap.any() and not ((out.ct.hu != ct.hu) & organs.mask("vertebrae_T9")).any()


def test_a_dissection_parts_the_lumen_and_is_less_bright_behind_its_flap() -> None:
    ct, organs = host()
    request = FindingRequest(kind=FindingKind.DISSECTION, organ=Organ.AORTA, severity=Severity.SEVERE)
    out = drawn(ct, organs, request)
    false, aorta = out.masks > 0, organs.mask("aorta")
    assert 0.1 < false.sum() / aorta.sum() < 0.9
    assert (aorta | ~false).all() and (out.ct.hu[~aorta] == ct.hu[~aorta]).all()
    middle = 55
    lumen = out.ct.hu[..., middle][aorta[..., middle]]
    assert lumen.max() == 260 and 150 < np.median(out.ct.hu[false]) < 240 and lumen.min() < 120


def test_a_dissection_needs_contrast() -> None:
    ct, organs = host()
    request = FindingRequest(kind=FindingKind.DISSECTION, organ=Organ.AORTA)
    with pytest.raises(InputError, match="ask for a CT with contrast"):
        drawn(ct, organs, request, "native")


def test_a_vertebra_that_the_volume_cuts_is_not_broken() -> None:
    ct, organs = host()
    cut = slice(36, None)
    affine = ct.affine.copy()
    affine[2, 3] += 36 * MM
    ct, organs = Volume(ct.hu[:, :, cut].copy(), affine), LabelMap(organs.ids[:, :, cut].copy(), affine, NAMES)
    with pytest.raises(InputError, match="lies whole in this CT"):
        drawn(ct, organs, fracture(Segment.T9))
