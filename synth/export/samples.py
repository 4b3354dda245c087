"""A case as one row of a table beside its files, for layouts that keep the files of a case as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from synth.case import folder as case_folder
from synth.cohort.table import SCHEMA
from synth.cohort.verify import read_rows
from synth.export.source import CohortSource, intact
from synth.files.content import text_of

VOLUMES = (case_folder.CT, case_folder.ORGANS, case_folder.LESIONS)

_SAID = ("case", "split", "group", "healthy", "door", "host", "patient", "phase", "sex", "age", "prompt")
_MEASURED = ("region", "spacing_mm", "extent_mm", "scanner", "kernel", "noise_hu", "number_of_lesions")
_OF_LESION = ("name", "kind", "organ", "side", "segment", "volume_ml", "long_axis_mm", "short_axis_mm", "mean_hu")

_LESION = SCHEMA.field("lesions").type.value_type
_IDS = pa.list_(pa.struct([("id", pa.int64()), ("name", pa.string())]))
ROW = pa.schema(
    [
        pa.field("synthetic", pa.bool_()),
        *(SCHEMA.field(name) for name in (*_SAID, *_MEASURED)),
        pa.field("lesions_measured", pa.list_(pa.struct([_LESION.field(name) for name in _OF_LESION]))),
        pa.field("report", pa.string()),
        pa.field("lesion_ids", _IDS),
        pa.field("organ_ids", _IDS),
    ]
)  # of what `samples` says of a case


def samples(source: CohortSource) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Folder of each case, and what there is to say of it in JSON values: as asked, as measured, and its report."""
    for row in read_rows(source.folder, [*_SAID, *_MEASURED, "lesions"]):
        folder = source.case_folder(row)
        with intact(folder):
            described = _described(folder, row)
        yield folder, described


def _described(folder: Path, row: dict[str, Any]) -> dict[str, Any]:
    manifest = case_folder.read_manifest(folder)
    return {
        "synthetic": True,
        **{name: row[name] for name in (*_SAID, *_MEASURED)},
        "lesions_measured": [{name: lesion[name] for name in _OF_LESION} for lesion in row["lesions"] or ()],
        "report": text_of(folder / case_folder.REPORT_TEXT),
        "lesion_ids": _ids(manifest["labels"]["lesions"]),
        "organ_ids": _ids(manifest["labels"]["organs"]),
    }


def _ids(names: dict[str, str]) -> list[dict[str, Any]]:
    """Id and name as rows: tables whose columns were ids would differ from case to case."""
    return [{"id": int(number), "name": name} for number, name in names.items()]
