"""A lesion otherwise: what is kept and what changes, attribute by attribute, and what a type cannot show."""

from collections.abc import Callable

import numpy as np
import pytest

from prompts.request import FindingRequest
from synth.errors import InputError
from synth.lesions import LesionPlan, insert, keep_painted, plan_lesions
from synth.lesions.sibling import Change
from synth.lesions.variation import changed, grown_by
from synth.volumes.types import LabelMap, Volume

LIVER_HU = 60.0
TUMOUR = FindingRequest(kind="tumour", organ="liver", size_mm=22)


@pytest.fixture(scope="module")
def tumour(host: Volume, organs: LabelMap) -> LesionPlan:
    return plan_lesions([TUMOUR], host, organs, np.random.default_rng(3))[0]


def differing(one: LesionPlan, other: LesionPlan) -> set[str]:
    return {key for key, value in one.model_dump().items() if value != other.model_dump()[key]}


def change(lesion: LesionPlan, host: Volume, attribute: str, value: str, seed: int = 0) -> LesionPlan:
    rng = np.random.default_rng(seed)
    return changed(lesion, Change(attribute=attribute, value=value), LIVER_HU, host.spacing, rng)


@pytest.mark.parametrize(
    ("attribute", "value", "fields"),
    [
        ("density", "hyperdense", {"zones", "asked"}),
        ("heterogeneity", "homogeneous", {"grain_hu", "asked"}),
        ("surface", "well-defined", {"margin_mm", "asked"}),
        ("necrotic", "yes", {"zones", "asked"}),
        ("calcified", "yes", {"zones", "asked"}),
    ],
)
def test_one_attribute_changes_and_what_is_pushed_aside_stays(
    tumour: LesionPlan, host: Volume, organs: LabelMap, attribute: str, value: str, fields: set[str]
) -> None:
    other = change(tumour, host, attribute, value)
    assert tumour.mass_effect > 0
    assert differing(tumour, other) == fields
    one, two = (insert(host, organs, [plan], keep_painted) for plan in (tumour, other))
    np.testing.assert_array_equal(one.lesions.ids, two.lesions.ids)
    np.testing.assert_array_equal(one.organs.ids, two.organs.ids)
    differs = np.argwhere(one.ct.hu != two.ct.hu)
    distance = np.linalg.norm((differs - tumour.centre) * host.spacing, axis=1)
    assert len(differs) > 0 and distance.max() <= tumour.ball_mm


def test_a_feature_is_added_and_taken_away(tumour: LesionPlan, host: Volume) -> None:
    necrotic = change(tumour, host, "necrotic", "yes")
    assert [zone.name for zone in necrotic.zones] == ["tissue", "necrosis"]
    assert necrotic.zones[0] == tumour.zones[0]
    assert necrotic.zones[1].hu <= necrotic.zones[0].hu - 18
    assert change(necrotic, host, "necrotic", "yes").zones == necrotic.zones
    assert change(necrotic, host, "necrotic", "no").zones == tumour.zones
    with pytest.raises(InputError, match="isodense liver tumour with necrosis"):
        change(necrotic, host, "density", "isodense")
    by_chance = necrotic.model_copy(update={"asked": tumour.asked})  # nobody asked for the necrosis
    (isodense,) = change(by_chance, host, "density", "isodense").zones
    assert isodense.hu == pytest.approx(LIVER_HU, abs=5)


def test_density_and_texture_replace_each_other(make_plan: Callable[..., LesionPlan], host: Volume) -> None:
    solid = make_plan(asked=FindingRequest(kind="nodule", organ="lung", texture="solid"))
    calcified = change(solid, host, "density", "hyperdense")
    assert (calcified.asked.density, calcified.asked.texture) == ("hyperdense", None)
    glass = change(calcified, host, "texture", "ground-glass")
    assert (glass.asked.density, glass.asked.texture) == (None, "ground-glass")
    assert glass.zones[0].opacity < 0.5


def test_a_wider_edge_than_the_pushed_tissue_is_refused(make_plan: Callable[..., LesionPlan], host: Volume) -> None:
    asked = FindingRequest(kind="tumour", organ="liver")
    small = make_plan(kind="liver_tumour", organ="liver", size_mm=6.0, ball_mm=7.0, mass_effect=0.4, asked=asked)
    with pytest.raises(InputError, match=r"--change surface: an edge of .* mm reaches beyond"):
        change(small, host, "surface", "ill-defined")
    free = small.model_copy(update={"mass_effect": 0.0})
    assert change(free, host, "surface", "ill-defined").ball_mm > 7.0


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [("texture", "solid", "not for a liver cyst"), ("necrotic", "yes", "liver_cyst with necrosis: the type has none")],
)
def test_what_the_type_cannot_show_is_refused(
    make_plan: Callable[..., LesionPlan], host: Volume, attribute: str, value: str, said: str
) -> None:
    asked = FindingRequest(kind="cyst", organ="liver")
    cyst = make_plan(kind="liver_cyst", organ="liver", asked=asked)
    with pytest.raises(InputError, match=said):
        change(cyst, host, attribute, value)


def test_growth_is_of_the_long_axis_and_keeps_place_and_surface(tumour: LesionPlan, host: Volume) -> None:
    later = grown_by(tumour, 1.3, host.spacing)
    assert differing(tumour, later) == {"size_mm", "ball_mm", "asked"}
    assert later.size_mm == pytest.approx(1.3 * 22) and later.asked.size_mm == pytest.approx(28.6)
    assert later.ball_mm > tumour.ball_mm
    assert grown_by(tumour, 1.0, host.spacing) == tumour


def test_what_grows_is_no_longer_held_to_be_punctate(make_plan: Callable[..., LesionPlan], host: Volume) -> None:
    asked = FindingRequest(kind="nodule", organ="lung", size_mm=9, shape="punctate/nodular", texture="solid")
    later = grown_by(make_plan(size_mm=9.0, spicules=50, spicule_mm=4.0, asked=asked), 2.0, host.spacing)
    assert (later.asked.shape, later.asked.texture, later.spicule_mm) == (None, "solid", 8.0)
