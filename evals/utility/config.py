"""One utility study: defaults live here, YAML holds differences, an unknown key is an error."""

from __future__ import annotations

import random
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evals.volumes import LESION
from prompts import write
from synth.case.weights_folder import Weights
from synth.provenance import sha256
from synth.regions.words import request_of
from synth.settings import read_settings
from synth.volumes import labels

_NEWER = {
    "spacing",
    "tissue",
    "insertions",
    "redraw",
    "mixed_precision",
    "trust_labels",
    "trust_hu",
}  # runs kept from before have the defaults
_TRAINING = 2  # version of how a segmenter is trained and scored, in the key of every kept run


class Arm(StrEnum):
    """What a segmenter is trained on, with equal steps in every arm.

    MIXED: real and synthetic in turn; PRETRAIN: synthetic first, then real. INSERTION: real, with lesions put into
    half of the samples; INSERTED: the same volumes with a lesion put into every sample and their own lesions left out
    of the loss, so that no outline of a real lesion is learned. SHUFFLED and NOISE are MIXED with the synthetic masks,
    or the synthetic CT, replaced: controls that must not help as MIXED does.
    """

    REAL = "real"
    SYNTHETIC = "synthetic"
    MIXED = "mixed"
    PRETRAIN = "pretrain"
    INSERTION = "insertion"
    INSERTED = "inserted"
    SHUFFLED = "shuffled"
    NOISE = "noise"


CONTROLS = (Arm.SHUFFLED, Arm.NOISE)
INSERTING = (Arm.INSERTION, Arm.INSERTED)
OF_REAL = (Arm.REAL, *INSERTING)  # these see no synthetic volumes


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Drawing(_Section):
    """Cases to draw, from number 0 on; case i is of the prompt i modulo their number.

    Without prompts, each is asked for as one of the generator's training patients would be: then fields of view,
    targets and habitus vary as theirs do. One prompt for all would be one field of view for all.
    """

    prompts: tuple[str, ...] = Field((), description="none: those that fit the training patients, in random order")
    seed: int = Field(0, ge=0)
    spacing: float = Field(4.0, description="mm")
    weights: Path | None = Field(None, description="folder of weights of your own; else those in use")

    def words(self) -> tuple[str, ...]:
        """The prompts, written where none are given."""
        if self.prompts:
            return self.prompts
        prior = Weights.covering(None, self.weights).prior
        assert prior is not None
        written = [write(request_of(prior.region, facts)) for facts in prior.patients]
        random.Random(self.seed).shuffle(written)
        return tuple(written)


class Generator(_Section):
    """A generator that is trained on `patients` of the training patients and on nothing else, before any case is drawn.

    The three configurations are of `synthct train`; the study sets their data and out.
    """

    patients: int = Field(gt=5)
    out: Path
    shape: Path = Path("configs/train/shape.yaml")
    base: Path = Path("configs/train/base.yaml")
    refine: Path = Path("configs/train/refine.yaml")
    base_minutes: float = Field(60, gt=0)
    refine_minutes: float = Field(30, gt=0)


class UtilityConfig(_Section):
    """A study. Folders hold what `synthct evaluate` reads: prepared .npz, CASE/ct.nii.gz with organs, case folders."""

    name: str = Field(min_length=1)
    headneck: Path | None = Field(
        None, description="patients in OpenKBP's layout: real_train and real_test are prepared from them, if not there"
    )
    real_train: Path
    real_test: Path | None = Field(None, description="none: the patients of real_train that a seed does not choose")
    synthetic: Path | None = Field(None, description="none: no arm uses synthetic volumes")
    draw: Drawing | None = Field(None, description="draws `synthetic_cases` into `synthetic`; none: they are there")
    generator: Generator | None = Field(None, description="what draws them; none: the weights that ship")
    out: Path = Field(Path("runs/utility"), description="one file a run, so that a stopped study goes on")
    organs: tuple[str, ...] = Field(min_length=1, description=f"names of the label table; '{LESION}': any lesion")
    organ_ids: dict[int, str] | None = Field(None, description="names of label ids that are not TotalSegmentator's")
    spacing: float | None = Field(
        None, ge=0.5, le=16, description="mm, resample all to it; none: as they are, all alike"
    )
    tissue: bool | Literal["lung"] = Field(
        False, description="label muscle and bone, or aerated lung, by their HU, where nothing is labelled"
    )
    findings: tuple[str, ...] = Field((), description="prompts of the lesions of arms insertion and inserted")
    trust_labels: bool = Field(False, description="insert where organs do not look like those of their CT, too")
    trust_hu: bool = Field(False, description="take volumes whose HU look cut off, too")
    insertions: int | None = Field(
        None,
        gt=0,
        description="so many lesions are drawn into each patient and used again; none: always anew",
    )
    redraw: bool = Field(
        True, description="redraw the detail in inserted lesions by `refine`; else they are as painted"
    )
    networks: tuple[Literal["dynunet", "segresnet"], ...] = ("dynunet",)
    arms: tuple[Arm, ...] = (Arm.REAL, Arm.SYNTHETIC, Arm.MIXED, Arm.SHUFFLED)
    real_cases: tuple[int, ...] = Field((5, 10, 20, 40), min_length=1)
    control_cases: tuple[int, ...] | None = Field(None, description="the N of the controls; all where not given")
    synthetic_cases: int | None = Field(None, gt=0, description="the first so many; all where not given")
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1)
    patients_seed: int | None = Field(None, description="the same patients for every seed; none: drawn by each seed")
    steps: int = Field(1000, gt=0, description="optimizer steps of every run, whatever its arm")
    pretrain_share: float = Field(0.5, gt=0, lt=1, description="of the steps on synthetic volumes, arm pretrain")
    batch: int = Field(2, gt=0, description="patches a step on each process")
    patch: tuple[int, int, int] = Field((64, 64, 64), description="voxels; multiples of 8")
    packing: Literal[1, 2] = Field(1, description="2: 2 x 2 x 2 voxels go in as 8 channels, an eighth of the cost")
    width: int = Field(16, ge=4, description="channels at the finest level; a multiple of 4")
    learning_rate: float = Field(1e-3, gt=0)
    mixed_precision: Literal["no", "bf16"] | None = Field(None, description="none: as accelerate is set up")
    window_hu: tuple[float, float] = (-200.0, 400.0)
    tolerance_mm: float = Field(4.0, gt=0, description="of the surface Dice")
    cpu: bool = False

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        if any(n % 8 for n in self.patch):
            raise ValueError(f"patch {self.patch}: give multiples of 8 voxels")
        if self.width % 4:
            raise ValueError(f"width {self.width}: give a multiple of 4 channels")
        if min(self.real_cases) < 1:
            raise ValueError(f"real_cases {self.real_cases}: give numbers from 1")
        if extra := set(self.control_cases or ()) - set(self.real_cases):
            raise ValueError(f"control_cases {min(extra)}: is not among real_cases {self.real_cases}; put it there")
        return self

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if unknown := [o for o in self.organs if o != LESION and o not in labels.ids()]:
            raise ValueError(f"organs: '{unknown[0]}' is not in the label table; see `synthct info --organs`")
        if Arm.REAL not in self.arms:
            raise ValueError("arms: every other arm is compared with real; put it in")
        if (arm := next((a for a in INSERTING if a in self.arms), None)) and not (
            LESION in self.organs and self.findings
        ):
            raise ValueError(f"arms: {arm} needs '{LESION}' in organs and findings, such as '12 mm liver cyst'")
        return self

    @model_validator(mode="after")
    def _check_folders(self) -> Self:
        fed = next((a for a in self.arms if a not in OF_REAL), None)
        if fed is not None and self.synthetic is None:
            raise ValueError(f"arms: {fed} needs synthetic volumes; give their folder as synthetic")
        if self.headneck is not None and self.real_test is None:
            raise ValueError("headneck: is prepared into real_train and real_test; give both")
        if self.generator is not None and self.real_test is None:
            raise ValueError("generator: must not have seen the test patients; give real_test")
        return self

    @model_validator(mode="after")
    def _check_drawing(self) -> Self:
        if self.draw is not None and self.synthetic_cases is None:
            raise ValueError("draw: how many? give synthetic_cases")
        if self.generator is not None and self.draw is None:
            raise ValueError("generator: nothing is drawn with it; give draw")
        if self.generator is not None and self.generator.patients != max(self.real_cases):
            raise ValueError(f"generator.patients {self.generator.patients}: must be the largest of real_cases")
        if self.generator is not None and self.patients_seed is None:
            raise ValueError("generator: give patients_seed, so that segmenters get the generator's patients")
        return self

    def training_hash(self) -> str:
        """Of what a run's outcome depends on besides its arm, N, seed, network and data."""
        kept = self.model_dump_json(include={"steps", "pretrain_share", "batch", "patch", "packing", "width",
                                             "learning_rate", "window_hu", "organs", "findings",
                                             "tolerance_mm"})  # fmt: skip
        newer = self.model_dump_json(include=_NEWER, exclude_defaults=True)
        return sha256(f"{_TRAINING} {kept}{newer if newer != '{}' else ''}".encode())

    def insertion_hash(self) -> str:
        """Of what an inserted lesion depends on besides its host."""
        kept = self.model_dump_json(include={"spacing", "tissue", "findings", "redraw", "organ_ids"})
        return sha256(kept.encode())


def load(path: Path) -> UtilityConfig:
    """Read a YAML; InputError names an unknown key or a value out of range."""
    return read_settings(UtilityConfig, path, see="configs/evals/ and evals/utility/config.py")
