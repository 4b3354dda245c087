"""The study of the weights in use: drawn once, evaluated, and told in one page; without the networks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from evals import embedded
from evals.embedded import EmbeddedConfig, load
from evals.result import Result, ResultPicture, ResultTable, read
from evals.stamp import Figure, Stamp
from evals.utility import drawing
from prompts import parse
from synth import cli
from synth.case.weights_folder import Weights
from synth.provenance import sha256_of_file
from tests.evals.sets_on_disk import write
from tests.evals.test_agreement import make
from tests.evals.test_agreement import write as write_case
from tests.regions import REGION, prior

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration whose cases are made-up bodies, and case folders that obey."""
    (tmp_path / "weights").write_text("some")
    monkeypatch.setattr(Weights, "hashes", lambda _: {"base": sha256_of_file(tmp_path / "weights")})
    drawn: list[str] = []

    def generate(
        prompt: str, *, count: int, start: int, seed: int, spacing: float, out: Path, weights: Path | None
    ) -> list[Path]:
        drawn.append(prompt)
        name = f"case_{start:05d}"
        write_case(out / name, make(), prompt="CT of the abdomen")
        if out.name == "plain":
            write(tmp_path / "bodies", range(100 + start, 101 + start))
            for file in ("ct.nii.gz", "organs.nii.gz"):
                shutil.copy(tmp_path / f"bodies/p{100 + start:03d}/{file}", out / name / file)
        return [out / name]

    monkeypatch.setattr(drawing.pipeline, "generate", generate)
    monkeypatch.setattr(drawing.case_folder, "is_whole", lambda folder: (folder / "ct.nii.gz").is_file())
    values = {"name": "tiny", "cases": 10, "asked": 2, "resamples": 20, "out": str(tmp_path / "cases")}
    sets = {"real_train": range(12), "real_test": range(20, 30)}
    values |= {role: str(write(tmp_path / role, seeds)) for role, seeds in sets.items()}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.setattr(embedded.fidelity.fidelity_plots, "pictures", lambda *_: [])
    monkeypatch.setattr(embedded.memorization.memorization_plots, "pairs", lambda *_: [])
    return tmp_path


def test_one_command_draws_evaluates_and_tells(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for kind in ("fidelity", "memorization"):
        monkeypatch.setattr(
            getattr(embedded, kind), "evaluate", lambda *a, kind=kind: calls.append((kind, a)) or fake(kind)
        )
    arguments = ["evaluate", "embedded", str(study / "study.yaml"), "--out", str(study / "out"), "-q"]
    assert cli.main(arguments) == 0
    (_, (real, plain, *_)), (_, (train, same, held_out, *_)) = calls
    assert plain == same == study / "cases/plain" and (real, train) == (study / "real_test", study / "real_train")
    assert held_out == study / "real_test" and len(list(plain.glob("case_*"))) == 10
    found = read(study / "out/agreement.json")
    assert found.settings["count"] == 2 and "2 cases took 2 draws" in found.notes[-1]
    assert len(str(found.settings["weights_base"])) == 64
    page = (study / "out/README.md").read_text()
    assert "# tiny" in page and "| kid mean | 3.5 | 1 to 9 |" in page and "(fidelity.html)" in page
    monkeypatch.setattr(drawing.pipeline, "generate", None)  # nothing is drawn again
    assert cli.main(arguments) == 0


def fake(kind: str) -> tuple[Result, list[ResultPicture]]:
    stamp = Stamp(
        network="n", weights_sha256="", real=10, synthetic=10, slices="", preprocessing="", reference_sha256=""
    )
    figures = [Figure(metric="kid", part=part, value=3.5, low=1.0, high=9.0, stamp=stamp) for part in ("mean", "axial")]
    return Result(
        kind=kind, title=kind, figures=figures, tables=[ResultTable(title="t", columns=["a"], rows=[[1]])]
    ), []


def test_what_is_asked_is_drawn_from_the_set_and_can_be_read_back() -> None:
    config = EmbeddedConfig(name="a", real_train=Path("r"), real_test=Path("t"), asked=12)
    words = config.wordy().prompts
    assert len(words) == 12 and len(set(words)) > 8 and words == config.wordy().prompts
    requests = [parse(text) for text in words]
    assert sum(bool(r.targets) for r in requests) > 6 and not any(r.findings for r in requests)
    assert words != config.model_copy(update={"seed": 1}).wordy().prompts


def test_cases_for_fidelity_are_asked_for_as_the_training_patients_are() -> None:
    words = EmbeddedConfig(name="a", real_train=Path("r"), real_test=Path("t")).plain().words()
    assert len(words) == len(prior().patients)
    extents = [parse(text).extent for text in words]
    for extent in set(map(REGION.field_of, prior().patients)):
        assert extents.count(extent) == sum(REGION.field_of(facts) == extent for facts in prior().patients)


def test_the_repository_s_study_loads() -> None:
    assert load(REPOSITORY / "configs/evals/embedded.yaml").cases >= 100
