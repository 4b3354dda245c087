"""Fidelity end to end on small sets: damage in order, bad input named, work kept, stamps that refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from evals import fidelity_plots, networks
from evals.result import read
from evals.stamp import difference
from synth import cli
from synth.errors import InputError
from tests.evals.sets_on_disk import write

CHEAP = "kid,mmd,hu,organ_hu,organ_volume,power_spectrum,noise_power,gradient"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random convolutional network as TorchScript: random features tell sets apart well enough."""
    torch.manual_seed(0)
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 5, stride=2, padding=2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 24, 3, stride=2),
        torch.nn.ReLU(),
    )
    path = tmp_path_factory.mktemp("network") / "random.pt"
    torch.jit.script(layers.eval()).save(str(path))
    return path


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sets") / "real", range(12))


def evaluate(real: Path, synthetic: Path, network: Path, out: Path, *more: str) -> int:
    return cli.main([
        "evaluate", "fidelity", "--real", str(real), "--synthetic", str(synthetic), "--network", str(network),
        "--trust", "--out", str(out), "--cache", str(out / "cache"), "--slices", "4", "--resamples", "20", "-q", *more,
    ])  # fmt: skip


def values(out: Path) -> dict[str, float]:
    return {f.name: f.value for f in read(out / "fidelity.json").figures}


@pytest.fixture(autouse=True)
def no_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots take most of the time and only one test looks at them."""
    if "page" not in request.node.name:
        monkeypatch.setattr(fidelity_plots, "pictures", lambda *_: [])


@pytest.mark.slow
def test_damage_scores_worse_in_order(real: Path, network: Path, tmp_path: Path) -> None:
    """Untouched, then blurred, noised, shifted in HU ever more; and flipped and air-only. New patients every time."""
    rng = np.random.default_rng(0)
    damages = {
        "none": None,
        "blur 1": lambda hu: ndimage.gaussian_filter(hu, 1.2),
        "blur 2": lambda hu: ndimage.gaussian_filter(hu, 3.0),
        "noise 1": lambda hu: hu + rng.normal(0, 60, hu.shape),
        "noise 2": lambda hu: hu + rng.normal(0, 200, hu.shape),
        "shift 1": lambda hu: np.where(hu > -500, hu + 40, hu),
        "shift 2": lambda hu: np.where(hu > -500, hu + 120, hu),
        "flip": lambda hu: hu[:, ::-1],
        "air": lambda hu: rng.normal(-1000, 15, hu.shape) + np.where(np.indices(hu.shape).sum(0) < 20, 1040, 0),
    }
    found = {}
    for name, damage in damages.items():
        synthetic = write(tmp_path / name.replace(" ", "_"), range(100, 110), damage)
        assert evaluate(real, synthetic, network, tmp_path / f"out_{name}", "--metrics", f"fid,{CHEAP}") == 0
        found[name] = values(tmp_path / f"out_{name}")
    for metric in ("fid mean", "kid mean", "mmd", "hu body"):
        none = found["none"][metric]
        for kind in ("blur", "noise", "shift"):
            assert none < found[f"{kind} 1"][metric] < found[f"{kind} 2"][metric], (metric, kind)
    assert found["flip"]["kid axial"] > 3 * abs(found["none"]["kid axial"])
    for metric in ("fid mean", "kid mean", "mmd"):
        assert found["air"][metric] > max(v[metric] for k, v in found.items() if k != "air"), metric
    for kind in ("blur", "noise"):
        for metric in ("power_spectrum", "gradient body"):
            assert found["none"][metric] < found[f"{kind} 1"][metric] < found[f"{kind} 2"][metric], (metric, kind)
    assert found["shift 2"]["organ_hu liver"] == pytest.approx(120, abs=12)
    assert found["flip"]["hu body"] == pytest.approx(found["none"]["hu body"], abs=1)  # a histogram cannot see it


def test_the_floor_of_two_samples_of_one_law_is_met(real: Path, network: Path, tmp_path: Path) -> None:
    synthetic = write(tmp_path / "more", range(50, 62))
    assert evaluate(real, synthetic, network, tmp_path / "out", "--metrics", "fid,kid,mmd") == 0
    for figure in read(tmp_path / "out/fidelity.json").figures:
        floor = figure.floor
        assert floor is not None and floor.size == 6
        assert floor.matched_low < floor.high and floor.low < floor.matched_high, figure.name


def test_the_page_is_whole_and_asks_for_nothing(real: Path, network: Path, tmp_path: Path) -> None:
    synthetic = write(tmp_path / "more", range(50, 61))
    assert evaluate(real, synthetic, network, tmp_path / "out") == 0
    page = (tmp_path / "out/fidelity.html").read_text()
    assert "http" not in page and "<script" not in page and page.count("data:image/png;base64,") >= 5
    result = read(tmp_path / "out/fidelity.json")
    assert {f.metric for f in result.figures} >= {
        "fid",
        "kid",
        "mmd",
        "precision",
        "coverage",
        "ms_ssim",
        "organ_volume",
    }
    assert all(figure.name.replace("_", " ") in page for figure in result.figures)
    assert all(f.stamp.real == 12 and f.stamp.synthetic == 11 for f in result.figures)


def test_features_are_kept_by_content_and_a_stopped_run_goes_on(
    real: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthetic, out = write(tmp_path / "s", range(50, 56), labels=False), tmp_path / "out"
    calls = []
    plain = networks.FeatureNetwork.__call__

    def counted(self: networks.FeatureNetwork, slices: np.ndarray) -> np.ndarray:
        calls.append(len(slices))
        if len(calls) == 31:
            raise KeyboardInterrupt
        return plain(self, slices)

    monkeypatch.setattr(networks.FeatureNetwork, "__call__", counted)
    assert evaluate(real, synthetic, network, out, "--metrics", "kid") == 130 and not (out / "fidelity.json").exists()
    assert evaluate(real, synthetic, network, out, "--metrics", "kid") == 0
    once = len(calls)
    assert 0 < once - 3 * (12 + 6) <= 3  # three planes a volume, and those of the one that was interrupted
    first = values(out)
    (synthetic / "p050").rename(synthetic / "renamed")
    assert evaluate(real, synthetic, network, out, "--metrics", "kid") == 0
    assert len(calls) == once and values(out) == pytest.approx(first)  # another order, another rounding
    assert evaluate(real, synthetic, network, out, "--metrics", "kid", "--slices", "5") == 0 and len(calls) > once


def test_a_damaged_entry_of_the_cache_is_made_again(real: Path, network: Path, tmp_path: Path) -> None:
    synthetic, out = write(tmp_path / "s", range(50, 56)), tmp_path / "out"
    assert evaluate(real, synthetic, network, out, "--metrics", "kid") == 0
    before = values(out)
    next((out / "cache").rglob("*.npz")).write_bytes(b"PK\x03\x04 cut off")
    assert evaluate(real, synthetic, network, out, "--metrics", "kid") == 0 and values(out) == before


def spoil_gzip(folder: Path) -> None:
    path = folder / "p051/ct.nii.gz"
    path.write_bytes(path.read_bytes()[:800])


def spoil_nothing_left(folder: Path) -> None:
    for path in folder.rglob("*.nii.gz"):
        path.unlink()


def spoil_few(folder: Path) -> None:
    for name in ("p050", "p051", "p052"):
        (folder / name / "ct.nii.gz").unlink()


def spoil_spacing(folder: Path) -> None:
    from synth.volumes import nifti
    from synth.volumes.types import Volume

    path = folder / "p052/ct.nii.gz"
    volume = nifti.read_volume(path)
    (folder / "p052/organs.nii.gz").unlink()
    nifti.write_volume(path, Volume(volume.hu, np.diag([3.0, 3.0, 4.0, 1.0])))


def spoil_twice(folder: Path) -> None:
    for file in ("ct.nii.gz", "organs.nii.gz"):
        (folder / "p051" / file).write_bytes((folder / "p050" / file).read_bytes())


def spoil_mr(folder: Path) -> None:
    from synth.volumes import nifti
    from synth.volumes.types import Volume

    path = folder / "p053/ct.nii.gz"
    nifti.write_volume(path, Volume(np.abs(nifti.read_volume(path).hu), np.diag([4.0, 4.0, 4.0, 1.0])))


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (spoil_gzip, "1 of 6 volumes cannot be used: .*p051/ct.nii.gz: damaged gzip"),
        (spoil_nothing_left, "holds no volumes"),
        (spoil_few, "3 volumes are too few .kid needs 5"),
        (spoil_spacing, "mixed voxel spacing: .*p052/ct.nii.gz has 3 x 3 x 4 mm"),
        (spoil_twice, "p051 and p050 are the same volume"),
        (spoil_mr, "p053/ct.nii.gz: values 0 to .* are no HU"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(
    spoil, named: str, real: Path, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    synthetic = write(tmp_path / "bad", range(50, 56))
    spoil(synthetic)
    assert evaluate(real, synthetic, network, tmp_path / "out", "--metrics", "kid") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and __import__("re").search(named, error), error
    assert not list(tmp_path.glob("out/*.json"))


def test_bad_volumes_can_be_left_out_by_name(real: Path, network: Path, tmp_path: Path) -> None:
    synthetic = write(tmp_path / "bad", range(50, 56))
    spoil_gzip(synthetic)
    assert evaluate(real, synthetic, network, tmp_path / "out", "--metrics", "kid", "--skip-bad") == 0
    result = read(tmp_path / "out/fidelity.json")
    assert list(result.left_out) == ["bad/p051"] and result.figures[0].stamp.synthetic == 5
    assert "Left out: bad/p051" in (tmp_path / "out/fidelity.html").read_text()


def test_mixed_spacing_is_resampled_when_asked(real: Path, network: Path, tmp_path: Path) -> None:
    synthetic = write(tmp_path / "bad", range(50, 56))
    spoil_spacing(synthetic)
    assert evaluate(real, synthetic, network, tmp_path / "out", "--metrics", "kid,noise_power", "--spacing", "4") == 0
    result = read(tmp_path / "out/fidelity.json")
    assert "resampled to 4 mm" in result.figures[0].stamp.preprocessing
    assert result.notes == ["Not measurable on these volumes: noise_power."]  # spectra need one spacing


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--metrics", "dsc"], "--metrics dsc: belongs to another evaluation"),
        (["--metrics", "nice"], "metric 'nice': choose from fid"),
        (["--protocol", "mine"], "--protocol mine: choose windows or maisi25d"),
        (["--protocol", "maisi25d", "--spacing", "2"], "is at 1 mm"),
        (["--network", "missing.pt"], "missing.pt: no such file"),
    ],
)
def test_bad_options_are_one_line(
    options: list[str], named: str, real: Path, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(real, real, network, tmp_path / "out", "--metrics", "kid", *options) == 2
    assert named in capsys.readouterr().err


def test_figures_of_another_making_are_not_compared(
    real: Path, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    synthetic = write(tmp_path / "s", range(50, 60))
    for name, slices in (("a", "4"), ("b", "4"), ("c", "5")):
        assert evaluate(real, synthetic, network, tmp_path / name, "--metrics", "kid", "--slices", slices) == 0
    a, b, c = (str(tmp_path / name / "fidelity.json") for name in "abc")
    capsys.readouterr()
    assert cli.main(["evaluate", "compare", a, b]) == 0
    assert "kid mean" in capsys.readouterr().out
    assert cli.main(["evaluate", "compare", a, c]) == 2
    assert "slices 4 slices a plane" in capsys.readouterr().err
    figure = read(Path(a)).figures[0]
    for field, value in (("network", "other"), ("weights_sha256", "0" * 64), ("real", 99), ("preprocessing", "none")):
        other = figure.model_copy(update={"stamp": figure.stamp.model_copy(update={field: value})})
        with pytest.raises(InputError, match=field):
            difference(figure, other)
    assert difference(figure, figure) == 0
