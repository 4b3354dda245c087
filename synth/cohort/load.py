"""Load a cohort for training: file names for MONAI, or a torch Dataset of volumes; or draw cases as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from synth.case import folder as case_folder
from synth.cohort import delta, layout
from synth.cohort.draw import draw
from synth.cohort.engine import plan_of
from synth.cohort.planning import CohortPlan
from synth.cohort.processes import this_process
from synth.cohort.verify import read_checksums, read_rows
from synth.errors import InputError
from synth.progress import Progress
from synth.seeding import derive
from synth.volumes import nifti
from synth.volumes.types import Case

Transform = Callable[[dict[str, Any]], Any]
_COLUMNS = ["case", "split", "group", "healthy", "prompt", "host", "patient", "number_of_lesions"]


def load_cohort(folder: str | Path, split: str | None = None) -> list[dict[str, Any]]:
    """The cases of a finished cohort, or of one part of its split, as MONAI's dictionary transforms take them.

    Each has its `folder`, the paths `image` (CT in HU), `label` (lesions), `organs`, `report`, and what cases.parquet
    says of it. A case that is kept as a delta has no volumes to name: `ReadCase` reads either kind.
    Raises InputError where `folder` is no finished cohort or has no such part.
    """
    folder = Path(folder)
    read_checksums(folder)
    rows = read_rows(folder, _COLUMNS)
    parts = sorted({row["split"] for row in rows})
    if split is not None and split not in parts:
        raise InputError(f"{folder}: no part '{split}'; its split has {', '.join(parts)}")
    return [_paths(folder, row) | row for row in rows if split in (None, row["split"])]


def _paths(folder: Path, row: dict[str, Any]) -> dict[str, Any]:
    case = layout.case_folder(folder, row["case"])
    volumes = {"image": case_folder.CT, "label": case_folder.LESIONS, "organs": case_folder.ORGANS}
    return {
        "folder": str(case),
        "report": str(case / case_folder.REPORT_TEXT),
        **({} if delta.is_delta(case) else {name: str(case / file) for name, file in volumes.items()}),
    }


class ReadCase:
    """A dictionary of `load_cohort` with its volumes in it; a callable to stand first among MONAI's transforms.

    `image` is then (1, X, Y, Z) float32 HU, `label` and `organs` (1, X, Y, Z) int32 ids, `affine` (4, 4) float64 mm.
    `hosts`: folder below which the hosts of cases are that are kept as deltas. Raises InputError where one is missing.
    """

    def __init__(self, hosts: str | Path | None = None) -> None:
        self._hosts = None if hosts is None else delta.Hosts(Path(hosts))

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        folder = Path(item["folder"])
        if not delta.is_delta(folder):
            return item | _read(item)
        if self._hosts is None:
            raise InputError(f"{folder}: holds what differs from its host; give hosts= with the folder of the hosts")
        return item | _tensors(delta.restored(folder, self._hosts))


class CohortDataset(Dataset[Any]):
    """The cases of a finished cohort. `transform` gets the dictionary of `load_cohort`; without one, `ReadCase` does.

    `hosts`: for `ReadCase`, where the cohort keeps deltas.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str | None = None,
        transform: Transform | None = None,
        hosts: str | Path | None = None,
    ) -> None:
        self.cases = load_cohort(folder, split)
        self._transform = transform or ReadCase(hosts)

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> Any:
        return self._transform(dict(self.cases[index]))


class CohortStream(IterableDataset[Any]):
    """The cases of a recipe, drawn as they are asked for and never written; those that fail are left out.

    `epochs`: how often the recipe is gone through in one iteration, None for ever. The first time gives the cases of
    `synthct cohort`, every further one others of the same quotas. Items are as in `ReadCase`, without file names, with
    the number of the `epoch`. Processes and data loader workers share the cases out; since each case follows from its
    index and its epoch, how many there are changes no case.
    """

    def __init__(self, recipe: str | Path, transform: Transform | None = None, epochs: int | None = 1) -> None:
        self.plan = plan_of(Path(recipe))
        self._transform, self._epochs = transform, epochs

    def __iter__(self) -> Iterator[Any]:
        for epoch in count() if self._epochs is None else range(self._epochs):
            yield from self._epoch(epoch)

    def _epoch(self, epoch: int) -> Iterator[Any]:
        plan, process = self._plan_of_epoch(epoch), this_process()
        worker = get_worker_info()
        here, number = (worker.id, worker.num_workers) if worker else (0, 1)
        for index in process.share(len(plan))[here::number]:
            planned = plan[index]
            drawn = draw(plan, planned, Progress(quiet=True))
            if drawn.draft is not None:
                said = {"case": planned.name, "prompt": planned.request.prompt, "epoch": epoch}
                item = _tensors(drawn.draft.case) | said
                yield self._transform(item) if self._transform else item

    def _plan_of_epoch(self, epoch: int) -> CohortPlan:
        if epoch == 0:
            return self.plan
        recipe = self.plan.recipe
        other = recipe.model_copy(update={"seed": derive(recipe.seed, "epoch", epoch)})
        return CohortPlan(other, self.plan.hosts)


def _read(item: dict[str, Any]) -> dict[str, Any]:
    """The volumes of a whole case."""
    ct = nifti.read_volume(item["image"], plausible=False)
    masks = {name: nifti.read_ids(item[name], like=ct)[0] for name in ("label", "organs")}
    volumes = {name: _channel(ids, torch.int32) for name, ids in masks.items()}
    return {"image": _channel(ct.hu, torch.float32), "affine": torch.from_numpy(ct.affine)} | volumes


def _tensors(case: Case) -> dict[str, Any]:
    return {
        "image": _channel(case.ct.hu, torch.float32),
        "label": _channel(case.lesions.ids, torch.int32),
        "organs": _channel(case.organs.ids, torch.int32),
        "affine": torch.from_numpy(case.ct.affine),
    }


def _channel(array: Any, dtype: torch.dtype) -> torch.Tensor:
    return torch.tensor(array.astype("int32"), dtype=dtype)[None]
