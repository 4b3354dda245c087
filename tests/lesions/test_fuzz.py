"""Any request on any host: a lesion or one line that says why not; never NaN, never anything else."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from prompts.request import FindingRequest
from prompts.vocabulary import Density, FindingKind, Heterogeneity, Invasion, Organ, Shape, Side, Surface, structures_of
from synth.errors import InputError
from synth.lesions import insert, keep_painted, plan_lesions
from synth.lesions.lesion_types import lesion_types
from synth.report import check, measure, write
from synth.volumes import labels
from synth.volumes.types import LabelMap, Volume

maybe = st.none
inserted: list[int] = []  # lesions, by example: without any the test would say nothing


@st.composite
def requests(draw: st.DrawFn) -> FindingRequest | None:
    """A finding, or None where its parts do not go together."""
    kind = draw(st.sampled_from(list(lesion_types().values())))
    try:
        return FindingRequest(
            kind=draw(st.sampled_from(kind.kinds) | st.sampled_from(list(FindingKind))),
            organ=kind.organ,
            side=draw(maybe() | maybe() | st.sampled_from([Side.LEFT, Side.RIGHT])),
            size_mm=draw(maybe() | st.sampled_from([6.0, 9.0, 12.0]) | st.sampled_from([0.4, 3.0, 20.0, 90.0, 300.0])),
            count=draw(st.sampled_from([1, 1, 2])),
            shape=draw(maybe() | maybe() | st.sampled_from(list(Shape))),
            density=draw(maybe() | st.sampled_from(list(Density))),
            heterogeneity=draw(maybe() | st.sampled_from(list(Heterogeneity))),
            surface=draw(maybe() | st.sampled_from(list(Surface))),
            invasion=draw(maybe() | st.sampled_from(list(Invasion))),
            spiculated=draw(maybe() | st.booleans()),
            necrotic=draw(maybe() | maybe() | st.booleans()),
        )
    except ValidationError:
        return None


@st.composite
def hosts(draw: st.DrawFn, organ: Organ) -> tuple[Volume, LabelMap]:
    """A block of muscle with the organ's structures in it: whole, cut by the border, one voxel, or none at all."""
    shape = draw(st.sampled_from([(48, 40, 24), (42, 30, 14), (50, 36, 9), (32, 32, 1), (5, 40, 3), (1, 1, 1)]))
    spacing = draw(st.sampled_from([(1.0, 1.0, 1.0), (0.7, 0.7, 5.0), (3.0, 3.0, 3.0)]))
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", draw(st.sampled_from([(0, 0, 0), (8, 5, 20)])), degrees=True)
    affine[:3, :3] = turn.as_matrix() * spacing * draw(st.sampled_from([(1, 1, 1), (-1, 1, 1)]))
    ids = np.zeros(shape, np.uint8)
    table = labels.ids()
    ids[: shape[0] // 3] = table["autochthon_left"]
    names = [name for name in structures_of(organ) if name in table][:3] or ["aorta"]
    extent = draw(st.sampled_from(["whole", "whole", "cut", "cut", "voxel", "none"]))
    for i, name in enumerate(names):
        part = slice(shape[0] // 3 + i, None, len(names)) if extent == "cut" else slice(shape[0] // 2, None)
        if extent in ("whole", "cut"):
            ids[part, : None if extent == "cut" else -2] = table[name]
        elif extent == "voxel":
            ids[-1, -1, i % shape[2]] = table[name]
    hu = np.where(ids > 0, 50.0, -90.0) + 12 * np.random.default_rng(draw(st.integers(0, 3))).standard_normal(shape)
    return Volume(np.rint(hu).astype(np.int16), affine), LabelMap(ids, affine, labels.names())


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def try_one(data: st.DataObject) -> None:
    request = data.draw(requests())
    if request is None:
        return
    host, organs = data.draw(hosts(request.organ))
    try:
        plans = plan_lesions([request], host, organs, np.random.default_rng(data.draw(st.integers(0, 5))))
        case = insert(host, organs, plans, keep_painted)
    except InputError as error:
        assert str(error) and "\n" not in str(error)
        return
    assert case.lesions.present() == [plan.name for plan in plans]
    inserted.append(len(plans))
    report = write(measure(case))
    assert check(case, report) == []
    assert "nan" not in report.model_dump_json().lower().replace("pancreas", "")


def test_a_lesion_or_one_line_that_says_why_not() -> None:
    inserted.clear()
    try_one()
    assert len(inserted) >= 10
