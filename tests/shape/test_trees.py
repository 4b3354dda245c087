"""Trees: Murray's law, growth that stays inside, sides, painting that keeps volume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from synth.shape.trees.abdomen import KIDNEY, LIVER, grow_organ
from synth.shape.trees.curves import curved
from synth.shape.trees.inlay import _scanned, inlay_lungs
from synth.shape.trees.lungs import LungGrowth, LungTrees, carina_of, grow_lungs
from synth.shape.trees.painting import share_of
from synth.shape.trees.regions import lookup
from synth.shape.trees.tree import Tree, flow, joined, levels, with_murray_radii
from synth.volumes import labels

MM = 4.0
COARSE = LungGrowth(pitch=14.0)
CARINA = np.array([0.0, 0.0, 40.0])
RIGHT = {"lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right"}


def chest() -> tuple[np.ndarray, np.ndarray]:
    """Lobes of two half ellipsoids, the fissures straight; RAS mm."""
    shape = (72, 48, 64)
    affine = np.diag([MM, MM, MM, 1.0])
    affine[:3, 3] = [-142.0, -94.0, -126.0]
    x, y, z = (affine[i, 3] + MM * np.arange(n) for i, n in enumerate(shape))
    x, y, z = np.meshgrid(x, y, z, indexing="ij")
    inside = ((np.abs(x) - 70) / 55) ** 2 + (y / 85) ** 2 + (z / 120) ** 2 < 1
    lower = z + y * 0.8 < -10
    ids = labels.ids()
    left = np.where(lower, ids["lung_lower_lobe_left"], ids["lung_upper_lobe_left"])
    upper = np.where(z > -20, ids["lung_upper_lobe_right"], ids["lung_middle_lobe_right"])
    right = np.where(lower, ids["lung_lower_lobe_right"], upper)
    return np.where(inside, np.where(x > 0, right, left), 0).astype(np.uint8), affine


@pytest.fixture(scope="module")
def lungs() -> LungTrees:
    return grow_lungs(*chest(), CARINA, np.random.default_rng(0), COARSE)


def samples(tree: Tree) -> tuple[np.ndarray, np.ndarray]:
    """Points along all pieces in lobes, and the lobe of each."""
    ends = tree.pieces[tree.part[tree.parent[tree.pieces]] > 0]
    share = np.linspace(0, 1, 4)[:, None, None]
    where = tree.nodes[tree.parent[ends]] + share * (tree.nodes[ends] - tree.nodes[tree.parent[ends]])
    return where.reshape(-1, 3), np.tile(tree.part[ends], 4)


@pytest.mark.parametrize("name", ["airways", "arteries", "veins"])
def test_radii_keep_murrays_law(lungs: LungTrees, name: str) -> None:
    tree: Tree = getattr(lungs, name)
    cubes = np.zeros(len(tree.nodes))
    np.add.at(cubes, tree.parent[tree.pieces], tree.radius[tree.pieces] ** COARSE.exponent)
    forks = np.bincount(tree.parent[tree.pieces], minlength=len(tree.nodes)) > 1
    if name == "airways":  # whose thin branches are left out
        assert (cubes[forks] <= tree.radius[forks] ** COARSE.exponent * (1 + 1e-9)).all()
        return
    forks[0] = False
    assert forks.sum() > 500
    np.testing.assert_allclose(cubes[forks], tree.radius[forks] ** COARSE.exponent, rtol=1e-9)
    wrong = tree.radius[forks] ** (COARSE.exponent - 0.5)
    assert not np.allclose(cubes[forks], wrong)


@pytest.mark.parametrize("name", ["arteries", "veins"])
def test_trees_stay_in_their_lobes_and_cross_no_fissure(lungs: LungTrees, name: str) -> None:
    where, lobe = samples(getattr(lungs, name))
    inside = lookup(*chest())
    assert (inside(where) == lobe).mean() > 0.995  # a piece between two good ends may cut a corner of a voxel
    assert (inside(where * [-1, 1, 1]) == lobe).mean() < 0.05  # left and right exchanged


@pytest.mark.parametrize("name", ["arteries", "veins"])
def test_trees_reach_from_the_hilum_to_the_pleura_everywhere(lungs: LungTrees, name: str) -> None:
    tree: Tree = getattr(lungs, name)
    assert (tree.parent < 0).sum() == 1  # in one piece
    lobes, affine = chest()
    near = np.ones(lobes.shape, bool)
    index = np.rint((tree.nodes - affine[:3, 3]) / MM).astype(int)
    index = index[((index >= 0) & (index < lobes.shape)).all(axis=1)]
    near[tuple(index.T)] = False
    distance = ndimage.distance_transform_edt(near) * MM
    assert np.percentile(distance[lobes > 0], 99.5) < 1.2 * COARSE.pitch
    depth = ndimage.distance_transform_edt(lobes > 0) * MM
    assert depth[tuple(index.T)][tree.part[: len(index)] > 0].min() <= MM


def test_each_side_of_the_body_has_its_own_trees(lungs: LungTrees) -> None:
    right = [labels.ids()[n] for n in RIGHT]
    for tree in (lungs.airways, lungs.arteries, lungs.veins):
        own = tree.part > 0
        assert ((tree.nodes[own, 0] > 0) == np.isin(tree.part[own], right)).all()


def test_arteries_run_beside_airways_and_veins_between(lungs: LungTrees) -> None:
    from scipy.spatial import cKDTree

    airways = lungs.airways.nodes[(lungs.airways.part > 0) & (lungs.airways.radius > 0.7)]
    artery, vein = (cKDTree(t.nodes).query(airways)[0] for t in (lungs.arteries, lungs.veins))
    assert np.median(artery) < 0.6 * np.median(vein)


def test_the_same_seed_gives_the_same_trees(lungs: LungTrees) -> None:
    again = grow_lungs(*chest(), CARINA, np.random.default_rng(0), COARSE)
    other = grow_lungs(*chest(), CARINA, np.random.default_rng(1), COARSE)
    np.testing.assert_array_equal(lungs.veins.nodes, again.veins.nodes)
    assert not np.array_equal(lungs.veins.nodes[:200], other.veins.nodes[:200])


def test_branches_turn_as_in_ct_of_patients(lungs: LungTrees) -> None:
    """Half the angle between siblings is 28 +- 15 degrees in pulmonary arteries (Dong et al. 2020)."""
    tree = lungs.veins
    ends = tree.pieces
    line = np.zeros_like(tree.nodes)
    line[ends] = tree.nodes[ends] - tree.nodes[tree.parent[ends]]
    line /= np.maximum(np.linalg.norm(line, axis=1, keepdims=True), 1e-9)
    bend = ends[(tree.part[ends] > 0) & (tree.part[tree.parent[ends]] > 0)]
    angle = np.degrees(np.arccos(np.einsum("nk,nk->n", line[bend], line[tree.parent[bend]]).clip(-1, 1)))
    assert 3 < np.mean(angle) < 43


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0), (0.8, 0.8, 2.5)])
@pytest.mark.parametrize("radius", [0.3, 0.8, 3.0])
def test_a_painted_tube_has_its_volume_at_any_spacing(spacing: tuple[float, float, float], radius: float) -> None:
    tube = Tree(
        np.array([[9.3, 11.1, 8.2], [29.3, 27.1, 32.2]]), np.array([-1, 0]), np.full(2, radius), np.zeros(2, int)
    )
    affine = np.diag([*spacing, 1.0])
    share = share_of(tube, tuple(int(44 // s) for s in spacing), affine)
    volume = float(share.sum()) * float(np.prod(spacing))
    expected = np.pi * radius**2 * tube.lengths().sum() + (4 / 3 * np.pi * radius**3 if radius > 1 else 0)
    assert volume == pytest.approx(expected, rel=0.12)
    assert share.min() >= 0 and share.max() <= 1


def test_levels_and_flow_by_hand() -> None:
    parent = np.array([-1, 0, 1, 1, 0, 2])
    assert [sorted(level) for level in levels(parent)] == [[1, 4], [2, 3], [5]]
    np.testing.assert_array_equal(flow(parent), [3, 2, 1, 1, 1, 1])
    tree = with_murray_radii(Tree(np.zeros((6, 3)), parent, np.ones(6), np.zeros(6, int)), 1.0, 3.0)
    assert tree.radius[0] == pytest.approx(3 ** (1 / 3))
    assert len(tree.above(1.1).nodes) == 2
    assert joined([tree, tree]).parent[6] == -1 and joined([tree, tree]).parent[7] == 6


def test_a_child_before_its_parent_is_refused() -> None:
    with pytest.raises(ValueError, match="parent stands behind"):
        Tree(np.zeros((2, 3)), np.array([1, -1]), np.ones(2), np.zeros(2, int))


def test_curves_keep_the_ends_of_branches(lungs: LungTrees) -> None:
    tree = Tree(np.array([[0, 0, 0], [0, 0, 9], [6, 0, 15.0]]), np.array([-1, 0, 1]), np.ones(3), np.ones(3, int))
    bent = curved(tree, lambda points: np.ones(len(points), int), 4)
    for node in tree.nodes:
        assert np.abs(bent.nodes - node).sum(axis=1).min() < 1e-9
    assert len(bent.nodes) == 9 and bent.lengths().sum() > tree.lengths().sum()
    straight = curved(tree, lambda points: np.zeros(len(points), int), 4)
    assert straight.lengths().sum() == pytest.approx(tree.lengths().sum())


def test_inlay_makes_lungs_plain_paints_vessels_and_leaves_the_rest(lungs: LungTrees) -> None:
    lobes, affine = chest()
    depth = ndimage.distance_transform_edt(lobes) * MM
    hu = np.where(lobes > 0, -860.0, 40.0)
    cloud = depth > 30
    hu[cloud] = -400.0
    out, ids = inlay_lungs(hu, affine, depth, lungs, 200.0)
    np.testing.assert_array_equal(out[depth == 0], hu[depth == 0])
    arteries = ids == labels.ids()["lung_arteries"]
    assert arteries.sum() > 20 and (out[arteries] > -350).all()
    assert np.median(out[cloud & (ids == 0)]) < -780


def test_a_vessel_is_seen_beside_itself(lungs: LungTrees) -> None:
    """In even lung, voxels that no tree reaches and that touch one are brighter than lung: no CT shows a sharp edge."""
    coarse, affine = chest()
    lobes = coarse.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    affine = affine @ np.diag([0.5, 0.5, 0.5, 1.0])
    affine[:3, 3] -= MM / 4
    depth = ndimage.distance_transform_edt(lobes) * MM / 2
    out, ids = inlay_lungs(np.where(lobes > 0, -860.0, 40.0), affine, depth, lungs, 200.0)
    trees = (lungs.airways_outside(), lungs.arteries, lungs.veins)
    none = np.max([share_of(tree, lobes.shape, affine) for tree in trees], axis=0) == 0
    beside = none & (depth > 2 * MM) & ndimage.binary_dilation(ids == labels.ids()["lung_arteries"])
    far = none & (depth > 2 * MM) & ~ndimage.binary_dilation(~none, iterations=3)
    assert beside.sum() > 50 and np.median(out[beside]) > -850
    np.testing.assert_allclose(out[far], -860, atol=3)


def test_vessels_are_as_wide_as_a_scanner_shows_them() -> None:
    """A point spread of 0.8 mm at any spacing; voxels of 2 mm, which blur by themselves, get less of it."""
    share = np.zeros((33, 33, 33), np.float32)
    share[16, 16, 16] = 1.0
    for spacing, narrowest in (((2.0, 2.0, 2.0), 0.5), ((0.5, 0.5, 0.8), 0.78)):
        seen = _scanned(share, np.diag([*spacing, 1.0]))
        assert seen.sum() == pytest.approx(1.0, abs=1e-3)
        for axis, mm in enumerate(spacing):
            where = mm * (np.arange(33) - 16)
            profile = seen.sum(axis=tuple({0, 1, 2} - {axis}))
            assert narrowest < np.sqrt((profile * where**2).sum()) < 0.82


def test_carina_is_the_end_of_the_trachea_not_of_a_bronchus() -> None:
    trachea = np.zeros((40, 40, 40), bool)
    trachea[19:22, 19:22, 20:] = True
    trachea[24:32, 19:22, 16:20] = True  # a bronchus to one side
    found = carina_of(trachea, np.diag([2.0, 2.0, 2.0, 1.0]))
    assert found is not None
    np.testing.assert_allclose(found, [40, 40, 40], atol=4.1)
    assert carina_of(np.zeros((4, 4, 4), bool), np.eye(4)) is None


@pytest.mark.parametrize(("supply", "side"), [(LIVER, 1.0), (KIDNEY, 1.0), (KIDNEY, -1.0)])
def test_vessels_enter_organs_from_the_midline(supply, side: float) -> None:  # type: ignore[no-untyped-def]
    x, y, z = np.indices((40, 40, 48)) * 3.0
    mask = ((x - 60) / 45) ** 2 + ((y - 60) / 40) ** 2 + ((z - 70) / 60) ** 2 < 1
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    trees = grow_organ(mask, affine, side, replace(supply, pitch=14.0), np.random.default_rng(0))
    assert list(trees) == [supply.first[0], supply.second[0]]
    for tree in trees.values():
        assert np.sign(tree.nodes[0, 0] - 60) == -side
        assert (lookup(mask.astype(int), affine)(tree.nodes[tree.part > 0]) == 1).all()
    assert grow_organ(np.zeros((4, 4, 4), bool), affine, side, supply, np.random.default_rng(0)) == {}
