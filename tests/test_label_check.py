"""Labels of another CT are refused with their figures, those of their own never; each mistake on a made-up chest."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from synth.errors import InputError
from synth.volumes import anatomy, labels
from synth.volumes.label_check import contradictions, require_match
from synth.volumes.label_fit import misfit
from synth.volumes.types import LabelMap, Volume
from tests.hosts import AFFINE, chest

IDS = labels.ids()


def _names(ids: np.ndarray) -> dict[int, str]:
    return {int(i): labels.names()[int(i)] for i in np.unique(ids) if i}


def _moved(axis: int, by: int) -> Callable[[np.ndarray], np.ndarray]:
    def move(ids: np.ndarray) -> np.ndarray:
        moved = np.roll(ids, by, axis)
        np.moveaxis(moved, axis, 0)[:by] = 0
        return moved

    return move


def _renamed(**new: str) -> Callable[[np.ndarray], np.ndarray]:
    def rename(ids: np.ndarray) -> np.ndarray:
        to = np.arange(256, dtype=np.uint8)
        for old, name in new.items():
            to[IDS[old]] = IDS[name]
        return to[ids]

    return rename


def _exchanged(ids: np.ndarray) -> np.ndarray:
    both = {name: labels.mirror(name) for name in _names(ids).values() if labels.mirror(name) in IDS}
    return _renamed(**both)(ids)


def _into_lung(ids: np.ndarray) -> np.ndarray:
    """The liver's label on itself and on a third of its size of lung above: its median stays that of a liver."""
    grown = ids.copy()
    grown[:, :, 8:12][grown[:, :, 8:12] == IDS["lung_lower_lobe_right"]] = IDS["liver"]
    return grown


MISTAKES = {
    "2 voxels along x": (_moved(0, 2), r"fit the CT better moved 2 voxels \(4.0 mm\) towards the right"),
    "5 voxels along y": (_moved(1, 5), "fit the CT better moved 5 voxels .* towards the back"),
    "2 slices along z": (_moved(2, 2), r"fit the CT better moved 2 voxels \(6.0 mm\) towards the feet"),
    "flipped along x": (lambda ids: ids[::-1], "lies .* mm"),
    "flipped along z": (lambda ids: ids[:, :, ::-1], "flipped feet to head"),
    "left and right": (_exchanged, "lung_.*_lobe_.* lies .* mm (right|left) of lung_"),
    "liver on lung": (_renamed(lung_upper_lobe_right="liver"), "liver has a median of -8.. HU"),
    "liver and lung": (_into_lung, r"liver is air in 3\d% of its voxels \(below -500 HU\)"),
    "lung on liver": (_renamed(liver="lung_middle_lobe_right"), "lung_middle_lobe_right has a median of 60 HU"),
    "LiTS": (lambda ids: (ids == IDS["liver"]).astype(np.uint8), "spleen lies .* mm right of the body's midline"),
    "all spleen": (lambda ids: np.full_like(ids, IDS["spleen"]), "spleen has a median of|spleen holds"),
}


@pytest.mark.parametrize(("wrong", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_labels_made_wrong_are_refused(wrong: Callable[[np.ndarray], np.ndarray], said: str) -> None:
    ct, right = chest()
    ids = np.ascontiguousarray(wrong(right.ids))
    with pytest.raises(InputError, match=f"labels do not belong to this CT: .*({said}).*--trust-labels"):
        require_match(ct, LabelMap(ids, AFFINE, _names(ids)), "labels.nii.gz")


def test_those_of_the_ct_are_taken_and_one_voxel_is_no_mistake() -> None:
    ct, right = chest()
    assert contradictions(ct, right) == []
    for axis in range(3):
        assert misfit(ct, LabelMap(_moved(axis, 1)(right.ids), AFFINE, right.names)) is None


def test_hu_that_are_off_are_seen_in_the_organs() -> None:
    ct, right = chest()
    off = Volume((ct.hu.astype(int) + 300).clip(-1024, 3071).astype(np.int16), AFFINE)
    assert any("liver has a median of 360 HU" in line for line in contradictions(off, right))


def test_trusted_labels_leave_a_note(caplog: pytest.LogCaptureFixture) -> None:
    ct, right = chest()
    with caplog.at_level(logging.WARNING):
        require_match(ct, LabelMap(_exchanged(right.ids), AFFINE, right.names), "labels.nii.gz", trust=True)
    assert "trusted all the same" in caplog.text


def test_a_structure_that_the_field_of_view_cuts_may_be_small() -> None:
    ct, right = chest()
    low = LabelMap(right.ids[:, :, 4:11].copy(), AFFINE, right.names)  # three slices of liver, at the edge
    assert contradictions(Volume(ct.hu[:, :, 4:11].copy(), AFFINE), low) == []
    inner = np.zeros_like(right.ids)
    inner[20:26, 20:28, 2:5] = IDS["liver"]
    assert any("(believable: from 150)" in line for line in contradictions(ct, LabelMap(inner, AFFINE, right.names)))


def test_the_table_of_anatomy_is_that_of_the_labels() -> None:
    table = anatomy.table()
    trees = {name for name in IDS if name.endswith(("_airways", "_arteries", "_veins"))}  # in a map of their own
    assert set(table) == set(IDS) - {"lung_nodule", "tumour"} - trees
    for row in labels.structures():
        if row.name in table:
            low, high = table[row.name].hu
            assert low <= row.hu_native[0] and low < high and table[row.name].ml[0] < table[row.name].ml[1]
    for name, believable in table.items():
        if name.endswith(("_left", "_right")) and labels.mirror(name) in table and believable.place[0] is not None:
            assert believable.place[0] * (-1 if name.endswith("_left") else 1) > 0


def test_one_wall_of_a_lung_does_not_tell_where_its_labels_should_lie() -> None:
    """Lung up to -500 HU ends before its wall is as bright as tissue: moved into the wall, it has the larger step."""
    x, y, z = np.indices((120, 120, 60))
    hu = np.where(x < 85 + 6 * np.sin(y / 14) + 4 * np.cos(z / 9), -850.0, 40.0)
    for at in ((20, 30), (40, 70), (30, 100)):  # vessels
        hu[(x - at[0]) ** 2 + (y - at[1]) ** 2 < 9] = 30
    hu = ndimage.gaussian_filter(hu, 1.0) + 15 * np.random.default_rng(0).standard_normal(hu.shape)
    lung = ndimage.binary_opening(hu < -500).astype(np.uint8)
    ct, affine = Volume(np.rint(hu).astype(np.int16), np.eye(4)), np.eye(4)
    assert misfit(ct, LabelMap(lung, affine, {1: "lung_upper_lobe_left"})) is None
    assert "moved" in str(misfit(ct, LabelMap(np.roll(lung, 12, axis=1), affine, {1: "lung_upper_lobe_left"})))
