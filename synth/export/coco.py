"""COCO: films with boxes and run-length masks, as object detectors and instance segmenters read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from synth.export import Labels
from synth.export.classes import class_of
from synth.export.films import ExportedFilm, films
from synth.export.source import CohortSource, read_source, write_json
from synth.files.whole import new_folder
from synth.progress import Progress

ANNOTATIONS = "annotations"


def export_coco(cohort: Path, out: Path, labels: Labels, progress: Progress) -> Path:
    """`out`/PART/CASE_VIEW.png and `out`/annotations/instances_PART.json for each part of the split.

    Films are cut to 8 bits, which detectors read. A structure of a film is an annotation with box, area and run-length
    mask; lesion types are one category each. Raises InputError, OutputError.
    """
    source = read_source(cohort)
    return new_folder(out, lambda partial: _write(source, labels, partial, progress))


def _write(source: CohortSource, labels: Labels, out: Path, progress: Progress) -> None:
    everything = list(films(source))
    names = sorted({_category(s) for film in everything for s in _wanted(film, labels)})
    numbers = {name: number for number, name in enumerate(names, start=1)}
    tables: dict[str, dict[str, Any]] = {}
    (out / ANNOTATIONS).mkdir(parents=True)
    with progress.step("coco", len(everything)) as step:
        for film in everything:
            part = film.case["split"]
            table = tables.setdefault(part, _empty(source, numbers))
            _add(table, film, labels, numbers)
            (out / part).mkdir(exist_ok=True)
            _eight_bits(film.folder / film.view["film"]).save(out / part / film.file)
            step.advance()
    for part, table in tables.items():
        write_json(out / ANNOTATIONS / f"instances_{part}.json", table)


def _empty(source: CohortSource, numbers: dict[str, int]) -> dict[str, Any]:
    info = {"description": f"Synthetic radiographs: {source.cohort.name}", "version": source.cohort.synthct}
    licences = [{"id": 1, "name": source.cohort.licence, "url": ""}]
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    return {"info": info, "licenses": licences, "images": [], "annotations": [], "categories": categories}


def _add(table: dict[str, Any], film: ExportedFilm, labels: Labels, numbers: dict[str, int]) -> None:
    side, number = film.view["camera"]["detector"], len(table["images"]) + 1
    table["images"].append(
        {"id": number, "file_name": film.file, "width": side, "height": side, "license": 1, "report": film.report()}
    )
    for structure in _wanted(film, labels):
        mask = np.asarray(Image.open(film.folder / film.view["masks"] / f"{structure['name']}.png")) > 0
        table["annotations"].append(
            {
                **{"id": len(table["annotations"]) + 1, "image_id": number, "iscrowd": 0},
                **{"category_id": numbers[_category(structure)], "bbox": structure["box"], "area": structure["pixels"]},
                "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
            }
        )


def run_lengths(mask: np.ndarray) -> list[int]:
    """COCO's uncompressed code: lengths of runs of 0 and 1 in turn, 0 first, down the columns."""
    flat = mask.T.ravel().astype(np.int8)
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], ends, [len(flat)]]))
    return [0, *map(int, runs)] if flat[0] else list(map(int, runs))


def _wanted(film: ExportedFilm, labels: Labels) -> Iterator[dict[str, Any]]:
    for structure in film.view["structures"]:
        if labels is Labels.all or structure["lesion"] == (labels is Labels.lesions):
            yield structure


def _category(structure: dict[str, Any]) -> str:
    return class_of(structure["name"]) if structure["lesion"] else str(structure["name"])


def _eight_bits(film: Path) -> Image.Image:
    pixels = np.asarray(Image.open(film))
    return Image.fromarray((pixels >> 8).astype(np.uint8))
