"""Stations of mediastinal lymph nodes: told by trachea, aorta and lungs, drawn where they are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from prompts import read
from prompts.request import FindingRequest
from synth.errors import InputError
from synth.lesions import insert, keep_painted, plan_lesions
from synth.lesions.acceptance import attribute_checks
from synth.report import location, measure, write
from synth.report.stations import STATIONS, Stations, stations
from synth.volumes import labels
from synth.volumes.types import LabelMap, Volume


def column(x: float, y: float, low: float, high: float, radius: float) -> np.ndarray:
    grid = np.stack(np.meshgrid(np.arange(-14, 15, 2.0), np.arange(-14, 15, 2.0), np.arange(low, high + 1, 2.0),
                                indexing="ij"), axis=-1).reshape(-1, 3)  # fmt: skip
    return grid[np.hypot(grid[:, 0], grid[:, 1]) <= radius] + [x, y, 0]


BORDERS = Stations.of(column(0, 0, 0, 130, 9), column(-30, -30, -150, 50, 12), column(60, 0, -150, 90, 14))


@pytest.mark.parametrize(
    ("point", "station"),
    [
        ([20, 0, 100], "1R"), ([-20, 0, 100], "1L"), ([20, 0, 70], "2R"), ([-20, 0, 70], "2L"), ([-4, 0, 70], "2R"),
        ([5, 40, 60], "3A"), ([0, -18, 60], "3P"), ([15, 5, 30], "4R"), ([-18, 5, 30], "4L"), ([-40, 5, 30], "5"),
        ([-45, 40, 30], "6"), ([5, 0, -15], "7"), ([5, 0, -80], "8"), ([40, 0, -20], "10R"), ([-40, 0, -20], "10L"),
        ([40, 0, -90], "9R"), ([-40, 0, -90], "9L"),
    ],
)  # fmt: skip
def test_each_station_is_where_the_map_has_it(point: list[float], station: str) -> None:
    """The trachea stands at x = y = 0 from 0, its fork, up; the arch ends at 50, lungs at 90. Right is +x."""
    assert STATIONS[int(BORDERS.station(np.array(point, float)))] == station


def test_in_front_of_the_heart_is_no_station() -> None:
    assert int(BORDERS.station(np.array([0.0, 60.0, -30.0]))) == -1


def test_main_bronchi_in_the_tracheas_label_do_not_lower_the_fork() -> None:
    fork = np.concatenate([column(x, 0, -30, -2, 8) for x in (-28, 28)])
    both = Stations.of(np.concatenate([column(0, 0, 0, 130, 9), fork]), column(-30, -30, -150, 50, 12),
                       column(60, 0, -150, 90, 14))  # fmt: skip
    assert both.carina == 0 and both.radius == pytest.approx(BORDERS.radius)


def chest() -> tuple[Volume, LabelMap]:
    """Lungs beside fat with trachea, aorta and heart in it; x runs to the patient's left."""
    affine = np.diag([-3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = [150.0, -90.0, -120.0]
    shape = (100, 60, 80)
    ids, hu = np.zeros(shape, np.uint8), np.full(shape, -90, np.int16)
    parts = {
        "lung_upper_lobe_right": (slice(8, 36), slice(8, 52), slice(30, 72)),
        "lung_lower_lobe_right": (slice(8, 36), slice(8, 52), slice(4, 30)),
        "lung_upper_lobe_left": (slice(66, 94), slice(8, 52), slice(30, 72)),
        "lung_lower_lobe_left": (slice(66, 94), slice(8, 52), slice(4, 30)),
        "trachea": (slice(47, 53), slice(27, 33), slice(40, 78)),
        "superior_vena_cava": (slice(44, 48), slice(40, 44), slice(40, 56)),
        "aorta": (slice(56, 63), slice(18, 24), slice(4, 58)),
        "heart": (slice(40, 62), slice(32, 50), slice(6, 30)),
    }
    level = {"lung": -850, "trachea": -990, "superior": 150, "aorta": 160, "heart": 150}
    for name, box in parts.items():
        ids[box] = labels.ids()[name]
        hu[box] = level[name.split("_")[0]]
    noise = np.random.default_rng(0).normal(0, 8, shape)
    return Volume((hu + noise).astype(np.int16), affine), LabelMap(
        ids, affine, {i: n for i, n in labels.names().items() if (ids == i).any()}
    )


@pytest.mark.parametrize("station", ["2R", "2L", "4R", "4L", "7", "3A"])
def test_a_node_lies_in_the_station_that_was_asked_for_and_reads_back(station: str) -> None:
    ct, organs = chest()
    asked = FindingRequest(kind="lymph node", organ="mediastinum", segment=f"station {station}", size_mm=9)
    plans = plan_lesions([asked], ct, organs, np.random.default_rng(1))
    measured = measure(insert(ct, organs, plans, keep_painted))
    (found,) = measured.lesions
    assert found.segment == f"station {station}" and found.organ == "mediastinum"
    elsewhere = found.model_copy(update={"segment": "station 10L"})
    assert [all(c.ok for c in attribute_checks(asked, f)) for f in (found, elsewhere)] == [True, False]
    text = write(measured).text()
    assert f"in station {station} of the mediastinum" in text and "stations are approximate" in text
    (again,) = read(text).request.findings
    assert (again.kind, again.organ, again.segment) == ("lymph node", "mediastinum", f"station {station}")


def test_without_a_trachea_no_station_is_told() -> None:
    ct, organs = chest()
    bare = LabelMap(np.where(organs.ids == labels.ids()["trachea"], 0, organs.ids), organs.affine, organs.names)
    assert stations(bare, location.present_boxes(bare)) is None
    asked = FindingRequest(kind="lymph node", organ="mediastinum", segment="station 7", size_mm=9)
    with pytest.raises(InputError, match="stations are told by trachea, aorta and lungs"):
        plan_lesions([asked], ct, bare, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("a 14 mm lymph node in station 4R", ["station 4R"]),
        ("subcarinal lymph node of 18 mm", ["station 7"]),
        ("right lower paratracheal node of 12 mm", ["station 4R"]),
        ("left upper paratracheal node of 12 mm", ["station 2L"]),
        ("aortopulmonary window lymph node of 11 mm", ["station 5"]),
        ("right hilar lymph node of 16 mm", ["station 10R"]),
        ("enlarged nodes at stations 4R, 7 and 10L", ["station 4R", "station 7", "station 10L"]),
        ("mediastinal lymph node", [None]),
    ],
)
def test_stations_by_number_and_by_name(text: str, segments: list[str | None]) -> None:
    request = read(f"CT of the chest with {text}").request
    assert [finding.segment for finding in request.findings] == segments
