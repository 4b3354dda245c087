"""NIfTI: what is written comes back, twice the same bytes, and what is no CT or label map is refused in one line."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.testing import data_path

from synth.errors import InputError
from synth.volumes import nifti
from synth.volumes.types import LabelMap, Volume
from tests import phantoms


def _rotation(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def _affine(axes: np.ndarray, origin: tuple[float, float, float] = (-12.5, 30.25, -401.0)) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes, origin
    return affine


AFFINES = {
    "RAS": _affine(np.diag([0.7, 0.7, 2.5])),
    "LAS": _affine(np.diag([-0.7, 0.7, 2.5])),
    "LPS": _affine(np.diag([-3.9, -3.9, 2.5])),
    "oblique": _affine(_rotation(17) @ np.diag([1.1, 0.9, 2.0])),
    "axes swapped": _affine(np.diag([2.0, 1.0, 3.0])[:, [2, 0, 1]]),
}


def save(path: Path, array: np.ndarray, affine: np.ndarray = phantoms.RAS_2MM, code: int = 1) -> Path:
    """Save with nibabel alone, as somebody else's software would."""
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, code=code)
    image.set_qform(None, code=0)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES.keys())
def test_volume_and_labels_round_trip_on_any_grid(tmp_path: Path, affine: np.ndarray) -> None:
    case = phantoms.case(affine=affine)
    nifti.write_volume(tmp_path / "ct.nii.gz", case.ct)
    nifti.write_labels(tmp_path / "organs.nii.gz", case.organs)
    ct = nifti.read_volume(tmp_path / "ct.nii.gz")
    organs = nifti.read_labels(tmp_path / "organs.nii.gz", like=ct)
    assert ct.hu.dtype == np.int16 and np.array_equal(ct.hu, case.ct.hu)
    assert np.allclose(ct.affine, affine, atol=1e-4)
    assert organs.ids.dtype == np.uint8 and np.array_equal(organs.ids, case.organs.ids)
    assert organs.names == {3: "kidney_left", 5: "liver"}


def test_header_states_units_codes_and_the_synthetic_mark(tmp_path: Path) -> None:
    nifti.write_volume(tmp_path / "ct.nii.gz", phantoms.body(affine=AFFINES["oblique"]))
    header = nib.load(tmp_path / "ct.nii.gz").header
    assert header.get_xyzt_units()[0] == "mm"
    assert int(header["sform_code"]) == int(header["qform_code"]) == 1
    assert np.allclose(header.get_qform(), AFFINES["oblique"], atol=1e-3)
    assert bytes(header["descrip"]).startswith(b"synthct synthetic ")
    assert header.get_data_dtype() == np.int16


def test_same_volume_gives_same_bytes_without_time_or_name(tmp_path: Path) -> None:
    volume = phantoms.body()
    nifti.write_volume(tmp_path / "a.nii.gz", volume)
    nifti.write_volume(tmp_path / "b.nii.gz", volume)
    content = (tmp_path / "a.nii.gz").read_bytes()
    assert content == (tmp_path / "b.nii.gz").read_bytes()
    assert content[3] == 0 and content[4:8] == bytes(4)  # gzip flags (no name) and MTIME, RFC 1952
    changed = volume.hu.copy()
    changed[0, 0, 0] += 1
    nifti.write_volume(tmp_path / "b.nii.gz", Volume(changed, volume.affine))
    assert content != (tmp_path / "b.nii.gz").read_bytes()


def test_ids_above_255_are_kept_in_16_bits(tmp_path: Path) -> None:
    ids = np.zeros((4, 4, 4), np.uint16)
    ids[1, 1, 1] = 300
    nifti.write_labels(tmp_path / "l.nii.gz", LabelMap(ids, phantoms.RAS_2MM, {300: "liver"}))
    back = nifti.read_labels(tmp_path / "l.nii.gz", organ_ids={300: "liver"})
    assert back.ids.dtype == np.uint16 and np.array_equal(back.ids, ids) and back.names == {300: "liver"}


def test_trailing_singleton_axis_is_a_volume(tmp_path: Path) -> None:
    hu = phantoms.body().hu
    path = save(tmp_path / "ct.nii", hu[..., None])
    assert np.array_equal(nifti.read_volume(path).hu, hu)


def test_scaled_and_big_endian_and_nifti2_are_read_alike(tmp_path: Path) -> None:
    hu = phantoms.body().hu
    stored = nib.Nifti1Image((hu + 1024).astype(np.int16), phantoms.RAS_2MM)
    stored.header.set_slope_inter(1, -1024)
    nib.save(stored, tmp_path / "scaled.nii.gz")
    (tmp_path / "scaled.nii.gz").replace(tmp_path / "scaled.nii")  # compressed, whatever its name
    swapped = nib.Nifti1Image(hu, phantoms.RAS_2MM, nib.Nifti1Header(endianness=">"))
    nib.save(swapped, tmp_path / "big.nii")
    nib.save(nib.Nifti2Image(hu, phantoms.RAS_2MM), tmp_path / "two.nii.gz")
    for name in ("scaled.nii", "big.nii", "two.nii.gz"):
        assert np.array_equal(nifti.read_volume(tmp_path / name).hu, hu), name


def test_values_outside_the_scale_are_read_with_a_note(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hu = phantoms.body().hu.astype(np.float32)
    hu[0], hu[10, 10, 8] = -3024, 9000
    with caplog.at_level(logging.WARNING):
        volume = nifti.read_volume(save(tmp_path / "ct.nii", hu))
    assert (volume.hu[0] == -1024).all() and volume.hu[10, 10, 8] == 3071
    assert "320 voxels below -1024 HU (down to -3024" in caplog.text and "1 voxels above 3071" in caplog.text


def test_fractions_are_rounded_with_a_note_and_near_integers_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hu = phantoms.body().hu.astype(np.float32)
    near = nifti.read_volume(save(tmp_path / "near.nii", hu + 4e-4))
    assert np.array_equal(near.hu, hu) and not caplog.records
    nifti.read_volume(save(tmp_path / "half.nii", hu + 0.25))
    assert "HU are fractions (off by up to 0.250)" in caplog.text


def _with(hu: np.ndarray, value: float) -> np.ndarray:
    out = hu.astype(np.float32)
    out[3, 3, 3] = value
    return out


HU = phantoms.body().hu
SHEARED = np.array([[2, 0.5, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1.0]])
REFUSED = {
    "2D": (HU[:, :, 8], "2D image"),
    "one slice": (HU[:, :, 8:9], "2D image"),
    "4D": (np.stack([HU, HU], axis=-1), "4D image (2 volumes)"),
    "NaN": (_with(HU, np.nan), "1 voxels are NaN or infinite"),
    "inf": (_with(HU, np.inf), "1 voxels are NaN or infinite"),
    "complex": (HU.astype(np.complex64), "stored as complex64"),
    "8-bit": (((HU.astype(float) + 1000) / 8).clip(0, 255).astype(np.uint8), "values 0 to 212 are no HU (an 8-bit"),
    "0..1": (((HU + 1000) / 1700).astype(np.float32), "normalised to 0..1"),
    "-1..1": ((HU / 1000).astype(np.float32), "a normalised image"),
    "z-score": (((HU + 400.0) / 40).astype(np.float32), "hold no air or lung"),
    "no intercept": ((HU + 1024).astype(np.int16), "HU = value - 1024"),
    "constant": (np.zeros_like(HU), "one value everywhere"),
    "window": (HU.clip(-160, 240), "air is cut off at -160 (a window, or HU off?)"),
    "bone alone": (np.where(HU < -150, HU, 900).astype(np.int16), "no soft tissue"),
}


@pytest.mark.parametrize(("array", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_ct_is_refused_in_one_line(tmp_path: Path, array: np.ndarray, said: str) -> None:
    path = save(tmp_path / "host.nii.gz", array)
    with pytest.raises(InputError) as caught:
        nifti.read_volume(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and said in message and ";" in message and "\n" not in message


@pytest.mark.parametrize("name", ["anatomical.nii", "reoriented_anat_moved.nii", "standard.nii.gz", "example4d.nii.gz"])
def test_real_mr_images_are_refused(name: str) -> None:
    path = Path(data_path) / name
    if not path.exists():
        pytest.skip(f"this nibabel carries no {name}")
    with pytest.raises(InputError):
        nifti.read_volume(path)


def test_grids_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sheared .*resample"):
        nifti.read_volume(save(tmp_path / "tilt.nii", HU, SHEARED))
    with pytest.raises(InputError, match="left and right are unknown"):
        nifti.read_volume(save(tmp_path / "nowhere.nii", HU, code=0))


def test_labels_in_another_axis_order_are_turned_and_corners_are_compared(tmp_path: Path) -> None:
    ct = Volume(HU, phantoms.RAS_2MM)
    ids = np.zeros(HU.shape, np.uint8)
    ids[3, 4, 5] = 1
    turn = nib.orientations.axcodes2ornt(("P", "I", "R"))
    image = nib.Nifti1Image(ids, phantoms.RAS_2MM)
    image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(phantoms.RAS_2MM), turn)).to_filename(
        tmp_path / "t.nii"
    )
    assert np.array_equal(nifti.read_ids(tmp_path / "t.nii", like=ct)[0], ids)
    near, far = phantoms.RAS_2MM.copy(), phantoms.RAS_2MM.copy()
    near[:3, 3] += 0.02
    far[:3, 0] *= 1.007
    assert np.array_equal(nifti.read_ids(save(tmp_path / "near.nii", ids, near), like=ct)[0], ids)
    far[:3, 0] *= 1.03
    with pytest.raises(InputError, match="whose corners are up to .* mm away"):
        nifti.read_ids(save(tmp_path / "far.nii", ids, far), like=ct)


def test_integers_with_a_slope_are_integers_again_and_micrometres_become_mm(tmp_path: Path) -> None:
    image = nib.Nifti1Image((np.arange(HU.size).reshape(HU.shape) % 15 * 1000).astype(np.int16), phantoms.RAS_2MM)
    image.header.set_slope_inter(0.0010001, 0)
    image.set_sform(phantoms.RAS_2MM, code=1)
    image.to_filename(tmp_path / "slope.nii")
    assert nifti.read_ids(tmp_path / "slope.nii")[0].max() == 14
    small = phantoms.RAS_2MM.copy()
    small[:3] *= 1000
    image = nib.Nifti1Image(HU, small)
    image.set_sform(small, code=1)
    image.header.set_xyzt_units("micron")
    image.to_filename(tmp_path / "micron.nii")
    assert np.allclose(nifti.read_volume(tmp_path / "micron.nii").affine, phantoms.RAS_2MM, atol=1e-3)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    whole = save(tmp_path / "ct.nii.gz", HU).read_bytes()
    plain = gzip.decompress(whole)
    broken = {
        "cut.nii.gz": (whole[: len(whole) // 2], "damaged gzip file"),
        "crc.nii.gz": (whole[:-8] + bytes(8), "damaged gzip file"),
        "short.nii": (plain[:-100], "fewer voxels than its header says"),
        "short.nii.gz": (gzip.compress(plain[:-100]), "fewer voxels than its header says"),
        "text.nii": (b"patient,age\n1,50\n" * 40, "not a NIfTI file"),
        "empty.nii": (b"", "not a NIfTI file"),
        "dtype.nii": (plain[:70] + b"\x07\x07" + plain[72:], "NIfTI header"),
    }
    for name, (content, said) in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=said) as caught:
            nifti.read_volume(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no such file"):
        nifti.read_volume(tmp_path / "missing.nii.gz")
    with pytest.raises(InputError, match="is a folder"):
        nifti.read_volume(tmp_path)


def test_labels_on_another_grid_name_both_grids(tmp_path: Path) -> None:
    ct = phantoms.body()
    shifted = ct.affine.copy()
    shifted[0, 3] += 5
    for ids, affine in ((np.zeros((4, 4, 4), np.uint8), ct.affine), (np.zeros(ct.hu.shape, np.uint8), shifted)):
        path = save(tmp_path / "l.nii.gz", ids, affine)
        with pytest.raises(InputError, match="labels on another grid .*24 x 20 x 16 voxels of 2 x 2 x 3 mm.*nearest"):
            nifti.read_labels(path, like=ct)


@pytest.mark.parametrize(("value", "said"), [(1.5, "1.5 is not an integer"), (-2, "-2 is negative"), (7e4, "70000")])
def test_values_that_are_no_ids_are_refused(tmp_path: Path, value: float, said: str) -> None:
    ids = np.zeros((4, 4, 4), np.float32)
    ids[2, 2, 2] = value
    with pytest.raises(InputError, match=said):
        nifti.read_labels(save(tmp_path / "l.nii.gz", ids))


def test_float_labels_that_are_integers_are_read(tmp_path: Path) -> None:
    ids = np.zeros((4, 4, 4), np.float64)
    ids[2, 2, 2] = 5
    labels = nifti.read_labels(save(tmp_path / "l.nii.gz", ids))
    assert labels.ids.dtype == np.uint8 and labels.present() == ["liver"]


def test_ids_without_a_name_are_listed_in_a_note(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ids = np.zeros((4, 4, 4), np.uint8)
    ids[0, 0, 0], ids[1, 0, 0], ids[2, 0, 0] = 3, 118, 250
    path = save(tmp_path / "l.nii.gz", ids)
    by_table = nifti.read_labels(path)
    assert by_table.names == {3: "kidney_left"} and "labels 118, 250 have no name" in caplog.text
    caplog.clear()
    by_option = nifti.read_labels(path, organ_ids={118: "costal_cartilages", 9: "liver"})
    assert by_option.names == {118: "costal_cartilages"} and np.array_equal(by_option.ids, ids)
    assert "labels 3, 250 have no name" in caplog.text


def test_unknown_organ_names_suggest_the_nearest(tmp_path: Path) -> None:
    path = save(tmp_path / "l.nii.gz", np.zeros((4, 4, 4), np.uint8))
    with pytest.raises(InputError, match="unknown organ 'left kidney'; did you mean .*kidney_left"):
        nifti.read_labels(path, organ_ids={3: "left kidney"})


def test_organ_ids_are_read_from_text_and_json(tmp_path: Path) -> None:
    expected = {3: "liver", 7: "kidney_left"}
    assert nifti.parse_organ_ids(" 3=liver, 7 = kidney_left,") == expected
    (tmp_path / "ids.json").write_text('{"3": "liver", "7": "kidney_left"}')
    assert nifti.parse_organ_ids(str(tmp_path / "ids.json")) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("liver", "'liver' is not ID=NAME"),
        ("x=liver", "'x' is no label id"),
        ("-3=liver", "'-3' is no label id"),
        ("0=liver", "'0' is no label id"),
        ("3=liver,3=spleen", "id 3 is named twice"),
        ("3=lever", "did you mean liver"),
        ("", "no ids in it"),
        ("none.json", "no such file"),
    ],
)
def test_organ_ids_that_cannot_be_used_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        nifti.parse_organ_ids(text)


def test_organ_ids_json_must_be_a_table(tmp_path: Path) -> None:
    for content, said in (("[1, 2]", "not a table"), ("{", "not JSON"), ('{"3": 5}', "not a table")):
        (tmp_path / "ids.json").write_text(content)
        with pytest.raises(InputError, match=said):
            nifti.parse_organ_ids(str(tmp_path / "ids.json"))


@pytest.mark.parametrize("table", [{3: "liver", 7: "liver_tumour"}, nifti.labels.maisi_names()])
def test_names_of_ids_are_read_back_as_they_are_written(table: dict[int, str]) -> None:
    written = nifti.written_ids(table)
    assert written is not None and nifti.parse_organ_ids(written) == table
    assert nifti.written_ids({}) is None and nifti.written_ids(nifti.labels.maisi_names()) == "maisi"
