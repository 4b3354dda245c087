"""Radiographs: landmarks where a pinhole puts them, masks that are projections, films, DICOM, sentences, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from nibabel.affines import apply_affine
from PIL import Image

from synth import cli
from synth.errors import InputError
from synth.scanner.metal import to_mu
from synth.volumes import nifti
from synth.volumes.types import Case, LabelMap, Volume
from synth.xray import film as films
from synth.xray import findings, views

pytest.importorskip("nanodrr", reason="the extra xray is not installed")

from synth.xray.project import attenuation, lengths  # noqa: E402
from synth.xray.radiograph import take  # noqa: E402

AFFINE = np.array([[-3.0, 0, 0, 70.0], [0, 2.5, 0, -40.0], [0, 0, 4.0, -300.0], [0, 0, 0, 1.0]])  # runs to the left
SHAPE = (48, 40, 30)
MARKS = {"heart": (8, 10, 6), "liver": (40, 30, 22), "spleen": (24, 20, 15)}
VIEWS = ["ap", "pa", "lateral", "30,-20"]


def body() -> Case:
    """Soft tissue in air, with three voxels labelled and a lesion of some voxels off the middle."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[4:44, 4:36, 2:28] = 30
    ids = np.zeros(SHAPE, np.uint8)
    names = {51: "heart", 5: "liver", 1: "spleen"}
    for number, name in names.items():
        ids[MARKS[name]] = number
    lesions = np.zeros(SHAPE, np.uint8)
    lesions[12:16, 20:25, 9:12] = 1
    hu[lesions > 0] = np.random.default_rng(0).integers(850, 950, (lesions > 0).sum())
    return Case(Volume(hu, AFFINE), LabelMap(ids, AFFINE, names), LabelMap(lesions, AFFINE, {1: "lung_nodule_1"}))


@pytest.fixture(scope="module")
def case() -> Case:
    return body()


@pytest.mark.parametrize("view", VIEWS)
def test_landmarks_fall_where_a_pinhole_puts_them(case: Case, view: str) -> None:
    """To one pixel; worked out here by similar triangles, not by the camera's own method."""
    camera = views.camera(case.ct, view, 128)
    paths = lengths(case, camera)
    for name, voxel in MARKS.items():
        ray = apply_affine(AFFINE, voxel) - camera.source
        hit = ray * (camera.distance_mm / (ray @ camera.beam))
        middle = camera.beam * camera.distance_mm
        expected = [(hit - middle) @ axis / camera.pixel_mm + 64 for axis in (camera.columns, camera.rows)]
        rows, columns = np.nonzero(paths[name])
        weight = paths[name][rows, columns]
        found = [float((at + 0.5) @ weight / weight.sum()) for at in (columns, rows)]
        np.testing.assert_allclose(found, expected, atol=1.0)
        mirrored = [128 - expected[0], expected[1]]
        assert name == "spleen" or np.abs(np.subtract(found, mirrored)).max() > 5


@pytest.mark.parametrize("view", VIEWS)
def test_the_lesion_s_mask_is_the_projection_of_its_voxels(case: Case, view: str) -> None:
    camera = views.camera(case.ct, view, 128)
    mask = lengths(case, camera)["lung_nodule_1"] > 0
    # the lesion is a box of voxels: which rays through the middle of a pixel cross it?
    at = (np.stack(np.meshgrid(np.arange(128), np.arange(128)), -1) + 0.5 - 64) * camera.pixel_mm
    ends = camera.source + camera.distance_mm * camera.beam + at @ np.stack([camera.columns, camera.rows])
    inverse = np.linalg.inv(AFFINE)
    start, ray = (
        apply_affine(inverse, camera.source),
        apply_affine(inverse, ends) - apply_affine(inverse, camera.source),
    )
    low, high = (np.array(corner) - 0.5 for corner in ((12, 20, 9), (16, 25, 12)))
    with np.errstate(divide="ignore"):
        enter, leave = (low - start) / ray, (high - start) / ray
    through = np.maximum(enter, leave).min(axis=-1) - np.minimum(enter, leave).max(axis=-1)
    mm = through * np.linalg.norm(ends - camera.source, axis=-1)  # a ray that just grazes a corner may be missed
    assert mask[mm > 2.5].all() and (mask & (mm < -0.05)).sum() == 0 and (mm > 2.5).sum() > 0.9 * mask.sum() > 45


def test_films_hang_right_to_the_left_and_head_up(case: Case) -> None:
    for view in ("ap", "pa"):
        camera = views.camera(case.ct, view, 128)
        right, left = (camera.pixels(np.array([x, 0.0, -250.0])) for x in (40.0, -40.0))
        head, feet = (camera.pixels(np.array([0.0, 0.0, z])) for z in (-210.0, -290.0))
        assert right[0] < left[0] and head[1] < feet[1]
    lateral = views.camera(case.ct, "lateral", 128)
    assert lateral.pixels(np.array([0, 40.0, -250]))[0] < lateral.pixels(np.array([0, -40.0, -250]))[0]
    for angle, named in (("0", "ap"), ("0,0", "ap"), ("-90", "lateral")):
        np.testing.assert_allclose(views.directions(angle)[0], views.directions(named)[0], atol=1e-9)


def test_paths_and_attenuation_are_lengths_times_what_is_there(case: Case) -> None:
    camera = views.camera(case.ct, "ap", 64)
    dense = attenuation(case, camera)
    through = camera.pixels(np.array([0.0, 10.0, -240.0])).astype(int)
    tissue = 32 * 2.5 * float(to_mu(np.float32(30) + 0 * _tensor()))
    assert dense[through[1], through[0]] == pytest.approx(tissue, rel=0.02)
    nodule = lengths(case, camera)["lung_nodule_1"]
    assert nodule.max() == pytest.approx(5 * 2.5, rel=0.1)


@pytest.mark.parametrize("view", VIEWS)
def test_film_and_masks_lie_on_each_other(case: Case, view: str) -> None:
    """They come from two projectors: of a lesion of eight pixels to 0.3 of one, and sums to 10%."""
    alone = np.where(case.lesions.ids > 0, 900, -1000).astype(np.int16)
    camera = views.camera(case.ct, view, 128)
    dense = attenuation(Case(Volume(alone, AFFINE), case.organs, case.lesions), camera)
    path = lengths(case, camera)["lung_nodule_1"]
    rows, columns = np.indices(path.shape)
    for at in (rows, columns):
        assert (at * dense).sum() / dense.sum() == pytest.approx((at * path).sum() / path.sum(), abs=0.3)
    assert dense.sum() == pytest.approx(path.sum() * float(to_mu(900 + 0 * _tensor())), rel=0.1)


def _tensor():  # type: ignore[no-untyped-def]
    import torch

    return torch.zeros(())


def test_noise_of_a_film_goes_with_its_counts() -> None:
    flat = np.full((200, 200), 2.0, np.float32)
    flat[:, 100:] = 5.0
    one = films.exposed(flat, 1.0, 3).attenuation()
    for part, mean in ((one[10:-10, 5:95], 2.0), (one[10:-10, 105:195], 5.0)):
        expected = 1 / np.sqrt(films.AIR_PHOTONS_MM2 * np.exp(-mean))
        assert part.mean() == pytest.approx(mean, abs=0.02) and part.std() == pytest.approx(expected, rel=0.1)
    assert np.array_equal(films.exposed(flat, 1.0, 3).pixels, films.exposed(flat, 1.0, 3).pixels)


def test_a_sentence_is_said_of_what_stands_out_alone(case: Case) -> None:
    where = apply_affine(AFFINE, np.argwhere(case.lesions.ids > 0)).mean(axis=0).tolist()
    facts = {"id": 1, "kind": "nodule", "organ": "lung", "side": "right", "segment": "upper", "centre_mm": where}
    report = {"sentences": [{"id": "lung_nodule_1", "section": "findings", "facts": {**facts, "contrast_hu": 870.0}}]}
    taken = take(case, "pa", 1, detector=128, report=report)
    (said,) = taken.sentences
    assert said["text"] == f"Nodule of {said['facts']['long_axis_mm']:.0f} mm in the right upper lobe, in projection."
    assert said["facts"]["long_axis_mm"] == pytest.approx(np.hypot(4 * 3, 3 * 4), abs=2)  # from the front
    report["sentences"][0]["facts"]["contrast_hu"] = 1.0  # type: ignore[index]
    assert not take(case, "pa", 1, detector=128, report=report).sentences


def test_the_cardiothoracic_ratio_is_that_of_the_widths() -> None:
    paths = {name: np.zeros((40, 100)) for name in ("heart", "lung_upper_lobe_left", "lung_upper_lobe_right")}
    paths["lung_upper_lobe_right"][:, 10:40] = 1
    paths["lung_upper_lobe_left"][:, 50:90] = 1
    paths["heart"][:, 40:72] = 1
    assert findings._cardiothoracic(paths) == pytest.approx(32 / 80)
    paths["lung_upper_lobe_left"][:, 90:] = 1  # leaves the film
    assert findings._cardiothoracic(paths) is None


def test_the_command_writes_films_masks_and_dicom(case: Case, tmp_path: Path) -> None:
    nifti.write_volume(tmp_path / "chest.nii.gz", case.ct)
    nifti.write_labels(tmp_path / "organs.nii.gz", case.organs)
    arguments = [
        "xray",
        str(tmp_path / "chest.nii.gz"),
        "--organs",
        str(tmp_path / "organs.nii.gz"),
        "--view",
        "lateral",
    ]
    arguments += ["--view", "30,-10", "--detector", "64", "--out", str(tmp_path / "o"), "-q"]
    assert cli.main(arguments) == 0
    folder = tmp_path / "o/chest"
    content = json.loads((folder / "xrays.json").read_text())
    assert [view["film"] for view in content["views"]] == ["lateral.png", "angle_30_-10.png"]
    for view in content["views"]:
        pixels = np.asarray(Image.open(folder / view["film"]))
        assert pixels.dtype == np.uint16 and pixels.shape == (64, 64)
        with np.load(folder / view["film"].replace(".png", "_mm.npz")) as paths:
            for entry in view["structures"]:
                mask = np.asarray(Image.open(folder / view["masks"] / f"{entry['name']}.png")) > 0
                x, y, w, h = entry["box"]
                assert mask.sum() == entry["pixels"] == mask[y : y + h, x : x + w].sum()
                np.testing.assert_array_equal(mask, paths[entry["name"]] > 0)
        read = pydicom.dcmread(folder / view["film"].replace(".png", ".dcm"))
        np.testing.assert_array_equal(read.pixel_array, pixels)
        assert read.Modality == "DX" and read.SyntheticData == "YES"
    assert pydicom.dcmread(folder / "lateral.dcm").PatientOrientation == ["P", "F"]
    before = (folder / "xrays.json").stat().st_mtime_ns
    assert cli.main(arguments) == 0 and (folder / "xrays.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--view", "back"], "--view 'back': say ap, pa, lateral, or degrees"),
        (["--view", "10,80"], "--view '10,80': say"),
        (["--detector", "0"], "--detector 0: ask for 32 to 4096 pixels"),
        (["--field-mm", "-1"], "--field-mm -1: ask for the side"),
        (["--centre", "0,0"], "--centre '0,0': give x,y,z in mm"),
        (["--centre", "900,0,0", "--field-mm", "100"], "the detector misses the body"),
    ],
)
def test_bad_input_is_one_line(
    options: list[str], said: str, case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nifti.write_volume(tmp_path / "chest.nii.gz", case.ct)
    assert cli.main(["xray", str(tmp_path / "chest.nii.gz"), *options, "-q", "--out", str(tmp_path / "o")]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("second", "said"), [("none.nii.gz", "none.nii.gz: no such file or folder"), ("a/chest.nii.gz", "'chest', as ")]
)
@pytest.mark.parametrize("verb", [["xray", "--detector", "32"], ["scan", "--slice-mm", "6"]])
def test_of_several_inputs_all_are_looked_at_before_one_is_worked_on(
    verb: list[str], second: str, said: str, case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").mkdir()
    for name in ("chest.nii.gz", "a/chest.nii.gz"):
        nifti.write_volume(tmp_path / name, case.ct)
    both = [str(tmp_path / name) for name in ("chest.nii.gz", second)]
    assert cli.main([*verb, *both, "-q", "--out", str(tmp_path / "o")]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "o").exists()


def test_without_the_extra_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from synth.xray import settings

    monkeypatch.setattr(settings, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"needs the package nanodrr; pip install 'synthct\[xray\]'"):
        settings.require_nanodrr()
