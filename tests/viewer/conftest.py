"""Small cases on disk for the viewer: a body with a liver, a kidney and one lesion, and siblings of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth import provenance
from synth.case import folder as case_folder
from synth.provenance import Check
from synth.viewer.server import Viewer
from synth.viewer.shelf import opened
from tests import phantoms

LESION: dict[str, Any] = {
    **{"id": 1, "kind": "cyst", "organ": "liver", "side": "right"},
    **{"centre_mm": [0, 0, 0], "long_axis_mm": 8.0, "volume_ml": 0.3},
}


def _said(name: str, section: str, text: str, system: str | None, masks: list[str], facts: Any) -> dict[str, Any]:
    return {"id": name, "section": section, "system": system, "text": text, "masks": masks, "facts": facts}


SENTENCES = [
    _said("volume", "technique", "CT of the abdomen.", None, [], {"extent_mm": [48, 40, 48], "region": "abdomen"}),
    _said("lesion_1", "findings", "A cyst of 8 mm.", "Liver", ["lesion_1"], LESION),
    _said("no_x", "normal", "No hydronephrosis.", "Kidneys", ["kidney_left"], {}),
    _said("impression_1", "impression", "1. 8 mm cyst.", None, ["lesion_1"], {}),
]


def write(
    folder: Path, sibling: dict[str, Any] | None = None, shape: tuple[int, int, int] = (24, 20, 16), **more: Any
) -> Path:
    """A whole case; `more`: `prompt`, `checks`, `sentences`, `affine`."""
    plan = {"door": "generate", "seed": 1, "request": {"prompt": more.get("prompt", "a cyst")}, "sibling": sibling}
    manifest = provenance.manifest(
        command="", seeds={}, weights={}, device="cpu", checks=more.get("checks", [Check("liver_ml", 5, 1, 9)])
    )
    return case_folder.write_case(
        folder,
        phantoms.case(shape, more.get("affine", phantoms.RAS_2MM)),
        plan_json=json.dumps(plan),
        report_json=json.dumps({"style": "structured", "sentences": more.get("sentences", SENTENCES)}),
        report_text="",
        preview_png=None,
        manifest=manifest,
    )


@pytest.fixture
def family(tmp_path: Path) -> Path:
    """A case, its twin and a follow-up, beside a stranger whose name begins alike."""
    head = {"case": "case_1", "plan_sha256": "0" * 64}
    write(tmp_path / "case_1")
    write(tmp_path / "case_1_healthy", {**head, "how": {"kind": "twin"}}, sentences=SENTENCES[:1])
    write(tmp_path / "case_1_90d", {**head, "how": {"kind": "follow_up", "days": 90, "growth": 1.4}})
    write(tmp_path / "case_1_other")
    return tmp_path / "case_1"


@contextmanager
def _served(path: Path) -> Iterator[Viewer]:
    viewer = Viewer(opened(path))
    thread = threading.Thread(target=viewer.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield viewer
    finally:
        viewer.shutdown()
        viewer.server_close()
        thread.join()


@pytest.fixture
def served() -> Iterator[Callable[[Path], Viewer]]:
    """Serves a case or folder of cases until the test ends."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda path: stack.enter_context(_served(path))


@pytest.fixture
def oblique() -> np.ndarray:
    """An affine whose axes run left, posterior and up, as DICOM series often do."""
    return np.array([[-2.0, 0, 0, 40], [0, -2.0, 0, 30], [0, 0, 3.0, -10], [0, 0, 0, 1]])
