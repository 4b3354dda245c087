"""A region is what its YAML says, and a YAML that cannot be is refused in one line; nothing is hard-wired elsewhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import torch

from evals.benchmarks.made_up import REGION_YAML
from synth import cli
from synth.case.weights_folder import Weights
from synth.errors import InputError
from synth.models.condition import EncodedRequest, Known, told_refine
from synth.models.denoiser import Denoiser
from synth.regions import read, shipped, shipped_names
from synth.regions.region import HEAD_NECK_CT, CtScale, named, parse, with_scales
from synth.volumes import labels
from tests import networks

REPOSITORY = Path(__file__).parents[1]
_HARD_WIRED = {"HEAD_NECK", "FACTS", "TORSO_REGIONS"}


def test_no_region_is_hard_wired() -> None:
    """`ORGANS` may be the name of a file, as in synth/case/folder.py; a table of organs it is nowhere."""
    for file in (f for folder in ("synth", "evals") for f in sorted((REPOSITORY / folder).rglob("*.py"))):
        if "regions" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Name):
                assert node.id not in _HARD_WIRED, f"{file}: {node.id}"
            if isinstance(node, ast.ImportFrom) and node.module != "synth.case.folder":
                assert not {a.name for a in node.names} & {*_HARD_WIRED, "ORGANS"}, f"{file}: {node.module}"
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple | ast.List | ast.Dict):
                assert "ORGANS" not in {getattr(t, "id", "") for t in node.targets}, f"{file}: ORGANS"


@pytest.mark.parametrize("name", shipped_names())
def test_what_ships_reads_the_same_from_its_file(name: str) -> None:
    region = shipped(name)
    assert named(name) == read(REPOSITORY / "synth/regions" / f"{name}.yaml") == region
    assert [region.organs[i] for i in region.mirror] == [
        labels.mirror(o) if labels.mirror(o) in region.organs else o for o in region.organs
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: made_up", "name: made_up\ncolour: red", "colour: unknown key"),
        ("heart,", "hart,", "organs 'hart': is not in labels.csv"),
        ("midpoint: [heart]", "midpoint: [spleen]", "anchor 'spleen': is not among the organs"),
        ("midpoint: [heart]", "middle: [heart]", "anchor .*middle.*: say midpoint"),
        ("organ: liver", "organ: spleen", "facts.liver_ml: cannot be measured: 'spleen' is not among the organs"),
        ("between_mm: [-40, 40]", "between_mm: [400, 500]", r"facts.area_cm2: cannot be measured: between_mm"),
        ("area: {", "aera: {", "facts.area_cm2.aera: unknown key"),
        ("towards: up", "towards: sky", "facts.top_mm.reach.towards"),
        ("heart, liver", "heart, liver, kidney_left", "'kidney_right' is not among them; add it, or say symmetric"),
        ("shape: [8, 8, 8]", "shape: [8, 8, 7]", r"frame.shape \[8, 8, 7\]: give multiples of 4"),
        ("towards: up}", "towards: up}, scale: null", r"facts.top_mm.scale: input should be a valid number"),
        ("towards: up}", "towards: up}, scale: 0", r"facts.top_mm.scale: input should be greater than 0"),
        ("towards: up}", "towards: up}, centre: high", r"facts.top_mm.centre: input should be a valid number"),
        ("towards: up}", "towards: up}, says: [large]", r"facts.top_mm.says: input should be a valid dictionary"),
        ("towards: up}", "towards: up}, says: {habitus: {large: 3}}", r"says.habitus.large: '3': give two numbers"),
        ("name: made_up", "name: made_up\nspacing_mm: 0", "spacing_mm.*greater than 0"),
    ],
)
def test_a_bad_region_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    assert old in REGION_YAML
    file = tmp_path / "region.yaml"
    file.write_text(REGION_YAML.replace(old, new))
    (tmp_path / "patients").mkdir()
    assert cli.main(["prepare", "--region", str(file), "--layout", "cases", "--from", str(tmp_path / "patients")]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and str(file) in line and re.search(said, line), line


def test_scales_that_are_not_stated_are_measured() -> None:
    region = parse(REGION_YAML)
    scale = CtScale(mean=-0.5, sd=0.6)
    full = with_scales(
        region, [{"top_mm": 40.0, "liver_ml": 100.0}, {"top_mm": 60.0, "liver_ml": 200.0}], lambda: scale
    )
    assert (region.ct, full.ct) == (HEAD_NECK_CT, scale) and with_scales(shipped(), [], lambda: scale) is shipped()
    assert full.fact("top_mm").centre == pytest.approx(50.0) and full.fact("top_mm").scale == pytest.approx(10.0)
    assert with_scales(full, [], lambda: HEAD_NECK_CT) == full or full.fact("area_cm2").scale == 1.0
    assert full.names == region.names and full.organs == region.organs


def test_weights_of_another_region_than_the_prompt_names(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").touch()
    (tmp_path / "region.yaml").write_text(REGION_YAML)
    assert Weights.covering(None, tmp_path).region.name == "made_up"
    with pytest.raises(InputError, match="draws made_up, not 'chest'; say so in the prompt, or give other weights"):
        Weights.covering("chest", tmp_path)
    with pytest.raises(InputError, match="prior.json: no prior there"):
        _ = Weights.covering(None, tmp_path).prior


def test_a_network_is_adapted_to_another_region_and_draws_the_same_where_nothing_is_told() -> None:
    old = networks.refine()
    new = old.adapted(parse(REGION_YAML)).eval()
    assert new.region.name == "made_up" and new.organs.out_channels == 8 * new.region.classes
    ct, x, t = torch.rand(1, 1, 8, 8, 8) - 0.5, torch.randn(1, 7, 8, 8, 8), torch.tensor([0.5])
    nowhere = torch.full((1, 3), torch.nan)

    def velocity(model: Denoiser) -> torch.Tensor:
        organs, classes = torch.zeros(1, len(model.region.organs)), model.region.classes
        asked, known = EncodedRequest.nothing(model.region, 384), Known.nothing(7, (8, 8, 8))
        none = torch.zeros(1, classes, 8, 8, 8)
        return model(
            x, t, told_refine(asked, torch.full((1, 3), 4.0), nowhere, organs, known, ct, none, [0.05])
        ).velocity

    torch.testing.assert_close(velocity(new), velocity(old), atol=1e-4, rtol=1e-4)
