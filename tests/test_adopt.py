"""A volume of another generator becomes a case, or is refused with what to say of it."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import synth
from evals.agreement import read_case as agreement_of
from synth import cli
from synth.case.folder import read_case
from synth.cohort.hosts import find_hosts
from synth.cohort.recipe import HostFolder
from synth.dicom.study import identity_of, study
from synth.errors import InputError
from synth.volumes import nifti
from synth.volumes.types import LabelMap, Volume
from tests import hosts

SPACING = "2,2.5,3"  # of the made-up chest
NODULE = (slice(44, 49), slice(22, 26), slice(12, 16))  # voxels in its left lower lobe
DATA = Path(os.environ.get("SYNTHCT_DATA", Path(__file__).parents[2] / "shared/data"))


def chest() -> tuple[Volume, LabelMap, np.ndarray]:
    """The made-up chest with a nodule in its left lower lobe, and the nodule's mask."""
    volume, organs = hosts.chest()
    hu, lesion = volume.hu.copy(), np.zeros(hosts.SHAPE, np.uint8)
    hu[NODULE] = 40
    lesion[NODULE] = 1
    return Volume(hu, volume.affine), organs, lesion


def saved(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


def masks(folder: Path, affine: np.ndarray | None = None) -> list[str]:
    """Options of the chest's organs and nodule, saved with an affine."""
    _, organs, lesion = chest()
    files = saved(folder / "organs.nii.gz", organs.ids, affine), saved(folder / "lesions.nii.gz", lesion, affine)
    return ["--organs", str(files[0]), "--lesions", str(files[1]), "--lesion-ids", "1=lung_nodule"]


def adopted(folder: Path, volume: Path, *options: str) -> Path:
    assert cli.main(["adopt", str(volume), *options, "--out", str(folder / "out"), "-q"]) == 0
    return folder / "out" / volume.name.split(".")[0]


def refused(folder: Path, capsys: pytest.CaptureFixture[str], volume: Path, *options: str) -> str:
    assert cli.main(["adopt", str(volume), *options, "--out", str(folder / "out"), "-q"]) == 2
    assert not (folder / "out").exists()
    line = [line for line in capsys.readouterr().err.splitlines() if ": note: " not in line]
    assert len(line) == 1
    return line[0]


def eight_bit(hu: np.ndarray, low: float = -1000, high: float = 1000) -> np.ndarray:
    return np.rint(((hu - low) / (high - low)).clip(0, 1) * 255).astype(np.uint8)


def test_a_finished_ct_is_a_case_like_any_other(tmp_path: Path) -> None:
    volume, organs, lesion = chest()
    file = saved(tmp_path / "sample.nii.gz", volume.hu, volume.affine)
    folder = adopted(tmp_path, file, *masks(tmp_path, volume.affine), "--by", "Other 2", "--prompt", "lung nodule")
    case, plan, report, manifest = read_case(folder)
    assert np.array_equal(case.ct.hu, volume.hu) and np.allclose(case.ct.affine, volume.affine)
    assert np.array_equal(case.organs.ids, organs.ids) and np.array_equal(case.lesions.ids > 0, lesion > 0)
    assert case.lesions.names == {1: "lung_nodule_1"}
    assert "nodule" in (folder / "report.txt").read_text() and "left lower lobe" in (folder / "report.txt").read_text()
    assert plan["door"] == "adopt" and manifest["weights"] == {} and manifest["adopted"]["by"] == "Other 2"
    assert {"ct", "organs", "lesions"} == set(manifest["inputs"]) and all(c["ok"] for c in manifest["checks"])
    assert cli.main(["check", str(folder)]) == 0
    assert agreement_of(folder).places["report"]["finding 1 side"] == "left"
    before = (folder / "manifest.json").stat().st_mtime_ns
    adopted(tmp_path, file, *masks(tmp_path, volume.affine), "--by", "Other 2", "--prompt", "lung nodule")
    assert (folder / "manifest.json").stat().st_mtime_ns == before
    made = study(case, report, identity_of(plan, report, manifest, "someone"))
    assert "another generator" in made.series[0].ContributingEquipmentSequence[0].ContributionDescription
    assert len(made.lesions.SegmentSequence) == 1


def test_it_is_a_host_for_insertion_and_cohorts(tmp_path: Path) -> None:
    volume, organs, _ = chest()
    file = saved(tmp_path / "sample.nii.gz", volume.hu)
    folder = adopted(tmp_path, file, "--spacing", SPACING, "--axes", "LAS", *masks(tmp_path))
    found = find_hosts(HostFolder(folder=tmp_path / "out", ct="*/ct.nii.gz", organs="*/organs.nii.gz"))
    assert list(found) == [folder.name]
    typed = ["insert", str(folder / "ct.nii.gz"), "9 mm solid nodule in the right upper lobe"]
    assert cli.main([*typed, "--organs", str(folder / "organs.nii.gz"), "--out", str(tmp_path / "more"), "-q"]) == 0
    case = read_case(next((tmp_path / "more").iterdir()))[0]
    assert np.array_equal(case.organs.ids, organs.ids) and case.lesions.ids.any()


def test_a_case_that_was_asked_for_nothing_is_named_by_agreement(tmp_path: Path) -> None:
    volume, _, _ = chest()
    folder = adopted(tmp_path, saved(tmp_path / "sample.nii.gz", volume.hu, volume.affine))
    with pytest.raises(InputError, match="sample: was asked for nothing"):
        agreement_of(folder)


def test_its_lesions_may_be_among_its_organs(tmp_path: Path) -> None:
    volume, organs, lesion = chest()
    ids = np.where(lesion > 0, 200, organs.ids)
    labels = saved(tmp_path / "labels.nii.gz", ids.astype(np.uint8), volume.affine)
    table = ",".join([*(f"{i}={name}" for i, name in organs.names.items()), "200=lung_nodule"])
    file = saved(tmp_path / "sample.nii.gz", volume.hu, volume.affine)
    case = read_case(adopted(tmp_path, file, "--organs", str(labels), "--organ-ids", table))[0]
    assert np.array_equal(case.lesions.ids > 0, lesion > 0)
    assert np.array_equal(case.organs.ids, organs.ids)  # what the nodule covered is lobe again


def test_bodies_apart_are_lesions_apart(tmp_path: Path) -> None:
    volume, _, lesion = chest()
    lesion[12:16, 20:24, 20:23] = 1
    file = saved(tmp_path / "sample.nii.gz", volume.hu, volume.affine)
    options = masks(tmp_path, volume.affine)
    saved(tmp_path / "lesions.nii.gz", lesion, volume.affine)
    assert list(read_case(adopted(tmp_path, file, *options))[0].lesions.names.values()) == [
        "lung_nodule_1",
        "lung_nodule_2",
    ]


def test_an_8_bit_volume_is_refused_until_its_window_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume, _, _ = chest()
    file = saved(tmp_path / "sample.nii.gz", eight_bit(volume.hu), volume.affine)
    line = refused(tmp_path, capsys, file)
    assert "0 to 132" in line or "8-bit" in line
    assert "--hu LOW,HIGH" in line
    folder = adopted(tmp_path, file, "--hu", "-1000,1000", *masks(tmp_path, volume.affine))
    case, plan, _, manifest = read_case(folder)
    assert np.abs(case.ct.hu.astype(int) - volume.hu.clip(-1000, 1000)).max() <= 4  # half a step of 2000 / 255
    assert plan["told"]["hu"] == [-1000, 1000] and manifest["adopted"]["stored"] == [0, 255]


def test_a_window_that_lost_air_is_no_ct_whatever_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    volume, _, _ = chest()
    file = saved(tmp_path / "sample.nii.gz", eight_bit(volume.hu, -160, 240), volume.affine)
    line = refused(tmp_path, capsys, file, "--hu", "-160,240")
    assert "air is cut off at -160" in line or "no air or lung" in line
    assert "hand over its HU" in line


@pytest.mark.parametrize("kind", ["identity", "codes", "npy"])
def test_a_volume_without_spacing_is_refused_until_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    volume, _, _ = chest()
    file = tmp_path / ("sample.npy" if kind == "npy" else "sample.nii.gz")
    if kind == "npy":
        np.save(file, volume.hu[None, None])
    else:
        image = nib.Nifti1Image(volume.hu, np.eye(4))
        if kind == "codes":
            image.set_sform(None, code=0)
            image.set_qform(None, code=0)
        nib.save(image, file)
    options = masks(tmp_path)
    for told in ([], ["--spacing", SPACING], ["--axes", "LAS"]):
        line = refused(tmp_path, capsys, file, *told)
        assert "says nothing of its grid" in line and "--spacing X,Y,Z" in line and "--axes" in line
    case = read_case(adopted(tmp_path, file, "--spacing", SPACING, "--axes", "LAS", *options))[0]
    assert np.allclose(case.ct.spacing, [2, 2.5, 3]) and np.array_equal(case.ct.hu, volume.hu)
    assert nib.aff2axcodes(case.ct.affine) == ("L", "A", "S")
    text = (tmp_path / "out/sample/report.txt").read_text()
    assert "left lower lobe" in text and "2 x 2.5 x 3 mm" in text


def test_both_are_named_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(tmp_path, capsys, saved(tmp_path / "sample.nii.gz", eight_bit(chest()[0].hu)))
    assert "--hu LOW,HIGH" in line and "--spacing X,Y,Z" in line


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SAR", "IPL"])
def test_axes_in_any_order_with_a_header_that_says_so_are_right(tmp_path: Path, axes: str) -> None:
    volume, organs, lesion = chest()
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(volume.affine), nib.orientations.axcodes2ornt(tuple(axes))
    )
    affine = volume.affine @ nib.orientations.inv_ornt_aff(turn, hosts.SHAPE)
    hu, ids, spots = (nib.orientations.apply_orientation(a, turn) for a in (volume.hu, organs.ids, lesion))
    file = saved(tmp_path / "sample.nii.gz", hu, affine)
    options = masks(tmp_path)
    saved(tmp_path / "organs.nii.gz", ids, affine)
    saved(tmp_path / "lesions.nii.gz", spots, affine)
    case = read_case(adopted(tmp_path, file, *options))[0]
    assert np.array_equal(case.ct.hu, hu) and np.allclose(case.ct.affine, affine)
    assert "left lower lobe" in (tmp_path / "out/sample/report.txt").read_text()


@pytest.mark.parametrize("axis", [0, 2])
def test_flipped_voxels_under_a_header_of_before_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], axis: int
) -> None:
    volume, organs, lesion = chest()
    options = masks(tmp_path)
    for name, array in (("organs", organs.ids), ("lesions", lesion)):
        saved(tmp_path / f"{name}.nii.gz", np.flip(array, axis).copy(), volume.affine)
    file = saved(tmp_path / "sample.nii.gz", np.flip(volume.hu, axis).copy(), volume.affine)
    line = refused(tmp_path, capsys, file, *options)
    assert "labels do not belong to this CT" in line and "--trust-labels" in line
    wrong = saved(tmp_path / "bare.nii.gz", volume.hu)  # axes told wrongly
    line = refused(tmp_path, capsys, wrong, "--spacing", SPACING, "--axes", "RAS", *masks(tmp_path))
    assert "labels do not belong to this CT" in line


def test_a_random_network_of_maisi_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What an untrained decoder makes of noise is no CT, and is told so."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("einops")
    from monai.apps.generation.maisi.networks.autoencoderkl_maisi import AutoencoderKlMaisi

    torch.manual_seed(0)
    decoder = AutoencoderKlMaisi(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        latent_channels=4,
        num_channels=(8, 8, 8),
        num_res_blocks=(1, 1, 1),
        attention_levels=(False, False, False),
        norm_num_groups=4,
        num_splits=1,
        norm_float16=False,
        save_mem=False,
    ).eval()
    with torch.no_grad():
        made = decoder.decode(torch.randn(1, 4, 16, 16, 16))[0, 0].numpy()
    file = saved(tmp_path / "maisi.nii.gz", made, np.diag([1.5, 1.5, 2, 1]))
    assert "--hu LOW,HIGH" in refused(tmp_path, capsys, file)
    line = refused(tmp_path, capsys, file, "--hu", "-1000,1000", "--values", "0,1")
    assert "hand over its HU" in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--spacing", "2,2"], "is not 3 numbers"),
        (["--spacing", "0,2,2"], "mm are more than 0"),
        (["--axes", "LLS"], "is not one letter each"),
        (["--hu", "1000,-1000"], "the lower end"),
        (["--hu", "-5000,1000"], "a CT holds -1024 to 3071 HU"),
        (["--values", "0,1"], "what HU do they stand for"),
        (["--hu", "-1000,0"], "neither 0..1, -1..1 or 0..255 nor HU within"),
        (["--lesion-ids", "1=lung_nodule"], "give the map too, with --lesions"),
        (["--organ-ids", "1=spleen"], "give the map too, with --organs"),
    ],
)
def test_what_is_told_wrongly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    volume, _, _ = chest()
    file = saved(tmp_path / "sample.nii.gz", volume.hu, volume.affine)
    assert said in refused(tmp_path, capsys, file, *options)


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ("", "of what kind are they?"),
        ("2=lung_nodule", "id 1 has no name"),
        ("1=liver", "is no finding"),
        ("1=liver_cyst", "liver_cyst_1_from_its_organ_mm"),
    ],
)
def test_lesions_that_are_not_right(tmp_path: Path, capsys: pytest.CaptureFixture[str], ids: str, said: str) -> None:
    volume, _, lesion = chest()
    options = masks(tmp_path, volume.affine)[:-2]
    lesion = np.roll(lesion, 12, axis=2)
    saved(tmp_path / "lesions.nii.gz", lesion, volume.affine)
    file = saved(tmp_path / "sample.nii.gz", volume.hu, volume.affine)
    assert said in refused(tmp_path, capsys, file, *options, *(["--lesion-ids", ids] if ids else []))


def test_a_real_ct_is_adopted_with_its_nodule(tmp_path: Path) -> None:
    patient = DATA / "native/LIDC-IDRI-0001"
    if not patient.is_dir():
        pytest.skip(f"no real CT at {DATA}")
    hu, lesion = nifti.read_volume(patient / "ct.nii.gz"), nifti.read_ids(patient / "labels.nii.gz")[0] == 200
    table = {n: name for n, name in nifti.labels.names().items() if n < 118} | {200: "lung_nodule"}
    ids = ",".join(f"{n}={name}" for n, name in table.items())
    options = ["--organs", str(patient / "labels.nii.gz"), "--organ-ids", ids]
    case, _, report, manifest = read_case(adopted(tmp_path, patient / "ct.nii.gz", *options).with_name(patient.name))
    assert np.array_equal(case.ct.hu, hu.hu) and np.array_equal(case.lesions.ids > 0, lesion)
    told = next(s for s in report["sentences"] if s["section"] == "findings")
    assert told["facts"]["side"] == "left" and 28 < told["facts"]["long_axis_mm"] < 36
    assert all(check["ok"] for check in manifest["checks"])


def test_python_adopts_as_the_command_does(tmp_path: Path) -> None:
    volume, _, _ = chest()
    file = saved(tmp_path / "sample.nii.gz", eight_bit(volume.hu))
    case = synth.adopt(file, spacing=(2, 2.5, 3), axes="LAS", hu=(-1000, 1000), quiet=True)
    folder = adopted(tmp_path, file, "--spacing", SPACING, "--axes", "LAS", "--hu", "-1000,1000")
    assert np.array_equal(case.ct.hu, read_case(folder)[0].ct.hu) and case.folder is None
    assert case.manifest["command"] == read_case(folder)[3]["command"]
