"""Radiographs of a subject, and the files that they are kept in. docs/scanner.md describes the folder."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.case import folder as case_folder
from synth.files.documents import read_table
from synth.seeding import derive
from synth.volumes.types import Case
from synth.xray.film import Film, exposed
from synth.xray.findings import boxes, sentences
from synth.xray.project import attenuation, lengths
from synth.xray.views import Camera, camera

if TYPE_CHECKING:
    from synth.dicom.identity import Identity

MASKS, PATHS = "masks", "_mm.npz"


@dataclass(frozen=True)
class Radiograph:
    """A film with what it shows: paths by name in mm, boxes and sentences as JSON values."""

    camera: Camera
    film: Film
    paths: Mapping[str, np.ndarray]
    boxes: list[dict[str, Any]]
    sentences: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """Of its files: `pa`, `angle_30_-10`."""
        view = self.camera.name
        return view if view.isalpha() else f"angle_{view.replace(',', '_')}"


def take(
    case: Case,
    view: str,
    seed: int,
    *,
    detector: int = 512,
    field_mm: float | None = None,
    centre: np.ndarray | None = None,
    report: Mapping[str, Any] | None = None,
) -> Radiograph:
    """A radiograph of a case; `report` is its report.json. Raises InputError as `views.camera` does."""
    seen_from = camera(case.ct, view, detector, field_mm, centre)
    dense = attenuation(case, seen_from)
    film = exposed(dense, seen_from.pixel_mm, derive(seed, "xray", view))
    paths = lengths(case, seen_from)
    said = sentences(report, film.attenuation(), paths, seen_from) if report else []
    return Radiograph(seen_from, film, paths, boxes(paths, list(case.lesions.names.values())), said)


def write(folder: Path, radiographs: Sequence[Radiograph], identity: Identity | None) -> list[dict[str, Any]]:
    """Write films, masks and paths into an existing folder; what xrays.json says of each view. Raises OSError."""
    told = []
    for number, one in enumerate(radiographs, start=1):
        (folder / f"{one.name}.png").write_bytes(_png(one.film.pixels))
        (folder / MASKS / one.name).mkdir(parents=True)
        for entry in one.boxes:
            mask = (one.paths[entry["name"]] > 0).astype(np.uint8) * 255
            (folder / MASKS / one.name / f"{entry['name']}.png").write_bytes(_png(mask))
        seen = {entry["name"]: one.paths[entry["name"]].astype(np.float16) for entry in one.boxes}
        np.savez_compressed(folder / f"{one.name}{PATHS}", **seen)  # type: ignore[arg-type]
        if identity is not None:
            _write_dicom(folder / f"{one.name}.dcm", one, identity, number)
        told.append(
            {
                **{"view": one.camera.name, "film": f"{one.name}.png", "masks": f"{MASKS}/{one.name}"},
                **{"low": round(one.film.low, 6), "high": round(one.film.high, 6), "camera": one.camera.told()},
                **{"structures": one.boxes, "sentences": one.sentences},
            }
        )
    return told


def identity_of_folder(folder: Path) -> Identity | None:
    """The DICOM identity of radiographs of a case folder; None where the extra `dicom` is not installed."""
    try:
        from synth.dicom.study import identity_of
    except ImportError:
        return None
    plan, report, manifest = (
        read_table(folder / name) for name in (case_folder.PLAN, case_folder.REPORT, case_folder.MANIFEST)
    )
    return replace(identity_of(plan, report, manifest, folder.resolve().name), door="xray")


def _write_dicom(path: Path, one: Radiograph, identity: Identity, number: int) -> None:
    from synth.xray.dx import radiograph

    radiograph(one.film, one.camera, identity, number).save_as(path, enforce_file_format=True)


def _png(pixels: np.ndarray) -> bytes:
    """Grey PNG of 8 or 16 bits."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()
