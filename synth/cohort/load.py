"""Load a cohort for training: file names for MONAI, or a torch Dataset of volumes; or draw cases as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from synth import case_folder, nifti
from synth.cohort import layout
from synth.cohort.draw import draw
from synth.cohort.engine import plan_of
from synth.cohort.processes import this_process
from synth.cohort.verify import read_checksums, read_rows
from synth.errors import InputError
from synth.progress import Progress
from synth.types import Case

Transform = Callable[[dict[str, Any]], Any]
_COLUMNS = ["case", "split", "group", "healthy", "prompt", "host", "patient", "number_of_lesions"]


def load_cohort(folder: str | Path, split: str | None = None) -> list[dict[str, Any]]:
    """The cases of a finished cohort, or of one part of its split, as MONAI's dictionary transforms take them.

    Each has the paths `image` (CT in HU), `label` (lesions), `organs`, `report`, and what cases.parquet says of it.
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
    return {
        "image": str(case / case_folder.CT),
        "label": str(case / case_folder.LESIONS),
        "organs": str(case / case_folder.ORGANS),
        "report": str(case / case_folder.REPORT_TEXT),
    }


class CohortDataset(Dataset[Any]):
    """The cases of a finished cohort. `transform` gets the dictionary of `load_cohort`; without one, volumes are read.

    `image` is then (1, X, Y, Z) float32 HU, `label` and `organs` (1, X, Y, Z) int32 ids, `affine` (4, 4) float64 mm.
    """

    def __init__(self, folder: str | Path, split: str | None = None, transform: Transform | None = None) -> None:
        self.cases = load_cohort(folder, split)
        self._transform = transform or _read

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> Any:
        return self._transform(dict(self.cases[index]))


class CohortStream(IterableDataset[Any]):
    """The cases of a recipe, drawn as they are asked for and never written; those that fail are left out.

    Items are as in `CohortDataset`, without file names. Processes and data loader workers share the cases out.
    """

    def __init__(self, recipe: str | Path, transform: Transform | None = None) -> None:
        self.plan = plan_of(Path(recipe))
        self._transform = transform

    def __iter__(self) -> Iterator[Any]:
        worker, process = get_worker_info(), this_process()
        here, number = (worker.id, worker.num_workers) if worker else (0, 1)
        for index in list(process.share(len(self.plan)))[here::number]:
            planned = self.plan[index]
            drawn = draw(self.plan, planned, Progress(quiet=True))
            if drawn.draft is not None:
                item = _tensors(drawn.draft.case) | {"case": planned.name, "prompt": planned.request.prompt}
                yield self._transform(item) if self._transform else item


def _read(item: dict[str, Any]) -> dict[str, Any]:
    """The dictionary with its volumes in place of their paths."""
    ct = nifti.read_volume(item["image"], plausible=False)
    masks = {name: nifti.read_ids(item[name], like=ct)[0] for name in ("label", "organs")}
    return (
        item
        | {"image": _channel(ct.hu, torch.float32), "affine": torch.from_numpy(ct.affine)}
        | {name: _channel(ids, torch.int32) for name, ids in masks.items()}
    )


def _tensors(case: Case) -> dict[str, Any]:
    return {
        "image": _channel(case.ct.hu, torch.float32),
        "label": _channel(case.lesions.ids, torch.int32),
        "organs": _channel(case.organs.ids, torch.int32),
        "affine": torch.from_numpy(case.ct.affine),
    }


def _channel(array: Any, dtype: torch.dtype) -> torch.Tensor:
    return torch.tensor(array.astype("int32"), dtype=dtype)[None]
