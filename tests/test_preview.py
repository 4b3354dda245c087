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
from synth.volumes.planes import RasCase
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


def two_lesions(names: dict[int, str] | None = None) -> RasCase:
    """A small lesion far from a large one."""
    case = phantoms.case()
    ids = np.zeros_like(case.lesions.ids)
    ids[2:8, 2:6, 2:6] = 2
    ids[18:20, 15:17, 11:13] = 1
    lesions = LabelMap(ids, case.lesions.affine, names or {1: "small_1", 2: "large_2"})
    return planes.ras_case(Case(case.ct, case.organs, lesions))


def test_the_planes_show_every_finding_between_them() -> None:
    ras = two_lesions()
    small, large = planes.lesions_of(ras)
    assert (small.id, large.id, large.extent_mm(ras.spacing)) == (1, 2, 12.0)
    at = planes.slices_through(ras, (small, large))
    cuts = [planes.cut(ras, name, at, ((0, 24), (0, 20), (0, 16))) for name in ("axial", "coronal", "sagittal")]
    shown = [set(np.unique(view.lesions)) - {0} for view in cuts]
    assert shown[0] and shown[1] and shown[0] | shown[1] == {1, 2}
    assert ras.lesions[planes.middle_of(ras, small)] == 1 and ras.lesions[planes.middle_of(ras, large)] == 2


def test_a_lesion_without_a_name_or_voxels_is_none() -> None:
    assert [lesion.id for lesion in planes.lesions_of(two_lesions({2: "large_2", 7: "gone_7"}))] == [2]


def test_a_box_that_leaves_the_grid_is_filled_with_air() -> None:
    case = planes.ras_case(phantoms.case())
    plane = planes.cut(case, "axial", (12, 10, 8), ((-3, 30), (-2, 10), (0, 16)))
    assert plane.hu.shape == (12, 33)
    assert (plane.hu[:2] == -1000).all() and (plane.hu[:, :6] == -1000).all() and (plane.organs[:2] == 0).all()


@pytest.mark.parametrize(
    ("name", "air", "bone", "window"),
    [
        ("liver_cyst_1", False, False, planes.SOFT_TISSUE),
        ("lung_nodule_1", True, False, planes.LUNG),
        ("pleural_effusion_1", True, False, planes.SOFT_TISSUE),
        ("bone_metastasis_1", False, True, planes.BONE),
        ("coronary_calcification_1", False, False, planes.BONE),
    ],
)
def test_a_finding_is_shown_in_the_window_of_its_organ(name: str, air: bool, bone: bool, window: planes.Window) -> None:
    case = phantoms.case()
    hu = np.where(case.lesions.ids > 0, 30, -850 if air else 40).astype(np.int16)
    ids = np.full_like(case.organs.ids, 31)
    organs = LabelMap(ids, case.ct.affine, {31: "vertebrae_L1" if bone else "liver"})
    lesions = LabelMap(case.lesions.ids, case.ct.affine, {1: name})
    ras = planes.ras_case(Case(Volume(hu, case.ct.affine), organs, lesions))
    (lesion,) = planes.lesions_of(ras)
    assert planes.window_of(ras, lesion) == window


def pixels(case: Case, *lines: str) -> np.ndarray:
    return np.asarray(imread(io.BytesIO(preview.render(case, lines))))[..., :3]


def lesion_pixels(picture: np.ndarray) -> int:
    return int((np.abs(picture - LESION_RGB).max(axis=-1) < 0.1).sum())


def test_lesions_are_outlined_and_named_in_the_legend() -> None:
    case = phantoms.case()
    healthy = LabelMap(np.zeros_like(case.lesions.ids), case.lesions.affine, {})
    assert lesion_pixels(pixels(case)) > 100
    assert lesion_pixels(pixels(Case(case.ct, case.organs, healthy))) == 0


def words_of(monkeypatch: pytest.MonkeyPatch, case: Case, *args: Any) -> list[tuple[float, float, str, str]]:
    """(x, y, text, colour) of everything written on the sheet."""
    written: list[tuple[float, float, str, str]] = []

    def text(_: Any, x: float, y: float, words: str, colour: str = "", **__: Any) -> None:
        written.append((x, y, words, colour))

    monkeypatch.setattr(preview._Sheet, "text", text)
    preview.render(case, *args)
    return written


def many(count: int) -> Case:
    case = phantoms.case()
    ids = np.zeros_like(case.lesions.ids)
    ids.ravel()[:count] = range(1, count + 1)
    names = {i: f"lung_nodule_{i}" for i in range(1, count + 1)}
    return Case(case.ct, case.organs, LabelMap(ids, case.lesions.affine, names))


def test_each_finding_has_a_row_with_its_number_name_and_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    written = words_of(monkeypatch, many(3), [])
    numbers = [(y, text, colour) for _, y, text, colour in written if text in "123"]
    assert [text for _, text, _ in numbers] == ["1", "2", "3"]
    assert len({colour for *_, colour in numbers}) == 3 and len({y for y, *_ in numbers}) == 3
    assert [text for *_, text, _ in written].count("lung nodule") == 3


def test_findings_beyond_the_rows_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    written = words_of(monkeypatch, many(8), [])
    assert [text for *_, text, _ in written if text in "12345678"] == list("123456")
    assert any(text == "and lung nodule, lung nodule" for *_, text, _ in written)


def test_organs_have_a_legend_of_their_own_below_the_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    written = words_of(monkeypatch, phantoms.case(), [])
    (heading,) = (y for _, y, text, _ in written if text == "Organs")
    names = [text for _, y, text, _ in written if y > heading and text.isalpha()]
    assert names and not any("nodule" in name or "cyst" in name for name in names)


def test_the_header_says_what_it_is_and_the_row_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    case = many(1)
    told = {"sentences": [{"id": "lung_nodule_1", "section": "findings", "text": "A nodule of 3 mm."}]}
    drawn = [text for *_, text, _ in words_of(monkeypatch, case, [])]
    put_in = [text for *_, text, _ in words_of(monkeypatch, case, [], "insert", told)]
    assert drawn[0] == "Synthetic CT" and "synthct 0." in drawn[1] and "synthetic" not in drawn[1]
    assert put_in[0] == "CT of a host with synthetic findings" and "A nodule of 3 mm." in put_in


def test_a_spread_finding_is_a_translucent_layer_and_not_an_outline() -> None:
    case = phantoms.case()
    body = pixels(case)
    spread = LabelMap(case.lesions.ids, case.lesions.affine, {1: "ground_glass_opacity_1"})
    layer = pixels(Case(case.ct, case.organs, spread))
    assert lesion_pixels(layer) < lesion_pixels(body)
    red = lambda p: int(((p[..., 0] - p[..., 1]) > 0.15).sum())  # noqa: E731
    assert red(layer) > red(body)


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


def test_what_an_organ_moved_as_it_grew_is_no_layer() -> None:
    case = phantoms.case()
    kinds = ("cardiomegaly_1", "ground_glass_opacity_1")
    moved, spread = (
        pixels(Case(case.ct, case.organs, LabelMap(case.lesions.ids, case.lesions.affine, {1: k}))) for k in kinds
    )
    assert lesion_pixels(moved) > lesion_pixels(spread)
