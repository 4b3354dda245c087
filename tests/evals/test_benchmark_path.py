"""Costs: FLOP counted against products worked out by hand, and the whole path with tiny networks."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest
import torch

from evals.benchmarks import beside, cost, maisi, path
from synth.case.plan import Sampling
from synth.errors import InputError
from synth.models.attention import attend
from synth.models.denoiser import Denoiser
from tests import networks
from tests.regions import HEAD_NECK, MEAN_CHANNELS


def tiny(refine: bool) -> Denoiser:
    """A random denoiser that costs next to nothing."""
    torch.manual_seed(0)
    return Denoiser(
        channels=7 if refine else 2, refine=refine, widths=(8, 8, 8), blocks=(1, 1, 1), embedding_dim=16, heads=2
    ).eval()


def test_flop_are_twice_the_multiply_adds() -> None:
    conv = torch.nn.Conv3d(3, 5, 3, padding=1)
    assert cost.count_flops(lambda: conv(torch.zeros(1, 3, 4, 6, 8)))[1] == 2 * 27 * 3 * 5 * (4 * 6 * 8)


def test_attention_is_counted() -> None:
    q, k = torch.zeros(1, 2, 10, 4), torch.zeros(1, 2, 12, 4)
    assert cost.count_flops(lambda: attend(q, k, k))[1] == 2 * 2 * 2 * (10 * 12 * 4)  # two products, two heads


def test_seconds_are_ordered_and_the_result_is_the_last() -> None:
    calls: list[int] = []
    result, taken = cost.seconds(lambda: calls.append(1) or len(calls), 3)
    assert result == 3 and 0 <= taken["min"] <= taken["median"] <= taken["max"]
    with pytest.raises(ValueError, match="repeat 0"):
        cost.seconds(lambda: None, 0)


@pytest.mark.parametrize(("system", "mb"), [("linux", 2.1), ("darwin", 0.0)])
def test_peak_memory_is_in_the_system_s_unit(system: str, mb: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """ru_maxrss is KiB on Linux and bytes on macOS."""
    monkeypatch.setattr(cost.resource, "getrusage", lambda _who: SimpleNamespace(ru_maxrss=2048))
    monkeypatch.setattr(cost.sys, "platform", system)
    assert cost.peak_mb() == mb


@pytest.fixture(scope="module")
def measured() -> dict:
    plan = path.case_plan(8.0, Sampling(base_steps=2, refine_steps=1))
    return path.measure_path(networks.shape(), tiny(False), tiny(True), plan, repeat=1, host_size=48)


def test_every_step_of_the_path_is_there(measured: dict) -> None:
    assert list(measured["steps"]) == ["scaffold", "compose", "refine 16 to 8 mm", "assemble", "report", "insert"]
    networks = {name for name, step in measured["steps"].items() if step["flop"]}
    assert networks == {"scaffold", "compose", "refine 16 to 8 mm", "insert"}
    assert json.loads(json.dumps(measured)) == measured
    for name in measured["steps"]:
        assert name in path.text(measured)


def test_cost_a_voxel_is_that_of_the_generated_case_alone(measured: dict) -> None:
    steps, case = measured["steps"], measured["case"]
    assert case["voxels"] == 64 * 40 * 48
    assert case["flop"] == sum(steps[name]["flop"] for name in ("scaffold", "compose", "refine 16 to 8 mm"))
    assert case["mflop_per_voxel"] == pytest.approx(case["flop"] / case["voxels"] / 1e6, abs=1e-4)


@pytest.mark.parametrize(("guidance", "evaluations"), [(1.0, 1), (2.0, 2)])
def test_compose_costs_an_evaluation_a_step_two_under_guidance_and_one_for_the_organs(
    guidance: float, evaluations: int
) -> None:
    """The text encoder's share is counted apart."""
    model, scaffold = tiny(False), torch.zeros(1, MEAN_CHANNELS, *HEAD_NECK.shape_at(8.0))
    flop = {}
    for steps in (1, 2):
        plan = path.case_plan(8.0, Sampling(base_steps=steps, guidance=guidance))
        words = cost.count_flops(lambda p=plan: path.asked_of(p, model))[1]
        flop[steps] = cost.count_flops(lambda p=plan: path.compose(p, scaffold, model))[1] - words
    assert flop[2] / flop[1] == pytest.approx((2 * evaluations + 1) / (evaluations + 1), rel=0.02)


def test_bad_options_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert path.main(["--spacing", "3"]) == 2
    assert "--spacing 3: choose one of 8, 4, 2, 1 mm" in capsys.readouterr().err
    assert path.main(["--repeat", "0"]) == 2
    assert "--repeat 0" in capsys.readouterr().err


def test_maisi_decoding_grows_with_the_volume() -> None:
    small, large = (maisi.count_decoder((4, n, n, n))["flop"] for n in (8, 16))
    assert large == 8 * small


def test_maisi_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maisi, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match="pip install einops"):
        maisi.count()


def test_maisi_networks_have_their_published_size() -> None:
    counted = maisi.count((4, 16, 16, 16))
    assert counted["output_voxels"] == 64**3
    assert round(counted["evaluations"]["unet"]["parameters"] / 1e6) == 181
    assert round(counted["evaluations"]["decoder"]["parameters"] / 1e6) == 21


def test_a_case_of_ours_is_timed_with_its_flop(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("base", "refine"):
        monkeypatch.setattr(beside.Weights, name, lambda self, _, refine=name == "refine": tiny(refine))
    monkeypatch.setattr(beside.Weights, "shape", property(lambda self: networks.shape()))
    cost = beside.ours(8.0, "float32", False, 1)
    assert cost["voxels"] == math.prod(HEAD_NECK.shape_at(8.0))
    assert cost["seconds"] > 0 and cost["flop"] > 0 and cost["peak_mb"] > 100


def test_sizes_that_differ_are_compared_by_the_voxel() -> None:
    rows = {"small": {"voxels": 500_000, "seconds": 1.0, "flop": 500_000_000_000, "peak_mb": 900.0}}
    assert beside.text(rows).splitlines()[-1] == "| small | 0.50 | 2.0 | 1.00 | 900 |"
    assert beside.main(["--repeat", "0"]) == 2


def test_maisi_is_timed_as_a_case_of_thirty_steps() -> None:
    works = maisi.evaluations((4, 8, 8, 8), torch.device("cpu"))
    with torch.no_grad():
        assert works["unet"]().shape == (1, 4, 8, 8, 8)
        assert works["decoder"]().shape == (1, 1, 32, 32, 32)
