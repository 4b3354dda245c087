"""Do words that nothing else tells reach the volume? `python -m studies.text_reaches_volume --out runs/text_reaches`.

A made-up region of 128 mm: a body with one ball in it, on the left or on the right, large or small, bright or dark; or
none. Its reports say which, in many wordings; no fact, no organ, no scaffold and no Gaussian part does. `synthct
prepare`, `synthct train base`, and what 100 wordings that were not in training ask for is drawn and measured. With
--flags the words are also columns of a table that the region has as facts, and these alone are told.
"""

from __future__ import annotations

import csv
import json
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from synth.models import intensity
from synth.volumes import nifti
from synth.volumes.types import Volume

FRAME_MM, FINE_MM, BASE_MM = 128.0, 4.0, 16.0
SIDES, SIZES, TONES = ("left", "right"), ("large", "small"), ("bright", "dark")
Ball = tuple[str, str, str] | None  # side, size, tone
KINDS: tuple[Ball, ...] = (None, *product(SIDES, SIZES, TONES))
_WORDS = {
    "left": ("left",), "right": ("right",),
    "large": ("large", "big", "sizeable"), "small": ("small", "tiny", "little"),
    "bright": ("bright", "dense", "hyperdense"), "dark": ("dark", "lucent", "hypodense"),
}  # fmt: skip
_LEARNT = (
    "There is a {size} {tone} ball on the {side}.",
    "A {tone} ball, {size}, is seen on the {side} side.",
    "{side}: {size} ball, {tone}.",
    "On the {side} side lies a {size} ball. It is {tone}.",
    "The ball on the {side} is {tone} and {size}.",
    "One {size} ball. It appears {tone}. It lies on the {side}.",
    "{tone} {size} ball, {side}.",
    "Seen on the {side}: a ball, {tone} and {size}.",
    "The study shows a {tone} ball on the {side}. The ball is {size}.",
    "A ball lies {side} of the midline. Its size is {size}. Its density is {tone}.",
    "Compared with the body the ball is {tone}; it is {size} and {side} sided.",
    "{side}-sided ball. {size}. {tone}.",
    "There is one ball, which is {size}, on the {side}, and it looks {tone}.",
    "Ball: {size}. Side: {side}. Appearance: {tone}.",
    "The {side} side holds a ball that looks {tone} and is {size}.",
    "A {size} ball is found. It is on the {side} and {tone}.",
    "Looking {tone}, a {size} ball is located on the {side}.",
    "The body is normal apart from a {size}, {tone} ball at the {side}.",
    "The {size} ball at the {side} is {tone} throughout.",
    "A single ball is present at the {side} side, {size} and {tone}.",
)
_LEARNT_NONE = (
    "There is no ball.",
    "No ball on either side, left or right.",
    "Normal study without a ball.",
    "No large or small ball is seen.",
    "Neither a bright nor a dark ball.",
    "Unremarkable.",
    "No ball is seen on the left. No ball is seen on the right.",
    "The body is normal and holds no ball.",
    "There is no bright ball and no dark ball.",
    "Without a ball.",
    "A ball cannot be seen.",
    "Normal.",
)
_ASKED = (
    "Findings: {tone} ball of {size} size, {side} half.",
    "We see a ball that is {size} and {tone} to the {side}.",
    "{size} and {tone}: a ball in the {side} half of the volume.",
    "To the {side} there is a ball which is {tone}; its size is {size}.",
    "Impression: {side} ball, {tone}, {size}.",
)
_ASKED_NONE = (
    "A ball is not present.",
    "Examination shows no ball anywhere.",
    "No evidence of any ball, bright or dark.",
    "Empty: no ball is found on the left or on the right.",
    "Nothing abnormal.",
)
_TISSUE_HU, _HU = 40.0, {"bright": 600.0, "dark": -400.0}
_RADII_MM = {"large": (29.0, 33.0), "small": (15.0, 18.0)}
_SPLIT_ML = 45.0  # large balls are read as 70 mL and more inside the body, small ones as 22 and less
_SEEN = 0.15  # a voxel of 16 mm this far from tissue, in intensity units, belongs to a ball

REGION = """name: balls
answers: [balls]
frame: {shape: [8, 8, 8], lower_mm: [-64, -64, -64]}
anchor: {body: middle}
organs: []
symmetric: false
"""
FLAGS = "facts:\n" + "".join(
    f"  {word}: {{column: {{column: {word}}}, centre: 0.5, scale: 0.5}}\n"
    for word in ("ball", "left", "large", "bright")
)
CONFIG = """network: base
shape: null
prior_rank: 0
model: {widths: [16, 64], blocks: [1, 1], embedding_dim: 128}
batch: 16
workers: 1
volumes_a_frame: 4
bend_mm: 0
label_weight: 0
body_weight: 0
times: {mean: 0.0, scale: 1.0, uniform: 0.5, clean: 0.0}
drop_request: 0.1
drop_text: 0.05
drop_fact: 0.05
learning_rate: 2.0e-3
"""


@dataclass(frozen=True)
class Asked:
    """A ball, and words for it."""

    ball: Ball
    text: str


def wording(ball: Ball, rng: random.Random, sentences: Sequence[str], none: Sequence[str]) -> str:
    """One of the wordings of a ball."""
    if ball is None:
        return rng.choice(list(none))
    side, size, tone = (rng.choice(_WORDS[word]) for word in ball)
    text = rng.choice(list(sentences)).format(side=side, size=size, tone=tone)
    return text[0].upper() + text[1:]


def volume(ball: Ball, rng: np.random.Generator) -> np.ndarray:
    """(32, 32, 32) int16 HU at 4 mm, RAS: the patient's left is low x."""
    axis = (np.arange(FRAME_MM / FINE_MM) + 0.5) * FINE_MM - FRAME_MM / 2
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    body = (x / rng.uniform(54, 62)) ** 2 + (y / rng.uniform(50, 60)) ** 2 < 1
    hu = np.where(body, _TISSUE_HU, -1000.0)
    if ball is not None:
        side, size, tone = ball
        middle = (-1 if side == "left" else 1) * rng.uniform(24, 30), rng.uniform(-12, 12), rng.uniform(-20, 20)
        radius = rng.uniform(*_RADII_MM[size])
        hu[sum((a - m) ** 2 for a, m in zip((x, y, z), middle, strict=True)) < radius**2] = _HU[tone]
    return np.rint(hu + rng.normal(0, 12, hu.shape)).clip(-1024, 3071).astype(np.int16)


def read_ball(hu: np.ndarray) -> Ball:
    """What a volume (8, 8, 8) HU at 16 mm shows.

    Shares of voxels are told in intensity units, of which a coarse voxel is the mean; of HU it is not.
    """
    axis = (np.arange(FRAME_MM / BASE_MM) + 0.5) * BASE_MM - FRAME_MM / 2
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    inside = ((x / 46) ** 2 + (y / 42) ** 2 < 1) & (np.abs(z) < 48)
    apart = np.where(inside, intensity.to_unit(hu) - _unit(_TISSUE_HU), 0.0)
    seen = np.abs(apart) > _SEEN
    if not seen.any():
        return None
    tone = "bright" if apart[seen].sum() > 0 else "dark"
    share = (np.abs(apart) * seen / abs(_unit(_HU[tone]) - _unit(_TISSUE_HU))).clip(max=1)
    side = "left" if (share * x).sum() < 0 else "right"
    return side, "large" if share.sum() * BASE_MM**3 / 1000 > _SPLIT_ML else "small", tone


def _unit(hu: float) -> float:
    return float(intensity.to_unit(np.array(hu)))


def coarse(hu: np.ndarray) -> np.ndarray:
    """A volume as the network learns it: HU at 16 mm."""
    factor, count = round(BASE_MM / FINE_MM), round(FRAME_MM / BASE_MM)
    blocks = intensity.to_unit(hu).reshape(count, factor, count, factor, count, factor)
    return intensity.to_hu(blocks.mean(axis=(1, 3, 5)))


def read_right(count: int, seed: int = 5) -> float:
    """The share of made volumes that are read as what they were made as: what no network can do better than."""
    rng = np.random.default_rng(seed)
    made = [KINDS[i % len(KINDS)] for i in range(count)]
    return float(np.mean([read_ball(coarse(volume(ball, rng))) == ball for ball in made]))


def write_patients(folder: Path, count: int, seed: int = 0) -> None:
    """CASE/ct.nii.gz and table.csv, as a user would have them."""
    rng, words = np.random.default_rng(seed), random.Random(seed)
    affine = np.diag([FINE_MM, FINE_MM, FINE_MM, 1.0])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "table.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["case", "split", "report", "ball", "left", "large", "bright"])
        for number in range(count):
            ball = KINDS[number % len(KINDS)]
            name = f"p{number:04d}"
            (folder / name).mkdir(exist_ok=True)
            nifti.write_volume(folder / name / "ct.nii.gz", Volume(volume(ball, rng), affine))
            flags = (
                ["0", "", "", ""]
                if ball is None
                else ["1", *(str(int(w in ("left", "large", "bright"))) for w in ball)]
            )
            split = "val" if number % 10 == 9 else "train"
            table.writerow([name, split, wording(ball, words, _LEARNT, _LEARNT_NONE), *flags])


def questions(count: int, seed: int = 7) -> list[Asked]:
    """Unseen wordings, every kind of ball as often as the others."""
    rng = random.Random(seed)
    kinds = [KINDS[i % len(KINDS)] for i in range(count)]
    return [Asked(ball, wording(ball, rng, _ASKED, _ASKED_NONE)) for ball in kinds]


def trained(out: Path, flags: bool, patients: int, steps: int, minutes: float) -> Path:
    """Prepare and train with the commands that users have; the folder of the weights."""
    from synth.cli import main as synthct

    out.mkdir(parents=True, exist_ok=True)
    if not (out / "base.yaml").is_file():
        write_patients(out / "cases", patients)
    (out / "region.yaml").write_text(REGION + (FLAGS if flags else "facts: {}\n"))
    (out / "base.yaml").write_text(CONFIG)
    prepare = ["--layout", "cases", "--from", str(out / "cases"), "--region", str(out / "region.yaml")]
    settings = [
        f"steps={steps}",
        f"cooldown={3 * steps // 8}",
        f"max_minutes={minutes:g}",
        f"validate_every={max(steps // 8, 1)}",
    ]
    settings += [f"data={out / 'data'}", f"out={out / 'base'}", f"mixed_precision={_precision()}"]
    settings += ["drop_text=1.0"] if flags else []
    for command in (
        ["prepare", *prepare, "--out", str(out / "data")],
        ["train", "base", "--config", str(out / "base.yaml"), *settings],
    ):
        if code := synthct(command):
            raise typer.Exit(code)
    return out / "base" / "weights"


def _precision() -> str:
    from synth.models.precision import default_precision

    return "bf16" if default_precision() == "bfloat16" else "no"


def drawn(weights: Path, asked: Sequence[Asked], told: str, guidance: float, steps: int) -> list[np.ndarray]:
    """(8, 8, 8) HU at 16 mm of each, told `text`, `flags`, or `nothing`."""
    from prompts import CaseRequest
    from synth.case import library
    from synth.case.plan import GeneratePlan, Sampling
    from synth.draw.base import compose

    model = library.load_from(weights, "float32")
    sampling = Sampling(base_steps=steps, base_shift=1.0, guidance=guidance if told != "nothing" else 1.0)
    volumes = []
    for number, one in enumerate(asked):
        plan = GeneratePlan(
            region="balls",
            spacing_mm=BASE_MM,
            case=f"{number:03d}",
            seed=0,
            request=CaseRequest(prompt=one.text if told == "text" else ""),
            facts=_flags(one.ball) if told == "flags" else {},
            sampling=sampling,
            base_seed=1000 + number,
        )
        volumes.append(intensity.to_hu(compose(plan, None, model).ct[0, 0].numpy()))
    return volumes


def _flags(ball: Ball) -> dict[str, float]:
    if ball is None:
        return {"ball": 0.0}
    return {"ball": 1.0} | {word: float(word in ball) for word in ("left", "large", "bright")}


def scores(asked: Sequence[Asked], volumes: Sequence[np.ndarray]) -> dict[str, float]:
    """Shares of what was asked that is drawn: all of it, and each part alone."""
    found = [read_ball(volume) for volume in volumes]
    pairs = [(one.ball, ball) for one, ball in zip(asked, found, strict=True)]
    balls = [(asked_ball, ball) for asked_ball, ball in pairs if asked_ball is not None]
    parts = {
        name: float(np.mean([ball is not None and ball[i] == wanted[i] for wanted, ball in balls]))
        for i, name in enumerate(("side", "size", "tone"))
    }
    none = [ball is None for wanted, ball in pairs if wanted is None]
    return {"all": float(np.mean([a == b for a, b in pairs])), **parts, "none": float(np.mean(none))}


def picture(asked: Sequence[Asked], volumes: Sequence[np.ndarray], path: Path) -> None:
    """One drawn volume of each kind, the slice with most of its ball; the patient's left is on the right."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.5, 2.2), layout="constrained")
    for axis, one, volume in zip(figure.subplots(1, len(KINDS)), asked, volumes, strict=False):
        inside = np.abs(volume[2:6, 2:6, 1:7] - _TISSUE_HU).sum(axis=(0, 1))
        axis.imshow(volume[::-1, ::-1, 1 + int(inside.argmax())].T, cmap="gray", vmin=-400, vmax=500)
        axis.set_title(" ".join(one.ball) if one.ball else "none", fontsize=8)
        axis.axis("off")
    FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})


def _cpu_seconds() -> float:
    """Of this process and those that it has waited for."""
    return sum(os.times()[:4])


def main(
    out: Annotated[Path, typer.Option(help="Where patients, training and figures go.")],
    flags: Annotated[bool, typer.Option(help="The words as flags of a table, and no text.")] = False,
    patients: Annotated[int, typer.Option(min=20)] = 1500,
    steps: Annotated[int, typer.Option(min=1)] = 7000,
    minutes: Annotated[float, typer.Option(min=0.1, help="Of training.")] = 15.0,
    count: Annotated[int, typer.Option(min=9, help="Wordings that are asked for.")] = 100,
    guidance: Annotated[float, typer.Option()] = 2.0,
    sampler_steps: Annotated[int, typer.Option(min=1)] = 16,
) -> None:
    """Print and write the shares of what was asked that is drawn."""
    started, cpu = time.monotonic(), _cpu_seconds()
    weights = trained(out, flags, patients, steps, minutes)
    took = {"minutes": (time.monotonic() - started) / 60, "cpu_minutes": (_cpu_seconds() - cpu) / 60}
    asked, told = questions(count), "flags" if flags else "text"
    volumes = drawn(weights, asked, told, guidance, sampler_steps)
    withheld = drawn(weights, asked, "nothing", 1.0, sampler_steps)
    result = {
        "told": told,
        "made volumes read right": read_right(270),
        told: scores(asked, volumes),
        "withheld": scores(asked, withheld),
        "chance": float(np.mean([KINDS.count(one.ball) / len(KINDS) for one in asked])),
        "training": {name: round(value, 1) for name, value in took.items()} | {"steps": steps, "patients": patients},
    }
    (out / f"{told}.json").write_text(json.dumps(result, indent=1) + "\n")
    picture(asked, volumes, out / f"{told}.png")
    typer.echo(json.dumps(result, indent=1))


if __name__ == "__main__":
    typer.run(main)
