"""Hugging Face: a folder that `datasets.load_dataset` reads as it is and that the Hub shows, with a card."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from synth.case import folder as case_folder
from synth.case.preview import render
from synth.cohort import layout
from synth.errors import InputError
from synth.export.films import box_text, films, has_films
from synth.export.samples import ROW, VOLUMES, samples
from synth.export.source import CohortSource, intact, read_source
from synth.files.content import text_of
from synth.files.whole import new_folder
from synth.progress import Progress
from synth.report import Report

CARD, METADATA, FOLDER = "README.md", "metadata.parquet", "volumes"
_NAMES = tuple(file.removesuffix(".nii.gz") for file in VOLUMES)
# A typed table: text would leave the type of a column that is empty in one part to be guessed.
_LINE = pa.schema([pa.field(name, pa.string()) for name in ("file_name", *_NAMES)] + list(ROW))
FILMS = "radiographs"
_FILM = pa.schema([pa.field(n, pa.string()) for n in ("file_name", "case", "view", "masks", "report", "structures")])
_SPLITS = {"val": "validation"}  # the name that the library gives that part


def export_huggingface(cohort: Path, out: Path, progress: Progress) -> Path:
    """`out`/PART/CASE.png and metadata.parquet (an image folder of previews), `out`/volumes/CASE/*.nii.gz, README.md.

    A row has the preview as its image, the paths of the volumes relative to `out`, prompt, report and measurements.
    Raises InputError, OutputError.
    """
    source = read_source(cohort)
    return new_folder(out, lambda partial: _write(source, partial, progress))


def _write(source: CohortSource, out: Path, progress: Progress) -> None:
    rows: dict[str, list[dict[str, Any]]] = {}
    with progress.step("huggingface", len(source.cases)) as step:
        for folder, row in samples(source):
            part = _part(row["split"], source)
            with intact(folder):
                rows.setdefault(part, []).append(_copied(folder, row, out, part))
            step.advance()
    for part, lines in rows.items():
        pq.write_table(pa.Table.from_pylist(lines, _LINE), out / part / METADATA)
    parts = _write_films(source, out) if has_films(source) else []
    (out / CARD).write_text(_card(source, sorted(rows), parts), encoding="utf-8")


def _write_films(source: CohortSource, out: Path) -> list[str]:
    """`out`/radiographs/PART/CASE_VIEW.png, metadata.parquet and masks/; the parts that there are."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for film in films(source):
        part = _SPLITS.get(film.case["split"], film.case["split"])
        folder, masks = out / FILMS / part, f"{FILMS}/{part}_masks/{film.file.removesuffix('.png')}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(film.folder / film.view["film"], folder / film.file)
        shutil.copytree(film.folder / film.view["masks"], out / masks)
        said = {"case": film.case["case"], "view": film.view["view"], "masks": masks, "report": film.report()}
        line = {"file_name": film.file, **said, "structures": box_text(film.view)}
        rows.setdefault(part, []).append(line)
    for part, lines in rows.items():
        pq.write_table(pa.Table.from_pylist(lines, _FILM), out / FILMS / part / METADATA)
    return sorted(rows)


def _part(split: str, source: CohortSource) -> str:
    """The folder of a part of the split. Raises InputError where another part, or the volumes, have its name."""
    part = _SPLITS.get(split, split)
    if part in (FOLDER, CARD, FILMS) or (part != split and part in source.cohort.split):
        raise InputError(f"{source.folder}: part '{split}' of the split is called as another folder; rename it")
    return part


def _copied(folder: Path, row: dict[str, Any], out: Path, part: str) -> dict[str, Any]:
    """Copy preview and volumes of a case; its row of metadata.parquet."""
    name = row["case"]
    (out / part).mkdir(parents=True, exist_ok=True)
    (out / FOLDER / name).mkdir(parents=True)
    (out / part / f"{name}.png").write_bytes(_preview(folder))
    for file in VOLUMES:
        shutil.copyfile(folder / file, out / FOLDER / name / file)
    paths = {what: f"{FOLDER}/{name}/{file}" for what, file in zip(_NAMES, VOLUMES, strict=True)}
    return {"file_name": f"{name}.png", **paths, **row}


def _preview(folder: Path) -> bytes:
    """The picture of a case, drawn here where the cohort left it out: it is what an image folder is about."""
    file = folder / case_folder.PREVIEW
    if file.is_file():
        return file.read_bytes()
    case, plan, report, _ = case_folder.read_case(folder)
    told = case_folder.valid(Report, report, folder / case_folder.REPORT).model_dump()
    return render(case, text_of(folder / case_folder.REPORT_TEXT).splitlines(), str(plan.get("door")), told)


def _card(source: CohortSource, parts: list[str], of_films: list[str]) -> str:
    """The cohort's own data card under the header that the Hub reads."""
    files = [{"split": part, "path": [f"{part}/{METADATA}", f"{part}/*.png"]} for part in parts]
    films_at = [{"split": p, "path": [f"{FILMS}/{p}/{METADATA}", f"{FILMS}/{p}/*.png"]} for p in of_films]
    header = {
        "pretty_name": source.cohort.name,
        "tags": ["medical", "ct", "synthetic", "segmentation"],
        "configs": [
            {"config_name": "default", "data_files": files},
            *([{"config_name": FILMS, "data_files": films_at}] if films_at else []),
        ],
    }
    licence = source.cohort.licence
    if licence:
        header |= {"license": "other", "license_name": licence}
    told = text_of(source.folder / layout.CARD).split("\n## Examples", maxsplit=1)[0].rstrip()
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n\n{told}\n\n{_USE}"


_USE = """## Use

    from datasets import load_dataset

    rows = load_dataset("this folder")["train"]
    rows[0]["prompt"], rows[0]["report"], rows[0]["image"]  # the image is a preview
    rows[0]["ct"], rows[0]["organs"], rows[0]["lesions"]  # NIfTI files, relative to this folder

Where there are radiographs, `load_dataset("this folder", "radiographs")` gives a row a film: `image`, the sentences
that it can show (`report`), the folder of its masks and `structures`, a JSON list of names with boxes.

`organ_ids` and `lesion_ids` name the ids of the label maps of a case. Every volume is synthetic, or a CT with synthetic
lesions: nothing here may be used to diagnose or treat a person.
"""
