"""`synthct scan` and `synthct xray` in memory: another scan of a case or CT, and films of it. See docs/python.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synth.api.opened import OpenCase
from synth.case.subject import Subject, read_subject
from synth.scanner.scan import Scanned, scan_in_place
from synth.scanner.settings import settings_of
from synth.seeding import derive
from synth.xray.radiograph import Radiograph, take
from synth.xray.settings import require_nanodrr


def scan(
    ct: OpenCase | str | Path,
    *,
    seed: int = 0,
    organs: str | Path | None = None,
    organ_ids: Mapping[int, str] | None = None,
    **settings: Any,
) -> Scanned:
    """A case or CT as another scanner would have given it, on its own grid, as `synthct scan` makes it.

    Args:
        ct: a case, its folder, .nii.gz in HU, or the folder of a DICOM series.
        seed: the noise follows from it.
        organs: labels of a CT; organ_ids: names of their ids.
        settings: fields of `synth.scanner.ScannerSettings`: `dose=0.25`, `views=90`, `metal="hip"`.

    Raises:
        InputError: settings that no scanner has, or that the CT has no room for.
    """
    asked = settings_of(settings, "scan:")
    subject = _subject(ct, organs, organ_ids)
    case = subject.case
    return scan_in_place(case.ct, asked, derive(seed, subject.name, "scan"), case.organs, case.lesions)


def radiograph(
    ct: OpenCase | str | Path,
    view: str = "pa",
    *,
    seed: int = 0,
    detector: int = 512,
    field_mm: float | None = None,
    centre: Sequence[float] | None = None,
    organs: str | Path | None = None,
    organ_ids: Mapping[int, str] | None = None,
) -> Radiograph:
    """A film of a case or CT, as `synthct xray` makes it: `film.pixels`, `paths` in mm, `boxes`, `sentences`, `camera`.

    Args:
        view: ap, pa, lateral, or degrees to the left and to the head: "30,-10".
        detector: pixels along a side; field_mm: its side in mm; centre: a point in RAS mm to aim at.
        ct, seed, organs, organ_ids: as of `scan`.

    Raises:
        InputError: the extra `xray` is not installed, or the view cannot be had.
    """
    require_nanodrr()
    subject = _subject(ct, organs, organ_ids)
    aim = None if centre is None else np.asarray(centre, float)
    return take(
        subject.case, view, seed, detector=detector, field_mm=field_mm, centre=aim, report=subject.report
    )  # fmt: skip


def _subject(ct: OpenCase | str | Path, organs: str | Path | None, organ_ids: Mapping[int, str] | None) -> Subject:
    if isinstance(ct, OpenCase):
        return Subject(str(ct.plan["case"]), ct.case, ct.folder, ct.report.model_dump(mode="json"), {})
    return read_subject(Path(ct), None if organs is None else Path(organs), organ_ids)
