"""The page in a real browser, which may ask nobody but our server. Skipped where no Chromium is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth import cli
from synth.provenance import Check
from synth.viewer.server import Viewer
from tests.viewer.browser import Browser, installed
from tests.viewer.conftest import write

pytestmark = pytest.mark.skipif(installed() is None, reason="no chromium here; the server's tests run without it")

Serve = Callable[[Path], Viewer]
NASTY = "<img src=x onerror=document.documentElement.dataset.harm=1>"
READY, SOLID = "document.documentElement.dataset.ready", "document.documentElement.dataset.solid"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def shown(browser: Browser, family: Path, served: Serve) -> Iterator[Browser]:
    """A case that is open; afterwards nothing went wrong in it, and nobody else was asked."""
    viewer = served(family)
    browser.open(viewer.address)
    browser.wait(READY)
    yield browser
    assert browser.errors == []
    assert not [url for url in browser.requests if not url.startswith((viewer.address, "data:"))]


def place(browser: Browser) -> list[int]:
    return list(browser.value("SV.shared.views[0].place"))


def grey(browser: Browser, plane: str, voxel: list[int]) -> list[int]:
    """The colour that a plane shows of a voxel, with the crosshair away."""
    return list(
        browser.value(f"""(() => {{
            const view = SV.shared.views[0], plane = view.planes.find((p) => p.name === "{plane}"), v = {voxel};
            SV.shared.cross = false; view.place = v; view.draw();
            const {{ pixel, left, top }} = plane.placing(), {{ across, down }} = plane.axes;
            const x = left + (view.ct.n[across] - 0.5 - v[across]) * pixel[0];
            const y = top + (view.ct.n[down] - 0.5 - v[down]) * pixel[1];
            return [...plane.canvas.getContext("2d").getImageData(x, y, 1, 1).data];
        }})()""")
    )


def test_a_case_opens_with_its_report_at_its_finding(shown: Browser) -> None:
    assert shown.value("document.querySelector('.report').innerText").count("A cyst of 8 mm.") == 1
    x, y, z = place(shown)
    assert 14 <= x < 17 and 8 <= y < 11 and 7 <= z < 9  # the lesion of the phantom
    assert "liver" in shown.value("document.querySelector('.status').textContent")
    shown.wait(SOLID)
    assert shown.value("SV.shared.views[0].solid.meshes.length") == 3


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_slices_show_the_voxels_of_the_volume(shown: Browser, plane: str) -> None:
    shown.value(
        "Object.assign(SV.shared.layers, { lesions: false, organs: false }); SV.shared.smooth = false; SV.window(2)"
    )
    assert grey(shown, plane, [12, 10, 8])[:3] == [round((700 + 450) / 1500 * 255)] * 3  # the phantom's bone
    assert grey(shown, plane, [1, 1, 1])[:3] == [0, 0, 0]  # air


def test_turned_volumes_lie_as_patients_do(
    browser: Browser, tmp_path: Path, served: Serve, oblique: np.ndarray
) -> None:
    """Voxels that run left and back: right, anterior and superior indices are turned, places in mm stay."""
    browser.open(served(write(tmp_path / "turned", affine=oblique)).address)
    browser.wait(READY)
    at = place(browser)
    world = browser.value("SV.shared.views[0].world")
    voxel = np.linalg.inv(oblique) @ [*world, 1]
    assert at == [23 - round(voxel[0]), 19 - round(voxel[1]), round(voxel[2])]
    assert 14 <= round(voxel[0]) < 17 and 8 <= round(voxel[1]) < 11 and 7 <= round(voxel[2]) < 9


def test_keys_turn_slices_and_set_windows_layers_and_layout(shown: Browser) -> None:
    x, y, z = place(shown)
    shown.press("ArrowUp")
    assert place(shown) == [x, y, z + 1]
    for key, plane, axis in (("s", "sagittal", 0), ("c", "coronal", 1)):
        shown.press(key)
        assert shown.value("SV.shared.layout") == plane
        before = place(shown)
        shown.press("ArrowDown")
        assert [b - a for a, b in zip(before, place(shown), strict=True)] == [-(axis == 0), -(axis == 1), 0]
    shown.press("c")
    assert shown.value("SV.shared.layout") == "grid"
    for key, window in (("2", [1500, -600]), ("3", [1500, 300]), ("1", [400, 40])):
        shown.press(key)
        assert shown.value("[SV.shared.width, SV.shared.level]") == window
    for key, layer in (("l", "lesions"), ("o", "organs")):
        was = shown.value(f"SV.shared.layers.{layer}")
        shown.press(key)
        assert shown.value(f"SV.shared.layers.{layer}") is not was
    shown.press("+")
    assert shown.value("SV.shared.zoom") == 1.25
    shown.press("r")
    assert shown.value("SV.shared.zoom") == 1
    shown.press("?")
    assert shown.value("document.getElementById('help').open")
    shown.press("Escape")
    assert not shown.value("document.getElementById('help').open")


def on_screen(browser: Browser, voxel: list[int]) -> list[float]:
    """Where the axial plane shows a voxel's middle, in pixels of the window."""
    return list(
        browser.value(f"""(() => {{
            const view = SV.shared.views[0], plane = view.planes[0], v = {voxel};
            const {{ left, top }} = plane.canvas.getBoundingClientRect(), at = plane.placing();
            const [x, y] = [0, 1].map((axis) => (view.ct.n[axis] - 0.5 - v[axis]) * at.pixel[axis]);
            return [left + at.left + x, top + at.top + y];
        }})()""")
    )


def test_the_mouse_moves_turns_measures_and_sets_the_window(shown: Browser) -> None:
    z = place(shown)[2]
    shown.drag(on_screen(shown, [3, 4, z]), on_screen(shown, [20, 6, z]))
    assert place(shown) == [20, 6, z]
    shown.wheel(on_screen(shown, [12, 10, z]), -100)
    shown.wait(f"SV.shared.views[0].place[2] === {z + 1}")
    shown.value("SV.window(0)")
    x, y = on_screen(shown, [12, 10, z])
    shown.drag((x, y), (x + 50, y - 20), "right")
    assert shown.value("[SV.shared.width, SV.shared.level]") == [500, 60]
    shown.press("m")
    shown.drag(on_screen(shown, [4, 5, z]), on_screen(shown, [9, 17, z]))  # 5 and 12 voxels of 2 mm: 26 mm
    ends = shown.value("SV.shared.views[0].planes[0].ruler")
    assert [ends[0][:2], ends[1][:2]] == [[4, 5], [9, 17]]
    assert place(shown)[:2] == [20, 6]  # a ruler leaves the crosshair
    shown.wheel(on_screen(shown, [12, 10, z]), -100, modifiers=2)
    shown.wait("SV.shared.zoom > 1")
    under = shown.value(
        "(() => { const p = SV.shared.views[0].planes[0]; return p.under(p.canvas.width / 2, p.canvas.height / 2) })()"
    )
    assert [abs(a - b) <= 1 for a, b in zip(under[:2], [20, 6], strict=True)] == [True, True]  # about the crosshair


def test_a_sentence_goes_to_its_mask(shown: Browser) -> None:
    shown.value("SV.shared.go([0, 0, 0])")
    shown.wait(SOLID)
    shown.press("ArrowRight")
    assert shown.value("document.querySelector('[aria-current]').textContent") == "A cyst of 8 mm."
    assert shown.value("SV.shared.views[0].masks.lesions.volume.at(...SV.shared.views[0].place)") == 1
    shown.value("[...document.querySelectorAll('.sentence')].find((s) => s.textContent.includes('hydro')).click()")
    assert shown.value("SV.shared.views[0].masks.organs.volume.at(...SV.shared.views[0].place)") == 3
    shown.press("Escape")
    assert shown.value("document.querySelector('[aria-current]')") is None


def test_siblings_stand_beside_with_one_crosshair(shown: Browser) -> None:
    shown.press("t")
    shown.wait("SV.shared.views[1] && SV.shared.views[1].ct && SV.shared.views[1].masks.organs")
    assert "90 days later" in shown.value("document.querySelector('.stage').innerText")
    assert "A cyst" in shown.value("document.querySelector('.beside').innerText")
    shown.press("ArrowUp")
    assert shown.value("SV.shared.views[1].world.join()") == shown.value("SV.shared.views[0].world.join()")
    shown.press("t")
    shown.wait("SV.shared.views[1]?.name === 'case_1_healthy' && SV.shared.views[1].ct")
    shown.press("t")
    assert shown.value("SV.shared.views.length") == 1


def test_a_gallery_of_a_thousand_opens_filters_and_leads_to_cases(
    browser: Browser, tmp_path: Path, served: Serve
) -> None:
    import os

    one = write(tmp_path / "cases/case_00000")
    for number in range(1, 1000):
        folder = tmp_path / f"cases/case_{number:05d}"
        folder.mkdir()
        for file in one.iterdir():
            os.link(file, folder / file.name)
    write(tmp_path / f"cases/{NASTY}", sentences=[])
    viewer = served(tmp_path / "cases")
    browser.open(viewer.address)
    opened = int(browser.wait("document.documentElement.dataset.gallery"))
    assert opened < 20_000  # 2 s where nothing else runs; docs/viewer.md has the figures
    assert browser.value("document.querySelector('.count').textContent") == "1001 of 1001 cases"
    assert browser.value("document.querySelectorAll('.card').length") == 120
    browser.value("SV.gallery.fields[0].value = '-'; SV.gallery.fields[0].dispatchEvent(new Event('change'))")
    assert browser.value("document.querySelector('.card h2').textContent") == NASTY
    assert browser.value("document.querySelectorAll('.card').length") == 1
    browser.press("ArrowRight")
    browser.press("Enter")
    browser.wait(READY)
    assert browser.value("document.querySelector('#case h1').textContent") == NASTY
    browser.press("g")
    browser.wait("!document.getElementById('gallery').hidden")
    assert browser.value("document.documentElement.dataset.harm ?? null") is None and browser.errors == []
    assert not [url for url in browser.requests if not url.startswith((viewer.address, "data:"))]


def test_filters_want_one_finding_to_have_all_of_it(browser: Browser, family: Path, served: Serve) -> None:
    write(family.parent / "case_2", checks=[Check("a_ml", 12, 1, 9)])
    browser.open(served(family.parent).address)
    browser.wait("document.documentElement.dataset.gallery")

    def kept(**wanted: str) -> int:
        fields = "Object.fromEntries(SV.gallery.fields.map((field) => [field.name, field]))"
        return int(
            browser.value(f"""(() => {{
                const fields = {fields};
                for (const field of Object.values(fields)) field.value = "";
                for (const [name, value] of Object.entries({wanted})) fields[name].value = value;
                fields.kind.dispatchEvent(new Event("change"));
                return document.querySelectorAll(".card").length;
            }})()""")
        )

    assert kept() == 5 and kept(kind="-") == 1
    assert kept(kind="cyst") == 4 and kept(kind="cyst", side="right") == 4 and kept(organ="liver", most="7") == 0
    assert kept(least="8", most="8") == 4 and kept(least="8.5") == 0
    assert kept(checks="fail") == 1 and kept(checks="hold") == 4 and kept(checks="near") == 1


def test_a_name_that_is_not_there_is_told_and_does_nothing(browser: Browser, family: Path, served: Serve) -> None:
    viewer = served(family)
    for name in (NASTY, "../../etc/passwd", "%ZZ"):
        browser.open(f"{viewer.address}#case={name}")
        assert browser.wait("document.querySelector('#case .wrong')?.textContent") in (
            "no such case here",
            "no such page",
        )
        assert browser.value("document.documentElement.dataset.harm ?? null") is None


def test_an_export_needs_no_server(browser: Browser, family: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert cli.main(["view", str(family), "--export", str(page)]) == 0
    browser.open(page.as_uri())
    browser.wait(SOLID)
    assert browser.value("SV.shared.views[0].solid.meshes.length") == 3
    assert "A cyst of 8 mm." in browser.value("document.body.innerText")
    assert browser.errors == [] and not [u for u in browser.requests if not u.startswith(("file:", "data:"))]


def test_the_page_cannot_ask_anyone_else(shown: Browser) -> None:
    """The policy holds even for scripts that are in it."""
    for script in (
        "fetch('http://127.0.0.1:9/')",
        "new Image().src = 'http://127.0.0.1:9/x.png'",
        "import('http://127.0.0.1:9/x.js')",
    ):
        shown.value(f"Promise.resolve({script}).catch(() => 0)")
    refused = [error for error in shown.errors if "Content Security Policy" in error]
    assert len(refused) >= 3
    shown.errors.clear()
    shown.requests[:] = [url for url in shown.requests if ":9/" not in url]


@pytest.mark.slow
def test_a_large_ct_opens_in_seconds(browser: Browser, tmp_path: Path, served: Serve) -> None:
    """512 x 512 x 300: 157 MB. The bound is that of a busy machine; docs/viewer.md has the figures of an idle one."""
    folder = write(tmp_path / "large", shape=(512, 512, 300))
    browser.open(served(folder).address)
    browser.wait(READY, 120)
    shown: Any = browser.value("Number(document.documentElement.dataset.planes)")
    assert shown < 15_000
