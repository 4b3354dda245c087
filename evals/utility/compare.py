"""Compare the arms of a study: means with intervals, paired tests against real only, the dose-response plot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import wilcoxon

from evals.bootstrap import Interval, mean_interval
from evals.plotting import PALETTE, canvas, png
from evals.readings import bin_of
from evals.registry import METRICS
from evals.result import Result, ResultPicture, ResultTable
from evals.utility.config import CONTROLS, Arm, UtilityConfig
from evals.utility.lesions import SIZES_MM


@dataclass(frozen=True)
class Row:
    """One score: of an organ of a test patient, by one run."""

    network: str
    arm: Arm
    real: int
    seed: int
    patient: str
    organ: str
    metric: str
    value: float


@dataclass(frozen=True)
class LesionRow:
    """One true lesion of a test patient, as one run found it."""

    network: str
    arm: Arm
    real: int
    patient: str
    diameter_mm: float
    found: bool
    dsc: float


_ALPHA = 0.05  # of Wilcoxon's test; with fewer than six patients it is never reached
Key = tuple[str, Arm, int]
Line = list[str | int | float | None]


@dataclass(frozen=True)
class Paired:
    """An arm against real only at the same N: mean difference over patients, its interval, Wilcoxon's p."""

    difference: Interval
    p: float | None
    better: int


def by_patient(rows: Sequence[Row], metric: str, organ: str | None = None) -> dict[Key, dict[str, float]]:
    """(network, arm, N) -> patient -> mean over its organs (or one organ) and over seeds."""
    collected: dict[Key, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.metric == metric and organ in (None, row.organ):
            collected[row.network, row.arm, row.real][row.patient].append(row.value)
    return {k: {p: float(np.mean(v)) for p, v in patients.items()} for k, patients in collected.items()}


def paired(arm: dict[str, float], real: dict[str, float], higher_is_better: bool = True) -> Paired | None:
    """The paired comparison over the patients that both have; None where they share none."""
    shared = sorted(set(arm) & set(real))
    gaps = np.array([arm[p] - real[p] for p in shared])
    interval = mean_interval(gaps)
    if interval is None:
        return None
    p = float(wilcoxon(gaps).pvalue) if np.any(gaps != 0) and len(gaps) > 1 else None
    return Paired(interval, p, int((gaps > 0).sum() if higher_is_better else (gaps < 0).sum()))


def result(
    rows: Sequence[Row], config: UtilityConfig, test: int, synthetic: int, lesions: Sequence[LesionRow] = ()
) -> tuple[Result, list[ResultPicture]]:
    """Tables of all metrics and organs, and the plots."""
    metrics = [name for name in METRICS if name in {r.metric for r in rows}]
    tables = [_means(rows, metrics, config)]
    tables += [_tests(rows, metric, config) for metric in metrics]
    tables += [_organs(rows, config)]
    tables += [_by_seed(rows, config)] if len(config.seeds) > 1 else []
    tables += [_by_size(lesions)] if lesions else []
    settings = {
        k: v if isinstance(v, (int, float, bool, str)) else str(v) for k, v in config.model_dump(mode="json").items()
    }
    found = Result(
        kind="utility",
        title=f"Utility: {config.name}",
        settings={**settings, "test_patients": test, "synthetic_volumes": synthetic},
        tables=tables,
        notes=_verdict(rows, config),
    )
    return found, [_dose_response(rows, metric, config) for metric in metrics]


def _sorted(keys: Iterable[Key]) -> list[Key]:
    return sorted(keys, key=lambda k: (k[0], k[2], list(Arm).index(k[1])))


def _means(rows: Sequence[Row], metrics: Sequence[str], config: UtilityConfig) -> ResultTable:
    tables = {metric: by_patient(rows, metric) for metric in metrics}
    lines: list[Line] = []
    for key in _sorted({key for table in tables.values() for key in table}):
        cells = [_shown(mean_interval(np.array(list(tables[metric].get(key, {}).values())))) for metric in metrics]
        lines.append([key[0], key[2], key[1].value, *cells])
    columns = ["network", "real N", "arm", *(f"{m} {METRICS[m].unit}".strip().replace("_", " ") for m in metrics)]
    note = f"Mean over organs, {len(config.seeds)} seeds and test patients; 95% bootstrap interval over patients."
    return ResultTable(title="Scores", columns=columns, rows=lines, note=note)


def _by_size(lesions: Sequence[LesionRow]) -> ResultTable:
    """Recall and DSC of the lesions of each size, every seed's reading of a lesion counted."""
    sizes = sorted({(r.diameter_mm, bin_of(r.diameter_mm, SIZES_MM, "mm")) for r in lesions})
    classes = list(dict.fromkeys(name for _, name in sizes))
    lines: list[Line] = []
    for key in _sorted({(r.network, r.arm, r.real) for r in lesions}):
        cells = []
        for name in classes:
            group = [
                r
                for r in lesions
                if (r.network, r.arm, r.real) == key and bin_of(r.diameter_mm, SIZES_MM, "mm") == name
            ]
            found = sum(r.found for r in group)
            dsc = _shown(_over_patients([(r.patient, r.dsc) for r in group]))
            cells.append(f"{found}/{len(group)}, DSC {dsc}")
        lines.append([key[0], key[2], key[1].value, *cells])
    note = (
        "Found / lesions, over seeds; DSC with its 95% bootstrap interval over patients; diameter of the equal sphere."
    )
    return ResultTable(title="By lesion size", columns=["network", "real N", "arm", *classes], rows=lines, note=note)


def _over_patients(values: Sequence[tuple[str, float]]) -> Interval | None:
    """Lesions and readings of one patient depend on each other: the patient is what is drawn again."""
    by_name: dict[str, list[float]] = defaultdict(list)
    for patient, value in values:
        by_name[patient].append(value)
    return mean_interval(np.array([np.mean(v) for v in by_name.values()]))


def _tests(rows: Sequence[Row], metric: str, config: UtilityConfig) -> ResultTable:
    """Every arm against real only at the same N (arm synthetic: at every N)."""
    scores = by_patient(rows, metric)
    higher = METRICS[metric].direction.value == "higher"
    lines: list[Line] = []
    for network in config.networks:
        for real in config.real_cases:
            for arm in config.arms:
                key = (network, arm, 0 if arm is Arm.SYNTHETIC else real)
                if arm is Arm.REAL or key not in scores or (network, Arm.REAL, real) not in scores:
                    continue
                if (test := paired(scores[key], scores[network, Arm.REAL, real], higher)) is not None:
                    lines.append([network, real, arm.value, _shown(test.difference), test.p,
                                  f"{test.better}/{test.difference.cases}"])  # fmt: skip
    columns = ["network", "real N", "arm", f"difference to real only {METRICS[metric].unit}".strip(), "p (Wilcoxon)",
               "patients better"]  # fmt: skip
    note = "Paired over test patients, seeds averaged first. The p are not corrected for their number."
    return ResultTable(title=f"Against real only: {metric.replace('_', ' ')}", columns=columns, rows=lines, note=note)


def _organs(rows: Sequence[Row], config: UtilityConfig) -> ResultTable:
    keys = _sorted(by_patient(rows, "dsc"))
    tables = {organ: by_patient(rows, "dsc", organ) for organ in config.organs}
    lines: list[Line] = []
    for key in keys:
        cells = [_shown(mean_interval(np.array(list(tables[organ].get(key, {}).values())))) for organ in config.organs]
        lines.append([key[0], key[2], key[1].value, *cells])
    columns = ["network", "real N", "arm", *(o.replace("_", " ") for o in config.organs)]
    return ResultTable(title="DSC by organ", columns=columns, rows=lines)


def _by_seed(rows: Sequence[Row], config: UtilityConfig) -> ResultTable:
    """How much the choice of patients, the start and the patches matter, beside the arms."""
    seeds = {seed: by_patient([r for r in rows if r.seed == seed], "dsc") for seed in config.seeds}
    lines: list[Line] = []
    for key in _sorted({key for table in seeds.values() for key in table}):
        cells = [float(np.mean(list(table[key].values()))) if key in table else None for table in seeds.values()]
        lines.append([key[0], key[2], key[1].value, *cells])
    columns = ["network", "real N", "arm", *(f"seed {seed}" for seed in seeds)]
    return ResultTable(title="DSC by seed", columns=columns, rows=lines, note="Mean over organs and test patients.")


def _shown(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    if interval.low is None or interval.high is None:
        return f"{interval.mean:.3g}"
    return f"{interval.mean:.3g} ({interval.low:.3g} to {interval.high:.3g})"


def _verdict(rows: Sequence[Row], config: UtilityConfig) -> list[str]:
    """What the DSC says of each arm that adds synthetic volumes, and whether the controls behave."""
    scores = by_patient(rows, "dsc")
    notes = []
    for network in config.networks:
        for arm in (a for a in config.arms if a not in (Arm.REAL, Arm.SYNTHETIC)):
            said = []
            for real in config.real_cases:
                test = paired(scores.get((network, arm, real), {}), scores.get((network, Arm.REAL, real), {}))
                if test is not None:
                    low, high = test.difference.low, test.difference.high
                    clear = low is not None and high is not None and (low > 0 or high < 0) and (test.p or 1) < _ALPHA
                    sign = "no clear difference" if not clear else "helps" if test.difference.mean > 0 else "harms"
                    said.append(f"N = {real}: {sign} ({test.difference.mean:+.3f} DSC)")
            role = " (control)" if arm in CONTROLS else ""
            notes.append(f"{network}, {arm.value}{role} against real only: {'; '.join(said)}.")
    return notes


def _dose_response(rows: Sequence[Row], metric: str, config: UtilityConfig) -> ResultPicture:
    """Score against the number of real patients, a line an arm; synthetic only as a level."""
    fig, axes = canvas(len(config.networks), height=3.6)
    scores = by_patient(rows, metric)
    for ax, network in zip(axes, config.networks, strict=True):
        for arm, colour in zip(config.arms, PALETTE, strict=False):
            points = sorted((k[2], mean_interval(np.array(list(v.values())))) for k, v in scores.items()
                            if k[:2] == (network, arm))  # fmt: skip
            known = [(n, i) for n, i in points if i is not None and i.low is not None and i.high is not None]
            if arm is Arm.SYNTHETIC:
                for _, i in known:
                    ax.axhline(i.mean, color=colour, ls="--", label="synthetic only")
                    ax.axhspan(i.low or i.mean, i.high or i.mean, color=colour, alpha=0.12, lw=0)
                continue
            shift = 1 + 0.03 * (config.arms.index(arm) - len(config.arms) / 2)
            ax.errorbar(
                [n * shift for n, _ in known], [i.mean for _, i in known],
                yerr=np.array([[i.mean - (i.low or 0), (i.high or 0) - i.mean] for _, i in known]).T.clip(0),
                color=colour, marker="o", ms=4, capsize=3, label=arm.value,
            )  # fmt: skip
        ax.set_xscale("log")
        ax.set_xticks(config.real_cases, [str(n) for n in config.real_cases])
        ax.set_xlim(min(config.real_cases) / 1.4, 1.4 * max(config.real_cases))
        ax.minorticks_off()
        ax.set_xlabel("real training patients")
        ax.set_title(network, fontsize=10)
        ax.grid(alpha=0.3)
    axes[0].set_ylabel(f"{metric.replace('_', ' ')} {METRICS[metric].unit}".strip())
    axes[0].legend(fontsize=8, frameon=False)
    return ResultPicture(
        f"Dose-response: {metric.replace('_', ' ')}", png(fig), "95% bootstrap intervals over test patients."
    )
