"""Planes the right way up on any axis order, the lesion outlined where it is, and the same picture twice."""

from __future__ import annotations

import gc
import io
import weakref
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from synth.case import preview
from synth.volumes import geometry, planes
from synth.volumes.types import Case, LabelMap, Volume
from tests import phantoms

LESION_RGB = np.array([0xFF, 0x2D, 0x55]) / 255


def marked(affine: np.ndarray) -> Case:
    """A body whose voxel nearest to the patient's right, anterior, superior corner is dense metal (3000 HU)."""
    ras = np.diag([*np.linalg.norm(affine[:3, :3], axis=0), 1.0])
    hu = phantoms.body((20, 24, 16), ras).hu
    hu[-1, -1, -1] = 3000
    turned = geometry.from_ras(hu, affine)
    empty = LabelMap(np.zeros(turned.shape, np.uint8), affine, {})
    return Case(Volume(np.ascontiguousarray(turned), affine), empty, empty)


AXES = {"RAS": (1, 1, 1), "LPS": (-1, -1, 1), "LAI": (-1, 1, -1)}


@pytest.mark.parametrize("signs", AXES.values(), ids=AXES.keys())
@pytest.mark.parametrize(
    ("name", "at", "edges", "row", "column"),
    [
        # Row 0 is the bottom of the picture. Right, anterior and superior are left, top and top; in sagittal
        # planes anterior is left.
        ("axial", (5, 5, 15), ("R", "L", "P", "A"), -1, 0),
        ("coronal", (5, 23, 5), ("R", "L", "I", "S"), -1, 0),
        ("sagittal", (19, 5, 5), ("A", "P", "I", "S"), -1, 0),
    ],
)
def test_planes_follow_radiological_convention(
    signs: tuple[int, int, int], name: str, at: tuple[int, int, int], edges: tuple[str, ...], row: int, column: int
) -> None:
    case = planes.ras_case(marked(np.diag([*(2.0 * np.array(signs)), 1.0])))
    plane = planes.cut(case, name, at, ((0, 20), (0, 24), (0, 16)))
    assert plane.edges == edges
    assert plane.hu[row, column] == 3000 and (plane.hu == 3000).sum() == 1


def test_aspect_is_true_in_mm() -> None:
    case = planes.ras_case(phantoms.case((24, 20, 16), np.diag([2.0, 1.5, 3.0, 1.0])))
    whole = ((0, 24), (0, 20), (0, 16))
    sizes = {n: planes.cut(case, n, (12, 10, 8), whole).size_mm for n in ("axial", "coronal", "sagittal")}
    assert sizes == {"axial": (48, 30), "coronal": (48, 48), "sagittal": (30, 48)}


def test_slices_go_through_the_largest_lesion() -> None:
    case = phantoms.case()
    ids = case.lesions.ids.copy()
    ids[2:8, 2:6, 2:6] = 2
    lesions = LabelMap(ids, case.lesions.affine, {1: "small", 2: "large"})
    ras = planes.ras_case(Case(case.ct, case.organs, lesions))
    lesion = planes.largest_lesion(ras)
    assert lesion is not None and lesion.id == 2 and lesion.extent_mm(ras.spacing) == 12.0
    assert ras.lesions[planes.slices_through(ras, lesion)] == 2


def test_a_box_that_leaves_the_grid_is_filled_with_air() -> None:
    case = planes.ras_case(phantoms.case())
    plane = planes.cut(case, "axial", (12, 10, 8), ((-3, 30), (-2, 10), (0, 16)))
    assert plane.hu.shape == (12, 33)
    assert (plane.hu[:2] == -1000).all() and (plane.hu[:, :6] == -1000).all() and (plane.organs[:2] == 0).all()


def test_lung_is_told_by_the_air_around_the_lesion() -> None:
    case = phantoms.case()
    assert not planes.in_lung(planes.ras_case(case), planes.LesionBox(1, (slice(14, 17), slice(8, 11), slice(7, 9))))
    hu = np.where(case.lesions.ids > 0, 30, -850).astype(np.int16)
    ras = planes.ras_case(Case(Volume(hu, case.ct.affine), case.organs, case.lesions))
    lesion = planes.largest_lesion(ras)
    assert lesion is not None and planes.in_lung(ras, lesion)


def pixels(case: Case, *lines: str) -> np.ndarray:
    return np.asarray(imread(io.BytesIO(preview.render(case, lines))))[..., :3]


def lesion_pixels(picture: np.ndarray) -> int:
    return int((np.abs(picture - LESION_RGB).max(axis=-1) < 0.1).sum())


def test_lesions_are_outlined_and_named_in_the_legend() -> None:
    case = phantoms.case()
    healthy = LabelMap(np.zeros_like(case.lesions.ids), case.lesions.affine, {})
    assert lesion_pixels(pixels(case)) > 100
    assert lesion_pixels(pixels(Case(case.ct, case.organs, healthy))) == 0


def test_names_in_the_legend_stay_in_their_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    case = phantoms.case()
    ids = np.zeros_like(case.lesions.ids)
    ids.ravel()[:5] = range(1, 6)
    names = {i: f"planning_target_of_a_very_long_name_{i}" for i in range(1, 6)}
    written = []
    monkeypatch.setattr(preview._Sheet, "text", lambda _, x, y, text, **__: written.append((x, y, text)))
    preview.render(Case(case.ct, case.organs, LabelMap(ids, case.lesions.affine, names)), [])
    lesions = [(x, y, text) for x, y, text in written if "planning" in text or "more of them" in text]
    assert [text[:1] for *_, text in lesions] == ["1", "2", "3", "2"] and lesions[3][2] == "2 more of them"
    assert len({(x, y) for x, y, _ in lesions}) == 4
    assert all(len(text) <= 26 for *_, text in lesions)


def test_the_same_case_gives_the_same_picture_and_findings_change_it() -> None:
    case = phantoms.case()
    first = preview.render(case, ["Liver: one lesion of 8 mm."])
    assert first == preview.render(case, ["Liver: one lesion of 8 mm."])
    assert first != preview.render(case, ["Liver: one lesion of 9 mm."])
    assert b"synthct synthetic" in first[:300]


def test_a_long_report_is_cut_and_says_where_the_rest_is() -> None:
    case = phantoms.case()
    short, long = pixels(case, *["line"] * 40), pixels(case, *["line"] * 400)
    assert short.shape == long.shape


def test_dollar_signs_and_an_empty_body_are_no_trouble() -> None:
    air = Volume(np.full((8, 8, 8), -1000, np.int16), phantoms.RAS_2MM)
    empty = LabelMap(np.zeros((8, 8, 8), np.uint8), phantoms.RAS_2MM, {})
    assert pixels(Case(air, empty, empty), "cost $5 and $6, a_b^c").ndim == 3


def test_a_figure_is_freed_when_the_picture_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[weakref.ref[Figure]] = []

    def figure(**options: Any) -> Figure:
        made = Figure(**options)
        figures.append(weakref.ref(made))
        return made

    monkeypatch.setattr(preview, "Figure", figure)
    preview.render(phantoms.case(), ["IMPRESSION", "One cyst."])
    assert [known() for known in figures] == [None] and gc.isenabled()
