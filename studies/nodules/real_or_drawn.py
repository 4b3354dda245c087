"""Can a small network tell real lung nodules from drawn ones, and by what?

    python -m studies.nodules.real_or_drawn --data ../shared/data/nodules --out docs/studies/nodules/real_or_drawn.md

Windows of 32 mm at 1 mm about every real nodule and about one drawn with its ratings, in another patient's crop where a
nodule was (`studies.nodules.drawn`). A 3D network of three convolutions learns on the patients of four folds, both
those whose ratings are drawn and those whose lung is used, and is asked of the fifth; scores are the mean over seeds.
Beside it: the same with the nodule blanked out, which says what hosts tell; figures that have a name, one by one and
together by logistic regression on the same folds; and what the network looks at: how far scores move towards chance
when a zone of the window is smoothed away.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from torch import nn

from studies.nodules.crops import read_nodules
from studies.nodules.drawn import FOLDS, HU, Sample, drawn_samples, fold_of, hosts_of, real_sample
from studies.nodules.features import features
from studies.nodules.intervals import auc, figure
from synth.failure import ended
from synth.files.whole import write_whole

EPOCHS, BATCH, RATE = 30, 16, 3e-3
_WINDOWS = (HU, (-150, 250), (-1000, -500))
_BLANK_MM, _BLANK_HU, _SMOOTH_MM = 4, -850.0, 2.5
_SIZES = ((0.0, 8.0), (8.0, 16.0), (16.0, 40.0))
_TEXTURES = {"solid": (4, 5), "part-solid": (2, 3), "ground glass": (1,)}
Zone = Callable[[np.ndarray], np.ndarray]
ZONES: dict[str, Zone] = {
    "inside, deeper than 1.5 mm": lambda d: d < -1.5,
    "border, 1.5 mm on either side": lambda d: np.abs(d) <= 1.5,
    "round it, 1.5 to 5 mm outside": lambda d: (d > 1.5) & (d <= 5),
    "further away": lambda d: d > 5,
}


class Judge(nn.Module):
    """(B, 3, 32, 32, 32) windows -> (B,) logits that they are drawn."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, size in ((len(_WINDOWS), 12, 5), (12, 24, 3), (24, 32, 3)):
            layers += [nn.Conv3d(before, after, size, stride=2, padding=size // 2), nn.BatchNorm3d(after), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(64, 1))

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Logits."""
        seen = self.body(windows)
        out: torch.Tensor = self.head(torch.cat([seen.mean(dim=(2, 3, 4)), seen.amax(dim=(2, 3, 4))], dim=1))[:, 0]
        return out


def as_input(windows: np.ndarray) -> torch.Tensor:
    """(N, 32, 32, 32) HU -> (N, 3, 32, 32, 32) from -1 to 1: all, soft tissue, lung."""
    seen = [((windows - low) / (high - low) * 2 - 1).clip(-1, 1) for low, high in _WINDOWS]
    return torch.from_numpy(np.stack(seen, axis=1).astype(np.float32))


def trained(windows: np.ndarray, drawn: np.ndarray, seed: int) -> Judge:
    """A network that has seen windows (N, 32, 32, 32) and which are drawn (N,), turned and mirrored at random."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    inputs, wanted = as_input(windows), torch.from_numpy(drawn.astype(np.float32))
    judge = Judge()
    optimiser = torch.optim.AdamW(judge.parameters(), lr=RATE, weight_decay=1e-2)
    steps = EPOCHS * -(-len(inputs) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for _ in range(EPOCHS):
        order = rng.permutation(len(inputs))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            batch = inputs[chosen]
            for axis in (2, 3, 4):
                if rng.random() < 0.5:
                    batch = batch.flip(axis)
            if rng.random() < 0.5:
                batch = batch.transpose(2, 3)
            loss = nn.functional.binary_cross_entropy_with_logits(judge(batch), wanted[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return judge.eval()


def judged(judge: Judge, windows: np.ndarray) -> np.ndarray:
    """Logits (N,), mean over the window and its mirror image."""
    with torch.no_grad():
        inputs = as_input(windows)
        return (0.5 * (judge(inputs) + judge(inputs.flip(2)))).numpy()


def distances(sample: Sample) -> np.ndarray:
    """mm to the nodule's border, (32, 32, 32), negative inside."""
    inside = ndimage.distance_transform_edt(sample.body)
    out: np.ndarray = np.where(sample.body, 0.5 - inside, ndimage.distance_transform_edt(~sample.body) - 0.5)
    return out


def blanked(sample: Sample) -> np.ndarray:
    """The window with nothing where the nodule is and 4 mm round it."""
    return np.where(distances(sample) <= _BLANK_MM, np.float32(_BLANK_HU), sample.hu)


def smoothed(sample: Sample, zone: Zone) -> np.ndarray:
    """The window with one zone smoothed."""
    return np.where(zone(distances(sample)), ndimage.gaussian_filter(sample.hu, _SMOOTH_MM), sample.hu)


class Trial:
    """Scores of every sample by networks that know neither its patient nor its host. folds: (N,)."""

    def __init__(self, samples: Sequence[Sample], folds: np.ndarray, seeds: int) -> None:
        self.samples, self.folds = samples, folds
        self.drawn = np.array([s.drawn for s in samples])
        self.patients = [s.of.patient for s in samples]
        windows = np.stack([s.hu for s in samples])
        self.by_seed = np.zeros((seeds, len(samples)))
        self.without = np.zeros((len(ZONES), len(samples)))
        self.blank = np.zeros(len(samples))
        zones = [np.stack([smoothed(s, zone) for s in samples]) for zone in ZONES.values()]
        blank = np.stack([blanked(s) for s in samples])
        for fold in range(FOLDS):
            here = folds == fold
            for seed in range(seeds):
                judge = trained(windows[~here], self.drawn[~here], 100 * seed + fold)
                self.by_seed[seed, here] = judged(judge, windows[here])
                for row, seen in zip(self.without, zones, strict=True):
                    row[here] += judged(judge, seen[here]) / seeds
            self.blank[here] = judged(trained(blank[~here], self.drawn[~here], fold), blank[here])

    @property
    def score(self) -> np.ndarray:
        """Mean over seeds, (N,)."""
        out: np.ndarray = self.by_seed.mean(axis=0)
        return out

    def figure(self, score: np.ndarray, where: np.ndarray | None = None) -> str:
        """AUC of scores (N,) with its interval over patients, of some samples."""
        at = np.flatnonzero(np.ones(len(score), bool) if where is None else where)
        value = figure(lambda i: auc(score[at][i], self.drawn[at][i]), np.array(self.patients)[at])
        return f"{value} | {int((~self.drawn[at]).sum())} + {int(self.drawn[at].sum())}"


def named(samples: Sequence[Sample]) -> tuple[list[str], np.ndarray]:
    """Names (F,) and figures (N, F); NaN where not measured."""
    rows = [features(s) for s in samples]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return names, np.array([[row.get(name, np.nan) for name in names] for row in rows])


def together(values: np.ndarray, drawn: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Scores (N,) of a logistic regression over figures (N, F) on the folds; what is not measured is the median."""
    out = np.zeros(len(values))
    for fold in range(FOLDS):
        here = folds == fold
        middle = np.nanmedian(values[~here], axis=0)
        spread = np.nanstd(values[~here], axis=0) + 1e-9
        filled = (np.where(np.isfinite(values), values, middle) - middle) / spread
        model = LogisticRegression(C=0.1, max_iter=2000).fit(filled[~here].clip(-4, 4), drawn[~here])
        out[here] = model.decision_function(filled[here].clip(-4, 4))
    return out


def report(trial: Trial) -> list[str]:
    """Lines of Markdown."""
    samples, drawn = trial.samples, trial.drawn
    seeds = ", ".join(f"{auc(score, drawn):.2f}" for score in trial.by_seed)
    out = ["| told apart by | AUC | real + drawn |", "|---|---|---|"]
    out.append(f"| the network, all (seeds: {seeds}) | {trial.figure(trial.score)} |")
    for name, ratings in _TEXTURES.items():
        there = np.array([s.of.ratings["texture"] in ratings for s in samples])
        out.append(f"| {name} | {trial.figure(trial.score, there)} |")
    for low, high in _SIZES:
        there = np.array([low <= s.of.diameter_mm < high for s in samples])
        out.append(f"| {low:g} to {high:g} mm | {trial.figure(trial.score, there)} |")
    for rated, name in ((False, "spiculation 1, 2"), (True, "spiculation 3 to 5")):
        there = np.array([(s.of.ratings["spiculation"] >= 3) is rated for s in samples])
        out.append(f"| {name} | {trial.figure(trial.score, there)} |")
    out.append(f"| another network, nodules blanked out | {trial.figure(trial.blank)} |")
    names, values = named(samples)
    out.append(f"| figures that have a name, together | {trial.figure(together(values, drawn, trial.folds))} |")
    return [*out, "", *_looks_at(trial), "", *_one_by_one(names, values, drawn)]


def _looks_at(trial: Trial) -> list[str]:
    out = ["| smoothed away | AUC of the network | real + drawn |", "|---|---|---|"]
    return out + [f"| {n} | {trial.figure(row)} |" for n, row in zip(ZONES, trial.without, strict=True)]


def _one_by_one(names: Sequence[str], values: np.ndarray, drawn: np.ndarray) -> list[str]:
    out = ["| figure | AUC, drawn above real | median of real | median of drawn |", "|---|---|---|---|"]
    rows = []
    for name, column in zip(names, values.T, strict=True):
        known = np.isfinite(column)
        value = auc(column[known], drawn[known])
        real, other = (float(np.median(column[known & (drawn == d)])) for d in (False, True))
        rows.append((abs(value - 0.5), f"| {name} | {value:.2f} | {real:.3g} | {other:.3g} |"))
    return out + [row for _, row in sorted(rows, reverse=True)]


def main(arguments: list[str] | None = None) -> int:
    """The command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m studies.nodules.real_or_drawn", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the nodules")
    parser.add_argument("--out", type=Path, help="Markdown file for the tables")
    parser.add_argument("--seeds", type=int, default=3, help="networks a fold")
    parser.add_argument("--times", type=int, default=1, help="drawings of each nodule's ratings")
    parser.add_argument("--seed", type=int, default=0, help="of the drawings")
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    nodules = read_nodules(options.data)
    folds = fold_of(nodules)
    drawn = list(drawn_samples(nodules, hosts_of(nodules), options.times, options.seed))
    samples = [real_sample(n) for n in nodules] + drawn
    trial = Trial(samples, np.array([folds[s.of.patient] for s in samples]), options.seeds)
    text = "\n".join(report(trial)) + "\n"
    if options.out:
        write_whole(options.out, text)
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(ended(main, "studies.nodules.real_or_drawn"))
