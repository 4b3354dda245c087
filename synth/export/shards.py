"""WebDataset: tar shards of whole cases, a part of the split in each, to be streamed one after the other."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import webdataset

from synth.case import folder as case_folder
from synth.export.samples import VOLUMES, samples
from synth.export.source import CohortSource, read_source, write_json
from synth.files.whole import new_folder
from synth.progress import Progress

INDEX = "shards.json"
SHARD_BYTES = 500_000_000  # a shard is closed by the first case that takes it past this
_FILES = (*VOLUMES, case_folder.REPORT, case_folder.REPORT_TEXT, case_folder.PLAN)


def export_webdataset(cohort: Path, out: Path, progress: Progress) -> Path:
    """`out`/PART-000000.tar and on for each part of the split, and `out`/shards.json, which lists them.

    A sample's key is the name of its case; it holds `ct.nii.gz`, `organs.nii.gz`, `lesions.nii.gz`, `report.json`,
    `report.txt` and `plan.json` as they are, and `json` with what was asked and measured. The same cohort gives the
    same bytes. Raises InputError, OutputError.
    """
    source = read_source(cohort)
    return new_folder(out, lambda partial: _write(source, partial, progress))


def _write(source: CohortSource, out: Path, progress: Progress) -> None:
    writers: dict[str, _Part] = {}
    with progress.step("shards", len(source.cases)) as step:
        for folder, row in samples(source):
            if row["split"] not in writers:
                writers[row["split"]] = _Part(out, row["split"])
            writers[row["split"]].write(folder, row)
            step.advance()
    for part in writers.values():
        part.writer.close()
    shards = {name: [{"url": url, "cases": n} for url, n in part.cases.items()] for name, part in writers.items()}
    write_json(out / INDEX, {"name": source.cohort.name, "synthetic": True, "shards": shards})


class _Part:
    """The shards of one part of the split, and how many cases went into each."""

    def __init__(self, out: Path, name: str) -> None:
        # Fixed owner and time, so that the same cases give the same bytes.
        self.writer = webdataset.ShardWriter(
            str(out / f"{name}-%06d.tar"), maxsize=SHARD_BYTES, verbose=0, mtime=0, encoder=False
        )
        self.cases: defaultdict[str, int] = defaultdict(int)

    def write(self, folder: Path, row: dict[str, Any]) -> None:
        """One sample."""
        sample: dict[str, Any] = {name: (folder / name).read_bytes() for name in _FILES}
        described = json.dumps(row, ensure_ascii=False).encode()
        self.writer.write({"__key__": row["case"], **sample, "json": described})
        self.cases[Path(self.writer.fname).name] += 1
