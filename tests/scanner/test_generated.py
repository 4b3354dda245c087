"""A generated case in a scanner: the same anatomy as without one, on other slices, written and proved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prompts import parse
from synth import cli
from synth.case import finished
from synth.case import folder as case_folder
from synth.case.draft import Draft
from synth.case.order import Order
from synth.case.weights_folder import Weights
from synth.draw import generated as drawing
from synth.progress import Progress
from synth.scanner import Kernel, Scanner
from synth.scanner.scan import scan
from synth.seeding import derive

QUIET = Progress(quiet=True)
THICK = Scanner(name="thick", slice_mm=20.0, kernel=Kernel.sharp, noise_hu=12.0)


@pytest.fixture(scope="module")
def scanned(tiny_path: None) -> Draft:
    request = parse("CT of the head and neck")
    return drawing.draft_generated(Order(request, Weights.covering(None), 2, 8.0, scanner=THICK), 1, QUIET)


def test_the_scanner_changes_the_scan_and_not_the_anatomy(scanned: Draft) -> None:
    assert scanned.plan.scanner == THICK
    assert scanned.plan.scanner_seed == derive(2, "case_00001", "scanner", scanned.plan.attempt)
    drawn = drawing.draw_case(
        scanned.plan.model_copy(update={"scanner": None, "scanner_seed": 0}), Weights.covering(None), QUIET
    )
    assert scanned.case.ct.hu.shape == (*drawn.ct.hu.shape[:2], 19)  # of 384 mm
    again = scan(drawn, THICK, scanned.plan.scanner_seed)
    np.testing.assert_array_equal(again.ct.hu, scanned.case.ct.hu)
    np.testing.assert_array_equal(again.organs.ids, scanned.case.organs.ids)


def test_what_is_written_holds(scanned: Draft, tmp_path: Path) -> None:
    folder = finished.finish_draft(tmp_path / "case_00001", scanned, "", QUIET, preview=False)
    case, plan, report, manifest = case_folder.read_case(folder)
    assert case.ct.spacing.tolist() == [8.0, 8.0, 20.0]
    assert plan["scanner"] == {"slice_mm": 20.0, "kernel": "sharp", "noise_hu": 12.0, "name": "thick"}
    assert manifest["seeds"]["scanner"] == plan["scanner_seed"] == scanned.plan.scanner_seed
    assert next(s for s in report["sentences"] if s["id"] == "volume")["facts"]["spacing_mm"] == [8.0, 8.0, 20.0]
    assert cli.main(["check", str(folder)]) == 0
