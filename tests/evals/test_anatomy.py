"""Anatomy: numbers worked out by hand, real and synthetic alike, and differences that must be seen."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from evals import anatomy
from evals.anatomy import FrameVolume, body_mask, measure_subject, pooled
from prompts.vocabulary import Extent
from synth.errors import InputError
from synth.models import intensity, wavelet
from tests.regions import HEAD_NECK, ORGANS, prior


def cube(hu_inside: np.ndarray) -> FrameVolume:
    """A subject whose body is one block of 16 base voxels (4 x 4 x 1) at 8 mm, aligned with the base grid."""
    hu = np.full(HEAD_NECK.shape_at(8.0), -1000, np.int16)
    hu[16:24, 16:24, 16:18] = hu_inside
    return FrameVolume("cube", hu, np.zeros(hu.shape, np.uint8), HEAD_NECK.affine_at(8.0), ())


def test_pooling_is_the_coarse_band_of_the_pyramid() -> None:
    volume = torch.randn(1, 1, 8, 4, 12, generator=torch.Generator().manual_seed(0))
    twice = wavelet.forward(wavelet.forward(volume)[:, :1])[0, 0].numpy()
    assert np.allclose(pooled(volume[0, 0].numpy(), 4), twice, atol=1e-6)


def test_quantiles_and_shares_by_hand() -> None:
    inside = np.full((8, 8, 2), 40, np.int16)
    inside[:2, :2] = 1000  # one of the 16 base voxels is bone
    inside[4:6, 4:6] = -800  # and one, enclosed, is air
    numbers = measure_subject(cube(inside))
    assert numbers["16 mm bone"] == numbers["8 mm bone"] == 100 / 16
    assert numbers["16 mm airway"] == numbers["8 mm airway"] == 100 / 16
    assert numbers["16 mm q50"] == pytest.approx(40, abs=0.01) and numbers["16 mm q99.9"] > 900
    assert not any(name.startswith("4 mm") for name in numbers)


def test_mixed_tissue_is_averaged_in_intensity_units_not_in_hu() -> None:
    inside = np.where(np.arange(8).reshape(-1, 1, 1) % 2, 1000, -100) * np.ones((8, 8, 2))
    expected = intensity.to_hu(intensity.to_unit(np.array([1000.0, -100.0])).mean())
    numbers = measure_subject(cube(inside.astype(np.int16)))
    assert numbers["16 mm q50"] == pytest.approx(float(expected), abs=0.1) and abs(expected - 450) > 100


def test_the_body_takes_what_it_encloses_and_leaves_a_couch_out() -> None:
    hu = np.full((20, 20, 4), -1000)
    hu[3:15, 3:15] = 0
    hu[8:10, 8:10] = -1000  # airway
    hu[:, 18:] = -100  # couch: smaller and apart
    body = body_mask(hu)
    assert body[3:15, 3:15].all() and body.sum() == 12 * 12 * 4
    assert not body_mask(np.full((4, 4, 4), -1000)).any()


def test_organ_volumes_against_the_percentiles(write_synthetic) -> None:
    (subject,) = anatomy.synthetic_subjects(write_synthetic("case_00000"))
    numbers = measure_subject(subject)
    ball = 4 / 3 * math.pi * 2**3  # mL
    assert numbers["parotid_gland_left volume"] == pytest.approx(ball, rel=0.15)
    low, high = prior().organ_range("parotid_gland_left")
    assert low < ball < high and numbers["parotid_gland_left in range"] == 100
    assert numbers["mandible volume"] == 0 and numbers["mandible in range"] == 0


def test_real_patients_are_placed_by_their_parotids_and_measured_alike(write_synthetic, real_root: Path) -> None:
    real = {s.name: measure_subject(s) for s in anatomy.real_subjects(real_root, "val")}
    assert list(real) == ["hn_1"]  # hn_2 has no parotids to be placed by
    (subject,) = anatomy.synthetic_subjects(write_synthetic("case_00000", spacing=4.0))
    drawn = measure_subject(subject)
    assert real["hn_1"]["16 mm q50"] == pytest.approx(drawn["16 mm q50"], abs=2)
    assert real["hn_1"]["4 mm bone"] == pytest.approx(drawn["4 mm bone"], rel=0.25)
    assert "mandible volume" not in real["hn_1"]  # not annotated is not absent


def test_dull_bone_is_seen_and_equal_anatomy_is_not_marked(write_synthetic) -> None:
    def numbers(bone: tuple[float, ...]) -> list[dict[str, float]]:
        for i, hu in enumerate(bone):
            folder = write_synthetic(f"{bone[0]:g}_{i}", bone_hu=hu)
        return [measure_subject(s) for s in anatomy.synthetic_subjects(folder) if s.name.startswith(f"{bone[0]:g}_")]

    bright, dull = numbers((900.0, 920.0, 940.0)), numbers((200.0, 210.0, 220.0))
    marked = {m.name for m in anatomy.compare(dull, bright) if m.apart}
    assert {"8 mm bone", "16 mm q99.9"} <= marked and "8 mm q50" not in marked and "8 mm airway" not in marked
    assert not any(m.apart for m in anatomy.compare(bright, bright))


def test_the_command_writes_json_and_a_table(
    write_synthetic, real_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = write_synthetic("case_00000"), tmp_path / "anatomy.json"
    assert anatomy.main(["--synthetic", str(folder), "--real", str(real_root), "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert list(result["cases"]["real"]) == ["hn_1"] and list(result["cases"]["synthetic"]) == ["case_00000"]
    names = [m["name"] for m in result["measures"]]
    printed = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in printed[1:]] == names
    assert {f"{organ} volume" for organ in ORGANS} <= set(names)


@pytest.mark.parametrize("extent", list(Extent))
def test_extent_keeps_the_cases_that_have_it(write_synthetic, extent: Extent) -> None:
    subjects = list(anatomy.synthetic_subjects(write_synthetic("case_00000")))  # a column through the whole frame
    kept = list(anatomy.of_extent(subjects, extent))
    assert bool(kept) == (extent is Extent.NECK)  # its width, 180 mm, is no shoulders'


def test_what_cannot_be_measured_is_refused_in_one_line(
    write_synthetic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert anatomy.main(["--synthetic", str(tmp_path / "nowhere")]) == 2
    assert "holds no case folders" in capsys.readouterr().err
    folder = write_synthetic("case_00000")
    assert anatomy.main(["--synthetic", str(folder), "--extent", "target"]) == 2
    assert "leave --extent out" in capsys.readouterr().err


def test_a_case_on_another_grid_is_refused() -> None:
    from tests import phantoms

    with pytest.raises(InputError, match="not the head_neck frame"):
        anatomy.subject_of("case", phantoms.case())
